"""The fold: one small function per kind of event, and nothing else changes a state (G1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, TypeVar

from onward.core import events as ev
from onward.core.ids import call_id
from onward.core.payload import Blob, Erased
from onward.core.retry import ALONE_AFTER
from onward.core.state import Closing, Entry, Kept, OpenCall, State, Trouble, changed

B = TypeVar("B", bound=ev.Body)
Step = Callable[[State, ev.Event, Any], State]
_ENTRY = Entry.model_construct(kind="input", seq=0, value=None)
_CALL = OpenCall.model_construct(id="", tool="", effect="irreversible", digest="", arguments=None, status="ready")
_STEPS: dict[type[ev.Body], Step] = {}
_KEEPS_FAILURES = (ev.StepFailed, ev.SignalRefused, ev.AttemptsLost, ev.TimerFired, ev.SignalKept)
_OUTCOMES = (ev.ModelAnswered, ev.ModelFailed, ev.CallCompleted, ev.CallFailed, ev.CallPending, ev.CallReconciled)


def fold(state: State, events: Iterable[ev.Event]) -> State:
    """The state after these events."""
    for event in events:
        state = evolve(state, event)
    return state


def evolve(state: State, event: ev.Event) -> State:
    """The state after one more event."""
    body = event.body
    after = _STEPS[type(body)](state, event, body)
    if after.step_failures and not isinstance(body, _KEEPS_FAILURES):
        after = changed(after, step_failures=0)
    if after.deaths and isinstance(body, _OUTCOMES):
        after = changed(after, deaths=0)
    return changed(taken_up(after), seq=event.seq, at=event.at)


def taken_up(state: State) -> State:
    """The state with the inputs that waited in its transcript, unless calls are open still."""
    return state if state.mid_turn else _with_queued(state)


def _with_queued(state: State) -> State:
    return changed(state, transcript=(*state.transcript, *state.queued), queued=()) if state.queued else state


def folds(kind: type[B]) -> Callable[[Callable[[State, ev.Event, B], State]], Callable[[State, ev.Event, B], State]]:
    """Register how a kind of event changes the state."""

    def register(step: Callable[[State, ev.Event, B], State]) -> Callable[[State, ev.Event, B], State]:
        _STEPS[kind] = step
        return step

    return register


# --- small tools -----------------------------------------------------------------------------------------------


def with_timer(state: State, name: str, at: datetime | None) -> State:
    """The state with a timer set, moved, or (None) gone."""
    timers = {key: due for key, due in state.timers.items() if key != name}
    if at is not None:
        timers[name] = at
    return changed(state, timers=timers)


def with_call(state: State, call: OpenCall, **timers: datetime | None) -> State:
    """The state with this call, and of the call's timers only these."""
    kept = {
        name: at for name, at in state.timers.items() if name.partition(":")[2] != call.id or name.startswith("user:")
    }
    kept |= {f"{name}:{call.id}": at for name, at in timers.items() if at is not None}
    return changed(state, calls={**state.calls, call.id: call}, timers=kept)


def _update(state: State, id: str, fields: dict[str, Any], **timers: datetime | None) -> State:
    return with_call(state, changed(state.calls[id], **fields), **timers)


def _update_keeping(state: State, id: str, **fields: Any) -> State:
    """The call changes; its timers stay."""
    return changed(state, calls={**state.calls, id: changed(state.calls[id], **fields)})


def _settle(state: State, event: ev.Event, id: str, value: Any, failed: bool) -> State:
    """The call leaves; what became of it is for the program to read."""
    call = state.calls[id]
    entry = changed(_ENTRY, kind="result", seq=event.seq, value=value, call=id, tool=call.tool, failed=failed)
    if call.edited is not None and call.status != "edited":
        entry = changed(entry, arguments=call.arguments)
    state = with_call(state, call)
    calls = {key: other for key, other in state.calls.items() if key != id}
    kept = {key: signal for key, signal in state.kept.items() if key != id}
    return changed(state, calls=calls, kept=kept, transcript=(*state.transcript, entry))


def _add(state: State, entry: Entry) -> State:
    return changed(state, transcript=(*state.transcript, entry))


