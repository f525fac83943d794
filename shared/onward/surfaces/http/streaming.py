"""One reader's stream of server-sent events: its place in the log of a session that is watched (`following`)."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator

from onward.core.head import Head
from onward.errors import OnwardError, Retryable
from onward.surfaces.documents import line
from onward.surfaces.http.following import Hub, Told, Watch

END = "end"
"""The id of the end, which is no event."""

AT_ONCE = 64 * 1024
"""Bytes after which no more events are sent in one piece."""

HEARTBEAT = b": heartbeat\n\n"


async def frames(hub: Hub, head: Head, after: int) -> AsyncIterator[bytes]:
    """What a reader of server-sent events gets: the events behind this one, then those to come, and the end. Between
    them, and without an id, what a model of this process is saying."""
    reader = _Reader(hub, after)
    with hub.watching(head) as watch:
        yield reader.retry
        while not reader.done:
            said = await reader.next(watch)
            if said:
                yield said


class _Reader:
    """One reader's place in the log of a session. `done` says that all was said."""

    def __init__(self, hub: Hub, after: int) -> None:
        self._hub, self._pace, self._after = hub, hub.pace, after
        self._ends_at = hub.clock.monotonic() + hub.pace.lasts
        self._ahead: deque[Told] = deque()
        self._beats: int | None = None
        self._aloud = 0
        self.done = False

    @property
    def retry(self) -> bytes:
        return f"retry: {self._pace.again * 1000:.0f}\n\n".encode()

    async def next(self, watch: Watch) -> bytes:
        """What there is to say now, or nothing: then something may be new."""
        if self._beats is None:
            self._beats = watch.beats
        if not self._ahead and watch.seq > self._after:
            try:
                self._ahead.extend(await watch.since(self._after))
            except Retryable:
                pass
            except OnwardError as exc:
                return self._failed(exc)
        return self._events() or self._ends(watch) or self._provisional(watch) or await self._waits(watch)

    def _events(self) -> bytes:
        """The next events, as many as go well together."""
        found, size = list[bytes](), 0
        while self._ahead and size < AT_ONCE:
            told = self._ahead.popleft()
            found.append(told.frame)
            self._after, size = told.seq, size + len(told.frame)
        return b"".join(found)

    def _provisional(self, watch: Watch) -> bytes:
        """What a model says, to one who has all that is committed."""
        aloud = watch.aloud
        if aloud is None or aloud.number == self._aloud or not aloud.seq > self._after >= watch.seq:
            return b""
        self._aloud = aloud.number
        return aloud.frame

    def _ends(self, watch: Watch) -> bytes:
        """The last that is said, if it is time for it."""
        if watch.failed is not None:
            return self._failed(watch.failed)
        read = self._after >= watch.seq or watch.head.status == "deleted"
        if watch.over and watch.head.ended and read:
            return self._end(watch)
        if watch.over and not watch.head.ended:  # this process ends
            return self._later()
        return b""

    async def _waits(self, watch: Watch) -> bytes:
        """Wait until something may be new. At every beat a sign of life is given, or, where the stream would last too
        long at the next one, its end."""
        if watch.seq > self._after:  # the log could not be read just now
            await self._hub.pause()
        elif watch.beats == self._beats:
            await watch.news()
        if watch.beats == self._beats:
            return b""
        self._beats = watch.beats
        left = self._ends_at - self._hub.clock.monotonic()
        return HEARTBEAT if left > self._pace.heartbeat else self._later()

    def _later(self) -> bytes:
        self.done = True
        return b": come again\n" + self.retry

    def _failed(self, exc: OnwardError) -> bytes:
        self.done = True
        return f"event: problem\ndata: {line({'code': exc.code, 'detail': str(exc)})}\n\n".encode()

    def _end(self, watch: Watch) -> bytes:
        """The end of the session, by which a reader knows that there is nothing to come again for."""
        self.done = True
        said = {"status": watch.head.status, "seq": min(self._after, watch.seq)}
        return f"event: end\nid: {END}\ndata: {line(said)}\n\n".encode()
