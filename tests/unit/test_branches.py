"""Branches: where they may leave, what they take along, and what becomes of their effects."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from onward import Agent, Approval, BadInput, Compaction, Limits, NotFound, Refused, Route, ScriptedModel
from onward.config import CloudSettings
from onward.core.canonical import DEEPEST
from onward.core.files import File
from onward.core.ids import session_key
from onward.core.log import verify
from onward.core.model import ModelAnswer, ModelCall, ModelRequest
from onward.core.payload import Blob, Erased
from onward.engine.fork import Fork
from onward.errors import PromptTooLong
from onward.surfaces.functions.worker import load
from tests.cloud.test_settings import GOOD
from tests.unit.forking import Forks, asks, desk, done
from tests.unit.play import ANN, BEN, OPERATOR, Watching

PAYS = asks(("look", {"order": "A1"}), ("pay", {"amount": 3}))


async def paid(*turns: Any, **options: Any) -> Forks:
    """A session that has looked and paid, and ended."""
    play = Forks(desk(*(turns or (PAYS, "thanks")), **options))
    await play.start()
    return play


# --- where a branch leaves -------------------------------------------------------------------------------------


async def test_g14_a_branch_of_any_event_goes_its_parents_way() -> None:
    play = await paid()
    before, parent = list(done), await play.said("s")
    for at in range(1, (await play.head()).seq + 1):
        head = await play.fork(at, f"b{at}")
        assert (head.status, await play.said(f"b{at}"), head.spent.turns) == ("completed", parent, 0)
        verify(await play.runner.backend.store.commits(head.key), head.hash)
    assert done == before


async def test_g14_a_branch_of_a_running_session_at_each_of_its_events() -> None:
    """Each is made where its parent stands; its record grows until they are let go on."""
    play = Forks(desk(PAYS, "thanks"))
    await play.start(settle=False)
    heads = []
    while not (await play.head()).ended:
        await play.runner.deliver()
        heads.append(await play.fork(None, f"b{len(heads)}", settle=False))
    await play.settle()
    assert len({head.origin.seq for head in heads if head.origin}) > 2
    assert [(await play.head(head.id)).status for head in heads] == ["completed"] * len(heads)


async def test_g14_two_branches_of_one_event_at_once() -> None:
    play = await paid()
    forks = [Fork(session="s", id=id, at=2) for id in ("b1", "b2", "same", "same")]
    made = await asyncio.gather(*[play.runner.parts.forker.fork(fork, ANN) for fork in forks])
    await play.settle()
    assert [new for _, new in made].count(True) == 3
    assert await play.said("b1") == await play.said("b2") == await play.said("same") == await play.said("s")


async def test_g14_a_branch_of_a_branch_of_a_branch() -> None:
    play = await paid(PAYS, asks(("pay", {"amount": 3})), "thanks")
    before, of = list(done), "s"
    for branch in ("b1", "b2", "b3"):
        head = await play.fork("model_answered", branch, of=of)
        assert (head.family, await play.said(branch)) == ("s", await play.said("s"))
        of = branch
    assert done == before


async def test_a_branch_leaves_a_branch_behind_its_beginning() -> None:
    """That it started, what it goes on from and the calls open there are one fact."""
    play = await paid()
    await play.fork("calls_proposed", "b")
    for at in (1, 2, 3):
        head = await play.fork(at, f"c{at}", of="b")
        assert head.origin is not None
        assert head.origin.seq == 3
        assert await play.said(f"c{at}") == await play.said("s")


@pytest.mark.parametrize("at", [0, -1, 99])
async def test_g15_a_branch_of_no_event(at: int) -> None:
    play = await paid()
    with pytest.raises(BadInput, match=f"at: {at} is no event of session s"):
        await play.fork(at)
    assert await play.runner.backend.store.read(session_key("default", "b")) is None


async def test_g15_a_branch_of_no_session() -> None:
    play = await paid()
    with pytest.raises(NotFound):
        await play.fork(1, of="x")
    await play.delete()
    with pytest.raises(NotFound, match="deleted"):
        await play.fork(1)


async def test_the_same_branch_is_the_same_session() -> None:
    play = await paid()
    first = await play.fork(2)
    assert (await play.fork(2)).hash == first.hash
    for other in ({"at": 3}, {"at": 2, "effects": "blocked"}, {"at": 2, "input": "and?"}, {"at": 2, "of": "b"}):
        with pytest.raises(Refused, match="session b exists"):
            await play.fork(**other)
    with pytest.raises(Refused, match="session b exists"):
        await play.fork(2, exists="reject")
    with pytest.raises(Refused, match="session s exists"):
        await play.fork(2, "s")


async def test_a_branch_of_where_it_stood_stays_the_same_when_its_parent_goes_on() -> None:
    play = Forks(desk("hello", "hello again", conversation=True))
    await play.start()
    first = await play.fork()
    await play.send("more")
    assert (await play.fork()).origin == first.origin


async def test_an_id_that_was_deleted_is_no_branch_and_keeps_nothing() -> None:
    play = await paid(asks(("archive", {"size": 70_000})), "thanks")
    await play.fork()
    await play.delete("b")
    with pytest.raises(Refused, match="an id starts only once"):
        await play.fork()
    (blob,) = [entry.value for entry in (await play.state()).transcript if isinstance(entry.value, Blob)]
    assert await play.runner.backend.blobs.get(session_key("default", "b"), f"blobs/{blob.digest}") is None


async def test_an_id_that_is_taken_gets_nothing_of_the_parents() -> None:
    """What would have been copied does not lie beside somebody else's session."""
    play = await paid(asks(("archive", {"size": 70_000})), "thanks")
    await play.fork(1, "t", effects="blocked")
    with pytest.raises(Refused):
        await play.fork(None, "t")
    (blob,) = [entry.value for entry in (await play.state()).transcript if isinstance(entry.value, Blob)]
    assert await play.runner.backend.blobs.get(session_key("default", "t"), f"blobs/{blob.digest}") is None


