"""Whatever happened to a session on its way, its log replays the same with the programs that made it."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator

import pytest

from onward.core.divergence import Same
from onward.core.replaying import replay
from onward.engine.load import Loader
from onward.testing.faults import Plan
from onward.wiring import Policy
from tests.faults.matrix import Kind, plays, quiet
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.faults.world import World
from tests.ledger import Ledger

SEED = 20261121
DISTURBED = 3
"""Runs of each session with a fault."""

_runs = itertools.count()


async def played(
    scenario: Scenario, ledger: Ledger, kind: Kind | None = None, at: int = 0
) -> tuple[list[str], list[str]]:
    """One run of a scenario to its end: its calls, and what is wrong with the replays of its sessions."""
    how = {"late": kind.late, "sweeping": kind.sweeping} if kind else {}
    plan = Plan({at: kind.where_it_fits()} if kind else {})
    policy = Policy(scenario.steps_per_wake)
    world = World(scenario.app, ledger, f"replay/{next(_runs)}", plan, policy=policy, **how)
    try:
        await scenario.play(world)
        await world.rest(24 * 400)
        return list(plan.calls), [line async for line in _complaints(world, scenario)]
    finally:
        await world.close()
        ledger.forget(world.outside.run)


async def _complaints(world: World, scenario: Scenario) -> AsyncIterator[str]:
    loader = Loader(world.watcher.store, world.watcher.blobs)
    for head in await world.heads():
        if head.status != "deleted":
            verdict = replay(await loader.recording(head), scenario.app.programs, rests=head.status == "waiting")
            if not isinstance(verdict, Same):
                yield f"{scenario.name} {head.id}: {verdict.line}"


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_session_replays_the_same(name: str, ledger: Ledger) -> None:
    """Undisturbed, and with a fault at some of its calls: deaths, late answers, messages lost and doubled."""
    with quiet():
        calls, complaints = asyncio.run(played(SCENARIOS[name], ledger))
        assert complaints == []
        for at, kind in random.Random(f"{SEED} {name}").sample(list(plays(calls)), DISTURBED):
            assert asyncio.run(played(SCENARIOS[name], ledger, kind, at))[1] == [], (kind.name, calls[at - 1])
