"""What operators say in one place for all processes, as one process sees it: a few seconds old at most."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from onward.ports import Clock

T = TypeVar("T")

REFRESH = 5.0
"""Seconds for which what was read is taken for what is."""


class Seen(Generic[T]):
    """A view of something that is read again when it is older than REFRESH, by one asker for all, and by nobody while
    nobody asks.

    Raises StoreUnavailable where it can't be read: then nobody knows, and nothing may be started.
    """

    def __init__(self, read: Callable[[], Awaitable[T]], clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self._seen: tuple[T, float] | None = None
        self._reads = 0
        self._reading = asyncio.Lock()

    async def now(self, *, fresh: bool = False) -> T:
        """What is, as it was read a few seconds ago at most; `fresh`, no sooner than now."""
        reads = self._reads
        young = None if fresh else self._young()
        if young is not None:
            return young[0]
        async with self._reading:
            young = self._young()
            if young is not None and not (fresh and self._reads == reads):
                return young[0]  # somebody has read it meanwhile
            return await self._look()

    def _young(self) -> tuple[T, float] | None:
        old = self._seen is None or self._clock.monotonic() - self._seen[1] >= REFRESH
        return None if old else self._seen

    async def _look(self) -> T:
        self._reads += 1
        sent = self._clock.monotonic()
        seen = await self._read()
        self._seen = (seen, sent)
        return seen
