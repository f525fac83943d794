"""Approvals by several people, by named people, with reminders, and with changed arguments."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

import pytest
from pydantic import AfterValidator

from onward import Agent, App, Approval, BadInput, Refused, ScriptedModel, tool
from onward.core.ids import session_key
from onward.ports import Wake
from tests.unit.play import ANN, BEN, CAT, Play, Watching, call

PAID: list[int] = []


@pytest.fixture(autouse=True)
def _nothing_paid() -> None:
    PAID.clear()


def desk(approval: Approval, amount: Any = 500) -> Agent:
    @tool(effect="irreversible", approval=approval)
    async def pay(amount: int, note: str = "none") -> str:
        """Pay."""
        PAID.append(amount)
        return f"paid {amount}"

    model = Watching(ScriptedModel([{"calls": [call("pay", amount=amount)]}, {"text": "done"}]))
    return Agent("desk", model=model, tools=[pay])


async def asked(approval: Approval, **options: Any) -> Play:
    play = Play(desk(approval, **options))
    await play.start()
    return play


# --- several people --------------------------------------------------------------------------------------------


async def test_g8_two_people_must_approve_and_it_is_performed_once() -> None:
    play = await asked(Approval(people=2))
    (request,) = await play.bodies("approval_requested")
    assert (request.needed, request.approvers) == (2, [])
    await play.decide("approved", ANN)
    assert PAID == []
    with pytest.raises(Refused, match="ann@x has approved it; 1 more must"):
        await play.decide("approved", ANN)
    await play.decide("approved", BEN)
    assert PAID == [500]
    assert (await play.check()).output == "done"


async def test_one_of_two_rejects_and_it_is_rejected() -> None:
    play = await asked(Approval(people=2))
    await play.decide("approved", ANN)
    await play.decide("rejected", BEN, reason="too much")
    assert PAID == []
    assert (await play.check()).output == "done"


async def test_only_those_who_are_named_decide_and_they_can_delegate() -> None:
    play = await asked(Approval(by=["ann@x", "ben@x"]))
    with pytest.raises(Refused, match="ann@x, ben@x may decide, not cat@x"):
        await play.decide("approved", CAT)
    await play.decide("delegated", ANN, to="cat@x")
    await play.decide("approved", CAT)
    assert PAID == [500]


async def test_they_are_reminded_before_it_expires() -> None:
    play = await asked(Approval(timeout="24h", remind="4h"))
    (request,) = await play.bodies("approval_requested")
    assert request.expires_at - request.remind_at == timedelta(hours=4)
    await play.pass_time(19 * 3600)
    assert not await play.bodies("approval_reminded")
    await play.pass_time(2 * 3600)
    (reminded,) = await play.bodies("approval_reminded")
    assert reminded.expires_at == request.expires_at
    await play.pass_time(4 * 3600)
    assert (await play.check()).output == "done"
    assert PAID == []


# --- changed arguments -----------------------------------------------------------------------------------------


async def test_g8_what_a_person_changed_is_checked_and_performed_and_the_model_sees_it() -> None:
    play = await asked(Approval())
    await play.decide("approved", ANN, arguments={"amount": 40})
    assert PAID == [40]
    (edited,) = await play.bodies("call_edited")
    assert edited.arguments == {"amount": 40, "note": "none"}
    watched: Any = play.app.choose()
    entry = watched.model.requests[-1].transcript[-1]
    assert (entry.value, entry.arguments) == ("paid 40", {"amount": 40, "note": "none"})
    assert (await play.check()).output == "done"


def even(amount: int) -> int:
    if amount % 2:
        raise ValueError("must be even")
    return amount


@tool(effect="irreversible", approval=Approval(timeout="1h"))
async def pay_even(amount: Annotated[int, AfterValidator(even)]) -> str:
    """Pay."""
    PAID.append(amount)
    return "paid"


async def test_g8_changed_arguments_that_are_wrong_open_the_question_again() -> None:
    """The recorded schema takes any whole number; only the program knows more."""
    model = ScriptedModel([{"calls": [call("pay_even", amount=8)]}, {"text": "done"}])
    play = Play(Agent("desk", model=model, tools=[pay_even]))
    await play.start()
    before = (await play.state()).timers
    await play.decide("approved", ANN, arguments={"amount": 7})
    (edited,) = await play.bodies("call_edited")
    assert "must be even" in edited.error.message
    state = await play.check()
    assert [one.status for one in state.calls.values()] == ["asked"]
    assert state.timers == before
    await play.decide("approved", ANN)
    assert PAID == [8]


async def test_g8_who_changes_the_arguments_has_approved_them_and_the_others_are_asked_about_the_new_ones() -> None:
    play = await asked(Approval(people=2))
    await play.decide("approved", ANN)
    await play.decide("approved", BEN, arguments={"amount": 40})
    first, second = await play.bodies("approval_requested")
    assert second.arguments == {"amount": 40, "note": "none"}
    assert first.digest != second.digest
    (open,) = (await play.check()).calls.values()
    assert [actor.name for actor in open.approved_by] == ["ben@x"]
    await play.decide("approved", ANN)
    assert PAID == [40]


async def test_g8_an_edit_that_needs_nobody_any_more_is_performed_at_once() -> None:
    play = await asked(Approval(when=lambda args: args.amount > 100, people=2))
    await play.decide("approved", ANN, arguments={"amount": 50})
    assert PAID == [50]


async def test_g8_an_edit_that_the_rule_asks_more_people_about() -> None:
    play = await asked(Approval(when=lambda args: args.amount > 100, people=2, by=["ann@x", "ben@x"]))
    await play.decide("approved", ANN, arguments={"amount": 900})
    assert PAID == []
    with pytest.raises(Refused, match="ann@x has approved it"):
        await play.decide("approved", ANN)
    await play.decide("approved", BEN)
    assert PAID == [900]


async def test_large_changed_arguments_are_checked_in_another_process_too() -> None:
    """A process without the program takes the decision down; what it wrote lies in a blob."""
    play = await asked(Approval())
    (open,) = (await play.state()).calls.values()
    arguments = {"amount": 40, "note": "n" * 600_000}
    body = {"call": open.id, "verdict": "approved", "digest": open.digest, "arguments": arguments}
    await play.signal("decision", body, ANN, settle=False)
    other = play.runner.process(App(programs=[Agent("other", model="none")]))
    await other.engine.advance(Wake(session_key("default", "s"), look=True))
    play.runner.parts.loader.cache.drop(session_key("default", "s"))
    (edited,) = (await play.state()).calls.values()
    assert edited.status == "edited"
    await play.pass_time(120)
    assert PAID == [40]
    await play.check()


# --- declaring -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"people": 0}, "Approval.people: 0 is no whole number"),
        ({"people": True}, "Approval.people: True"),
        ({"people": 3, "by": ["a", "b"]}, "Approval.people: 3 must approve, and Approval.by names 2"),
        ({"by": []}, "Approval.by: nobody may decide"),
        ({"by": "ann@x"}, "Approval.by: 'ann@x' is no list"),
        ({"by": ["ann@x", ""]}, "is no list of identities"),
        ({"by": ["ann@x", "ann@x"]}, "somebody is named twice"),
        ({"people": 2, "on_timeout": "approve"}, "2 people must approve, and a timeout is nobody"),
        ({"remind": "24h"}, "Approval.remind: '24h' before the end"),
        ({"remind": "25h", "timeout": "1d"}, "Approval.remind: '25h' before the end"),
        ({"remind": "late"}, "Approval.remind: 'late'"),
    ],
)
def test_a_wrong_approval_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        Approval(**options)
