"""Time that passes only when a test says so."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from itertools import count

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


class ManualClock:
    """The Clock port, standing still until `advance`. Sleepers on any loop and thread wake when their time has come."""

    def __init__(self, start: datetime = START, monotonic: float = 1000.0) -> None:
        self._wall = start
        self._monotonic = monotonic
        self._sleepers: list[tuple[float, int, asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        self._order = count()
        self._changing = threading.Lock()

    def now(self) -> datetime:
        return self._wall

    def monotonic(self) -> float:
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        """Return once so much time was let pass; at once for nothing."""
        if seconds <= 0:
            return await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        woken = loop.create_future()
        with self._changing:
            heappush(self._sleepers, (self._monotonic + seconds, next(self._order), loop, woken))
        await woken

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        with self._changing:
            self._wall += timedelta(seconds=seconds)
            self._monotonic += seconds
            while self._sleepers and self._sleepers[0][0] <= self._monotonic:
                _, _, loop, woken = heappop(self._sleepers)
                with suppress(RuntimeError):  # its loop is closed
                    loop.call_soon_threadsafe(_wake, woken)

    def set_wall(self, to: datetime) -> None:
        """Set the wall clock, forward or back; monotonic time does not notice."""
        self._wall = to


def _wake(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)
