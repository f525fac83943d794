"""The effects ledger and usage: what logs and heads say was done, by whom, and what it took."""

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest

from onward.core import events as ev
from onward.core.events import Actor, Body, Event, Failure, Proposal, Usage
from onward.core.ledger import LedgerEntry, ledger
from onward.core.payload import Blob, Erased
from onward.core.state import Spent
from onward.core.usage import UsageRow, usage
from onward.surfaces.effects import _usage_table
from onward.surfaces.output import Output
from onward.surfaces.text import Paper
from onward.testing.contracts.story import START, opening

ANN, BOB = Actor(kind="person", name="ann"), Actor(kind="person", name="bob")
TOOL, TIMER = Actor(kind="tool", name="pay"), Actor(kind="timer")
LINE = Failure(code="tool_error", message="the line broke")
STARTED = ev.CallStarted(call="1.0", attempt=1, not_after=START)
DOUBT = ev.CallInDoubt(call="1.0", attempt=1, error=LINE)
DROPPED = ev.CallRefused(call="1.0", error=Failure(code="cancelled", message="stop"))
AGAIN = ev.CallFailed(call="1.0", attempt=1, error=LINE, retry_at=START)
NOT_AGAIN = ev.CallFailed(call="1.0", attempt=2, error=Failure(code="not_performed", message="no"))
CHILD = ev.ChildStarted(call="1.0", session="c", program="p", version="1")
LEFT = ev.ChildLeft(call="1.0", session="c", cancel=False)
ASKED = ev.ApprovalRequested(
    call="1.0", tool="pay", digest="d", arguments={}, rule="large", effect="irreversible", expires_at=START
)


def proposed(*effects: Any, arguments: Any = None, refusal: Failure | None = None) -> Body:
    calls = [Proposal(tool="pay", effect=effect, digest="d", refusal=refusal) for effect in effects or ["irreversible"]]
    return ev.CallsProposed(calls=calls, arguments=arguments or [{"amount": at} for at in range(len(calls))])


def told(*said: Body | tuple[Actor, Body]) -> list[LedgerEntry]:
    """The ledger of these events, one a minute."""
    pairs = [entry if isinstance(entry, tuple) else (TOOL, entry) for entry in said]
    return ledger("s", [event(number, *pair) for number, pair in enumerate(pairs, start=1)])


def event(seq: int, actor: Actor, body: Body) -> Event:
    return Event(seq=seq, at=START + seq * timedelta(minutes=1), actor=actor, body=body)


def minute(number: int) -> Any:
    return START + number * timedelta(minutes=1)


def decided(verdict: Any, **fields: Any) -> Body:
    return ev.ApprovalDecided(call="1.0", verdict=verdict, digest="d", signal="s1", **fields)


def test_g14_what_is_from_a_record_was_not_done() -> None:
    how: dict[str, Any] = {"call": "1.0", "attempt": 0, "by": "record", "record": "parent/3.0"}
    (done,) = told(proposed(), ev.CallCompleted(result={"receipt": 7}, **how))
    assert (done.outcome, done.attempts, done.receipt, done.record) == ("recorded", [], {"receipt": 7}, "parent/3.0")
    (failed,) = told(proposed(), ev.CallFailed(error=LINE, **how))
    assert (failed.outcome, failed.attempts, failed.error) == ("recorded", [], LINE)
    blocked = ev.CallRefused(call="1.0", error=Failure(code="blocked", message="no record"))
    (entry,) = told(proposed(), blocked)
    assert (entry.outcome, entry.attempts) == ("not_performed", [])


def test_a_call_that_was_approved_and_made_has_its_whole_story() -> None:
    done = ev.CallCompleted(call="1.0", attempt=1, result={"receipt": 7})
    (entry,) = told(proposed(), ASKED, (ANN, decided("approved", reason="fine")), STARTED, done)
    assert (entry.session, entry.call, entry.key, entry.tool) == ("s", "1.0", "s/1.0", "pay")
    assert (entry.effect, entry.arguments, entry.rule) == ("irreversible", {"amount": 0}, "large")
    assert [(by.by, by.verdict, by.reason) for by in entry.approvals] == [(ANN, "approved", "fine")]
    assert [(a.number, a.started_at, a.ended_at, a.outcome) for a in entry.attempts] == [
        (1, minute(4), minute(5), "done")
    ]
    assert (entry.outcome, entry.receipt, entry.ended_at) == ("done", {"receipt": 7}, minute(5))
    assert (entry.doubted, entry.resolved_by, entry.moved_at) == (False, None, minute(5))


