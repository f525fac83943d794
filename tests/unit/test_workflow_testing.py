"""The kit that workflows are tested with: what people do by a script, stand-ins, virtual time, and crashes."""

from __future__ import annotations

import asyncio
import cProfile
import gc
import itertools
import random
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from onward import (
    Agent,
    App,
    Approval,
    BadInput,
    Call,
    Context,
    Done,
    Injected,
    NotDone,
    NotPerformed,
    Pending,
    Refused,
    ScriptedModel,
    tool,
    workflow,
)
from onward.testing import (
    Approve,
    Cancel,
    Performed,
    Question,
    Reject,
    Respond,
    Resume,
    Send,
    Skip,
    play,
    play_async,
)


class Order(BaseModel):
    id: str
    amount: int = 5


class Receipt(BaseModel):
    order: str
    paid: int


class Bank:
    """A resource that no test is to open."""


def bank() -> Bank:
    raise AssertionError("the real one was opened")


async def fetch(id: str) -> Order:
    raise AssertionError("the real one was called")


async def charge(order: Order, amount: int, *, call: Call) -> Receipt:
    raise AssertionError("the real one was called")


async def refund(result: Receipt) -> None:
    raise AssertionError("the real one was called")


@tool(effect="irreversible", approval=Approval(timeout="1d"))
async def ship(order: str, boxes: int, *, bank: Injected[Bank]) -> str:
    """Ship an order."""
    raise AssertionError("the real one was called")


STEPS: dict[Any, Any] = {
    fetch: lambda id: Order(id=id),
    charge: lambda order, amount: Receipt(order=order.id, paid=amount),
    refund: None,
    ship: "on its way",
}


@workflow
async def sale(ctx: Context, order: Order) -> Receipt:
    found = await ctx.step(fetch, order.id, effect="read")
    receipt = await ctx.step(charge, found, order.amount, undo=refund)
    await ctx.sleep("1d")
    decision = await ctx.approval("Ship it?", timeout="2d")
    if not decision.approved:
        raise ValueError(f"not shipped: {'nobody said' if decision.expired else decision.reason}")
    return receipt


# --- how it came out -------------------------------------------------------------------------------------------


def test_a_session_is_played_to_its_end_in_no_time_and_its_output_is_typed() -> None:
    run = play(sale, Order(id="7"), steps=STEPS, approvals=Approve())
    assert run.output == Receipt(order="7", paid=5)
    assert (run.status, run.error, run.elapsed) == ("completed", None, timedelta(days=1))
    assert [event.kind for event in run.events][:2] == ["session_started", "calls_proposed"]
    assert run.state.output == {"order": "7", "paid": 5}


def test_what_was_performed_is_told_in_its_order() -> None:
    run = play(sale, Order(id="7"), steps=STEPS, approvals=Reject(reason="too far"))
    assert [each.name for each in run.performed] == ["fetch", "charge", "undo:charge"]
    (charged,) = run.calls("charge")
    assert (charged.effect, charged.attempt, charged.result) == ("compensatable", 1, {"order": "7", "paid": 5})
    assert charged.arguments == {"order": {"id": "7", "amount": 5}, "amount": 5}
    assert [each.arguments for each in run.calls("undo:charge")] == [{"result": {"order": "7", "paid": 5}}]
    assert [each.arguments for each in run.calls(refund)] == [{"result": {"order": "7", "paid": 5}}]


def test_a_session_that_did_not_complete_says_how_it_stands() -> None:
    failed = play(sale, Order(id="7"), steps=STEPS, approvals=Reject(reason="too far"))
    assert failed.error is not None
    assert failed.error.message == "ValueError: not shipped: too far"
    with pytest.raises(AssertionError, match="sale gave no output: it is failed: workflow_failed: Value"):
        _ = failed.output

    @workflow
    async def waiting(ctx: Context) -> None:
        await ctx.signal("paid", int)

    run = play(waiting)
    assert [wait.note for wait in run.waits] == ["paid"]
    with pytest.raises(AssertionError, match="waiting gave no output: it is waiting for input paid"):
        _ = run.output


def test_so_much_time_passes_and_no_more() -> None:
    run = play(sale, Order(id="7"), steps=STEPS, within="1h")
    assert (run.status, [wait.kind for wait in run.waits]) == ("waiting", ["timer"])
    with pytest.raises(BadInput, match="within: 'soon'"):
        play(sale, Order(id="7"), within="soon")


async def test_a_test_that_is_a_coroutine_awaits_it() -> None:
    run = await play_async(sale, Order(id="7"), steps=STEPS, approvals=Approve())
    assert run.output.paid == 5
    with pytest.raises(BadInput, match="await play_async"):
        play(sale, Order(id="7"))