def _spend(state: State, **more: int) -> State:
    totals = {name: getattr(state.spent, name) + count for name, count in more.items()}
    return changed(state, spent=changed(state.spent, **totals))


# --- the session -----------------------------------------------------------------------------------------------


@folds(ev.SessionStarted)
def _started(state: State, event: ev.Event, body: ev.SessionStarted) -> State:
    state = State(
        tenant=body.tenant,
        session=body.session,
        program=body.program,
        version=body.version,
        pinned=body.pinned,
        on_input=body.on_input,
        labels=body.labels,
        limits=body.limits,
        started_at=event.at,
        parent=body.parent,
        origin=body.origin,
    )
    state = with_timer(with_timer(state, "start", body.not_before), "deadline", body.deadline)
    return _begin(state, event, body.input)


def _begin(state: State, event: ev.Event, value: Any) -> State:
    state = changed(state, input=value)
    if value is None:
        return state
    return _add(state, changed(_ENTRY, seq=event.seq, value=value))


@folds(ev.SessionContinued)
def _continued(state: State, event: ev.Event, body: ev.SessionContinued) -> State:
    fresh: dict[str, Any] = {"transcript": (), "queued": (), "fired": (), "trouble": (), "calls": {}, "children": {}}
    fresh |= {"kept": {}, "context": 0, "proposed": 0, "model_failures": 0, "bad_answers": 0, "refusals": 0}
    deadline = {name: at for name, at in state.timers.items() if name == "deadline"}
    return _begin(changed(state, timers=deadline, **fresh), event, body.input)


def _end(state: State, how: str, **fields: Any) -> State:
    fields |= {"calls": {}, "timers": {}, "kept": {}, "children": {}, "parked": None, "paused": None, "closing": None}
    return changed(state, ended=how, **fields)


@folds(ev.SessionCompleted)
def _completed(state: State, event: ev.Event, body: ev.SessionCompleted) -> State:
    return _end(state, "completed", output=body.output)


@folds(ev.SessionFailed)
def _failed(state: State, event: ev.Event, body: ev.SessionFailed) -> State:
    return _end(state, "failed", error=body.error)


@folds(ev.SessionCancelled)
def _cancelled(state: State, event: ev.Event, body: ev.SessionCancelled) -> State:
    return _end(state, "cancelled", error=ev.Failure(code="cancelled", message=body.reason))


@folds(ev.ClosingBegan)
def _closing(state: State, event: ev.Event, body: ev.ClosingBegan) -> State:
    state = with_timer(with_timer(state, "deadline", None), "step", None)
    closing = Closing(outcome=body.outcome, error=body.error)
    return changed(state, closing=closing, parked=None, paused=None, switch=None)


@folds(ev.SessionParked)
def _parked(state: State, event: ev.Event, body: ev.SessionParked) -> State:
    return changed(with_timer(state, "step", None), parked=body.error)


@folds(ev.SessionResumed)
def _resumed(state: State, event: ev.Event, body: ev.SessionResumed) -> State:
    deaths = min(state.deaths, ALONE_AFTER)
    fresh: dict[str, Any] = {"parked": None, "paused": None, "switch": None, "step_failures": 0}
    fresh |= {"trouble": (), "bad_answers": 0, "refusals": 0}
    return changed(with_timer(state, "step", None), deaths=deaths, **fresh)


@folds(ev.SessionPaused)
def _paused(state: State, event: ev.Event, body: ev.SessionPaused) -> State:
    reason = ev.Failure(code="switched_off" if body.switch else "paused", message=body.reason)
    return changed(state, paused=reason, switch=body.switch)


@folds(ev.StepFailed)
def _step_failed(state: State, event: ev.Event, body: ev.StepFailed) -> State:
    deaths = body.attempt if body.error.code == "process_ended" else state.deaths
    return changed(with_timer(state, "step", body.retry_at), step_failures=body.attempt, deaths=deaths)


@folds(ev.AttemptsLost)
def _attempts_lost(state: State, event: ev.Event, body: ev.AttemptsLost) -> State:
    return _spend(state, turns=body.turns, calls=body.calls, tokens=body.tokens, lost=body.count)


