"""What the events of calls, approvals and child sessions say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onward.core import events as ev
from onward.core.events import Event
from onward.core.ids import call_id
from onward.core.words import LEFT, TAKEN
from onward.surfaces.operations import NOT_COMPLETED, argument_of, asked, named
from onward.surfaces.telling import Note, Tools, due, quoted, tells, who, why
from onward.surfaces.telling_branches import recorded
from onward.surfaces.text import Tone, call_text, said, shown

MANY = 20
"""Of what is asked for at once so much is told."""

# --- calls -----------------------------------------------------------------------------------------------------


@tells(ev.CallsProposed)
def _proposed(tell: Tools, event: Event, body: ev.CallsProposed) -> Note:
    for index, proposal in enumerate(body.calls):
        operation = body.operations[index] if body.operations else None
        tell.calls[call_id(event.seq, index)] = named(proposal.tool, operation)
    label, lines = asked(body, event.at) if body.operations else ("call", _calls(body))
    left = len(lines) - MANY
    told = lines if left <= 0 else [*lines[:MANY], f"… and {left:,} more"]
    return Note(label, told[0] if told else "", below=tuple(told[1:]))


def _calls(body: ev.CallsProposed) -> list[str]:
    """What a model asks for."""
    return [_call(proposal, argument_of(body.arguments, index)) for index, proposal in enumerate(body.calls)]


def _call(proposal: ev.Proposal, arguments: Any) -> str:
    verdict = f"  refused: {why(proposal.refusal)}" if proposal.refusal else ""
    return f"{call_text(proposal.tool, arguments)}{verdict}"


@tells(ev.ApprovalRequested)
def _requested(tell: Tools, event: Event, body: ev.ApprovalRequested) -> Note:
    tell.calls.setdefault(body.call, named(body.tool, None))
    people = "a person is" if body.needed == 1 else f"{body.needed} people are"
    of = f" of {said(', '.join(body.approvers))}" if body.approvers else ""
    if tell.kind(body.call) == "approval":
        return Note("approval", f"{people} asked{of}, until {due(body.expires_at, event)}", "ask")
    return Note("approval", f"{people} asked about {tell.tool(body.call)}: {said(body.rule)}{of}", "ask")


@tells(ev.ApprovalDecided)
def _decided(tell: Tools, event: Event, body: ev.ApprovalDecided) -> Note:
    tone: Tone = "bad" if body.verdict == "rejected" else "good"
    edited = f" with {shown(body.arguments, True)}" if body.arguments is not None else ""
    answer = f" with the result {shown(body.result, True)}" if body.verdict == "responded" else ""
    by = f"{tell.tool(body.call)} by {who(event.actor)}"
    return Note(body.verdict, f"{by}{edited}{answer}{quoted(body.reason)}", tone)


@tells(ev.ApprovalDelegated)
def _delegated(tell: Tools, event: Event, body: ev.ApprovalDelegated) -> Note:
    text = f"{tell.tool(body.call)} by {who(event.actor)} to {said(body.to)}{quoted(body.reason)}"
    return Note("delegated", text, "ask")


@tells(ev.ApprovalReminded)
def _reminded(tell: Tools, event: Event, body: ev.ApprovalReminded) -> Note:
    return Note(
        "reminder", f"{tell.tool(body.call)} is still to be decided, until {due(body.expires_at, event)}", "ask"
    )


@tells(ev.CallEdited)
def _edited(tell: Tools, event: Event, body: ev.CallEdited) -> Note:
    if body.error is not None:
        return Note("edited", f"{tell.tool(body.call)}: not taken, and open again: {why(body.error)}", "bad")
    return Note("edited", f"{tell.tool(body.call)} will be made with {shown(body.arguments, True)}")


@tells(ev.ApprovalExpired)
def _expired(tell: Tools, event: Event, body: ev.ApprovalExpired) -> Note:
    if tell.kind(body.call) == "approval":
        return Note("expired", f"{tell.tool(body.call)}: nobody decided in time", "ask")
    return Note(
        body.verdict, f"{tell.tool(body.call)}: nobody decided in time", "bad" if body.verdict == "rejected" else "ask"
    )


@tells(ev.CallPostponed)
def _postponed(tell: Tools, event: Event, body: ev.CallPostponed) -> Note:
    return Note("later", f"{tell.tool(body.call)}, due {due(body.until, event)}: {why(body.error)}", "dim")


@tells(ev.CallStarted)
def _call_started(tell: Tools, event: Event, body: ev.CallStarted) -> Note:
    again = f", attempt {body.attempt}" if body.attempt > 1 else ""
    return Note("begin", f"{tell.tool(body.call)}{again}", "dim")


_SAID_BY = {
    "reconcile": " (its tool says that it happened)",
    "operator": " (says {})",
    "skip": " (skipped: {} gave its result)",
}


@tells(ev.CallCompleted)
def _call_completed(tell: Tools, event: Event, body: ev.CallCompleted) -> Note:
    name, kind = tell.tool(body.call, event.actor), tell.kind(body.call)
    if kind == "sleep" and body.by != "skip":
        return Note("over", f"{name}{_recorded(body.record)}", "dim")
    if kind == "signal" and body.by == "input":
        return Note("taken", f"{name}: {_taken(body.result)}", "dim", quiet=True)
    by = f" ({recorded(body.record)})" if body.record else _SAID_BY.get(body.by, "").format(who(event.actor))
    label = "undone" if kind == "undo" and body.by != "skip" else "result"
    return Note(label, f"{name}{by}: {shown(body.result)}{quoted(body.reason)}")


def _recorded(source: str | None) -> str:
    return f" ({recorded(source)})" if source else ""


def _taken(result: Any) -> str:
    """The input that a wait ended with."""
    return f"the input of event {result[TAKEN]}" if isinstance(result, Mapping) and TAKEN in result else shown(result)


@tells(ev.CallFailed)
def _call_failed(tell: Tools, event: Event, body: ev.CallFailed) -> Note:
    if tell.kind(body.call) == "signal" and body.error.code == NOT_COMPLETED:
        return Note("late", f"{tell.tool(body.call)} did not come in time", "ask")
    by = f" (says {who(event.actor)})" if body.by == "operator" else ""
    by = f" ({recorded(body.record)})" if body.record else by
    again = (f"attempt {body.attempt} failed, the next is due {due(body.retry_at, event)}",) if body.retry_at else ()
    return Note("error", f"{tell.tool(body.call, event.actor)}{by}: {why(body.error)}", "bad", again)


@tells(ev.CallRefused)
def _call_refused(tell: Tools, event: Event, body: ev.CallRefused) -> Note:
    name = tell.tool(body.call)
    if body.error.code == LEFT:
        return Note("left", f"does not wait for {name} any more", "dim")
    if tell.kind(body.call) in ("sleep", "signal", "approval"):
        return Note("left", f"{name}: {why(body.error)}", "dim")
    return Note("blocked" if body.error.code == "blocked" else "refused", f"{name}: {why(body.error)}", "bad")


@tells(ev.CallInDoubt)
def _in_doubt(tell: Tools, event: Event, body: ev.CallInDoubt) -> Note:
    return Note("in doubt", f"{tell.tool(body.call, event.actor)}, which may have happened: {why(body.error)}", "ask")


@tells(ev.CallReconciled)
def _reconciled(tell: Tools, event: Event, body: ev.CallReconciled) -> Note:
    told = event.actor.kind == "person"
    tool = tell.tool(body.call, event.actor)
    said_by = f"{who(event.actor)} says" if told else "its tool says" if event.actor.kind == "tool" else "nobody says"
    reason = f": {why(body.error)}" if body.error else ""
    if body.answer == "not_done":
        return Note("settled", f"{tool} did not happen, {said_by}{reason}")
    return Note("in doubt", f"{tool}: a person must say what happened{reason}", "ask")


@tells(ev.CallPending)
def _pending(tell: Tools, event: Event, body: ev.CallPending) -> Note:
    polled = f", asked again {due(body.poll_at, event)}" if body.poll_at else ""
    return Note(
        "outside",
        f"{tell.tool(body.call, event.actor)} goes on until {due(body.expires_at, event)}{polled}",
        quiet=body.polls > 0,
    )


# --- other sessions --------------------------------------------------------------------------------------------


@tells(ev.ChildStarted)
def _child_started(tell: Tools, event: Event, body: ev.ChildStarted) -> Note:
    program = f"{said(body.program)} {said(body.version)}"
    return Note("child", f"{tell.tool(body.call)}: {program} in session {said(body.session)}")


@tells(ev.ChildLeft)
def _child_left(tell: Tools, event: Event, body: ev.ChildLeft) -> Note:
    asked = ", which is asked to end" if body.cancel else ", which goes on by itself"
    return Note("child", f"nobody waits for session {body.session} any more{asked}", "dim")


@tells(ev.ChildEnded)
def _child_ended(tell: Tools, event: Event, body: ev.ChildEnded) -> Note:
    became = why(body.error) if body.error else shown(body.output)
    tone: Tone = "plain" if body.status == "completed" else "bad"
    return Note("child", f"{tell.tool(body.call)}, session {body.session}, {body.status}: {became}", tone)
