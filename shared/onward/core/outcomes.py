"""What a tool can say of its effect."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from onward.core.durations import Span, seconds
from onward.errors import BadInput

T = TypeVar("T")


class NotPerformed(Exception):
    """Raised by a tool: the effect certainly did not happen. The model, or the workflow, gets the message."""


class TryAgain(NotPerformed):
    """Raised by a tool: the effect certainly did not happen, and may at another time. Whatever its effect class,
    the call is tried again under the same key, as often and as fast as its `retry` says."""


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """Asked afterwards: the effect happened, with this result."""

    result: T


@dataclass(frozen=True, slots=True)
class NotDone:
    """Asked afterwards: the effect did not happen, and it may be performed again."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Asked afterwards: it can't be told; a person is asked."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Pending:
    """The effect goes on outside for up to `timeout`, or `until` a time with a zone, no more than a year ahead. An
    outcome signal with the call's token completes it, or the tool's `poll`, asked every `poll_every`. When the time is
    up it `ends`: as failed (or in doubt), or as done, where to wait was all there was to do; then an input ends it too.
    `until` is for such a wait alone.
    """

    timeout: Span | None = None
    poll_every: Span | None = None
    ends: Literal["failed", "done"] = "failed"
    until: datetime | None = None

    def __post_init__(self) -> None:
        if (self.timeout is None) == (self.until is None):
            raise BadInput("Pending: give either timeout= or until=")
        if self.timeout is not None:
            seconds(self.timeout, "Pending.timeout")
        elif self.ends != "done" or self.until is None or self.until.tzinfo is None:
            raise BadInput("Pending.until: a time with a zone, and only where the wait ends='done'")
        if self.poll_every is not None:
            seconds(self.poll_every, "Pending.poll_every")


@dataclass(frozen=True, slots=True)
class Call:
    """What a tool may know of the call it performs.

    `idempotency_key` is the same at every attempt. `token` completes the call from outside; give it only to who does.
    """

    session: str
    id: str
    tool: str
    arguments: Any
    attempt: int
    idempotency_key: str
    token: str = ""
    approved_by: str = ""