def test_g15_a_wrong_input_is_refused() -> None:
    with pytest.raises(BadInput, match="amount"):
        play(sale, {"id": "7", "amount": "much"})
    with pytest.raises(BadInput, match=r"signals\[0\]: 'go' is no Send"):
        play(sale, Order(id="7"), signals=["go"])  # type: ignore[list-item]
    with pytest.raises(BadInput, match="approvals: 'yes' is none of Approve, Reject, Respond"):
        play(sale, Order(id="7"), steps=STEPS, approvals=["yes"])  # type: ignore[list-item]
    with pytest.raises(BadInput, match="crashes: 'some' is neither 'everywhere' nor"):
        play(sale, Order(id="7"), steps=STEPS, crashes="some")  # type: ignore[call-overload]
    with pytest.raises(BadInput, match="there is no option 'approval'; there are signals, approvals"):
        play(sale, Order(id="7"), approval=Approve())  # type: ignore[call-overload]


# --- signals ---------------------------------------------------------------------------------------------------


@workflow
async def collecting(ctx: Context) -> list[Any]:
    got: list[Any] = []
    for _ in range(2):
        try:
            got.append(await ctx.signal("paid", int, timeout="1h"))
        except TimeoutError:
            got.append("late")
    return [*got, await ctx.input(str)]


def test_inputs_are_sent_once_they_are_waited_for() -> None:
    run = play(collecting, signals=[Send("last"), Send(1, name="paid"), Send(2, name="paid")])
    assert (run.output, run.elapsed, run.unsent) == ([1, 2, "last"], timedelta(0), ())


def test_inputs_come_at_their_time_whether_they_are_waited_for_or_not() -> None:
    run = play(collecting, signals=[Send("early", after=1), Send(2, name="paid", after="90m"), Send(3, name="paid")])
    assert run.output == [3, "late", "early"]
    run = play(collecting, signals=[Send("early", after=1), Send(2, name="paid", after="90m")])
    assert run.output == ["late", 2, "early"]
    assert run.elapsed == timedelta(minutes=90)


def test_what_nobody_waited_for_is_told() -> None:
    run = play(collecting, signals=[Send(1, name="other"), *[Send("x", after=1)] * 2, Cancel(after="30m", reason="no")])
    assert run.status == "cancelled"
    assert run.error is not None
    assert run.error.message == "no"
    assert run.unsent == (Send(1, name="other"),)


def test_an_input_that_is_not_what_is_waited_for_is_refused() -> None:
    with pytest.raises(BadInput, match="content"):
        play(collecting, signals=[Send("much", name="paid")])
    with pytest.raises(BadInput, match=r"Send\.after"):
        Send(1, after="never")


def test_a_child_that_waits_is_sent_its_input() -> None:
    @workflow
    async def parent(ctx: Context) -> list[Any]:
        got: list[Any] = await ctx.run(collecting)
        return [*got, await ctx.input(str)]

    signals = [Send("first"), Send("second"), Send(1, name="paid"), Send(2, name="paid")]
    run = play(parent, signals=signals)
    assert run.output == [1, 2, "first", "second"]
    assert sorted(state.program for state in run.sessions.values()) == ["collecting", "parent"]


# --- approvals -------------------------------------------------------------------------------------------------


@workflow
async def asking(ctx: Context) -> list[Any]:
    first = await ctx.approval("First?", name="first", timeout="1h")
    second = await ctx.approval("Second?", name="second", people=2, by=["ann@x", "ben@x", "cat@x"], timeout="1h")
    third = await ctx.approval("Third?", name="third", timeout="1h")
    return [(each.approved, each.by, each.expired, each.result) for each in (first, second, third)]


def said(run: Any) -> list[Any]:
    return [bool(approved) for approved, *_ in run.output]


def test_questions_are_answered_alike() -> None:
    run = play(asking, approvals=Approve())
    assert said(run) == [True, True, True]
    assert run.output[1][1] == ["ann@x", "ben@x"] or "ann@x" in str(run.output[1][1])
    assert said(play(asking, approvals=Reject())) == [False, False, False]


def test_questions_are_answered_one_after_the_other() -> None:
    run = play(asking, approvals=[Reject(), Approve(by="cat@x"), Approve(by="ann@x"), Respond(result=7)])
    assert said(run)[:2] == [False, True]
    assert run.output[2][3] == 7


