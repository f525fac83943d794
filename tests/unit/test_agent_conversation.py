"""Conversations: resting at input, and inputs that come at any moment."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from onward import Agent, App, Approval, BadInput, Refused, ScriptedModel, tool
from onward.core import events as ev
from onward.core.draft import Draft
from onward.core.events import Actor
from onward.core.ids import session_key
from onward.core.program import Record
from onward.core.state import State
from onward.engine.gateway import Start
from onward.ports import Wake
from tests.unit.play import ANN, OPERATOR, Play, Watching, call


@tool(effect="read")
async def look(order: str) -> str:
    """Look."""
    return f"{order} is here"


@tool(effect="irreversible")
async def pay(amount: int) -> str:
    """Pay."""
    return f"paid {amount}"


@tool(effect="irreversible", approval=Approval(timeout="1h"))
async def refund(amount: int) -> str:
    """Refund."""
    return f"refunded {amount}"


def talk(*turns: Any, **options: Any) -> Agent:
    model = Watching(ScriptedModel([turn if isinstance(turn, dict) else {"text": turn} for turn in turns]))
    return Agent("talk", **{"model": model, "tools": [look, pay, refund], "conversation": True, **options})


# --- resting and ending ----------------------------------------------------------------------------------------


async def test_after_an_answer_it_rests_at_input_and_goes_on_with_the_next() -> None:
    agent = talk("hi", "fine")
    play = Play(agent)
    await play.start("hello")
    assert (await play.head()).status == "waiting"
    assert [wait.kind for wait in (await play.head()).waits] == ["input"]
    await play.send("how are you?")
    state = await play.check()
    assert state.ended is None
    assert agent.model.said() == [  # type: ignore[union-attr]
        ("input", "hello"),
        ("answer", {"text": "hi", "calls": []}),
        ("input", "how are you?"),
    ]


async def test_started_without_input_it_rests_until_one_comes() -> None:
    play = Play(talk("hi"))
    await play.start(None)
    assert not await play.bodies("model_answered")
    assert (await play.head()).status == "waiting"
    await play.send("hello")
    assert len(await play.bodies("model_answered")) == 1


async def test_finished_it_completes_with_its_newest_answer() -> None:
    play = Play(talk("hi", "fine"))
    await play.start()
    await play.send("and?")
    await play.signal("finish", {"reason": "all said"}, OPERATOR)
    state = await play.check()
    assert (state.ended, state.output) == ("completed", "fine")


async def test_cancelled_it_ends() -> None:
    play = Play(talk("hi"))
    await play.start()
    await play.signal("cancel", {"reason": "enough"})
    assert (await play.check()).ended == "cancelled"


async def test_its_deadline_ends_it() -> None:
    play = Play(talk("hi"))
    deadline = play.runner.clock.now().replace(hour=12)
    await play.runner.parts.gateway.start(Start("s", "talk", "1", input="hello", deadline=deadline), ANN)
    await play.runner.finish()
    assert (await play.check()).ended == "failed"


async def test_a_oneshot_ends_with_its_answer_and_refuses_what_comes_later() -> None:
    play = Play(talk("done", conversation=False))
    await play.start()
    assert (await play.check()).output == "done"
    with pytest.raises(Refused, match="session s is completed"):
        await play.send("too late")


async def test_a_long_answer_and_the_input_behind_it_keep_their_places_in_another_process() -> None:
    """A long answer lies in a blob; what asks for no call must not look as if it did."""
    agent = talk("x" * 600_000, "two", "three")
    play = Play(agent)
    await play.start("one")
    for number in ("two", "three"):
        play.runner.parts.loader.cache.drop(session_key("default", "s"))
        await play.send(number)
        await play.check()
    kinds = [entry.kind for entry in (await play.state()).transcript]
    assert kinds == ["input", "answer"] * 3


# --- inputs at work --------------------------------------------------------------------------------------------

PARALLEL = {"calls": [call("look", order="A"), call("refund", amount=9), call("pay", amount=3), call("nothing")]}


async def played_with_an_input_at(step: int, on_input: Any) -> tuple[Play, Agent]:
    """An input comes after so many deliveries, one step at a time; what asks a person is approved late."""
    agent = talk(PARALLEL, "one", "two", "three", on_input=on_input)
    play = Play(agent)
    await play.start(settle=False)
    for _ in range(step):
        await play.runner.deliver()
    await play.send("wait!", settle=False)
    await play.settle()
    await play.check()
    if any(one.status == "asked" for one in (await play.state()).calls.values()):
        await play.decide("approved")
    return play, agent


@pytest.mark.parametrize("on_input", ["enqueue", "interrupt", "reject"])
@pytest.mark.parametrize("step", range(7))
async def test_an_input_at_any_moment_leaves_the_transcript_well_formed(step: int, on_input: Any) -> None:
    play, _ = await played_with_an_input_at(step, on_input)
    state = await play.check()
    assert state.idle
    said = [entry.value for entry in state.transcript if entry.kind == "input"]
    refused = [body.error.code for body in await play.bodies("signal_refused")]
    assert (said, refused) in ((["hello", "wait!"], []), (["hello"], ["session_busy"]))
    assert refused == [] or on_input == "reject"


async def interrupted(step: int) -> list[str]:
    play, _ = await played_with_an_input_at(step, "interrupt")
    return [
        entry.value["code"] if entry.failed else "done"
        for entry in (await play.state()).transcript
        if entry.kind == "result"
    ]


async def test_an_interrupting_input_takes_the_place_of_what_was_not_performed_yet() -> None:
    codes = [await interrupted(step) for step in range(6)]
    assert any(sorted(one) == ["done", "interrupted", "interrupted", "unknown_tool"] for one in codes)


async def test_calls_of_an_answer_that_came_beside_an_interrupting_input_are_not_performed() -> None:
    """The input is filed while the model is asked; its answer is appended, and its calls are refused."""
    agent = talk(PARALLEL, "one", on_input="interrupt")
    play = Play(agent)

    real = agent.model.answer  # type: ignore[union-attr]

    async def interrupting(request: Any) -> Any:
        if len(request.transcript) == 1:
            await play.send("stop", settle=False)
        return await real(request)

    agent.model.answer = interrupting  # type: ignore[union-attr, method-assign]
    await play.start("go", settle=False)
    await play.settle()
    state = await play.check()
    results = [entry.value["code"] for entry in state.transcript if entry.kind == "result" and entry.failed]
    assert "unknown_tool" in results
    assert "interrupted" in results
    assert not await play.bodies("call_started")


@pytest.mark.parametrize(("on_input", "refused"), [("interrupt", "interrupted"), ("enqueue", None)])
def test_an_answer_that_is_not_acted_on_yet_gives_way_to_an_interrupting_input(on_input: Any, refused: Any) -> None:
    """Nothing of it is proposed to be performed, and nobody is asked about it."""
    draft = Draft(State(), datetime(2026, 1, 5, tzinfo=UTC))
    asked = [{"name": "refund", "arguments": {"amount": 9}}, {"name": "pay", "arguments": {"amount": 9}}]
    for body in (
        ev.SessionStarted(tenant="t", session="s", program="talk", version="1", input="go", on_input=on_input),
        ev.ModelAnswered(model="scripted", answer={"text": "", "calls": asked}, calls=2),
        ev.InputReceived(content="stop", signal="x"),
    ):
        draft.add(ANN, body)
    decision = talk(on_input=on_input).decide(draft.state)
    assert isinstance(decision, Record)
    proposed, *requests = decision.bodies
    assert isinstance(proposed, ev.CallsProposed)
    assert {call.refusal and call.refusal.code for call in proposed.calls} == {refused}
    assert bool(requests) == (refused is None)


async def test_two_inputs_that_wait_come_in_their_order() -> None:
    agent = talk({"calls": [call("refund", amount=9)]}, "ok")
    play = Play(agent)
    await play.start("one")
    await play.send("two")
    await play.send("three")
    assert len((await play.check()).queued) == 2
    await play.decide("approved")
    assert [value for kind, value in agent.model.said() if kind == "input"] == ["one", "two", "three"]  # type: ignore[union-attr]
    assert [kind for kind, _ in agent.model.said()] == ["input", "answer", "result", "input", "input"]  # type: ignore[union-attr]


@pytest.mark.parametrize(("field", "value"), [("on_input", "ignore"), ("output_retries", -1)])
def test_a_wrong_setting_is_refused(field: str, value: Any) -> None:
    with pytest.raises(BadInput, match=f"agent talk: {field} {value!r}"):
        talk(**{field: value})


# --- versions --------------------------------------------------------------------------------------------------


async def test_g12_a_resting_conversation_goes_on_under_the_newest_version() -> None:
    play = Play(talk("hi"))
    await play.start()
    new = talk("hi", "new here", version="2", on_input="reject")
    later = play.runner.process(App(programs=[talk("hi", "old here"), new]))
    await later.gateway.signal(session_key("default", "s"), "input", {"content": "still there?"}, ANN, "k")
    await later.engine.advance(Wake(session_key("default", "s"), look=True))
    play.runner.parts = later
    await play.settle()
    state = await play.check()
    assert (state.version, state.on_input) == ("2", "reject")
    assert state.last is not None
    assert state.last.value["text"] == "new here"
    assert [event.actor for event in await play.events() if event.kind == "program_changed"] == [Actor(kind="engine")]