OUTCOMES: dict[str, tuple[list[Any], str]] = {
    "not begun": ([], "open"),
    "refused by a rule": ([ev.CallRefused(call="1.0", error=LINE)], "not_performed"),
    "rejected": ([ASKED, (ANN, decided("rejected"))], "not_performed"),
    "expired": (
        [ASKED, (TIMER, ev.ApprovalExpired(call="1.0", verdict="rejected", due_at=START))],
        "not_performed",
    ),
    "expired as approved": (
        [ASKED, (TIMER, ev.ApprovalExpired(call="1.0", verdict="approved", due_at=START))],
        "open",
    ),
    "answered by a person": ([ASKED, (ANN, decided("responded", result=5))], "answered"),
    "skipped": ([(ANN, ev.CallCompleted(call="1.0", attempt=0, result=5, by="operator", signal="s1"))], "answered"),
    "under way": ([STARTED], "started"),
    "in doubt": ([STARTED, DOUBT], "in_doubt"),
    "in doubt, and its tool does not know": (
        [STARTED, DOUBT, ev.CallReconciled(call="1.0", answer="unknown", error=LINE)],
        "in_doubt",
    ),
    "certainly not": (
        [STARTED, ev.CallFailed(call="1.0", attempt=1, error=Failure(code="not_performed", message="no"))],
        "not_performed",
    ),
    "to be tried again": ([ev.CallFailed(call="1.0", attempt=1, error=LINE, retry_at=START)], "open"),
    "failed for good": ([ev.CallFailed(call="1.0", attempt=1, error=LINE)], "failed"),
    "going on outside": ([ev.CallPending(call="1.0", attempt=1, expires_at=START)], "pending"),
    "a child at work": ([ev.ChildStarted(call="1.0", session="c", program="p", version="1")], "pending"),
    "a child that goes on without its session": ([CHILD, LEFT, DROPPED], "left"),
    "a child that is told to end": ([CHILD, LEFT.model_copy(update={"cancel": True}), DROPPED], "left"),
    "going on outside, and nobody waits": (
        [STARTED, ev.CallPending(call="1.0", attempt=1, expires_at=START), DROPPED],
        "left",
    ),
    "under way, and nobody waits": ([STARTED, DROPPED], "left"),
    "in doubt, and nobody waits": ([STARTED, DOUBT, DROPPED], "in_doubt"),
    "tried, and then dropped": ([AGAIN, DROPPED], "failed"),
    "found not done, and then dropped": (
        [STARTED, DOUBT, ev.CallReconciled(call="1.0", answer="not_done"), DROPPED],
        "not_performed",
    ),
    "tried, and certainly not the second time": ([AGAIN, NOT_AGAIN], "failed"),
    "handed over": ([ev.ProgramChanged(program="back", version="1", call="1.0")], "done"),
    "open when the session ended": ([ev.SessionCancelled()], "not_performed"),
    "under way when the session ended": ([STARTED, ev.SessionCancelled()], "left"),
    "in doubt when the session ended": ([STARTED, DOUBT, ev.SessionCancelled()], "in_doubt"),
    "tried before the session began afresh": ([AGAIN, ev.SessionContinued()], "failed"),
    "done before the session ended": (
        [ev.CallCompleted(call="1.0", attempt=1, result=1), ev.SessionCompleted()],
        "done",
    ),
    "a child that failed": (
        [
            ev.ChildStarted(call="1.0", session="c", program="p", version="1"),
            ev.ChildEnded(call="1.0", session="c", status="failed", error=LINE),
        ],
        "failed",
    ),
}


@pytest.mark.parametrize(("story", "outcome"), OUTCOMES.values(), ids=OUTCOMES)
def test_what_came_of_a_call(story: list[Any], outcome: str) -> None:
    (entry,) = told(proposed(), *story)
    assert entry.outcome == outcome


