"""The local worker: takes wakes from the embedded queue and hands each to the engine, many at once; and, apart from
them, errands."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from onward.core.retry import Retry
from onward.errors import OnwardError, Retryable
from onward.ports import Errand, Wake

AGAIN = Retry(first=0.2, longest=30.0)
"""How soon a wake that failed comes again."""

log = logging.getLogger("onward.worker")


class Deliveries(Protocol):
    """The taking side of an embedded queue. What was taken and not `done` comes again when its taker is gone."""

    async def take(self, limit: int = 1) -> Sequence[Any]: ...
    async def done(self, delivery: Any) -> None: ...
    async def put_back(self, delivery: Any, delay: float = 0.0) -> None: ...
    async def wait(self, timeout: float | None) -> None: ...


class Worker:
    """Runs until `stop`. To return from `handle` acknowledges a wake; what it raises brings the wake back."""

    def __init__(self, queue: Deliveries, handle: Callable[[Wake], Awaitable[None]], concurrency: int = 64) -> None:
        self._queue = queue
        self._handle = handle
        self._concurrency = concurrency
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures: dict[str, int] = {}
        self._stopping = False
        self._waiting: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Take and hand over until stopped; then wait for what is under way."""
        while not self._stopping:
            free = self._concurrency - len(self._tasks)
            deliveries = await self._queue.take(free) if free else []
            for delivery in deliveries:
                task = asyncio.create_task(self._one(delivery))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            if not deliveries:
                await self._idle(free)
        if self._tasks:
            await asyncio.wait(self._tasks)

    def stop(self) -> None:
        """Take nothing new. `run` returns once what is under way is done."""
        self._stopping = True
        if self._waiting is not None:
            self._waiting.cancel()

    async def _idle(self, free: int) -> None:
        """Wait for news, or for room."""
        self._waiting = asyncio.create_task(self._queue.wait(None))
        if free:
            await asyncio.wait({self._waiting})
        else:
            await asyncio.wait({*self._tasks}, return_when=asyncio.FIRST_COMPLETED)
            self._waiting.cancel()
            await asyncio.wait({self._waiting})
        self._waiting = None

    async def _one(self, delivery: Any) -> None:
        key = delivery.wake.key
        try:
            await self._handle(delivery.wake)
        except Exception as exc:
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            known = isinstance(exc, Retryable)
            log.log(
                logging.WARNING if known else logging.ERROR,
                "wake comes again: %s",
                exc,
                exc_info=not known,
                extra={"action": "wake_failed", "key": key, "failures": failures},
            )
            await self._queue.put_back(delivery, AGAIN.after(failures))
        else:
            self._failures.pop(key, None)
            await self._queue.done(delivery)


class Errands(Protocol):
    """The taking side of errands. What was taken and not `done_errand` comes again after a while."""

    async def take_errands(self, limit: int = 1) -> Sequence[Errand]: ...
    async def done_errand(self, errand: Errand) -> None: ...
    async def wait_for_errands(self) -> None: ...


class Courier:
    """Runs errands until it is cancelled, a few at once: one that has to wait holds up no session, and few others. One
    that `run` raises for comes again, and so does one that was under way."""

    def __init__(self, queue: Errands, run: Callable[[Errand], Awaitable[None]], concurrency: int = 16) -> None:
        self._queue = queue
        self._run = run
        self._concurrency = concurrency

    async def run(self) -> None:
        """Take and run, for ever."""
        async with asyncio.TaskGroup() as group:
            free = asyncio.Semaphore(self._concurrency)
            while True:
                await free.acquire()
                taken = await self._taken()
                for errand in taken:
                    group.create_task(self._one(errand)).add_done_callback(lambda _: free.release())
                if not taken:
                    free.release()
                    await self._queue.wait_for_errands()

    async def _taken(self) -> Sequence[Errand]:
        """One, if one is due. A database that can't be read for a while is no reason to end."""
        try:
            return await self._queue.take_errands(1)
        except OnwardError as exc:
            _failed("errands are looked for again", exc)
            await asyncio.sleep(AGAIN.first)
            return ()

    async def _one(self, errand: Errand) -> None:
        try:
            await self._run(errand)
            await self._queue.done_errand(errand)
        except Exception as exc:
            _failed("errand comes again", exc, key=errand.key, seq=errand.seq)


def _failed(what: str, exc: Exception, **which: Any) -> None:
    known = isinstance(exc, Retryable)
    level = logging.WARNING if known else logging.ERROR
    log.log(level, "%s: %s", what, exc, exc_info=not known, extra={"action": "errand_failed", **which})
