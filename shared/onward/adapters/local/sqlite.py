"""The embedded default: log, inbox, blobs, wakes and timers in one SQLite file (design, section 8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from sqlite3 import Connection
from typing import TypeVar

from onward.adapters.local.database import Database
from onward.adapters.local.diagnosis import diagnose
from onward.adapters.local.following import Followers
from onward.adapters.local.incarnations import SqliteIncarnations
from onward.adapters.local.lists import census, heads
from onward.adapters.local.queue import SqliteQueue
from onward.adapters.local.rows import from_ms, head_row
from onward.adapters.local.sweeps import SqliteSweeps
from onward.adapters.local.switchboard import SqliteSwitches
from onward.adapters.local.transactions import Claimed, Transactions, Version, delete_blobs, get_blob, put_blob
from onward.adapters.local.wakes import WakeRow
from onward.core.events import Event
from onward.core.head import Head, Status, WaitKind
from onward.core.lease import TTL, Busy, Later
from onward.core.log import Commit
from onward.core.signals import Signal
from onward.errors import Ambiguous
from onward.ports import Append, Appended, Clock, Diagnosis, Inbox, Lease, Query, Wake

T = TypeVar("T")

LOOK_AT_HOLDER = 2.0
"""Seconds until a visitor is to look again: the file lock may show by then that the holder is dead."""

HEADS_KEPT = 256
"""Heads of sessions on the move, kept so that their claims need no parsing."""


FILLED_AT_ONCE = 100
"""Commits of an import that are written in one transaction, so that others are not kept waiting."""


@dataclass(frozen=True, slots=True)
class Known:
    """A head as this process wrote it, and the epoch it was settled in."""

    head: Head
    settled: int

    @property
    def version(self) -> Version:
        return self.head.hash, self.settled


class SqliteStore:
    """The SessionStore port. Documents are made and read on the caller's thread, not while the file is locked."""

    embedded = True

    def __init__(self, database: Database, queue: SqliteQueue, followers: Followers) -> None:
        self._database = database
        self._clock = database.clock
        self._do = Transactions(database)
        self._queue = queue
        self._followers = followers
        self._heads: dict[str, Known] = {}

    # --- the lease -----------------------------------------------------------------------------------------------

    async def claim(self, key: str, owner: str, published: int = 0) -> Lease | Busy | Later | None:
        sent, known = self._clock.monotonic(), self._heads.get(key)
        version = known.version if known else None
        claim = partial(self._do.claim, key=key, owner=owner, published=published, known=version)
        claimed = await self._database.write(claim, durable=False, quick=True)
        if isinstance(claimed, Busy):
            return replace(claimed, wait=min(claimed.wait, LOOK_AT_HOLDER))
        if not isinstance(claimed, Claimed):
            return claimed
        head = claimed.head or (known.head if known else None)
        assert head is not None
        head = _published(head, claimed.published)
        return Lease(key, claimed.epoch, owner, head, from_ms(claimed.now_ms), sent, claimed.stalls, claimed.mark)

    async def renew(self, lease: Lease) -> Lease:
        sent = self._clock.monotonic()
        await self._database.write(partial(self._do.renew, lease=lease), durable=False, quick=True)
        return replace(lease, confirmed=sent)

    async def mark(self, key: str, epoch: int, seq: int) -> bool:
        return await self._database.write(
            partial(self._do.mark, key=key, epoch=epoch, seq=seq), durable=False, quick=True
        )

    async def release(self, lease: Lease, head: Head | None = None) -> tuple[int, int] | None:
        self._heads.pop(lease.key, None)
        work = partial(self._do.release, lease=lease, row=head_row(head) if head else None)
        there, mark = await self._database.write(work, durable=False, quick=True)
        if there and head is not None:
            self._followers.moved(head)
        return mark

    # --- the log -------------------------------------------------------------------------------------------------

    async def create(self, head: Head, commit: Commit, wake: Wake | None) -> Head | None:
        doc, row, wake_row = commit.to_json(), head_row(head), self._queue.row(wake) if wake else None
        create = partial(self._do.create, head=head, row=row, commit=commit, doc=doc, wake=wake_row)

        def after(there: Head | None) -> None:
            if there is None:
                self._committed(Known(head, commit.epoch), wake_row)

        return await self._write(create, len(doc), after)

    async def fill(self, key: str, commits: Sequence[Commit]) -> None:
        for at in range(0, len(commits), FILLED_AT_ONCE):
            part = [(commit, commit.to_json()) for commit in commits[at : at + FILLED_AT_ONCE]]
            size = sum(len(doc) for _, doc in part)
            await self._database.write(partial(self._do.fill, key=key, part=part), durable=True, size=size)

    async def append(self, lease: Lease, append: Append) -> Appended:
        sent, head = self._clock.monotonic(), append.head
        doc, row = append.commit.to_json(), head_row(head)
        wake = self._queue.row(append.wake) if append.wake else None
        work = partial(self._do.append, lease=lease, append=append, row=row, doc=doc, wake=wake)
        mark = await self._write(work, len(doc) + 4096, lambda _: self._committed(Known(head, lease.epoch), wake))
        return Appended(Lease(lease.key, lease.epoch, lease.owner, head, lease.now, sent, 0, mark), mark)

    def _committed(self, known: Known, wake: WakeRow | None) -> None:
        """Tell this process's own followers and queue; keep the head while the session is on the move."""
        key = known.head.key
        self._heads.pop(key, None)
        if known.head.status == "running":
            self._heads[key] = known
            if len(self._heads) > HEADS_KEPT:
                self._heads.pop(next(iter(self._heads)))
        if wake is not None:
            self._queue.recorded(wake)
        self._followers.moved(known.head)

    async def _write(self, work: Callable[[Connection], T], size: int, after: Callable[[T], None]) -> T:
        try:
            return await self._database.write(work, durable=True, size=size, after=after)
        except Ambiguous:
            self._queue.in_doubt()
            raise

    async def commits(self, key: str, after: int = 0, limit: int | None = None) -> Sequence[Commit]:
        return await self._database.read(lambda c: self._do.commits(c, key, after, limit))

    async def erase(self, lease: Lease, commit: Commit) -> None:
        doc = commit.to_json()
        await self._database.write(lambda c: self._do.erase(c, lease, commit, doc), durable=True)

    async def delete(self, lease: Lease, tombstone: Head) -> None:
        row = head_row(tombstone)
        await self._database.write(lambda c: self._do.delete(c, lease, row), durable=True)
        self._heads.pop(lease.key, None)
        self._followers.moved(tombstone)

    async def clear(self, key: str) -> None:
        """Nothing is ever left over: a deletion is one transaction."""

    # --- the inbox -----------------------------------------------------------------------------------------------

    async def file(self, key: str, signal: Signal) -> Signal:
        wake = self._queue.row(Wake(key, look=True))
        file = partial(self._do.file, key=key, signal=signal, wake=wake)
        return await self._write(file, 4096, lambda _: self._queue.recorded(wake))

    async def pending(self, key: str, limit: int = 100) -> Inbox:
        return await self._database.write(lambda c: self._do.pending(c, key, limit), durable=False, quick=True)

    async def refuse(self, key: str, signals: Sequence[str], reason: str) -> None:
        await self._database.write(lambda c: self._do.refuse(c, key, signals, reason), durable=True)

    # --- reads ---------------------------------------------------------------------------------------------------

    async def read(self, key: str) -> Head | None:
        known = self._heads.get(key)
        if known is not None:
            found = await self._database.read(lambda c: self._do.version(c, key), quick=True)
            if found and found[0] == known.version:
                return _published(known.head, found[1])
        return await self._database.read(lambda c: self._do.read(c, key), quick=True)

    async def list(self, query: Query) -> Sequence[Head]:
        return await self._database.read(lambda c: heads(c, query))

    async def census(self) -> Mapping[WaitKind | Status, int]:
        return await self._database.read(census)

    async def overdue(self, limit: int = 100) -> Sequence[str]:
        return await self._database.read(lambda c: self._do.overdue(c, limit))

    async def close(self) -> None:
        """The database is closed by its backend."""