# --- what is open there ----------------------------------------------------------------------------------------


async def test_a_branch_of_a_call_in_doubt_has_what_became_of_it() -> None:
    play = await paid(asks(("vanish", {"amount": 3})), "so what")
    await play.signal("outcome", {"call": "3.0", "status": "done", "result": "it was made"}, OPERATOR)
    for kind in ("call_started", "call_in_doubt", "call_reconciled"):
        await play.fork(kind, kind)
        assert await play.results(kind) == ["it was made"]
    assert done == [("vanish", 3)]


async def test_a_call_in_doubt_that_nobody_resolved_is_blocked() -> None:
    play = await paid(asks(("vanish", {"amount": 3})), "so what")
    await play.fork("call_in_doubt")
    (result,) = await play.results()
    assert result["code"] == "blocked"
    assert "the record of session s has no vanish with these arguments" in result["message"]


@pytest.mark.parametrize("effects", ["blocked", "live"])
@pytest.mark.parametrize(
    ("tool", "what", "kind"),
    [
        (("lend", {"amount": 9}), "approval", "approval_requested"),
        (("ship", {"order": "A1"}), "call", "call_pending"),
        (("nap", {"hours": 2}), "call", "call_pending"),
        (("vanish", {"amount": 1}), "call", "call_started"),
    ],
)
async def test_g14_what_is_open_stays_the_parents(effects: Any, tool: Any, what: str, kind: str) -> None:
    play = await paid(asks(tool), "all right")
    before = list(done)
    head = await play.fork(kind, effects=effects)
    (result,) = await play.results()
    assert (result["code"], head.status, done) == ("not_inherited", "completed", before)
    (forked,) = await play.bodies("session_forked", "b")
    assert [(left.what, left.name, left.tool) for left in forked.not_inherited] == [(what, "3.0", tool[0])]
    assert not (await play.state("b")).timers


async def test_a_branch_of_a_child_tells_nobody() -> None:
    helper = desk(asks(("pay", {"amount": 1})), "it is a book", name="helper")
    play = Forks(desk(asks(("helper", {"input": "look"})), "done", tools=[helper]))
    await play.start()
    child, parent = "s:3.0", await play.head()
    head = await play.fork("session_started", of=child)
    assert (head.parent, head.status, head.family) == (None, "completed", child)
    assert (await play.head()).hash == parent.hash


