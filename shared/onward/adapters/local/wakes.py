"""The rows of wakes and timers: at most one wake for each session, in which all that came for it is united.

`rev` is another at each change, so that an acknowledgement deletes only what was delivered. `look` is the rev that
last asked to look: it is gone only with a delivery that knew of it. Each process draws its revs from a range of its
own, so that a query can leave out the rows which the process's memory knows already.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Any

from onward.adapters.local.database import Database
from onward.adapters.local.rows import to_ms

TAKEOVER_MS = 250
"""A wake overdue by so much may be taken from a process that is alive but busy."""

AT_ONCE = 256
"""Rows taken into memory at a time."""

_RANGE = 1 << 32
_NOBODYS = 1
"""A rev in no process's range."""

_UNITE = """look = CASE WHEN excluded.look THEN excluded.look ELSE look END,
    published = max(published, excluded.published), rev = excluded.rev, home = coalesce(excluded.home, home)"""
_AGAIN = f"INSERT INTO wakes VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET {_UNITE}"
_PUT = f"{_AGAIN}, due_ms = min(due_ms, excluded.due_ms)"

_FREE = f"""FROM wakes WHERE due_ms <= :now
    AND (rev NOT BETWEEN :low AND :high OR (look AND look NOT BETWEEN :low AND :high))
    AND (home IS NULL OR home = :home OR (due_ms <= :now - {TAKEOVER_MS} AND NOT EXISTS (
        SELECT 1 FROM sessions WHERE sessions.key = wakes.key AND boot = :boot AND renewed <= :monotonic
        AND renewed > :monotonic - (CASE WHEN held THEN :ttl ELSE {TAKEOVER_MS / 1000} END))))"""
"""What this process may take and does not know of. A session that moved a moment ago is not taken from its home."""


@dataclass(frozen=True, slots=True)
class WakeRow:
    """A wake to record. `again` says that its session's wake is being delivered just now: a row that is due."""

    key: str
    due_ms: int
    look: bool
    published: int
    rev: int
    home: str | None
    again: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """What is due and not yet known here, and when more will be due."""

    free: bool
    next_ms: int | None


@dataclass(frozen=True, slots=True)
class Taken:
    """Rows that are this process's now. `more` says that others are due as well."""

    rows: tuple[WakeRow, ...]
    more: bool


def put_wake(c: Connection, row: WakeRow) -> None:
    """Record a wake, or unite it with the one that is there."""
    token = row.rev if row.look else 0
    c.execute(_AGAIN if row.again else _PUT, (row.key, row.due_ms, token, row.published, row.rev, row.home))


class WakeTable:
    """The rows, as one process sees them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.home: str | None = None
        self.begin_anew()

    def begin_anew(self) -> None:
        """Know nothing: a new range of revs makes every row a stranger's."""
        self._low = (1 + secrets.randbits(30)) * _RANGE
        self._revs = itertools.count(self._low + 1)

    def next_rev(self) -> int:
        return next(self._revs)

    def find(self, c: Connection) -> Found:
        """Whether `take` would find something now. Changes nothing."""
        now = to_ms(self._database.clock.now())
        free = c.execute(f"SELECT 1 {_FREE} LIMIT 1", self._terms(now)).fetchone() is not None
        free = free or c.execute("SELECT 1 FROM timers WHERE at_ms <= ? LIMIT 1", (now,)).fetchone() is not None
        times = (
            c.execute("SELECT min(at_ms) FROM timers WHERE at_ms > ?", (now,)).fetchone()[0],
            c.execute("SELECT min(due_ms) FROM wakes WHERE due_ms > ?", (now,)).fetchone()[0],
        )
        return Found(free, min((at for at in times if at is not None), default=None))

    def take(self, c: Connection) -> Taken:
        """Make what is due this process's own: rows that are free, and timers, which become rows."""
        now = to_ms(self._database.clock.now())
        due = "SELECT at_ms, key FROM timers WHERE at_ms <= ? ORDER BY at_ms LIMIT ?"
        timers = c.execute(due, (now, AT_ONCE)).fetchall()
        for _, key in timers:
            put_wake(c, WakeRow(key, now, look=True, published=0, rev=_NOBODYS, home=None))
        c.executemany("DELETE FROM timers WHERE at_ms = ? AND key = ?", timers)
        terms = self._terms(now) | {"keys": AT_ONCE}
        found = c.execute(f"SELECT key, look, published {_FREE} ORDER BY due_ms LIMIT :keys", terms).fetchall()
        return Taken(tuple(self._own(c, now, *row) for row in found), AT_ONCE in (len(timers), len(found)))

    def _own(self, c: Connection, now: int, key: str, look: int, published: int) -> WakeRow:
        """Due now, so that nobody takes it over at once in turn."""
        rev = self.next_rev()
        changes = (now, rev, self.home, rev if look else 0, key)
        c.execute("UPDATE wakes SET due_ms = ?, rev = ?, home = ?, look = ? WHERE key = ?", changes)
        return WakeRow(key, now, bool(look), published, rev, self.home)

    def _terms(self, now: int) -> dict[str, Any]:
        return {
            "now": now,
            "low": self._low,
            "high": self._low + _RANGE - 1,
            "home": self.home,
            "boot": self._database.boot,
            "monotonic": self._database.clock.monotonic(),
            "ttl": self._database.ttl,
        }

    def still_mine(self, c: Connection, keys: Sequence[str]) -> set[str]:
        """Those of the keys whose rows nobody else has taken over, or dealt with."""
        rows = (c.execute("SELECT rev FROM wakes WHERE key = ?", (key,)).fetchone() for key in keys)
        return {key for key, row in zip(keys, rows, strict=True) if row and self._low <= row[0] < self._low + _RANGE}

    def free_homes_of_the_dead(self, c: Connection) -> None:
        """Let whoever comes first take what a dead process would have taken."""
        for home in self.dead_homes(c):
            c.execute("UPDATE wakes SET home = NULL WHERE home = ?", (home,))

    def dead_homes(self, c: Connection) -> list[str]:
        sql = "SELECT DISTINCT home FROM wakes WHERE home IS NOT NULL AND home IS NOT ?"
        return [home for (home,) in c.execute(sql, (self.home,)).fetchall() if self._database.holders.is_dead(home)]

    def leave(self, c: Connection) -> None:
        """This process takes nothing more."""
        c.execute("UPDATE wakes SET home = NULL WHERE home = ?", (self.home,))


def delete_wake(c: Connection, key: str, rev: int, token: int) -> None:
    """Acknowledge: delete the row, unless it has changed or asks for a look that was not delivered."""
    c.execute("DELETE FROM wakes WHERE key = ? AND rev = ? AND look IN (0, ?)", (key, rev, token))


def delay_wake(c: Connection, key: str, rev: int, new_rev: int, due_ms: int) -> None:
    """Have the row delivered again later, unless it has changed."""
    c.execute("UPDATE wakes SET due_ms = ?, rev = ? WHERE key = ? AND rev = ?", (due_ms, new_rev, key, rev))


def arm_timer(c: Connection, key: str, at_ms: int) -> None:
    c.execute("INSERT INTO timers VALUES (?, ?) ON CONFLICT DO NOTHING", (at_ms, key))
