"""How events of a call change the state: proposed, decided on, made, doubted, and calls that are other sessions."""

from __future__ import annotations

from typing import Any

from onward.core import events as ev
from onward.core.folding import CALL, folds, settle, spend, update, update_keeping, with_call, with_timer
from onward.core.ids import call_id, is_among
from onward.core.payload import Blob, Erased
from onward.core.state import OpenCall, State, changed
from onward.core.words import ASKED, BLOCKED

# --- calls -----------------------------------------------------------------------------------------------------


@folds(ev.CallsProposed)
def _proposed(state: State, event: ev.Event, body: ev.CallsProposed) -> State:
    state = changed(state, proposed=event.seq)
    for index, proposal in enumerate(body.calls):
        id = call_id(event.seq, index)
        arguments = _item(body.arguments, index)
        call = changed(
            CALL,
            id=id,
            tool=proposal.tool,
            effect=proposal.effect,
            digest=proposal.digest,
            arguments=arguments,
            status="asked" if proposal.rule and not state.detached else "ready",
            rule=proposal.rule,
        )
        if body.operations:
            state = _operated(state, event, call, body.operations[index])
        else:
            state = changed(state, calls={**state.calls, id: call})
        if proposal.refusal:
            state = settle(state, event, id, proposal.refusal.model_dump(), failed=True)
    return state


def _operated(state: State, event: ev.Event, call: OpenCall, operation: ev.Operation) -> State:
    """A workflow's call. What only waits does so from now on; in a branch that is not live, its parent's record may say
    that its time is over."""
    call = changed(call, operation=operation, asked=call.digest[:ASKED])
    if operation.kind in ("signal", "sleep") and not (state.detached and operation.until):
        ends = "done" if operation.kind == "sleep" else "failed"
        call = changed(call, status="pending", ends=ends, expires_at=operation.until)
        return with_call(state, call, pending=operation.until)
    state = with_call(state, call)
    if operation.kind == "patch":  # no time passes by it
        return settle(state, event, call.id, True, failed=False, at=state.time)
    return state


def _item(values: Any, index: int) -> Any:
    """One call's arguments, where those of all lie: here, in a blob, or erased."""
    if isinstance(values, Blob):
        return changed(values, index=index)
    return values if isinstance(values, Erased) else values[index]


@folds(ev.ApprovalRequested)
def _asked(state: State, event: ev.Event, body: ev.ApprovalRequested) -> State:
    fields = {
        "status": "asked",
        "rule": body.rule,
        "digest": body.digest,
        "needed": body.needed,
        "approvers": tuple(body.approvers),
        "allow_unverified": body.allow_unverified,
        "expires_at": body.expires_at,
        "on_timeout": body.on_timeout,
    }
    return update(state, body.call, fields, approval=body.expires_at, remind=body.remind_at)


@folds(ev.ApprovalDecided)
def _decided(state: State, event: ev.Event, body: ev.ApprovalDecided) -> State:
    state = _stands(state, body.call, f"{body.verdict} by {event.actor.name or event.actor.kind} (event {event.seq})")
    if state.calls[body.call].asks:
        return _answered(state, event, body)
    if body.verdict == "rejected":
        message = body.reason or "a person said no"
        return settle(state, event, body.call, {"code": "rejected", "message": message}, failed=True)
    if body.verdict == "responded":
        return settle(state, event, body.call, body.result, failed=False)
    if body.arguments is not None:
        return update(state, body.call, {"status": "edited", "edited": body.arguments, "approved_by": (event.actor,)})
    return _approved(state, body.call, (*state.calls[body.call].approved_by, event.actor))


