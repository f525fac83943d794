"""Real processes on one file, killed for real; and what only happens to many sessions at once."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from onward.core import log
from onward.core.events import Actor
from onward.core.head import Head
from onward.engine.gateway import Start
from onward.ports import Query
from onward.testing.runner import AutoClock
from onward.wiring import Parts
from tests.faults import process
from tests.faults.desk import desk, turn
from tests.faults.matrix import WHOLE
from tests.faults.scenarios import REFUND
from tests.faults.workers import Workers
from tests.faults.world import World
from tests.ledger import Ledger

SESSIONS = 120
LEADERS = 30
PAYERS = SESSIONS + 2 * LEADERS
"""Sessions that pay: those that are started by themselves, and two for each leader."""

BRANCHERS = 30
"""Workflows that pay in three branches."""

KILLING = 5.0 if WHOLE else 3.0
"""Seconds during which workers are killed."""

PATIENCE = 60.0
ANN = Actor(kind="person", name="ann@example.com")
Place = Callable[[AutoClock], Any]


@pytest.fixture
def run(ledger: Ledger) -> Iterator[Ledger]:
    """The ledger, with nothing in it yet."""
    ledger.forget(process.RUN)
    yield ledger
    ledger.forget(process.RUN)


async def _start(parts: Parts, program: str, count: int) -> None:
    await asyncio.gather(*(parts.gateway.start(Start(f"{program}-{n}", program, "1", "go"), ANN) for n in range(count)))


async def _start_branchers(parts: Parts) -> None:
    starts = [Start(f"brancher-{n}", "brancher", "1", ["1", "2", "3"], on_input="deliver") for n in range(BRANCHERS)]
    await asyncio.gather(*(parts.gateway.start(start, ANN) for start in starts))


async def _all(parts: Parts, program: str) -> list[Head]:
    return list(await parts.backend.store.list(Query(program=program, limit=10_000)))


async def _until_ended(parts: Parts, workers: Workers, program: str, count: int) -> list[Head]:
    """Wait until every session of the program has ended or needs attention; workers that die are replaced."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        heads = await _all(parts, program)
        if sum(head.ended or head.status == "needs_attention" for head in heads) == count:
            return heads
        workers.replace_dead()
        await asyncio.sleep(0.1)
    raise AssertionError(f"{Counter(head.status for head in heads)} after {PATIENCE:g} s")


async def test_g6_workers_killed_at_random(tmp_path: Path, run: Ledger) -> None:
    """Three workers on one file, agents with children and without and workflows in branches, SIGKILL again and again:
    each pays exactly once what it is to pay, ends, and says so to who started it."""
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    lot, db = random.Random(seed), tmp_path / "onward.db"
    parts = process.open_parts(db)
    await _start(parts, "payer", SESSIONS)
    await _start(parts, "leader", LEADERS)
    await _start_branchers(parts)
    workers = Workers(db, run, 3)
    try:
        end = time.monotonic() + KILLING
        while time.monotonic() < end:
            await asyncio.sleep(lot.uniform(0.2, 0.7))
            workers.kill(lot.randrange(3))
            workers.replace_dead()
        leaders = await _until_ended(parts, workers, "leader", LEADERS)
        heads = await _until_ended(parts, workers, "payer", PAYERS)
        heads += await _until_ended(parts, workers, "brancher", BRANCHERS)
    finally:
        workers.end()
    paid = Counter(entry["key"] for what, entry in run.entries(process.RUN) if what == "pay")
    assert Counter(head.status for head in (*leaders, *heads)) == {"completed": LEADERS + len(heads)}, f"seed {seed}"
    assert len(paid) == 2 * PAYERS + 3 * BRANCHERS, f"seed {seed}"
    assert set(paid.values()) == {1}, f"seed {seed}"
    for head in (*leaders, *heads):
        assert log.verify(await parts.backend.store.commits(head.key), head.hash) == (head.seq, head.hash)
    await parts.close()


async def test_g2_neighbours_of_a_blocking_tool_keep_their_leases(tmp_path: Path, run: Ledger) -> None:
    """A tool blocks the event loop for longer than a lease lasts; a rival, who would take what lapsed, finds none."""
    db, ttl = tmp_path / "onward.db", 20.0
    parts = process.open_parts(db, ttl=ttl)
    await _start(parts, "waiter", 20)
    await _start(parts, "blocker", 1)
    workers = Workers(db, run, 1, ttl)
    try:
        while not any(what == "block" for what, _ in run.entries(process.RUN)):
            await asyncio.sleep(0.02)
        rival = Workers(db, run, 1, ttl)
        try:
            await _until_ended(parts, workers, "waiter", 20)
            await _until_ended(parts, workers, "blocker", 1)
        finally:
            rival.end()
    finally:
        workers.end()
    done = Counter((what, entry["key"]) for what, entry in run.entries(process.RUN))
    assert len(done) == 21
    assert set(done.values()) == {1}
    await parts.close()


async def test_g13_step_that_exits_the_process(tmp_path: Path, run: Ledger) -> None:
    """It takes its process along again and again; it backs off and is parked, and its neighbours end meanwhile."""
    db = tmp_path / "onward.db"
    parts = process.open_parts(db)
    await _start(parts, "deadly", 1)
    await _start(parts, "payer", 20)
    workers = Workers(db, run, 1)
    try:
        neighbours = await _until_ended(parts, workers, "payer", 20)
        [poison] = await _until_ended(parts, workers, "deadly", 1)
    finally:
        workers.end()
    assert {head.status for head in neighbours} == {"completed"}
    assert poison.status == "needs_attention"
    assert 3 <= workers.died <= 7
    await parts.close()


# --- clocks, in virtual time ------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["memory", "sqlite"], indirect=True)
@pytest.mark.parametrize("seconds", [86400.0 * 3, -86400.0 * 3])
async def test_r3_clock_jumps(place: Place, seconds: float, ledger: Ledger, request: pytest.FixtureRequest) -> None:
    """The wall clock is set while a tool runs: its lease does not notice. An approval's time is what clocks say."""
    app = desk(turn(("jump", {"seconds": seconds})), turn(("pay_out", REFUND)))
    world = World(app, ledger, request.node.name, place=place)
    await world.start("desk")
    await world.rest()
    await world.decide("pay_out", "approved")
    await world.rest()
    head, calls = await world.head(), world.plan.calls
    done = [what for what, _ in ledger.entries(world.outside.run)]
    await world.close()
    assert head is not None
    assert head.status == "completed"
    assert done.count("jump") == 1
    assert "store.mark" in calls
