"""The fold: one small function per kind of event, and nothing else changes a state (G1)."""

from __future__ import annotations

from collections.abc import Iterable

from onward.core import events as ev
from onward.core import fold_calls, fold_sessions  # noqa: F401 - they register what each kind of event does
from onward.core.folding import STEPS
from onward.core.state import State, changed

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
    after = STEPS[type(body)](state, event, body)
    if after.step_failures and not isinstance(body, _KEEPS_FAILURES):
        after = changed(after, step_failures=0)
    if after.deaths and isinstance(body, _OUTCOMES):
        after = changed(after, deaths=0)
    if after.queued and not after.mid_turn:
        after = changed(after, transcript=(*after.transcript, *after.queued), queued=())
    return changed(after, seq=event.seq, at=event.at)