def test_questions_are_answered_by_name_and_what_is_not_answered_expires() -> None:
    run = play(asking, approvals={"first": Approve(after="59m"), "second": [Approve(), Approve()]})
    assert said(run) == [True, True, False]
    assert run.output[2][2] is True
    assert run.elapsed == timedelta(minutes=119)
    late = play(asking, approvals={"first": Approve(after="2h")})
    assert said(late) == [False, False, False]


def test_questions_are_answered_by_a_rule() -> None:
    seen: list[Question] = []

    def rule(question: Question) -> Approve | None:
        seen.append(question)
        return Approve() if question.name != "third" else None

    assert said(play(asking, approvals=rule)) == [True, True, False]
    assert [question.name for question in seen] == ["first", "second", "second", "third"]
    assert seen[0].arguments["question"] == "First?"


def test_a_rule_sees_who_may_decide_and_evidence_however_large() -> None:
    @workflow
    async def asking_for_much(ctx: Context) -> list[str]:
        asked = await ctx.approval("Enough?", evidence="x" * 100_000, by=["boss@x"], timeout="1h")
        return list(asked.by)

    def rule(question: Question) -> Approve | None:
        return Approve() if question.approvers == ("boss@x",) and len(question.arguments["evidence"]) > 64_000 else None

    assert play(asking_for_much, approvals=rule).output == ["boss@x"]


def test_who_may_not_decide_is_refused() -> None:
    with pytest.raises(Refused, match="may decide"):
        play(asking, approvals={"first": Approve(), "second": Approve(by="dan@x")})


@workflow
async def shipping(ctx: Context) -> str:
    return await ctx.step(ship, "7", 1)


def test_what_a_person_changed_is_performed() -> None:
    run = play(
        shipping,
        app=App([shipping], resources=[bank]),
        steps=STEPS,
        approvals=Approve(arguments={"order": "7", "boxes": 2}),
    )
    assert run.output == "on its way"
    assert run.calls(ship)[0].arguments == {"order": "7", "boxes": 2}


# --- outcomes --------------------------------------------------------------------------------------------------


@workflow
async def paying(ctx: Context) -> int:
    receipt = await ctx.step(charge, Order(id="7"), 3)
    return receipt.paid


def lost(order: Order, amount: int) -> Receipt:
    raise ConnectionError("no answer")


def test_a_call_in_doubt_rests_unless_somebody_knows() -> None:
    run = play(paying, steps={charge: lost})
    assert run.summary.startswith("it is waiting for operator in doubt")
    run = play(paying, steps={charge: lost}, outcomes={"charge": Done(Receipt(order="7", paid=3))})
    assert (run.output, len(run.calls("charge"))) == (3, 1)
    run = play(paying, steps={charge: lost}, outcomes=ValueError("it was refused"))
    assert run.error is not None
    assert "it was refused" in run.error.message


def test_what_did_not_happen_may_be_performed_again() -> None:
    answers: Any = iter([ConnectionError("no answer"), Receipt(order="7", paid=4)])

    def flaky(order: Order) -> Receipt:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, Receipt)
        return answer

    seen: list[Question] = []

    def outcome(question: Question) -> NotDone:
        seen.append(question)
        return NotDone()

    run = play(paying, steps={charge: flaky}, outcomes=outcome)
    assert (run.output, [each.attempt for each in run.performed]) == (4, [1, 2])
    assert [question.error for question in seen] == ["ConnectionError: no answer"]


def test_what_goes_on_outside_is_completed() -> None:
    run = play(paying, steps={charge: Pending(timeout="1h")}, outcomes={"charge": Done({"order": "7", "paid": 9})})
    assert (run.output, run.elapsed) == (9, timedelta(0))


def test_operators_make_an_undo_again_or_skip_it() -> None:
    @workflow
    async def failing(ctx: Context) -> None:
        await ctx.step(charge, Order(id="7"), 3, undo=refund)
        raise ValueError("no")

    steps = {**STEPS, refund: NotPerformed("the bank is closed")}
    run = play(failing, steps=steps)
    assert run.status == "needs_attention"
    assert run.error is not None
    assert run.error.code == "undo_failed"
    again = play(failing, steps=steps, signals=[Resume(), Resume(), Skip("undo:charge")])
    assert again.status == "failed"
    assert len(again.calls("undo:charge")) > 1
    with pytest.raises(BadInput, match="Skip: no call 'other' is open; there are: undo#2:charge"):
        play(failing, steps=steps, signals=[Skip("other")])


# --- stand-ins -------------------------------------------------------------------------------------------------