async def test_g14_a_child_is_an_answer_as_any_other_call_and_none_is_started() -> None:
    helper = desk("it is a book", name="helper")
    play = Forks(desk(asks(("helper", {"input": "look"})), "done", tools=[helper]))
    await play.start()
    await play.fork("session_started")
    assert await play.results() == ["it is a book"]
    assert not await play.bodies("child_started", "b")


async def test_g14_children_of_a_live_branch_ask_too() -> None:
    helper = desk(asks(("pay", {"amount": 1})), "paid", name="helper")
    play = Forks(desk(asks(("helper", {"input": "pay"})), "done", tools=[helper]))
    await play.start()
    await play.fork("session_started", effects="live")
    (started,) = await play.bodies("child_started", "b")
    child = await play.head(started.session)
    assert (child.status, [wait.tool for wait in child.waits], child.format) == ("waiting", ["pay"], 3)
    assert done == [("pay", 1)]
    await play.decide("approved", id=started.session)
    assert (await play.head("b")).status == "completed"


@pytest.mark.parametrize("how", ["park", "pause", "cancel", "finish", "schedule"])
async def test_a_branch_of_a_session_that_does_not_go_on(how: str) -> None:
    """What holds or ends its parent is no part of it."""
    play = Forks(desk(asks(("lend", {"amount": 9})), "thanks"))
    await play.start()
    if how == "park":
        await play.signal("resume", {"reason": "x"}, OPERATOR)
    else:
        await play.signal("pause" if how in ("pause", "schedule") else how, {"reason": "x"}, OPERATOR)
    head = await play.fork(None, effects="blocked")
    assert head.status == "completed"


# --- effects ---------------------------------------------------------------------------------------------------


async def test_g14_a_live_branch_is_never_answered_for_by_time() -> None:
    """Its parent's tool is called when nobody decides in time: in a branch somebody must."""
    play = await paid(asks(("give", {"amount": 3})), "thanks")
    await play.pass_time(2 * 3600)
    assert done == [("give", 3)]
    await play.fork("session_started", effects="live")
    await play.pass_time(2 * 3600)
    (result,) = await play.results()
    assert (result["code"], done) == ("approval_expired", [("give", 3)])


async def test_g14_a_live_branch_asks_though_the_rule_does_not() -> None:
    play = await paid(asks(("lend", {"amount": 1}), ("look", {"order": "A1"})), "thanks")
    head = await play.fork("session_started", effects="live")
    assert [wait.tool for wait in head.waits] == ["lend"]
    assert done.count(("lend", 1)) == 1
    await play.decide("approved", BEN, id="b", arguments={"amount": 2})
    assert (await play.results())[-1] == "lent 2"


async def test_g14_the_same_call_twice_has_both_outcomes_in_their_order() -> None:
    twice = asks(("look", {"order": "A1"}), ("look", {"order": "A1"}), ("pay", {"amount": 1}), ("pay", {"amount": 1}))
    play = await paid(twice, "thanks")
    await play.fork("session_started")
    assert sorted(map(str, await play.results())) == sorted(map(str, await play.results("s")))
    assert len((await play.state("b")).recalled) == 4


async def test_g14_what_a_branch_had_before_its_own_branch_does_not_have_again() -> None:
    """The one payment was told to the branch: a branch of it that asks once more is not told of it again."""
    again = asks(("pay", {"amount": 3}))
    play = await paid(PAYS, "thanks")
    await play.fork("model_answered", "b1")
    answer = await play.first("model_answered", "b1")
    edited = {"calls": [{"name": one["tool"], "arguments": one["arguments"]} for one in again["calls"]]}
    await play.fork(answer, "b2", of="b1", edits={answer: edited})
    (result,) = (await play.results("b2"))[2:]
    assert result["code"] == "blocked"


