"""Those who follow a session wait here for its next head (G9, G10)."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

from onward.adapters.local.database import Database, Watcher
from onward.core.head import Head

Test = Callable[[Head], bool]


class Follower:
    """One who waits for a head that passes its test. May be told from any thread."""

    def __init__(self, test: Test) -> None:
        self.test = test
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._news: asyncio.Future[Head | None] = self._loop.create_future()

    def tell(self, head: Head | None) -> None:
        """Here is the head; or, with None, look for yourself."""
        if head is not None and not self.test(head):
            return
        if threading.get_ident() == self._thread:
            return self._hear(head)
        with suppress(RuntimeError):  # its loop is closed
            self._loop.call_soon_threadsafe(self._hear, head)

    def _hear(self, head: Head | None) -> None:
        if not self._news.done():
            self._news.set_result(head)

    async def news(self) -> Head | None:
        """What was told since the last call."""
        try:
            return await self._news
        finally:
            self._news = self._loop.create_future()


class Followers:
    """Who follows which session. Other processes are watched only while somebody follows."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._following: defaultdict[str, set[Follower]] = defaultdict(set)
        self._watcher = Watcher(self._tell_all)

    async def wait(
        self, key: str, test: Test, timeout: float, read: Callable[[], Awaitable[Head | None]]
    ) -> Head | None:
        """The session's head once it passes the test; None where `timeout` seconds pass without."""
        with self._follow(key, test) as follower:
            head = await read()
            if head is not None and test(head):
                return head
            sleeping = asyncio.ensure_future(self._database.clock.sleep(timeout))
            sleeping.add_done_callback(lambda _: follower.tell(None))
            try:
                return await self._told(follower, read, sleeping)
            finally:
                sleeping.cancel()

    async def _told(
        self, follower: Follower, read: Callable[[], Awaitable[Head | None]], sleeping: asyncio.Future[None]
    ) -> Head | None:
        while True:
            head = await follower.news() or await read()
            if head is not None and follower.test(head):
                return head
            if sleeping.done():
                return None

    @contextmanager
    def _follow(self, key: str, test: Test) -> Iterator[Follower]:
        follower = Follower(test)
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

    def moved(self, head: Head) -> None:
        """This process has written this head."""
        for follower in tuple(self._following.get(head.key, ())):
            follower.tell(head)

    def _tell_all(self) -> None:
        for followers in tuple(self._following.values()):
            for follower in tuple(followers):
                follower.tell(None)
