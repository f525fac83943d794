"""Ways between processes of one machine, that can be cut, held up and made deaf: what networks do."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable
from typing import Literal

State = Literal["open", "shut", "held", "deaf"]


class Way:
    """Listens at `address` and passes everything on, by turns where there are several targets, `host:port`.

    `set` it to be `shut`, which refuses connections and cuts those there are; `held`, which keeps all that is sent
    until it is something else, so that it comes late; `deaf`, which lets requests through and loses their answers; or
    `open`.
    """

    def __init__(self, *targets: str) -> None:
        self._targets, self._turn = targets, 0
        self._state: State = "open"
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server: asyncio.Server
        self._free: asyncio.Event
        self._do(self._start())

    def __enter__(self) -> Way:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def set(self, state: State) -> None:
        """Be like that from now on. A connection whose answers were lost is cut when they are heard again."""
        self._do(self._become(state))

    async def _become(self, state: State) -> None:
        cut = state == "shut" or (self._state == "deaf" and state == "open")
        self._state = state
        if cut:
            await self._cut()
        (self._free.clear if state == "held" else self._free.set)()

    def _do(self, what: Awaitable[None]) -> None:
        async def done() -> None:
            await what

        asyncio.run_coroutine_threadsafe(done(), self._loop).result(10)

    async def _start(self) -> None:
        self._free = asyncio.Event()
        self._free.set()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _end(self) -> None:
        self._server.close()
        await self._cut()

    async def _cut(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._carry(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        try:
            if self._state == "shut":
                return
            host, _, port = self._next().rpartition(":")
            there, over = await asyncio.open_connection(host, int(port))
            writers.append(over)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass(reader, over, answers=False))
                both.create_task(self._pass(there, writer, answers=True))
        except (OSError, ExceptionGroup):
            return
        finally:
            for one in writers:
                one.transport.abort()

    def _next(self) -> str:
        self._turn += 1
        return self._targets[self._turn % len(self._targets)]

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
        while data := await reader.read(65536):
            await self._free.wait()
            if not (answers and self._state == "deaf"):
                writer.write(data)
                await writer.drain()
        raise EOFError  # one side hung up: so does the other
