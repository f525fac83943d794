"""The way in: starting, rejoining, signals, erasing; on the memory backend, in virtual time."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from onward import Agent, App, Approval, ScriptedModel, tool
from onward.core.events import Actor, Limits
from onward.core.ids import completion_token, session_key
from onward.core.log import verify
from onward.core.outcomes import Pending
from onward.core.payload import Erased
from onward.engine.gateway import Start
from onward.errors import BadInput, NotFound, Refused
from onward.ports import Lease, Wake
from onward.testing.runner import Runner

ANA, BEN = Actor(kind="person", name="ana"), Actor(kind="person", name="ben")
KEY = session_key("default", "s")


@tool(effect="irreversible", approval=Approval(timeout="1h"))
async def pay(amount: int) -> str:
    """Pay."""
    return f"paid {amount}"


@tool(effect="idempotent")
async def ship(order: str) -> Pending:
    """Ship."""
    return Pending(timeout="2d")


def runner(*calls: dict[str, Any]) -> Runner:
    model = ScriptedModel([{"calls": list(calls)}, {"text": "done"}] if calls else [{"text": "done"}])
    return Runner(App(programs=[Agent("desk", model=model, tools=[pay, ship])]))


PAY = {"tool": "pay", "arguments": {"amount": 5}}
SHIP = {"tool": "ship", "arguments": {"order": "A1"}}


def start(**fields: Any) -> Start:
    return Start(**{"id": "s", "program": "desk", "version": "1", "input": "hello", **fields})


async def asked(one: Runner) -> dict[str, Any]:
    """Start, run to the open approval, and give a decision on it."""
    await one.parts.gateway.start(start(), ANA)
    await one.settle()
    (call,) = (await one.state("s")).calls.values()
    return {"call": call.id, "verdict": "approved", "digest": call.digest, "reason": "fine"}


async def kinds(one: Runner) -> list[str]:
    commits = await one.backend.store.commits(KEY)
    return [event.kind for commit in commits for event in one.parts.loader.events(commit)]


# --- starting --------------------------------------------------------------------------------------------------


async def test_r22_the_same_id_program_and_input_is_the_same_session() -> None:
    one = runner()
    head, new = await one.parts.gateway.start(start(), ANA)
    again, anew = await one.parts.gateway.start(start(), BEN)
    assert new
    assert not anew
    assert (again.key, again.hash) == (head.key, head.hash)


@pytest.mark.parametrize(
    ("other", "says"),
    [({"input": "bye"}, "another input"), ({"program": "other"}, "'desk'"), ({"exists": "reject"}, "running")],
)
async def test_r22_anything_else_under_a_taken_id_is_refused_and_changes_nothing(
    other: dict[str, Any], says: str
) -> None:
    one = runner()
    await one.parts.gateway.start(start(), ANA)
    with pytest.raises(Refused, match=says):
        await one.parts.gateway.start(start(**other), ANA)
    assert await kinds(one) == ["session_started"]


async def test_tenants_have_ids_of_their_own() -> None:
    one = runner()
    await one.parts.gateway.start(start(), ANA)
    _, new = await one.parts.gateway.start(start(tenant="other", input="bye"), ANA)
    assert new


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"id": ""}, "id"),
        ({"id": "a/b"}, "id"),
        ({"tenant": " "}, "tenant"),
        ({"labels": {"a": 1.5}}, "labels.a"),
        ({"labels": {f"l{n}": n for n in range(17)}}, "labels"),
        ({"input": float("nan")}, "JSON"),
        ({"input": "half \ud800 a pair"}, "JSON"),
    ],
)
async def test_g15_a_wrong_start_names_its_field_and_makes_nothing(wrong: dict[str, Any], field: str) -> None:
    one = runner()
    with pytest.raises(BadInput, match=field):
        await one.parts.gateway.start(start(**wrong), ANA)
    assert await one.backend.store.read(KEY) is None
    assert await one.settle() == 0


# --- signals ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "body", "field"),
    [
        ("poke", {}, "kind"),
        ("input", {}, "input.content"),
        ("input", {"content": float("inf")}, "JSON"),
        ("decision", {"call": "1.0", "verdict": "maybe", "digest": "d"}, "decision.verdict"),
        ("decision", {"call": "1.0", "verdict": "approved"}, "decision.digest"),
        ("cancel", {"reason": "x", "colour": "red"}, "cancel.colour"),
        ("resume", {"limits": {"turns": 0}}, "resume.limits.turns"),
        ("outcome", {"call": "1.0", "status": "perhaps"}, "outcome.status"),
    ],
)
async def test_g15_a_wrong_signal_names_its_field_and_files_nothing(
    kind: str, body: dict[str, Any], field: str
) -> None:
    one = runner(PAY)
    await asked(one)
    with pytest.raises(BadInput, match=field):
        await one.parts.gateway.signal(KEY, kind, body, ANA, "k")
    assert (await one.backend.store.pending(KEY)).signals == ()


async def test_a_signal_for_nobody_is_not_found() -> None:
    with pytest.raises(NotFound):
        await runner().parts.gateway.signal("nothing", "cancel", {}, ANA, "k")


async def test_g8_only_an_identified_person_decides_and_only_the_call_that_was_shown() -> None:
    one = runner(PAY)
    decision = await asked(one)
    for sender in (Actor(kind="program", name="desk"), Actor(kind="person"), Actor(kind="external", name="x")):
        with pytest.raises(Refused, match="person"):
            await one.parts.gateway.signal(KEY, "decision", decision, sender, "k")
    with pytest.raises(Refused, match="digest"):
        await one.parts.gateway.signal(KEY, "decision", {**decision, "digest": "0" * 64}, ANA, "k")
    with pytest.raises(Refused, match="no open approval"):
        await one.parts.gateway.signal(KEY, "decision", {**decision, "call": "9.9"}, ANA, "k")
    assert (await one.state("s")).calls[decision["call"]].status == "asked"


async def test_g8_a_second_decision_is_told_what_stands() -> None:
    one = runner(PAY)
    decision = await asked(one)
    await one.parts.gateway.signal(KEY, "decision", decision, ANA, "k")
    await one.parts.gateway.signal(KEY, "decision", {**decision, "verdict": "rejected"}, BEN, "k")
    await one.settle()
    assert (await kinds(one)).count("approval_decided") == 1
    assert (await kinds(one)).count("signal_refused") == 1
    with pytest.raises(Refused, match="completed"):
        await one.parts.gateway.signal(KEY, "decision", decision, BEN, "later")


async def test_g8_a_decision_filed_before_the_expiry_wins_however_late_it_is_read() -> None:
    one = runner(PAY)
    decision = await asked(one)
    one.clock.advance(3599)
    await one.parts.gateway.signal(KEY, "decision", decision, ANA, "k")
    one.clock.advance(60)
    await one.finish()
    assert "approval_expired" not in await kinds(one)
    assert (await one.state("s")).ended == "completed"


async def test_g8_a_decision_filed_after_the_expiry_is_refused_though_nobody_looked_before() -> None:
    one = runner(PAY)
    decision = await asked(one)
    one.clock.advance(3601)
    await one.parts.gateway.signal(KEY, "decision", decision, ANA, "k")
    await one.finish()
    found = await kinds(one)
    assert found.index("approval_expired") < found.index("signal_refused")
    assert "call_completed" not in found


async def test_r10_only_the_token_completes_a_call_from_outside() -> None:
    one = runner(SHIP)
    await one.parts.gateway.start(start(), ANA)
    await one.settle()
    (call,) = (await one.state("s")).calls
    body = {"call": call, "status": "done", "result": "at the door"}
    with pytest.raises(Refused, match="token"):
        await one.parts.gateway.complete(KEY, body, "guessed")
    await one.parts.gateway.complete(KEY, body, completion_token(one.backend.secret, KEY, call, 1))
    await one.settle()
    state = await one.state("s")
    assert state.ended == "completed"
    assert [entry.value for entry in state.transcript if entry.kind == "result"] == ["at the door"]


async def test_r16_a_key_used_for_another_content_is_refused_and_for_the_same_is_the_same_signal() -> None:
    one = runner(PAY)
    await asked(one)
    first = await one.parts.gateway.signal(KEY, "input", {"content": "hi"}, ANA, "k")
    assert (await one.parts.gateway.signal(KEY, "input", {"content": "hi"}, ANA, "k")).id == first.id
    with pytest.raises(Refused, match="other content"):
        await one.parts.gateway.signal(KEY, "input", {"content": "ho"}, ANA, "k")
    await one.settle()
    assert (await kinds(one)).count("input_received") == 1


async def test_r16_signals_for_an_unknown_session_wait_ten_minutes_and_are_then_refused() -> None:
    from onward.core.signals import Signal

    one = runner()
    await one.backend.store.file(KEY, Signal("early", "input", {"content": "psst"}, ANA))
    await one.backend.queue.publish(Wake(KEY, look=True))
    began = one.clock.now()
    await one.finish()
    assert timedelta(minutes=10) <= one.clock.now() - began < timedelta(minutes=15)
    assert (await one.backend.store.pending(KEY)).signals == ()


async def test_r16_a_signal_that_came_before_its_session_is_absorbed_by_it() -> None:
    from onward.core.signals import Signal

    one = runner()
    await one.backend.store.file(KEY, Signal("early", "input", {"content": "psst"}, ANA))
    await one.backend.queue.publish(Wake(KEY, look=True))
    await one.settle()
    await one.parts.gateway.start(start(), ANA)
    await one.finish()
    assert (await kinds(one))[:2] == ["session_started", "input_received"]


# --- limits and cancelling -------------------------------------------------------------------------------------


async def test_g11_a_limit_is_met_before_the_effect_and_an_operator_raises_it() -> None:
    one = runner(PAY)
    await one.parts.gateway.start(start(limits=Limits(turns=1)), ANA)
    await one.settle()
    (call,) = (await one.state("s")).calls.values()
    decision = {"call": call.id, "verdict": "approved", "digest": call.digest}
    await one.parts.gateway.signal(KEY, "decision", decision, ANA, "k")
    await one.settle()
    head = await one.backend.store.read(KEY)
    assert (head.status, head.error.code, head.spent.turns) == ("needs_attention", "limit_reached", 1)
    await one.parts.gateway.signal(KEY, "resume", {"limits": {"turns": 2}}, ANA, "k")
    await one.settle()
    assert (await one.state("s")).ended == "completed"


async def test_a_cancelled_session_refuses_its_open_approval_and_starts_nothing() -> None:
    one = runner(PAY)
    decision = await asked(one)
    await one.parts.gateway.signal(KEY, "cancel", {"reason": "not needed"}, ANA, "k")
    await one.finish()
    assert (await kinds(one))[-3:] == ["closing_began", "call_refused", "session_cancelled"]
    with pytest.raises(Refused, match="cancelled"):
        await one.parts.gateway.signal(KEY, "decision", decision, ANA, "k")


async def test_a_deadline_ends_a_session_as_failed_with_its_approval_refused() -> None:
    one = runner(PAY)
    await one.parts.gateway.start(start(deadline=one.clock.now() + timedelta(minutes=30)), ANA)
    await one.finish()
    state = await one.state("s")
    assert state.ended == "failed"
    assert state.error is not None
    assert state.error.code == "deadline_passed"
    assert "call_refused" in await kinds(one)


async def test_a_delayed_start_does_nothing_before_its_time() -> None:
    one = runner()
    await one.parts.gateway.start(start(not_before=one.clock.now() + timedelta(days=3)), ANA)
    await one.settle()
    head = await one.backend.store.read(KEY)
    assert (head.status, head.spent.turns) == ("scheduled", 0)
    await one.finish()
    assert (await one.state("s")).ended == "completed"


# --- erasing ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [10, 100_000])
async def test_g3_an_erased_input_is_gone_everywhere_and_the_log_still_verifies(size: int) -> None:
    one = runner(PAY)
    await one.parts.gateway.start(start(input="secret" * size), ANA)
    await one.settle()
    head = (await one.backend.store.read(KEY)).hash
    await one.parts.eraser.erase(KEY, 1, "input", BEN, "asked for it")
    commits = await one.backend.store.commits(KEY)
    assert verify(commits, head)[0] == (await one.backend.store.read(KEY)).seq
    everything = [commit.to_json() for commit in commits] + [str(await one.backend.store.read(KEY))]
    everything += list(one.backend.blobs._values.values())
    assert not any("secret" in text for text in everything)
    assert (await one.state("s")).transcript[0].value == Erased()
    assert (await one.backend.store.read(KEY)).status == "waiting"


async def test_g3_erasing_names_what_is_there() -> None:
    one = runner(PAY)
    await asked(one)
    with pytest.raises(NotFound, match="input"):
        await one.parts.eraser.erase(KEY, 1, "output", BEN, "")
    with pytest.raises(NotFound, match="event 99"):
        await one.parts.eraser.erase(KEY, 99, "input", BEN, "")


async def test_what_owes_something_is_not_erased_and_not_kept_from_paying() -> None:
    one = runner(PAY)
    await asked(one)
    store = one.backend.store
    lease = await store.claim(KEY, "bob:1")
    assert isinstance(lease, Lease)
    await store.release(lease, replace(lease.head, owed=1))
    before = await store.commits(KEY)
    with pytest.raises(Refused) as refused:
        await one.parts.eraser.erase(KEY, 1, "input", BEN, "asked for it")
    assert (refused.value.code, await store.commits(KEY)) == ("busy", before)
    await one.settle()
    assert (await store.read(KEY)).owed == 0
    await one.parts.eraser.erase(KEY, 1, "input", BEN, "asked for it")
    assert (await one.state("s")).transcript[0].value == Erased()


# --- visitors --------------------------------------------------------------------------------------------------


async def test_r4_a_delayed_wake_that_is_turned_away_is_armed_again_and_an_ordinary_one_is_not() -> None:
    one = runner(PAY)
    await one.parts.gateway.start(start(), ANA)
    lease = await one.backend.store.claim(KEY, "somebody")
    await one.settle()
    first = one.backend.queue.next_due()
    assert first is not None, "the visitor left a delayed wake behind"
    await one.parts.engine.advance(Wake(KEY))
    assert len(one.backend.queue._waiting) == 1, "the mark says that somebody has seen to it"
    one.clock.advance(60)
    await one.backend.store.renew(lease)
    one.clock.advance_to(first)
    await one.settle()
    second = one.backend.queue.next_due()
    assert second is not None
    assert second > first, "the holder lives, so the delayed wake comes again"
    one.clock.advance_to(second)
    await one.settle()
    assert (await one.backend.store.read(KEY)).status == "waiting", "the holder died, and the delayed wake healed it"


@pytest.mark.parametrize("name", ["deadline", "not_before"])
@pytest.mark.parametrize(("year", "hours"), [(1, 14), (9999, -14)])
async def test_g15_a_time_that_is_none_elsewhere_is_refused(name: str, year: int, hours: int) -> None:
    """Or whoever counts on from it, a worker for one, fails at it again and again."""
    one, at = runner(PAY), datetime(year, 1, 1, tzinfo=timezone(timedelta(hours=hours)))
    with pytest.raises(BadInput, match=f"{name}: a time lies between"):
        await one.parts.gateway.start(start(**{name: at}), ANA)