def _answered(state: State, event: ev.Event, body: ev.ApprovalDecided) -> State:
    call = state.calls[body.call]
    by = (*call.approved_by, event.actor)
    if body.verdict == "approved" and len(by) < call.needed:
        return update_keeping(state, call.id, approved_by=by)
    names = [actor.name for actor in (by if body.verdict == "approved" else (event.actor,))]
    large = body.result if isinstance(body.result, Blob | Erased) else None
    decision = {"verdict": body.verdict, "by": names, "reason": body.reason, "result": None if large else body.result}
    state = settle(state, event, call.id, decision, failed=False)
    if large is None:
        return state
    return changed(state, transcript=(*state.transcript[:-1], changed(state.transcript[-1], content=large)))


def _approved(state: State, id: str, by: tuple[ev.Actor, ...]) -> State:
    if len(by) < state.calls[id].needed:
        return update_keeping(state, id, approved_by=by)
    return update(state, id, {"status": "ready", "approved_by": by, "expires_at": None})


@folds(ev.ApprovalDelegated)
def _delegated(state: State, event: ev.Event, body: ev.ApprovalDelegated) -> State:
    """A question that is open to everybody stays so; who was asked by name gives the place away."""
    call, name = state.calls[body.call], event.actor.name
    if not call.approvers:
        return state
    others = tuple(other for other in call.approvers if other != body.to and not is_among(other, [name]))
    delegators = tuple(dict.fromkeys((*call.delegators, name)))
    return update_keeping(state, body.call, approvers=(*others, body.to), delegators=delegators)


@folds(ev.ApprovalReminded)
def _reminded(state: State, event: ev.Event, body: ev.ApprovalReminded) -> State:
    return with_timer(state, f"remind:{body.call}", None)


@folds(ev.CallEdited)
def _edited(state: State, event: ev.Event, body: ev.CallEdited) -> State:
    """What is performed is what the program checked and recorded (G8)."""
    call = state.calls[body.call]
    if body.error is not None:
        state = _stands(state, body.call, f"the changed arguments were refused: {body.error.message}")
        fields = {"status": "asked", "edited": None, "approved_by": ()}
        return update(state, body.call, fields, approval=call.expires_at)
    checked = {"arguments": body.arguments, "changed": True, "edited": None, "digest": body.digest}
    return _approved(update_keeping(state, body.call, needed=1, **checked), body.call, call.approved_by)


@folds(ev.ApprovalExpired)
def _expired(state: State, event: ev.Event, body: ev.ApprovalExpired) -> State:
    state = _stands(state, body.call, f"it expired and was {body.verdict} (event {event.seq})")
    if state.calls[body.call].asks:
        return settle(state, event, body.call, {"verdict": "expired", "by": [], "reason": "", "result": None}, False)
    if body.verdict == "approved":
        return update(state, body.call, {"status": "ready", "approved_by": (event.actor,), "expires_at": None})
    return settle(
        state, event, body.call, {"code": "approval_expired", "message": "nobody decided in time"}, failed=True
    )


def _stands(state: State, id: str, words: str) -> State:
    return changed(state, decisions={**state.decisions, id: words})


@folds(ev.CallPostponed)
def _postponed(state: State, event: ev.Event, body: ev.CallPostponed) -> State:
    known = state.calls[body.call].error
    error = known if known is not None and known.code == "no_outcome" else body.error  # its next attempt runs alone
    return update(state, body.call, {"status": "backoff", "error": error}, retry=body.until)


@folds(ev.CallStarted)
def _call_started(state: State, event: ev.Event, body: ev.CallStarted) -> State:
    fields = {"status": "started", "attempt": body.attempt, "not_after": body.not_after}
    return update(_count(state, body.call, body.attempt), body.call, fields, doubt=body.not_after)


@folds(ev.CallCompleted)
def _call_completed(state: State, event: ev.Event, body: ev.CallCompleted) -> State:
    known = {call: attempt for call, attempt in state.doubted.items() if (call, attempt) != (body.call, body.attempt)}
    counted = _count(_recalled(changed(state, doubted=known), body), body.call, body.attempt)
    at = state.time if body.by == "input" else body.recorded_at  # to take an input takes no time
    return settle(counted, event, body.call, body.result, failed=False, at=at)


