"""What the steps of the fold are made of: where they are registered, and the changes that many of them make."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from onward.core import events as ev
from onward.core.state import Entry, OpenCall, State, changed

B = TypeVar("B", bound=ev.Body)
Step = Callable[[State, ev.Event, Any], State]
ENTRY = Entry.model_construct(kind="input", seq=0, value=None)
CALL = OpenCall.model_construct(id="", tool="", effect="irreversible", digest="", arguments=None, status="ready")
STEPS: dict[type[ev.Body], Step] = {}


def folds(kind: type[B]) -> Callable[[Callable[[State, ev.Event, B], State]], Callable[[State, ev.Event, B], State]]:
    """Register how a kind of event changes the state."""

    def register(step: Callable[[State, ev.Event, B], State]) -> Callable[[State, ev.Event, B], State]:
        STEPS[kind] = step
        return step

    return register


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


def update(state: State, id: str, fields: dict[str, Any], **timers: datetime | None) -> State:
    """The state with these fields of a call changed, and of the call's timers only these."""
    return with_call(state, changed(state.calls[id], **fields), **timers)


def update_keeping(state: State, id: str, **fields: Any) -> State:
    """The call changes; its timers stay."""
    return changed(state, calls={**state.calls, id: changed(state.calls[id], **fields)})


def settle(state: State, event: ev.Event, id: str, value: Any, failed: bool, at: datetime | None = None) -> State:
    """The call leaves; what became of it is for the program to read. A workflow goes by the time that it was `at` then,
    which for what is from a record is another than the event's."""
    call = state.calls[id]
    entry = changed(ENTRY, kind="result", seq=event.seq, value=value, call=id, tool=call.tool, failed=failed)
    if call.changed:
        entry = changed(entry, arguments=call.arguments)
    if call.operation is not None:
        state = told(state, at or event.at)
        entry = changed(entry, name=call.operation.name, digest=call.asked, at=at or event.at)
    state = with_call(state, call)
    calls = {key: other for key, other in state.calls.items() if key != id}
    kept = {key: signal for key, signal in state.kept.items() if key != id}
    return changed(state, calls=calls, kept=kept, transcript=(*state.transcript, entry))


def told(state: State, at: datetime) -> State:
    """The state of a workflow that was told something that came about then."""
    return state if state.time is not None and at <= state.time else changed(state, told_at=at)


def add(state: State, entry: Entry) -> State:
    """The state with one entry more."""
    return changed(state, transcript=(*state.transcript, entry))


def spend(state: State, **more: int) -> State:
    """The state with this much more spent."""
    totals = {name: getattr(state.spent, name) + count for name, count in more.items()}
    return changed(state, spent=changed(state.spent, **totals))
