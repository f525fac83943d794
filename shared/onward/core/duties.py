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


@dataclass(frozen=True, slots=True)
class CancelChildren:
    """Nobody knows which sessions it started, as its log can't be read: all of them are cancelled."""


Duty = StartChild | CancelChild | CancelChildren | TellParent


def duties_of(events: Iterable[Event], parent: str | None) -> Iterator[Duty]:
    """What these events owe, in their order. `parent` is who started the session, if a session did."""
    for event in events:
        yield from _duties(event, parent)


def first_owed(events: Iterable[Event], parent: str | None) -> int:
    """The seq of the first of these events that owes something, or 0."""
    return next((event.seq for event in events if _duties(event, parent)), 0)


def _duties(event: Event, parent: str | None) -> list[Duty]:
    body = event.body
    if isinstance(body, ChildStarted):
        return [StartChild(body)]
    if isinstance(body, ChildLeft):
        return [CancelChild(body.session)] if body.cancel else []
    if not isinstance(body, _ENDS):
        return []
    told = [] if parent is None else [_told(body)]
    return [CancelChildren(), *told] if isinstance(body, SessionCancelled) and body.unread else [*told]


def _told(body: SessionCompleted | SessionFailed | SessionCancelled) -> TellParent:
    if isinstance(body, SessionCompleted):
        return TellParent("completed", body.output, None)
    if isinstance(body, SessionFailed):
        return TellParent("failed", None, body.error)
    return TellParent("cancelled", None, Failure(code="cancelled", message=body.reason))
