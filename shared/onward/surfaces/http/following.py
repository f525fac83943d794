"""Live events: whoever watches a session shares one watcher with all others in this process (G9, G10).

The watcher asks once for all of them whether the session has gone on, reads what is new once, writes it down once as it
is sent, and hands it round. It is there from the first reader to the last. A reader (`streaming`) keeps nothing but its
place in the log: one that stalls, or comes from further back than what was handed round of late, reads the log itself,
and holds up nobody.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import takewhile

from onward.core.events import Event
from onward.core.head import Head
from onward.core.log import Commit
from onward.core.model import Provisional
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
"""Bytes of events that a watcher keeps for its readers, and that one who comes from further back reads at a time."""

UNITED = 0.1
"""Seconds in which what a model says is told once, however many its pieces are."""

log = logging.getLogger("onward.http")


@dataclass(frozen=True, slots=True)
class Pace:
    """In seconds: `heartbeat` between two signs of life, `lasts` the most that a stream is, `again` after which one
    who was cut off is to come again."""

    heartbeat: float = 15.0
    lasts: float = 600.0
    again: float = 1.0


@dataclass(frozen=True, slots=True)
class Told:
    """One event as every reader is told it."""

    seq: int
    kind: str
    frame: bytes


@dataclass(frozen=True, slots=True)
class Aloud:
    """What a model has said so far of the answer that will be this event at the earliest, as every reader is told it.
    Each time it is told its `number` is another."""

    seq: int
    number: int
    frame: bytes


class Watch:
    """One session, watched. `seq` is the last event that it has read; `over` says that no more are to come, `failed`
    why it could not go on; `beats` counts signs of life, and `aloud` is what no event says yet."""

    def __init__(self, parts: Parts, head: Head, pace: Pace) -> None:
        self.head, self.seq, self.readers = head, head.seq, 0
        self.over = head.ended
        self.failed: OnwardError | None = None
        self.beats = 0
        self.aloud: Aloud | None = None
        self._parts, self._access, self._pace = parts, Caller(parts, ""), pace
        self._recent: deque[Told] = deque()
        self._kept = 0
        self._news = asyncio.Event()
        self._said: Provisional | None = None
        self._uniting: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._beating = self._loop.call_later(pace.heartbeat, self._beat)
        self._task = None if self.over else asyncio.create_task(self._run())

    def close(self) -> None:
        """Watch no more."""
        self.over = True
        self._beating.cancel()
        if self._uniting is not None:
            self._uniting.cancel()
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
        self._kept += len(told.frame)
        while self._kept > KEPT and len(self._recent) > 1:
            self._kept -= len(self._recent.popleft().frame)

    def _beat(self) -> None:
        """One sign of life for all: hundreds of readers are no hundreds of timers."""
        self._beating = self._loop.call_later(self._pace.heartbeat, self._beat)
        self.beats += 1
        self._tell()

    def _tell(self) -> None:
        """All who wait, wait no more."""
        self._news, news = asyncio.Event(), self._news
        news.set()

    # --- what no event says yet --------------------------------------------------------------------------------

    def hear(self, said: Provisional) -> None:
        """A model says something (G4): that is kept nowhere but here, until an event stands in its place."""
        self._said = said
        if self._uniting is None or not said.text:
            self._say()

    def _say(self) -> None:
        said, self._said = self._said, None
        if said is not None and said.seq > self.seq and not self.over:
            doc = {"seq": said.seq, "attempt": said.attempt, "text": said.text}
            frame = f"event: provisional\ndata: {line(doc)}\n\n".encode(errors="replace")
            self.aloud = Aloud(said.seq, self.aloud.number + 1 if self.aloud else 1, frame)
            self._tell()
        self._unite(said)

    def _unite(self, said: Provisional | None) -> None:
        """What is said next is told a little later, together with what is said until then."""
        if self._uniting is not None:
            self._uniting.cancel()
        self._uniting = self._loop.call_later(UNITED, self._say) if said is not None and not self.over else None

    # --- reading -----------------------------------------------------------------------------------------------

    async def news(self) -> None:
        """Wait until something may be new: an event, what a model says, a sign of life, the end."""
        await self._news.wait()

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
            newest = list(takewhile(lambda told: told.seq > after, reversed(self._recent)))
            return newest[::-1]
        return await self.tell(await self._parts.backend.store.commits(self.head.key, after=after, limit=PAGE), after)

    async def tell(self, commits: Sequence[Commit], after: int) -> list[Told]:
        """The events of these commits that are behind this one, whole: as many as go well into memory, and one at
        least."""
        found, size = list[Told](), 0
        for commit in commits:
            for event in (event for event in self._parts.loader.events(commit) if event.seq > after):
                found.append(await self._told(event))
                size += len(found[-1].frame)
                if size >= KEPT:
                    return found
            if commit is not commits[-1]:
                await asyncio.sleep(0)  # others are told something while one reads a long log
        return found

    async def _told(self, event: Event) -> Told:
        event = await whole(self._access, self.head.id, event, self.head.tenant)
        return Told(event.seq, event.kind, f"id: {event.seq}\ndata: {line(event_doc(event))}\n\n".encode())


class Hub:
    """Who watches which session in this process."""

    def __init__(self, parts: Parts, pace: Pace) -> None:
        self.pace = pace
        self.clock = parts.clock
        self._parts = parts
        self._watches: dict[str, Watch] = {}

    @contextmanager
    def watching(self, head: Head) -> Iterator[Watch]:
        """Watch a session, together with whoever does already."""
        watch = self._watches.get(head.key)
        if watch is None or watch.over or watch.failed:
            watch = self._watches[head.key] = Watch(self._parts, head, self.pace)
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

    def hear(self, said: Provisional) -> None:
        """What a model of this process says, for those who watch its session."""
        watch = self._watches.get(said.key)
        if watch is not None:
            watch.hear(said)

    async def pause(self) -> None:
        """Wait until a store that did not answer is asked again."""
        await self.clock.sleep(AGAIN)

    async def close(self) -> None:
        """End every stream."""
        for watch in self._watches.values():
            watch.close()
