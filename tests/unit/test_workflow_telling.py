"""What people read of a workflow's session: its events by what they are, its waits, its questions, and how it is moved
where it stands."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import Any

import pytest

from onward import Context, workflow
from onward.core.ledger import ledger
from onward.surfaces.operations import open_text
from onward.surfaces.questions import Question, question_lines
from onward.surfaces.reports import question_block, rest_lines, wait_text
from onward.surfaces.text import Paper
from onward.surfaces.timeline import Telling
from onward.surfaces.verbs import Place, verbs, wait_verbs
from tests.unit.flows import Flow

PLACE = Place("onward.db", default=True)


async def book(room: int) -> str:
    return f"room {room}"


async def cancel(room: int) -> str:
    return "given back"


async def look(item: str) -> int:
    return len(item)


async def fail() -> None:
    raise ValueError("nothing left")


@workflow
async def within(ctx: Context, text: str) -> int:
    return await ctx.step(look, text, effect="read")


@workflow
async def trip(ctx: Context, name: str) -> None:
    await ctx.step(book, 5, undo=cancel, name="hotel")
    await ctx.map(["a", "bb"], lambda item: ctx.step(look, item, effect="read"))
    ctx.patched("mail")
    await ctx.run(within, "hello")
    await ctx.start(within, "there")
    await ctx.sleep("1h", name="nap")
    await ctx.approval("Publish?", evidence={"pages": 3}, timeout="2d")
    await ctx.signal("paid", int)
    with suppress(TimeoutError):
        async with asyncio.timeout(60):
            await ctx.input(int)
    with suppress(TimeoutError):
        await ctx.signal("late", timeout="5m")
    await ctx.step(fail, effect="read", retry=1)


def untimed(text: str) -> str:
    """Without times of day, and how far off they are."""
    return re.sub(r"(20\d\d-\d\d-\d\d )?\d\d:\d\d:\d\d( \(in [^)]*\))?", "T", text)


async def told(flow: Flow) -> list[tuple[str, str]]:
    telling = Telling()
    notes = [(event, telling.note(event)) for event in await flow.events()]
    said = [(note.label, untimed(text)) for _, note in notes if not note.quiet for text in (note.text, *note.below)]
    return said


@pytest.fixture
async def ended() -> Flow:
    flow = Flow(trip, within)
    await flow.start("Ann", program="trip")
    await flow.wait(3700)
    await flow.decide("approved", reason="fine")
    await flow.send(5, "paid")
    await flow.finish(4000)
    return flow


async def test_each_thing_that_a_workflow_asks_for_is_told_by_what_it_is_and_by_its_name(ended: Flow) -> None:
    assert await told(ended) == [
        ("start", "trip 1, by ann@example.com"),
        ("start", "Ann"),
        ("step", "hotel(room=5)"),
        ("begin", "hotel"),
        ("result", 'hotel: "room 5"'),
        ("step", 'map[0]/look(item="a")'),
        ("step", 'map[1]/look(item="bb")'),
        ("result", "map[0]/look: 1"),
        ("result", "map[1]/look: 2"),
        ("call", "patch mail: the new code from here on"),
        ("call", 'starts within("hello")'),
        ("child", "within: within 1 in session s1:8.1"),
        ("child", "within, session s1:8.1, completed: 5"),
        ("child", 'within#2("there"), and does not wait for it'),
        ("child", "within#2: within 1 in session s1:11.0"),
        ("wait", "nap: until T"),
        ("over", "nap"),
        ("asks", 'Publish?  {"pages": 3}'),
        ("approval", "a person is asked, until T"),
        ("approved", "approval by ann@example.com: fine"),
        ("wait", "for the input paid"),
        ("input", "paid, by ann@example.com"),
        ("input", "5"),
        ("wait", "timer: until T"),
        ("wait", "for an input"),
        ("over", "timer"),
        ("left", "does not wait for input any more"),
        ("wait", "for the input late, until T"),
        ("late", "late did not come in time"),
        ("step", "fail()"),
        ("error", "fail: ValueError: nothing left"),
        ("undo", "takes back hotel: cancel(room=5)"),
        ("begin", "undo of hotel"),
        ("undone", 'undo of hotel: "given back"'),
        ("failed", "fail: ValueError: nothing left"),
    ]


async def test_who_begins_in_the_middle_tells_it_by_the_same_names(ended: Flow) -> None:
    events = await ended.events()
    whole, part = Telling(), Telling.of(await ended.runner.state("s1"))
    kinds = ("call_completed", "call_failed", "call_refused", "call_started", "child_ended", "approval_decided")
    words = [(whole.note(event), event) for event in events]
    assert [note for note, event in words if event.kind in kinds] == [
        part.note(event) for event in events if event.kind in kinds
    ]


async def test_effects_are_what_was_done_and_not_what_was_waited_for_or_asked(ended: Flow) -> None:
    entries = ledger("s1", await ended.events())
    named = {entry.operation.name: entry for entry in entries if entry.operation}
    counted = [entry.operation.name for entry in entries if entry.operation and entry.counts(None, reads=True)]
    assert counted == ["hotel", "map[0]/look", "map[1]/look", "within", "within#2", "fail", "undo:hotel"]
    assert [entry.tool for entry in entries if entry.counts(None, reads=False)] == [
        "hotel",
        "within",
        "within",
        "cancel",
    ]
    assert (named["within#2"].outcome, named["within#2"].receipt) == ("done", {"session": "s1:11.0"})
    assert (named["patch:mail"].outcome, named["nap"].outcome) == ("done", "done")
    decision = {"verdict": "approved", "by": ["ann@example.com"], "reason": "fine", "result": None}
    assert (named["approval"].outcome, named["approval"].receipt) == ("done", decision)


# --- at rest -----------------------------------------------------------------------------------------------------


async def waiting(flow: Flow) -> list[str]:
    head = await flow.head()
    return [untimed(wait_text(wait, flow.runner.clock.now())) for wait in head.waits]


async def test_waits_are_named_as_the_workflow_names_them() -> None:
    @workflow
    async def waits(ctx: Context) -> None:
        async def branch() -> None:
            await ctx.sleep("1h")

        await asyncio.gather(branch(), ctx.run(paused), ctx.approval("Go?", name="go"), ctx.signal("paid"))

    @workflow
    async def paused(ctx: Context) -> None:
        await ctx.signal("never")

    flow = Flow(waits, paused)
    await flow.start(program="waits")
    assert await waiting(flow) == [
        "branch/sleep (call 2.0): its time to pass, until T",
        "session s1:2.1",
        "a person's answer to go (call 2.2), until T",
        "the input paid",
    ]


async def test_of_many_waits_so_much_is_said_where_the_session_rests_and_how_many_more_there_are() -> None:
    @workflow
    async def many(ctx: Context) -> None:
        await asyncio.gather(
            ctx.map(range(130), lambda at: ctx.sleep("1h")), ctx.map(range(25), lambda at: ctx.approval(f"{at}?"))
        )

    flow = Flow(many)
    await flow.start()
    head, state, now = await flow.head(), await flow.runner.state("s1"), flow.runner.clock.now()
    asked = [Question.from_call("s1", call, call.arguments) for call in state.calls.values() if call.asks]
    lines = list(rest_lines(head, asked, PLACE, Paper(), now))
    assert sum("its time to pass" in line for line in lines) == 20
    assert lines.count("Waits for a person to answer:") == 20
    assert lines[-1] == "Waits for 115 more: onward show s1"
    assert "--call" in next(line for line in lines if "onward approve" in line)
    (event,) = [event for event in await flow.events() if event.kind == "calls_proposed"]
    below = Telling().note(event).below
    assert (len(below), below[-1]) == (20, "… and 135 more")


async def asks(verdict: str | None = None, **more: Any) -> Flow:
    @workflow
    async def asking(ctx: Context) -> Any:
        found = await ctx.approval("Pay \x1b[2J500?", evidence={"order": 7, "of": "x" * 60}, name="pay", **more)
        return [found.approved, found.expired, found.result]

    flow = Flow(asking)
    await flow.start()
    if verdict is not None:
        await flow.decide(verdict)
    return flow


async def test_a_question_is_shown_as_one_with_what_there_is_to_look_at_and_how_it_is_answered() -> None:
    flow = await asks()
    state, now = await flow.runner.state("s1"), flow.runner.clock.now()
    (question,) = [Question.from_call("s1", call, call.arguments) for call in state.calls.values()]
    lines = [untimed(line).rstrip() for line in question_block([question], PLACE, Paper(), now)]
    assert lines[:2] == ["Waits for a person to answer:", "  Pay \\x1b[2J500?  pay, call 2.0"]
    assert lines[2:6] == [
        "    evidence  {",
        '                "order": 7,',
        f'                "of": "{"x" * 60}"',
        "              }",
    ]
    assert lines[6] == "    expires   T, then the workflow goes on without an answer"
    assert [line.split("   ")[-1].strip() for line in lines[7:]] == ["say yes", "say no", "answer something else"]
    assert not any("effect" in line or "rule" in line for line in lines)


async def test_g15_a_question_has_no_arguments_to_change() -> None:
    flow = await asks()
    await flow.decide("approved", arguments={"question": "Pay 5?"})
    (refused,) = await flow.bodies("signal_refused")
    assert refused.error.code == "not_editable"
    assert (await flow.head()).waits[0].kind == "approval"


async def test_of_several_people_who_are_asked_it_is_said_who_has_answered() -> None:
    flow = await asks("approved", people=2, by=["ann@example.com", "ben@example.com"])
    state = await flow.runner.state("s1")
    (question,) = [Question.from_call("s1", call, call.arguments) for call in state.calls.values()]
    lines = "\n".join(question_lines(question, Paper(200), flow.runner.clock.now()))
    assert "1 of 2 approved, ann@example.com; asked: ann@example.com, ben@example.com" in lines
    assert not [entry for entry in ledger("s1", await flow.events()) if entry.outcome != "open"]


async def test_a_question_that_nobody_answers_expires_and_is_no_refusal() -> None:
    flow = await asks(timeout="1h")
    assert (await flow.finish()).output == [False, True, None]
    assert ("expired", "pay: nobody decided in time") in await told(flow)
    (entry,) = ledger("s1", await flow.events())
    assert (entry.outcome, entry.receipt["verdict"]) == ("done", "expired")


async def test_the_state_at_an_event_shows_what_was_open_as_what_it_is() -> None:
    flow = await asks()
    state = await flow.runner.state("s1")
    (call,) = state.calls.values()
    now = flow.runner.clock.now()
    assert open_text(call, now).startswith("pay: asks people: Pay \\x1b[2J500?  {")


# --- where it stands ---------------------------------------------------------------------------------------------


async def test_code_that_asks_for_something_else_has_its_ways_out_as_commands() -> None:
    def version(item: str) -> Any:
        @workflow(name="counts")
        async def counts(ctx: Context) -> int:
            found = await ctx.step(look, item, effect="read")
            await ctx.signal("go")
            return found

        return counts

    flow = Flow(version("a"))
    await flow.start()
    flow = Flow(version("b"), runner=flow.runner)
    assert (await flow.send(1, "go")).parked is not None
    commands = [verb.command for verb in verbs(await flow.head(), PLACE)][:3]
    assert commands == ["onward retry s1", "onward fork s1 --at 1 --effects live", "onward cancel s1"]


async def test_what_could_not_be_taken_back_is_retried_or_said_to_be_dealt_with() -> None:
    @workflow
    async def saga(ctx: Context) -> None:
        await ctx.step(book, 5, undo=fail_to_cancel, name="hotel")
        await ctx.step(fail, effect="read", retry=1)

    async def fail_to_cancel(room: int) -> None:
        raise ValueError("closed")

    flow = Flow(saga)
    await flow.start()
    state = await flow.finish()
    (call,) = state.calls.values()
    head = await flow.head()
    (wait,) = [wait for wait in head.waits if wait.kind == "operator"]
    assert wait_verbs(head, wait, PLACE)[0].does == "undo of hotel happened"
    await flow.signal(
        "outcome", {"call": call.id, "status": "failed", "error": {"code": "failed", "message": "closed"}}
    )
    await flow.finish()
    head = await flow.head()
    assert head.error is not None
    assert head.error.code == "undo_failed"
    (again,) = (await flow.runner.state("s1")).calls
    by_hand = f"onward skip s1 --call {again}"
    assert [verb.command for verb in verbs(head, PLACE)] == ["onward retry s1", by_hand], "a cancel moves nothing"
    await flow.signal("skip", {"call": again})
    (go_on,) = verbs(await flow.head(), PLACE)
    assert go_on.does == "go on, with what is still to be taken back"
    assert (await flow.signal("resume", {})).ended == "failed"
