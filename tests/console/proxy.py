"""A wire between a browser and a server, that can be cut."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

End = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Wire:
    """Carries bytes both ways, until it is cut; then nobody gets through until it is mended."""

    def __init__(self, to: str) -> None:
        self._to = urlsplit(to)
        self._whole = True
        self._ends: set[asyncio.StreamWriter] = set()
        self._carrying: set[asyncio.Task[None]] = set()
        self.url = ""

    def cut(self) -> int:
        """Break every connection, as a phone in a tunnel does. How many there were."""
        self._whole = False
        broken = len(self._ends) // 2
        for end in self._ends:
            end.transport.abort()
        return broken

    def mend(self) -> None:
        self._whole = True

    async def joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        task = asyncio.current_task()
        assert task is not None
        self._carrying.add(task)
        task.add_done_callback(self._carrying.discard)
        if not self._whole:
            writer.transport.abort()
            return
        with contextlib.suppress(OSError, asyncio.CancelledError):
            far = await asyncio.open_connection(self._to.hostname, self._to.port)
            await self._carry((reader, writer), far)

    async def _carry(self, near: End, far: End) -> None:
        writers = {near[1], far[1]}
        self._ends |= writers
        try:
            await asyncio.gather(_pour(near[0], far[1]), _pour(far[0], near[1]))
        finally:
            self._ends -= writers
            for writer in writers:
                writer.transport.abort()

    async def close(self) -> None:
        self.cut()
        for task in self._carrying:
            task.cancel()
        await asyncio.gather(*self._carrying, return_exceptions=True)


async def _pour(source: asyncio.StreamReader, into: asyncio.StreamWriter) -> None:
    while some := await source.read(65536):
        into.write(some)
        await into.drain()
    if into.can_write_eof():
        into.write_eof()


@contextlib.asynccontextmanager
async def wire(to: str) -> AsyncIterator[Wire]:
    """A wire to a server; its `url` is where the browser goes."""
    made = Wire(to)
    async with await asyncio.start_server(made.joined, "127.0.0.1", 0) as server:
        made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield made
        await made.close()