def test_a_stand_in_takes_as_many_arguments_as_it_likes() -> None:
    async def keyed(order: Order, *, call: Call) -> Receipt:
        return Receipt(order=call.idempotency_key, paid=order.amount)

    taken: list[Any] = []

    def any(*args: Any) -> Receipt:
        taken.extend(args)
        return Receipt(order="", paid=0)

    keys = [play(paying, steps={"charge": stand_in}) for stand_in in (keyed, any, lambda: Receipt(order="", paid=1))]
    assert [run.output for run in keys] == [5, 0, 1]
    assert keys[0].performed[0].result["order"] == keys[0].performed[0].key
    assert taken == [Order(id="7"), 3]


def test_a_stand_in_that_wants_more_than_there_is_is_refused() -> None:
    with pytest.raises(BadInput, match="what stands in for charge wants third, and there are 2 arguments"):
        play(paying, steps={charge: lambda order, amount, third: None})


def test_a_name_under_which_nothing_was_performed_is_an_error() -> None:
    with pytest.raises(AssertionError, match="nothing was performed under the name 'chrage'"):
        play(paying, steps={**STEPS, "chrage": 1})


def test_what_nothing_stands_in_for_is_performed() -> None:
    with pytest.raises(AssertionError, match="it is waiting for operator in doubt: tool_error: AssertionError: the"):
        _ = play(paying).output


def test_steps_of_many_tasks_are_known_by_their_own_names() -> None:
    @workflow
    async def many(ctx: Context) -> list[int]:
        receipts = await ctx.map([1, 2], lambda n: ctx.step(charge, Order(id="7"), n, undo=refund, name=f"pay-{n}"))
        return [receipt.paid for receipt in receipts]

    run = play(many, steps={charge: Receipt(order="", paid=20), "pay-1": Receipt(order="", paid=10)})
    assert run.output == [10, 20]
    assert run.performed[0].name == "map[0]/pay-1"
    assert [each.result for each in run.calls("pay-1")] == [{"order": "", "paid": 10}]


def test_agents_that_a_workflow_runs_ask_the_scripted_model() -> None:
    desk = Agent("desk", model="gemini-3", tools=[ship])

    @workflow
    async def delegating(ctx: Context) -> str:
        return str(await ctx.run(desk, "Ship 7."))

    model = ScriptedModel([{"calls": [{"tool": "ship", "arguments": {"order": "7", "boxes": 1}}]}, {"text": "Done."}])
    app = App([delegating], resources=[bank])
    run = play(delegating, app=app, model=model, steps=STEPS, approvals={"ship": Approve()})
    assert run.output == "Done."
    assert [each.name for each in run.performed] == ["ship"]
    with pytest.raises(BadInput, match="app: it has no sale of version 1"):
        play(sale, Order(id="7"), app=app)


def test_resources_are_opened_for_what_is_performed_and_closed_with_its_process() -> None:
    opened, closed = [], []

    async def lent() -> AsyncIterator[Bank]:
        opened.append(Bank())
        yield opened[-1]
        closed.append(opened[-1])

    @tool(effect="idempotent")
    def read_bank(*, bank: Injected[Bank]) -> str:
        """Read."""
        return type(bank).__name__

    @workflow
    async def reading(ctx: Context) -> list[str]:
        return [await ctx.step(read_bank), await ctx.step(read_bank)]

    app = App([reading], resources=[lent])
    assert play(reading, app=app).output == ["Bank", "Bank"]
    assert opened == closed
    play(reading, app=app, crashes="everywhere")
    assert opened == closed
    assert len(opened) > 10
    opened.clear()
    play(reading, app=app, steps={read_bank: "stood in for"})
    assert not opened


def test_an_agent_is_played_too() -> None:
    model = ScriptedModel([{"text": "Which?"}, {"text": "Thanks."}])
    desk = Agent("desk", model=model, conversation=True)
    run = play(desk, "hello", signals=[Send("the first")])
    assert [entry.value for entry in run.state.transcript if entry.kind == "input"] == ["hello", "the first"]
    assert run.status == "waiting"


# --- always replay ---------------------------------------------------------------------------------------------


@workflow
async def chancy(ctx: Context) -> int:
    await ctx.sleep("1h")
    return random.randrange(3)


def test_what_is_not_repeatable_fails_the_test_with_its_line() -> None:
    with pytest.raises(AssertionError, match=r"chancy is not repeatable:\n.*test_workflow_testing.py:\d+: random"):
        play(chancy)
    assert play(chancy, always_replay=False).output in range(3)


def test_a_profiler_has_what_always_replay_needs() -> None:
    profiler = cProfile.Profile()
    profiler.enable()
    expected: tuple[Any, str] = (Refused, "a profiler has it")
    if sys.getprofile() is None:  # in later releases of Python it has a hook of its own
        expected = (AssertionError, "is not repeatable")
    try:
        with pytest.raises(expected[0], match=expected[1]):
            play(chancy)
        assert play(chancy, always_replay=False).status == "completed"
    finally:
        profiler.disable()


