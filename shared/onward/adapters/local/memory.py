"""Everything in memory: the reference of every port, and what tests run on.

It behaves as the cloud does: wakes and timers are messages of their own, sent after the commit, at least once.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import get_args

from onward.adapters.local.memory_queue import Delivery as Delivery
from onward.adapters.local.memory_queue import MemoryQueue as MemoryQueue
from onward.core.codec import FORMAT
from onward.core.events import Actor, Event
from onward.core.head import UNCLAIMED, Head, Status, WaitKind, label_text
from onward.core.incarnation import Restored, Restores
from onward.core.lease import TTL, Busy, Later, LeaseFields, judge
from onward.core.log import Commit, missing
from onward.core.signals import Signal
from onward.core.sweeps import Sweepings, Swept
from onward.core.switches import Switch, Turn
from onward.errors import CorruptLog, LeaseLost, Refused
from onward.ports import (
    RESTS,
    Append,
    Appended,
    Clock,
    Cursor,
    Diagnosis,
    Inbox,
    Lease,
    Query,
    Wake,
    cursor,
    not_imported,
)


def milliseconds(at: datetime) -> datetime:
    """The time as stores keep it."""
    return at.astimezone(UTC).replace(microsecond=at.microsecond // 1000 * 1000)


@dataclass(slots=True)
class _Row:
    """A head with its lease, its log and its inbox."""

    head: Head
    commits: list[Commit]
    epoch: int = 0
    owner: str = ""
    held: bool = False
    renewed: float = 0.0
    settled: int = 0
    mark: tuple[int, int] | None = None
    dead: bool = False


@dataclass(slots=True)
class _Box:
    """An inbox. Of a signal that is no longer pending the digest is kept, which a repeat is compared by, and no body:
    it could not be erased here."""

    signals: dict[str, Signal] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    pending: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)

    def settle(self, ids: Sequence[str]) -> None:
        """These were absorbed, or refused for good."""
        for id in self.pending.intersection(ids):
            self.signals[id] = replace(self.signals[id], body={})
        self.pending.difference_update(ids)


class MemoryStore:
    """The SessionStore port over dictionaries; an await is never inside a change, so each method is atomic."""

    embedded = False

    def __init__(self, clock: Clock, ttl: float = TTL, reads: int = FORMAT) -> None:
        self._clock = clock
        self._ttl = ttl
        self._reads = reads
        self._rows: dict[str, _Row] = {}
        self._inbox: dict[str, _Box] = defaultdict(_Box)

    def _now(self) -> datetime:
        return milliseconds(self._clock.now())

    async def create(self, head: Head, commit: Commit, wake: Wake | None) -> Head | None:
        if head.key in self._rows:
            return self._rows[head.key].head
        self._rows[head.key] = _Row(head, [commit])
        return None

    async def fill(self, key: str, commits: Sequence[Commit]) -> None:
        row = self._rows.get(key)
        if row is None or row.head.status != "imported":
            raise not_imported(row.head.status if row else None)
        there = {commit.first_seq: commit for commit in row.commits}
        new = missing(there, commits)
        row.commits = sorted([*row.commits, *new], key=lambda commit: commit.first_seq)

    async def read(self, key: str) -> Head | None:
        row = self._rows.get(key)
        return row.head if row else None

    async def claim(self, key: str, owner: str, published: int = 0) -> Lease | Busy | Later | None:
        row, sent = self._rows.get(key), self._clock.monotonic()
        if row is None or row.head.status in UNCLAIMED:
            return None
        if row.held and row.owner == owner:
            return self._lease(row, sent, 0)
        verdict = judge(self._fields(row), self._ttl, self._reads)
        if isinstance(verdict, Busy | Later):
            return verdict
        row.epoch, row.owner, row.held, row.renewed, row.dead = verdict.epoch, owner, True, sent, False
        published = min(published, row.head.seq)
        if published > row.head.published:
            row.head = replace(row.head, published=published)
        return self._lease(row, sent, verdict.stalls)

    def _lease(self, row: _Row, sent: float, stalls: int) -> Lease:
        return Lease(row.head.key, row.epoch, row.owner, row.head, self._now(), sent, stalls, row.mark)

    def _fields(self, row: _Row) -> LeaseFields:
        age = self._clock.monotonic() - row.renewed
        return LeaseFields(row.epoch, row.held, age, row.settled, row.mark, row.head.seq, row.head.format, row.dead)

    def abandon(self) -> None:
        """Whoever holds a lease is dead, and that is known: it may be claimed at once."""
        for row in self._rows.values():
            row.dead = row.held

    def _held(self, lease: Lease) -> _Row:
        row = self._rows[lease.key]
        if not row.held or row.epoch != lease.epoch:
            raise LeaseLost(f"session {row.head.id}: the lease of epoch {lease.epoch} is gone; it is at {row.epoch}")
        return row

    async def renew(self, lease: Lease) -> Lease:
        row, sent = self._held(lease), self._clock.monotonic()
        row.renewed = sent
        return replace(lease, confirmed=sent)

    async def mark(self, key: str, epoch: int, seq: int) -> bool:
        row = self._rows[key]
        if not row.held or (row.epoch, row.head.seq) != (epoch, seq):
            return False
        row.mark = (epoch, seq)
        return True

    async def append(self, lease: Lease, append: Append) -> Appended:
        row, sent = self._held(lease), self._clock.monotonic()
        if append.commit.first_seq != row.head.seq + 1:
            raise LeaseLost(
                f"session {row.head.id} is at event {row.head.seq}; the append was for {append.commit.first_seq}"
            )
        row.commits.append(append.commit)
        row.head, row.settled, row.renewed, row.held = append.head, row.epoch, sent, not append.release
        if append.inbox_read and row.mark == lease.mark:
            row.mark = None
        self._inbox[lease.key].settle(append.absorbed)
        return Appended(replace(lease, head=append.head, confirmed=sent, stalls=0, mark=row.mark), row.mark)

    async def release(self, lease: Lease, head: Head | None = None) -> tuple[int, int] | None:
        row = self._rows[lease.key]
        if row.epoch == lease.epoch and row.held:
            row.held, row.settled, row.head = False, row.epoch, head or row.head
        return row.mark

    async def commits(self, key: str, after: int = 0, limit: int | None = None) -> Sequence[Commit]:
        row = self._rows.get(key)
        found = [commit for commit in (row.commits if row else []) if commit.last_seq > after]
        return found[:limit]

    async def erase(self, lease: Lease, commit: Commit) -> None:
        row = self._held(lease)
        at = next(index for index, old in enumerate(row.commits) if old.first_seq == commit.first_seq)
        if row.commits[at].hash != commit.hash:
            raise CorruptLog("erasing keeps a commit's hash; this one differs")
        row.commits[at] = commit

    async def delete(self, lease: Lease, tombstone: Head) -> None:
        row = self._rows[lease.key]
        row = row if row.head.status == "imported" else self._held(lease)
        if (row.head.seq, row.head.hash) != (tombstone.seq, tombstone.hash):
            raise LeaseLost(
                f"session {row.head.id} is at event {row.head.seq}; event {tombstone.seq} was to be deleted"
            )
        self._rows[lease.key] = _Row(tombstone, [], epoch=row.epoch, settled=row.epoch)
        self._inbox.pop(lease.key, None)

    async def clear(self, key: str) -> None:
        """Nothing is ever left over."""

    async def file(self, key: str, signal: Signal) -> Signal:
        box = self._inbox[key]
        known = box.signals.get(signal.id)
        if known is None:
            known = box.signals[signal.id] = replace(signal, filed_at=self._now())
            box.digests[signal.id] = signal.digest
            box.pending.add(signal.id)
        if box.digests[signal.id] != signal.digest:
            raise Refused("signal refused", "signal_reused", "the same key was used for a signal with other content")
        return replace(signal, filed_at=known.filed_at)

    async def pending(self, key: str, limit: int = 100) -> Inbox:
        box = self._inbox[key]
        found = sorted((box.signals[id] for id in box.pending), key=lambda signal: (signal.filed_at, signal.id))
        return Inbox(tuple(found[:limit]), self._now(), more=len(found) > limit)

    async def refuse(self, key: str, signals: Sequence[str], reason: str) -> None:
        box = self._inbox[key]
        box.settle(signals)
        box.refused.update(dict.fromkeys(signals, reason))

    async def list(self, query: Query) -> Sequence[Head]:
        found = [row.head for row in self._rows.values() if _matches(row.head, query)]
        return sorted(found, key=cursor, reverse=not query.oldest)[: query.limit]

    async def census(self) -> Mapping[WaitKind | Status, int]:
        heads = [row.head for row in self._rows.values()]
        waits: dict[WaitKind | Status, int] = {
            kind: sum(any(wait.kind == kind for wait in head.waits) for head in heads) for kind in get_args(WaitKind)
        }
        return waits | {status: sum(head.status == status for head in heads) for status in RESTS}

    async def overdue(self, limit: int = 100) -> Sequence[str]:
        now = self._now()
        held = {key for key, row in self._rows.items() if row.held and self._fields(row).age < self._ttl}
        due = [key for key, row in self._rows.items() if row.head.wake_at is not None and row.head.wake_at <= now]
        called = [key for key, box in self._inbox.items() if box.pending]
        return [key for key in dict.fromkeys(due + called) if key not in held][:limit]

    async def close(self) -> None:
        return None


def _matches(head: Head, query: Query) -> bool:
    return (
        query.tenant in (None, head.tenant)
        and query.program in (None, head.program)
        and query.version in (None, head.version)
        and query.parent in (None, head.parent)
        and query.family in (None, head.family)
        and (head.status in query.status if query.status else head.status != "deleted")
        and (query.wait is None or any(wait.kind == query.wait for wait in head.waits))
        and set(query.labels) <= {(name, label_text(value)) for name, value in head.labels}
        and _within(head.updated_at, query.updated_since, query.updated_before)
        and _within(head.created_at, query.created_since, query.created_before)
        and (query.after is None or _is_behind(cursor(head), query))
    )


def _is_behind(place: Cursor, query: Query) -> bool:
    assert query.after is not None
    return place > query.after if query.oldest else place < query.after


def _within(at: datetime, since: datetime | None, before: datetime | None) -> bool:
    return (since is None or at >= since) and (before is None or at < before)


class MemoryBlobs:
    """The Blobs port."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str], str] = {}

    async def put(self, key: str, name: str, text: str) -> None:
        self._values.setdefault((key, name), text)

    async def get(self, key: str, name: str) -> str | None:
        return self._values.get((key, name))

    async def forget(self, key: str, prefix: str, keep: str | None = None) -> None:
        for name in [name for owner, name in self._values if owner == key and name.startswith(prefix) and name != keep]:
            del self._values[key, name]


