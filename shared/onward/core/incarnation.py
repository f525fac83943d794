"""Which life of the database this is: another one after each restore from a backup, which has forgotten what was done
since it was taken (R22)."""

from __future__ import annotations

from datetime import datetime

from onward.core.codec import stamp
from onward.core.events import FIRST_INCARNATION, Actor, Failure, SessionParked, Value
from onward.core.state import OpenCall, State


class Restored(Value):
    """A restore, as an operator recorded it: `number` is the incarnation that began with it."""

    number: int
    by: Actor
    reason: str
    at: datetime


KEPT = 100
"""Restores that are kept for people."""


class Restores(Value):
    """The newest restores, the newest first."""

    newest: tuple[Restored, ...] = ()

    @property
    def last(self) -> Restored | None:
        return self.newest[0] if self.newest else None

    @property
    def incarnation(self) -> int:
        """Which one it is now."""
        return self.last.number if self.last else FIRST_INCARNATION

    def after(self, by: Actor, reason: str, at: datetime) -> Restores:
        """With one more, in the next incarnation."""
        more = Restored(number=self.incarnation + 1, by=by, reason=reason, at=at)
        return Restores(newest=(more, *self.newest)[:KEPT])


def look_first(state: State, call: OpenCall, last: Restored | None) -> SessionParked | None:
    """What is to be written down instead of starting this call: None, if nothing that was done can be forgotten.

    A session of an older incarnation may have performed it, or decided otherwise, after the backup was taken. What may
    run again anyway is not held back.
    """
    if last is None or call.repeatable or state.incarnation >= last.number:
        return None
    return SessionParked(error=Failure(code="restored", message=_why(call, last)), incarnation=last.number)


def _why(call: OpenCall, last: Restored) -> str:
    said = f"{last.by.name or last.by.kind}, {stamp(last.at)}{f': {last.reason}' if last.reason else ''}"
    return (
        f"the database was restored from a backup ({said}) and has forgotten what was done since that was taken. "
        f"See in the records of the other side whether {call.tool} has happened since: if so, skip it "
        "with what it came to. Then retry: what is still to be done is performed"
    )
