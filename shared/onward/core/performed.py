"""What came of an effect, as a log has it, and what of it is held against what is decided today."""

from __future__ import annotations

from collections.abc import Sequence

from onward.core import events as ev
from onward.core.divergence import Doc, fields_of
from onward.core.events import Body, Event
from onward.core.payload import Erased
from onward.core.program import AskModel, Effect, MakeCall, Poll, Recall, Reconcile, StartChild
from onward.core.state import OpenCall, State
from onward.core.words import NONDETERMINISTIC

_OF_CALLS = (
    ev.CallStarted, ev.CallCompleted, ev.CallFailed, ev.CallInDoubt, ev.CallReconciled, ev.CallPending,
    ev.CallPostponed,
)  # fmt: skip


_NOT_PERFORMED = ("no_reconciler", "outcome_erased", "unknown_tool")
"""Codes of what is decided about a call, and comes of no attempt at it."""


def is_outcome(event: Event) -> bool:
    """Whether an event says what came of an attempt at a call."""
    error = getattr(event.body, "error", None)
    decided = event.actor.kind == "engine" and error is not None and error.code in _NOT_PERFORMED
    return isinstance(event.body, _OF_CALLS) and not decided


def comes_of(event: Event, effect: Effect) -> bool:
    """Whether the event is what came of this effect."""
    if isinstance(effect, AskModel):
        return _of_model(event.body, effect)
    if isinstance(effect, Recall):
        return _recalled(event.body, effect)
    if getattr(event.body, "call", None) != effect.call.id:
        return False
    if isinstance(event.body, ev.ChildStarted):
        return isinstance(effect, StartChild) and decided(event.body) == decided(started(effect, event.body))
    if isinstance(event.body, ev.CallStarted):
        return isinstance(effect, MakeCall)
    return is_outcome(event) and getattr(event.body, "record", None) is None


def _recalled(body: Body, effect: Recall) -> bool:
    call = getattr(body, "call", None)
    if call not in [each.id for each in effect.calls]:
        return False
    if isinstance(body, ev.ProgramChanged):
        to = effect.handover
        return to is not None and (body.program, body.on_input) == (to.program, to.on_input)
    blocked = isinstance(body, ev.CallRefused) and body.error.code == "blocked"
    blocked = blocked or (isinstance(body, ev.CallPending) and body.attempt == 0)  # a workflow's wait
    return blocked or isinstance(body, ev.CallEdited) or getattr(body, "record", None) is not None


def asks_again(event: Event, state: State) -> bool:
    """Whether a workflow heard of what was recalled before anything else was."""
    call = state.calls.get(getattr(event.body, "call", ""))
    from_record = getattr(event.body, "record", None) is not None
    return from_record and call is not None and call.operation is not None


def _of_model(body: Body, asked: AskModel) -> bool:
    """Whether this model was asked; what a branch has from a record may be another one's."""
    same = getattr(body, "record", None) is not None or getattr(body, "model", None) == asked.model.name
    if isinstance(body, ev.TranscriptCompacted):
        return same and body.up_to == asked.summarize
    if isinstance(body, ev.ModelFailed):
        return same and body.left == (body.error.code in asked.leave_on)
    return same and isinstance(body, ev.ModelAnswered) and asked.summarize is None


def started(effect: StartChild, recorded: ev.ChildStarted) -> ev.ChildStarted:
    """The event that this effect comes to."""
    child, call = effect.child, effect.call
    hidden = isinstance(recorded.input, Erased) or isinstance(call.arguments, Erased)
    return ev.ChildStarted(
        call=call.id,
        session=effect.session,
        program=child.program,
        version=child.version,
        input=recorded.input if hidden else child.input_of(call.arguments),
        on_input=child.on_input,
        on_close=child.on_close,
        allotted=child.limits,
    )


def performed(effects: Sequence[Effect], event: Event | None) -> tuple[Doc, frozenset[str]]:
    """What would be performed, as far as it can be held against what was."""
    first = effects[0]
    if isinstance(first, AskModel) and first.summarize is not None:
        return {"kind": "asks_model", "model": first.model.name, "summarize": first.summarize}, frozenset()
    if isinstance(first, AskModel):
        return {"kind": "asks_model", "model": first.model.name}, frozenset()
    if isinstance(first, StartChild) and event is not None and isinstance(event.body, ev.ChildStarted):
        child = started(first, event.body)
        return fields_of(child), child.private
    calls = [call for effect in effects if not isinstance(effect, AskModel) for call in _calls_of(effect)]
    return {"kind": "makes_call", "calls": [f"{call.tool} ({call.id})" for call in calls]}, frozenset()


def _calls_of(effect: MakeCall | Reconcile | Poll | StartChild | Recall) -> Sequence[OpenCall]:
    return effect.calls if isinstance(effect, Recall) else (effect.call,)


def decided(body: Body) -> Doc:
    """What is compared of a body: versions are taken up as they come, and are named in the words for a tool that is
    not there."""
    fields = fields_of(body)
    if isinstance(body, ev.ProgramChanged | ev.ChildStarted):
        del fields["version"]
    where = isinstance(body, ev.SessionParked) and body.error.code == NONDETERMINISTIC  # the message says the line
    if where or (isinstance(body, ev.CallFailed) and body.error.code == "unknown_tool"):
        del fields["error"]["message"]
    return fields
