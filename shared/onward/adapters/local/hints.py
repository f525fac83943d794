"""What a process knows of the wakes that are its own, in memory: no row is read to deliver them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappop, heappush

from onward.adapters.local.wakes import WakeRow
from onward.ports import Wake


@dataclass(slots=True)
class Hint:
    """A row that waits to be delivered. `token` is the rev of its last look known here, 0 if there was none."""

    due_ms: int
    look: bool
    published: int
    rev: int
    token: int
    queued: bool = False


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was delivered of a row."""

    rev: int
    token: int
    due_ms: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery of a wake; the queue wants it back with `done` or `put_back`."""

    wake: Wake
    receipt: Receipt


class Hints:
    """Rows to deliver, oldest first, and those under way. Never two deliveries of one session at once."""

    def __init__(self) -> None:
        self._waiting: dict[str, Hint] = {}
        self._out: dict[str, Delivery] = {}
        self._ready: deque[str] = deque()
        self._later: list[tuple[int, str]] = []

    def under_way(self, key: str) -> bool:
        """Whether the session's wake is being delivered."""
        return key in self._out

    def covers(self, wake: Wake, now_ms: int) -> bool:
        """Whether what waits here already, and is stored, says all that this wake says."""
        known = self._waiting.get(wake.key)
        return (
            known is not None
            and known.due_ms <= now_ms
            and known.look >= wake.look
            and known.published >= wake.published
        )

    def learn(self, row: WakeRow, now_ms: int, token: int = 0) -> None:
        """A row was written, and is this process's to deliver. `token` is that of a look it was written with before."""
        known, out = self._waiting.get(row.key), self._out.get(row.key)
        if known is None:
            token = token or (row.rev if row.look else out.receipt.token if out else 0)
            known = self._waiting[row.key] = Hint(row.due_ms, row.look, row.published, row.rev, token)
        else:
            known.due_ms = min(known.due_ms, row.due_ms)
            known.look, known.published = known.look or row.look, max(known.published, row.published)
            known.rev, known.token = row.rev, row.rev if row.look else known.token
        if out is None:
            self._queue(row.key, known, now_ms)

    def _queue(self, key: str, hint: Hint, now_ms: int) -> None:
        if hint.queued:
            return
        if hint.due_ms <= now_ms:
            hint.queued = True
            self._ready.append(key)
        else:
            heappush(self._later, (hint.due_ms, key))

    def ready(self, now_ms: int) -> int:
        """How many could be delivered now."""
        while self._later and self._later[0][0] <= now_ms:
            _, key = heappop(self._later)
            hint = self._waiting.get(key)
            if hint is not None and key not in self._out:
                self._queue(key, hint, now_ms)
        return len(self._ready)

    @property
    def next_ms(self) -> int | None:
        """When the next of those that wait for their time is due."""
        return self._later[0][0] if self._later else None

    def deliver(self, limit: int, now_ms: int) -> Iterator[Delivery]:
        for _ in range(min(limit, self.ready(now_ms))):
            key = self._ready.popleft()
            hint = self._waiting.pop(key)
            wake = Wake(key, hint.look, hint.published, delayed=hint.look)
            delivery = self._out[key] = Delivery(wake, Receipt(hint.rev, hint.token, hint.due_ms))
            yield delivery

    def finish(self, delivery: Delivery, now_ms: int) -> bool:
        """The delivery is over. Whether its row has not changed since, as far as is known here."""
        key = delivery.wake.key
        if self._out.get(key) is delivery:
            del self._out[key]
        newer = self._waiting.get(key)
        if newer is not None:
            self._queue(key, newer, now_ms)
        return newer is None

    def put_back(self, delivery: Delivery, now_ms: int, row: WakeRow | None = None) -> None:
        """The delivery is over and did not do; it comes again, as this row if that was written for it."""
        wake, receipt = delivery.wake, delivery.receipt
        self._out.pop(wake.key, None)
        newer = self._waiting.get(wake.key)
        if newer is None:
            again = WakeRow(wake.key, receipt.due_ms, wake.look, wake.published, receipt.rev, None)
            self.learn(row or again, now_ms, receipt.token)
        else:
            newer.look, newer.published = newer.look or wake.look, max(newer.published, wake.published)
            self._queue(wake.key, newer, now_ms)
