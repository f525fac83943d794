"""Gates: slots, the line before them, and the breaker; and what becomes of calls that don't get through."""

import asyncio
import threading
from typing import Any

import pytest

from onward import Agent, App, Breaker, NotPerformed, ScriptedModel, tool
from onward.core.bounds import Bounds
from onward.engine.gates import PATIENCE, Gates, Postponed, Slot
from onward.errors import BadInput
from onward.programs.tools import Tool
from onward.testing.clock import ManualClock
from onward.testing.runner import Runner
from onward.wiring import Policy


def bounded(concurrency: int | None = None, breaker: Breaker | None = None) -> Tool[..., Any]:
    @tool(effect="read", concurrency=concurrency, breaker=breaker)
    async def look(number: int = 0) -> int:
        """Look."""
        return number

    return look


async def entered(gates: Gates, tool: Tool[..., Any]) -> Slot:
    slot = await gates.enter(tool)
    assert isinstance(slot, Slot)
    return slot


async def failed(gates: Gates, tool: Tool[..., Any], times: int = 1, ok: bool = False) -> None:
    for _ in range(times):
        slot = await entered(gates, tool)
        slot.judge(ok)
        slot.leave()


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


# --- declaring -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"concurrency": 0}, "tool look: concurrency 0 is no whole number from 1"),
        ({"concurrency": True}, "tool look: concurrency True is no"),
        ({"concurrency": "4"}, "tool look: concurrency '4' is no"),
        ({"breaker": 5}, "tool look: breaker must be a Breaker"),
    ],
)
def test_wrong_bounds_are_refused(options: dict[str, Any], says: str) -> None:
    def look() -> None:
        """Look."""

    with pytest.raises(BadInput, match=says):
        tool(**options)(look)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"failures": 0}, "Breaker.failures: 0 is no whole number from 1"),
        ({"failures": True}, "Breaker.failures: True"),
        ({"cooldown": "soon"}, "Breaker.cooldown: 'soon' is not a time span"),
        ({"cooldown": 0}, "Breaker.cooldown: 0 is not a time span"),
    ],
)
def test_a_wrong_breaker_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        Breaker(**options)


def test_tools_of_one_name_have_bounds_of_their_own() -> None:
    assert bounded(1).bounds != bounded(1).bounds
    assert Bounds("a") != Bounds("a")


# --- slots -----------------------------------------------------------------------------------------------------


async def test_no_more_enter_than_there_are_slots_and_they_enter_in_order() -> None:
    gates, look, order = Gates(ManualClock()), bounded(2), list[int]()
    first, second = await entered(gates, look), await entered(gates, look)

    async def wait(number: int) -> Slot:
        slot = await entered(gates, look)
        order.append(number)
        return slot

    tasks = [asyncio.create_task(wait(number)) for number in range(3)]
    await turns()
    assert order == []
    first.leave()
    await turns()
    assert order == [0]
    second.leave()
    (await tasks[0]).leave()
    await turns()
    assert order == [0, 1, 2]
    (await tasks[1]).leave()
    (await tasks[2]).leave()
    assert isinstance(await gates.enter(look), Slot)


async def test_who_waits_too_long_is_postponed_and_takes_no_slot() -> None:
    clock, look = ManualClock(), bounded(1)
    gates = Gates(clock)
    only = await entered(gates, look)
    waiting = asyncio.create_task(gates.enter(look))
    await turns()
    clock.advance(PATIENCE)
    answer = await waiting
    assert isinstance(answer, Postponed)
    assert (answer.after, answer.error.code) == (5.0, "at_limit")
    assert answer.error.message == "1 calls of look run here already"
    only.leave()
    (await entered(gates, look)).leave()


async def test_the_longer_the_line_the_later_it_is_tried_again() -> None:
    clock, look = ManualClock(), bounded(1)
    gates = Gates(clock)
    await entered(gates, look)
    early = asyncio.create_task(gates.enter(look))
    await turns()
    clock.advance(PATIENCE / 2)
    late = [asyncio.create_task(gates.enter(look)) for _ in range(3)]
    await turns()
    clock.advance(PATIENCE / 2)
    answer = await early
    assert isinstance(answer, Postponed)
    assert answer.after == 20.0
    for task in late:
        task.cancel()


async def test_who_is_interrupted_in_line_holds_nobody_up() -> None:
    gates, look = Gates(ManualClock()), bounded(1)
    only = await entered(gates, look)
    gone, next_one = (asyncio.create_task(gates.enter(look)) for _ in range(2))
    await turns()
    gone.cancel()
    await turns()
    only.leave()
    assert isinstance(await next_one, Slot)


async def test_a_slot_handed_to_one_who_is_interrupted_goes_to_the_next() -> None:
    gates, look = Gates(ManualClock()), bounded(1)
    only = await entered(gates, look)
    gone, next_one = (asyncio.create_task(gates.enter(look)) for _ in range(2))
    await turns()
    only.leave()
    gone.cancel()
    assert isinstance(await next_one, Slot)
    assert gone.cancelled()


