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
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SERVER = Path(__file__).parent / "follow_server.py"
ROOT = SERVER.parents[2]
IDLE = 1.0
"""Seconds in which nothing happens."""

CALM = 3.0
"""Seconds until a head that is read again and again is read no more often than once a second."""

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
async def served(folder: Path, cloud: Mapping[str, str] | None = None) -> AsyncIterator[Served]:
    """On a file in a folder of its own, or on the cloud of this environment."""
    with tempfile.TemporaryDirectory(dir=folder) as room:
        env = {**os.environ, **(cloud or {}), "PYTHONPATH": f"{ROOT}:{ROOT / 'shared'}"}
        command = (sys.executable, str(SERVER), *([] if cloud else [str(Path(room) / "onward.db")]))
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "limit": 2**26}
        process = await asyncio.create_subprocess_exec(*command, env=env, **pipes)  # type: ignore[arg-type]
        try:
            yield Served(process, (await _line(process))["url"])
        finally:
            process.kill()
            await process.wait()


async def followed(
    folder: Path, sessions: int, readers: int, every: float, times: int, cloud: Mapping[str, str] | None = None
) -> Figures:
    """Latency in ms, memory for each reader in KiB, and what the store was asked for each commit, and each second while
    nothing happened. Raises KeyError where a reader did not get an event."""
    async with served(folder, cloud) as server:
        ids = [f"s{number}" for number in range(sessions)]
        await server.tell("start", sessions=ids)
        warm = await server.follow([ids[0]] * WARM)
        before = await server.tell("uses")
        found = await server.follow([ids[number % sessions] for number in range(readers)])
        after = await server.tell("uses")
        await server.tell("rest", seconds=CALM if cloud else 0)
        idle = await server.tell("rest", seconds=IDLE)
        said = await server.tell("say", sessions=ids, every=every, times=times, size=200)
        for reader in [*warm, *found]:
            reader.transport.abort()
    latencies = sorted(_latencies(said["committed"], found))
    return {
        "median": statistics.median(latencies),
        "p99": _p99(latencies),
        "kib": (after["kib"] - before["kib"]) / readers,
        "idle": sum(idle["reads"].values()) / IDLE,
        "reads": sum(said["reads"].values()) / sum(map(len, said["committed"].values())),
    }


async def stalled(folder: Path, readers: int, every: float, times: int) -> float:
    """What one who takes nothing does to the p99 of the others. With and without take turns, in one process."""
    calm, held = list[float](), list[float]()
    async with served(folder) as server:
        await server.tell("start", sessions=["s"])
        found = await server.follow(["s"] * readers)
        for _ in range(ROUNDS):
            for into, beside in ((calm, nullcontext()), (held, server.stalled("s"))):
                with beside:
                    await server.tell("rest", seconds=0.5)  # one who stalls has taken what it takes
                    said = await server.tell("say", sessions=["s"], every=every, times=times, size=LARGE)
                into += _latencies(said["committed"], found)
        for reader in found:
            reader.transport.abort()
    return _p99(held) / _p99(calm)


def _p99(latencies: list[float]) -> float:
    return sorted(latencies)[int(len(latencies) * 0.99)]


def _latencies(committed: dict[str, dict[str, float]], readers: list[Reader]) -> Iterator[float]:
    for reader in readers:
        for seq, at in committed.get(reader.session, {}).items():
            yield (reader.came[int(seq)] - at) * 1000


# --- rows ------------------------------------------------------------------------------------------------------

READERS, COMMITS, REPEATS = 500, 40, 3
QUICK = (100, 8, 1)
ROUNDS = 4
LARGE = 8000
"""Characters of an event that one who takes nothing holds up the others with, if anything does."""

ROWS = {
    "follow_one_median": ("{readers} readers of one session: commit to reader, median", "ms", None),
    "follow_one_p99": ("... p99", "ms", None),
    "follow_one_kib": ("... memory for each reader", "KiB", None),
    "follow_one_reads": ("... store reads for all of them, each commit", "reads", "<= 2"),
    "follow_one_idle": ("... and each second while nothing happens", "reads", "= 0"),
    "follow_many_median": ("{readers} sessions, a reader each: commit to reader, median", "ms", None),
    "follow_many_p99": ("... p99", "ms", None),
    "follow_many_kib": ("... memory for each reader", "KiB", None),
    "follow_many_reads": ("... store reads, each commit", "reads", "<= 2"),
    "follow_many_idle": ("... and each second while nothing happens", "reads", "= 0"),
    "follow_stalled": ("p99 beside a reader that stalls, to that without", "times", "<= 2"),
}


def measured(folder: Path, quick: bool) -> tuple[int, dict[str, dict[str, Any]]]:
    """How many readers there were, and the figures of every row."""
    readers, commits, repeats = QUICK if quick else (READERS, COMMITS, REPEATS)

    def play(**how: Any) -> list[Figures]:
        return [asyncio.run(followed(folder, readers=readers, **how)) for _ in range(repeats)]

    one = play(sessions=1, every=0.25, times=commits)
    many = play(sessions=readers, every=0.01, times=25 * commits)
    ratios = [asyncio.run(stalled(folder, readers, 0.25, commits // ROUNDS)) for _ in range(repeats)]
    found = {
        f"follow_{name}_{what}": _row([each[what] for each in figures])
        for name, figures in (("one", one), ("many", many))
        for what in figures[0]
    }
    return readers, found | {"follow_stalled": _row(ratios)}


def _row(found: list[float]) -> dict[str, Any]:
    return {"median": statistics.median(found), "min": min(found), "max": max(found), "n": len(found)}
