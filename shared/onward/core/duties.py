"""What a commit owes to others, sessions and webhooks, derived from its events (R13).

A duty is paid after its append, and again by whoever finds it unpaid, so each has an id that is the same every time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from onward.core.events import (
    Body,
    ChildLeft,
    ChildStarted,
    Event,
    Failure,
    SessionCancelled,
    SessionCompleted,
    SessionFailed,
)
from onward.core.state import Ended
from onward.core.webhooks import Listener, occasion_of

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


@dataclass(frozen=True, slots=True)
class Tell:
    """See to it that a webhook is told of an event."""

    webhook: str
    seq: int


Duty = StartChild | CancelChild | CancelChildren | TellParent | Tell


def duties_of(events: Iterable[Event], parent: str | None, listeners: Sequence[Listener] = ()) -> Iterator[Duty]:
    """What these events owe, in their order. `parent` is who started the session, if a session did; `listeners` are
    the webhooks that its head names."""
    for event in events:
        yield from _duties(event, parent, listeners)


def first_owed(events: Iterable[Event], parent: str | None, listeners: Sequence[Listener] = ()) -> int:
    """The seq of the first of these events that owes something, or 0."""
    return next((event.seq for event in events if _duties(event, parent, listeners)), 0)


def _duties(event: Event, parent: str | None, listeners: Sequence[Listener]) -> list[Duty]:
    owed = _to_sessions(event.body, parent)
    occasion = occasion_of(event.body) if listeners else None
    return owed + [Tell(listener.name, event.seq) for listener in listeners if occasion in listener.on]


def _to_sessions(body: Body, parent: str | None) -> list[Duty]:
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