async def test_leaving_twice_frees_one_slot() -> None:
    clock, look = ManualClock(), bounded(1)
    gates = Gates(clock)
    first = await entered(gates, look)
    first.leave()
    first.leave()
    await entered(gates, look)
    waiting = asyncio.create_task(gates.enter(look))
    await turns()
    clock.advance(PATIENCE)
    assert isinstance(await waiting, Postponed)


async def test_a_tool_without_bounds_has_no_gate() -> None:
    slot = await entered(Gates(ManualClock()), bounded())
    assert not slot.counts
    slot.judge(False)
    slot.drop()


# --- the breaker -----------------------------------------------------------------------------------------------


async def test_after_failures_in_a_row_none_is_tried_until_one_trial_succeeds() -> None:
    clock, look = ManualClock(), bounded(breaker=Breaker(failures=3, cooldown="30s"))
    gates = Gates(clock)
    await failed(gates, look, 3)
    answer = await gates.enter(look)
    assert isinstance(answer, Postponed)
    assert (answer.after, answer.error.code) == (30.0, "breaker_open")
    assert answer.error.message == "look failed 3 times in a row: it pauses"
    clock.advance(30)
    trial = await entered(gates, look)
    other = await gates.enter(look)
    assert isinstance(other, Postponed), "one trial at a time"
    trial.judge(True)
    trial.leave()
    await failed(gates, look, 2)
    assert isinstance(await gates.enter(look), Slot), "it counts from nothing again"


async def test_a_trial_that_fails_begins_the_pause_anew() -> None:
    clock, look = ManualClock(), bounded(breaker=Breaker(failures=1, cooldown=10))
    gates = Gates(clock)
    await failed(gates, look)
    clock.advance(10)
    await failed(gates, look)
    clock.advance(9)
    answer = await gates.enter(look)
    assert isinstance(answer, Postponed)
    assert answer.after == 1.0
    clock.advance(1)
    assert isinstance(await gates.enter(look), Slot)


async def test_a_trial_that_is_interrupted_leaves_room_for_another() -> None:
    clock, look = ManualClock(), bounded(breaker=Breaker(failures=1, cooldown=10))
    gates = Gates(clock)
    await failed(gates, look)
    clock.advance(10)
    (await entered(gates, look)).drop()
    assert isinstance(await gates.enter(look), Slot)


async def test_the_longer_a_trial_runs_the_later_it_is_asked_for_again() -> None:
    """A call that waits is one event each time."""
    clock, look = ManualClock(), bounded(breaker=Breaker(failures=1, cooldown=1))
    gates, delays = Gates(clock), list[float]()
    await failed(gates, look)
    clock.advance(1)
    trial = await entered(gates, look)
    for _ in range(9):
        answer = await gates.enter(look)
        assert isinstance(answer, Postponed)
        delays.append(answer.after)
        clock.advance(answer.after)
    assert delays == [1, 1, 2, 4, 8, 16, 32, 60, 60]
    trial.drop()
    (await entered(gates, look)).judge(False)
    answer = await gates.enter(look)
    assert isinstance(answer, Postponed)
    assert answer.after == 1, "another trial, another time"


async def test_a_success_ends_the_row() -> None:
    gates, look = Gates(ManualClock()), bounded(breaker=Breaker(failures=2))
    await failed(gates, look)
    await failed(gates, look, ok=True)
    await failed(gates, look)
    assert isinstance(await gates.enter(look), Slot)


async def test_what_was_begun_before_the_pause_does_not_end_it() -> None:
    gates, look = Gates(ManualClock()), bounded(breaker=Breaker(failures=1))
    before = await entered(gates, look)
    await failed(gates, look)
    before.judge(True)
    before.leave()
    assert isinstance(await gates.enter(look), Postponed)


async def test_a_breaker_that_opens_meanwhile_stops_those_in_line() -> None:
    gates, look = Gates(ManualClock()), bounded(1, Breaker(failures=1))
    only = await entered(gates, look)
    waiting = asyncio.create_task(gates.enter(look))
    await turns()
    only.judge(False)
    only.leave()
    answer = await waiting
    assert isinstance(answer, Postponed)
    assert answer.error.code == "breaker_open"


# --- in the engine ---------------------------------------------------------------------------------------------


def calls(name: str, count: int) -> dict[str, Any]:
    return {"calls": [{"tool": name, "arguments": {"number": number}} for number in range(count)]}


async def started(tools: list[Tool[..., Any]], *script: dict[str, Any]) -> Runner:
    model = ScriptedModel([*script, {"text": "done"}])
    app = App(programs=[Agent("desk", model=model, tools=tools)])
    runner = Runner(app, policy=Policy(steps_per_wake=100))
    from onward.core.events import Actor
    from onward.engine.gateway import Start

    await runner.parts.gateway.start(Start("s1", "desk", "1", "go"), Actor(kind="person", name="ada"))
    return runner


async def kinds(runner: Runner) -> list[str]:
    from onward.core.ids import session_key

    commits = await runner.backend.store.commits(session_key("default", "s1"))
    return [event.kind for commit in commits for event in runner.parts.loader.events(commit)]


