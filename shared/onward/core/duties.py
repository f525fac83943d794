"""What a commit owes to other sessions, derived from its events alone (R13).

A duty is paid after its append, and again by whoever finds it unpaid, so each has an id that is the same every time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from onward.core.events import (
    ChildLeft,
    ChildStarted,
    Event,
    Failure,
    SessionCancelled,
    SessionCompleted,
    SessionFailed,
)
from onward.core.state import Ended

_ENDS = (SessionCompleted, SessionFailed, SessionCancelled)


@dataclass(frozen=True, slots=True)
class StartChild:
    """Start the session that a call is."""

    started: ChildStarted


@dataclass(frozen=True, slots=True)
class CancelChild:
    """Nobody waits for this child any more."""

    session: str


@dataclass(frozen=True, slots=True)
class TellParent:
    """Say what this session came to, to the one that started it."""

    status: Ended
    output: Any
    error: Failure | None


Duty = StartChild | CancelChild | TellParent


def duties_of(events: Iterable[Event], parent: str | None) -> Iterator[Duty]:
    """What these events owe, in their order. `parent` is who started the session, if a session did."""
    for event in events:
        duty = _duty(event, parent)
        if duty is not None:
            yield duty


def first_owed(events: Iterable[Event], parent: str | None) -> int:
    """The seq of the first of these events that owes something, or 0."""
    return next((event.seq for event in events if _duty(event, parent) is not None), 0)


def _duty(event: Event, parent: str | None) -> Duty | None:
    body = event.body
    if isinstance(body, ChildStarted):
        return StartChild(body)
    if isinstance(body, ChildLeft):
        return CancelChild(body.session) if body.cancel else None
    if parent is None or not isinstance(body, _ENDS):
        return None
    if isinstance(body, SessionCompleted):
        return TellParent("completed", body.output, None)
    if isinstance(body, SessionFailed):
        return TellParent("failed", None, body.error)
    return TellParent("cancelled", None, Failure(code="cancelled", message=body.reason))
