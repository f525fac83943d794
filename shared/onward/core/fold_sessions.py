"""How events of a session as a whole change its state: its life, what comes from outside, and its models."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from onward.core import events as ev
from onward.core.branch import Base
from onward.core.folding import ENTRY, add, folds, settle, spend, told, update, with_timer
from onward.core.payload import Blob, Erased
from onward.core.retry import ALONE_AFTER
from onward.core.state import OUTAGE, Closing, Kept, State, Trouble, changed
from onward.errors import CorruptLog

BASE_ERASED = "base_erased"
"""Why a branch is parked for good: there is nothing left to go on from."""

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
    state = changed(state, incarnation=body.incarnation) if body.incarnation != state.incarnation else state
    state = changed(state, effects=body.effects) if body.effects else state
    state = with_timer(with_timer(state, "start", body.not_before), "deadline", body.deadline)
    return _begin(state, event, body.input)


def _begin(state: State, event: ev.Event, value: Any) -> State:
    state = changed(state, input=value)
    if value is None:
        return state
    return add(state, changed(ENTRY, seq=event.seq, value=value))


@folds(ev.SessionForked)
def _forked(state: State, event: ev.Event, body: ev.SessionForked) -> State:
    if isinstance(body.base, Blob):
        raise CorruptLog(f"session {state.session}: what it branched from lies in a blob that was not fetched")
    state = changed(state, family=body.family, model=body.model, instructions=body.instructions)
    if isinstance(body.base, Erased):
        gone = ev.Failure(code=BASE_ERASED, message="what the session branched from was erased")
        return changed(state, parked=gone)
    base = Base.model_validate(body.base)
    if base.began:
        base = _from_now(base, state.started_at) if state.effects == "live" else base
        told_at = max((entry.at for entry in base.transcript if entry.at), default=None)
        state = changed(state, generation=base.generation, began=base.began, told_at=told_at, seed=base.seed)
    return changed(
        state,
        input=base.input,
        transcript=base.transcript,
        fired=base.fired,
        context=base.context,
        proposed=base.proposed,
        had=base.turns,
        refusals=base.refusals,
        trouble=base.trouble,
        recalled=base.recalled,
    )


def _from_now(base: Base, now: datetime | None) -> Base:
    """A workflow in a live branch goes on in the present: the newest that it was told is told to it now."""
    timed = [at for at, entry in enumerate(base.transcript) if entry.at is not None]
    if not timed:
        return changed(base, began=now)
    before, last, behind = base.transcript[: timed[-1]], base.transcript[timed[-1]], base.transcript[timed[-1] + 1 :]
    return changed(base, transcript=(*before, changed(last, at=now), *behind))


@folds(ev.SessionContinued)
def _continued(state: State, event: ev.Event, body: ev.SessionContinued) -> State:
    fresh: dict[str, Any] = {"transcript": (), "queued": (), "fired": (), "trouble": (), "calls": {}, "children": {}}
    fresh |= {"kept": {}, "context": 0, "proposed": 0, "model_failures": 0, "bad_answers": 0, "refusals": 0}
    if state.on_input == "deliver":
        fresh |= {"generation": state.generation + 1, "began": state.time}
    deadline = {name: at for name, at in state.timers.items() if name == "deadline"}
    kept = tuple(entry for entry in state.transcript if entry.seq in body.kept)
    state = _begin(changed(state, timers=deadline, **fresh), event, body.input)
    return changed(state, transcript=(*state.transcript, *kept)) if kept else state


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
    state = changed(with_timer(state, "step", None), parked=body.error)
    return changed(state, unlooked=body.incarnation) if body.incarnation != state.unlooked else state


@folds(ev.SessionResumed)
def _resumed(state: State, event: ev.Event, body: ev.SessionResumed) -> State:
    if body.lifts == "switch":
        return changed(state, paused=None, switch=None) if state.switch else state
    if body.lifts == "version":
        return changed(state, parked=None)
    deaths = min(state.deaths, ALONE_AFTER)
    gone = state.parked if state.parked and state.parked.code == BASE_ERASED else None
    fresh: dict[str, Any] = {"parked": gone, "paused": None, "switch": None, "step_failures": 0}
    fresh |= {"trouble": (), "bad_answers": 0, "refusals": 0}
    fresh |= {"incarnation": state.unlooked, "unlooked": None} if state.unlooked else {}
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
    return spend(state, turns=body.turns, calls=body.calls, tokens=body.tokens, lost=body.count)


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
        state = settle(state, event, body.call, {"handed_over_to": body.program}, failed=False)
        state = changed(state, instructions=None) if state.instructions is not None else state
    return changed(state, program=body.program, version=body.version, on_input=body.on_input, trouble=(), context=0)


@folds(ev.FieldErased)
def _field_erased(state: State, event: ev.Event, body: ev.FieldErased) -> State:
    return state


# --- what comes from outside -----------------------------------------------------------------------------------


@folds(ev.InputReceived)
def _input(state: State, event: ev.Event, body: ev.InputReceived) -> State:
    entry = changed(ENTRY, seq=event.seq, value=body.content)
    if state.on_input == "deliver":
        return add(told(state, event.at), changed(entry, name=body.name, at=event.at))
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
    return with_timer(state, "deadline" if body.timer == "deadline" else f"user:{body.timer}", body.due_at)


@folds(ev.TimerFired)
def _timer_fired(state: State, event: ev.Event, body: ev.TimerFired) -> State:
    state = with_timer(state, body.timer, None)
    name, _, rest = body.timer.partition(":")
    if name == "user":
        return changed(state, fired=(*state.fired, rest))
    if name == "retry":
        return update(state, rest, {"status": "ready"})
    if name == "poll":
        return changed(state, calls={**state.calls, rest: changed(state.calls[rest], poll_due=True)})
    return state


# --- the model -------------------------------------------------------------------------------------------------


@folds(ev.ModelAnswered)
def _answered(state: State, event: ev.Event, body: ev.ModelAnswered) -> State:
    entry = changed(ENTRY, kind="answer", seq=event.seq, value=body.answer, content=body.content, model=body.model)
    entry = changed(entry, calls=body.calls) if body.calls else entry
    entry = changed(entry, cut=True) if body.finish == "length" else entry
    state = _paid(add(state, entry), body)
    return changed(with_timer(state, "model", None), context=body.usage.total, **_NO_TROUBLE)


def _paid(state: State, body: ev.ModelAnswered | ev.TranscriptCompacted) -> State:
    """A turn of a model is spent, unless it is from a record: that one was paid for by another session."""
    if body.record is not None:
        return changed(state, had=state.had + 1)
    state = spend(state, turns=1, tokens=body.usage.total)
    return changed(state, spent=changed(state.spent, usage=_sum(state.spent.usage, body.usage)))


_NO_TROUBLE: dict[str, Any] = {"model_failures": 0, "bad_answers": 0, "trouble": ()}


def _sum(one: ev.Usage, two: ev.Usage) -> ev.Usage:
    return ev.Usage(**{name: getattr(one, name) + getattr(two, name) for name in ev.Usage.model_fields})


@folds(ev.ModelFailed)
def _model_failed(state: State, event: ev.Event, body: ev.ModelFailed) -> State:
    state = spend(state, turns=1, tokens=body.tokens) if body.record is None else changed(state, had=state.had + 1)
    trouble = (*state.trouble, Trouble(model=body.model, code=body.error.code)) if body.left else ()
    bad = state.bad_answers + (body.error.code not in OUTAGE)
    state = with_timer(state, "model", body.retry_at)
    return changed(state, model_failures=body.attempt, trouble=trouble, bad_answers=bad)


@folds(ev.AnswerRefused)
def _answer_refused(state: State, event: ev.Event, body: ev.AnswerRefused) -> State:
    notice = changed(ENTRY, kind="notice", seq=event.seq, value=body.error)
    return changed(add(state, notice), refusals=state.refusals + 1)


@folds(ev.TranscriptCompacted)
def _compacted(state: State, event: ev.Event, body: ev.TranscriptCompacted) -> State:
    summary = changed(ENTRY, kind="summary", seq=event.seq, value=body.summary)
    rest = tuple(entry for entry in state.transcript if entry.seq > body.up_to and entry.kind != "summary")
    state = changed(with_timer(state, "model", None), transcript=(summary, *rest), context=0, **_NO_TROUBLE)
    return state if body.model is None else _paid(state, body)