async def test_calls_of_one_turn_never_run_more_at_once_than_the_limit() -> None:
    running, most = 0, 0

    @tool(effect="read", concurrency=2)
    async def look(number: int) -> int:
        """Look."""
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return number

    runner = await started([look], calls("look", 7))
    await runner.finish()
    state = await runner.state("s1")
    assert state.ended == "completed"
    assert most == 2
    assert sorted(entry.value for entry in state.transcript if entry.kind == "result") == list(range(7))
    assert state.spent.calls == 7, "waiting is no attempt"


async def test_a_postponed_read_is_tried_again_when_the_pause_is_over() -> None:
    made = 0

    @tool(effect="read", retry=9, breaker=Breaker(failures=2, cooldown="1h"))
    async def look(number: int) -> int:
        """Look."""
        nonlocal made
        made += 1
        if made <= 2:
            raise ConnectionError("down")
        return number

    runner = await started([look], calls("look", 1))
    begun = runner.clock.now()
    await runner.finish()
    state, seen = await runner.state("s1"), await kinds(runner)
    assert (state.ended, made) == ("completed", 3)
    assert [kind for kind in seen if kind.startswith("call_")] == [
        "call_failed",
        "call_failed",
        "call_postponed",
        "call_completed",
    ]
    assert state.spent.calls == 3
    assert (runner.clock.now() - begun).total_seconds() >= 3600


async def test_g6_an_irreversible_call_that_is_postponed_was_not_started() -> None:
    made: list[int] = []

    @tool(breaker=Breaker(failures=1, cooldown="1h"))
    async def pay(number: int) -> int:
        """Pay."""
        made.append(number)
        if number == 0:
            raise ConnectionError("lost")
        return number

    @pay.reconcile
    async def paid(number: int) -> Any:
        from onward import Done

        return Done(number)

    runner = await started([pay], calls("pay", 2))
    await runner.settle()
    seen = await kinds(runner)
    assert made == [0]
    assert seen.count("call_started") == 1
    assert seen[-1] == "call_postponed" or "call_postponed" in seen[seen.index("call_in_doubt") :]
    await runner.finish()
    assert made == [0, 1]
    assert (await runner.state("s1")).ended == "completed"


async def test_a_tool_that_says_no_works() -> None:
    made = 0

    @tool(effect="read", breaker=Breaker(failures=1))
    async def look(number: int) -> int:
        """Look."""
        nonlocal made
        made += 1
        raise NotPerformed("no")

    runner = await started([look], calls("look", 1), calls("look", 1))
    await runner.finish()
    assert made == 2
    assert "call_postponed" not in await kinds(runner)


async def test_an_irreversible_call_past_its_time_has_failed_and_keeps_its_slot_until_it_ends() -> None:
    go_on, here = asyncio.Event(), Breaker(failures=2, cooldown="1h")

    @tool(concurrency=1, timeout=0.05, breaker=here)
    async def pay(number: int) -> int:
        """Pay."""
        await go_on.wait()
        return number

    runner = await started([pay], calls("pay", 2))
    await runner.settle()
    seen = await kinds(runner)
    assert [kind for kind in seen if kind.startswith("call_")] == [
        "call_started",
        "call_in_doubt",
        "call_reconciled",
        "call_postponed",
    ]
    gate = next(iter(runner.parts.performing.admission._gates._gates.values()))
    assert (gate.running, gate.failures) == (1, 1)
    go_on.set()
    await runner.parts.performing.close()
    assert (gate.running, gate.failures) == (0, 1), "what it says late is no second verdict"


async def test_a_call_that_is_interrupted_gives_its_place_back() -> None:
    entered = asyncio.Event()

    @tool(effect="read", concurrency=1, breaker=Breaker(failures=1))
    async def look(number: int) -> int:
        """Look."""
        entered.set()
        await asyncio.Event().wait()
        return number

    runner = await started([look], calls("look", 1))
    working = asyncio.create_task(runner.settle())
    await entered.wait()
    gate = next(iter(runner.parts.performing.admission._gates._gates.values()))
    assert gate.running == 1
    runner.parts.performing.stop()
    await turns()
    working.cancel()
    await asyncio.wait({working})
    assert (gate.running, gate.failures, runner.parts.performing.admission._admitted) == (0, 0, {})


async def test_a_thread_that_runs_past_its_time_keeps_its_slot() -> None:
    go_on, made = threading.Event(), list[int]()

    @tool(effect="read", concurrency=1, timeout=0.05, retry=1)
    def look(number: int) -> int:
        """Look."""
        made.append(number)
        go_on.wait(10)
        return number

    runner = await started([look], calls("look", 1), calls("look", 1))
    await runner.settle()
    seen = await kinds(runner)
    assert seen[-1] == "call_postponed", "its first call timed out, and still runs"
    assert made == [0]
    go_on.set()
    await runner.parts.performing.close()
    gates = runner.parts.performing.admission._gates
    for _ in range(1000):
        await asyncio.sleep(0.001)
        if not next(iter(gates._gates.values())).running:
            break
    else:
        raise AssertionError("the slot was never left")
