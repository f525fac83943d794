"""Where sessions live while processes come and go: memory, one SQLite file that each process opens for itself, and
Firestore, to which each process has a store of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from onward.adapters.local.memory import Delivery, MemoryBackend, MemoryQueue
from onward.adapters.local.sqlite import SqliteBackend
from onward.core.lease import TTL
from onward.testing.runner import AutoClock
from tests.contract.firestore import FirestoreBackend, ServerTime, Shaped, a_client


class _Queue(MemoryQueue):
    """Something that was redelivered meanwhile is not put back: it is on its way."""

    async def put_back(self, delivery: Delivery, delay: float = 0.0) -> None:
        if delivery.receipt in self._taken:
            await super().put_back(delivery, delay)


class Memory:
    """Knows no process and outlives all. What was taken and not acknowledged comes again."""

    embedded = False
    certain: frozenset[str] = frozenset()

    def __init__(self, clock: AutoClock, ttl: float = TTL) -> None:
        self._backend = MemoryBackend(clock, ttl)
        self._backend.queue = _Queue(clock)

    def open(self, clock: Any = None) -> Any:
        """The backend, as a new process sees it, which may have a clock of its own; that makes a difference only where
        the store has one too."""
        return self._backend

    def crash(self, backend: Any) -> None:
        """The process that had this one is dead."""

    async def leave(self, backend: Any) -> None:
        """The process that had this one takes nothing more."""

    def redeliver(self) -> None:
        """What was taken and not acknowledged comes again."""
        self._backend.queue.redeliver()

    async def close(self) -> None:
        """The end of this world."""


class Sqlite:
    """One file. Whether the dead are known to be dead is `known`; else only their leases' end tells."""

    embedded = True
    certain = frozenset({"queue.done", "queue.put_back", "feed.publish"})
    """Calls that can't fail there: nobody waits for them, or there is nothing to do."""

    def __init__(self, path: Path, clock: AutoClock, known: bool = True) -> None:
        self._path = path
        self._clock = clock
        self._known = known
        self._open: list[SqliteBackend] = []

    def open(self, clock: Any = None) -> SqliteBackend:
        self._open.append(SqliteBackend.open(self._path, self._clock))
        return self._open[-1]

    def crash(self, backend: SqliteBackend) -> None:
        if self._known:
            backend.database.holders.abandon()

    async def leave(self, backend: SqliteBackend) -> None:
        await backend.queue.close()

    def redeliver(self) -> None:
        """Wakes are rows, and come by themselves when their taker is dead."""

    async def close(self) -> None:
        for backend in self._open:
            await backend.close()


class Firestore:
    """A project of an emulator. Messages and the feed are of other services: they are in memory, for all; and so are
    blobs, but for those that are given."""

    embedded = False
    certain: frozenset[str] = frozenset()

    def __init__(self, host: str, clock: AutoClock, blobs: Any = None) -> None:
        self._clock = clock
        self._blobs = blobs
        self.bare = a_client(host)
        self.client = ServerTime(Shaped(self.bare), clock)
        self._others = MemoryBackend(clock)
        self._others.queue = _Queue(clock)
        self._others.blobs = blobs or self._others.blobs

    def open(self, clock: Any = None) -> FirestoreBackend:
        backend = FirestoreBackend(self.client, clock or self._clock)
        backend.queue, backend.blobs, backend.feed = self._others.queue, self._others.blobs, self._others.feed
        return backend

    def crash(self, backend: Any) -> None:
        """What the process knew of heads is gone with it."""

    async def leave(self, backend: Any) -> None:
        """The process that had this one takes nothing more."""

    def redeliver(self) -> None:
        """What was taken and not acknowledged comes again."""
        self._others.queue.redeliver()

    async def close(self) -> None:
        await self.client.close()
        if self._blobs is not None:
            await self._blobs.close()