def _published(head: Head, seq: int) -> Head:
    return head if head.published == seq else replace(head, published=seq)


class SqliteBlobs:
    """The Blobs port. A put need not be synced: the append that refers to it is, and comes later in the same log."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, key: str, name: str, text: str) -> None:
        await self._database.write(lambda c: put_blob(c, key, name, text), durable=False, size=len(text))

    async def get(self, key: str, name: str) -> str | None:
        return await self._database.read(lambda c: get_blob(c, key, name))

    async def forget(self, key: str, prefix: str, keep: str | None = None) -> None:
        await self._database.write(lambda c: self._forget(c, key, prefix, keep), durable=True)

    def _forget(self, c: Connection, key: str, prefix: str, keep: str | None) -> None:
        delete_blobs(c, key, prefix, keep)
        self._database.scrub()


class LogIsTheFeed:
    """The Feed port where readers read the log itself: there is nothing to send."""

    async def publish(self, head: Head, events: Sequence[Event]) -> None:
        return None


class SqliteBackend:
    """One world in one file."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._followers = Followers(database)
        self.queue = SqliteQueue(database)
        self.store = SqliteStore(database, self.queue, self._followers)
        self.blobs = SqliteBlobs(database)
        self.switches = SqliteSwitches(database)
        self.incarnations = SqliteIncarnations(database)
        self.sweeps = SqliteSweeps(database)
        self.feed = LogIsTheFeed()

    @classmethod
    def open(cls, path: str | Path, clock: Clock, ttl: float = TTL, *, create: bool = True) -> SqliteBackend:
        """Open the file, and make it unless `create` is false. Raises as `Database.open` does."""
        return cls(Database.open(Path(path), clock, ttl=ttl, create=create))

    @property
    def secret(self) -> bytes:
        return self.database.secret

    @property
    def process(self) -> str:
        """The name of this process among all: an owner is `<process>:<anything>`."""
        return self.database.holders.id

    async def wait_for(self, key: str, test: Callable[[Head], bool], timeout: float) -> Head | None:
        """The session's head once it passes the test, which is pure; None where `timeout` seconds pass without."""
        return await self._followers.wait(key, test, timeout, partial(self.store.read, key))

    async def wait_for_commit(self, key: str, after_seq: int, timeout: float) -> bool:
        """Wait until the session has an event after this seq; false where `timeout` seconds pass without."""
        return await self.wait_for(key, lambda head: head.seq > after_seq, timeout) is not None

    async def diagnose(self) -> Diagnosis:
        """How the file is, who works on it, and what nobody has looked at in time."""
        return await diagnose(self.database)

    async def close(self) -> None:
        try:
            await self.queue.close()
        finally:
            self.database.close()
