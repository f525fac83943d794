"""What a workflow's body gets of what it asks for, and how its session goes on."""

from __future__ import annotations

import asyncio
import gc
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from onward import (
    App,
    Approval,
    BadInput,
    Call,
    ChildFailed,
    Context,
    NotPerformed,
    Refused,
    StepFailed,
    tool,
    workflow,
)
from tests.unit.flows import DONE, Flow, nothing_done  # noqa: F401


class Profile(BaseModel):
    name: str
    born: datetime


@dataclass
class Order:
    id: str
    amount: int


async def double(n: int) -> int:
    DONE.append(n)
    return 2 * n


def blocking(n: int) -> int:
    DONE.append(n)
    return n


async def failing() -> None:
    DONE.append("failing")
    raise ValueError("it is broken")


async def find(name: str) -> Profile:
    return Profile(name=name, born=datetime(2000, 1, 1, tzinfo=UTC))


# --- steps -----------------------------------------------------------------------------------------------------


async def test_a_step_is_performed_once_and_its_result_typed() -> None:
    @workflow
    async def flow(ctx: Context, order: Order) -> dict[str, Any]:
        profile = await ctx.step(find, order.id, effect="read")
        assert isinstance(order, Order)
        assert isinstance(profile, Profile)
        return {"year": profile.born.year, "sync": await ctx.step(blocking, order.amount, effect="idempotent")}

    play = Flow(flow)
    state = await play.start({"id": "7", "amount": 3})
    assert (state.ended, state.output) == ("completed", {"year": 2000, "sync": 3})
    assert await play.names() == ["find", "blocking"]
    assert DONE == [3]


async def test_a_step_has_the_idempotency_key_of_its_call() -> None:
    async def keyed(n: int, *, call: Call) -> str:
        return f"{call.idempotency_key} {call.attempt}"

    @workflow
    async def flow(ctx: Context) -> list[str]:
        return [await ctx.step(keyed, 1, effect="read"), await ctx.step(keyed, 1, effect="read")]

    state = await Flow(flow).start()
    assert state.output == ["s1/2.0 1", "s1/4.0 1"]


async def test_g6_an_undeclared_step_is_irreversible_and_in_doubt_where_it_raises() -> None:
    @workflow
    async def flow(ctx: Context) -> None:
        await ctx.step(failing)

    play = Flow(flow)
    state = await play.start()
    (call,) = state.calls.values()
    assert (call.effect, call.status) == ("irreversible", "person")
    assert (await play.head()).waits[0].kind == "operator"
    state = await play.signal("outcome", {"call": call.id, "status": "done", "result": None})
    assert (state.ended, DONE) == ("completed", ["failing"])


async def test_g7_what_may_be_repeated_is_tried_again_and_then_fails_in_the_body() -> None:
    @workflow
    async def flow(ctx: Context) -> str:
        try:
            await ctx.step(failing, effect="read", retry=2)
        except StepFailed as exc:
            return f"{exc.name} {exc.code}"
        return "not reached"

    state = await Flow(flow).start()
    assert state.ended is None
    play = Flow(flow)
    await play.start()
    state = await play.finish()
    assert (state.output, DONE) == ("failing tool_error", ["failing"] * 3)


async def test_what_certainly_did_not_happen_fails_at_once() -> None:
    async def sold_out() -> None:
        raise NotPerformed("sold out")

    @workflow
    async def flow(ctx: Context) -> None:
        await ctx.step(sold_out)

    state = await Flow(flow).start()
    assert (state.ended, state.error and state.error.code) == ("failed", "not_performed")
    assert state.error is not None
    assert "sold_out: " in state.error.message


async def test_arguments_that_do_not_fit_are_refused_where_they_are_given() -> None:
    @workflow
    async def flow(ctx: Context) -> list[str]:
        said = []
        for wrong in ([{"n": "x"}, ()], [{}, (1, 2)], [{"m": 1}, (1,)], [{}, (object(),)]):
            with pytest.raises(BadInput) as caught:
                await ctx.step(double, *wrong[1], effect="read", **wrong[0])
            said.append(str(caught.value))
        with pytest.raises(BadInput, match="give name="):
            await ctx.step(lambda: 1, effect="read")
        with pytest.raises(BadInput, match="double: retry must be a Retry, or a number of attempts from 1"):
            await ctx.step(double, 1, retry=0)
        with pytest.raises(BadInput, match="step double: effect 'reed' is none of read"):
            await ctx.step(double, 1, effect="reed")  # type: ignore[call-overload] # what is tested
        with pytest.raises(BadInput, match=r"step: 4 is no function: write ctx\.step\(function, argument, \.\.\.\)"):
            await ctx.step(4, effect="read")  # type: ignore[call-overload] # what is tested
        return said

    state = await Flow(flow).start()
    said = state.output
    assert ["n" in said[0], "takes 1 arguments, and was given 2" in said[1], "m" in said[2]] == [True] * 3
    assert "can't be written as JSON" in said[3]
    assert DONE == []