def _recalled(state: State, body: ev.CallCompleted | ev.CallFailed) -> State:
    return state if body.record is None else changed(state, recalled=(*state.recalled, body.record))


def _count(state: State, id: str, attempt: int) -> State:
    """Count an attempt once, though more than one event may tell of it (started, pending, completed)."""
    call = state.calls[id]
    if attempt <= call.counted:
        return state
    return spend(changed(state, calls={**state.calls, id: changed(call, counted=attempt)}), calls=1)


@folds(ev.CallFailed)
def _call_failed(state: State, event: ev.Event, body: ev.CallFailed) -> State:
    state = _count(_recalled(state, body), body.call, body.attempt)
    if body.retry_at is None:
        return settle(state, event, body.call, body.error.model_dump(), failed=True, at=body.recorded_at)
    fields = {"status": "backoff", "attempt": body.attempt, "error": body.error, "not_after": None}
    return update(state, body.call, fields, retry=body.retry_at)


@folds(ev.CallRefused)
def _call_refused(state: State, event: ev.Event, body: ev.CallRefused) -> State:
    own = event.actor.kind == "program" or body.error.code == BLOCKED
    return settle(state, event, body.call, body.error.model_dump(), failed=True, at=state.time if own else None)


@folds(ev.CallInDoubt)
def _in_doubt(state: State, event: ev.Event, body: ev.CallInDoubt) -> State:
    state = changed(_count(state, body.call, body.attempt), doubted={**state.doubted, body.call: body.attempt})
    return update(state, body.call, {"status": "doubt", "error": body.error, "not_after": None})


@folds(ev.CallReconciled)
def _reconciled(state: State, event: ev.Event, body: ev.CallReconciled) -> State:
    settled = body.answer == "not_done" or (body.error is not None and body.error.code == "outcome_erased")
    kept = {key: signal for key, signal in state.kept.items() if key != body.call or not settled}
    return update(changed(state, kept=kept), body.call, {"status": "ready" if body.answer == "not_done" else "person"})


@folds(ev.CallPending)
def _pending(state: State, event: ev.Event, body: ev.CallPending) -> State:
    state = _count(state, body.call, body.attempt)
    fields = {
        "status": "pending",
        "attempt": body.attempt,
        "expires_at": body.expires_at,
        "polls": body.polls,
        "ends": body.ends,
        "poll_due": False,
    }
    return update(state, body.call, fields, pending=body.expires_at, poll=body.poll_at)


# --- other sessions --------------------------------------------------------------------------------------------


@folds(ev.ChildStarted)
def _child_started(state: State, event: ev.Event, body: ev.ChildStarted) -> State:
    call, tokens = state.calls[body.call], body.allotted.tokens or 0
    state = spend(state, calls=1, tokens=tokens)
    if call.operation is not None and call.operation.kind == "start":
        return settle(state, event, call.id, {"session": body.session}, failed=False)
    fields = {"status": "child", "attempt": 1, "counted": 1, "on_close": body.on_close, "allotted": tokens}
    return update(changed(state, children={**state.children, call.id: body.session}), call.id, fields)


@folds(ev.ChildLeft)
def _child_left(state: State, event: ev.Event, body: ev.ChildLeft) -> State:
    """What the child was allotted stays spent: nobody will say how much of it was."""
    children = {call: session for call, session in state.children.items() if call != body.call}
    return changed(state, children=children)


@folds(ev.ChildEnded)
def _child_ended(state: State, event: ev.Event, body: ev.ChildEnded) -> State:
    children = {call: session for call, session in state.children.items() if call != body.call}
    state = spend(state, tokens=body.tokens - state.calls[body.call].allotted)
    failed = body.status != "completed"
    value = body.error.model_dump() if failed and body.error else body.output
    return settle(changed(state, children=children), event, body.call, value, failed)
