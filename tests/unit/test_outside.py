"""What comes from outside: tokens, files and edits, and what is refused whole, with its name and without a trace."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import AfterValidator, ValidationError

from onward import Agent, Approval, Call, File, Limits, Pending, ScriptedModel, tool
from onward.core.canonical import DEEPEST, digest
from onward.core.files import digests_in
from onward.core.ids import session_key
from onward.engine.gateway import Start
from onward.errors import BadInput, Refused, UsageError
from tests.unit.play import ANN, BEN, CAT, OPERATOR, Play, Watching, call

KEY = session_key("default", "s")
PAY = digest(["pay", {"amount": 4}])
"""What the question that is asked is bound to."""


def even(amount: int) -> int:
    if amount % 2:
        raise ValueError("even amounts only")
    return amount


@tool(effect="irreversible", approval=Approval(timeout="24h", people=2))
async def pay(amount: Annotated[int, AfterValidator(even)]) -> str:
    """Pay."""
    return f"paid {amount}"


def paying(model: Any = None) -> Play:
    model = model or ScriptedModel([{"calls": [call("pay", amount=4)]}, {"text": "done"}])
    return Play(Agent("desk", model=model, tools=[pay]))


async def files(play: Play) -> set[str]:
    """The digests of the files that lie beside the log."""
    return {name.removeprefix("files/") for _, name in play.runner.backend.blobs._values if name.startswith("files/")}


# --- tokens ----------------------------------------------------------------------------------------------------


async def test_g6_what_a_token_says_is_said_of_the_attempt_that_it_was_given_to() -> None:
    """The bank tells twice that the first attempt was not made: the second one is not doubted for that."""
    sent: list[Call] = []

    @tool(effect="irreversible")
    async def wire(*, call: Call) -> Pending:
        """Wire."""
        sent.append(call)
        return Pending(timeout="24h")

    play = Play(Agent("desk", model=ScriptedModel([{"calls": [call("wire")]}, {"text": "done"}]), tools=[wire]))
    await play.start()
    for reason in ("the bank is closed", "the bank is closed (second notice)"):
        said = {"call": sent[0].id, "status": "not_done", "reason": reason}
        await play.runner.parts.gateway.complete(KEY, said, sent[0].token)
        await play.settle()
    assert [one.attempt for one in sent] == [1, 2]
    assert (await play.kinds())[-1] == "signal_refused"
    await play.runner.parts.gateway.complete(KEY, {"call": sent[1].id, "status": "done"}, sent[1].token)
    await play.settle()
    assert ((await play.check()).ended, len(sent)) == ("completed", 2)


# --- files -----------------------------------------------------------------------------------------------------


def talking() -> Play:
    return Play(Agent("desk", model=ScriptedModel([{"text": "yes"}] * 4), conversation=True))


def contract() -> File:
    return File(data=b"the contract", media_type="text/plain", name="contract")


@pytest.mark.parametrize("forged", ["", ".", "..", "files/"])
async def test_g15_a_forged_reference_is_refused_and_every_file_stays(forged: str) -> None:
    play = talking()
    await play.start(contract())
    before = await play.head(), await files(play)
    with pytest.raises(BadInput, match=r"\$file.*no digest of a file"):
        await play.send({"$file": {"media_type": "text/plain", "digest": forged}})
    assert len(before[1]) == 1
    assert (await play.head(), await files(play)) == before


async def test_g3_a_file_that_another_input_names_outlasts_the_one_that_is_erased() -> None:
    play = talking()
    await play.start()
    for words in ("see this", "and see it again"):
        await play.send([words, contract()])
    first, second = [event for event in await play.events() if event.kind == "input_received"]
    await play.runner.parts.eraser.erase(KEY, first.seq, "content", OPERATOR, "asked to")
    assert await files(play) == digests_in(second.body.content)
    await play.runner.parts.eraser.erase(KEY, second.seq, "content", OPERATOR, "asked to")
    assert await files(play) == set()


@pytest.mark.parametrize("deleted", [True, False])
async def test_a_signal_that_is_refused_leaves_no_file_behind(deleted: bool) -> None:
    play = Play(Agent("desk", model=ScriptedModel([{"text": "done"}])))
    await play.start()
    if deleted:
        await play.runner.parts.deleter.delete(KEY, OPERATOR.name, "asked to")
    with pytest.raises(Refused):
        await play.send(contract())
    assert await files(play) == set()


async def test_g8_of_two_who_decide_by_one_link_one_is_taken() -> None:
    """Both have looked at the link while nobody had decided: the log knows who was first."""
    play = paying()
    await play.start()
    [asked] = (await play.state()).calls.values()
    said = {"call": asked.id, "verdict": "approved", "digest": asked.digest, "decided": 0}
    await play.signal("decision", said, ANN, settle=False)
    await play.signal("decision", said, BEN)
    assert [body.error.code for body in await play.bodies("signal_refused")] == ["link_used"]
    [first] = (await play.state()).calls[asked.id].approved_by
    await play.signal("decision", said | {"decided": 1}, ANN if first == BEN else BEN)
    assert (await play.head()).status == "completed"


# --- bad input -------------------------------------------------------------------------------------------------


def nested(depth: int = 3000) -> list[Any]:
    deep: list[Any] = []
    for _ in range(depth):
        deep = [deep]
    return deep


NO_CALLS = ["foo", "", ".", "9" * 5000]


@pytest.mark.parametrize("wrong", NO_CALLS, ids=["word", "empty", "dot", "huge"])
async def test_g15_an_edit_of_no_call_is_refused(wrong: str) -> None:
    play = paying()
    await play.start()
    before = await play.head()
    [asked] = (await play.state()).calls.values()
    said = {"call": wrong, "verdict": "approved", "digest": asked.digest, "arguments": {"amount": 2}}
    with pytest.raises(Refused, match="no open approval for this call"):
        await play.signal("decision", said)
    assert (await play.head(), (await play.runner.backend.store.pending(KEY)).signals) == (before, ())


WRONG_SIGNALS = [
    ("input", {"content": nested()}, "nested too deeply"),
    ("input", {"content": nested(DEEPEST)}, "nested too deeply"),
    ("input", {"content": {"$file": {"digest": "", "media_type": "a/b"}}}, r"\$file"),
    ("decision", {"call": "3.0", "verdict": "delegated", "digest": PAY, "to": "b" * 1000}, r"decision\.to"),
    ("pause", {"reason": "r" * 1_000_000}, r"pause\.reason"),
    ("cancel", {"reason": "r" * 1_000_000}, r"cancel\.reason"),
]


@pytest.mark.parametrize(
    ("kind", "body", "field"), WRONG_SIGNALS, ids=["deep", "one deeper", "file", "to", "pause", "cancel"]
)
async def test_g15_a_wrong_or_endless_signal_names_its_field_and_files_nothing(
    kind: str, body: dict[str, Any], field: str
) -> None:
    """Who decides and why is copied to heads and lists: a head is one document, of a bounded size."""
    play = paying()
    await play.start()
    before = await play.head()
    with pytest.raises(BadInput, match=field):
        await play.signal(kind, body)
    assert (await play.head(), (await play.runner.backend.store.pending(KEY)).signals) == (before, ())


async def test_what_is_nested_as_deeply_as_may_be_goes_through_a_whole_session() -> None:
    """Into the log, the transcript, a snapshot and back; what is deeper by one is refused where it comes in."""
    deep = nested(DEEPEST - 1)

    @tool(effect="read")
    def dig(value: Any, deeper: int = 0) -> Any:
        """Dig."""
        return nested(DEEPEST - 1 + deeper)

    turns = [{"calls": [call("dig", value=nested(DEEPEST - 8))]}, {"calls": [call("dig", value=1, deeper=2)]}]
    play = Play(Agent("desk", model=ScriptedModel([*turns, {"text": "done"}]), tools=[dig]))
    await play.start(deep)
    await play.pass_time(3600)
    assert (await play.head()).status == "completed"
    ends = await play.bodies("call_completed")
    assert ends[0].result == deep
    assert "nested too deeply" in ends[1].result["not_recorded"]
    play.runner.parts.loader.cache.drop(KEY)
    assert (await play.state()).ended == "completed"


WRONG_STARTS = [
    ({"input": nested()}, "nested too deeply"),
    ({"labels": {"a": "\ud800"}}, r"labels\.a"),
    ({"program": "\ud800"}, "program"),
    ({"version": "\ud800"}, "version"),
]


@pytest.mark.parametrize(("wrong", "field"), WRONG_STARTS, ids=["deep", "label", "program", "version"])
async def test_g15_a_start_that_can_not_be_stored_names_its_field_and_makes_nothing(
    wrong: dict[str, Any], field: str
) -> None:
    play = paying()
    start = Start(**{"id": "s", "program": "desk", "version": "1", "input": "hello", **wrong})
    with pytest.raises(BadInput, match=field):
        await play.runner.parts.gateway.start(start, ANN)
    assert await play.runner.backend.store.read(KEY) is None


def test_g15_a_limit_of_time_is_finite() -> None:
    with pytest.raises(ValidationError, match="time"):
        Limits(time=float("inf"))


# --- edits and delegation --------------------------------------------------------------------------------------


async def test_g8_an_edit_that_does_not_fit_leaves_the_one_before_it() -> None:
    """What was performed is what one person wrote and others approved, and the model is told so."""
    model = Watching(ScriptedModel([{"calls": [call("pay", amount=4)]}, {"text": "done"}]))
    play = paying(model)
    await play.start()
    await play.decide("approved", ANN, arguments={"amount": 100})
    await play.decide("approved", BEN, arguments={"amount": 7})
    assert [body.error is not None for body in await play.bodies("call_edited")] == [False, True]
    await play.decide("approved", CAT)
    await play.decide("approved", BEN)
    [result] = [entry for entry in model.requests[-1].transcript if entry.kind == "result"]
    assert (result.value, result.arguments) == ("paid 100", {"amount": 100})
    assert (await play.check()).ended == "completed"


async def test_who_passed_a_question_on_to_a_name_that_nobody_has_can_still_say_no() -> None:
    """Or it would be approved by its timeout, and nobody could stop it."""
    closed: list[int] = []

    @tool(effect="idempotent", approval=Approval(by=[str(ANN.name)], timeout="24h", on_timeout="approve"))
    async def close(order: int) -> str:
        """Close."""
        closed.append(order)
        return "closed"

    model = ScriptedModel([{"calls": [call("close", order=4)]}, {"text": "done"}])
    play = Play(Agent("desk", model=model, tools=[close]))
    await play.start()
    await play.decide("delegated", ANN, to="bem@x")
    with pytest.raises(UsageError, match="may decide, not ben@x"):
        await play.decide("rejected", BEN)
    await play.decide("rejected", ANN)
    await play.pass_time(2 * 86400.0)
    assert ((await play.check()).ended, closed) == ("completed", [])
