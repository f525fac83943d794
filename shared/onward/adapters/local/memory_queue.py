"""Wakes, timers and errands in memory, as messages of their own."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

from onward.ports import Clock, Errand, Wake


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery of a message; `receipt` acknowledges it."""

    wake: Wake
    receipt: int


ERRAND_SECONDS = 60.0
"""How long an errand that was taken is left to whoever took it."""


class MemoryQueue:
    """The Wakes and Timers ports, and the delivery to whoever takes: at least once, in any order."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._count = 0
        self._waiting: dict[int, tuple[datetime, Wake]] = {}
        self._taken: dict[int, tuple[datetime, Wake]] = {}
        self._errands: dict[tuple[str, int, str], tuple[datetime, Errand]] = {}
        self._news = asyncio.Event()

    async def publish(self, wake: Wake) -> None:
        self._add(self._clock.now(), wake)

    async def arm(self, key: str, at: datetime) -> None:
        self._add(at, Wake(key, look=True, delayed=True))

    def _add(self, due: datetime, wake: Wake) -> None:
        self._count += 1
        self._waiting[self._count] = (due, wake)
        self._news.set()

    async def take(self, limit: int = 1) -> list[Delivery]:
        """What is due now, oldest first. Each stays taken until `done` or `put_back`."""
        now = self._clock.now()
        due = sorted((at, receipt) for receipt, (at, _) in self._waiting.items() if at <= now)[:limit]
        for _, receipt in due:
            self._taken[receipt] = self._waiting.pop(receipt)
        return [Delivery(self._taken[receipt][1], receipt) for _, receipt in due]

    async def done(self, delivery: Delivery) -> None:
        self._taken.pop(delivery.receipt, None)

    async def put_back(self, delivery: Delivery, delay: float = 0.0) -> None:
        _, wake = self._taken.pop(delivery.receipt)
        self._add(self._clock.now() + timedelta(seconds=delay), wake)

    def redeliver(self) -> None:
        """Whoever took them is gone: everything that was not acknowledged comes again."""
        for receipt in list(self._taken):
            due, wake = self._taken.pop(receipt)
            self._add(due, wake)

    def next_due(self) -> datetime | None:
        return min((due for due, _ in (*self._waiting.values(), *self._errands.values())), default=None)

    # --- errands -----------------------------------------------------------------------------------------------

    async def send(self, errand: Errand, at: datetime) -> None:
        name = (errand.key, errand.seq, errand.webhook)
        if name not in self._errands or self._errands[name][1].attempt < errand.attempt:
            self._errands[name] = (at, errand)

    async def take_errands(self, limit: int = 1) -> list[Errand]:
        """What is due now, oldest first. Each comes again after a while, unless it is `done_errand` by then."""
        now = self._clock.now()
        due = sorted((at, name) for name, (at, _) in self._errands.items() if at <= now)[:limit]
        for _, name in due:
            self._errands[name] = (now + timedelta(seconds=ERRAND_SECONDS), self._errands[name][1])
        return [self._errands[name][1] for _, name in due]

    async def done_errand(self, errand: Errand) -> None:
        """It is done, unless it was sent again for another attempt."""
        name = (errand.key, errand.seq, errand.webhook)
        if name in self._errands and self._errands[name][1] == errand:
            del self._errands[name]

    async def wait(self, timeout: float | None) -> None:
        """Return when something new came, or after `timeout` seconds."""
        self._news.clear()
        try:
            await asyncio.wait_for(self._news.wait(), timeout)
        except TimeoutError:
            return
