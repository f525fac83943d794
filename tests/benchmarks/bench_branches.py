"""Branches: how long it takes to make one, to replay a log, and to compare two."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from onward import Agent, App, Limits, Runtime, ScriptedModel
from onward.core.comparing import compare
from onward.core.divergence import Same
from onward.core.recording import Recording
from onward.core.replaying import replay
from onward.core.trajectory import trajectory
from onward.wiring import Policy
from tests.benchmarks.programs import look_up, turn

REPEATS = 5
SIZES = {100: 33, 5000: 1666}
"""Events of a session, and the turns that make so many: three a turn."""

Row = dict[str, Any]
ROWS: dict[str, tuple[str, str, str | None]] = {
    "fork_100": ("a branch at the end of 100 events", "s", "flat"),
    "fork_5000": ("... of 5,000 events", "s", "flat"),
    "fork_middle_5000": ("... in the middle of 5,000 events", "s", None),
    "replay_5000": ("replay of 5,000 events", "events/s", None),
    "compare_5000": ("comparison of two sessions of 5,000 events", "s", None),
}
agent = Agent("support", model=ScriptedModel(turn), tools=[look_up], limits=Limits(turns=5000))
app = App(programs=[agent])


def measured(space: Path) -> dict[str, Row]:
    """Every row, on one database in this directory."""
    return asyncio.run(_measured(space / "branches.db"))


async def _measured(db: Path) -> dict[str, Row]:
    db.unlink(missing_ok=True)
    try:
        async with Runtime(app, db, policy=Policy(steps_per_wake=1000)) as runtime:
            found = {size: await _recorded(runtime, size) for size in SIZES}
        async with Runtime(db=db) as runtime:  # nothing at hand of what was done before, and nobody to run the branches
            forks = {
                "fork_100": await _forks(runtime, 100, None),
                "fork_5000": await _forks(runtime, 5000, None),
                "fork_middle_5000": await _forks(runtime, 5000, 2500),
            }
    finally:
        for each in db.parent.glob(f"{db.name}*"):
            each.unlink()
    return {**forks, "replay_5000": _replays(found[5000]), "compare_5000": _compares(found[5000])}


async def _recorded(runtime: Runtime, size: int) -> Recording:
    id = f"of-{size}"
    await runtime.start("support", SIZES[size], id=id)
    head = await runtime.wait(id, ended=True)
    assert head.seq >= size, head
    return await runtime.recording(id)


async def _forks(runtime: Runtime, size: int, at: int | None) -> Row:
    took = []
    for _ in range(REPEATS + 1):
        began = time.perf_counter()
        await runtime.fork(f"of-{size}", at=at)
        took.append(time.perf_counter() - began)
    return _row(took[1:])  # the first of a process imports


def _replays(recording: Recording) -> Row:
    def once() -> None:
        assert isinstance(replay(recording, app.programs), Same)

    return _row([len(recording.events) / took for took in _times(once)])


def _compares(recording: Recording) -> Row:
    def once() -> None:
        assert compare(trajectory(recording), trajectory(recording)).code == "same"

    return _row(_times(once))


def _times(work: Callable[[], None]) -> list[float]:
    found = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return found


def _row(found: list[float]) -> Row:
    return {"median": statistics.median(found), "min": min(found), "max": max(found), "n": len(found)}
