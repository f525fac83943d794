"""The timeline of a session: what was at work when, what was waited for, and who ended a wait."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from onward.core import events as ev
from onward.core.events import Actor, Body, Event, Failure, Proposal
from onward.surfaces.console.bars import ROWS, Bar, Line, Row, lasted
from onward.surfaces.console.chart import chart
from onward.testing.contracts.story import START

ANN, BOB = Actor(kind="person", name="ann"), Actor(kind="person", name="bob")
TOOL = Actor(kind="tool", name="pay")
LINE = Failure(code="tool_error", message="the line broke")
OPENING = ev.SessionStarted(tenant="t", session="s", program="p", version="1")
PROPOSED = ev.CallsProposed(
    calls=[Proposal(tool="pay", effect="irreversible", digest="d"), Proposal(tool="look", effect="read", digest="d")],
    arguments=[{}, {}],
)
ANSWERED = ev.ModelAnswered(model="m", answer={"text": "", "calls": []}, calls=1)
STARTED = ev.CallStarted(call="1.0", attempt=1, not_after=START)
DONE = ev.CallCompleted(call="1.0", attempt=1, result=1)
FAILED = ev.CallFailed(call="1.0", attempt=1, error=LINE, retry_at=START)
DOUBT = ev.CallInDoubt(call="1.0", attempt=1, error=LINE)
PAUSED = ev.SessionPaused(reason="legal")
RESUMED = ev.SessionResumed(reason="fine")


def asked(needed: int = 1) -> Body:
    return ev.ApprovalRequested(
        call="1.0", tool="pay", digest="d", arguments={}, rule="r", effect="read", expires_at=START, needed=needed
    )


def decided(verdict: Any, **more: Any) -> Body:
    return ev.ApprovalDecided(call="1.0", verdict=verdict, digest="d", signal="s", **more)


def told(*said: Body | tuple[Actor, Body], first: int = 1) -> list[Event]:
    """These events, one a minute."""
    pairs: list[tuple[Actor, Any]] = [entry if isinstance(entry, tuple) else (TOOL, entry) for entry in said]
    return [
        Event(seq=seq, at=START + seq * timedelta(minutes=1), actor=actor, body=body)
        for seq, (actor, body) in enumerate(pairs, first)
    ]


def drawn(*said: Body | tuple[Actor, Body]) -> dict[str, list[tuple[str, int, int | None, str]]]:
    """Rows by their labels; bars by the minutes between which they lie."""
    return {row.label: [minutes(bar) for bar in row.bars] for row in chart([], told(*said))}


def minutes(bar: Bar) -> tuple[str, int, int | None, str]:
    ended = None if bar.ended is None else (bar.ended - START) // timedelta(minutes=1)
    return bar.look, (bar.begun - START) // timedelta(minutes=1), ended, bar.text


def test_a_call_that_is_approved_waits_for_who_decided_and_is_then_made() -> None:
    rows = drawn(PROPOSED, asked(), (ANN, decided("approved", reason="fine")), STARTED, DONE)
    assert rows["pay 1.0"] == [("wait", 2, 3, "waits for a decision: approved by ann: fine"), ("work", 4, 5, "done")]


def test_each_of_two_who_must_approve_is_told_of() -> None:
    rows = drawn(PROPOSED, asked(2), (ANN, decided("approved")), (BOB, decided("approved")), STARTED)
    assert rows["pay 1.0"] == [
        ("wait", 2, 3, "waits for a decision: approved by ann"),
        ("wait", 3, 4, "waits for another decision: approved by bob"),
        ("work", 5, None, "begun"),
    ]


def test_who_says_no_ends_the_wait_and_nothing_is_made() -> None:
    refused = ev.CallRefused(call="1.0", error=Failure(code="rejected", message="no"))
    rows = drawn(PROPOSED, asked(), (ANN, decided("rejected")), refused)
    assert rows["pay 1.0"] == [("wait", 2, 3, "waits for a decision: rejected by ann"), ("bad", 4, 4, "no")]


def test_a_failed_attempt_and_the_wait_for_the_next_are_seen() -> None:
    again = ev.CallStarted(call="1.0", attempt=2, not_after=START)
    rows = drawn(PROPOSED, STARTED, FAILED, again, ev.CallCompleted(call="1.0", attempt=2, result=1))
    assert rows["pay 1.0"] == [
        ("bad", 2, 3, "the line broke"),
        ("wait", 3, 4, "waits for its next attempt"),
        ("work", 4, 5, "attempt 2: done"),
    ]


def test_a_call_that_only_reads_is_at_work_from_its_proposal_on() -> None:
    fired = ev.TimerFired(timer="retry:1.1", due_at=START)
    failed = ev.CallFailed(call="1.1", attempt=1, error=LINE, retry_at=START)
    done = ev.CallCompleted(call="1.1", attempt=2, result=1)
    assert drawn(PROPOSED, failed, fired, done)["look 1.1"] == [
        ("bad", 1, 2, "the line broke"),
        ("wait", 2, 3, "waits for its next attempt"),
        ("work", 3, 4, "attempt 2: done"),
    ]


def test_what_is_in_doubt_is_a_wait_of_its_own_until_somebody_says_what_came_of_it() -> None:
    unknown = ev.CallReconciled(call="1.0", answer="unknown")
    rows = drawn(PROPOSED, STARTED, DOUBT, unknown, (ANN, DONE.model_copy(update={"by": "operator"})))
    assert rows["pay 1.0"] == [
        ("bad", 2, 3, "in doubt: the line broke"),
        ("doubt", 3, 4, "what came of it is looked into"),
        ("doubt", 4, 5, "a person is to say what came of it: operator, by ann"),
    ]


def test_a_model_is_at_work_since_the_event_before_and_waits_between_attempts() -> None:
    failed = ev.ModelFailed(model="m", error=LINE, attempt=1, retry_at=START)
    fired = ev.TimerFired(timer="model", due_at=START)
    rows = drawn(OPENING, failed, fired, ANSWERED)
    assert rows["model"] == [
        ("bad", 1, 2, "m: the line broke"),
        ("wait", 2, 3, "waits for the next attempt"),
        ("work", 3, 4, "m answered"),
    ]


def test_holds_say_who_and_until_when() -> None:
    rows = drawn(OPENING, (ANN, PAUSED), (BOB, RESUMED), ev.SessionParked(error=LINE))
    assert rows["paused"] == [("wait", 2, 3, "paused by ann: legal; set going by bob: fine")]
    assert rows["needs attention"] == [("doubt", 4, None, "the line broke")]


def test_a_session_with_nothing_to_do_waits_for_an_input() -> None:
    idle = ANSWERED.model_copy(update={"calls": 0})
    said = (ANN, ev.InputReceived(content="Hi", signal="s"))
    assert drawn(OPENING, idle, said)["input"] == [("wait", 2, 3, "waited for; by ann")]
    (_, waiting) = chart([], told(OPENING, idle), waits_for_input=True)
    assert minutes(waiting.bars[0]) == ("wait", 2, None, "waited for")
    assert len(chart([], told(OPENING, idle))) == 1


def test_a_child_is_waited_for() -> None:
    begun = ev.ChildStarted(call="1.0", session="c", program="p", version="1")
    ended = ev.ChildEnded(call="1.0", session="c", status="failed", error=LINE)
    assert drawn(PROPOSED, begun, ended)["pay 1.0"] == [("bad", 2, 3, "session c: failed: the line broke")]


def test_the_end_of_a_session_ends_every_bar() -> None:
    rows = drawn(PROPOSED, asked(), ev.TimerSet(timer="t", due_at=START), ev.SessionCancelled(reason="no longer"))
    assert [bar[2] for bars in rows.values() for bar in bars] == [4, 4, 4]
    assert rows["cancelled"] == [("bad", 4, 4, "cancelled: no longer")]


def test_calls_proposed_before_a_part_of_the_log_begin_there_and_those_that_it_is_not_about_are_left_out() -> None:
    (before,) = told(PROPOSED)
    (row,) = chart([before], told(STARTED, DONE, first=7))
    assert (row.seq, row.label, [minutes(bar)[1:3] for bar in row.bars]) == (1, "pay 1.0", [(7, 8)])


def test_only_so_many_rows_are_drawn_those_that_began_last() -> None:
    rows = chart([], told(*[ANSWERED] * (ROWS + 5)))
    assert (len(rows), rows[0].seq, rows[-1].seq) == (ROWS, 6, ROWS + 5)


BODIES = [PROPOSED, ANSWERED, asked(), decided("approved"), decided("rejected"), STARTED, DONE, FAILED, DOUBT]
BODIES += [PAUSED, RESUMED, ev.SessionParked(error=LINE), ev.TimerFired(timer="retry:1.0", due_at=START)]
BODIES += [ev.ChildLeft(call="9.9", session="c", cancel=True), ev.SessionContinued(input=1)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(BODIES), min_size=1, max_size=25))
def test_whatever_a_log_says_bars_lie_on_the_line_and_end_after_they_began(said: list[Body]) -> None:
    rows = chart([], told(*said))
    now = START + timedelta(minutes=len(said) + 1)
    for row in rows:
        assert row.bars
        for bar in row.bars:
            assert bar.begun <= (bar.ended or now)
        for each in Line.of(rows, now).drawn(row, now):
            assert 0 <= float(each.x[:-1]) <= float(each.x[:-1]) + float(each.wide[:-1]) <= 100.001


def test_a_bar_says_what_it_is_and_how_long_it_was_and_hides_nothing() -> None:
    later = START + timedelta(minutes=3)
    assert Bar("work", START, later, "a\u202eb").said(later) == "a\\u202eb, 3 m"
    assert Bar("wait", START, None, "waits").said(later) == "waits, 3 m so far"
    assert [lasted(each) for each in (-1, 0.25, 1.5, 90)] == ["0 ms", "250 ms", "1.5 s", "1 m 30 s"]


def test_where_everything_was_at_once_there_is_a_line_still() -> None:
    row = Row(1, "x", [Bar("work", START, START, "x")])
    (bar,) = Line.of([row], START).drawn(row, START)
    assert (bar.x, bar.wide) == ("0.000%", "0.000%")