class MemorySwitches:
    """The Switches port."""

    def __init__(self) -> None:
        self._turns: list[Turn] = []

    async def read(self) -> Sequence[Switch]:
        last = {turn.switch.scope: turn for turn in self._turns}
        return [turn.switch for _, turn in sorted(last.items()) if turn.off]

    async def turn(self, switch: Switch, off: bool) -> bool:
        if off == any(there.scope == switch.scope for there in await self.read()):
            return False
        self._turns.append(Turn(switch=switch, off=off))
        return True

    async def history(self, limit: int = 100) -> Sequence[Turn]:
        return self._turns[::-1][:limit]


class MemoryIncarnations:
    """The Incarnations port."""

    def __init__(self) -> None:
        self._restores = Restores()

    async def read(self) -> Restores:
        return self._restores

    async def record(self, by: Actor, reason: str, at: datetime) -> Restored:
        self._restores = self._restores.after(by, reason, milliseconds(at))
        return self._restores.newest[0]


class MemoryFeed:
    """The Feed port: keeps what was published, repeats and all, for whoever asks."""

    def __init__(self) -> None:
        self.published: list[tuple[str, int]] = []

    async def publish(self, head: Head, events: Sequence[Event]) -> None:
        self.published.extend((head.key, event.seq) for event in events)


