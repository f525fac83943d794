"""Signals and due timers become events, in the order of their times (G8, R16).

Of a decision and a timeout that race, the earlier wins, by the time the decision was filed. A timer is judged due
only against the time at which the inbox was read: whatever was filed before that time is on the table too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from onward.core import events as ev
from onward.core.draft import ENGINE, TIMER, Draft
from onward.core.events import Actor, Body, Failure
from onward.core.ids import is_among
from onward.core.inputs import wait_for
from onward.core.schemas import check_schema
from onward.core.signals import (
    CancelBody,
    ChildBody,
    DecisionBody,
    FinishBody,
    InputBody,
    OutcomeBody,
    PauseBody,
    ResumeBody,
    Signal,
    SkipBody,
)
from onward.core.state import OpenCall, State
from onward.errors import BadInput, Refused, UsageError

Bodies = list[Body]


def absorb(draft: Draft, signals: Sequence[Signal], now: datetime) -> None:
    """Write into the draft what these signals, and the timers due by `now`, amount to."""
    waiting = sorted(signals, key=lambda signal: (signal.filed_at or now, signal.id))
    while True:
        timer = _next_due(draft.state, now)
        if waiting and (timer is None or (waiting[0].filed_at or now) <= timer[1]):
            _take(draft, waiting.pop(0))
        elif timer is not None:
            draft.add(TIMER, *_fire(draft.state, *timer))
        else:
            return


def _next_due(state: State, now: datetime) -> tuple[str, datetime] | None:
    due = [(at, name) for name, at in state.timers.items() if at <= now]
    return (min(due)[1], min(due)[0]) if due else None


# --- timers ----------------------------------------------------------------------------------------------------


def _fire(state: State, name: str, at: datetime) -> Bodies:
    kind, _, id = name.partition(":")
    if kind == "deadline":
        error = Failure(code="deadline_passed", message="the session's deadline passed")
        return [ev.ClosingBegan(outcome="failed", error=error), *_leave_children(state)]
    if kind == "approval":
        verdict = "approved" if state.calls[id].on_timeout == "approve" else "rejected"
        return [ev.ApprovalExpired(call=id, verdict=verdict, due_at=at)]  # type: ignore[arg-type]
    if kind == "remind":
        return [ev.ApprovalReminded(call=id, due_at=at, expires_at=state.timers[f"approval:{id}"])]
    if kind == "doubt":
        error = Failure(code="no_outcome", message="it was started, and no outcome was recorded in time")
        return [ev.CallInDoubt(call=id, attempt=state.calls[id].attempt, error=error)]
    if kind == "pending":
        return [_never_completed(state.calls[id])]
    return [ev.TimerFired(timer=name, due_at=at)]


def _never_completed(call: OpenCall) -> Body:
    if call.asleep:
        return ev.CallCompleted(call=call.id, attempt=call.attempt, result={"waited": "to the end"}, by="timer")
    error = Failure(code="not_completed", message="nobody said how it ended before its timeout")
    if call.repeatable:
        return ev.CallFailed(call=call.id, attempt=call.attempt, error=error)
    return ev.CallInDoubt(call=call.id, attempt=call.attempt, error=error)


# --- signals ---------------------------------------------------------------------------------------------------


def _take(draft: Draft, signal: Signal) -> None:
    try:
        draft.add(signal.sender, *bodies_of(draft.state, signal))
    except UsageError as no:
        error, stands = Failure(code=no.code, message=str(no)), no.stands if isinstance(no, Refused) else ""
        draft.add(ENGINE, ev.SignalRefused(signal=signal.id, signal_kind=signal.kind, error=error, stands=stands))


def bodies_of(state: State, signal: Signal) -> Bodies:
    """What this signal amounts to now. Raises Refused, saying what stands instead, and BadInput."""
    body = signal.parsed()
    if state.ended:
        raise _too_late(state, signal, body)
    return _TAKES[signal.kind](state, signal, body)


def _too_late(state: State, signal: Signal, body: Any) -> Refused:
    if signal.sender.kind == "engine" and _was_done_after_all(state, body):
        return Refused("outcome refused", "performed_twice", _twice_text(body))
    return Refused(f"{signal.kind} refused", "session_ended", f"the session is {state.ended}")


def _input(state: State, signal: Signal, body: InputBody) -> Bodies:
    try:
        check_input(state, body)
    except BadInput as exc:  # what is recorded of it can't be erased, and so says nothing of what was in it
        raise BadInput("content: it is not of the form that is waited for") from exc
    received = ev.InputReceived(content=body.content, signal=signal.id, name=body.name)
    return [received, *_woken(state), *(_interrupted(state) if state.on_input == "interrupt" else ())]


def check_input(state: State, body: InputBody) -> None:
    """Raises Refused unless this input may be taken now, and BadInput where it is not what is waited for."""
    if state.closing:
        raise Refused("input refused", "session_closing", f"the session is being {_ending(state)}")
    if state.on_input == "reject" and not state.idle:
        raise Refused("input refused", "session_busy", "the session is at work, and takes an input only when it waits")
    if body.name is not None and state.on_input != "deliver":
        stands = f"{state.program} is an agent, and takes inputs without a name"
        raise Refused("input refused", "no_names", stands)
    wait = wait_for(state, body.name)
    if wait is not None:
        check_schema(body.content, wait.takes, "content")


def _woken(state: State) -> Bodies:
    """Who only waits for time to pass is spoken to now, unless it is a workflow."""
    asleep = [call for call in state.calls.values() if call.asleep and call.operation is None]
    waited = {"waited": "until an input came"}
    return [ev.CallCompleted(call=call.id, attempt=call.attempt, result=waited, by="input") for call in asleep]


def _interrupted(state: State) -> Bodies:
    """What is not under way yet gives way to the input; what goes on outside is not called back."""
    error = Failure(code="interrupted", message="an input came before it was performed")
    bodies: Bodies = []
    for call in state.calls.values():
        if call.status in ("asked", "edited", "ready", "backoff", "child"):
            bodies += [*left(state, call, cancel=True), ev.CallRefused(call=call.id, error=error)]
    return bodies


def dropped(state: State, error: Failure) -> Bodies:
    """Refuse every open call, because the session ends. A child is cancelled, or abandoned if it was started so."""
    bodies: Bodies = []
    for call in state.calls.values():
        bodies += [*left(state, call, call.on_close == "cancel"), ev.CallRefused(call=call.id, error=error)]
    return bodies


def _leave_children(state: State) -> Bodies:
    """A session that is to end waits for no child any more, however long its own end takes."""
    return [body for call in state.calls.values() for body in left(state, call, call.on_close == "cancel")]


def left(state: State, call: OpenCall, cancel: bool) -> Bodies:
    child = state.children.get(call.id)
    return [] if child is None else [ev.ChildLeft(call=call.id, session=child, cancel=cancel)]


def _decision(state: State, signal: Signal, body: DecisionBody) -> Bodies:
    check_decision(state, signal.sender, body)
    if body.verdict == "delegated":
        return [ev.ApprovalDelegated(call=body.call, to=body.to or "", reason=body.reason, signal=signal.id)]
    return [
        ev.ApprovalDecided(
            call=body.call,
            verdict=body.verdict,
            digest=body.digest,
            reason=body.reason,
            signal=signal.id,
            arguments=body.arguments,
            result=body.result,
        )
    ]


def check_decision(state: State, sender: Actor, body: DecisionBody) -> None:
    """Raises Refused unless this decision may be taken now."""
    call = state.calls.get(body.call)
    unverified = sender.kind == "unverified" and call is not None and call.allow_unverified and not call.approvers
    if not sender.name or not (sender.kind == "person" or unverified):
        raise Refused("decision refused", "not_a_person", "only an identified person decides")
    if state.closing and not (call is not None and call.takes_back):
        raise Refused("decision refused", "session_closing", f"the session is being {_ending(state)}")
    if call is None or call.status != "asked":
        stands = state.decisions.get(body.call) or "there is no open approval for this call"
        raise Refused("decision refused", "not_open", stands)
    if call.digest != body.digest:
        raise Refused(
            "decision refused", "wrong_digest", f"the open approval is for the call with digest {call.digest[:12]}"
        )
    if call.asks and body.arguments is not None:
        raise Refused("decision refused", "not_editable", "a question has no arguments to change: answer it")
    _check_link(call, body)
    _check_decider(call, sender, body)
    if body.verdict == "approved" and is_among(sender.name, [actor.name for actor in call.approved_by]):
        stands = f"{sender.name} has approved it; {call.needed - len(call.approved_by)} more must"
        raise Refused("decision refused", "approved_already", stands)


def _check_link(call: OpenCall, body: DecisionBody) -> None:
    """A link is good for one decision, also where several come by it at once."""
    if body.decided is not None and len(call.approved_by) + len(call.delegators) > body.decided:
        raise Refused("decision refused", "link_used", "somebody else has decided by it, or since it was made")


def _check_decider(call: OpenCall, sender: Actor, body: DecisionBody) -> None:
    """Only who is asked decides; who passed the question on may still say no, or pass it on again, to themselves too.
    It is not passed on to so few that it could never be approved."""
    if not call.approvers:
        return
    may_still = is_among(sender.name, call.delegators) and body.verdict in ("rejected", "delegated")
    if not is_among(sender.name, call.approvers) and not may_still:
        raise Refused("decision refused", "not_asked", f"{', '.join(call.approvers)} may decide, not {sender.name}")
    if body.verdict == "delegated":
        approved = {actor.name.casefold() for actor in call.approved_by}
        others = {name.casefold() for name in call.approvers} - {sender.name.casefold()}
        left = (others | {(body.to or "").casefold()}) - approved
        if len(left) + len(approved) < call.needed:
            stands = f"{call.needed} people must approve, and too few would be left to"
            raise Refused("decision refused", "too_few", stands)


def _outcome(state: State, signal: Signal, body: OutcomeBody) -> Bodies:
    call = state.calls.get(body.call)
    if signal.sender.kind == "engine":
        return _late(state, signal, body, call)
    if call is None:
        raise Refused("outcome refused", "not_open", f"call {body.call} is settled, or there is none")
    if signal.sender.kind == "external" and not call.repeatable and (body.attempt or call.attempt) <= call.attempt:
        earlier = _of_an_attempt_that_is_over(call, signal, body)
        if earlier:
            return earlier
    if call.status in ("pending", "doubt", "person"):
        return settle(call, signal.id, body, "outcome" if signal.sender.kind == "external" else "operator")
    if signal.sender.kind == "external" and call.status in ("ready", "started", "backoff"):
        kept = dict(signal.body)
        return [ev.SignalKept(signal=signal.id, signal_kind="outcome", call=call.id, body=kept, sender=signal.sender)]
    raise Refused("outcome refused", "not_in_doubt", f"call {call.id} is {call.status}")


def _of_an_attempt_that_is_over(call: OpenCall, signal: Signal, body: OutcomeBody) -> Bodies:
    """What is said from outside of an attempt that was held for not done. That it was done after all settles the call,
    unless another attempt was begun meanwhile: then it is done twice."""
    earlier = (body.attempt or call.attempt) < call.attempt
    if not earlier and (call.status not in ("ready", "backoff") or not call.attempt):
        return []
    if body.status != "done":
        raise Refused("outcome refused", "settled", f"attempt {body.attempt} of call {call.id} is over")
    if earlier:
        return [ev.SessionParked(error=Failure(code="performed_twice", message=_twice_text(body)))]
    return settle(call, signal.id, body, "outcome")


def settle(call: OpenCall, signal: str | None, body: OutcomeBody, by: ev.Cause) -> Bodies:
    """What an outcome makes of an open call."""
    if body.status == "done":
        fields: dict[str, Any] = {"call": call.id, "attempt": call.attempt, "result": body.result, "by": by}
        return [ev.CallCompleted(**fields, reason=body.reason, signal=signal)]
    error = body.error or Failure(code=body.status, message=body.reason or "it did not happen")
    if body.status == "failed":
        return [ev.CallFailed(call=call.id, attempt=call.attempt, error=error, by=by, signal=signal)]
    return [ev.CallReconciled(call=call.id, answer="not_done", error=error, signal=signal)]


def _skip(state: State, signal: Signal, body: SkipBody) -> Bodies:
    """An operator says what a call came to, so that it need not be performed."""
    call = state.calls.get(body.call)
    if call is None or call.status == "started":
        stands = "it is under way" if call else "it is settled, or there is none"
        raise Refused("skip refused", "not_open", f"call {body.call}: {stands}")
    if call.status == "asked" and signal.sender.kind == "unverified":
        who = "it waits for a decision, which is made by who is known: respond, or reject"
        raise Refused("skip refused", "unverified", f"call {body.call}: {who}")
    outcome = OutcomeBody(call=call.id, status="done", result=body.result, reason=body.reason)
    return [*left(state, call, cancel=True), *settle(call, signal.id, outcome, "skip")]


def _child(state: State, signal: Signal, body: ChildBody) -> Bodies:
    if signal.sender.kind != "engine":
        raise Refused("child refused", "not_an_engine", "only a session's own engine says what became of it")
    if state.children.get(body.call) != body.session:
        raise Refused("child refused", "not_open", f"nobody waits for session {body.session}")
    return [
        ev.ChildEnded(
            call=body.call,
            session=body.session,
            status=body.status,
            output=body.output,
            error=body.error,
            tokens=body.tokens,
            signal=signal.id,
        )
    ]


def _late(state: State, signal: Signal, body: OutcomeBody, call: OpenCall | None) -> Bodies:
    """A holder that lost its lease says what became of its attempt (R7)."""
    same = call is not None and call.attempt == body.attempt
    if call is not None and same and call.status in ("started", "doubt", "person"):
        return settle(call, signal.id, body, "tool")
    if call is not None and same and call.status in ("ready", "backoff") and body.status == "done":
        return settle(call, signal.id, body, "tool")
    if _was_done_after_all(state, body):
        return [ev.SessionParked(error=Failure(code="performed_twice", message=_twice_text(body)))]
    raise Refused("outcome refused", "settled", f"call {body.call} is settled, or a later attempt is under way")


def _was_done_after_all(state: State, body: Any) -> bool:
    """An engine files more than outcomes: a child's end, and a cancel for a child."""
    if not isinstance(body, OutcomeBody):
        return False
    return body.status == "done" and state.doubted.get(body.call) == body.attempt