async def test_a_tool_is_a_step_with_its_own_effect_approval_and_edits() -> None:
    @tool(effect="irreversible", approval=Approval(when=lambda args: args.amount > 5, rule="much money"))
    async def pay(to: str, amount: int) -> str:
        """Pay."""
        DONE.append(amount)
        return f"{amount} to {to}"

    @workflow
    async def flow(ctx: Context) -> list[str]:
        return [await ctx.step(pay, "ann", 5), await ctx.step(pay, to="ben", amount=6)]

    play = Flow(flow)
    state = await play.start()
    (call,) = state.calls.values()
    assert (call.status, call.rule, DONE) == ("asked", "much money", [5])
    state = await play.decide("approved", arguments={"to": "ben", "amount": 7})
    assert (state.output, DONE) == (["5 to ann", "7 to ben"], [5, 7])


async def test_a_step_that_is_not_approved_fails_in_the_body() -> None:
    @tool(effect="irreversible", approval=Approval())
    async def pay(amount: int) -> None:
        """Pay."""

    @workflow
    async def flow(ctx: Context) -> str:
        try:
            await ctx.step(pay, 1)
        except StepFailed as exc:
            return f"{exc.code}: {exc}"
        return "paid"

    play = Flow(flow)
    await play.start()
    assert (await play.decide("rejected", reason="too dear")).output == "rejected: pay: too dear"


# --- time ------------------------------------------------------------------------------------------------------


async def test_time_passes_without_anything_running() -> None:
    @workflow
    async def flow(ctx: Context) -> list[str]:
        began = ctx.now()
        await ctx.sleep("1d")
        slept = ctx.now() - began
        await ctx.sleep_until(began + timedelta(days=2))
        await asyncio.sleep(30)
        for none in (0, -1.5, timedelta(), began - ctx.now()):
            await ctx.sleep(none)
        for wrong in ("0s", "soon", True, float("nan")):
            with pytest.raises(BadInput, match="sleep"):
                await ctx.sleep(wrong)
        return [str(slept), str(ctx.now() - began)]

    play = Flow(flow)
    await play.start()
    (wait,) = (await play.head()).waits
    assert (wait.kind, wait.tool) == ("timer", "sleep")
    assert (await play.finish()).output == ["1 day, 0:00:00", "2 days, 0:00:30"]


async def test_asyncio_waits_as_it_does_elsewhere() -> None:
    @workflow
    async def flow(ctx: Context) -> list[Any]:
        both = await asyncio.gather(ctx.step(double, 1, effect="read"), ctx.step(double, 2, effect="read"))
        async with asyncio.TaskGroup() as group:
            one = group.create_task(ctx.step(double, 3, effect="read"))
            two = group.create_task(ctx.step(double, 4, effect="read"))
        try:
            await asyncio.wait_for(ctx.signal("never"), 60)
        except TimeoutError:
            late = True
        async with asyncio.timeout(60):
            five = await ctx.step(double, 5, effect="read")
        return [*both, one.result(), two.result(), late, five]

    play = Flow(flow)
    await play.start()
    state = await play.finish()
    assert (state.ended, state.output, state.calls, state.timers) == ("completed", [2, 4, 6, 8, True, 10], {}, {})
    assert await play.names() == ["double", "double#2", "double#3", "double#4", "timer", "never", "timer#2", "double#5"]


async def test_tasks_count_their_names_for_themselves() -> None:
    async def branch(ctx: Context, n: int) -> int:
        await ctx.sleep(timedelta(minutes=10 - n))
        return await ctx.step(double, n, effect="read")

    @workflow
    async def flow(ctx: Context) -> list[int]:
        three = asyncio.create_task(branch(ctx, 3), name="whatever")
        return [*await asyncio.gather(branch(ctx, 1), branch(ctx, 2)), await three]

    play = Flow(flow)
    await play.start()
    assert (await play.finish()).output == [2, 4, 6]
    slept = ["branch/sleep", "branch#2/sleep", "branch#3/sleep"]
    assert await play.names() == [*slept, "branch/double", "branch#3/double", "branch#2/double"]