class MemorySweeps:
    """The Sweeps port."""

    def __init__(self) -> None:
        self._kept = Sweepings()

    async def record(self, swept: Swept) -> None:
        self._kept = self._kept.after(swept.model_copy(update={"at": milliseconds(swept.at)}))

    async def read(self) -> Sweepings:
        return self._kept


class MemoryBackend:
    """One world in memory."""

    def __init__(self, clock: Clock, ttl: float = TTL) -> None:
        self.store = MemoryStore(clock, ttl)
        self.blobs = MemoryBlobs()
        self.queue = MemoryQueue(clock)
        self.switches = MemorySwitches()
        self.incarnations = MemoryIncarnations()
        self.sweeps = MemorySweeps()
        self.feed = MemoryFeed()
        self.secret = b"memory"

    async def wait_for(self, key: str, test: Callable[[Head], bool], timeout: float) -> Head | None:
        """The session's head once it passes the test; None where `timeout` seconds pass without."""
        for _ in range(max(1, int(timeout * 100))):
            head = await self.store.read(key)
            if head is not None and test(head):
                return head
            await asyncio.sleep(0.01)
        return None

    async def wait_for_commit(self, key: str, after_seq: int, timeout: float) -> bool:
        """Whether the session goes past this seq within `timeout` seconds."""
        return await self.wait_for(key, lambda head: head.seq > after_seq, timeout) is not None

    async def diagnose(self) -> Diagnosis:
        """Nothing here can go wrong by itself."""
        return Diagnosis()

    async def close(self) -> None:
        return None
