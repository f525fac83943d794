"""Branches of workflows (G14): by name, in the order and at the time of the record; edited, live, and on other code."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import Any

import pytest

from onward import Approval, BadInput, Context, StepFailed, tool, workflow
from onward.core.inputs import input_in
from onward.core.state import State
from onward.engine.gateway import Start
from tests.unit.forking import Forks
from tests.unit.play import ANN, BEN, OPERATOR

DONE: list[Any] = []


@pytest.fixture(autouse=True)
def _nothing_done() -> None:
    DONE.clear()


async def act(n: int) -> str:
    DONE.append(n)
    return f"{n}, for the {len(DONE)}. time"


async def other(n: int) -> str:
    DONE.append(("other", n))
    return f"other {n}"


async def undo(n: int) -> None:
    DONE.append(("undo", n))


def called(body: Any, version: str = "1") -> Any:
    return workflow(name="flow", version=version)(body)


async def played(body: Any, input: Any = None, **more: Any) -> Forks:
    """A session of this body, as far as it comes by itself."""
    flow = called(body)
    play = Forks(flow, **more)
    await play.runner.parts.gateway.start(Start.of(flow, "s", version=None, limits=None, input=input), ANN)
    await play.settle()
    return play


def deployed(play: Forks, *bodies: Any) -> None:
    """Other code, the first as version 1."""
    play.app = Forks(*(called(body, str(at)) for at, body in enumerate(bodies, start=1))).app
    play.runner.parts = play.runner.process(play.app)


async def say(play: Forks, content: Any, name: str | None = None, id: str = "s") -> None:
    await play.signal("input", {"content": content, "name": name}, id=id)


async def wait(play: Forks, hours: float) -> None:
    """Let so much time pass, and no more."""
    end = play.runner.clock.now() + timedelta(hours=hours)
    await play.runner.finish(hours * 3600)
    play.runner.clock.advance_to(end)
    await play.settle()


async def branched(play: Forks, at: int | str | None = None, **more: Any) -> State:
    await play.fork(at, **more)
    return await play.state(more.get("branch", "b"))


# --- the record ----------------------------------------------------------------------------------------------------


async def quickest(ctx: Context) -> Any:
    """Which of two is settled first, and what is left."""

    async def slow(n: int) -> str:
        await ctx.sleep(timedelta(hours=n))
        return await ctx.step(act, n, effect="read")

    return await ctx.first([2, 1], slow), await ctx.step(act, 1, effect="read"), await ctx.step(act, 2, effect="read")


async def test_g14_what_was_settled_first_is_so_in_the_branch_and_what_was_left_stays_left() -> None:
    play = await played(quickest)
    await wait(play, 3)
    expected, done = (await play.state()).output, list(DONE)
    for at in range(1, (await play.head()).seq):
        state = await branched(play, at, branch=f"b{at}")
        assert (state.ended, state.output) == ("completed", expected), at
    assert done == DONE


async def test_g14_a_branch_has_the_time_of_its_record_and_then_its_own() -> None:
    async def body(ctx: Context) -> Any:
        await ctx.sleep("1h")
        first = ctx.now()
        await ctx.step(act, 1, effect="read")
        await ctx.sleep("2h")
        return [str(first), str(ctx.now()), str(ctx.uuid()), ctx.random.random()]

    play = await played(body)
    await wait(play, 2)
    await wait(play, 1)
    expected = (await play.state()).output
    play.runner.clock.advance(100 * 3600)
    state = await branched(play, 1)
    assert state.output == expected
    play = await played(body)
    await wait(play, 1.5)
    state = await branched(play, 1)
    (asleep,) = state.calls.values()
    assert asleep.asleep
    assert asleep.expires_at is not None
    assert state.at is not None
    assert asleep.expires_at - state.at == timedelta(hours=2), "as long as it was when it was asked for"


async def test_a_wait_that_came_too_late_in_the_record_does_so_at_once_and_another_has_its_whole_time() -> None:
    async def body(ctx: Context) -> Any:
        try:
            await ctx.signal("early", timeout="1h")
        except TimeoutError:
            return await ctx.signal("word", str, timeout="1h")

    play = await played(body)
    await wait(play, 1)
    await say(play, "yes", "word")
    assert (await play.state()).output == "yes"
    play.runner.clock.advance(24 * 3600)
    state = await branched(play, 1)
    (open,) = state.calls.values()
    assert (open.status, open.operation and open.operation.name) == ("pending", "word")
    await wait(play, 0.5)
    await say(play, "no", "word", "b")
    assert (await play.state("b")).output == "no"
    await play.fork(1, "c")
    await wait(play, 2)
    error = (await play.state("c")).error
    assert error is not None
    assert error.code == "timed_out"


async def test_inputs_that_were_taken_or_kept_are_so_in_branches_of_branches() -> None:
    async def body(ctx: Context) -> Any:
        await ctx.step(act, 1, effect="read")
        first = await ctx.signal("word", int)
        await ctx.sleep("1h")
        return [first, await ctx.signal("word", int), await ctx.signal("word", int)]

    play = await played(body)
    for number in (1, 2):
        await say(play, number, "word")
    await play.fork(branch="b")
    await play.fork(branch="c", of="b")
    for id in ("s", "b", "c"):
        entries = (await play.state(id)).transcript
        (taken,) = [input_in(entry) for entry in entries if entry.kind == "result" and entry.name == "word"]
        assert [entry.value for entry in entries if entry.seq == taken] == [1]
    await wait(play, 1)
    for id in ("s", "b", "c"):
        await say(play, 3, "word", id)
        assert (await play.state(id)).output == [1, 2, 3]
    assert DONE == [1]


async def test_what_started_afresh_does_so_with_what_was_kept() -> None:
    async def body(ctx: Context, n: int) -> Any:
        said = await ctx.step(act, n, effect="read"), str(ctx.uuid())
        if n < 3:
            return ctx.continue_as(n + 1)
        return [*said, await ctx.signal("word", str)]

    play = await played(body, 1)
    await say(play, "yes", "word")
    expected = (await play.state()).output
    told = max(event.seq for event in await play.events() if event.kind in ("input_received", "session_continued"))
    for at in range(1, told):
        state = await branched(play, at, branch=f"b{at}")
        assert [call.operation and call.operation.name for call in state.calls.values()] == ["word"]
        await say(play, "yes", "word", f"b{at}")
        assert (await play.state(f"b{at}")).output == expected
    assert DONE == [1, 2, 3]


async def test_a_step_in_another_place_is_answered_by_what_it_did_and_one_that_was_left_is_not() -> None:
    async def old(ctx: Context) -> Any:
        try:
            async with asyncio.timeout(60):
                await ctx.signal("never")
        except TimeoutError:
            return [await ctx.step(act, 1), await ctx.step(act, 1)]

    async def new(ctx: Context) -> Any:
        async def inner() -> str:
            return await ctx.step(act, 1)

        return await asyncio.gather(inner(), inner(), inner())

    play = await played(old)
    await wait(play, 0.1)
    first, second = (await play.state()).output
    deployed(play, old, new)
    state = await branched(play, 1, version="2")
    assert state.error is not None
    assert state.error.code == "blocked"
    results = [entry.value for entry in state.transcript if not entry.failed]
    assert results == [first, second]
    assert DONE == [1, 1]


async def test_blocked_nothing_is_done_and_time_is_waited_for() -> None:
    async def body(ctx: Context) -> Any:
        await ctx.sleep("1h")
        try:
            return await ctx.step(act, 1)
        except StepFailed as exc:
            return exc.code

    play = await played(body)
    await wait(play, 1)
    await play.fork(1, effects="blocked")
    assert (await play.state("b")).ended is None
    await wait(play, 1)
    assert (await play.state("b")).output == "blocked"
    assert DONE == [1]


async def test_what_was_erased_of_the_base_parks_where_it_is_needed() -> None:
    async def body(ctx: Context) -> Any:
        found = await ctx.step(act, 1)
        return [found, await ctx.signal("word", str)]

    play = await played(body)
    done = next(event.seq for event in await play.events() if event.kind == "call_completed")
    await play.erase(done, "result")
    state = await branched(play)
    assert state.parked is not None
    assert state.parked.code == "result_erased"


# --- taking back -----------------------------------------------------------------------------------------------------


async def reserving(ctx: Context) -> Any:
    for n in (1, 2):
        await ctx.step(act, n, undo=undo)
    await ctx.signal("word")


async def test_a_branch_that_does_nothing_takes_nothing_back_and_needs_nobody_for_it() -> None:
    play = await played(reserving)
    await play.fork()
    await play.signal("cancel", {"reason": "enough"}, id="b")
    assert (await play.state("b")).ended == "cancelled"
    assert DONE == [1, 2]


async def test_g14_a_live_branch_asks_before_it_does_again_and_takes_back_only_what_it_did() -> None:
    play = await played(reserving)
    first = next(event.seq for event in await play.events() if event.kind == "call_completed")
    await play.fork(first, effects="live")
    assert [call.status for call in (await play.state("b")).calls.values()] == ["asked"]
    await play.decide("approved", id="b")
    assert DONE == [1, 2, 2]
    await play.signal("cancel", {"reason": "enough"}, id="b")
    assert (await play.state("b")).ended == "cancelled"
    assert DONE == [1, 2, 2, ("undo", 2)]
    await play.signal("cancel", {"reason": "enough"})
    assert DONE[4:] == [("undo", 2), ("undo", 1)], "what is its own the parent takes back"


async def test_people_decide_on_an_undo_of_a_session_that_is_being_cancelled() -> None:
    @tool(effect="irreversible", approval=Approval(timeout="1h"))
    async def return_money(n: int) -> str:
        """Return money."""
        DONE.append(("returned", n))
        return "returned"

    async def body(ctx: Context) -> None:
        await ctx.step(act, 1, undo=return_money)
        await ctx.signal("word")

    play = await played(body)
    await play.signal("cancel", {"reason": "enough"})
    await play.decide("approved", BEN)
    assert (await play.state()).ended == "cancelled"
    assert DONE == [1, ("returned", 1)]


async def test_a_live_branch_goes_on_in_the_present() -> None:
    async def body(ctx: Context) -> Any:
        await ctx.step(act, 1, effect="read")
        before = ctx.now()

        async def branch(n: int) -> None:
            await ctx.step(act, n, effect="read")
            async with asyncio.timeout(3600):
                await ctx.sleep("30m")

        await asyncio.gather(branch(2), branch(3))
        try:
            await ctx.signal("word", timeout="1h")
        except TimeoutError:
            return [str(before), str(ctx.now())]

    play = await played(body)
    begun = play.runner.clock.now()
    play.runner.clock.advance(100 * 3600)
    for at in [event.seq for event in await play.events() if event.kind in ("session_started", "call_completed")]:
        state = await branched(play, at, branch=f"b{at}", effects="live")
        sleeps = [call for call in state.calls.values() if call.operation and "sleep" in call.operation.name]
        assert [call.expires_at for call in sleeps] == [state.at + timedelta(minutes=30)] * 2, (
            "both as long as they are"
        )
    await play.fork(1, "c", effects="live")
    asked = play.runner.clock.now()
    await wait(play, 2)
    before, after = (await play.state("c")).output
    assert before == str(asked) > str(begun)
    assert after == str(asked + timedelta(hours=1.5))


# --- edits -----------------------------------------------------------------------------------------------------------


async def publishing(ctx: Context, topic: str) -> Any:
    text = await ctx.step(other, len(topic), effect="read")
    decision = await ctx.approval("Publish?", evidence=text, timeout="1h", people=2)
    if not decision.approved:
        return ["not published", decision.by, decision.reason, decision.expired]
    return [topic, text, decision.by, await ctx.signal("word", str)]


async def test_a_result_and_an_input_of_another_value_lead_elsewhere() -> None:
    play = await played(publishing, "news")
    state = await branched(play, edits={1: "newspapers"})
    (blocked,) = [entry for entry in state.transcript if entry.failed]
    assert blocked.value["code"] == "blocked", "nobody knows what it would have come to"
    done = next(event.seq for event in await play.events() if event.kind == "call_completed")
    await play.fork(done, "c", effects="live", edits={done: "another text"})
    (asked,) = (await play.state("c")).calls.values()
    assert asked.arguments["evidence"] == "another text"


@pytest.mark.parametrize("decided", [True, False])
async def test_a_decision_on_a_question_may_be_another(decided: bool) -> None:
    play = await played(publishing, "news")
    if decided:
        await play.decide("approved")
        await play.decide("approved", BEN)
        await say(play, "out", "word")
    else:
        await wait(play, 1)
    kind = "approval_decided" if decided else "approval_expired"
    at = await play.first(kind)
    no = {"verdict": "rejected", "by": ["cat@x"], "reason": "not now"}
    assert (await branched(play, edits={at: no})).output == ["not published", ["cat@x"], "not now", False]
    yes = {"verdict": "approved", "by": ["cat@x"]}
    state = await branched(play, (await play.head()).seq if decided else None, branch="c", edits={at: yes})
    if decided:
        assert state.output == ["news", "other 4", ["cat@x"], "out"], "what came later of the same decision is gone"
    else:
        assert [call.operation and call.operation.name for call in state.calls.values()] == ["word"]


async def test_g15_a_decision_of_another_form_is_refused() -> None:
    play = await played(publishing, "news")
    await wait(play, 1)
    at = await play.first("approval_expired")
    for value in ("yes", {"verdict": "maybe"}, {"verdict": "approved", "who": "me"}):
        with pytest.raises(BadInput, match=f"edit: event {at} is the decision on a question, which is"):
            await play.fork(edits={at: value})


async def test_g15_what_a_wait_took_is_changed_where_it_came() -> None:
    play = await played(publishing, "news")
    await play.decide("approved")
    await play.decide("approved", BEN)
    await say(play, "out", "word")
    events = await play.events()
    took = next(event.seq for event in events if getattr(event.body, "by", "") == "input")
    with pytest.raises(BadInput, match=f"edit: event {took} .* has no value to change"):
        await play.fork(edits={took: {"event": 1}})
    came = await play.first("input_received")
    assert (await branched(play, edits={came: "in"})).output == ["news", "other 4", ["ann@x", "ben@x"], "in"]


# --- other code ------------------------------------------------------------------------------------------------------


async def old(ctx: Context) -> Any:
    a = await ctx.step(act, 1)
    await ctx.sleep("1h")
    b = await ctx.step(act, 2)
    await ctx.sleep("1h")
    return [a, b]


async def new(ctx: Context) -> Any:
    a = await ctx.step(act, 1)
    await ctx.sleep("1h")
    b = await ctx.step(act, 7, effect="read")
    return [a, b]


async def test_g12_the_way_out_that_the_error_names_goes_on_with_the_code_of_today() -> None:
    play = await played(old)
    await wait(play, 1)
    deployed(play, new)
    await wait(play, 1)
    parked = (await play.state()).parked
    assert parked is not None
    assert parked.code == "nondeterministic"
    found = re.search(r"fork the session at event (\d+)", parked.message)
    assert found is not None
    state = await branched(play, int(found[1]), effects="live")
    assert state.parked is None
    assert (state.ended, state.output) == ("completed", ["1, for the 1. time", "7, for the 3. time"])
    assert DONE == [1, 2, 7]


async def test_g12_a_branch_begins_on_the_version_that_it_is_given() -> None:
    play = await played(old)
    await wait(play, 0.5)
    deployed(play, old, new)
    state = await branched(play, version="2")
    assert (state.version, (await play.head("b")).version) == ("2", "2")
    await play.fork(branch="c")
    await wait(play, 3)
    assert (await play.state("s")).output == ["1, for the 1. time", "2, for the 2. time"]
    assert (await play.state("b")).error is not None, "what the record does not have is blocked"
    with pytest.raises(BadInput, match="version: it is empty"):
        await play.fork(branch="d", version=" ")


async def test_in_a_branch_the_error_names_what_it_branched_from_and_an_event_that_it_has() -> None:
    play = await played(old)
    await wait(play, 1)
    await play.fork()
    deployed(play, new)
    await wait(play, 2)
    parked = (await play.state("b")).parked
    assert parked is not None
    assert "the log (what it branched from) has act under the name 'act#2'" in parked.message
    assert re.search(r"fork the session at event [1-9]", parked.message)


async def test_an_operator_may_retry_a_branch_on_mended_code() -> None:
    play = await played(old)
    await wait(play, 1)
    await play.fork()
    deployed(play, new)
    await wait(play, 2)
    deployed(play, old)
    await play.signal("resume", {"reason": "mended"}, OPERATOR, id="b")
    await wait(play, 2)
    assert (await play.state("b")).output == ["1, for the 1. time", "2, for the 2. time"]
    assert DONE == [1, 2]


async def test_a_result_of_any_form_is_a_result() -> None:
    async def numbered() -> dict[str, int]:
        return {"event": 5}

    async def body(ctx: Context) -> Any:
        found = await ctx.step(numbered, effect="read")
        await ctx.sleep("1h")
        return found

    play = await played(body)
    deployed(play, body)
    await play.fork()
    await wait(play, 1)
    assert [(await play.state(id)).output for id in ("s", "b")] == [{"event": 5}] * 2