def _twice_text(body: OutcomeBody) -> str:
    return f"attempt {body.attempt} of call {body.call} was held for not done, and was done after all"


def _cancel(state: State, signal: Signal, body: CancelBody) -> Bodies:
    if state.closing:
        raise Refused("cancel refused", "session_closing", f"the session is being {_ending(state)}")
    error = Failure(code="cancelled", message=body.reason or f"cancelled by {signal.sender.name or signal.sender.kind}")
    return [ev.ClosingBegan(outcome="cancelled", error=error, signal=signal.id), *_leave_children(state)]


def cancelled_unread(signal: Signal, error: Failure) -> ev.SessionCancelled:
    """A session that can't be read is cancelled at once, for the reason that was given, or because of what is wrong."""
    reason = str(signal.body.get("reason") or error.message)
    return ev.SessionCancelled(reason=reason, unread=True, signal=signal.id)


def _pause(state: State, signal: Signal, body: PauseBody) -> Bodies:
    if state.closing or (state.paused and not state.switch):
        stands = f"the session is being {_ending(state)}" if state.closing else "the session is paused"
        raise Refused("pause refused", "session_closing" if state.closing else "paused", stands)
    return [ev.SessionPaused(signal=signal.id, reason=body.reason)]


def _finish(state: State, signal: Signal, body: FinishBody) -> Bodies:
    """Nothing that may have been done in the world is left behind unknown."""
    if state.closing:
        raise Refused("finish refused", "session_closing", f"the session is being {_ending(state)}")
    open = [call.id for call in state.calls.values() if call.unsettled]
    if open:
        raise Refused("finish refused", "effects_open", f"the outcome of call {', '.join(open)} is not known")
    error = Failure(code="finished", message=body.reason or "the session was finished")
    output = body.output if body.output is not None else _said_last(state)
    return [*dropped(state, error), ev.SessionCompleted(output=output, reason=body.reason, signal=signal.id)]


def _said_last(state: State) -> Any:
    answers = (entry.value for entry in reversed(state.transcript) if entry.kind == "answer")
    newest = next(answers, None)
    return newest.get("text") if isinstance(newest, Mapping) else None


def _resume(state: State, signal: Signal, body: ResumeBody) -> Bodies:
    if not (state.parked or state.paused or "step" in state.timers):
        raise Refused("retry refused", "not_parked", "the session needs no attention")
    changes: Bodies = [ev.LimitsChanged(limits=body.limits, signal=signal.id)] if body.limits else []
    return [*changes, ev.SessionResumed(signal=signal.id, reason=body.reason)]


def _ending(state: State) -> str:
    return "cancelled" if state.closing and state.closing.outcome == "cancelled" else "ended"


_TAKES: Mapping[str, Callable[[State, Signal, Any], Bodies]] = MappingProxyType(
    {
        "input": _input,
        "decision": _decision,
        "outcome": _outcome,
        "skip": _skip,
        "pause": _pause,
        "resume": _resume,
        "finish": _finish,
        "cancel": _cancel,
        "child": _child,
    }
)
