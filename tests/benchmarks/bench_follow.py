"""Following sessions: many readers of one, a reader each of many, and one that takes nothing.

The server is a process of its own, the readers are this one; sockets are real. A time is that from the end of a commit
in the server to the arrival of its bytes here: what this process takes to see them is part of it.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SERVER = Path(__file__).parent / "follow_server.py"
ROOT = SERVER.parents[2]
WARM = 8
"""Readers that come before memory is looked at."""

_ID = re.compile(rb"^id: (\d+)$", re.M)
Figures = dict[str, float]


def _request(session: str) -> bytes:
    return f"GET /v1/sessions/{session}/events HTTP/1.1\r\nHost: here\r\nAccept: text/event-stream\r\n\r\n".encode()


class Reader(asyncio.Protocol):
    """One stream: when each event came."""

    def __init__(self, session: str) -> None:
        self.session, self.came = session, dict[int, float]()
        self.begun = asyncio.get_running_loop().create_future()
        self._rest = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(_request(self.session))

    def data_received(self, data: bytes) -> None:
        now, whole = time.monotonic(), self._rest + data
        self._rest = whole[whole.rfind(b"\n") + 1 :][:32]
        for seq in _ID.findall(whole):
            self.came.setdefault(int(seq), now)
        if self.came and not self.begun.done():
            self.begun.set_result(None)


class Served:
    """The server's process, told what to do."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self._process, place = process, urlsplit(url)
        self._at = (place.hostname or "", place.port or 0)

    async def tell(self, do: str, **said: Any) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **said}).encode() + b"\n")
        return await _line(self._process)

    async def follow(self, sessions: list[str]) -> list[Reader]:
        """A reader for each of these, once it has what there is."""
        loop, found = asyncio.get_running_loop(), list[Reader]()
        for session in sessions:
            _, reader = await loop.create_connection(lambda id=session: Reader(id), *self._at)  # type: ignore[misc]
            await reader.begun
            found.append(reader)
        return found

    @contextmanager
    def stalled(self, session: str) -> Iterator[None]:
        """One who follows, and takes next to nothing."""
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.connect(self._at)
            one.sendall(_request(session))
            yield


async def _line(process: asyncio.subprocess.Process) -> Any:
    assert process.stdout is not None
    line = await process.stdout.readline()
    assert line, "the server has ended"
    return json.loads(line)


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[Served]:
    with tempfile.TemporaryDirectory(dir=folder) as room:
        env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'shared'}"}
        command = (sys.executable, str(SERVER), str(Path(room) / "onward.db"))
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "limit": 2**26}
        process = await asyncio.create_subprocess_exec(*command, env=env, **pipes)  # type: ignore[arg-type]
        try:
            yield Served(process, (await _line(process))["url"])
        finally:
            process.kill()
            await process.wait()


async def followed(
    folder: Path, sessions: int, readers: int, *, every: float, times: int, size: int = 200, stalled: bool = False
) -> Figures:
    """Latency in ms, memory for each reader in KiB, and what the store was asked for each commit and while nothing
    happened. Each reader gets every event, or this raises."""
    async with served(folder) as server:
        ids = [f"s{number}" for number in range(sessions)]
        await server.tell("start", sessions=ids)
        warm = await server.follow([ids[0]] * WARM)
        before = await server.tell("uses")
        found = await server.follow([ids[number % sessions] for number in range(readers)])
        after = await server.tell("uses")
        idle = await server.tell("rest", seconds=1.0)
        with ExitStack() as stack:
            if stalled:
                stack.enter_context(server.stalled(ids[0]))
            said = await server.tell("say", sessions=ids, every=every, times=times, size=size)
        latencies = sorted(_latencies(said["committed"], found))
        for reader in [*warm, *found]:
            reader.transport.abort()
    return {
        "median": statistics.median(latencies),
        "p99": latencies[int(len(latencies) * 0.99)],
        "kib": (after["kib"] - before["kib"]) / readers,
        "idle": sum(idle["reads"].values()),
        "reads": sum(said["reads"].values()) / sum(map(len, said["committed"].values())),
    }


def _latencies(committed: dict[str, dict[str, float]], readers: list[Reader]) -> Iterator[float]:
    for reader in readers:
        for seq, at in committed.get(reader.session, {}).items():
            yield (reader.came[int(seq)] - at) * 1000


# --- rows ------------------------------------------------------------------------------------------------------


def row(found: list[float]) -> dict[str, Any]:
    return {"median": statistics.median(found), "min": min(found), "max": max(found), "n": len(found)}


def rows(folder: Path, quick: bool) -> dict[str, dict[str, Any]]:
    """All that is measured, by name of row; quick with a fifth of the readers, and once."""
    readers, times, repeats = (100, 10, 1) if quick else (500, 40, 3)

    def play(name: str, **how: Any) -> dict[str, dict[str, Any]]:
        found = [asyncio.run(followed(folder, readers=readers, **how)) for _ in range(repeats)]
        return {f"{name}_{figure}": row([each[figure] for each in found]) for figure in found[0]}

    one = play("one", sessions=1, every=0.25, times=times)
    many = play("many", sessions=readers, every=0.01, times=25 * times)
    calm = play("calm", sessions=1, every=0.25, times=times, size=32_000)
    stall = play("stall", sessions=1, every=0.25, times=times, size=32_000, stalled=True)
    ratios = [a / b for a, b in zip(stall["stall_p99"]["all"], calm["calm_p99"]["all"], strict=True)]
    return one | many | calm | stall | {"stall_ratio": row(ratios)}


if __name__ == "__main__":
    space = ROOT / "bench-results"
    space.mkdir(exist_ok=True)
    for how in sys.argv[1:] or ("one", "many", "calm", "stall"):
        args: Any = {
            "one": {"sessions": 1, "every": 0.25, "times": 20},
            "many": {"sessions": 500, "every": 0.01, "times": 500},
            "calm": {"sessions": 1, "every": 0.25, "times": 20, "size": 32000},
            "stall": {"sessions": 1, "every": 0.25, "times": 20, "size": 32000, "stalled": True},
        }[how]
        print(how, {k: round(v, 2) for k, v in asyncio.run(followed(space, readers=500, **args)).items()}, flush=True)
