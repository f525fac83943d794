"""What each operation of the store does to the tables, within the transaction it is given (R1, R3, R4, R16).

Every change of a session is one UPDATE with its preconditions in it; no row changed means that they did not hold.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from sqlite3 import Connection
from typing import Any

from onward.adapters.local.database import Database
from onward.adapters.local.rows import HEAD, from_ms, head_from, signal_doc, signal_from, to_ms
from onward.adapters.local.wakes import WakeRow, put_wake
from onward.core.codec import FORMAT
from onward.core.head import Head
from onward.core.lease import Busy, Free, Later, LeaseFields, judge
from onward.core.log import Commit, missing
from onward.core.signals import KEPT_DAYS, Signal
from onward.errors import CorruptLog, LeaseLost, Refused
from onward.ports import Append, Inbox, Lease, not_imported

Mark = tuple[int, int] | None
Version = tuple[str, int]
"""A head's hash and settled epoch."""

KEPT_MS = KEPT_DAYS * 86_400_000
FORGOTTEN_AT_ONCE = 16
"""Expired signals deleted in one append, at most."""

_WITHOUT_BODY = "doc = json_remove(doc, '$.body')"
"""What is known of a signal that is no longer pending: its body could not be erased there, and nobody asks for it."""

_COLUMNS = """published, seq, hash, format, program, waits, updated_ms, wake_ms, doc,
    fold_seq, fold_hash, fold_version, fold_commit, fold_snapshot, fold, status"""
"""The columns of `head_row`."""

_CREATE = f"""INSERT INTO sessions
    (key, tenant, created_ms, parent, family, epoch, owner, held, renewed, boot, settled, {_COLUMNS})
    VALUES (?, ?, ?, ?, ?, ?, '', 0, 0, '', ?, {", ".join("?" * 16)}) ON CONFLICT (key) DO NOTHING"""

_SET = [f"{column.strip()} = ?" for column in _COLUMNS.split(",")]
_APPEND = """UPDATE sessions SET settled = epoch, held = ?, renewed = ?, mark_epoch = ?, mark_seq = ?, {}
    WHERE key = ? AND epoch = ? AND held AND seq = ? AND mark_epoch IS ? AND mark_seq IS ?"""
_APPEND_STATUS = _APPEND.format(", ".join(_SET))
_APPEND_RUNNING = _APPEND.format(", ".join(_SET[:-1]))
"""For a session that goes on running: to leave the status alone is to leave its indexes alone."""

_RELEASE = f"UPDATE sessions SET {', '.join(_SET)} WHERE key = ? AND seq = ? AND hash = ?"

_LEASE = "id, epoch, owner, held, renewed, boot, settled, mark_epoch, mark_seq, seq, format, hash, published"
_CLAIM = f"SELECT {_LEASE} FROM sessions WHERE key = ? AND status NOT IN ('imported', 'deleted')"

_TOMBSTONE = f"""UPDATE sessions SET held = 0, settled = epoch, mark_epoch = NULL, mark_seq = NULL, {", ".join(_SET)}
    WHERE key = ? AND (epoch = ? AND held OR status = 'imported') AND seq = ? AND hash = ?"""
_OF_A_SESSION = ("commits", "inbox", "wakes", "timers", "errands")


@dataclass(frozen=True, slots=True)
class Claimed:
    """A claim that was granted. `head` is None where the claimant has this one already.

    `version` tells one document of a head from another: only who appends or lets go writes one, and settles its epoch.
    """

    epoch: int
    stalls: int
    mark: Mark
    version: Version
    published: int
    head: Head | None
    now_ms: int


