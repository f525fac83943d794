"""Agents that ask other agents, and that hand their session over."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import BaseModel

from onward import Agent, App, Approval, BadInput, Limits, Refused, ScriptedModel, tool
from onward.core.absorb import bodies_of
from onward.core.events import Actor
from onward.core.program import Child, Handover
from onward.core.signals import Signal
from onward.core.state import State
from onward.engine.gateway import Start
from tests.unit.play import ANN, BEN, OPERATOR, Play, Watching, call, open_call


@tool(effect="irreversible", approval=Approval(timeout="1h"))
async def pay(amount: int) -> str:
    """Pay."""
    return f"paid {amount}"


@tool(effect="read")
async def look(order: str) -> str:
    """Look."""
    return f"{order} is here"


def agent(name: str, *turns: Any, **options: Any) -> Agent:
    model = ScriptedModel([turn if isinstance(turn, dict) else {"text": turn} for turn in turns], name=name)
    return Agent(name, **{"model": Watching(model), **options})


ASK = {"calls": [call("helper", input="what is it?")]}


def boss(*tools: Any, turns: Any = (ASK, "all done"), **options: Any) -> Agent:
    return agent("boss", *turns, tools=tools, **options)


async def child_of(play: Play, call: str | None = None) -> str:
    started = await play.bodies("child_started")
    return next(str(body.session) for body in started if call in (None, body.call))


async def result(play: Play) -> Any:
    (entry,) = [entry for entry in (await play.state()).transcript if entry.kind == "result"]
    return entry.value


# --- children --------------------------------------------------------------------------------------------------


async def test_a_call_is_a_session_of_its_own_and_its_output_the_result() -> None:
    helper = agent("helper", {"calls": [call("look", order="A1")]}, "it is a book", tools=[look])
    one = boss(helper)
    play = Play(one)
    await play.start()
    state = await play.check()
    assert (state.output, await result(play)) == ("all done", "it is a book")
    child = await play.check(await child_of(play))
    assert (child.input, child.program, child.parent and child.parent.session) == ("what is it?", "helper", "s")
    assert state.spent.turns == 2
    assert state.spent.tokens == 2 * 30 + child.spent.tokens


async def test_the_model_sees_a_tool_of_the_agents_name_that_takes_an_input() -> None:
    helper = agent("good-helper", description="Knows everything.")
    spec = boss(helper).offers["good_helper"].spec
    assert (spec.name, spec.description) == ("good_helper", "Knows everything.")
    assert spec.parameters["properties"] == {"input": {"type": "string"}}
    named = boss(helper.as_tool(name="expert", description="Ask.")).offers["expert"].spec
    assert (named.name, named.description) == ("expert", "Ask.")


class Question(BaseModel):
    about: str
    urgent: bool = False


@dataclass
class Query:
    about: str
    words: list[str] = field(default_factory=list)
    most: int = 3


@pytest.mark.parametrize(
    ("kind", "arguments", "input"),
    [
        (Question, {"about": "x"}, {"about": "x", "urgent": False}),
        (Query, {"about": "x"}, {"about": "x", "words": [], "most": 3}),
        (Query, {"about": "x", "words": ["a"], "most": 1}, {"about": "x", "words": ["a"], "most": 1}),
    ],
)
async def test_a_typed_input_has_its_fields_for_parameters(kind: Any, arguments: Any, input: Any) -> None:
    turns = [{"calls": [call("helper", **arguments)]}, "done"]
    play = Play(boss(agent("helper", "fine").as_tool(input_type=kind), turns=turns))
    await play.start()
    assert (await play.state(await child_of(play))).input == input


async def test_wrong_arguments_are_refused_before_anything_is_started() -> None:
    turns = [{"calls": [call("helper", question="?")]}, "done"]
    play = Play(boss(agent("helper", "fine"), turns=turns))
    await play.start()
    assert (await result(play))["code"] == "bad_arguments"
    assert not await play.bodies("child_started")


async def test_a_child_that_can_not_be_started_is_a_failed_call() -> None:
    """Its id is taken by a session of another program."""
    play = Play(boss(agent("helper", "x")))
    await play.runner.parts.gateway.start(Start("s:3.0", "other", "1"), ANN)
    await play.start()
    assert (await play.check()).output == "all done"
    assert (await result(play))["code"] == "exists"


async def test_a_child_that_is_cancelled_is_a_failed_call() -> None:
    play = Play(boss(agent("helper", ASK)))
    await play.start()
    child = await child_of(play)
    parked = await play.check(child)
    assert parked.parked is not None
    await play.signal("cancel", {"reason": "hopeless"}, OPERATOR, id=child)
    state = await play.check()
    assert state.output == "all done"
    assert await result(play) == {"code": "cancelled", "message": "hopeless"}


async def test_the_parent_waits_while_its_child_waits_for_a_person() -> None:
    helper = agent("helper", {"calls": [call("pay", amount=5)]}, "paid", tools=[pay])
    play = Play(boss(helper))
    await play.start()
    child = await child_of(play)
    assert [(wait.kind, wait.session) for wait in (await play.head()).waits] == [("child", child)]
    assert [wait.kind for wait in (await play.head(child)).waits] == ["approval"]
    await play.decide("approved", id=child)
    assert ((await play.check()).output, await result(play)) == ("all done", "paid")


async def test_the_parent_waits_while_its_child_is_parked_and_goes_on_with_what_an_operator_gives() -> None:
    play = Play(boss(agent("helper", {"text": "", "fails": [{"code": "refused"}] * 9})))
    await play.start()
    child = await child_of(play)
    assert (await play.head(child)).status == "needs_attention"
    assert (await play.state()).ended is None
    await play.signal("finish", {"output": {"by": "hand"}}, OPERATOR, id=child)
    assert await result(play) == {"by": "hand"}


@pytest.mark.parametrize(("on_close", "ended"), [("cancel", "cancelled"), ("abandon", None)])
async def test_a_parent_that_is_cancelled_cancels_its_children_or_abandons_them(on_close: Any, ended: Any) -> None:
    helper = agent("helper", {"calls": [call("pay", amount=5)]}, "paid", tools=[pay])
    play = Play(boss(helper.as_tool(on_close=on_close)))
    await play.start()
    child = await child_of(play)
    await play.signal("cancel", {"reason": "enough"})
    assert (await play.check()).ended == "cancelled"
    assert (await play.check(child)).ended == ended
    if ended is None:
        await play.decide("approved", id=child)
        assert (await play.check(child)).output == "paid"


async def test_a_cancel_that_comes_after_the_childs_end_is_refused_and_no_more() -> None:
    """Nobody waits for the child any more, and it ends while the engine says so to it."""
    helper = agent("helper", {"calls": [call("pay", amount=5)]}, "paid", tools=[pay])
    play = Play(boss(helper))
    await play.start()
    child = await child_of(play)
    await play.signal("finish", {}, OPERATOR, id=child, settle=False)
    await play.signal("cancel", {}, settle=False)
    await play.settle()
    assert (await play.check()).ended == "cancelled"
    assert (await play.check(child)).ended in ("completed", "cancelled")
    cancel = Signal("late", "cancel", {"reason": "late"}, Actor(kind="engine", name="s"))
    with pytest.raises(Refused, match="cancel refused: the session is"):
        bodies_of(await play.state(child), cancel)


async def test_several_children_run_side_by_side_and_each_answer_goes_to_its_call() -> None:
    def model(request: Any) -> Any:
        return {"text": f"about {request.transcript[0].value}"}

    helper = Agent("helper", model=ScriptedModel(model))
    turns = [{"calls": [call("helper", input=text) for text in "abc"]}, "done"]
    play = Play(boss(helper, turns=turns))
    await play.start()
    results = {entry.call: entry.value for entry in (await play.check()).transcript if entry.kind == "result"}
    assert results == {"3.0": "about a", "3.1": "about b", "3.2": "about c"}


async def test_children_of_children() -> None:
    leaf = agent("leaf", "deep")
    middle = agent("middle", {"calls": [call("leaf", input="deeper")]}, "from the middle", tools=[leaf])
    play = Play(boss(middle, turns=[{"calls": [call("middle", input="down")]}, "done"]))
    await play.start()
    assert ((await play.check()).output, await result(play)) == ("done", "from the middle")
    below = await child_of(play)
    (started,) = await play.bodies("child_started", below)
    assert (await play.check(started.session)).output == "deep"


async def test_starting_a_child_passes_approval_like_any_call() -> None:
    helper = agent("helper", "fine")
    risky = helper.as_tool(approval=Approval(when=lambda args: "what" in args.input, rule="questions"))
    play = Play(boss(risky))
    await play.start()
    (asked,) = await play.bodies("approval_requested")
    assert (asked.rule, asked.effect, asked.undo) == ("questions", "idempotent", None)
    assert not await play.bodies("child_started")
    await play.decide("approved", arguments={"input": "something else"})
    assert (await play.check()).output == "all done"
    assert (await play.state(await child_of(play))).input == "something else"


async def test_an_interrupting_input_cancels_the_children() -> None:
    helper = agent("helper", {"calls": [call("pay", amount=5)]}, "paid", tools=[pay])
    one = boss(helper, turns=[ASK, "stopped"], on_input="interrupt")
    play = Play(one)
    await play.start()
    child = await child_of(play)
    await play.send("stop")
    state = await play.check()
    assert (state.output, await result(play)) == (
        "stopped",
        {"code": "interrupted", "message": "an input came before it was performed"},
    )
    assert (await play.check(child)).ended == "cancelled"


async def test_children_that_start_together_share_what_their_parent_has_left() -> None:
    helper = agent("helper", "fine", max_output_tokens=500)
    turns = [{"calls": [call("helper", input=text) for text in "abc"]}, "done"]
    play = Play(boss(helper, turns=turns, limits=Limits(tokens=30_000)))
    await play.start()
    state = await play.check()
    allotted = [body.allotted.tokens for body in await play.bodies("child_started")]
    assert allotted == [(30_000 - 30) // 3] * 3
    assert (state.output, state.spent.tokens) == ("done", 5 * 30)


def test_a_child_may_spend_what_it_may_itself_and_no_more_than_it_is_given() -> None:
    helper = agent("helper", limits=Limits(turns=5, tokens=900))
    child = boss(helper.as_tool(limits=Limits(tokens=1000, calls=2, turns=3))).offers["helper"].elsewhere  # type: ignore[union-attr]
    assert isinstance(child, Child)
    assert child.limits == Limits(turns=3, tokens=900, calls=2)
    assert (child.program, child.version, child.on_close) == ("helper", "1", "cancel")


# --- handovers -------------------------------------------------------------------------------------------------


def front_and_back(front_turns: Any, back_turns: Any, **options: Any) -> tuple[Agent, Agent]:
    front = agent("front-desk", *front_turns, handovers=lambda: [back], tools=[look], **options)
    back = agent("billing", *back_turns, handovers=lambda: [front], tools=[pay], description="Knows all bills.")
    return front, back


OVER = {"calls": [call("transfer_to_billing", reason="a bill")]}
BACK = {"calls": [call("transfer_to_front_desk")]}


async def test_a_handover_gives_the_session_with_all_that_was_said_to_the_other_agent_and_back() -> None:
    front, back = front_and_back([OVER, "", "bye from the desk"], ["", BACK])
    play = Play(front)
    await play.start("my bill is wrong")
    state = await play.check()
    assert (state.program, state.output) == ("front-desk", "bye from the desk")
    assert [body.program for body in await play.bodies("program_changed")] == ["billing", "front-desk"]
    watched: Any = back.model
    assert [kind for kind, _ in watched.said()] == ["input", "answer", "result"]
    assert watched.said()[-1] == ("result", {"handed_over_to": "billing"})
    assert [spec.name for spec in watched.requests[0].tools] == ["pay", "transfer_to_front_desk"]


async def test_what_the_new_agent_does_is_its_own() -> None:
    front, _ = front_and_back([OVER], ["", {"calls": [call("pay", amount=3)]}, "paid"])
    play = Play(front)
    await play.start()
    await play.decide("approved")
    state = await play.check()
    assert (state.program, state.output) == ("billing", "paid")


async def test_other_calls_of_the_answer_come_first() -> None:
    turn = {"calls": [*OVER["calls"], call("look", order="A1"), call("nothing")]}
    front, back = front_and_back([turn], ["", "hello from billing"])
    play = Play(front)
    await play.start()
    assert (await play.check()).output == "hello from billing"
    kinds = await play.kinds()
    assert kinds.index("call_completed") < kinds.index("program_changed")
    assert len([kind for kind, _ in back.model.said() if kind == "result"]) == 3  # type: ignore[union-attr]


async def test_only_the_first_of_several_handovers_is_one() -> None:
    front, _ = front_and_back([{"calls": [*OVER["calls"], *OVER["calls"]]}], ["", "hello"])
    play = Play(front)
    await play.start()
    state = await play.check()
    refused = [entry.value["code"] for entry in state.transcript if entry.failed]
    assert (refused, state.program) == (["one_handover"], "billing")


async def test_a_handover_can_need_a_person() -> None:
    back = agent("billing", "", "hello")
    front = agent("front", OVER, "then not", handovers=[back.as_handover(approval=Approval(timeout="1h"))])
    play = Play(front)
    await play.start()
    await play.decide("rejected", BEN, reason="not yet")
    state = await play.check()
    assert (state.program, state.output) == ("front", "then not")


async def test_a_conversation_is_handed_over_with_its_ways() -> None:
    back = agent("billing", "", "which bill?", "that one", conversation=True, on_input="reject")
    front = agent("front", OVER, handovers=[back], conversation=True)
    play = Play(front)
    await play.start()
    state = await play.check()
    assert (state.program, state.on_input, state.ended) == ("billing", "reject", None)
    await play.send("the last")
    assert (await play.check()).last.value["text"] == "that one"  # type: ignore[union-attr]


def test_a_handover_is_described_by_the_other_agent() -> None:
    front, back = front_and_back([], [])
    spec = front.offers["transfer_to_billing"].spec
    assert spec.description == "Hand the conversation over to billing: Knows all bills. It sees all that was said."
    over, look = open_call("transfer_to_billing"), open_call("look")
    assert front.elsewhere(over, State()) == Handover("billing", "1", "enqueue")
    assert (front.elsewhere(look, State()), front.performer(over, State())) == (None, None)
    named = agent("x", handovers=[back.as_handover(name="give_up", description="Give up.")])
    assert named.offers["give_up"].spec.description == "Give up."


# --- declaring -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"name": "has space"}, "as a tool 'has space'"),
        ({"name": "x" * 65}, "a name is 1 to 64"),
        ({"on_close": "keep"}, "tool helper: on_close 'keep' is none of cancel, abandon"),
        ({"limits": 5}, r"agent helper: as_tool\(limits=5\) must be Limits"),
        ({"approval": True}, "tool helper: approval must be an Approval"),
        ({"input_type": str}, "tool helper: input_type is a pydantic model or a dataclass"),
        ({"input_type": type("Empty", (BaseModel,), {})}, "has no fields"),
    ],
)
def test_a_wrong_agent_tool_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        agent("helper").as_tool(**options)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"tools": [agent("helper"), agent("helper")]}, "agent boss: two tools are named helper"),
        ({"tools": look}, "agent boss: tools is no list"),
        ({"handovers": agent("a")}, "agent boss: handovers is no list"),
        ({"handovers": [look]}, r"agent boss: handovers\[0\] is no agent"),
        ({"handovers": [agent("a"), agent("a")]}, "agent boss: two tools are named transfer_to_a"),
    ],
)
def test_a_wrong_team_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        agent("boss", **options)


def test_late_handovers_that_are_none_are_refused_when_the_application_is_declared() -> None:
    with pytest.raises(BadInput, match=r"agent boss: handovers\[0\] is no agent"):
        App(programs=[agent("boss", handovers=lambda: [look])])


def test_an_agent_with_a_long_name_needs_a_shorter_one_for_its_handover() -> None:
    with pytest.raises(BadInput, match="give name="):
        agent("x" * 63).as_handover()


def test_an_application_finds_the_agents_behind_its_agents() -> None:
    front, back = front_and_back([], [])
    leaf = agent("leaf")
    top = agent("top", tools=[leaf], handovers=[front])
    app = App(programs=[top])
    assert app.names == ("top", "leaf", "front-desk", "billing")
    assert app.choose() is top
    assert app.choose("billing") is back
    assert App(programs=[top, front]).names == ("top", "front-desk", "leaf", "billing")


def test_two_agents_of_one_name_and_version_are_refused_though_one_is_only_found() -> None:
    with pytest.raises(BadInput, match="two agents leaf of version '1'"):
        App(programs=[agent("top", tools=[agent("leaf")]), agent("leaf")])
    with pytest.raises(BadInput, match="two agents leaf of version '1'"):
        App(programs=[agent("top", tools=[agent("leaf"), agent("leaf").as_tool(name="other")])])


def test_a_listed_version_is_newer_than_one_that_is_only_found() -> None:
    old, new = agent("leaf"), agent("leaf", version="2")
    app = App(programs=[new, agent("top", tools=[old])])
    assert app.newest("leaf") is new
    assert app.program("leaf", "1") is old


def test_found_agents_get_the_other_model_too() -> None:
    front, _ = front_and_back([], [])
    model = ScriptedModel([])
    app = App(programs=[front]).with_model(model)
    assert [program.model for program in app.programs.values()] == [model, model]  # type: ignore[attr-defined]
    resolved = App(programs=[Agent("top", model="big", tools=[Agent("leaf", model="big")])]).resolved(
        {"big": model}.get
    )
    assert [program.model for program in resolved.programs.values()] == [model, model]  # type: ignore[attr-defined]
    assert resolved.choose().name == "top"