async def test_g14_a_branch_of_a_deleted_parent_is_blocked_and_says_why() -> None:
    play = await paid()
    await play.fork("model_answered", settle=False)
    await play.delete()
    await play.settle()
    assert {result["code"] for result in await play.results()} == {"blocked"}
    assert "the record of session s is gone" in (await play.results())[0]["message"]
    assert (await play.head("b")).status == "completed"


async def test_a_parent_that_is_deleted_while_it_is_branched() -> None:
    """Nothing is made, and the error says what happened."""
    play = await paid(asks(("archive", {"size": 70_000})), "thanks")
    blobs = play.runner.backend.blobs
    get = blobs.get

    async def deletes(key: str, name: str) -> Any:
        blobs.get = get
        await play.delete()
        return await get(key, name)

    blobs.get = deletes
    with pytest.raises(NotFound, match="deleted"):
        await play.fork()


async def test_g14_a_handover_that_somebody_refused_is_not_made() -> None:
    other = desk("here I am", name="other")
    asked = Agent.as_handover(other, approval=Approval())
    play = Forks(desk(asks(("transfer_to_other", {})), "then I stay", handovers=[asked]))
    await play.start()
    await play.decide("rejected")
    await play.fork("session_started")
    assert await play.said() == await play.said("s")
    assert (await play.head("b")).program == "desk"


async def test_g14_a_handover_is_made_again() -> None:
    other = desk("", "here I am", name="other")
    play = Forks(desk(asks(("transfer_to_other", {})), handovers=[other]))
    await play.start()
    for at in range(1, (await play.head()).seq + 1):
        head = await play.fork(at, f"b{at}")
        assert (head.program, await play.said(f"b{at}")) == ("other", await play.said("s"))


async def test_g14_a_model_that_was_left_for_another_is_not_asked_again() -> None:
    down = Watching(ScriptedModel([{"text": "", "fails": [{"code": "refused"}]}] * 3, name="down"))
    play = Forks(desk("thanks", model=[Route(down), ScriptedModel([{"text": "thanks"}], name="up")]))
    await play.start()
    before = len(down.requests)
    for at in range(1, (await play.head()).seq + 1):
        await play.fork(at, f"b{at}")
        assert await play.said(f"b{at}") == await play.said("s")
    assert len(down.requests) == before


async def test_g14_a_prompt_that_was_too_long_is_made_shorter_again() -> None:
    short = Compaction(at=10**9, keep=1, by=lambda entries: "much was said")
    model = Short()
    play = Forks(desk(model=model, compaction=short))
    await play.start()
    before, parent = model.asked, await play.said("s")
    assert parent[0] == ("summary", "much was said")
    for at in range(1, (await play.head()).seq + 1):
        await play.fork(at, f"b{at}")
        assert await play.said(f"b{at}") == parent
    assert model.asked == before


class Short:
    """A model that takes no more than three entries at a time."""

    name = "short"
    asked = 0

    async def answer(self, request: ModelRequest) -> ModelAnswer:
        self.asked += 1
        if len(request.transcript) > 3:
            raise PromptTooLong("it is too long")
        looked = any(entry.kind == "summary" for entry in request.transcript)
        orders = [f"A{len(request.transcript)}"] if not looked else []
        return ModelAnswer(text="thanks", calls=tuple(ModelCall("look", {"order": order}) for order in orders))


async def test_g11_what_a_branch_has_from_a_record_is_not_spent() -> None:
    play = await paid(PAYS, asks(("look", {"order": "B2"})), "thanks", "again", limits=Limits(turns=3, calls=3))
    head = await play.fork("session_started")
    assert (head.status, head.spent.turns, head.spent.calls) == ("completed", 0, 0)
    head = await play.fork(None, "c", input="and?")
    assert (head.status, head.spent.turns, head.spent.calls) == ("completed", 1, 0)


async def test_g11_a_turn_that_is_in_the_record_is_under_no_limit_and_any_other_is() -> None:
    """Its parent was let go on by an operator; the branch needs nobody for what costs it nothing."""
    play = await paid("thanks", "again", limits=Limits(tokens=9000))
    await play.start("x" * 3000, id="t")
    assert (await play.head("t")).status == "needs_attention"
    await play.signal("resume", {"limits": {"tokens": 90_000}}, OPERATOR, id="t")
    head = await play.fork(1, of="t")
    assert (head.status, head.limits.tokens, head.spent.tokens) == ("completed", 9000, 0)
    head = await play.fork(1, "c", of="t", input="more")
    assert (head.status, head.error and head.error.code, head.spent.tokens) == ("needs_attention", "limit_reached", 0)


