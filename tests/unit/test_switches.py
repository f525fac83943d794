"""Switches: what they cover, how old a view of them may be, and what becomes of sessions that they hold back."""

import asyncio
from collections.abc import Sequence

import pytest

from onward import Agent, App, ScriptedModel, tool
from onward.adapters.local.memory import MemoryBackend, MemorySwitches
from onward.core.events import Actor
from onward.core.head import Head
from onward.core.ids import session_key
from onward.core.state import State
from onward.core.switches import Switch, check_scope
from onward.engine.gateway import Start
from onward.engine.sweep import sweep
from onward.engine.switches import REFRESH, Switchboard
from onward.errors import BadInput, StoreUnavailable
from onward.testing.clock import ManualClock
from onward.testing.contracts.story import START
from onward.testing.runner import Runner

ANN = Actor(kind="operator", name="ann")
done: list[str] = []


def switch(scope: str) -> Switch:
    return Switch(scope=scope, by=ANN, reason="it burns", at=START)


@tool(effect="irreversible")
def pay(amount: int) -> str:
    """Pay."""
    done.append(f"paid {amount}")
    return "paid"


def agent(name: str = "desk") -> Agent:
    turns = [{"calls": [{"tool": "pay", "arguments": {"amount": 5}}]}, {"text": "done"}]
    return Agent(name, model=ScriptedModel(turns), tools=[pay])


@pytest.fixture
def clock() -> ManualClock:
    done.clear()
    return ManualClock()


@pytest.fixture
def runner(clock: ManualClock) -> Runner:
    return Runner(App(programs=[agent(), agent("other")]), backend=MemoryBackend(clock), clock=clock)


async def begin(runner: Runner, id: str, program: str = "desk") -> None:
    await runner.parts.gateway.start(Start(id=id, program=program, version="1", input="pay"), ANN)


async def head_of(runner: Runner, id: str) -> Head:
    head = await runner.backend.store.read(session_key("default", id))
    assert isinstance(head, Head)
    return head


async def wake_held(runner: Runner) -> int:
    return await sweep(runner.backend.store, runner.backend.queue, None, runner.backend.switches)


# --- what a switch covers ------------------------------------------------------------------------------------------


def test_a_switch_covers_everything_or_a_program_or_a_tenant() -> None:
    assert switch("all").covers("desk", "acme")
    assert switch("program:desk").covers("desk", "acme")
    assert not switch("program:desk").covers("desk2", "desk")
    assert switch("tenant:acme").covers("desk", "acme")
    assert not switch("tenant:acme").covers("acme", "globex")


@pytest.mark.parametrize("wrong", ["", "desk", "ALL", "program", "program:", "tenant: ", "agent:desk", "program:a b"])
def test_another_scope_is_refused_by_name(wrong: str) -> None:
    with pytest.raises(BadInput, match="scope"):
        check_scope(wrong)


# --- how old a view may be -----------------------------------------------------------------------------------------


class Counted(MemorySwitches):
    """Switches that count how often they are read."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0
        self.broken = False

    async def read(self) -> Sequence[Switch]:
        self.reads += 1
        await asyncio.sleep(0)
        if self.broken:
            raise StoreUnavailable("not now")
        return await super().read()


async def test_what_was_read_is_taken_for_what_is_for_a_few_seconds(clock: ManualClock) -> None:
    switches = Counted()
    board = Switchboard(switches, clock)
    assert await board.off() == []
    await switches.turn(switch("program:desk"), off=True)
    switches.reads = 0
    clock.advance(REFRESH - 0.1)
    assert await board.off() == []
    assert switches.reads == 0
    clock.advance(0.1)
    assert await board.off() == [switch("program:desk")]
    assert switches.reads == 1


async def test_many_who_ask_at_once_read_once(clock: ManualClock) -> None:
    switches = Counted()
    board = Switchboard(switches, clock)
    await asyncio.gather(*(board.off() for _ in range(50)))
    assert switches.reads == 1


async def test_asked_for_what_is_now_it_reads_now(clock: ManualClock) -> None:
    switches = Counted()
    board = Switchboard(switches, clock)
    await board.off()
    await switches.turn(switch("all"), off=True)
    clock.advance(0.001)
    assert await board.off(fresh=True) == [switch("all")]
    assert await board.off() == [switch("all")]


async def test_a_session_that_a_switch_has_paused_is_looked_at_with_fresh_eyes(clock: ManualClock) -> None:
    switches = Counted()
    board = Switchboard(switches, clock)
    await board.off()
    await switches.turn(switch("all"), off=True)
    clock.advance(0.001)
    assert await board.off_for(State()) == []
    assert await board.off_for(State(switch="all")) == [switch("all")]
    assert await board.off_for(State(ended="completed")) == ()


async def test_where_it_can_not_be_read_nobody_knows(clock: ManualClock) -> None:
    switches = Counted()
    board = Switchboard(switches, clock)
    switches.broken = True
    with pytest.raises(StoreUnavailable):
        await board.off()
    switches.broken = False
    assert await board.off() == []


# --- what becomes of sessions --------------------------------------------------------------------------------------


async def test_g11_nothing_is_performed_while_it_is_off_and_it_goes_on_when_it_is_on(runner: Runner) -> None:
    switches = runner.backend.switches
    await switches.turn(switch("program:desk"), off=True)
    for id, program in (("held", "desk"), ("free", "other")):
        await begin(runner, id, program)
    await runner.settle()
    held, free = [await head_of(runner, id) for id in ("held", "free")]
    assert (held.status, held.switch, free.status) == ("paused", "program:desk", "completed")
    assert done == ["paid 5"]
    assert held.spent.turns == 0
    await switches.turn(switch("program:desk"), off=False)
    assert await wake_held(runner) == 1
    await runner.settle()
    assert (await head_of(runner, "held")).status == "completed"
    assert done == ["paid 5"] * 2


async def test_a_sweep_leaves_alone_what_another_switch_still_holds(runner: Runner) -> None:
    switches = runner.backend.switches
    for scope in ("program:desk", "all"):
        await switches.turn(switch(scope), off=True)
    await begin(runner, "s")
    await runner.settle()
    for scope, woken in (("program:desk", 0), ("all", 1)):
        await switches.turn(switch(scope), off=False)
        assert await wake_held(runner) == woken


async def test_a_sweep_finds_every_session_however_many_there_are(runner: Runner) -> None:
    switches = runner.backend.switches
    await switches.turn(switch("tenant:default"), off=True)
    for number in range(250):
        await begin(runner, f"s{number}")
    await runner.settle()
    await switches.turn(switch("tenant:default"), off=False)
    assert await wake_held(runner) == 250


async def test_a_session_that_is_ending_ends_though_it_is_switched_off(runner: Runner, clock: ManualClock) -> None:
    await runner.backend.switches.turn(switch("all"), off=True)
    await begin(runner, "s")
    await runner.settle()
    key = session_key("default", "s")
    await runner.parts.gateway.signal(key, "cancel", {"reason": "enough"}, ANN, "k")
    await runner.settle()
    assert (await head_of(runner, "s")).status == "cancelled"
    assert done == []