def test_a_doubt_is_remembered_with_who_settled_it() -> None:
    settled = ev.CallCompleted(call="1.0", attempt=1, result="paid", by="operator", signal="s1")
    (entry,) = told(proposed(), STARTED, DOUBT, (BOB, settled))
    assert (entry.outcome, entry.doubted, entry.resolved_by, entry.receipt) == ("done", True, BOB, "paid")
    assert [attempt.outcome for attempt in entry.attempts] == ["done"]


def test_who_drops_a_call_says_nothing_of_what_was_tried() -> None:
    pending = ev.CallPending(call="1.0", attempt=1, expires_at=START)
    (entry,) = told(proposed(), STARTED, pending, (ANN, DROPPED))
    assert [(attempt.outcome, attempt.ended_at) for attempt in entry.attempts] == [("pending", None)]
    assert (entry.outcome, entry.error, entry.resolved_by, entry.ended_at) == ("left", DROPPED.error, None, minute(4))
    (entry,) = told(proposed(), AGAIN, (ANN, DROPPED))
    assert [(attempt.outcome, attempt.error) for attempt in entry.attempts] == [("failed", LINE)]
    (entry,) = told(proposed(), STARTED, DOUBT, ev.SessionFailed(error=LINE), ev.SessionCompleted())
    assert (entry.outcome, entry.ended_at, entry.resolved_by) == ("in_doubt", None, None)


@pytest.mark.parametrize("before", [[STARTED, DOUBT], [ev.CallPending(call="1.0", attempt=1, expires_at=START)], []])
def test_a_call_that_was_skipped_is_not_held_for_done(before: list[Body]) -> None:
    fields: dict[str, Any] = {"call": "1.0", "attempt": 1, "result": "go on", "reason": "nobody knows", "signal": "s1"}
    (entry,) = told(proposed(), *before, (BOB, ev.CallCompleted.model_construct(by="skip", **fields)))
    assert (entry.outcome, entry.receipt, entry.resolved_by, entry.reason) == ("answered", "go on", BOB, "nobody knows")
    assert [attempt.outcome for attempt in entry.attempts] == [told(proposed(), *before)[0].outcome] * bool(before)


def test_what_was_found_not_done_may_be_done_at_the_next_attempt() -> None:
    not_done = ev.CallReconciled(call="1.0", answer="not_done")
    again = STARTED.model_copy(update={"attempt": 2})
    (entry,) = told(proposed(), STARTED, DOUBT, not_done, again, ev.CallCompleted(call="1.0", attempt=2, result=1))
    assert [(attempt.number, attempt.outcome) for attempt in entry.attempts] == [(1, "not_performed"), (2, "done")]
    assert (entry.outcome, entry.doubted, entry.reconciled, entry.resolved_by) == ("done", True, "not_done", TOOL)


def test_two_approvals_and_an_edit_are_all_there() -> None:
    edited = ev.CallEdited(call="1.0", digest="e", arguments={"amount": 1})
    decisions = (ANN, decided("approved")), (BOB, decided("approved", arguments={"amount": 1}))
    (entry,) = told(proposed(), ASKED, *decisions, edited)
    assert [by.by.name for by in entry.approvals] == ["ann", "bob"]
    assert (entry.arguments, entry.digest) == ({"amount": 1}, "e")
    (entry,) = told(proposed(), ASKED, *decisions, ev.CallEdited(call="1.0", digest="d", error=LINE))
    assert (entry.arguments, entry.digest) == ({"amount": 0}, "d")


def test_calls_of_a_turn_are_apart_and_a_refused_one_was_not_performed() -> None:
    first, second = told(proposed("read", "irreversible"), ev.CallCompleted(call="1.1", attempt=1, result=2))
    assert (first.outcome, second.outcome, second.arguments) == ("open", "done", {"amount": 1})
    (refused,) = told(proposed(refusal=Failure(code="bad_arguments", message="no amount")))
    assert (refused.outcome, refused.error and refused.error.code) == ("not_performed", "bad_arguments")