async def test_live_model_asks_the_model_and_answers_calls_from_the_record() -> None:
    agent = desk(PAYS, "thanks")
    play = Forks(agent)
    await play.start()
    model: Any = agent.model
    before = len(model.requests)
    head = await play.fork("session_started", effects="live-model")
    assert (head.spent.turns, len(model.requests) - before, len(done)) == (2, 2, 2)
    assert await play.said() == await play.said("s")


# --- what is changed -------------------------------------------------------------------------------------------


async def test_another_model_other_instructions_and_an_input() -> None:
    agent = desk("hello", "again")
    play = Forks(agent)
    await play.start()
    await play.fork(instructions="be brief", input="and now?")
    model: Any = agent.model
    assert (model.requests[-1].instructions, model.said()[-1]) == ("be brief", ("input", "and now?"))
    head = await play.fork(1, "c", model="another")
    assert (head.status, head.error and head.error.code) == ("needs_attention", "unknown_model")


async def test_a_model_of_a_deployment_s_branch_is_no_file_there(tmp_path: Path) -> None:
    (tmp_path / "own.json").write_text('{"turns": [{"text": "hello"}]}')
    (tmp_path / "app.py").write_text(
        "from onward import Agent, App\napp = App(programs=[Agent('desk', model='scripted:own.json')])\n"
    )
    play = Forks(app=load(CloudSettings.from_env(GOOD | {"ONWARD_APP": str(tmp_path / "app.py")})))
    await play.start()
    assert (await play.state("s")).output == "hello"  # what the application itself names
    for name in ("own.json", str(tmp_path / "own.json"), "/dev/zero"):
        head = await play.fork(1, f"b{len(name)}", model=f"scripted:{name}")
        assert (head.status, head.error and head.error.code) == ("needs_attention", "unknown_model")


async def test_long_instructions_go_along_with_a_branch_of_the_branch() -> None:
    agent = desk("hello", "again")
    play = Forks(agent)
    await play.start()
    long = "be very brief. " * 50_000
    await play.fork(1, instructions=long)
    await play.fork(2, "c", of="b")
    model: Any = agent.model
    assert model.requests[-1].instructions == long
    assert len(model.requests) == 3


async def test_instructions_that_were_erased_are_not_replaced_by_the_programs() -> None:
    agent = desk("hello", "again")
    play = Forks(agent)
    await play.start()
    await play.fork(1, instructions="our secret", settle=False)
    await play.erase(2, "instructions", "b")
    head, model = await play.head("b"), agent.model
    assert (head.status, head.error and head.error.code) == ("needs_attention", "instructions_erased")
    assert isinstance(model, Watching)
    assert len(model.requests) == 1
    with pytest.raises(BadInput, match="instructions: those of session b were erased"):
        await play.fork(2, "c", of="b")


@pytest.mark.parametrize(
    ("kind", "value", "kept"),
    [
        ("session_started", "another question", ("input", "another question")),
        ("call_completed", "it is gone", ("result", "it is gone")),
        ("model_answered", {"text": "I won't"}, ("answer", {"text": "I won't", "calls": []})),
    ],
)
async def test_an_edit_is_what_the_branch_goes_on_from(kind: str, value: Any, kept: Any) -> None:
    play = await paid()
    at = await play.first(kind)
    await play.fork(at, edits={at: value}, effects="blocked")
    assert kept in await play.said()
    (forked,) = await play.bodies("session_forked", "b")
    assert forked.edited == [at]
    assert kept not in await play.said("s")


