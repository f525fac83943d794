"""What each event says, for people: one small function per kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from onward.core import events as ev
from onward.core.events import Actor, Event, Failure, Limits
from onward.core.ids import call_id
from onward.surfaces.text import Tone, call_text, said, shown, span, until

B = TypeVar("B", bound=ev.Body)


@dataclass(frozen=True, slots=True)
class Note:
    """One event in words: what kind of thing it is, what it says, and what belongs below it."""

    label: str
    text: str = ""
    tone: Tone = "plain"
    below: tuple[str, ...] = ()
    quiet: bool = False
    """Only of interest to who reads the whole log."""


@dataclass(slots=True)
class Telling:
    """Tells events in order; it remembers the tools that calls are for."""

    tools: dict[str, str] = field(default_factory=dict)

    def note(self, event: Event) -> Note:
        """The event in words."""
        return _NOTES[type(event.body)](self, event, event.body)

    def tool(self, call: str, actor: Actor | None = None) -> str:
        """The name of the tool that a call is for, as far as it is known."""
        by = actor.name if actor and actor.kind == "tool" else ""
        return self.tools.get(call) or by or f"call {call}"


_NOTES: dict[type[ev.Body], Callable[[Telling, Event, Any], Note]] = {}


def _tells(kind: type[B]) -> Callable[[Callable[[Telling, Event, B], Note]], Callable[[Telling, Event, B], Note]]:
    def register(tell: Callable[[Telling, Event, B], Note]) -> Callable[[Telling, Event, B], Note]:
        _NOTES[kind] = tell
        return tell

    return register


def who(actor: Actor) -> str:
    """Who made an event happen."""
    if actor.kind == "person":
        return actor.name or "a person"
    return f"{actor.kind} {actor.name}".strip()


def why(error: Failure) -> str:
    """An error in words: its message, and its code where that says more."""
    plain = error.code in ("", "tool_error", "rejected", "cancelled")
    return said(error.message) if plain else f"{said(error.message)} [{error.code}]"


def limits_text(limits: Limits) -> str:
    """Limits in words."""
    parts = [f"{value} {name}" for name, value in limits.model_dump(exclude={"time"}).items() if value is not None]
    parts += [span(limits.time)] if limits.time is not None else []
    return ", ".join(parts) or "none"


def _quoted(reason: str) -> str:
    return f": {said(reason)}" if reason else ""


def _due(time: datetime, event: Event) -> str:
    """A time to come, as seen from the event."""
    return until(time, event.at)


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


# --- the session -----------------------------------------------------------------------------------------------


@_tells(ev.SessionStarted)
def _started(tell: Telling, event: Event, body: ev.SessionStarted) -> Note:
    below = [] if body.input is None else [said(body.input) if isinstance(body.input, str) else shown(body.input)]
    below += [f"begins {_due(body.not_before, event)}"] if body.not_before else []
    below += [f"deadline {_due(body.deadline, event)}"] if body.deadline else []
    below += [f"limits {limits_text(body.limits)}"] if body.limits != Limits() else []
    return Note("start", f"{body.program} {body.version}, by {who(event.actor)}", "strong", tuple(below))


@_tells(ev.SessionContinued)
def _continued(tell: Telling, event: Event, body: ev.SessionContinued) -> Note:
    return Note("start", f"afresh, in the same session: {said(body.input)}", "strong")


@_tells(ev.SessionCompleted)
def _completed(tell: Telling, event: Event, body: ev.SessionCompleted) -> Note:
    return Note("completed", "", "good")


@_tells(ev.SessionFailed)
def _failed(tell: Telling, event: Event, body: ev.SessionFailed) -> Note:
    return Note("failed", why(body.error), "bad")


@_tells(ev.SessionCancelled)
def _cancelled(tell: Telling, event: Event, body: ev.SessionCancelled) -> Note:
    return Note("cancelled", said(body.reason), "bad")


@_tells(ev.ClosingBegan)
def _closing(tell: Telling, event: Event, body: ev.ClosingBegan) -> Note:
    asked = f"cancel asked for by {who(event.actor)}" if body.outcome == "cancelled" else "the session is to fail"
    return Note("closing", f"{asked}: {why(body.error)}", "bad")


@_tells(ev.SessionParked)
def _parked(tell: Telling, event: Event, body: ev.SessionParked) -> Note:
    return Note("attention", why(body.error), "bad")


@_tells(ev.SessionResumed)
def _resumed(tell: Telling, event: Event, body: ev.SessionResumed) -> Note:
    return Note("resumed", f"by {who(event.actor)}{_quoted(body.reason)}")


@_tells(ev.SessionPaused)
def _paused(tell: Telling, event: Event, body: ev.SessionPaused) -> Note:
    return Note("paused", f"by {who(event.actor)}{_quoted(body.reason)}", "ask")


@_tells(ev.StepFailed)
def _step_failed(tell: Telling, event: Event, body: ev.StepFailed) -> Note:
    again = f", the next is due {_due(body.retry_at, event)}" if body.retry_at > event.at else ", the last"
    return Note("error", why(body.error), "bad", (f"attempt {body.attempt} failed{again}",))


@_tells(ev.AttemptsLost)
def _lost(tell: Telling, event: Event, body: ev.AttemptsLost) -> Note:
    return Note("lost", f"{_plural(body.count, 'attempt')} ended without a trace, and counts as spent", "bad")


@_tells(ev.LimitsChanged)
def _limits_changed(tell: Telling, event: Event, body: ev.LimitsChanged) -> Note:
    return Note("limits", f"{limits_text(body.limits)}, by {who(event.actor)}")


@_tells(ev.LimitReached)
def _limit_reached(tell: Telling, event: Event, body: ev.LimitReached) -> Note:
    sums = f"{body.spent:g} spent, {body.needed:g} more needed, {body.allowed:g} allowed"
    return Note("attention", f"limit on {body.limit} reached: {sums}", "bad")


@_tells(ev.LabelsChanged)
def _labels(tell: Telling, event: Event, body: ev.LabelsChanged) -> Note:
    parts = [f"{name}={shown(value)}" for name, value in body.set.items()] + [
        f"{name} removed" for name in body.removed
    ]
    return Note("labels", ", ".join(parts), "dim")


@_tells(ev.ProgramChanged)
def _program(tell: Telling, event: Event, body: ev.ProgramChanged) -> Note:
    return Note("version", f"goes on as {body.program} {body.version}")


@_tells(ev.FieldErased)
def _erased(tell: Telling, event: Event, body: ev.FieldErased) -> Note:
    return Note("erased", f"{body.field} of event {body.seq}, by {who(event.actor)}{_quoted(body.reason)}")


# --- what comes from outside -----------------------------------------------------------------------------------


@_tells(ev.InputReceived)
def _input(tell: Telling, event: Event, body: ev.InputReceived) -> Note:
    return Note("input", f"by {who(event.actor)}", "strong", (said(body.content),))


@_tells(ev.SignalRefused)
def _signal_refused(tell: Telling, event: Event, body: ev.SignalRefused) -> Note:
    return Note("refused", f"a {body.signal_kind}: {why(body.error)}", "bad")


@_tells(ev.SignalKept)
def _kept(tell: Telling, event: Event, body: ev.SignalKept) -> Note:
    return Note("early", f"{body.signal_kind} for {tell.tool(body.call)}, kept until it is waited for", "dim")


@_tells(ev.TimerSet)
def _timer_set(tell: Telling, event: Event, body: ev.TimerSet) -> Note:
    return Note("timer", f"{said(body.timer)}, due {_due(body.due_at, event)}")


@_tells(ev.TimerFired)
def _timer_fired(tell: Telling, event: Event, body: ev.TimerFired) -> Note:
    kind, _, rest = body.timer.partition(":")
    of = tell.tool(rest) if kind in ("retry", "poll") else rest
    return Note("timer", f"{kind} {of}".strip(), "dim", quiet=kind != "user")


# --- the model -------------------------------------------------------------------------------------------------


@_tells(ev.ModelAnswered)
def _answered(tell: Telling, event: Event, body: ev.ModelAnswered) -> Note:
    text, calls = _answer(body.answer)
    wants = f"asks for {', '.join(calls)}" if calls else ""
    spent = f"{body.usage.total:,} tokens" if body.usage.total else ""
    facts = ", ".join(part for part in (wants, spent) if part)
    return Note("model", text or f"({facts})", below=(f"({facts})",) if text and facts else ())


def _answer(answer: Any) -> tuple[str, list[str]]:
    if not isinstance(answer, Mapping):
        return shown(answer), []
    calls = [said(str(call.get("name"))) for call in answer.get("calls") or ()]
    return said(answer.get("text") or "").strip(), calls


@_tells(ev.ModelFailed)
def _model_failed(tell: Telling, event: Event, body: ev.ModelFailed) -> Note:
    again = (f"asked again {_due(body.retry_at, event)}",) if body.retry_at else ()
    return Note("error", f"model {body.model}: {why(body.error)}", "bad", again)


@_tells(ev.TranscriptCompacted)
def _compacted(tell: Telling, event: Event, body: ev.TranscriptCompacted) -> Note:
    return Note("summary", f"stands for the events up to {body.up_to}: {said(body.summary)}", "dim")


# --- calls -----------------------------------------------------------------------------------------------------


@_tells(ev.CallsProposed)
def _proposed(tell: Telling, event: Event, body: ev.CallsProposed) -> Note:
    lines = []
    for index, proposal in enumerate(body.calls):
        id = call_id(event.seq, index)
        tell.tools[id] = said(proposal.tool)
        verdict = f"  refused: {why(proposal.refusal)}" if proposal.refusal else ""
        lines.append(f"{_call(proposal.tool, body.arguments, index)}{verdict}")
    return Note("call", lines[0] if lines else "", below=tuple(lines[1:]))


def _call(tool: str, arguments: Any, index: int) -> str:
    if isinstance(arguments, Sequence) and not isinstance(arguments, str) and index < len(arguments):
        return call_text(tool, arguments[index])
    return call_text(tool, arguments)


@_tells(ev.ApprovalRequested)
def _requested(tell: Telling, event: Event, body: ev.ApprovalRequested) -> Note:
    tell.tools[body.call] = said(body.tool)
    return Note("approval", f"a person is asked about {said(body.tool)}: {said(body.rule)}", "ask")


@_tells(ev.ApprovalDecided)
def _decided(tell: Telling, event: Event, body: ev.ApprovalDecided) -> Note:
    tone: Tone = "good" if body.verdict == "approved" else "bad"
    edited = f" with {shown(body.arguments, True)}" if body.arguments is not None else ""
    return Note(body.verdict, f"{tell.tool(body.call)} by {who(event.actor)}{edited}{_quoted(body.reason)}", tone)


@_tells(ev.ApprovalExpired)
def _expired(tell: Telling, event: Event, body: ev.ApprovalExpired) -> Note:
    return Note(
        body.verdict, f"{tell.tool(body.call)}: nobody decided in time", "bad" if body.verdict == "rejected" else "ask"
    )


@_tells(ev.CallStarted)
def _call_started(tell: Telling, event: Event, body: ev.CallStarted) -> Note:
    again = f", attempt {body.attempt}" if body.attempt > 1 else ""
    return Note("begin", f"{tell.tool(body.call)}{again}", "dim")


@_tells(ev.CallCompleted)
def _call_completed(tell: Telling, event: Event, body: ev.CallCompleted) -> Note:
    by = {"reconcile": " (its tool says that it happened)", "operator": f" (says {who(event.actor)})"}.get(body.by, "")
    return Note("result", f"{tell.tool(body.call, event.actor)}{by}: {shown(body.result)}")


@_tells(ev.CallFailed)
def _call_failed(tell: Telling, event: Event, body: ev.CallFailed) -> Note:
    by = f" (says {who(event.actor)})" if body.by == "operator" else ""
    again = (f"attempt {body.attempt} failed, the next is due {_due(body.retry_at, event)}",) if body.retry_at else ()
    return Note("error", f"{tell.tool(body.call, event.actor)}{by}: {why(body.error)}", "bad", again)


@_tells(ev.CallRefused)
def _call_refused(tell: Telling, event: Event, body: ev.CallRefused) -> Note:
    return Note("refused", f"{tell.tool(body.call)}: {why(body.error)}", "bad")


@_tells(ev.CallInDoubt)
def _in_doubt(tell: Telling, event: Event, body: ev.CallInDoubt) -> Note:
    return Note("in doubt", f"{tell.tool(body.call, event.actor)}, which may have happened: {why(body.error)}", "ask")


@_tells(ev.CallReconciled)
def _reconciled(tell: Telling, event: Event, body: ev.CallReconciled) -> Note:
    told = event.actor.kind == "person"
    tool = tell.tool(body.call, event.actor)
    said_by = f"{who(event.actor)} says" if told else "its tool says" if event.actor.kind == "tool" else "nobody says"
    reason = f": {why(body.error)}" if body.error else ""
    if body.answer == "not_done":
        return Note("settled", f"{tool} did not happen, {said_by}{reason}")
    return Note("in doubt", f"{tool}: a person must say what happened{reason}", "ask")


@_tells(ev.CallPending)
def _pending(tell: Telling, event: Event, body: ev.CallPending) -> Note:
    polled = f", asked again {_due(body.poll_at, event)}" if body.poll_at else ""
    return Note(
        "outside",
        f"{tell.tool(body.call, event.actor)} goes on until {_due(body.expires_at, event)}{polled}",
        quiet=body.polls > 0,
    )


# --- other sessions --------------------------------------------------------------------------------------------


@_tells(ev.ChildStarted)
def _child_started(tell: Telling, event: Event, body: ev.ChildStarted) -> Note:
    return Note("child", f"{body.program} in session {body.session}")


@_tells(ev.ChildEnded)
def _child_ended(tell: Telling, event: Event, body: ev.ChildEnded) -> Note:
    became = why(body.error) if body.error else shown(body.output)
    return Note(
        "child", f"session {body.session} {body.status}: {became}", "plain" if body.status == "completed" else "bad"
    )