@pytest.mark.filterwarnings("ignore::onward.WorkflowCaution")
async def test_names_are_the_same_in_every_release_of_python() -> None:
    """Some releases make a task in `wait_for`, others await what they are given."""

    async def branch(ctx: Context) -> int:
        return await ctx.step(double, 1, effect="read")

    @workflow
    async def flow(ctx: Context) -> list[int]:
        return [await asyncio.wait_for(branch(ctx), 60), await asyncio.wait_for(branch(ctx), None)]

    play = Flow(flow)
    assert (await play.start()).output == [2, 2]
    assert await play.names() == ["timer", "double", "double#2"]


@pytest.mark.filterwarnings("ignore::onward.programs.cautions.WorkflowCaution")
async def test_threads_and_sockets_are_refused() -> None:
    @workflow
    async def flow(ctx: Context) -> list[str]:
        said = []
        for wrong in (asyncio.to_thread(print), asyncio.open_connection("localhost", 80)):
            with pytest.raises(BadInput) as caught:
                await wrong
            said.append(str(caught.value))
        return said

    state = await Flow(flow).start()
    assert ["threads" in state.output[0], "connections" in state.output[1]] == [True, True]


# --- people and inputs -------------------------------------------------------------------------------------------


async def test_g8_people_are_asked_and_their_decision_is_the_result() -> None:
    @workflow
    async def flow(ctx: Context) -> list[Any]:
        one = await ctx.approval("Publish?", evidence={"n": 1}, timeout="2d")
        two = await ctx.approval("Really?", timeout="1h")
        three = await ctx.approval("Which?", timeout="1h")
        return [[d.approved, list(d.by), d.reason, d.expired, d.result] for d in (one, two, three)]

    play = Flow(flow)
    await play.start()
    (asked,) = await play.bodies("approval_requested")
    assert asked.arguments == {"question": "Publish?", "evidence": {"n": 1}}
    await play.decide("approved", reason="fine")
    await play.wait(3600)
    state = await play.decide("responded", result="the red one")
    assert state.output == [
        [True, ["ann@example.com"], "fine", False, None],
        [False, [], "", True, None],
        [False, ["ann@example.com"], "", False, "the red one"],
    ]


async def test_signals_are_kept_until_they_are_waited_for_and_a_late_one_is_the_next_waits() -> None:
    @workflow
    async def flow(ctx: Context) -> list[Any]:
        got: list[Any] = [await ctx.input(int)]
        got += [await ctx.signal("paid", int)]
        try:
            await ctx.signal("paid", int, timeout="1h")
        except TimeoutError:
            got.append("late")
        await ctx.sleep("1h")
        return [*got, await ctx.signal("paid", int)]

    play = Flow(flow)
    await play.start()
    await play.send(10, "paid")
    await play.send(1)
    await play.wait(3700)
    await play.send(20, "paid")
    state = await play.finish()
    assert state.output == [1, 10, "late", 20]


async def test_g15_an_input_that_is_not_what_is_waited_for_is_refused_and_changes_nothing() -> None:
    @workflow
    async def flow(ctx: Context) -> str:
        order = await ctx.signal("order", Order)
        return order.id

    play = Flow(flow)
    await play.start()
    with pytest.raises(BadInput, match="amount"):
        await play.send({"id": "7", "amount": "many"}, "order")
    assert (await play.send({"id": "7", "amount": 3}, "order")).output == "7"


async def test_an_early_input_that_is_not_what_is_waited_for_is_passed_over() -> None:
    @workflow
    async def flow(ctx: Context) -> int:
        await ctx.sleep("1h")
        return await ctx.input(int)

    play = Flow(flow)
    await play.start()
    await play.send("no number")
    await play.send(7)
    assert (await play.finish()).output == 7


async def test_a_wait_shows_what_it_is_for() -> None:
    @workflow
    async def flow(ctx: Context) -> None:
        await asyncio.gather(ctx.signal("paid", int, timeout="2h"), ctx.sleep("1h"))

    play = Flow(flow)
    await play.start()
    waits = (await play.head()).waits
    assert [(wait.kind, wait.note) for wait in waits] == [("input", "paid"), ("timer", "asleep")]


