"""Live events: whoever watches a session shares one watcher with all others in this process (G9, G10).

The watcher asks once for all of them whether the session has gone on, reads what is new once, and hands it round. It is
there from the first reader to the last. A reader keeps nothing but its place in the log: one that stalls, or comes from
further back than what was handed round of late, reads the log itself, and holds up nobody.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from onward.core.head import Head
from onward.core.log import Commit
from onward.errors import OnwardError, Retryable
from onward.surfaces.documents import event_doc, line, whole
from onward.surfaces.http.caller import Caller
from onward.wiring import Parts

PAGE = 50
"""Commits that are read at a time."""

PATIENCE = 60.0
"""Seconds after which a watcher that heard nothing looks for itself."""

AGAIN = 1.0
"""Seconds until a store that did not answer is asked again."""

KEPT = 1024 * 1024
"""Characters of events that a watcher keeps for its readers."""

log = logging.getLogger("onward.http")


@dataclass(frozen=True, slots=True)
class Pace:
    """In seconds: `heartbeat` between two signs of life, `lasts` how long a stream is, `again` after which a reader
    that was cut off is to come again."""

    heartbeat: float = 15.0
    lasts: float = 600.0
    again: float = 1.0


@dataclass(frozen=True, slots=True)
class Told:
    """One event as it is told."""

    seq: int
    kind: str
    text: str


class Watch:
    """One session, watched. `seq` is the last event that it has read; `over` says that no more are to come, `failed`
    why it could not go on."""

    def __init__(self, parts: Parts, head: Head) -> None:
        self.head, self.seq, self.readers = head, head.seq, 0
        self.over = head.ended
        self.failed: OnwardError | None = None
        self._parts, self._access = parts, Caller(parts, "")
        self._recent: deque[Told] = deque()
        self._kept = 0
        self._news = asyncio.Event()
        self._task = None if self.over else asyncio.create_task(self._run())

    def close(self) -> None:
        """Watch no more."""
        self.over = True
        if self._task is not None:
            self._task.cancel()
        self._tell()

    # --- watching ----------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while not self.over and self.failed is None:
            try:
                await self._look()
            except Retryable as exc:
                log.warning("a session is looked at again: %s", exc, extra={"action": "watch_failed", "code": exc.code})
                await self._parts.clock.sleep(AGAIN)
            except OnwardError as exc:
                self.failed = exc
            self._tell()

    async def _look(self) -> None:
        """Wait until the session goes on, and read what is new."""
        seen = self.seq
        head = await self._parts.backend.wait_for(
            self.head.key, lambda head: head.seq > seen or head.ended, timeout=PATIENCE
        )
        if head is None:
            return
        if head.status != "deleted" and head.seq > self.seq:
            await self._read_on()
        self.head, self.over = head, head.status == "deleted" or (head.ended and self.seq >= head.seq)

    async def _read_on(self) -> None:
        commits = await self._parts.backend.store.commits(self.head.key, after=self.seq, limit=PAGE)
        if not commits:
            await self._parts.clock.sleep(AGAIN)
        for told in await self.tell(commits, self.seq):
            self._keep(told)
            self.seq = told.seq

    def _keep(self, told: Told) -> None:
        if told.kind == "field_erased":  # what was erased is told nobody any more
            self._recent.clear()
            self._kept = 0
        self._recent.append(told)
        self._kept += len(told.text)
        while self._kept > KEPT and len(self._recent) > 1:
            self._kept -= len(self._recent.popleft().text)

    def _tell(self) -> None:
        """All who wait, wait no more."""
        self._news, news = asyncio.Event(), self._news
        news.set()

    # --- reading -----------------------------------------------------------------------------------------------

    async def past(self, after: int, timeout: float) -> bool:
        """Wait until something is behind this event, or never will be; False where so many seconds pass without."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while self.seq <= after and not self.over and self.failed is None:
                    await self._news.wait()
        return self.seq > after or self.over or self.failed is not None

    async def since(self, after: int) -> Sequence[Told]:
        """Events behind this one: those at hand, else a page of the log."""
        if self._recent and self._recent[0].seq <= after + 1:
            return [told for told in self._recent if told.seq > after]
        return await self.tell(await self._parts.backend.store.commits(self.head.key, after=after, limit=PAGE), after)

    async def tell(self, commits: Sequence[Commit], after: int) -> list[Told]:
        """The events of these commits that are behind this one, whole."""
        events = [event for commit in commits for event in self._parts.loader.events(commit) if event.seq > after]
        wholes = [await whole(self._access, self.head.id, event, self.head.tenant) for event in events]
        return [Told(event.seq, event.kind, line(event_doc(event))) for event in wholes]