@folds(ev.LimitsChanged)
def _limits_changed(state: State, event: ev.Event, body: ev.LimitsChanged) -> State:
    return changed(state, limits=body.limits)


@folds(ev.LimitReached)
def _limit_reached(state: State, event: ev.Event, body: ev.LimitReached) -> State:
    text = f"{body.limit}: {body.spent:g} spent, {body.needed:g} more needed, {body.allowed:g} allowed"
    return changed(state, parked=ev.Failure(code="limit_reached", message=text))


@folds(ev.LabelsChanged)
def _labels_changed(state: State, event: ev.Event, body: ev.LabelsChanged) -> State:
    labels = {key: value for key, value in {**state.labels, **body.set}.items() if key not in body.removed}
    return changed(state, labels=labels)


@folds(ev.ProgramChanged)
def _program_changed(state: State, event: ev.Event, body: ev.ProgramChanged) -> State:
    if body.call is not None:
        state = _settle(state, event, body.call, {"handed_over_to": body.program}, failed=False)
    return changed(state, program=body.program, version=body.version, on_input=body.on_input, trouble=(), context=0)


@folds(ev.FieldErased)
def _field_erased(state: State, event: ev.Event, body: ev.FieldErased) -> State:
    return state


# --- what comes from outside -----------------------------------------------------------------------------------


@folds(ev.InputReceived)
def _input(state: State, event: ev.Event, body: ev.InputReceived) -> State:
    entry = changed(_ENTRY, seq=event.seq, value=body.content)
    return changed(state, queued=(*state.queued, entry), refusals=0)


@folds(ev.SignalRefused)
def _signal_refused(state: State, event: ev.Event, body: ev.SignalRefused) -> State:
    return state


@folds(ev.SignalKept)
def _signal_kept(state: State, event: ev.Event, body: ev.SignalKept) -> State:
    kept = Kept(signal=body.signal, signal_kind=body.signal_kind, body=body.body, sender=body.sender)
    return changed(state, kept={**state.kept, body.call: kept})


@folds(ev.TimerSet)
def _timer_set(state: State, event: ev.Event, body: ev.TimerSet) -> State:
    return with_timer(state, f"user:{body.timer}", body.due_at)


@folds(ev.TimerFired)
def _timer_fired(state: State, event: ev.Event, body: ev.TimerFired) -> State:
    state = with_timer(state, body.timer, None)
    name, _, rest = body.timer.partition(":")
    if name == "user":
        return changed(state, fired=(*state.fired, rest))
    if name == "retry":
        return _update(state, rest, {"status": "ready"})
    if name == "poll":
        return changed(state, calls={**state.calls, rest: changed(state.calls[rest], poll_due=True)})
    return state


# --- the model -------------------------------------------------------------------------------------------------


@folds(ev.ModelAnswered)
def _answered(state: State, event: ev.Event, body: ev.ModelAnswered) -> State:
    # What a model was asked, it was asked when no call was open: an answer in a blob only hid that it asked for none.
    state = _with_queued(state)
    entry = changed(_ENTRY, kind="answer", seq=event.seq, value=body.answer, content=body.content, model=body.model)
    entry = changed(entry, calls=body.calls) if body.calls else entry
    entry = changed(entry, cut=True) if body.finish == "length" else entry
    state = _spend(_add(state, entry), turns=1, tokens=body.usage.total)
    spent = changed(state.spent, usage=_sum(state.spent.usage, body.usage))
    return changed(with_timer(state, "model", None), spent=spent, context=body.usage.total, **_NO_TROUBLE)


_NO_TROUBLE: dict[str, Any] = {"model_failures": 0, "bad_answers": 0, "trouble": ()}
_OUTAGE = ("model_unavailable", "rate_limited")


def _sum(one: ev.Usage, two: ev.Usage) -> ev.Usage:
    return ev.Usage(**{name: getattr(one, name) + getattr(two, name) for name in ev.Usage.model_fields})


@folds(ev.ModelFailed)
def _model_failed(state: State, event: ev.Event, body: ev.ModelFailed) -> State:
    state = _spend(state, turns=1, tokens=body.tokens)
    trouble = (*state.trouble, Trouble(model=body.model, code=body.error.code)) if body.left else ()
    bad = state.bad_answers + (body.error.code not in _OUTAGE)
    state = with_timer(state, "model", body.retry_at)
    return changed(state, model_failures=body.attempt, trouble=trouble, bad_answers=bad)