async def test_the_first_of_a_signal_and_a_timer_wins_and_the_other_is_left() -> None:
    @workflow
    async def flow(ctx: Context) -> str:
        paid, slept = asyncio.ensure_future(ctx.signal("paid")), asyncio.ensure_future(ctx.sleep("1h"))
        done, rest = await asyncio.wait({paid, slept}, return_when=asyncio.FIRST_COMPLETED)
        for task in rest:
            task.cancel()
        return "paid" if paid in done else "slept"

    play = Flow(flow)
    await play.start()
    state = await play.send(1, "paid")
    assert (state.output, state.timers) == ("paid", {})
    (left,) = await play.bodies("call_refused")
    assert left.error.code in ("left", "workflow_ended")


# --- other sessions ----------------------------------------------------------------------------------------------


async def test_a_child_is_a_session_of_its_own() -> None:
    @workflow
    async def child(ctx: Context, n: int) -> int:
        if n < 0:
            raise ValueError("negative")
        await ctx.sleep("1h")
        return n + 1

    @workflow
    async def flow(ctx: Context) -> list[Any]:
        found: list[Any] = [await ctx.run(child, 1)]
        try:
            await ctx.run(child, -1)
        except ChildFailed as exc:
            found.append(str(exc))
        id = await ctx.start(child, 5)
        return [*found, id]

    play = Flow(flow, child)
    await play.start(program="flow")
    state = await play.finish()
    assert state.output[:2] == [2, "child#2: ValueError: negative"]
    started = await play.runner.state(state.output[2])
    assert (started.ended, started.output) == ("completed", 6)


async def test_a_child_that_is_not_wanted_any_more_is_cancelled() -> None:
    @workflow
    async def child(ctx: Context) -> None:
        await ctx.sleep("9d")

    @workflow
    async def flow(ctx: Context) -> str:
        try:
            async with asyncio.timeout(60):
                await ctx.run(child)
        except TimeoutError:
            return "late"
        return "?"

    play = Flow(flow, child)
    await play.start(program="flow")
    state = await play.finish()
    assert state.output == "late"
    assert (await play.runner.state("s1:2.1")).ended == "cancelled"


async def test_programs_that_a_body_names_belong_to_the_application() -> None:
    @workflow
    async def child(ctx: Context) -> None: ...

    @workflow
    async def flow(ctx: Context) -> None:
        await ctx.run(child)

    assert list(App([flow]).programs) == [("child", "1"), ("flow", "1")]


# --- many at once ------------------------------------------------------------------------------------------------


async def test_items_run_so_many_at_once_and_come_out_in_their_order() -> None:
    @workflow
    async def flow(ctx: Context) -> list[int]:
        async def one(n: int) -> int:
            await ctx.sleep(timedelta(minutes=5 - n))
            return await ctx.step(double, n, effect="read")

        return await ctx.map(range(4), one, concurrency=2)

    play = Flow(flow)
    state = await play.start()
    assert len(state.calls) == 2
    assert (await play.finish()).output == [0, 2, 4, 6]
    assert "map[3]/double" in await play.names()


async def test_the_first_failure_ends_the_others_unless_so_many_are_tolerated() -> None:
    async def odd(n: int) -> int:
        if n % 2:
            raise NotPerformed(f"{n} is odd")
        return n

    @workflow
    async def flow(ctx: Context) -> list[Any]:
        said: list[Any] = []
        settled = await ctx.map_settled(range(4), lambda n: ctx.step(odd, n, effect="read"), tolerate=2)
        said.append([each.value if each.ok else str(each.error) for each in settled])
        for wrong in (
            ctx.map(range(4), lambda n: ctx.step(odd, n, effect="read"), concurrency=1),
            ctx.map_settled(range(4), lambda n: ctx.step(odd, n, effect="read"), tolerate=1),
        ):
            with pytest.raises(StepFailed) as caught:
                await wrong
            said.append(str(caught.value))
        return [*said, await ctx.first([1, 3, 4], lambda n: ctx.step(odd, n, effect="read"))]

    state = await Flow(flow).start()
    assert state.output[0] == [0, "map[1]/odd: 1 is odd", 2, "map[3]/odd: 3 is odd"]
    assert state.output[1:] == ["map#2[1]/odd: 1 is odd", "map#3[3]/odd: 3 is odd", 4]