class Transactions:
    """The operations, on the clock of one database."""

    def __init__(self, database: Database) -> None:
        self._clock = database.clock
        self._ttl = database.ttl
        self._boot = database.boot
        self._holders = database.holders
        self._scrub = database.scrub

    def _now_ms(self) -> int:
        return to_ms(self._clock.now())

    # --- the lease -----------------------------------------------------------------------------------------------

    def claim(
        self, c: Connection, key: str, owner: str, published: int, known: Version | None
    ) -> Claimed | Busy | Later | None:
        row = c.execute(_CLAIM, (key,)).fetchone()
        if row is None:
            return None
        id, epoch, holder, held, _, _, settled, *_ = row
        if held and holder == owner:
            free = Free(epoch, max(0, epoch - 1 - settled))
        else:
            verdict = self._judge(row)
            if not isinstance(verdict, Free):
                return verdict
            free = verdict
        out = max(min(published, row[9]), row[12])
        c.execute(
            "UPDATE sessions SET epoch = ?, owner = ?, held = 1, renewed = ?, boot = ?, published = ? WHERE id = ?",
            (free.epoch, owner, self._clock.monotonic(), self._boot, out, id),
        )
        return self._claimed(c, row, free, known, out)

    def _claimed(self, c: Connection, row: Sequence[Any], free: Free, known: Version | None, published: int) -> Claimed:
        head, version = None, (row[11], row[6])
        if version != known:
            head = head_from(c.execute(f"SELECT {HEAD} FROM sessions WHERE id = ?", (row[0],)).fetchone())
        return Claimed(free.epoch, free.stalls, _mark(row[7], row[8]), version, published, head, self._now_ms())

    def _judge(self, row: Sequence[Any]) -> Free | Busy | Later:
        _, epoch, holder, held, renewed, boot, settled, mark_epoch, mark_seq, seq, format, *_ = row
        fields = (epoch, bool(held), self.age(boot, renewed), settled, _mark(mark_epoch, mark_seq), seq, format)
        verdict = judge(LeaseFields(*fields), self._ttl, FORMAT)
        if isinstance(verdict, Busy) and self._holders.is_dead(holder):
            return judge(LeaseFields(*fields, dead=True), self._ttl, FORMAT)
        return verdict

    def age(self, boot: str, renewed: float) -> float:
        """Seconds since a lease was renewed, on the time that all processes of this boot share."""
        now = self._clock.monotonic()
        return now - renewed if boot == self._boot and now >= renewed else math.inf

    def renew(self, c: Connection, lease: Lease) -> None:
        changed = c.execute(
            "UPDATE sessions SET renewed = ? WHERE key = ? AND epoch = ? AND held",
            (self._clock.monotonic(), lease.key, lease.epoch),
        )
        if not changed.rowcount:
            raise self._lost(c, lease)

    def mark(self, c: Connection, key: str, epoch: int, seq: int) -> bool:
        changed = c.execute(
            "UPDATE sessions SET mark_epoch = ?, mark_seq = ? WHERE key = ? AND epoch = ? AND seq = ? AND held",
            (epoch, seq, key, epoch, seq),
        )
        return changed.rowcount == 1

    def release(self, c: Connection, lease: Lease, row: tuple[Any, ...] | None) -> tuple[bool, Mark]:
        """Answers whether the lease was still there, and the mark that stands."""
        let_go = "UPDATE sessions SET held = 0, settled = epoch WHERE key = ? AND epoch = ? AND held"
        there = c.execute(let_go, (lease.key, lease.epoch)).rowcount == 1
        if there and row is not None:
            c.execute(_RELEASE, (*row, lease.key, *row[1:3]))
        found = c.execute("SELECT mark_epoch, mark_seq FROM sessions WHERE key = ?", (lease.key,)).fetchone()
        return there, _mark(*found) if found else None

    def _lost(self, c: Connection, lease: Lease) -> LeaseLost:
        row = c.execute("SELECT epoch, held, seq FROM sessions WHERE key = ?", (lease.key,)).fetchone()
        if row is None:
            return LeaseLost(f"session {lease.head.id} is not there any more")
        stands = f"it is at epoch {row[0]}, event {row[2]}, and {'held' if row[1] else 'let go'}"
        return LeaseLost(f"session {lease.head.id}: the lease of epoch {lease.epoch} is gone; {stands}")

    # --- the log -------------------------------------------------------------------------------------------------

    def create(
        self, c: Connection, head: Head, row: tuple[Any, ...], commit: Commit, doc: str, wake: WakeRow | None
    ) -> Head | None:
        fixed = (head.key, head.tenant, to_ms(head.created_at), head.parent, head.family)
        made = c.execute(_CREATE, (*fixed, commit.epoch, commit.epoch, *row))
        if not made.rowcount:
            return self.read(c, head.key)
        _put_commit(c, head.key, commit, doc)
        if wake is not None:
            put_wake(c, wake)
        return None

    def fill(self, c: Connection, key: str, part: Sequence[tuple[Commit, str]]) -> None:
        """Put those that are missing of some commits, with their documents, into the log of an import."""
        head = self.read(c, key)
        if head is None or head.status != "imported":
            raise not_imported(head.status if head else None)
        commits, docs = [commit for commit, _ in part], {commit.first_seq: doc for commit, doc in part}
        after, last = commits[0].first_seq - 1, commits[-1].last_seq
        there = {old.first_seq: old for old in self.commits(c, key, after, len(part)) if old.first_seq <= last}
        for commit in missing(there, commits):
            _put_commit(c, key, commit, docs[commit.first_seq])

    def append(
        self, c: Connection, lease: Lease, append: Append, row: tuple[Any, ...], doc: str, wake: WakeRow | None
    ) -> Mark:
        """Answers the mark that stands afterwards."""
        mark = self._advance(c, lease, append, row, lease.mark)
        _put_commit(c, lease.key, append.commit, doc)
        if append.absorbed:
            self._absorb(c, lease.key, append.absorbed)
        if _snapshot(append.head) != _snapshot(lease.head):
            _drop_snapshots(c, lease.key, _snapshot(append.head))
        if wake is not None:
            put_wake(c, wake)
        return mark

    def _advance(self, c: Connection, lease: Lease, append: Append, row: tuple[Any, ...], standing: Mark) -> Mark:
        """Set the head, if the lease, the seq and the mark are still as expected."""
        left = None if append.inbox_read and standing == lease.mark else standing
        old, new = standing or (None, None), left or (None, None)
        held = (not append.release, self._clock.monotonic())
        precondition = (lease.key, lease.epoch, append.commit.first_seq - 1)
        stays = append.head.status == lease.head.status == "running"
        sql, values = (_APPEND_RUNNING, row[:-1]) if stays else (_APPEND_STATUS, row)
        if c.execute(sql, (*held, *new, *values, *precondition, *old)).rowcount:
            return left
        return self._advance(c, lease, append, row, self._other_mark(c, lease, append, standing))

    def _other_mark(self, c: Connection, lease: Lease, append: Append, standing: Mark) -> Mark:
        """The mark that a visitor has set meanwhile, where that is why the append did not apply."""
        sql = "SELECT epoch, held, seq, mark_epoch, mark_seq FROM sessions WHERE key = ?"
        row = c.execute(sql, (lease.key,)).fetchone()
        if row is None or row[:3] != (lease.epoch, 1, append.commit.first_seq - 1) or _mark(row[3], row[4]) == standing:
            raise self._lost(c, lease)
        return _mark(row[3], row[4])

    def _absorb(self, c: Connection, key: str, absorbed: Sequence[str]) -> None:
        now = self._now_ms()
        c.executemany(
            f"UPDATE inbox SET pending = 0, expires_ms = ?, {_WITHOUT_BODY} WHERE key = ? AND id = ? AND pending",
            [(now + KEPT_MS, key, id) for id in absorbed],
        )
        expired = "SELECT rowid FROM inbox WHERE expires_ms IS NOT NULL AND expires_ms <= ? LIMIT ?"
        c.execute(f"DELETE FROM inbox WHERE rowid IN ({expired})", (now, FORGOTTEN_AT_ONCE))

    def erase(self, c: Connection, lease: Lease, commit: Commit, doc: str) -> None:
        holding = "SELECT 1 FROM sessions WHERE key = ? AND epoch = ? AND held"
        if not c.execute(holding, (lease.key, lease.epoch)).fetchone():
            raise self._lost(c, lease)
        where = (lease.key, commit.first_seq)
        row = c.execute("SELECT doc FROM commits WHERE key = ? AND first_seq = ?", where).fetchone()
        if row is None or _identity(Commit.from_json(row[0])) != _identity(commit):
            raise CorruptLog(
                f"session {lease.head.id}: erasing keeps the hash of a commit; at event {where[1]} it differs"
            )
        c.execute("UPDATE commits SET doc = ? WHERE key = ? AND first_seq = ?", (doc, *where))
        # releases before this one kept the bodies of absorbed signals
        c.execute(f"UPDATE inbox SET {_WITHOUT_BODY} WHERE key = ? AND NOT pending", (lease.key,))
        self._scrub()

    def delete(self, c: Connection, lease: Lease, row: tuple[Any, ...]) -> None:
        """Put the tombstone in the session's place; what it said is overwritten in the file too."""
        if not c.execute(_TOMBSTONE, (*row, lease.key, lease.epoch, *row[1:3])).rowcount:
            raise self._lost(c, lease)
        for table in _OF_A_SESSION:
            c.execute(f"DELETE FROM {table} WHERE key = ?", (lease.key,))
        self._scrub()

    # --- the inbox -----------------------------------------------------------------------------------------------

    def file(self, c: Connection, key: str, signal: Signal, wake: WakeRow) -> Signal:
        insert = "INSERT INTO inbox (key, id, filed_ms, pending, digest, doc) VALUES (?, ?, ?, 1, ?, ?)"
        values = (key, signal.id, self._now_ms(), signal.digest, signal_doc(signal))
        c.execute(f"{insert} ON CONFLICT DO NOTHING", values)
        filed_ms, digest = c.execute(
            "SELECT filed_ms, digest FROM inbox WHERE key = ? AND id = ?", (key, signal.id)
        ).fetchone()
        if digest != signal.digest:
            raise Refused("signal refused", "signal_reused", "the same key was used for a signal with other content")
        put_wake(c, wake)
        return replace(signal, filed_at=from_ms(filed_ms))

    def pending(self, c: Connection, key: str, limit: int) -> Inbox:
        """Read where filing is done, so that whatever was filed before this read's time is in it."""
        now = self._clock.now()
        sql = "SELECT id, filed_ms, doc FROM inbox WHERE key = ? AND pending ORDER BY filed_ms, id LIMIT ?"
        rows = c.execute(sql, (key, limit + 1)).fetchall()
        found = tuple(signal_from(*row) for row in rows[:limit])
        return Inbox(found, now.replace(microsecond=now.microsecond // 1000 * 1000), more=len(rows) > limit)

    def refuse(self, c: Connection, key: str, signals: Sequence[str], reason: str) -> None:
        expires = self._now_ms() + KEPT_MS
        c.executemany(
            f"""UPDATE inbox SET pending = 0, expires_ms = ?, refused = ?, {_WITHOUT_BODY}
                WHERE key = ? AND id = ? AND pending""",
            [(expires, reason, key, id) for id in signals],
        )

    # --- reads ---------------------------------------------------------------------------------------------------

    def read(self, c: Connection, key: str) -> Head | None:
        row = c.execute(f"SELECT {HEAD} FROM sessions WHERE key = ?", (key,)).fetchone()
        return head_from(row) if row else None

    def version(self, c: Connection, key: str) -> tuple[Version, int] | None:
        """Which document of a head there is, and up to where it is published."""
        row = c.execute("SELECT hash, settled, published FROM sessions WHERE key = ?", (key,)).fetchone()
        return ((row[0], row[1]), row[2]) if row else None

    def commits(self, c: Connection, key: str, after: int, limit: int | None) -> list[Commit]:
        rows = c.execute(
            """SELECT doc FROM commits WHERE key = :key AND last_seq > :after AND first_seq >= coalesce(
                   (SELECT max(first_seq) FROM commits WHERE key = :key AND first_seq <= :after), 0)
               ORDER BY first_seq LIMIT :limit""",
            {"key": key, "after": after, "limit": -1 if limit is None else limit},
        )
        return [Commit.from_json(doc) for (doc,) in rows.fetchall()]

    def overdue(self, c: Connection, limit: int) -> Sequence[str]:
        """Sessions that nobody holds and that somebody should have looked at."""
        columns = "key, held, owner, boot, renewed"
        rows = c.execute(
            f"""SELECT {columns} FROM sessions WHERE wake_ms <= :now AND status <> 'running'
                UNION ALL SELECT {columns} FROM sessions WHERE wake_ms <= :now AND status = 'running'
                UNION ALL SELECT {columns} FROM (SELECT DISTINCT key FROM inbox WHERE pending)
                LEFT JOIN sessions USING (key)""",
            {"now": self._now_ms()},
        )
        free: dict[str, None] = {}
        for key, held, owner, boot, renewed in rows:
            if not (held and self.age(boot, renewed) < self._ttl and not self._holders.is_dead(owner)):
                free[key] = None
            if len(free) == limit:
                break
        rows.close()
        return tuple(free)


def _mark(epoch: int | None, seq: int | None) -> Mark:
    return None if epoch is None or seq is None else (epoch, seq)


def _identity(commit: Commit) -> tuple[str, int, int]:
    return commit.hash, commit.first_seq, commit.last_seq


def _put_commit(c: Connection, key: str, commit: Commit, doc: str) -> None:
    c.execute("INSERT INTO commits VALUES (?, ?, ?, ?)", (key, commit.first_seq, commit.last_seq, doc))


def _snapshot(head: Head) -> str | None:
    return head.fold.snapshot if head.fold else None


def _drop_snapshots(c: Connection, key: str, current: str | None) -> None:
    """Keep the newest two: somebody may just be reading the one before."""
    c.execute(
        """DELETE FROM blobs WHERE key = :key AND name GLOB 'snapshots/*' AND name IS NOT :current AND id NOT IN
           (SELECT id FROM blobs WHERE key = :key AND name GLOB 'snapshots/*' ORDER BY id DESC LIMIT 2)""",
        {"key": key, "current": current},
    )


def put_blob(c: Connection, key: str, name: str, text: str) -> None:
    c.execute("INSERT INTO blobs (key, name, text) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (key, name, text))


def get_blob(c: Connection, key: str, name: str) -> str | None:
    row = c.execute("SELECT text FROM blobs WHERE key = ? AND name = ?", (key, name)).fetchone()
    return row[0] if row else None


def delete_blobs(c: Connection, key: str, prefix: str, keep: str | None) -> None:
    c.execute(
        "DELETE FROM blobs WHERE key = ? AND substr(name, 1, ?) = ? AND name IS NOT ?", (key, len(prefix), prefix, keep)
    )
