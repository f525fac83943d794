"""Holding a lease: how long it may still be trusted, and who renews it (R1, R2, R3)."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from onward.core.lease import MARGIN, RENEW_AFTER, TTL
from onward.core.retry import Retry
from onward.errors import LeaseLost
from onward.ports import Clock, Lease, SessionStore, Wake

T = TypeVar("T")
log = logging.getLogger("onward.engine")


class Hold:
    """A lease in use. Head writes of one holder are serialised: renewals skip a hold that is writing (R1)."""

    def __init__(self, lease: Lease, clock: Clock, ttl: float, budget: float, reserve: float = 0.0) -> None:
        self.lease = lease
        self.confirmed = lease.confirmed
        self.published = lease.head.published
        self.owed = lease.head.owed
        self.paid = False
        """Whether a debt that the stored head tells of was paid under this lease."""
        self.delayed = False
        """Whether the wake that led here was a delayed one: perhaps the timer that the head takes for armed."""
        self._clock = clock
        self._ttl = ttl
        self._claimed = lease.confirmed
        self._deadline = lease.confirmed + budget
        self._reserve = reserve
        self._lost = False
        self._writing = threading.Lock()

    @property
    def key(self) -> str:
        return self.lease.key

    def now(self) -> datetime:
        """The store's time, by this process's own monotonic clock since the claim (R3)."""
        now = self.lease.now + timedelta(seconds=self._clock.monotonic() - self._claimed)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def retry_at(self, retry: Retry, attempt: int) -> datetime | None:
        """When to try again after this attempt (1 is the first), or None when it was the last."""
        delay = retry.delay(attempt)
        return None if delay is None else self.now() + timedelta(seconds=delay)

    def wake(self, *, look: bool, published: int = 0) -> Wake:
        """A wake for this session."""
        return replace(Wake.of(self.lease.head, look=look, published=published), delayed=self.delayed)

    @property
    def fresh(self) -> bool:
        """Whether the lease can't have lapsed yet, by a margin."""
        return self._clock.monotonic() - self.confirmed < self._ttl - min(MARGIN, self._ttl / 4)

    @property
    def spent(self) -> bool:
        """Whether too little of the step's time is left to begin anything."""
        return self._clock.monotonic() >= self._deadline - self._reserve

    async def write(self, operation: Coroutine[Any, Any, T]) -> T:
        """Do a head write; a renewal under way is waited for, later ones stay away meanwhile."""
        if not self._writing.acquire(blocking=False):
            await asyncio.to_thread(self._writing.acquire)
        try:
            return await operation
        finally:
            self._writing.release()

    def confirm(self, lease: Lease) -> None:
        """A write was answered: the lease is as young as the moment before it was sent."""
        self.lease = lease
        self.confirmed = lease.confirmed

    def renewable(self, after: float) -> bool:
        now = self._clock.monotonic()
        return not self._lost and now < self._deadline and now - self.confirmed >= after

    def renew(self, store: SessionStore, loop: asyncio.AbstractEventLoop) -> None:
        """Renew from the renewing thread, unless the holder is writing: an append renews too. Whatever goes wrong is
        only noted, for the thread has other leases to renew, and this one is tried again unless it is lost."""
        if not self._writing.acquire(blocking=False):
            return
        try:
            self.confirmed = loop.run_until_complete(store.renew(self.lease)).confirmed
        except Exception as exc:
            self._lost = isinstance(exc, LeaseLost)
            log.warning(
                "lease not renewed", extra={"action": "renew_failed", "session": self.lease.head.id, "error": str(exc)}
            )
        finally:
            self._writing.release()


class Renewer:
    """Renews the leases of this process on a thread of its own, so that a tool which blocks the event loop does not
    cost its neighbours their leases."""

    def __init__(
        self, store: SessionStore, clock: Clock, ttl: float = TTL, budget: float = 3600.0, reserve: float = 0.0
    ) -> None:
        self._store = store
        self._clock = clock
        self._ttl = ttl
        self._after = min(RENEW_AFTER, ttl / 2)
        self._budget = budget
        self._reserve = reserve
        self._holds: set[Hold] = set()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @asynccontextmanager
    async def holding(self, lease: Lease) -> AsyncIterator[Hold]:
        """Keep this lease renewed while the block runs, but never past the step's deadline."""
        hold = Hold(lease, self._clock, self._ttl, self._budget, self._reserve)
        self._holds.add(hold)
        try:
            yield hold
        finally:
            self._holds.discard(hold)

    def start(self) -> None:
        """Start the thread; without it nothing is renewed, as a test in virtual time wants it."""
        self._thread = threading.Thread(target=self._run, name="onward-renew", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        with closing(asyncio.new_event_loop()) as loop:
            while not self._stop.wait(self._after / 10):
                for hold in list(self._holds):
                    if hold.renewable(self._after):
                        hold.renew(self._store, loop)
