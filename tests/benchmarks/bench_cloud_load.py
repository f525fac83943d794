"""Instances of `advance`, and the pushes that keep them at work.

The emulator of Pub/Sub pushes two messages of a subscription at a time, about a tenth of a second late, which would be
all that is measured. So each instance tells the benchmark of every wake that the emulator has taken from it, and the
benchmark posts it, as a push does, to the instances in turn.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from emulators.cloud import Cloud
from emulators.functions import Function
from tests.benchmarks.bench_cloud_instance import ask

APP = "tests.benchmarks.bench_cloud_app"
WAKES, EVENTS = "bench-wakes", "bench-events"
MANY = 1000
HEAD = ("POST / HTTP/1.1", "Host: bench", "Content-Type: application/json")
PATIENCE = 60.0
"""Seconds without any session's end after which a run is given up."""


class Connection:
    """One HTTP connection that is kept, to one instance."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._open: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, body: bytes) -> int:
        """The status of the answer."""
        head = "\r\n".join((*HEAD, f"Content-Length: {len(body)}", "", ""))
        if self._open is not None:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):  # it was closed, as it lay idle
                return await self._ask(*self._open, head.encode() + body)
        self._open = await asyncio.open_connection("127.0.0.1", self._port)
        return await self._ask(*self._open, head.encode() + body)

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> int:
        writer.write(request)
        said = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        size = next((int(line[15:]) for line in said.splitlines() if line.startswith("content-length:")), 0)
        await reader.readexactly(size)
        return int(said.split()[1])

    def close(self) -> None:
        if self._open is not None:
            self._open[1].close()


def pushed(data: bytes, id: str) -> bytes:
    """A message in the envelope of a push."""
    message = {"data": base64.b64encode(data).decode(), "messageId": id, "attributes": {}}
    return json.dumps({"message": message, "subscription": "bench"}).encode()


def start_of(session: str, program: str, input: int) -> bytes:
    body = {"program": program, "input": input}
    return json.dumps({"version": 1, "session": session, "kind": "start", "body": body}).encode()


class Pushes(asyncio.DatagramProtocol):
    """Posts every wake that it is told of, to the instances in turn, and notes which sessions have ended."""

    def __init__(self, ports: list[int]) -> None:
        self._turns = itertools.cycle([(port, list[Connection]()) for port in ports])
        self._all: list[Connection] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count(1)
        self._ends: dict[str, asyncio.Future[None]] = {}

    async def play(self, session: str, length: int) -> None:
        """Start a chain, and return when it has ended."""
        self._ends[session] = asyncio.get_running_loop().create_future()
        self._push(start_of(session, "chain", length))
        async with asyncio.timeout(PATIENCE):
            await self._ends[session]
        del self._ends[session]

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if data[:1] == b"w":
            self._push(data[1:])
        elif (end := self._ends.get(data[1:].decode())) and not end.done():
            end.set_result(None)

    def _push(self, data: bytes) -> None:
        task = asyncio.get_running_loop().create_task(self._post(pushed(data, str(next(self._numbers)))))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _post(self, body: bytes) -> None:
        port, idle = next(self._turns)
        connection = idle.pop() if idle else self._opened(port)
        try:
            status = await connection.post(body)
        except (OSError, EOFError) as exc:
            return self._fail(str(exc))
        idle.append(connection)
        if status != 204:
            self._fail(f"an instance answered {status}")

    def _fail(self, why: str) -> None:
        for end in self._ends.values():
            if not end.done():
                end.set_exception(RuntimeError(why))

    def _opened(self, port: int) -> Connection:
        self._all.append(Connection(port))
        return self._all[-1]

    async def close(self) -> None:
        """Wait for the answers that are due, and let go of the connections."""
        await asyncio.gather(*self._tasks)
        for connection in self._all:
            connection.close()


@dataclass(frozen=True, slots=True)
class Run:
    """What came of a load: steps that were published, the seconds they took, and what the instances noted."""

    steps: int
    seconds: float
    requests: Mapping[str, int]
    waited: Mapping[str, float]
    notes: tuple[Mapping[str, Any], ...]

    @property
    def rate(self) -> float:
        return self.steps / self.seconds


class Instances:
    """So many processes of `advance`, with these many steps per wake."""

    def __init__(self, cloud: Cloud, folder: Path, count: int, steps_per_wake: int) -> None:
        self.folder = folder
        self.names = [f"{steps_per_wake}-{number}" for number in range(count)]
        self.functions = [Function("advance", self.folder / f"{name}.log") for name in self.names]
        said = {"ONWARD_APP": APP, "ONWARD_SESSIONS_TOPIC": WAKES, "ONWARD_EVENTS_TOPIC": EVENTS}
        said |= {"ONWARD_STEPS_PER_WAKE": str(steps_per_wake), "BENCH_FOLDER": str(self.folder)}
        self._environment = cloud.environment | said
        self._relay = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._relay.bind(("127.0.0.1", 0))
        self._runs = itertools.count()

    def start(self) -> None:
        """Start them, and have each make its connections."""
        for name, function in zip(self.names, self.functions, strict=True):
            told = {"BENCH_NAME": name, "BENCH_RELAY": str(self._relay.getsockname()[1])}
            function.start(self._environment | told)
        for number in range(len(self.functions)):
            self._played(slice(number, number + 1), sessions=8, at_once=8, length=10)

    def close(self) -> None:
        for function in self.functions:
            function.close()
        self._relay.close()

    def run(self, count: int, *, sessions: int, at_once: int, length: int, sampling: bool = False) -> Run:
        """Play so many chains on the first `count` of them."""
        used = slice(0, count)
        for name in self.names[used]:
            ask(self.folder, name, sampling)
        seconds = self._played(used, sessions, at_once, length)
        notes = tuple(ask(self.folder, name) for name in self.names[used])
        requests, waited = (sum((Counter(note[part]) for note in notes), Counter()) for part in ("requests", "seconds"))
        steps = sum(note["steps"] for note in notes)
        return Run(steps, seconds, requests, waited, notes)

    def _played(self, used: slice, sessions: int, at_once: int, length: int) -> float:
        try:
            return asyncio.run(self._play(used, sessions, at_once, length))
        except (RuntimeError, TimeoutError, OSError) as exc:
            raise RuntimeError("\n".join(function.said() for function in self.functions[used])) from exc

    async def _play(self, used: slice, sessions: int, at_once: int, length: int) -> float:
        ports = [urlsplit(function.url).port or 0 for function in self.functions[used]]
        loop, room, run = asyncio.get_running_loop(), asyncio.Semaphore(at_once), next(self._runs)
        transport, pushes = await loop.create_datagram_endpoint(lambda: Pushes(ports), sock=self._relay.dup())

        async def one(number: int) -> None:
            async with room:
                await pushes.play(f"{self.names[0]}-{run}-{number}", length)

        began = time.perf_counter()
        await asyncio.gather(*(one(number) for number in range(sessions)))
        seconds = time.perf_counter() - began
        await pushes.close()
        transport.close()
        return seconds


def make_topics(cloud: Cloud) -> None:
    """Those that the measured instances publish to. Nobody subscribes to them."""
    for name in (WAKES, EVENTS):
        cloud.pubsub.make_topic(cloud.topic(name))


@contextmanager
def instances(cloud: Cloud, count: int, steps_per_wake: int) -> Iterator[Instances]:
    """So many, until the end of the block."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        made = Instances(cloud, Path(folder), count, steps_per_wake)
        try:
            made.start()
            yield made
        finally:
            made.close()
