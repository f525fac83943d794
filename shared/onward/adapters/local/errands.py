"""Errands of the embedded database: rows beside those of wakes, so that what is slow outside holds up no session."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime
from sqlite3 import Connection

from onward.adapters.local.database import Database
from onward.adapters.local.rows import from_ms, to_ms, to_ms_after
from onward.ports import Errand

HELD_MS = 60_000
"""How long an errand that was taken is left to whoever took it."""

LOOK_EVERY = 30.0
"""Seconds between two looks at the table when nothing seems to be due: for what the dead have left."""

_SEND = """INSERT INTO errands VALUES (?, ?, ?, ?, ?) ON CONFLICT (key, seq, webhook)
    DO UPDATE SET attempt = excluded.attempt, at_ms = excluded.at_ms WHERE excluded.attempt > attempt"""
_DUE = "SELECT key, seq, webhook, attempt FROM errands WHERE at_ms <= ? ORDER BY at_ms LIMIT ?"
_HOLD = "UPDATE errands SET at_ms = ? WHERE key = ? AND seq = ? AND webhook = ?"
_DONE = "DELETE FROM errands WHERE key = ? AND seq = ? AND webhook = ? AND attempt = ?"


class SqliteErrands:
    """The `send` of the Timers port, and `take`, `done` and `wait` for one consumer."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._clock = database.clock
        self._news = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._look = True
        self._next_ms: int | None = None

    async def send(self, errand: Errand, at: datetime) -> None:
        at_ms = to_ms_after(at)
        row = (errand.key, errand.seq, errand.webhook, errand.attempt, at_ms)
        await self._database.write(lambda c: c.execute(_SEND, row), durable=True, after=lambda _: self._sent(at_ms))

    def _sent(self, at_ms: int) -> None:
        self._next_ms = at_ms if self._next_ms is None else min(at_ms, self._next_ms)
        if self._loop is not None:
            with suppress(RuntimeError):  # closed: nobody waits
                self._loop.call_soon_threadsafe(self._news.set)

    async def take(self, limit: int) -> list[Errand]:
        """What is due, oldest first. Each comes again after a while, unless it is `done` by then."""
        now = to_ms(self._clock.now())
        if self._look:
            await self._find()
        if self._next_ms is None or self._next_ms > now:
            return []
        taken = await self._database.write(lambda c: self._take(c, now, limit), durable=False)
        await self._find()
        return taken

    def _take(self, c: Connection, now: int, limit: int) -> list[Errand]:
        rows = c.execute(_DUE, (now, limit)).fetchall()
        c.executemany(_HOLD, [(now + HELD_MS, *row[:3]) for row in rows])
        return [Errand(*row) for row in rows]

    def look_again(self) -> None:
        """Others may have sent something."""
        self._look = True
        self._news.set()

    async def _find(self) -> None:
        """Learn when the next one is due; what is sent while this looks is not forgotten over it."""
        self._next_ms, self._look = None, False
        found = await self._database.read(lambda c: c.execute("SELECT min(at_ms) FROM errands").fetchone()[0])
        times = [at for at in (found, self._next_ms) if at is not None]
        self._next_ms = min(times, default=None)

    async def done(self, errand: Errand) -> None:
        """It is done, unless it was sent again for another attempt. Nobody waits for this to be on disk."""
        row = (errand.key, errand.seq, errand.webhook, errand.attempt)
        await self._database.write(lambda c: c.execute(_DONE, row), durable=False)

    def next_due(self) -> datetime | None:
        """When the next one is due, as far as the last look and this process's own writes tell."""
        return None if self._next_ms is None else from_ms(self._next_ms)

    async def wait(self) -> None:
        """Return when something may be due. From the first call on, this process's own are noticed at once."""
        self._loop = asyncio.get_running_loop()
        due = self.next_due()
        pause = LOOK_EVERY if due is None else (due - self._clock.now()).total_seconds()
        try:
            async with asyncio.timeout(max(0.001, min(LOOK_EVERY, pause))):
                await self._news.wait()
        except TimeoutError:
            self._look = True
        self._news.clear()
