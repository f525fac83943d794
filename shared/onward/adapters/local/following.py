"""Readers that follow a session's log wait here for its next commit (G9, G10)."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from sqlite3 import Connection

from onward.adapters.local.database import Database, Watcher


class Follower:
    """One who waits. May be told from any thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()

    def tell(self) -> None:
        with suppress(RuntimeError):  # its loop is closed
            self._loop.call_soon_threadsafe(self._news.set)

    async def told(self) -> None:
        await self._news.wait()
        self._news.clear()


class Followers:
    """Who follows which session. Other processes are watched only while somebody follows."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._following: defaultdict[str, set[Follower]] = defaultdict(set)
        self._watcher = Watcher(self._tell_all)

    async def wait(self, key: str, after_seq: int, timeout: float) -> bool:
        """Wait until the session has an event after this seq; false where `timeout` seconds pass without."""
        with self._follow(key) as follower:
            sleeping = asyncio.ensure_future(self._database.clock.sleep(timeout))
            try:
                return await self._told(follower, key, after_seq, sleeping)
            finally:
                sleeping.cancel()

    async def _told(self, follower: Follower, key: str, after_seq: int, sleeping: asyncio.Future[None]) -> bool:
        while await self._database.read(lambda c: _seq(c, key)) <= after_seq:
            if sleeping.done():
                return False
            told = asyncio.ensure_future(follower.told())
            try:
                await asyncio.wait((told, sleeping), return_when=asyncio.FIRST_COMPLETED)
            finally:
                told.cancel()
        return True

    @contextmanager
    def _follow(self, key: str) -> Iterator[Follower]:
        follower = Follower()
        self._following[key].add(follower)
        self._database.watch(self._watcher)
        try:
            yield follower
        finally:
            self._following[key].discard(follower)
            if not self._following[key]:
                del self._following[key]
            if not self._following:
                self._database.unwatch(self._watcher)

    def committed(self, key: str) -> None:
        """This process has appended to the session."""
        for follower in tuple(self._following.get(key, ())):
            follower.tell()

    def _tell_all(self) -> None:
        for followers in tuple(self._following.values()):
            for follower in tuple(followers):
                follower.tell()


def _seq(c: Connection, key: str) -> int:
    row = c.execute("SELECT seq FROM sessions WHERE key = ?", (key,)).fetchone()
    return row[0] if row else 0
