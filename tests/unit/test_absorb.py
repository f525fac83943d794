"""What signals amount to, by what the session does: decisions, edits, inputs in the middle, what operators say."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from onward.core import events as ev
from onward.core.absorb import absorb, bodies_of
from onward.core.decide import close, decide
from onward.core.draft import Draft
from onward.core.events import Actor, Failure, Limits
from onward.core.payload import Blob, Erased
from onward.core.program import Child, Handover, Perform, Program, Record, Rest, StartChild
from onward.core.signals import Signal
from onward.core.state import OpenCall, State, changed
from onward.errors import BadInput, Refused
from onward.testing.runner import START

ANN, BOB, CY = (Actor(kind="person", name=name) for name in ("ann", "bob", "cy"))
ENGINE = Actor(kind="engine", name="s1:3.0")
LATER = START + timedelta(hours=24)


def draft(**options: Any) -> Draft:
    """A session that has begun, and whose model has asked for two calls: 3.0 and 3.1."""
    here = Draft(State(), START)
    here.add(ANN, ev.SessionStarted(tenant="t", session="s1", program="desk", version="1", input="hello", **options))
    asks = {"text": "", "calls": [{"name": "pay"}, {"name": "find"}]}
    here.add(ANN, ev.ModelAnswered(model="m", answer=asks, calls=2))
    return here


def proposed(*, rule: str | None = None, **options: Any) -> Draft:
    here = draft(**options)
    calls = [
        ev.Proposal(tool="pay", effect="irreversible", digest="d1", rule=rule),
        ev.Proposal(tool="find", effect="read", digest="d2"),
    ]
    here.add(ANN, ev.CallsProposed(calls=calls, arguments=[{"amount": 5}, {"order": "7"}]))
    return here


def asked(needed: int = 1, approvers: tuple[str, ...] = (), **options: Any) -> Draft:
    """The first call waits for a person."""
    here = proposed(rule="always", **options)
    request = ev.ApprovalRequested(
        call="3.0",
        tool="pay",
        digest="d1",
        arguments={"amount": 5},
        rule="always",
        effect="irreversible",
        expires_at=LATER,
        needed=needed,
        approvers=list(approvers),
        remind_at=LATER - timedelta(hours=4),
    )
    here.add(ANN, request)
    return here


def say(here: Draft, kind: str, sender: Actor = ANN, **body: Any) -> list[str]:
    """The kinds of events that a signal becomes, which are added. Raises Refused."""
    bodies = bodies_of(here.state, Signal(f"{kind}/{sender.name}", kind, body, sender))
    here.add(sender, *bodies)
    return [body.kind for body in bodies]  # type: ignore[attr-defined]


def decides(here: Draft, verdict: str, sender: Actor = ANN, **more: Any) -> list[str]:
    return say(here, "decision", sender, call="3.0", verdict=verdict, digest="d1", **more)


# --- several people --------------------------------------------------------------------------------------------


def test_two_people_must_approve_and_none_of_them_twice() -> None:
    here = asked(needed=2)
    decides(here, "approved", ANN)
    assert here.state.calls["3.0"].status == "asked"
    with pytest.raises(Refused, match="ann has approved it; 1 more must"):
        decides(here, "approved", ANN)
    decides(here, "approved", BOB)
    call = here.state.calls["3.0"]
    assert (call.status, call.approved_by) == ("ready", (ANN, BOB))
    assert not [name for name in here.state.timers if name.endswith("3.0")]


def test_nobody_is_two_people_by_writing_their_address_otherwise() -> None:
    here, loud = asked(needed=2), Actor(kind="person", name="ANN")
    decides(here, "approved", ANN)
    with pytest.raises(Refused, match="ANN has approved it; 1 more must"):
        decides(here, "approved", loud)
    here = asked(needed=2, approvers=("ann", "bob"))
    decides(here, "approved", loud)
    with pytest.raises(Refused, match="too few would be left"):
        decides(here, "delegated", BOB, to="Ann")
    here = asked(approvers=("Ann",))
    decides(here, "delegated", ANN, to="bob")
    with pytest.raises(Refused, match="bob may decide, not ANN"):
        decides(here, "approved", loud)


def test_one_rejection_is_enough() -> None:
    here = asked(needed=2)
    decides(here, "approved", ANN)
    decides(here, "rejected", BOB)
    assert "3.0" not in here.state.calls


def test_an_approval_that_is_half_given_still_expires() -> None:
    here = asked(needed=2)
    decides(here, "approved", ANN)
    absorb(here, [], LATER)
    assert [event.kind for event in here.events[-2:]] == ["approval_reminded", "approval_expired"]


def test_only_who_is_asked_decides_and_may_pass_it_on() -> None:
    here = asked(approvers=("ann",))
    with pytest.raises(Refused, match="ann may decide, not bob"):
        decides(here, "approved", BOB)
    assert decides(here, "delegated", ANN, to="bob", reason="on leave") == ["approval_delegated"]
    with pytest.raises(Refused, match="bob may decide, not ann"):
        decides(here, "approved", ANN)
    decides(here, "approved", BOB)
    assert here.state.calls["3.0"].status == "ready"


def test_who_passed_it_on_may_still_say_no_or_take_it_back() -> None:
    """Or a name that nobody has would leave the call to its timeout."""
    here = asked(approvers=("ann",))
    decides(here, "delegated", ANN, to="nobody@at.all")
    decides(here, "delegated", ANN, to="ann")
    assert "ann" in here.state.calls["3.0"].approvers
    decides(here, "delegated", ANN, to="bob")
    decides(here, "rejected", ANN)
    assert "3.0" not in here.state.calls


def test_a_question_open_to_everybody_stays_so() -> None:
    here = asked()
    decides(here, "delegated", ANN, to="bob")
    decides(here, "rejected", CY)
    assert "3.0" not in here.state.calls


@pytest.mark.parametrize("approved_first", [False, True])
def test_it_is_not_passed_on_to_so_few_that_it_could_never_be_approved(approved_first: bool) -> None:
    here = asked(needed=2, approvers=("ann", "bob"))
    if approved_first:
        decides(here, "approved", BOB)
    with pytest.raises(Refused, match="too few would be left"):
        decides(here, "delegated", ANN, to="bob")
    decides(here, "delegated", ANN, to="cy")


def test_a_reminder_comes_before_the_end_and_once() -> None:
    here = asked()
    absorb(here, [], LATER - timedelta(hours=3))
    [reminded] = [event.body for event in here.events if event.kind == "approval_reminded"]
    assert isinstance(reminded, ev.ApprovalReminded)
    assert (reminded.due_at, reminded.expires_at) == (LATER - timedelta(hours=4), LATER)
    absorb(here, [], LATER - timedelta(hours=2))
    assert [event.kind for event in here.events].count("approval_reminded") == 1


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({"verdict": "rejected", "arguments": {"amount": 1}}, "arguments goes with the verdict approved"),
        ({"verdict": "approved", "result": 1}, "result goes with the verdict responded"),
        ({"verdict": "approved", "to": "bob"}, "to goes with the verdict delegated"),
        ({"verdict": "delegated"}, "delegated needs to"),
        ({"verdict": "perhaps"}, "decision.verdict"),
    ],
)
def test_g15_a_decision_of_the_wrong_form_is_refused_whole(body: dict[str, Any], complaint: str) -> None:
    here = asked()
    with pytest.raises(BadInput, match=complaint):
        say(here, "decision", ANN, call="3.0", digest="d1", **body)
    assert here.state.calls["3.0"].status == "asked"


def test_an_answer_in_the_tools_place_is_the_result() -> None:
    here = asked()
    decides(here, "responded", ANN, result={"paid": "by hand"})
    [result] = [entry for entry in here.state.transcript if entry.kind == "result"]
    assert (result.value, result.failed) == ({"paid": "by hand"}, False)


# --- edits -----------------------------------------------------------------------------------------------------


class Strict(Program):
    """Takes amounts below 10, and asks two people about those from 5."""

    name, version, follows = "desk", "1", True

    def decide(self, state: State) -> Rest:
        return Rest()

    def performer(self, call: OpenCall, state: State) -> Any:
        return Tool if call.tool in ("pay", "find") else None

    def elsewhere(self, call: OpenCall, state: State) -> Child | Handover | None:
        return {"ask": Child("helper", "1"), "give": Handover("other", "2", "reject")}.get(call.tool)

    def check_edit(self, state: State, call: Any) -> tuple[ev.Body, ...]:
        amount = call.edited["amount"]
        if amount >= 10:
            return (ev.CallEdited(call=call.id, digest=call.digest, error=Failure(code="bad", message="too much")),)
        edited = ev.CallEdited(call=call.id, digest=f"e{amount}", arguments=call.edited)
        if amount < 5:
            return (edited,)
        about = {"call": call.id, "tool": "pay", "digest": f"e{amount}", "arguments": call.edited, "effect": "read"}
        return edited, ev.ApprovalRequested(**about, rule="much", expires_at=LATER, needed=2)


class Tool:
    """As much of a tool as deciding needs."""

    timeout = 1.0

    @staticmethod
    def reconciles() -> bool:
        return False


def checked(here: Draft) -> None:
    decision = decide(here.state, Strict())
    assert isinstance(decision, Record)
    here.add(decision.actor, *decision.bodies)


def test_g8_an_edit_is_performed_only_as_it_was_checked() -> None:
    here = asked()
    decides(here, "approved", ANN, arguments={"amount": 3})
    assert here.state.calls["3.0"].status == "edited"
    checked(here)
    call = here.state.calls["3.0"]
    assert (call.status, call.arguments, call.digest, call.approved_by) == ("ready", {"amount": 3}, "e3", (ANN,))
    here.add(ANN, ev.CallCompleted(call="3.0", attempt=1, result="paid"))
    assert here.state.transcript[-1].arguments == {"amount": 3}, "the model is told what was changed"


def test_g8_an_edit_that_does_not_fit_opens_the_question_again() -> None:
    here = asked()
    decides(here, "approved", ANN, arguments={"amount": 30})
    checked(here)
    call = here.state.calls["3.0"]
    assert (call.status, call.arguments, call.digest, call.approved_by) == ("asked", {"amount": 5}, "d1", ())
    assert here.state.timers["approval:3.0"] == LATER, "and it still expires"
    decides(here, "approved", BOB)
    assert here.state.calls["3.0"].status == "ready"


def test_g8_an_edit_under_a_stricter_rule_asks_more_people_about_the_new_call() -> None:
    here = asked()
    decides(here, "approved", ANN, arguments={"amount": 7})
    checked(here)
    assert here.state.calls["3.0"].status == "asked"
    with pytest.raises(Refused, match="digest e7"):
        decides(here, "approved", BOB)
    say(here, "decision", BOB, call="3.0", verdict="approved", digest="e7")
    assert here.state.calls["3.0"].approved_by == (ANN, BOB)
    assert here.state.calls["3.0"].status == "ready"


def test_an_edit_forgets_who_approved_the_call_as_it_was() -> None:
    here = asked(needed=2)
    decides(here, "approved", ANN)
    decides(here, "approved", BOB, arguments={"amount": 7})
    checked(here)
    assert here.state.calls["3.0"].approved_by == (BOB,)
    assert here.state.calls["3.0"].status == "asked"


def test_a_program_without_edits_says_so() -> None:
    here = asked()
    decides(here, "approved", ANN, arguments={"amount": 3})
    [body] = Program.check_edit(Strict(), here.state, here.state.calls["3.0"])
    assert isinstance(body, ev.CallEdited)
    assert body.error is not None


# --- inputs in the middle --------------------------------------------------------------------------------------


def kinds(here: Draft) -> list[str]:
    return [entry.kind for entry in here.state.transcript]


def test_an_input_waits_for_the_results_of_the_turn() -> None:
    here = asked()
    say(here, "input", BOB, content="and one more thing")
    assert kinds(here) == ["input", "answer"]
    here.add(ANN, ev.CallCompleted(call="3.1", attempt=1, result="found"))
    assert kinds(here) == ["input", "answer", "result"]
    decides(here, "rejected", ANN)
    assert kinds(here) == ["input", "answer", "result", "result", "input"]


def test_an_input_waits_for_calls_that_are_not_proposed_yet() -> None:
    here = draft()
    say(here, "input", BOB, content="wait")
    assert kinds(here) == ["input", "answer"]
    assert here.state.mid_turn


def test_an_input_comes_right_behind_an_answer_in_words() -> None:
    here = Draft(State(), START)
    here.add(ANN, ev.SessionStarted(tenant="t", session="s1", program="desk", version="1", input="hello"))
    here.add(ANN, ev.ModelAnswered(model="m", answer={"text": "hi", "calls": []}))
    assert here.state.idle
    say(here, "input", BOB, content="how are you?")
    assert kinds(here) == ["input", "answer", "input"]
    assert not here.state.idle


@pytest.mark.parametrize("calls", [0, 1])
def test_g1_an_answer_that_lies_elsewhere_is_folded_as_the_same_at_hand(calls: int) -> None:
    """Whether an input has to wait for results must not hang on where the answer is kept."""
    orders = []
    for answer in (
        {"text": "long", "calls": [{"name": "pay"}] * calls},
        Blob(digest="d", size=9, preview=""),
        Erased(),
    ):
        here = Draft(State(), START)
        here.add(ANN, ev.SessionStarted(tenant="t", session="s1", program="desk", version="1", input="hello"))
        here.add(ANN, ev.ModelAnswered(model="m", answer=answer, calls=calls))
        say(here, "input", BOB, content="more")
        orders.append((kinds(here), len(here.state.queued)))
    assert orders[0] == orders[1] == orders[2]


def test_an_input_may_take_the_place_of_what_is_not_under_way() -> None:
    here = asked(on_input="interrupt")
    here.add(ANN, ev.CallStarted(call="3.1", attempt=1, not_after=LATER))
    assert say(here, "input", BOB, content="stop") == ["input_received", "call_refused"]
    assert list(here.state.calls) == ["3.1"], "what is under way is not called back"
    here.add(ANN, ev.CallCompleted(call="3.1", attempt=1, result="found"))
    assert kinds(here) == ["input", "answer", "result", "result", "input"]


def test_an_input_may_be_refused_while_the_session_works() -> None:
    here = asked(on_input="reject")
    with pytest.raises(Refused, match="is at work"):
        say(here, "input", BOB, content="hello?")


def test_who_only_waits_for_time_to_pass_is_woken_by_an_input() -> None:
    here = proposed()
    here.add(ANN, ev.CallPending(call="3.1", attempt=1, expires_at=LATER, ends="done"))
    assert say(here, "input", BOB, content="hello?") == ["input_received", "call_completed"]


def test_who_waits_to_the_end_is_done() -> None:
    here = proposed()
    here.add(ANN, ev.CallPending(call="3.1", attempt=1, expires_at=LATER, ends="done"))
    absorb(here, [], LATER)
    [done] = [event.body for event in here.events if event.kind == "call_completed"]
    assert isinstance(done, ev.CallCompleted)
    assert done.by == "timer"


# --- operators -------------------------------------------------------------------------------------------------


def test_a_pause_holds_everything_until_it_is_resumed() -> None:
    here = proposed()
    say(here, "pause", BOB, reason="have a look")
    assert here.state.held
    assert isinstance(decide(here.state, Strict()), Rest)
    with pytest.raises(Refused, match="is paused"):
        say(here, "pause", ANN)
    say(here, "resume", BOB)
    assert isinstance(decide(here.state, Strict()), Perform)


def test_a_skipped_call_has_the_given_result() -> None:
    here = asked()
    say(here, "skip", BOB, call="3.0", result="done by hand", reason="the bank did it")
    [completed] = [event.body for event in here.events if event.kind == "call_completed"]
    assert isinstance(completed, ev.CallCompleted)
    assert (completed.by, completed.reason, completed.result) == ("skip", "the bank did it", "done by hand")


def test_g8_what_waits_for_a_decision_is_not_skipped_by_somebody_unknown() -> None:
    nobody = Actor(kind="unverified", name="root")
    with pytest.raises(Refused, match="made by who is known"):
        say(asked(), "skip", nobody, call="3.0", result="paid, trust me")
    here = proposed()
    say(here, "skip", nobody, call="3.0", result="done by hand")
    assert "call_completed" in [event.kind for event in here.events]


def test_what_is_under_way_is_not_skipped() -> None:
    here = proposed()
    here.add(ANN, ev.CallStarted(call="3.0", attempt=1, not_after=LATER))
    with pytest.raises(Refused, match="under way"):
        say(here, "skip", BOB, call="3.0", result="x")
    with pytest.raises(Refused, match="settled, or there is none"):
        say(here, "skip", BOB, call="9.9", result="x")


def test_g6_a_session_is_not_finished_over_an_effect_whose_outcome_is_not_known() -> None:
    here = proposed()
    here.add(ANN, ev.CallStarted(call="3.0", attempt=1, not_after=LATER))
    with pytest.raises(Refused, match=r"the outcome of call 3\.0 is not known"):
        say(here, "finish", BOB, output="enough")


def test_finishing_refuses_what_is_open_and_takes_the_last_words() -> None:
    here = Draft(State(), START)
    here.add(ANN, ev.SessionStarted(tenant="t", session="s1", program="desk", version="1", input="hello"))
    here.add(ANN, ev.ModelAnswered(model="m", answer={"text": "hi", "calls": []}))
    say(here, "finish", BOB)
    assert (here.state.ended, here.state.output) == ("completed", "hi")
    here = asked()
    assert say(here, "finish", BOB, output=1) == ["call_refused", "call_refused", "session_completed"]


def test_g13_a_switch_or_a_version_lifts_only_what_it_held() -> None:
    here = proposed()
    here.add(ANN, ev.SessionParked(error=Failure(code="unknown_version", message="2")))
    say(here, "pause", BOB, reason="do not run this")
    here.add(ANN, ev.SessionResumed(lifts="version"))
    assert here.state.parked is None
    assert here.state.paused is not None
    here = proposed()
    here.add(ANN, ev.SessionPaused(switch="all", reason="stop"))
    here.add(ANN, ev.SessionParked(error=Failure(code="performed_twice", message="look")))
    here.add(ANN, ev.SessionResumed(lifts="switch"))
    assert (here.state.paused, here.state.switch) == (None, None)
    assert here.state.parked is not None


def test_g13_a_persons_pause_outlasts_a_switch() -> None:
    here = proposed()
    here.add(ANN, ev.SessionPaused(switch="all", reason="stop"))
    say(here, "pause", BOB, reason="have a look")
    here.add(ANN, ev.SessionResumed(lifts="switch"))
    assert here.state.paused is not None
    assert here.state.paused.message == "have a look"


# --- outcomes of attempts --------------------------------------------------------------------------------------


OUTSIDE = Actor(kind="external")


def tried_again() -> Draft:
    """The first attempt was held for not done; the second is pending outside."""
    here = proposed()
    for attempt in (1, 2):
        here.add(ANN, ev.CallStarted(call="3.0", attempt=attempt, not_after=LATER))
        here.add(ANN, ev.CallPending(call="3.0", attempt=attempt, expires_at=LATER))
        if attempt == 1:
            here.add(ANN, ev.CallReconciled(call="3.0", answer="not_done"))
    return here


def test_g6_what_is_said_of_an_attempt_that_is_over_settles_no_other() -> None:
    here = tried_again()
    with pytest.raises(Refused, match=r"attempt 1 of call 3\.0 is over"):
        say(here, "outcome", OUTSIDE, call="3.0", status="not_done", attempt=1)
    assert here.state.calls["3.0"].status == "pending"
    assert say(here, "outcome", OUTSIDE, call="3.0", status="done", result="paid", attempt=2) == ["call_completed"]


def test_g6_an_attempt_that_was_done_after_all_is_a_second_one() -> None:
    here = tried_again()
    say(here, "outcome", OUTSIDE, call="3.0", status="done", result="paid", attempt=1)
    assert here.state.parked is not None
    assert here.state.parked.code == "performed_twice"


def test_g6_that_it_was_done_after_all_settles_a_call_that_waits_to_be_tried_again() -> None:
    here = proposed()
    here.add(ANN, ev.CallStarted(call="3.0", attempt=1, not_after=LATER))
    here.add(ANN, ev.CallPending(call="3.0", attempt=1, expires_at=LATER))
    here.add(ANN, ev.CallReconciled(call="3.0", answer="not_done"))
    assert say(here, "outcome", OUTSIDE, call="3.0", status="done", result="x", attempt=1) == ["call_completed"]


# --- children --------------------------------------------------------------------------------------------------


def with_child(on_close: Any = "cancel", tokens: int | None = 100, limits: Limits | None = None) -> Draft:
    here = draft(limits=limits or Limits())
    calls = [ev.Proposal(tool="ask", effect="idempotent", digest="d1")]
    here.add(ANN, ev.CallsProposed(calls=calls, arguments=[{"input": "why?"}]))
    started = {"call": "3.0", "session": "s1:3.0", "program": "helper", "version": "1", "input": "why?"}
    here.add(ANN, ev.ChildStarted(**started, on_close=on_close, allotted=Limits(tokens=tokens)))
    return here


def test_a_child_is_a_call_that_ends_with_it() -> None:
    here = with_child()
    assert (here.state.calls["3.0"].status, here.state.spent.tokens) == ("child", 100)
    report = {"call": "3.0", "session": "s1:3.0", "status": "completed", "output": "because", "tokens": 30}
    assert say(here, "child", ENGINE, **report) == ["child_ended"]
    assert here.state.transcript[-1].value == "because"
    assert (here.state.spent.tokens, here.state.spent.calls) == (30, 1)
    with pytest.raises(Refused, match="nobody waits"):
        say(here, "child", ENGINE, **report)


def test_nobody_but_an_engine_says_what_became_of_a_child() -> None:
    here = with_child()
    with pytest.raises(Refused, match="only a session's own engine"):
        say(here, "child", ANN, call="3.0", session="s1:3.0", status="completed", output="forged")


@pytest.mark.parametrize(("on_close", "cancel"), [("cancel", True), ("abandon", False)])
def test_a_parent_that_ends_leaves_its_children_as_it_was_told(on_close: str, cancel: bool) -> None:
    """At once, however long its own end takes."""
    here = with_child(on_close)
    assert say(here, "cancel", ANN) == ["closing_began", "child_left"]
    [left] = [event.body for event in here.events if isinstance(event.body, ev.ChildLeft)]
    assert (left.session, left.cancel) == ("s1:3.0", cancel)
    ending = close(here.state)
    assert isinstance(ending, Record)
    assert [body.kind for body in ending.bodies] == ["call_refused", "session_cancelled"]  # type: ignore[attr-defined]


def test_skipping_a_child_cancels_it() -> None:
    here = with_child("abandon")
    assert say(here, "skip", ANN, call="3.0", result="never mind") == ["child_left", "call_completed"]
    assert not here.state.children


@pytest.mark.parametrize(("limits", "allotted"), [(None, None), (Limits(tokens=1000), 1000)])
def test_g11_a_child_is_allotted_what_its_parent_has_left(limits: Limits | None, allotted: int | None) -> None:
    here = draft(limits=limits or Limits())
    calls = [ev.Proposal(tool="ask", effect="idempotent", digest="d1")]
    here.add(ANN, ev.CallsProposed(calls=calls, arguments=[{"input": "why?"}]))
    decision = decide(here.state, Strict())
    assert isinstance(decision, Perform)
    [start] = decision.effects
    assert isinstance(start, StartChild)
    assert (start.session, start.child.limits.tokens) == ("s1:3.0", allotted)


# --- handover --------------------------------------------------------------------------------------------------


def test_a_handover_waits_for_the_other_calls_and_is_one_event() -> None:
    here = draft()
    calls = [
        ev.Proposal(tool="give", effect="idempotent", digest="d1"),
        ev.Proposal(tool="find", effect="read", digest="d2"),
    ]
    here.add(ANN, ev.CallsProposed(calls=calls, arguments=[{}, {}]))
    decision = decide(here.state, Strict())
    assert isinstance(decision, Perform), "first what else was asked for"
    here.add(ANN, ev.CallCompleted(call="3.1", attempt=1, result="found"))
    decision = decide(here.state, Strict())
    assert isinstance(decision, Record)
    assert [body.kind for body in decision.bodies] == ["program_changed"]  # type: ignore[attr-defined]
    here.add(decision.actor, *decision.bodies)
    state = here.state
    assert (state.program, state.version, state.on_input, dict(state.calls)) == ("other", "2", "reject", {})
    assert state.transcript[-1].value == {"handed_over_to": "other"}


# --- who only says who they are --------------------------------------------------------------------------------


@pytest.mark.parametrize("allowed", [False, True])
def test_g8_who_only_says_who_they_are_decides_nothing_unless_that_is_allowed(allowed: bool) -> None:
    here = asked()
    call = here.state.calls["3.0"]
    here.state = changed(here.state, calls={"3.0": changed(call, allow_unverified=allowed)})
    somebody = Actor(kind="unverified", name="ann")
    if allowed:
        decides(here, "approved", somebody)
        assert here.state.calls["3.0"].approved_by == (somebody,), "and it is recorded as that"
    else:
        with pytest.raises(Refused, match="only an identified person decides"):
            decides(here, "approved", somebody)


def test_g8_a_name_that_nobody_has_checked_is_not_the_one_that_is_asked() -> None:
    here = asked(approvers=("ann",))
    call = here.state.calls["3.0"]
    here.state = changed(here.state, calls={"3.0": changed(call, allow_unverified=True)})
    with pytest.raises(Refused, match="only an identified person decides"):
        decides(here, "approved", Actor(kind="unverified", name="ann"))
