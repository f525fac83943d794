"""A thread for one connection: jobs come from any event loop, and are answered on the loop they came from."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from sqlite3 import Connection
from typing import Any, Generic, Protocol, TypeVar

from onward.errors import StoreUnavailable

T = TypeVar("T")
Work = Callable[[Connection], T]
After = Callable[[T], None]

TOGETHER = 256
"""Jobs served at once, at most: nobody waits for an endless batch."""


class Job(Generic[T]):
    """One piece of work. `after` is called on the loop once the work is committed, though nobody waits any more.

    `size` is roughly how many bytes it writes.
    """

    __slots__ = ("after", "durable", "error", "future", "loop", "result", "size", "work")

    def __init__(self, work: Work[T], durable: bool, size: int, after: After[T] | None) -> None:
        self.work = work
        self.durable = durable
        self.size = size
        self.after = after
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[T] = self.loop.create_future()
        self.result: Any = None
        self.error: Exception | None = None

    def resolve(self) -> None:
        if self.error is None and self.after is not None:
            self.after(self.result)
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


class Serve(Protocol):
    """Fills in each job's result or error. Where it may not wait for the file, it may do nothing and answer false."""

    def __call__(self, batch: Sequence[Job[Any]], may_wait: bool) -> bool: ...


class Lane:
    """One thread that serves jobs in the order they came, everything that waits at once.

    `idle` is called after each batch, and every `pace` seconds while a pace is set. A job that is quick, and has the
    lane for itself, is done on the caller's thread: to change threads and back costs more than the job.
    """

    def __init__(self, name: str, serve: Serve, idle: Callable[[], None]) -> None:
        self.pace: float | None = None
        self._quiet = True
        self._serving = threading.Lock()
        self._serve = serve
        self._idle = idle
        self._jobs: SimpleQueue[Job[Any] | None] = SimpleQueue()
        self._closed = False
        self._closing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(
        self, work: Work[T], *, durable: bool = False, quick: bool = False, size: int = 0, after: After[T] | None = None
    ) -> asyncio.Future[T]:
        """Hand in work. Raises StoreUnavailable once the lane is closed."""
        job = Job(work, durable, size, after)
        if quick and self._quiet and self._do_now(job):
            return job.future
        with self._closing:
            if self._closed:
                raise StoreUnavailable("the database is closed")
            self._jobs.put(job)
        return job.future

    def _do_now(self, job: Job[Any]) -> bool:
        if not self._jobs.empty() or not self._serving.acquire(blocking=False):
            return False
        try:
            if self._closed or not self._serve([job], may_wait=False):
                return False
        finally:
            self._serving.release()
        job.resolve()
        return True

    def nudge(self) -> None:
        """Have `idle` called soon, and a new pace noticed."""
        self._jobs.put(None)

    def close(self) -> None:
        """Serve what was handed in, then end the thread."""
        with self._closing:
            self._closed = True
        self.nudge()
        self._thread.join()
        with self._serving:  # what is being done on a caller's thread
            return

    def _run(self) -> None:
        while not (self._closed and self._jobs.empty()):
            batch = self._next()
            with self._serving:
                if batch:
                    self._quiet = len(batch) == 1
                    self._serve(batch, may_wait=True)
                    _answer(batch)
                self._idle()

    def _next(self) -> list[Job[Any]]:
        batch: list[Job[Any]] = []
        try:
            job = self._jobs.get(timeout=self.pace)
            while True:
                if job is not None:
                    batch.append(job)
                if len(batch) == TOGETHER:
                    return batch
                job = self._jobs.get_nowait()
        except Empty:
            return batch


def _answer(batch: Sequence[Job[Any]]) -> None:
    """Resolve the futures of each loop in one call: a call wakes its loop, and that is what costs."""
    loops: dict[asyncio.AbstractEventLoop, list[Job[Any]]] = {}
    for job in batch:
        loops.setdefault(job.loop, []).append(job)
    for loop, jobs in loops.items():
        try:
            loop.call_soon_threadsafe(_resolve, jobs)
        except RuntimeError:
            continue  # that loop is closed: nobody waits there any more


def _resolve(jobs: Sequence[Job[Any]]) -> None:
    for job in jobs:
        job.resolve()
