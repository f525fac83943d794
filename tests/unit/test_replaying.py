"""Recorded sessions, decided again: the same program says the same, a changed one differs at the exact event."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel

from onward import Agent, App, Approval, Compaction, Done, Limits, ScriptedModel, tool
from onward.core.divergence import Divergence, Same, Unclear, Verdict
from onward.core.events import ModelAnswered, TranscriptCompacted
from onward.core.ids import session_key
from onward.core.payload import Erased
from onward.core.recording import Recording
from onward.core.replaying import NamedModel, replay
from onward.core.state import changed
from onward.engine.fork import Fork
from onward.errors import BadInput
from tests.unit.play import ANN, Play, call


async def _look(order: str) -> str:
    """Look."""
    return f"seen {order}"


async def _pay(amount: int) -> str:
    """Pay."""
    return f"paid {amount}"


def paying(approval: Approval | None) -> Any:
    return tool(effect="irreversible", name="pay", approval=approval)(_pay)


look = tool(effect="read", name="look")(_look)
pay = paying(Approval(when=lambda args: args.amount > 50))


class Answer(BaseModel):
    """What a shop says."""

    total: int


TURNS: list[Any] = [
    {"calls": [call("look", order="7"), call("pay", amount=20)]},
    {"calls": [call("pay", amount=80)]},
    {"text": '{"total": 100}'},
]


def shop(**options: Any) -> Agent:
    return Agent("shop", **{"model": ScriptedModel(TURNS), "tools": [look, pay]} | options)


async def recorded(play: Play, id: str = "s") -> Recording:
    head = await play.runner.backend.store.read(session_key("default", id))
    return await play.runner.parts.loader.recording(head)


async def bought(**options: Any) -> Recording:
    """A session that looks, pays, asks, pays and ends: 1 started · 2 answered · 3 proposed · 4 looked · 5 and 6 paid ·
    7 answered · 8 proposed · 9 asked · 10 approved · 11 and 12 paid · 13 answered · 14 completed."""
    play = Play(shop(**options))
    await play.start()
    await play.decide("approved")
    recording = await recorded(play)
    assert recording.events[-1].seq == 14
    return recording


def against(recording: Recording, *programs: Any, rests: bool = True) -> Verdict:
    return replay(recording, App(programs=programs).programs, rests=rests)


def told(verdict: Verdict) -> tuple[int, str, str]:
    assert isinstance(verdict, Divergence), verdict
    return verdict.seq, verdict.expected["kind"], verdict.got["kind"]


async def test_the_same_program_decides_the_same_without_any_model() -> None:
    recording = await bought()
    verdict = against(recording, shop(model=NamedModel("scripted")))
    assert verdict == Same(events=14, decisions=9)
    assert verdict.line == "same: 9 decisions in 14 events"


# --- what is decided differently ---------------------------------------------------------------------------------


async def test_a_changed_rule_is_found_where_it_first_matters() -> None:
    verdict = against(await bought(), shop(tools=[look, paying(Approval(when=lambda args: args.amount > 10))]))
    assert told(verdict) == (3, "calls_proposed", "calls_proposed")
    assert verdict.line == (
        'event 3 (calls_proposed) is decided differently: calls.1.rule was null, today "this tool\'s approval rule"'
    )


async def test_a_rule_that_is_gone_is_found_at_the_call_that_it_asked_about() -> None:
    verdict = against(await bought(), shop(tools=[look, paying(None)]))
    assert told(verdict)[0] == 8


async def test_other_people_to_ask_are_found_at_the_request() -> None:
    by = Approval(when=lambda args: args.amount > 50, by=["ann@x"])
    verdict = against(await bought(), shop(tools=[look, paying(by)]))
    assert told(verdict)[0] == 9
    assert "approvers" in verdict.line


async def test_a_changed_form_of_arguments_is_found() -> None:
    @tool(effect="read", name="look")
    async def look_well(order: int, well: bool) -> str:
        """Look."""
        return "seen"

    verdict = against(await bought(), shop(tools=[look_well, pay]))
    assert told(verdict)[0] == 3
    assert "calls.0.refusal" in verdict.line


async def test_another_effect_class_is_found() -> None:
    verdict = against(await bought(), shop(tools=[tool(effect="idempotent", name="look")(_look), pay]))
    assert verdict.line.startswith("event 3 (calls_proposed) is decided differently: calls.0.effect was")


async def test_a_tool_that_is_gone_is_found() -> None:
    verdict = against(await bought(), shop(tools=[look]))
    assert told(verdict)[0] == 3
    assert "there is no tool" in verdict.line


async def test_another_model_is_a_difference() -> None:
    verdict = against(await bought(), shop(model=NamedModel("gemini-9")))
    assert told(verdict) == (2, "model_answered", "asks_model")
    assert 'asks_model(model="gemini-9")' in verdict.line


async def test_another_output_type_is_found_at_the_end() -> None:
    verdict = against(await bought(), shop(output_type=Answer))
    assert told(verdict) == (14, "session_completed", "session_completed")
    verdict = against(await bought(), shop(output_type=list[int]))
    assert told(verdict) == (14, "session_completed", "answer_refused")


async def test_a_compaction_is_found_where_it_would_have_been_made() -> None:
    verdict = against(await bought(), shop(compaction=Compaction(at=1, keep=1, by=lambda entries: "summary")))
    assert told(verdict) == (13, "model_answered", "transcript_compacted")


async def test_a_compaction_that_is_not_made_any_more_is_found() -> None:
    recording = await compacted()
    assert isinstance(against(recording, shop(compaction=COMPACTION)), Same)
    seq = next(event.seq for event in recording.events if event.kind == "transcript_compacted")
    assert told(against(recording, shop())) == (seq, "transcript_compacted", "asks_model")


COMPACTION = Compaction(at=1, keep=1, by=lambda entries: f"{len(entries)} entries")


async def compacted() -> Recording:
    play = Play(shop(model=ScriptedModel(lambda request: turn(request)), compaction=COMPACTION))
    await play.start()
    return await recorded(play)


def turn(request: Any) -> dict[str, Any]:
    summed = any(entry.kind == "summary" for entry in request.transcript)
    return {"text": "done"} if summed else TURNS[0]


async def test_an_end_where_the_recorded_session_rested_is_found() -> None:
    play = Play(shop(model=ScriptedModel([{"text": "one"}, {"text": "two"}]), conversation=True))
    await play.start()
    await play.send("more")
    recording = await recorded(play)
    verdict = against(recording, shop())
    assert told(verdict) == (3, "input_received", "session_completed")
    cut = replace(recording, events=recording.events[:2], commits=recording.commits[:2])
    assert told(against(cut, shop(), rests=False)) == (3, "rests", "session_completed")


async def test_work_where_the_recorded_session_rests_is_found_if_it_is_known_to_rest() -> None:
    play = Play(shop(model=ScriptedModel([{"text": "one"}]), conversation=True))
    await play.start()
    recording = await recorded(play)
    program = shop(output_type=Answer, conversation=True)
    assert told(against(recording, program)) == (3, "rests", "answer_refused")
    assert isinstance(against(recording, shop(conversation=True)), Same)


async def test_a_program_that_raises_is_found() -> None:
    class Broken(Agent):
        def decide(self, state: Any) -> Any:
            raise RuntimeError("no")

    verdict = against(await bought(), Broken("shop", model=NamedModel("scripted")))
    assert told(verdict) == (2, "model_answered", "raises")


async def test_a_doubt_that_is_decided_otherwise_is_found() -> None:
    @tool(effect="irreversible")
    async def ship(order: str) -> str:
        """Ship."""
        raise RuntimeError("the line broke")

    turns = ScriptedModel([{"calls": [call("ship", order="7")]}, {"text": "done"}])
    play = Play(shop(model=turns, tools=[ship]))
    await play.start()
    recording = await recorded(play)
    assert isinstance(against(recording, shop(model=turns, tools=[ship])), Same)

    @tool(effect="irreversible", name="ship")
    async def sure(order: str) -> str:
        """Ship."""
        return order

    @sure.reconcile
    async def shipped() -> Done[str]:
        return Done("yes")

    verdict = against(recording, shop(model=turns, tools=[sure]))
    assert told(verdict) == (6, "call_reconciled", "makes_call")


# --- versions ----------------------------------------------------------------------------------------------------


async def test_the_newest_version_decides_for_who_follows_and_the_own_for_who_is_pinned() -> None:
    recording = await bought()
    other = shop(version="2", tools=[look])
    assert told(against(recording, shop(), other))[0] == 3
    first = changed(recording.events[0], body=changed(recording.events[0].body, pinned=True))
    pinned = replace(recording, events=(first, *recording.events[1:]))
    assert isinstance(against(pinned, shop(), other), Same)
    with pytest.raises(BadInput, match="no program 'shop' of version '1'; the application has shop 2"):
        against(pinned, other)


async def test_an_unknown_program_is_named() -> None:
    with pytest.raises(BadInput, match="no program 'shop'; the application has desk 1"):
        against(await bought(), Agent("desk", model=NamedModel("scripted")))


async def test_versions_and_children_of_another_version_are_no_difference() -> None:
    def boss(version: str) -> Agent:
        child = shop(model=ScriptedModel([{"text": "done"}]), version=version)
        turns = ScriptedModel([{"calls": [call("shop", input="buy")]}, {"text": "bought"}])
        return Agent("boss", model=turns, tools=[child], version=version)

    play = Play(boss("1"))
    await play.start()
    assert isinstance(against(await recorded(play), boss("2")), Same)


async def test_another_child_is_found() -> None:
    def boss(limit: int) -> Agent:
        child = shop(model=ScriptedModel([{"text": "done"}]))
        turns = ScriptedModel([{"calls": [call("shop", input="buy")]}, {"text": "bought"}])
        return Agent("boss", model=turns, tools=[child.as_tool(limits=Limits(tokens=limit))])

    play = Play(boss(1000))
    await play.start()
    recording = await recorded(play)
    assert isinstance(against(recording, boss(1000)), Same)
    verdict = against(recording, boss(500))
    assert verdict.line == "event 4 (child_started) is decided differently: allotted.tokens was 1000, today 500"


# --- what was erased ---------------------------------------------------------------------------------------------


def without(recording: Recording, seq: int, field: str) -> Recording:
    events = list(recording.events)
    events[seq - 1] = changed(events[seq - 1], body=changed(events[seq - 1].body, **{field: Erased()}))
    return replace(recording, events=tuple(events))


async def test_an_erased_answer_leaves_open_what_was_decided_on_it() -> None:
    verdict = against(without(await bought(), 7, "answer"), shop())
    assert verdict == Unclear(seq=8, erased=(7,))
    assert verdict.line == "it can't be told from event 8 on: event 7 was erased, and the decision rests on it"


@pytest.mark.parametrize(
    ("seq", "field"), [(1, "input"), (3, "arguments"), (9, "arguments"), (4, "result"), (14, "output")]
)
async def test_what_no_decision_rests_on_may_be_erased(seq: int, field: str) -> None:
    assert isinstance(against(without(await bought(), seq, field), shop()), Same)


async def test_private_values_are_left_out_for_who_may_not_see_them() -> None:
    recording = await bought()
    verdict = against(recording, shop(output_type=Answer))
    assert isinstance(verdict, Divergence)
    assert "100" in verdict.line
    assert "100" not in str(verdict.doc(private=False))
    assert verdict.doc(private=False)["line"].endswith("(session_completed) is decided differently: output differs")
    tampered = without(recording, 14, "output")
    verdict = against(replace(tampered, events=tampered.events[:13]), shop(model=NamedModel("scripted")), rests=True)
    assert isinstance(verdict, Divergence)
    assert "100" not in str(verdict.doc(private=False))


# --- branches ----------------------------------------------------------------------------------------------------


async def branch(play: Play, id: str, **options: Any) -> Recording:
    await play.runner.parts.forker.fork(Fork(session="s", id=id, **options), ANN)
    await play.settle()
    return await recorded(play, id)


@pytest.mark.parametrize("effects", ["recorded", "live-model", "blocked", "live"])
async def test_branches_replay_the_same_wherever_they_left(effects: Any) -> None:
    play = Play(shop())
    await play.start()
    await play.decide("approved")
    for at in range(1, 15):
        recording = await branch(play, f"b{at}", at=at, effects=effects)
        assert isinstance(verdict := against(recording, shop()), Same), (at, verdict.line)


async def test_a_branch_with_a_model_and_instructions_of_its_own_replays_the_same() -> None:
    def resolved() -> App:
        return App(programs=[shop(model="m")]).resolved(lambda name: ScriptedModel(TURNS, name))

    play = Play(app=resolved())
    await play.start()
    recording = await branch(play, "b", at=2, effects="live-model", model="other", instructions="be short")
    models = [event.body.model for event in recording.events if isinstance(event.body, ModelAnswered)]
    assert models == ["other"] * len(models)
    assert models
    programs = App(programs=[shop(model="m")]).resolved(NamedModel).programs
    assert isinstance(replay(recording, programs, rests=True), Same)


# --- long ones ---------------------------------------------------------------------------------------------------


async def test_a_long_session_is_replayed_without_going_over_it_again_and_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def turn(request: Any) -> dict[str, Any]:
        many = sum(entry.kind == "answer" for entry in request.transcript)
        return {"calls": [call("look", order=str(many))]} if many < 300 else {"text": "done"}

    program = shop(model=ScriptedModel(turn), limits=None)
    play = Play(program)
    await play.start()
    recording = await recorded(play)
    asked = 0

    def counted(self: Agent, state: Any) -> Any:
        nonlocal asked
        asked += 1
        return decide(self, state)

    decide = Agent.decide
    monkeypatch.setattr(Agent, "decide", counted)
    assert isinstance(against(recording, program), Same)
    assert asked <= len(recording.events)


async def test_large_values_are_decided_on_as_they_were() -> None:
    """In the store they lie elsewhere, and a rule that sums up is shown only where."""

    def turn(request: Any) -> dict[str, Any]:
        if any(entry.kind == "summary" for entry in request.transcript):
            return {"text": "y" * 70_000}
        return {"text": "x" * 70_000, "calls": [call("look", order="z" * 70_000)]}

    rule = Compaction(at=20, keep=1, by=lambda entries: str([type(entry.value).__name__ for entry in entries]))
    program = shop(model=ScriptedModel(turn), compaction=rule)
    play = Play(program)
    await play.start()
    recording = await recorded(play)
    summaries = [event.body.summary for event in recording.events if isinstance(event.body, TranscriptCompacted)]
    assert any("Blob" in summary for summary in summaries)
    assert isinstance(verdict := against(recording, program), Same), verdict.line
    assert isinstance(against(recording, shop(compaction=None)), Divergence)
