"""Random workflows come to the same however they are run: undisturbed, killed wherever they can be, from nothing but
the log at each decision, a step at a time or many; and their logs replay the same."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from functools import partial
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from onward.core.divergence import Same
from onward.core.replaying import replay
from onward.engine.load import Loader
from onward.testing.faults import Fault, Plan, kill_after, kill_before
from onward.testing.runner import START
from tests.faults.invariants import differences, log_is_whole
from tests.faults.matrix import play, plays, quiet
from tests.faults.scenarios import Scenario
from tests.faults.world import World
from tests.ledger import Ledger
from tests.property.flows import APP, UNIT, Node, Said, player, programs

YEARS = UNIT * 2000
PARKED = ("session_parked", "session_resumed", "limits_changed")
"""What is in a log whose session killed its process too often."""


class Checked:
    """The application, each decision made by a run from the log's beginning."""

    def __init__(self) -> None:
        self._player = player.apart(checked=True)

    def program(self, name: str, version: str) -> Any:
        return self._player

    def newest(self, name: str) -> Any:
        return self._player


async def lives(parts: list[Node], said: list[Said], wrong: list[str], world: World) -> None:
    """It is started, told what there is to say to it, and cancelled if it waits for more than that."""
    await world.start("player", parts)
    for units, name, content in said:
        await world.live(START + UNIT * units)
        head = await world.head()
        if head is not None and not head.ended:
            await world.signal("input", f"said/{units}", content=content, **({"name": name} if name else {}))
    await world.live(START + YEARS)
    if not (await world.head()).ended:  # type: ignore[union-attr]
        await world.cancel()
        await world.live(world.clock.now() + YEARS)
    wrong += await _replayed(world)


async def _replayed(world: World) -> list[str]:
    loader = Loader(world.watcher.store, world.watcher.blobs)
    recordings = [await loader.recording(head) for head in await world.heads()]
    verdicts = [replay(recording, APP.programs, rests=True) for recording in recordings]
    return [verdict.line for verdict in verdicts if not isinstance(verdict, Same)]


class Deadly(Plan):
    """Processes die at their appends, after them or before, as the lot falls."""

    def __init__(self, lot: random.Random) -> None:
        super().__init__()
        self._lot, self._killed = lot, 0

    def next(self, name: str) -> Fault | None:
        super().next(name)
        if name != "store.append":
            return None
        fault = self._lot.choice([kill_before, kill_after, None]) if self._killed < 2 else None
        self._killed = self._killed + 1 if fault else 0
        return fault


def scenario(parts: list[Node], said: list[Said], steps: int, wrong: list[str], app: Any = APP) -> Scenario:
    return Scenario("flow", app, partial(lives, parts, said, wrong), steps_per_wake=steps)


@settings(max_examples=15, deadline=None)
@given(program=programs(), lot=st.integers(0, 1000))
def test_random_workflows_end_alike_however_they_are_run(
    ledger: Ledger, program: tuple[list[Node], list[Said]], lot: int
) -> None:
    with quiet():
        assert asyncio.run(_compared(program, ledger, random.Random(lot))) == []


async def _compared(program: tuple[list[Node], list[Said]], ledger: Ledger, lot: random.Random) -> list[str]:
    wrong: list[str] = []
    made = partial(scenario, *program)
    calm = await play(made(1, wrong), ledger)
    complaints = log_is_whole(calm)
    for name, run in _ways(made, wrong, ledger, list(calm.calls), lot).items():
        parks = PARKED if "again and again" in name else ()
        complaints += [f"{name}: {complaint}" for complaint in differences(await run(), calm, parks)]
    return complaints + wrong


def _ways(
    made: Callable[..., Scenario], wrong: list[str], ledger: Ledger, calls: list[str], lot: random.Random
) -> dict[str, Callable[[], Any]]:
    """Ways to run it."""
    ways: dict[str, Callable[[], Any]] = {
        "checked": partial(play, made(1, wrong, Checked()), ledger),
        "without caches": partial(play, made(1, wrong), ledger, cache=0),
        "many steps": partial(play, made(1000, wrong), ledger),
        "killed again and again": partial(play, made(1, wrong), ledger, Deadly(lot)),
        "many steps, killed again and again": partial(play, made(1000, wrong), ledger, Deadly(lot)),
    }
    for at, kind in lot.sample(list(plays(calls)), 3):
        plan, how = Plan({at: kind.where_it_fits()}), {"late": kind.late, "sweeping": kind.sweeping}
        ways[f"{kind.name} at {at} {calls[at - 1]}"] = partial(play, made(1, wrong), ledger, plan, **how)
    return ways