def test_large_and_erased_values_stay_where_they_are() -> None:
    blob = Blob(digest="x", size=70_000, preview="much")
    first, second = told(proposed("read", "read", arguments=blob), ev.CallCompleted(call="1.0", attempt=1, result=blob))
    assert (first.arguments, second.arguments) == (
        blob.model_copy(update={"index": 0}),
        blob.model_copy(update={"index": 1}),
    )
    assert first.receipt == blob
    (entry,) = told(proposed(arguments=Erased()), ev.CallCompleted(call="1.0", attempt=1, result=Erased()))
    assert entry.arguments == entry.receipt == Erased()


def test_other_events_and_other_calls_change_nothing() -> None:
    others = ev.CallStarted(call="9.9", attempt=1, not_after=START), ev.LabelsChanged(set={"a": 1})
    assert told(*others) == []
    (entry,) = told(proposed(), *others)
    assert (entry.outcome, entry.attempts, entry.moved_at) == ("open", [], minute(1))


# --- usage ---------------------------------------------------------------------------------------------------------


def test_usage_adds_up_by_program_tenant_and_session_the_largest_first() -> None:
    used = Usage(input_tokens=5, output_tokens=3, cached_tokens=2, thinking_tokens=1)
    spent = Spent(turns=2, calls=1, tokens=9, lost=1, usage=used)
    small = Spent(turns=1, tokens=1)
    heads = [
        opening("a", "acme", spent=spent)[0],
        opening("b", "acme", spent=spent, program="other")[0],
        opening("a", "globex", spent=small)[0],
    ]
    assert usage(heads, "program") == [
        UsageRow("desk", 2, 3, 1, 10, 5, 3, 2, 1, 1),
        UsageRow("other", 1, 2, 1, 9, 5, 3, 2, 1, 1),
    ]
    assert [(row.name, row.sessions, row.tokens) for row in usage(heads, "tenant")] == [
        ("acme", 2, 18),
        ("globex", 1, 1),
    ]
    assert [(row.name, row.tokens) for row in usage(heads, "session")] == [("a", 9), ("b", 9), ("a", 1)]
    assert usage([], "program") == []


def test_a_token_that_a_child_used_is_counted_once() -> None:
    """A session's figure has its children's in it; in a sum they are there already."""

    def used(own: int, theirs: int = 0, lost: int = 0) -> Spent:
        return Spent(tokens=own + theirs + lost, usage=Usage(input_tokens=own))

    heads = [
        opening("boss", spent=used(60, theirs=36, lost=7))[0],
        opening("boss:3.0", spent=used(20, theirs=10), parent="boss", program="kid")[0],
        opening("boss:3.0:3.0", spent=used(10), parent="boss:3.0", program="kid")[0],
        opening("boss:3.1", spent=used(6), parent="boss", program="kid")[0],
        opening("boss", tenant="globex", spent=used(5))[0],
    ]
    assert [(row.name, row.tokens, row.children_tokens) for row in usage(heads, "tenant")] == [
        ("acme", 103, 0),
        ("globex", 5, 0),
    ]
    assert [(row.name, row.tokens) for row in usage(heads, "program")] == [("desk", 72), ("kid", 36)]
    rows = usage(heads, "session")
    assert [(row.name, row.tokens, row.children_tokens) for row in rows[:3]] == [
        ("boss", 103, 36),
        ("boss:3.0", 30, 10),
        ("boss:3.0:3.0", 10, 0),
    ]
    output = Output(StringIO(), Paper(200, color=False), json=False, terminal=False)
    table = [line.split() for line in _usage_table(rows, "session", output)]
    assert (table[1][-1], table[-1][:5], table[-1][-1]) == ("36", ["(all)", "5", "0", "0", "108"], "0")
    assert "CHILDREN" not in "".join(_usage_table(usage(heads, "tenant"), "tenant", output))
    assert [row.tokens for row in usage(heads[:1] + heads[4:], "tenant")] == [103, 5]
    unlimited = [opening("boss", spent=used(60))[0], opening("c", spent=used(20), parent="boss")[0]]
    assert [row.tokens for row in usage(unlimited, "tenant")] == [80]
