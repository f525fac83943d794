"""Leases while a step runs: renewals that fail, a process that runs one step alone, and what lies in the way."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from onward import Agent, App, Call, ScriptedModel, tool
from onward.core.ids import session_key
from onward.core.lease import Free, Later, LeaseFields, judge
from onward.core.model import ModelAnswer, ModelRequest
from onward.core.retry import ALONE_AFTER, STALL_DELAYS
from onward.engine.gateway import Start
from onward.ports import Wake
from onward.testing import faults
from onward.testing.faults import Fault, Plan
from onward.testing.runner import Runner
from onward.wiring import Policy
from tests.faults.desk import turn
from tests.faults.places import Memory
from tests.faults.world import ANN, World
from tests.ledger import Ledger

TTL = 1.0
PATIENCE = 20.0


class _Renewals(Plan):
    """Tells when a renewal was asked for; the first one meets a fault."""

    def __init__(self, fault: Fault | None) -> None:
        super().__init__()
        self.came = threading.Event()
        self._fault = fault

    def next(self, name: str) -> Fault | None:
        super().next(name)
        if name != "store.renew":
            return None
        first, self._fault = self._fault, None
        self.came.set()
        return first


FAULTS: dict[str, Callable[[], Fault | None]] = {
    "none": lambda: None,
    "error before": lambda: faults.error_before,
    "error after": lambda: faults.error_after,
    "killed before": lambda: faults.kill_before,
    "killed after": lambda: faults.kill_after,
}


@pytest.mark.usefixtures("silent")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("fault", FAULTS)
async def test_g2_renewal_meets(fault: str, ledger: Ledger) -> None:
    """A step that lasts longer than half a lease renews it; a renewal that fails is tried again, and a process that
    dies there is followed by another. The tool's result is recorded once."""
    plan = _Renewals(FAULTS[fault]())
    world = World(
        SLOW, ledger, f"renewal/{fault}", plan, policy=Policy(ttl=TTL), place=lambda clock: Memory(clock, TTL)
    )
    world.worker.runner.parts.renewer.start()
    await world.start("slow")
    await world.rest()
    head, events = await world.head(), await world.events()
    for worker in world.processes:
        worker.runner.parts.renewer.close()
    await world.close()
    assert head is not None
    assert head.status == "completed"
    assert [event.kind for event in events].count("call_completed") == 1
    assert "store.renew" in plan.calls


@tool(effect="idempotent", timeout="1h")
async def take_time(n: int, *, call: Call) -> int:
    """Take more than half a lease, and wait until it was renewed."""
    world: Any = World.current
    world.clock.advance(TTL * 0.6)
    await asyncio.to_thread(world.plan.came.wait, PATIENCE)
    return n


SLOW = App([Agent("slow", model=ScriptedModel([turn(("take_time", {"n": 1})), {"text": "done"}]), tools=[take_time])])


async def test_g13_suspicious_step_runs_alone() -> None:
    """After two deaths a session's step waits until its process is free of others, its lease renewed meanwhile. Who
    comes then waits without a lease: the step may take along nobody."""
    entered, leave = asyncio.Event(), asyncio.Event()
    runner = Runner(App([_patient(entered, leave)]))
    engine, store = runner.parts.engine, runner.backend.store
    busy, suspect, late = (session_key("default", session) for session in ("busy", "suspect", "late"))
    for session in ("busy", "suspect", "late"):
        await runner.parts.gateway.start(Start(session, "patient", "1", "go"), ANN)
    for n in range(ALONE_AFTER):
        await store.claim(suspect, f"somebody who dies {n}")
        runner.clock.advance(200.0)
    await engine.advance(Wake(suspect))
    assert (await runner.state("suspect")).deaths == ALONE_AFTER
    runner.clock.advance(200.0)
    first = asyncio.create_task(engine.advance(Wake(busy)))
    await entered.wait()
    second = asyncio.create_task(engine.advance(Wake(suspect)))
    while not engine._floor.taken:
        await asyncio.sleep(0)
    third = asyncio.create_task(engine.advance(Wake(late)))
    await asyncio.sleep(0)
    assert {hold.key for hold in runner.parts.renewer._holds} == {busy, suspect}
    assert not store._rows[late].held
    leave.set()
    await asyncio.gather(first, second, third)
    assert [(await runner.state(session)).ended for session in ("busy", "suspect", "late")] == ["completed"] * 3


def _patient(entered: asyncio.Event, leave: asyncio.Event) -> Agent:
    """An agent whose model answers only when it is told to."""

    class Patient:
        name = "patient"

        async def answer(self, request: ModelRequest) -> ModelAnswer:
            entered.set()
            await leave.wait()
            return ModelAnswer(text="at last")

    return Agent("patient", model=Patient())


@pytest.mark.parametrize("short", [0.0, 0.0004, 0.0009])
def test_r11_wait_that_no_timer_could_be_set_to_is_none(short: float) -> None:
    """Stores keep milliseconds: a timer for less than one is due at once, and finds the same wait again, for ever."""
    fields = LeaseFields(
        epoch=1, held=True, age=STALL_DELAYS[0] - short, settled=0, mark=None, seq=1, format=1, dead=True
    )
    assert judge(fields, 90.0, 1) == Free(2, 1)
    assert isinstance(judge(replace(fields, age=0.0), 90.0, 1), Later)