@pytest.mark.parametrize(
    ("edits", "why"),
    [
        ({3: "x"}, "has no value to change"),
        ({99: "x"}, "there is no event 99"),
        ({2: "x"}, "is a model's answer"),
        ({2: {"text": "no", "calls": []}}, "were acted on in event 3"),
        ({1: float("nan")}, "not a JSON value"),
    ],
)
async def test_g15_an_edit_of_what_can_not_be_edited(edits: Any, why: str) -> None:
    play = await paid()
    with pytest.raises(BadInput, match=why):
        await play.fork(5, edits=edits)


async def test_g15_calls_are_not_put_into_an_answer_that_others_stand_on() -> None:
    play = Forks(desk("hello", "again", conversation=True))
    await play.start()
    await play.send("more")
    with pytest.raises(BadInput, match="were acted on in event 4"):
        await play.fork(4, edits={2: {"calls": [{"name": "look", "arguments": {"order": "A1"}}]}})


async def test_g15_how_a_branch_began_and_how_a_child_failed_have_no_value() -> None:
    play = await paid()
    await play.fork(2)
    with pytest.raises(BadInput, match=r"event 1 \(session_started\) has no value to change"):
        await play.fork(None, "c", of="b", edits={1: "x"})


# --- large values, and what was erased -------------------------------------------------------------------------


@pytest.mark.parametrize("size", [70_000, 1_500_000])
async def test_g14_large_values_are_the_branchs_own(size: int) -> None:
    large, picture = ("archive", {"size": size}), ("photograph", {})
    play = await paid(asks(large, picture), "a", asks(large), "b", conversation=True)
    await play.send("m" * size)
    for at in (None, "calls_proposed", "call_completed"):
        await play.fork(at, f"b-{at}")
    await play.signal("finish", {}, OPERATOR)
    await play.delete()
    for at in (None, "calls_proposed", "call_completed"):
        head = await play.head(f"b-{at}")
        recording = await play.runner.parts.loader.recording(head)
        values = [entry.value for entry in recording.state().transcript]
        assert "a" * size in values
        picture_of = next(value for value in values if isinstance(value, dict) and "$file" in value)
        digest = picture_of["$file"]["digest"]
        assert await play.runner.backend.blobs.get(head.key, f"files/{digest}")


async def test_a_long_input_in_the_middle_of_a_turn_goes_along() -> None:
    play = await paid(asks(("lend", {"amount": 9})), "thanks")
    await play.send("m" * 80_000)
    await play.fork()
    assert ("input", "m" * 80_000) in [
        (kind, await play.runner.parts.loader.resolve(session_key("default", "b"), value))
        for kind, value in await play.said()
    ]


async def test_what_was_erased_stays_erased_in_a_branch() -> None:
    play = await paid()
    await play.erase(1, "input")
    head = await play.fork("model_answered")
    assert (head.status, (await play.said())[0]) == ("completed", ("input", Erased()))
    assert not [event for event in await play.events("b") if event.kind == "call_refused"]


async def test_what_is_erased_of_a_record_is_no_answer_any_more() -> None:
    """Also where it was read before."""
    play = await paid()
    await play.fork("model_answered", "b1")
    await play.erase(await play.first("call_completed"), "result")
    await play.fork("model_answered", "b2")
    assert [isinstance(result, dict) and result.get("code") for result in await play.results("b2")].count(
        "blocked"
    ) == 1


async def test_a_branch_without_its_base_is_parked_for_good_and_can_be_read() -> None:
    large = ("archive", {"size": 70_000})
    play = await paid(asks(large), asks(("lend", {"amount": 9})), "thanks", conversation=True)
    await play.fork(None, settle=False)
    blobs = [entry.value for entry in (await play.state("b")).transcript if isinstance(entry.value, Blob)]
    await play.erase(2, "base", "b")
    for again in (False, True):
        if again:
            await play.resume(id="b")
        head = await play.head("b")
        assert (head.status, head.error and head.error.code) == ("needs_attention", "base_erased")
    assert not await play.said()
    assert not await play.bodies("model_answered", "b")
    key = session_key("default", "b")
    assert [await play.runner.backend.blobs.get(key, f"blobs/{blob.digest}") for blob in blobs] == [None]
    await play.signal("cancel", {"reason": "x"}, OPERATOR, id="b")
    assert (await play.head("b")).status == "cancelled"


