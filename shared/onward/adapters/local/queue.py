"""Wakes and timers of the embedded database, and their delivery to a worker of this process.

A wake is a row until it is acknowledged, so that a process's death loses nothing. The rows that this process writes
are delivered from memory; what others write is found by a look at the table: when the file has changed, when
something is due, and every few seconds in any case.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial

from onward.adapters.local.database import Database, Watcher
from onward.adapters.local.errands import SqliteErrands
from onward.adapters.local.hints import Delivery, Hints
from onward.adapters.local.rows import from_ms, to_ms, to_ms_after
from onward.adapters.local.wakes import (
    AT_ONCE,
    TAKEOVER_MS,
    Taken,
    WakeRow,
    WakeTable,
    arm_timer,
    delay_wake,
    delete_wake,
    put_wake,
)
from onward.errors import Ambiguous, OnwardError
from onward.ports import Errand, Wake

LOOK_EVERY = 2.0
"""Seconds between two looks at the table when nothing seems to have changed: for the dead, and for clocks set anew."""

LINGER = 2.0
"""Seconds for which other processes are watched after the last sign of a consumer."""


class SqliteQueue:
    """The Wakes and Timers ports, and for one consumer `take`, `done`, `put_back` and `wait`; the same of errands."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._clock = database.clock
        self._table = WakeTable(database)
        self._errands = SqliteErrands(database)
        self._hints = Hints()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watcher = Watcher(self._others_committed)
        self._waiters: set[asyncio.Future[None]] = set()
        self._alarm: asyncio.Task[None] | None = None
        self._alarm_at = 0.0
        self._stale = True
        self._company = False
        self._next_ms: int | None = None
        self._look_at = 0.0

    def _now_ms(self) -> int:
        return to_ms(self._clock.now())

    # --- the ports -----------------------------------------------------------------------------------------------

    async def publish(self, wake: Wake) -> None:
        if self._hints.covers(wake, self._now_ms()):
            return
        row = self.row(wake)
        try:
            await self._database.write(partial(put_wake, row=row), durable=True, after=lambda _: self.recorded(row))
        except Ambiguous:
            self.in_doubt()
            raise

    async def arm(self, key: str, at: datetime) -> None:
        at_ms = to_ms_after(at)
        await self._database.write(
            lambda c: arm_timer(c, key, at_ms), durable=True, after=lambda _: self._on_loop(partial(self._armed, at_ms))
        )

    def _armed(self, at_ms: int) -> None:
        self._next_ms = at_ms if self._next_ms is None else min(at_ms, self._next_ms)
        self._wake_waiters()

    # --- for the store, which writes wakes in its own commits ------------------------------------------------------

    def row(self, wake: Wake) -> WakeRow:
        """The row to write for this wake."""
        rev, home, again = self._table.next_rev(), self._table.home, self._hints.under_way(wake.key)
        return WakeRow(wake.key, self._now_ms(), wake.look, wake.published, rev, home, again)

    def recorded(self, row: WakeRow) -> None:
        """The row was committed. Called on the loop that wrote it."""
        if row.home is not None:
            self._on_loop(partial(self._learn, row))

    def in_doubt(self) -> None:
        """A row may have been written without this process knowing: have the table looked through."""
        self._on_loop(self._forget)

    def _learn(self, row: WakeRow) -> None:
        now = self._now_ms()
        self._hints.learn(row, now)
        if self._hints.ready(now):
            self._wake_waiters()

    def _forget(self) -> None:
        self._table.begin_anew()
        self._stale = True
        self._wake_waiters()

    def _on_loop(self, call: Callable[[], None]) -> None:
        """Do it on the consumer's loop: at once if this is it."""
        loop = self._loop
        if loop is None:
            return
        if loop is asyncio.get_running_loop():
            return call()
        with suppress(RuntimeError):  # closed: nobody consumes
            loop.call_soon_threadsafe(call)

    # --- delivery ------------------------------------------------------------------------------------------------

    async def take(self, limit: int = 1) -> list[Delivery]:
        """What is due, oldest first, at most `limit`. Each is under way until `done` or `put_back`.

        The first call makes this process a consumer, on the loop of the call.
        """
        self._consume()
        if self._should_look(limit):
            await self._look()
        deliveries = list(self._hints.deliver(limit, self._now_ms()))
        if not self._company:
            return deliveries
        try:
            return await self._without_taken_over(deliveries)
        except BaseException:
            for delivery in deliveries:
                self._hints.put_back(delivery, self._now_ms())
            raise

    async def done(self, delivery: Delivery) -> None:
        """Acknowledge. Nothing is written where the row has been written again meanwhile; nobody waits otherwise."""
        if self._hints.finish(delivery, self._now_ms()):
            key, receipt = delivery.wake.key, delivery.receipt
            deleting = self._database.write(lambda c: delete_wake(c, key, receipt.rev, receipt.token), durable=False)
            deleting.add_done_callback(_ignore)
        else:
            self._wake_waiters()

    async def put_back(self, delivery: Delivery, delay: float = 0.0) -> None:
        """Have it delivered again, after `delay` seconds or with whatever came for this session meanwhile.

        Where that can't be written down, it is done all the same, unless this process ends before.
        """
        wake, receipt, now = delivery.wake, delivery.receipt, self._now_ms()
        rev, due = self._table.next_rev(), now + int(delay * 1000)
        row = WakeRow(wake.key, due, wake.look, wake.published, rev, self._table.home)
        try:
            await self._database.write(
                lambda c: delay_wake(c, wake.key, receipt.rev, rev, due),
                durable=False,
                after=lambda _: self._put_back(delivery, row),
            )
        except OnwardError:
            self._put_back(delivery, replace(row, rev=receipt.rev))

    def _put_back(self, delivery: Delivery, row: WakeRow) -> None:
        self._hints.put_back(delivery, self._now_ms(), row)
        self._wake_waiters()  # to set the alarm for it

    def next_due(self) -> datetime | None:
        """When the next thing is due, as far as the last look at the tables and this process's own writes tell."""
        times = [at for at in (self._next_wake(), self._errands.next_due()) if at is not None]
        return min(times, default=None)

    def _next_wake(self) -> datetime | None:
        times = [at for at in (self._next_ms, self._hints.next_ms) if at is not None]
        return from_ms(min(times)) if times else None

    # --- errands -------------------------------------------------------------------------------------------------

    async def send(self, errand: Errand, at: datetime) -> None:
        await self._errands.send(errand, at)

    async def take_errands(self, limit: int = 1) -> list[Errand]:
        """Errands that are due, oldest first. Each comes again after a while, unless it is `done_errand` by then."""
        if not self._database.watched(self._watcher):
            self._errands.look_again()
        return await self._errands.take(limit)

    async def done_errand(self, errand: Errand) -> None:
        """It is done, unless it was sent again for another attempt."""
        await self._errands.done(errand)

    async def wait_for_errands(self) -> None:
        """Return when an errand may be due."""
        await self._errands.wait()

    # --- looking at the table --------------------------------------------------------------------------------------

    def _consume(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is loop:
            if self._database.watched(self._watcher):
                self._watcher.until = time.monotonic() + LINGER
            return
        self._loop = loop
        self._hints = Hints()
        self._table.home = self._database.holders.id
        self._table.begin_anew()
        self._waiters.clear()
        self._alarm = None
        self._stale = True
        self._look_at = 0.0

    def _should_look(self, limit: int) -> bool:
        now_ms = self._now_ms()
        ready = self._hints.ready(now_ms)
        if self._clock.monotonic() >= self._look_at:
            return True
        if ready >= AT_ONCE:  # enough to do; others see to what is new
            return False
        due = self._next_ms is not None and self._next_ms <= now_ms
        return due or self._stale or (ready < limit and not self._database.watched(self._watcher))

    async def _look(self) -> None:
        """Find what is due and take it, as much as is taken at a time."""
        self._stale = False
        try:
            if self._clock.monotonic() >= self._look_at:
                await self._free_the_dead()
            found = await self._database.read(self._table.find)
            self._next_ms = found.next_ms
            if found.free:
                await self._database.write(self._table.take, durable=False, after=self._taken)
        except BaseException:
            self._stale = True
            raise

    def _taken(self, taken: Taken) -> None:
        for row in taken.rows:
            self._learn(row)
        self._stale = self._stale or taken.more

    async def _free_the_dead(self) -> None:
        if not self._look_at:
            await self._database.read(lambda _: self._database.holders.clean())
        self._look_at = self._clock.monotonic() + LOOK_EVERY
        if await self._database.read(self._table.dead_homes):
            await self._database.write(self._table.free_homes_of_the_dead, durable=False)

    async def _without_taken_over(self, deliveries: list[Delivery]) -> list[Delivery]:
        """Leave out what waited here so long that another process has taken it."""
        before = self._now_ms() - TAKEOVER_MS
        old = [delivery for delivery in deliveries if delivery.receipt.due_ms <= before]
        if not old:
            return deliveries
        keys = [delivery.wake.key for delivery in old]
        mine = await self._database.read(lambda c: self._table.still_mine(c, keys))
        gone = [delivery for delivery in old if delivery.wake.key not in mine]
        for delivery in gone:
            self._hints.finish(delivery, self._now_ms())
        return [delivery for delivery in deliveries if delivery not in gone]

    # --- waiting -------------------------------------------------------------------------------------------------

    async def wait(self, timeout: float | None) -> None:
        """Return when something may be due, or after `timeout` seconds."""
        self._consume()
        if not self._database.watched(self._watcher):
            self._database.watch(self._watcher)
            self._stale = True
        if self._should_look(1) or self._hints.ready(self._now_ms()):
            return
        self._watcher.until = float("inf")
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        self._set_alarm()
        try:
            await self._either(waiter, timeout)
        finally:
            self._waiters.discard(waiter)
            self._watcher.until = time.monotonic() + LINGER

    async def _either(self, waiter: asyncio.Future[None], timeout: float | None) -> None:
        if timeout is None:
            return await waiter
        sleeping = asyncio.ensure_future(self._clock.sleep(timeout))
        try:
            await asyncio.wait((waiter, sleeping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()

    def _set_alarm(self) -> None:
        """See that waiters are woken when the next thing is due. One alarm serves many waits."""
        now, at, due = self._clock.monotonic(), self._look_at, self._next_wake()
        if due is not None:
            at = min(at, now + (due - self._clock.now()).total_seconds() + 0.001)
        if self._alarm is None or self._alarm.done() or at < self._alarm_at:
            if self._alarm is not None:
                self._alarm.cancel()
            self._alarm_at = at
            self._alarm = asyncio.ensure_future(self._ring(at - now))

    async def _ring(self, delay: float) -> None:
        await self._clock.sleep(delay)
        self._wake_waiters()

    def _wake_waiters(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _others_committed(self) -> None:
        """Called by the writing thread."""
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._notice_others)

    def _notice_others(self) -> None:
        self._company = True
        self._stale = True
        self._errands.look_again()
        self._wake_waiters()

    async def close(self) -> None:
        """Stop consuming; what was not acknowledged is for whoever comes first."""
        self._database.unwatch(self._watcher)
        if self._alarm is not None:
            self._alarm.cancel()
        if self._loop is not None:
            self._loop = None
            with suppress(OnwardError):  # then others find that this process is gone
                await self._database.write(self._table.leave, durable=False)
            self._table.home = None


def _ignore(done: asyncio.Future[None]) -> None:
    """A wake that was not deleted comes once more: no harm."""
    if not done.cancelled():
        done.exception()
