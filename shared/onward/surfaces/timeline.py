"""What each event says, for people: one small function per kind. Those of calls are in a module of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onward.core import events as ev
from onward.core.events import Event, Limits
from onward.core.state import State
from onward.surfaces import telling_calls as telling_calls
from onward.surfaces.operations import calls_of
from onward.surfaces.telling import NOTES, Note, Tools, due, limits_text, quoted, tells, who, why
from onward.surfaces.telling_branches import from_where, recorded
from onward.surfaces.text import said, shown


@dataclass(slots=True)
class Telling(Tools):
    """Tells events in order; it remembers what each call is."""

    @classmethod
    def of(cls, state: State) -> Telling:
        """What tells the events of a session whose state is at hand, from whichever event on."""
        return cls(calls_of(state))

    def note(self, event: Event) -> Note:
        """The event in words."""
        return NOTES[type(event.body)](self, event, event.body)


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


# --- the session -----------------------------------------------------------------------------------------------


@tells(ev.SessionStarted)
def _started(tell: Tools, event: Event, body: ev.SessionStarted) -> Note:
    below = [] if body.input is None else [said(body.input) if isinstance(body.input, str) else shown(body.input)]
    below += [f"begins {due(body.not_before, event)}"] if body.not_before else []
    below += [f"deadline {due(body.deadline, event)}"] if body.deadline else []
    below += [f"limits {limits_text(body.limits)}"] if body.limits != Limits() else []
    below += [from_where(body.origin)] if body.origin else []
    below += [f"effects {body.effects}"] if body.effects else []
    return Note("start", f"{said(body.program)} {said(body.version)}, by {who(event.actor)}", "strong", tuple(below))


@tells(ev.SessionContinued)
def _continued(tell: Tools, event: Event, body: ev.SessionContinued) -> Note:
    kept = f", with {_plural(len(body.kept), 'input')} that nobody had waited for" if body.kept else ""
    return Note("start", f"afresh, in the same session{kept}", "strong", (said(body.input),))


@tells(ev.SessionCompleted)
def _completed(tell: Tools, event: Event, body: ev.SessionCompleted) -> Note:
    return Note("completed", "", "good")


@tells(ev.SessionFailed)
def _failed(tell: Tools, event: Event, body: ev.SessionFailed) -> Note:
    return Note("failed", why(body.error), "bad")


@tells(ev.SessionCancelled)
def _cancelled(tell: Tools, event: Event, body: ev.SessionCancelled) -> Note:
    return Note("cancelled", said(body.reason), "bad")


@tells(ev.ClosingBegan)
def _closing(tell: Tools, event: Event, body: ev.ClosingBegan) -> Note:
    asked = f"cancel asked for by {who(event.actor)}" if body.outcome == "cancelled" else "the session is to fail"
    return Note("closing", f"{asked}: {why(body.error)}", "bad")


@tells(ev.SessionParked)
def _parked(tell: Tools, event: Event, body: ev.SessionParked) -> Note:
    return Note("attention", why(body.error), "bad")


@tells(ev.SessionResumed)
def _resumed(tell: Tools, event: Event, body: ev.SessionResumed) -> Note:
    return Note("resumed", f"by {who(event.actor)}{quoted(body.reason)}")


@tells(ev.SessionPaused)
def _paused(tell: Tools, event: Event, body: ev.SessionPaused) -> Note:
    by = "by a switch" if body.switch else f"by {who(event.actor)}"
    return Note("paused", f"{by}{quoted(body.reason)}", "ask")


@tells(ev.StepFailed)
def _step_failed(tell: Tools, event: Event, body: ev.StepFailed) -> Note:
    again = f", the next is due {due(body.retry_at, event)}" if body.retry_at > event.at else ", the last"
    return Note("error", why(body.error), "bad", (f"attempt {body.attempt} failed{again}",))


@tells(ev.AttemptsLost)
def _lost(tell: Tools, event: Event, body: ev.AttemptsLost) -> Note:
    return Note("lost", f"{_plural(body.count, 'attempt')} ended without a trace, and counts as spent", "bad")


@tells(ev.LimitsChanged)
def _limits_changed(tell: Tools, event: Event, body: ev.LimitsChanged) -> Note:
    return Note("limits", f"{limits_text(body.limits)}, by {who(event.actor)}")


@tells(ev.LimitReached)
def _limit_reached(tell: Tools, event: Event, body: ev.LimitReached) -> Note:
    sums = f"{body.spent:.15g} spent, {body.needed:.15g} more needed, {body.allowed:.15g} allowed"
    return Note("attention", f"limit on {body.limit} reached: {sums}", "bad")


@tells(ev.LabelsChanged)
def _labels(tell: Tools, event: Event, body: ev.LabelsChanged) -> Note:
    parts = [f"{name}={shown(value)}" for name, value in body.set.items()] + [
        f"{name} removed" for name in body.removed
    ]
    return Note("labels", ", ".join(parts), "dim")


@tells(ev.ProgramChanged)
def _program(tell: Tools, event: Event, body: ev.ProgramChanged) -> Note:
    how = "is handed over to" if body.call else "goes on as"
    return Note("handover" if body.call else "version", f"{how} {said(body.program)} {said(body.version)}")


@tells(ev.FieldErased)
def _erased(tell: Tools, event: Event, body: ev.FieldErased) -> Note:
    return Note("erased", f"{body.field} of event {body.seq}, by {who(event.actor)}{quoted(body.reason)}")


# --- what comes from outside -----------------------------------------------------------------------------------


@tells(ev.InputReceived)
def _input(tell: Tools, event: Event, body: ev.InputReceived) -> Note:
    named = f"{said(body.name)}, " if body.name is not None else ""
    return Note("input", f"{named}by {who(event.actor)}", "strong", (said(body.content),))


@tells(ev.SignalRefused)
def _signal_refused(tell: Tools, event: Event, body: ev.SignalRefused) -> Note:
    if body.signal_kind == "child" and body.error.code == "not_open":
        ended = said(body.error.message).removeprefix("child refused: ")
        return Note("child", f"{ended}, which has ended", "dim", quiet=True)
    reason = why(body.error).removeprefix(f"{body.signal_kind} refused: ")
    return Note("refused", f"{body.signal_kind}: {reason}", "bad")


@tells(ev.SignalKept)
def _kept(tell: Tools, event: Event, body: ev.SignalKept) -> Note:
    return Note("early", f"{body.signal_kind} for {tell.tool(body.call)}, kept until it is waited for", "dim")


@tells(ev.TimerSet)
def _timer_set(tell: Tools, event: Event, body: ev.TimerSet) -> Note:
    return Note("timer", f"{said(body.timer)}, due {due(body.due_at, event)}")


@tells(ev.TimerFired)
def _timer_fired(tell: Tools, event: Event, body: ev.TimerFired) -> Note:
    kind, _, rest = body.timer.partition(":")
    of = tell.tool(rest) if rest in tell.calls else rest
    return Note("timer", f"{kind} {of}".strip(), "dim", quiet=kind != "user")


# --- the model -------------------------------------------------------------------------------------------------


@tells(ev.ModelAnswered)
def _answered(tell: Tools, event: Event, body: ev.ModelAnswered) -> Note:
    text, calls = _answer(body.answer)
    wants = f"asks for {', '.join(calls)}" if calls else ""
    spent = f"{body.usage.total:,} tokens" if body.usage.total else ""
    facts = ", ".join(part for part in (wants, recorded(body.record) or spent) if part)
    return Note("model", text or f"({facts})", below=(f"({facts})",) if text and facts else ())


def _answer(answer: Any) -> tuple[str, list[str]]:
    if not isinstance(answer, Mapping):
        return shown(answer), []
    calls = [said(str(call.get("name"))) for call in answer.get("calls") or ()]
    return said(answer.get("text") or "").strip(), calls


@tells(ev.ModelFailed)
def _model_failed(tell: Tools, event: Event, body: ev.ModelFailed) -> Note:
    again = (f"asked again {due(body.retry_at, event)}",) if body.retry_at else ()
    again = ("the next model is asked",) if body.left else again
    return Note("error", f"model {body.model}: {why(body.error)}", "bad", again)


@tells(ev.AnswerRefused)
def _answer_refused(tell: Tools, event: Event, body: ev.AnswerRefused) -> Note:
    reason = body.error.get("message") if isinstance(body.error, Mapping) else None
    return Note("refused", f"the answer is not of the form that is asked for: {said(reason or body.error)}", "bad")


@tells(ev.TranscriptCompacted)
def _compacted(tell: Tools, event: Event, body: ev.TranscriptCompacted) -> Note:
    source = f" ({recorded(body.record)})" if body.record else ""
    return Note("summary", f"stands for the events up to {body.up_to}{source}: {said(body.summary)}", "dim")