# --- what it costs ---------------------------------------------------------------------------------------------


async def test_a_record_is_read_once_for_all_branches_of_a_session() -> None:
    play = await paid(*[asks(("look", {"order": f"A{at}"})) for at in range(20)], "thanks")
    commits, counts = (await play.head()).commits, play.counted()
    for at in range(40):
        await play.fork(1 + at % 40, f"b{at}", settle=False)
    forked = counts[session_key("default", "s"), "commits"]
    await play.settle()
    assert counts[session_key("default", "s"), "commits"] - forked == commits
    assert len(play.runner.parts.performing._records._read) == 1


async def test_a_branch_of_the_end_of_a_long_session_reads_as_little_as_of_a_short_one() -> None:
    reads = []
    for turns in (5, 100):
        play = Forks(desk(*[asks(("look", {"order": f"A{at}"})) for at in range(turns)], "thanks", limits=None))
        await play.start()
        play.runner.parts.loader.cache.drop(session_key("default", "s"))
        counts = play.counted()
        await play.fork(settle=False)
        reads.append(counts[session_key("default", "s"), "commits"])
    assert max(reads) <= 9


async def test_who_looks_back_again_reads_little_and_nothing_that_was_erased_since() -> None:
    play = Forks(desk(*[asks(("look", {"order": f"A{at}"})) for at in range(200)], "thanks", limits=None))
    await play.start()
    at, key = (await play.head()).seq - 60, session_key("default", "s")
    counts = play.counted()
    await play.fork(at, "b1", settle=False)
    first = counts[key, "commits"]
    await play.fork(at, "b2", settle=False)
    assert counts[key, "commits"] - first < first / 2
    await play.erase(1, "input")
    await play.fork(at, "b3", settle=False)
    assert [(await play.state(id)).input for id in ("b2", "b3")] == ["hello", Erased()]


def test_a_branch_is_of_a_format_that_older_readers_leave_alone() -> None:
    async def whole() -> None:
        play = await paid()
        assert ((await play.fork(2)).format, (await play.head()).format) == (3, 1)

    asyncio.run(whole())


@pytest.mark.parametrize(
    "value", [{"$blob": "mine"}, {"$erased": True}, {"$blob": {"digest": "0" * 64, "size": 1, "preview": ""}}]
)
async def test_g15_what_looks_like_a_reference_of_ours_is_data_in_a_branch_too(value: Any) -> None:
    play = Forks(desk("hello"))
    await play.start(value)
    await play.fork()
    assert (await play.state("b")).input == value
    assert (await play.said())[0] == ("input", value)


async def test_g15_what_is_nested_as_deeply_as_may_be_goes_along() -> None:
    deep: Any = "end"
    for _ in range(DEEPEST):
        deep = [deep]
    play = Forks(desk("hello"))
    await play.start(deep)
    await play.fork()
    await play.fork(None, "c", of="b")
    await play.check("c")
    assert (await play.state("c")).input == deep
    with pytest.raises(BadInput, match="nested too deeply"):
        await play.fork(1, "d", edits={1: [deep]})


async def test_a_file_is_said_to_a_branch() -> None:
    play = Forks(desk("hello", "again"))
    await play.start()
    await play.fork(input=File(data=b"a plan", media_type="image/png"))
    kind, value = (await play.said())[-2]
    assert (kind, value["$file"]["size"]) == ("input", 6)
    key = session_key("default", "b")
    assert await play.runner.backend.blobs.get(key, f"files/{value['$file']['digest']}")


async def test_g14_a_live_branch_made_after_a_restore_is_of_that_incarnation() -> None:
    """What the database has forgotten is no branch's: a person is asked anyway, and nobody needs to look first."""
    play = await paid()
    await play.runner.backend.incarnations.record(OPERATOR, "the disk broke", play.runner.clock.now())
    play.runner.clock.advance(60)
    head = await play.fork("session_started", effects="live")
    assert (head.incarnation, [wait.tool for wait in head.waits]) == (2, ["pay"])
    await play.decide("approved", id="b")
    assert (await play.head("b")).status == "completed"
