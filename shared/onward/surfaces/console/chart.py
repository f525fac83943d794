"""A session's events as bars on a line of time: what was at work when, what was waited for, and who ended a wait.

What begins is written down where it must be: a call that may be repeated, or a question to a model, has no event of its
own for that. Such a bar begins with the event before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from onward.core import events as ev
from onward.core.events import Event
from onward.core.ids import call_id
from onward.core.words import LEFT
from onward.surfaces.console.bars import Bar, Chart, Look, Row
from onward.surfaces.operations import name_of
from onward.surfaces.telling import quoted, who, why
from onward.surfaces.text import input_text


def chart(proposals: Sequence[Event], events: Sequence[Event], waits_for_input: bool = False) -> list[Row]:
    """The rows of these events, those that began last. `proposals` are events before them that proposed calls which
    these are about."""
    drawing, first = Chart(), events[0].seq if events else 1
    for event in proposals:
        _take(drawing, event)
    drawing.before = drawing.idle = None
    for event in events:
        _take(drawing, event)
    called = {getattr(event.body, "call", None) for event in events} - {None}
    return drawing.drawn(first, called, waits_for_input)


def _take(chart: Chart, event: Event) -> None:
    step = _STEPS.get(type(event.body))
    if step is not None:
        step(chart, event, event.body)
    chart.before = event.at


# --- the session -----------------------------------------------------------------------------------------------


def _started(chart: Chart, event: Event, body: ev.SessionStarted) -> None:
    if body.not_before is not None and body.not_before > event.at:
        chart.new(("timer", "start"), event, "start").begin("wait", event.at, "waits for its time")


def _input(chart: Chart, event: Event, body: ev.InputReceived) -> None:
    waited = chart.idle or event.at
    chart.mark(event, "input", Bar("wait", waited, event.at, f"waited for; by {who(event.actor)}"))
    chart.idle = None


def _over(chart: Chart, event: Event, body: ev.SessionContinued | ev.SessionCompleted) -> None:
    chart.close(event.at)
    chart.idle = None


def _failed(chart: Chart, event: Event, body: ev.SessionFailed) -> None:
    chart.close(event.at)
    chart.mark(event, "failed", Bar("bad", event.at, event.at, why(body.error)))


def _cancelled(chart: Chart, event: Event, body: ev.SessionCancelled) -> None:
    chart.close(event.at)
    chart.mark(event, "cancelled", Bar("bad", event.at, event.at, f"cancelled{quoted(body.reason)}"))


def _closing(chart: Chart, event: Event, body: ev.ClosingBegan) -> None:
    chart.new(("closing", ""), event, "closing").begin("wait", event.at, f"is to end: {why(body.error)}")


def _parked(chart: Chart, event: Event, body: ev.SessionParked) -> None:
    _hold(chart, event, "needs attention", "doubt", why(body.error))


def _limit(chart: Chart, event: Event, body: ev.LimitReached) -> None:
    _hold(chart, event, "needs attention", "doubt", f"limit on {body.limit} reached")


def _paused(chart: Chart, event: Event, body: ev.SessionPaused) -> None:
    by = "by a switch" if body.switch else f"by {who(event.actor)}"
    _hold(chart, event, "paused", "wait", f"paused {by}{quoted(body.reason)}")


def _hold(chart: Chart, event: Event, label: str, look: Look, text: str) -> None:
    chart.close(event.at, label)
    chart.new((label, ""), event, label).begin(look, event.at, text)


def _resumed(chart: Chart, event: Event, body: ev.SessionResumed) -> None:
    by = f"; set going by {who(event.actor)}{quoted(body.reason)}"
    for kind in ("needs attention", "paused"):
        chart.close(event.at, kind, by)


def _step_failed(chart: Chart, event: Event, body: ev.StepFailed) -> None:
    track = chart.track(("timer", "step"), event, "step")
    track.end(chart.since(event))
    track.done("bad", event.at, f"attempt {body.attempt} failed: {why(body.error)}")
    if body.retry_at > event.at:
        track.begin("wait", event.at, "waits for its next attempt")


def _lost(chart: Chart, event: Event, body: ev.AttemptsLost) -> None:
    text = f"{body.count} ended without a trace"
    chart.mark(event, "attempts", Bar("bad", chart.since(event), event.at, text))


def _timer_set(chart: Chart, event: Event, body: ev.TimerSet) -> None:
    track = chart.track(("timer", f"user:{body.timer}"), event, f"timer {body.timer}")
    track.begin("wait", event.at, "waits for its time")


def _timer_fired(chart: Chart, event: Event, body: ev.TimerFired) -> None:
    kind, _, rest = body.timer.partition(":")
    track = chart.open(("timer", body.timer)) or (chart.open(("call", rest)) if kind == "retry" else None)
    if track is not None:
        track.end(event.at)
    if track is not None and kind == "retry":
        track.begin("work", event.at, "to be made", idle=True)


# --- the model -------------------------------------------------------------------------------------------------


def _answered(chart: Chart, event: Event, body: ev.ModelAnswered) -> None:
    spent = f", {body.usage.total:,} tokens" if body.usage.total else ""
    track = chart.track(("timer", "model"), event, "model")
    track.end(chart.since(event))
    track.row.bars.append(Bar("work", chart.since(event), event.at, f"{body.model} answered{spent}"))
    chart.drop(("timer", "model"))
    chart.idle = None if body.calls else event.at


def _model_failed(chart: Chart, event: Event, body: ev.ModelFailed) -> None:
    track = chart.track(("timer", "model"), event, "model")
    track.end(chart.since(event))
    track.row.bars.append(Bar("bad", chart.since(event), event.at, f"{body.model}: {why(body.error)}"))
    if body.retry_at is not None:
        track.begin("wait", event.at, "waits for the next attempt")


def _answer_refused(chart: Chart, event: Event, body: ev.AnswerRefused) -> None:
    chart.idle = None


# --- calls -----------------------------------------------------------------------------------------------------


def _proposed(chart: Chart, event: Event, body: ev.CallsProposed) -> None:
    chart.idle = None
    for index, proposal in enumerate(body.calls):
        id = call_id(event.seq, index)
        operation = body.operations[index] if body.operations else None
        if operation is not None and operation.kind == "patch":
            continue  # it takes no time
        name = name_of(proposal.tool, operation.name if operation else None)
        track = chart.new(("call", id), event, name if operation else f"{name} {id}")
        track.row.call, track.kind = id, operation.kind if operation else ""
        if proposal.refusal is not None:
            track.done("bad", event.at, f"refused: {why(proposal.refusal)}")
        elif operation is not None and operation.kind in ("sleep", "signal"):
            what = input_text(operation.signal) if operation.kind == "signal" else "its time"
            track.begin("wait", event.at, f"waits for {what}")
        else:
            track.begin("work", event.at, "to be made", idle=True)


def _asked(chart: Chart, event: Event, body: ev.ApprovalRequested) -> None:
    track = chart.call(event, body.call)
    track.needed = body.needed
    track.begin("wait", event.at, "waits for an answer" if track.kind == "approval" else "waits for a decision")


def _decided(chart: Chart, event: Event, body: ev.ApprovalDecided) -> None:
    track = chart.call(event, body.call)
    track.end(event.at, f": {body.verdict} by {who(event.actor)}{quoted(body.reason)}")
    track.needed -= 1
    if body.verdict == "approved" and body.arguments is None and track.needed > 0:
        track.begin("wait", event.at, "waits for another decision")
    elif body.verdict == "approved" and track.kind != "approval":
        track.begin("work", event.at, "to be made", idle=True)


def _delegated(chart: Chart, event: Event, body: ev.ApprovalDelegated) -> None:
    track = chart.call(event, body.call)
    track.end(event.at, f": passed on by {who(event.actor)}{quoted(body.reason)}")
    track.begin("wait", event.at, f"waits for a decision of {body.to}")


def _edited(chart: Chart, event: Event, body: ev.CallEdited) -> None:
    if body.error is not None:
        chart.call(event, body.call).begin("wait", event.at, "not taken so; waits for a decision")


def _expired(chart: Chart, event: Event, body: ev.ApprovalExpired) -> None:
    track = chart.call(event, body.call)
    asks = track.kind == "approval"
    track.end(event.at, ": nobody decided in time" if asks else f": nobody decided in time, {body.verdict}")
    if body.verdict == "approved" and not asks:
        track.begin("work", event.at, "to be made", idle=True)


def _postponed(chart: Chart, event: Event, body: ev.CallPostponed) -> None:
    chart.call(event, body.call).begin("wait", event.at, f"later: {why(body.error)}")


def _call_started(chart: Chart, event: Event, body: ev.CallStarted) -> None:
    chart.call(event, body.call).begin("work", event.at, _attempt(body.attempt, "begun"))


def _call_completed(chart: Chart, event: Event, body: ev.CallCompleted) -> None:
    text = _OVER.get(event.actor.kind) or ("done" if body.by == "tool" else f"{body.by}, by {who(event.actor)}")
    chart.call(event, body.call).done("work", event.at, _attempt(body.attempt, text))


_OVER = MappingProxyType({"program": "it came", "timer": "it is over"})
"""How a wait ended, by who says so."""


def _call_failed(chart: Chart, event: Event, body: ev.CallFailed) -> None:
    track = chart.call(event, body.call)
    track.done("bad", event.at, _attempt(body.attempt, why(body.error)))
    if body.retry_at is not None:
        track.begin("wait", event.at, "waits for its next attempt")


def _attempt(number: int, text: str) -> str:
    return f"attempt {number}: {text}" if number > 1 else text


def _call_refused(chart: Chart, event: Event, body: ev.CallRefused) -> None:
    if body.error.code == LEFT:
        return chart.call(event, body.call).end(event.at, ": it was not wanted any more")
    chart.call(event, body.call).done("bad", event.at, why(body.error))


def _in_doubt(chart: Chart, event: Event, body: ev.CallInDoubt) -> None:
    track = chart.call(event, body.call)
    track.done("bad", event.at, _attempt(body.attempt, f"in doubt: {why(body.error)}"))
    track.begin("doubt", event.at, "what came of it is looked into")


def _reconciled(chart: Chart, event: Event, body: ev.CallReconciled) -> None:
    track = chart.call(event, body.call)
    if body.answer == "unknown":
        return track.begin("doubt", event.at, "a person is to say what came of it")
    track.end(event.at, f": it did not happen, says {who(event.actor)}")
    track.begin("work", event.at, "to be made", idle=True)


def _pending(chart: Chart, event: Event, body: ev.CallPending) -> None:
    track = chart.call(event, body.call)
    if body.polls == 0 or track.open is None:
        track.begin("wait", event.at, "goes on outside")


def _child_started(chart: Chart, event: Event, body: ev.ChildStarted) -> None:
    track = chart.call(event, body.call)
    if track.kind == "start":
        return track.done("work", event.at, f"session {body.session} was started")
    track.begin("wait", event.at, f"session {body.session}")


def _child_left(chart: Chart, event: Event, body: ev.ChildLeft) -> None:
    chart.call(event, body.call).end(event.at, ": nobody waits for it any more")


def _child_ended(chart: Chart, event: Event, body: ev.ChildEnded) -> None:
    error = f": {why(body.error)}" if body.error else ""
    look: Look = "work" if body.status == "completed" else "bad"
    chart.call(event, body.call).done(look, event.at, f"{body.status}{error}")


_STEPS: Mapping[type[ev.Body], Callable[[Chart, Event, Any], None]] = MappingProxyType(
    {
        ev.SessionStarted: _started,
        ev.InputReceived: _input,
        ev.SessionContinued: _over,
        ev.SessionCompleted: _over,
        ev.SessionFailed: _failed,
        ev.SessionCancelled: _cancelled,
        ev.ClosingBegan: _closing,
        ev.SessionParked: _parked,
        ev.LimitReached: _limit,
        ev.SessionPaused: _paused,
        ev.SessionResumed: _resumed,
        ev.StepFailed: _step_failed,
        ev.AttemptsLost: _lost,
        ev.TimerSet: _timer_set,
        ev.TimerFired: _timer_fired,
        ev.ModelAnswered: _answered,
        ev.ModelFailed: _model_failed,
        ev.AnswerRefused: _answer_refused,
        ev.CallsProposed: _proposed,
        ev.ApprovalRequested: _asked,
        ev.ApprovalDecided: _decided,
        ev.ApprovalDelegated: _delegated,
        ev.CallEdited: _edited,
        ev.ApprovalExpired: _expired,
        ev.CallPostponed: _postponed,
        ev.CallStarted: _call_started,
        ev.CallCompleted: _call_completed,
        ev.CallFailed: _call_failed,
        ev.CallRefused: _call_refused,
        ev.CallInDoubt: _in_doubt,
        ev.CallReconciled: _reconciled,
        ev.CallPending: _pending,
        ev.ChildStarted: _child_started,
        ev.ChildLeft: _child_left,
        ev.ChildEnded: _child_ended,
    }
)