@folds(ev.AnswerRefused)
def _answer_refused(state: State, event: ev.Event, body: ev.AnswerRefused) -> State:
    notice = changed(_ENTRY, kind="notice", seq=event.seq, value=body.error)
    return changed(_add(state, notice), refusals=state.refusals + 1)


@folds(ev.TranscriptCompacted)
def _compacted(state: State, event: ev.Event, body: ev.TranscriptCompacted) -> State:
    summary = changed(_ENTRY, kind="summary", seq=event.seq, value=body.summary)
    rest = tuple(entry for entry in state.transcript if entry.seq > body.up_to and entry.kind != "summary")
    state = changed(with_timer(state, "model", None), transcript=(summary, *rest), context=0, **_NO_TROUBLE)
    if body.model is None:
        return state
    state = _spend(state, turns=1, tokens=body.usage.total)
    return changed(state, spent=changed(state.spent, usage=_sum(state.spent.usage, body.usage)))


# --- calls -----------------------------------------------------------------------------------------------------


@folds(ev.CallsProposed)
def _proposed(state: State, event: ev.Event, body: ev.CallsProposed) -> State:
    state = changed(state, proposed=event.seq)
    for index, proposal in enumerate(body.calls):
        id = call_id(event.seq, index)
        arguments = _item(body.arguments, index)
        call = changed(
            _CALL,
            id=id,
            tool=proposal.tool,
            effect=proposal.effect,
            digest=proposal.digest,
            arguments=arguments,
            status="asked" if proposal.rule else "ready",
            rule=proposal.rule,
        )
        state = changed(state, calls={**state.calls, id: call})
        if proposal.refusal:
            state = _settle(state, event, id, proposal.refusal.model_dump(), failed=True)
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
        "expires_at": body.expires_at,
        "on_timeout": body.on_timeout,
    }
    return _update(state, body.call, fields, approval=body.expires_at, remind=body.remind_at)


@folds(ev.ApprovalDecided)
def _decided(state: State, event: ev.Event, body: ev.ApprovalDecided) -> State:
    state = _stands(state, body.call, f"{body.verdict} by {event.actor.name or event.actor.kind} (event {event.seq})")
    if body.verdict == "rejected":
        message = body.reason or "a person said no"
        return _settle(state, event, body.call, {"code": "rejected", "message": message}, failed=True)
    if body.verdict == "responded":
        return _settle(state, event, body.call, body.result, failed=False)
    if body.arguments is not None:
        return _update(state, body.call, {"status": "edited", "edited": body.arguments, "approved_by": (event.actor,)})
    return _approved(state, body.call, (*state.calls[body.call].approved_by, event.actor))


def _approved(state: State, id: str, by: tuple[ev.Actor, ...]) -> State:
    if len(by) < state.calls[id].needed:
        return _update_keeping(state, id, approved_by=by)
    return _update(state, id, {"status": "ready", "approved_by": by, "expires_at": None})


@folds(ev.ApprovalDelegated)
def _delegated(state: State, event: ev.Event, body: ev.ApprovalDelegated) -> State:
    others = tuple(name for name in state.calls[body.call].approvers if name not in (event.actor.name, body.to))
    return _update_keeping(state, body.call, approvers=(*others, body.to))


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
        return _update(state, body.call, fields, approval=call.expires_at)
    checked = {"arguments": body.arguments, "edited": body.arguments, "digest": body.digest}
    return _approved(_update_keeping(state, body.call, needed=1, **checked), body.call, call.approved_by)


@folds(ev.ApprovalExpired)
def _expired(state: State, event: ev.Event, body: ev.ApprovalExpired) -> State:
    state = _stands(state, body.call, f"it expired and was {body.verdict} (event {event.seq})")
    if body.verdict == "approved":
        return _update(state, body.call, {"status": "ready", "approved_by": (event.actor,), "expires_at": None})
    return _settle(
        state, event, body.call, {"code": "approval_expired", "message": "nobody decided in time"}, failed=True
    )