class Hub:
    """Who watches which session in this process."""

    def __init__(self, parts: Parts, pace: Pace) -> None:
        self.pace = pace
        self._parts = parts
        self._watches: dict[str, Watch] = {}

    @contextmanager
    def watching(self, head: Head) -> Iterator[Watch]:
        """Watch a session, together with whoever does already."""
        watch = self._watches.get(head.key)
        if watch is None or watch.over or watch.failed:
            watch = self._watches[head.key] = Watch(self._parts, head)
        watch.readers += 1
        try:
            yield watch
        finally:
            watch.readers -= 1
            if not watch.readers:
                self._gone(head.key, watch)

    def _gone(self, key: str, watch: Watch) -> None:
        watch.close()
        if self._watches.get(key) is watch:
            del self._watches[key]

    async def frames(self, head: Head, after: int) -> AsyncIterator[str]:
        """What a reader of server-sent events gets: the events behind this one, then those to come, and the end."""
        clock, reader = self._parts.clock, _Reader(self, after)
        ends = clock.monotonic() + self.pace.lasts
        yield reader.retry
        with self.watching(head) as watch:
            while not reader.done:
                async for frame in reader.read(watch, ends - clock.monotonic()):
                    yield frame

    async def sleep(self, seconds: float) -> None:
        await self._parts.clock.sleep(seconds)

    async def close(self) -> None:
        """End every stream."""
        for watch in self._watches.values():
            watch.close()


class _Reader:
    """One reader's place in the log of a session."""

    def __init__(self, hub: Hub, after: int) -> None:
        self._pace, self._after, self._sleep = hub.pace, after, hub.sleep
        self.done = False

    @property
    def retry(self) -> str:
        return f"retry: {self._pace.again * 1000:.0f}\n\n"

    async def read(self, watch: Watch, left: float) -> AsyncIterator[str]:
        """What there is to read, or after a while a sign of life."""
        try:
            found = await watch.since(self._after) if watch.seq > self._after else ()
        except Retryable:
            found = ()
        except OnwardError as exc:
            yield self._failed(exc)
            return
        for told in found:
            yield f"id: {told.seq}\ndata: {told.text}\n\n"
            self._after = told.seq
        if not found or left <= 0:
            yield self._ends(watch, left) or await self._waits(watch, left)

    def _ends(self, watch: Watch, left: float) -> str | None:
        """The last that is said, if it is time for it."""
        if watch.failed is not None:
            return self._failed(watch.failed)
        read = self._after >= watch.seq or watch.head.status == "deleted"
        if watch.over and watch.head.ended and read:
            return self._end(watch)
        if left <= 0 or (watch.over and not watch.head.ended):  # time is up, or this process ends
            self.done = True
            return f": come again\n{self.retry}"
        return None

    async def _waits(self, watch: Watch, left: float) -> str:
        """A sign of life, if nothing came for so long."""
        if watch.seq > self._after:  # the log could not be read just now
            await self._sleep(AGAIN)
        news = await watch.past(self._after, min(left, self._pace.heartbeat))
        return "" if news or left <= self._pace.heartbeat else ": heartbeat\n\n"

    def _failed(self, exc: OnwardError) -> str:
        self.done = True
        return f"event: problem\ndata: {line({'code': exc.code, 'detail': str(exc)})}\n\n"

    def _end(self, watch: Watch) -> str:
        """The end of the session, by which a reader knows that there is nothing to come again for."""
        self.done = True
        return f"event: end\nid: {END}\ndata: {line({'status': watch.head.status, 'seq': self._after})}\n\n"


END = "end"
"""The id of the end, which is no event."""