# --- crashes ---------------------------------------------------------------------------------------------------


def test_a_workflow_comes_to_the_same_wherever_it_crashes() -> None:
    plays = itertools.count()
    options: Any = {"steps": STEPS, "approvals": Approve(), "crashes": "everywhere", "before": lambda: next(plays)}
    run = play(sale, Order(id="7"), **options)
    assert run.output.paid == 5
    assert next(plays) > 30, "once for each boundary"


def test_what_is_in_doubt_after_a_crash_is_settled_by_what_was_seen() -> None:
    runs = [play(sale, Order(id="7"), steps=STEPS, approvals=Approve(), crashes=at) for at in range(1, 42)]
    doubted = [run for run in runs if any(event.kind == "call_in_doubt" for event in run.events)]
    assert {run.output.paid for run in runs} == {5}
    assert {len(run.calls("charge")) for run in runs} == {1}
    assert len(doubted) > 1
    assert max(len(run.calls(fetch)) for run in runs) == 2, "what only reads is done again"


def test_g6_a_failing_workflow_is_taken_back_once_wherever_it_crashes() -> None:
    run = play(sale, Order(id="7"), steps=STEPS, approvals=Reject(), crashes="everywhere")
    assert len(run.calls("undo:charge")) == 1


def test_children_signals_and_agents_come_to_the_same_too() -> None:
    desk = Agent("desk", model="gemini-3")

    @workflow
    async def parent(ctx: Context) -> list[Any]:
        got: list[Any] = await ctx.run(collecting)
        return [*got, await ctx.run(desk, "hello"), await ctx.signal("go")]

    signals = [Send(1, name="paid"), Send(2, name="go", after="30m"), Send("x")]
    run = play(parent, signals=signals, model=ScriptedModel([{"text": "hi"}]), crashes="everywhere")
    assert run.output == [1, "late", "x", "hi", 2]


def test_steps_side_by_side_come_to_the_same_and_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    @workflow
    async def wide(ctx: Context) -> list[int]:
        return await ctx.map(range(4), lambda number: ctx.step(double, number, effect="idempotent"))

    run = play(wide, crashes="everywhere")
    gc.collect()
    assert run.output == [0, 2, 4, 6]
    assert not [said for said in caplog.messages if "never retrieved" in said]


async def double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


async def test_crashes_leave_the_tasks_of_others_alone() -> None:
    others = asyncio.create_task(asyncio.Event().wait())
    factory = asyncio.get_running_loop().get_task_factory()
    run = await play_async(sale, Order(id="7"), steps=STEPS, approvals=Approve(), crashes="everywhere")
    assert (run.output.paid, others.done()) == (5, False)
    assert asyncio.get_running_loop().get_task_factory() is factory
    others.cancel()


def test_where_a_crash_makes_a_difference_it_is_named() -> None:
    numbers = itertools.count()

    def back() -> None:
        nonlocal numbers
        numbers = itertools.count()

    async def count(id: str) -> int:
        return next(numbers)

    @workflow
    async def counting(ctx: Context) -> list[int]:
        return [await ctx.step(count, id, effect="read") for id in "ab"]

    expected = r"after a crash behind call (\d+) \(tool.invoke\): output: \[1, 2\], and undisturbed: \[0, 1\]"
    with pytest.raises(AssertionError, match=expected) as told:
        play(counting, crashes="everywhere", before=back)
    number = int(str(told.value).split("behind call ")[1].split(" ")[0])
    assert play(counting, crashes=number, before=back).output == [1, 2]
    assert play(counting, crashes="everywhere", before=back, same=lambda run: len(run.output)).output == [0, 1]
    with pytest.raises(AssertionError, match="without any crash: output"):
        play(counting, crashes="everywhere")


def test_a_crash_that_is_not_reached_is_an_error() -> None:
    with pytest.raises(BadInput, match=r"crashes: 10000 is none of the \d+ calls"):
        play(paying, steps=STEPS, crashes=10000)


def test_two_attempts_are_two_records() -> None:
    tries = itertools.count()

    def flaky(id: str) -> Order:
        if not next(tries):
            raise ConnectionError("no answer")
        return Order(id=id)

    run = play(sale, Order(id="7"), steps={**STEPS, fetch: flaky}, approvals=Approve())
    found: list[Performed] = run.calls(fetch)
    assert [(each.attempt, each.happened) for each in found] == [(1, None), (2, True)]
    assert len({each.key for each in found}) == 1