def _stands(state: State, id: str, words: str) -> State:
    return changed(state, decisions={**state.decisions, id: words})


@folds(ev.CallPostponed)
def _postponed(state: State, event: ev.Event, body: ev.CallPostponed) -> State:
    known = state.calls[body.call].error
    error = known if known is not None and known.code == "no_outcome" else body.error  # its next attempt runs alone
    return _update(state, body.call, {"status": "backoff", "error": error}, retry=body.until)


@folds(ev.CallStarted)
def _call_started(state: State, event: ev.Event, body: ev.CallStarted) -> State:
    fields = {"status": "started", "attempt": body.attempt, "not_after": body.not_after}
    return _update(_count(state, body.call, body.attempt), body.call, fields, doubt=body.not_after)


@folds(ev.CallCompleted)
def _call_completed(state: State, event: ev.Event, body: ev.CallCompleted) -> State:
    known = {call: attempt for call, attempt in state.doubted.items() if (call, attempt) != (body.call, body.attempt)}
    counted = _count(changed(state, doubted=known), body.call, body.attempt)
    return _settle(counted, event, body.call, body.result, failed=False)


def _count(state: State, id: str, attempt: int) -> State:
    """Count an attempt once, though more than one event may tell of it (started, pending, completed)."""
    call = state.calls[id]
    if attempt <= call.counted:
        return state
    return _spend(changed(state, calls={**state.calls, id: changed(call, counted=attempt)}), calls=1)


@folds(ev.CallFailed)
def _call_failed(state: State, event: ev.Event, body: ev.CallFailed) -> State:
    state = _count(state, body.call, body.attempt)
    if body.retry_at is None:
        return _settle(state, event, body.call, body.error.model_dump(), failed=True)
    fields = {"status": "backoff", "attempt": body.attempt, "error": body.error, "not_after": None}
    return _update(state, body.call, fields, retry=body.retry_at)


@folds(ev.CallRefused)
def _call_refused(state: State, event: ev.Event, body: ev.CallRefused) -> State:
    return _settle(state, event, body.call, body.error.model_dump(), failed=True)


@folds(ev.CallInDoubt)
def _in_doubt(state: State, event: ev.Event, body: ev.CallInDoubt) -> State:
    state = changed(_count(state, body.call, body.attempt), doubted={**state.doubted, body.call: body.attempt})
    return _update(state, body.call, {"status": "doubt", "error": body.error, "not_after": None})


@folds(ev.CallReconciled)
def _reconciled(state: State, event: ev.Event, body: ev.CallReconciled) -> State:
    kept = {key: signal for key, signal in state.kept.items() if key != body.call or body.answer != "not_done"}
    return _update(changed(state, kept=kept), body.call, {"status": "ready" if body.answer == "not_done" else "person"})


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
    return _update(state, body.call, fields, pending=body.expires_at, poll=body.poll_at)


# --- other sessions --------------------------------------------------------------------------------------------


@folds(ev.ChildStarted)
def _child_started(state: State, event: ev.Event, body: ev.ChildStarted) -> State:
    call, tokens = state.calls[body.call], body.allotted.tokens or 0
    state = _spend(state, calls=1, tokens=tokens)
    fields = {"status": "child", "attempt": 1, "counted": 1, "on_close": body.on_close, "allotted": tokens}
    return _update(changed(state, children={**state.children, call.id: body.session}), call.id, fields)


@folds(ev.ChildLeft)
def _child_left(state: State, event: ev.Event, body: ev.ChildLeft) -> State:
    """What the child was allotted stays spent: nobody will say how much of it was."""
    children = {call: session for call, session in state.children.items() if call != body.call}
    return changed(state, children=children)


@folds(ev.ChildEnded)
def _child_ended(state: State, event: ev.Event, body: ev.ChildEnded) -> State:
    children = {call: session for call, session in state.children.items() if call != body.call}
    state = _spend(state, tokens=body.tokens - state.calls[body.call].allotted)
    failed = body.status != "completed"
    value = body.error.model_dump() if failed and body.error else body.output
    return _settle(changed(state, children=children), event, body.call, value, failed)