async def test_polling_is_steps_and_sleeps() -> None:
    async def job() -> int:
        DONE.append(1)
        return len(DONE)

    @workflow
    async def flow(ctx: Context) -> list[Any]:
        found: list[Any] = [await ctx.poll(job, until=lambda n: n >= 3, every="10m")]
        with pytest.raises(TimeoutError):
            await ctx.poll(job, until=lambda n: n >= 99, every="10m", timeout="25m")
        return [*found, str(ctx.now())]

    play = Flow(flow)
    await play.start()
    state = await play.finish()
    assert state.output == [3, "2026-01-05 09:40:00+00:00"]
    assert (await play.names())[:3] == ["job/job", "job/sleep", "job/job#2"]


# --- starting, ending, going on ------------------------------------------------------------------------------------


async def test_g15_a_start_with_a_wrong_input_is_refused() -> None:
    @workflow
    async def flow(ctx: Context, order: Order) -> None: ...

    with pytest.raises(BadInput, match=r"input\.amount"):
        await Flow(flow).start({"id": "7", "amount": "x"})


async def test_a_session_starts_afresh_and_keeps_what_nobody_waited_for() -> None:
    @workflow
    async def flow(ctx: Context, n: int = 0) -> list[Any]:
        if n < 2:
            await ctx.step(double, n, effect="read")
            await ctx.sleep("1h")
            return ctx.continue_as(n + 1)
        return [n, await ctx.signal("early", str), str(ctx.uuid())]

    play = Flow(flow)
    await play.start()
    await play.send("kept", "early")
    state = await play.finish()
    assert state.output[:2] == [2, "kept"]
    assert (DONE, state.generation) == ([0, 1], 2)


async def test_a_deadline_ends_it_as_failed() -> None:
    @workflow(deadline="7d")
    async def flow(ctx: Context) -> None:
        await ctx.input()

    play = Flow(flow)
    await play.start()
    state = await play.finish()
    assert (state.ended, state.error and state.error.code) == ("failed", "deadline_passed")


async def test_a_cancel_ends_its_waits() -> None:
    @workflow
    async def flow(ctx: Context) -> None:
        await ctx.sleep("9d")

    play = Flow(flow)
    await play.start()
    state = await play.signal("cancel", {})
    assert (state.ended, state.timers) == ("cancelled", {})
    with pytest.raises(Refused):
        await play.send(1)


async def test_a_body_that_is_ended_by_a_cancel_is_forgotten_and_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def put_back(n: int) -> None:
        DONE.append(-n)

    @workflow
    async def flow(ctx: Context) -> None:
        await ctx.step(blocking, 1, undo=put_back)
        await ctx.signal("never")

    play = Flow(flow)
    await play.start()
    state = await play.signal("cancel", {"reason": "enough"})
    assert (state.ended, DONE, flow._runs) == ("cancelled", [1, -1], {})
    gc.collect()
    assert caplog.records == []


async def test_what_a_body_raises_is_what_its_session_fails_with() -> None:
    @workflow
    async def flow(ctx: Context) -> None:
        raise KeyError("missing")

    state = await Flow(flow).start()
    assert state.error is not None
    assert (state.ended, state.error.code, state.error.message) == ("failed", "workflow_failed", "KeyError: 'missing'")


async def test_a_body_that_never_waits_parks_the_session() -> None:
    @workflow
    async def flow(ctx: Context) -> None:
        while True:
            await asyncio.sleep(0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("onward.programs.loop.MOST", 1000)
        play = Flow(flow)
        await play.start()
        state = await play.finish()
    assert state.parked is not None
    assert "without waiting" in state.parked.message


def test_what_is_no_workflow_is_refused_when_it_is_declared() -> None:
    def plain(ctx: Context) -> None: ...
    async def many(ctx: Context, a: int, b: int) -> None: ...
    async def unwritable(ctx: Context, a: asyncio.Lock) -> None: ...

    for wrong in (plain, many, unwritable):
        with pytest.raises(BadInput, match=r"workflow|input"):
            workflow(wrong)  # type: ignore[call-overload]
    with pytest.raises(BadInput, match="a name has"):
        workflow(name="No Name")(_nothing)
    with pytest.raises(BadInput, match="deadline"):
        workflow(deadline="soon")(_nothing)


async def _nothing(ctx: Context) -> None: ...
