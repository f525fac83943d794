"""Workflows: bodies run again from long logs, a session of ten thousand steps, and a thousand that wait."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from onward import Runtime
from onward.core.head import Head
from onward.engine.load import Cache, Loader
from onward.programs.running import Run
from onward.wiring import Policy
from tests.benchmarks.flows import app, flow

REPEATS = 3
COLD = 5000
LONG = 10_000
WAITING = 1000

Row = dict[str, Any]
ROWS: dict[str, tuple[str, str, str | None]] = {
    "flow_cold_5000": ("a workflow's body run again through 5,000 steps", "events/s", ">= 20000"),
    "flow_cold_log_5000": ("... its log read from its first event before", "events/s", None),
    "flow_long": ("a workflow of 10,000 steps in one session", "steps/s", None),
    "flow_signal_1000": ("1,000 waiting workflows: signal and finish all", "s", "<= 2"),
}


def measured(space: Path) -> dict[str, Row]:
    """Every row, each on databases of its own in this directory."""
    return {
        **asyncio.run(_on(space, _cold)),
        "flow_long": _row([asyncio.run(_on(space, _long))]),
        "flow_signal_1000": _row([asyncio.run(_on(space, _waiting)) for _ in range(REPEATS)]),
    }


async def _on(space: Path, measure: Callable[[Runtime], Any]) -> Any:
    db = space / "workflows.db"
    db.unlink(missing_ok=True)
    try:
        async with Runtime(app, db, policy=Policy(steps_per_wake=LONG)) as runtime:
            return await measure(runtime)
    finally:
        for each in db.parent.glob(f"{db.name}*"):
            each.unlink()


async def _ran(runtime: Runtime, count: int) -> Head:
    await runtime.start("flow", count, id="long")
    head = await runtime.wait("long", ended=True)
    assert head.status == "completed", head
    return head


async def _long(runtime: Runtime) -> float:
    began = time.perf_counter()
    await _ran(runtime, LONG)
    return LONG / (time.perf_counter() - began)


async def _cold(runtime: Runtime) -> dict[str, Row]:
    """The body alone, from entries that are at hand; and behind the log, with no snapshot of it."""
    head = await _ran(runtime, COLD)
    bodies, whole = list[float](), list[float]()
    for _ in range(REPEATS):
        began = time.perf_counter()
        backend = runtime.parts.backend
        state = await Loader(backend.store, backend.blobs, Cache(0)).load(replace(head, fold=None))
        loaded = time.perf_counter()
        run = Run(flow._body, state)
        run.advance(state)
        done = time.perf_counter()
        assert run.ended
        bodies.append(head.seq / (done - loaded))
        whole.append(head.seq / (done - began))
    return {"flow_cold_5000": _row(bodies), "flow_cold_log_5000": _row(whole)}


async def _waiting(runtime: Runtime) -> float:
    for number in range(WAITING):
        await runtime.start("outside", id=f"w{number}")
    for number in range(WAITING):
        await runtime.wait(f"w{number}")
    began = time.perf_counter()
    await asyncio.gather(*(_finish(runtime, f"w{number}") for number in range(WAITING)))
    return time.perf_counter() - began


async def _finish(runtime: Runtime, id: str) -> None:
    await runtime.send(id, "done", name="go")
    head = await runtime.wait(id, ended=True)
    assert head.status == "completed", head


def _row(found: list[float]) -> Row:
    return {"median": statistics.median(found), "min": min(found), "max": max(found), "n": len(found)}
