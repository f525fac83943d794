"""Leases and wakes between real processes on one file. Run as a program, this module is such a process."""

import asyncio
import contextlib
import math
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import onward
from onward.adapters.local.clock import SystemClock
from onward.adapters.local.sqlite import SqliteBackend
from onward.core.lease import TTL, Busy, Later
from onward.core.log import verify
from onward.errors import LeaseLost
from onward.ports import Lease, Query, Wake
from onward.testing.contracts.story import append_of, begin, claimed

SHORT = 0.3
"""A time to live that a test can wait for."""

EVERYTHING = Query(limit=1000)

SESSIONS = 4
APPENDS = 60


# --- what a child process does -------------------------------------------------------------------------------------


def say(word: object) -> None:
    print(word, flush=True)


async def step(backend: SqliteBackend, key: str, note: str, until: float = math.inf, wake: Wake | None = None) -> bool:
    """Claim and append once, if nobody else holds the session and it is not yet at the seq `until`."""
    lease = await backend.store.claim(key, f"{backend.process}:{note}")
    if not isinstance(lease, Lease):
        await asyncio.sleep(0.0005)
        return False
    if lease.head.seq >= until:
        await backend.store.release(lease)
        return False
    await backend.store.append(lease, append_of(lease, note, release=True, wake=wake))
    return True


async def contend(backend: SqliteBackend, *keys: str) -> None:
    """Append to the same sessions as others do, and tell how often."""

    async def work(key: str) -> int:
        done = 0
        while done < APPENDS:
            done += await step(backend, key, f"{backend.process}-{done}")
        return done

    say(sum(await asyncio.gather(*(work(key) for key in keys))))


async def hold(backend: SqliteBackend, key: str) -> None:
    """Take a wake and the lease, say so, then append once told to."""
    deliveries = await backend.queue.take(10)
    lease = await claimed(backend.store, key, f"{backend.process}:1")
    say(len(deliveries))
    await asyncio.to_thread(sys.stdin.readline)
    try:
        await backend.store.append(lease, append_of(lease, "late"))
    except LeaseLost:
        say("LeaseLost")
    else:
        say("appended")


async def work(backend: SqliteBackend, until: str) -> None:
    """Work as a worker does, until every session is at this seq; say how many steps that took."""
    steps = 0

    async def handle(delivery: Any) -> int:
        key = delivery.wake.key
        moved = await step(backend, key, "w", int(until), Wake(key))
        head = await backend.store.read(key)
        assert head is not None
        if moved or head.seq >= int(until):
            await backend.queue.done(delivery)
        else:
            await backend.queue.put_back(delivery, 0.01)
        return int(moved)

    while lagging := [head for head in await backend.store.list(EVERYTHING) if head.seq < int(until)]:
        deliveries = await backend.queue.take(8)
        steps += sum(await asyncio.gather(*(handle(delivery) for delivery in deliveries)))
        if not deliveries and lagging:
            await backend.queue.wait(0.05)
    say(steps)


ROLES: dict[str, Callable[..., Any]] = {"contend": contend, "hold": hold, "work": work}


async def main(role: str, path: str, ttl: str, *args: str) -> None:
    backend = SqliteBackend.open(path, SystemClock(), float(ttl))
    try:
        await ROLES[role](backend, *args)
    finally:
        await backend.close()


# --- the tests -----------------------------------------------------------------------------------------------------


class Child:
    """A process in a role."""

    def __init__(self, role: str, path: Path, ttl: float, *args: str) -> None:
        library = Path(onward.__file__).parents[1]
        command = [sys.executable, "-W", "error", __file__, role, str(path), str(ttl), *args]
        environment = os.environ | {"PYTHONPATH": str(library)}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)

    async def hears(self) -> str:
        assert self.process.stdout is not None
        return (await asyncio.to_thread(self.process.stdout.readline)).strip()

    def tell(self, word: str = "") -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()

    async def kill(self) -> None:
        self.process.kill()
        await asyncio.to_thread(self.process.wait)

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "onward.db"


@pytest.fixture
def child(path: Path) -> Iterator[Callable[..., Child]]:
    children: list[Child] = []

    def start(role: str, *args: str, ttl: float = TTL) -> Child:
        children.append(Child(role, path, ttl, *args))
        return children[-1]

    yield start
    for one in children:
        one.close()


@pytest.fixture
async def backend(path: Path) -> AsyncIterator[SqliteBackend]:
    backend = SqliteBackend.open(path, SystemClock(), SHORT)
    yield backend
    await backend.close()


async def test_s4_no_seq_is_appended_twice(backend: SqliteBackend, child: Callable[..., Child]) -> None:
    keys = [await begin(backend.store, f"s{n}") for n in range(SESSIONS)]
    children = [child("contend", *keys) for _ in range(2)]
    counts = [int(await one.hears()) for one in children]
    assert counts == [SESSIONS * APPENDS] * 2
    for key in keys:
        head = await backend.store.read(key)
        assert head is not None
        assert verify(await backend.store.commits(key), head.hash) == (1 + 2 * APPENDS, head.hash)


async def test_s5_a_killed_holder_is_known_to_be_dead(backend: SqliteBackend, child: Callable[..., Child]) -> None:
    """Its lease would last for a minute and more, and its wake is taken all the same."""
    key = await begin(backend.store)
    backend = SqliteBackend.open(backend.database.path, SystemClock(), TTL)
    try:
        holder = child("hold", key)
        assert await holder.hears() == "1"
        assert isinstance(await backend.store.claim(key, f"{backend.process}:1"), Busy)
        await holder.kill()
        (delivery,) = await backend.queue.take(10)
        assert delivery.wake == Wake(key)
        lease = await backend.store.claim(key, f"{backend.process}:1")
        if isinstance(lease, Later):  # the back-off after a stall
            await asyncio.sleep(lease.wait)
            lease = await backend.store.claim(key, f"{backend.process}:1")
        assert isinstance(lease, Lease)
        assert (lease.epoch, lease.stalls) == (2, 1)
    finally:
        await backend.close()


async def test_s5_a_holder_paused_past_its_time_appends_nothing(
    backend: SqliteBackend, child: Callable[..., Child]
) -> None:
    key = await begin(backend.store)
    holder = child("hold", key, ttl=SHORT)
    assert await holder.hears() == "1"
    holder.process.send_signal(signal.SIGSTOP)
    while not isinstance(lease := await backend.store.claim(key, f"{backend.process}:1"), Lease):
        await asyncio.sleep(0.02)
    append = append_of(lease, "mine")
    await backend.store.append(lease, append)
    holder.tell()
    holder.process.send_signal(signal.SIGCONT)
    assert await holder.hears() == "LeaseLost"
    assert verify(await backend.store.commits(key)) == (2, append.commit.hash)


async def test_w1_two_workers_share_the_work_and_lose_none(backend: SqliteBackend, child: Callable[..., Child]) -> None:
    keys = [await begin(backend.store, f"s{n}") for n in range(40)]
    workers = [child("work", "6") for _ in range(2)]
    steps = [int(await worker.hears()) for worker in workers]
    assert sum(steps) == 40 * 5
    for key in keys:
        assert verify(await backend.store.commits(key))[0] == 6


async def test_w1_what_a_killed_worker_had_is_done_by_another(
    backend: SqliteBackend, child: Callable[..., Child]
) -> None:
    keys = [await begin(backend.store, f"s{n}") for n in range(40)]
    first = child("work", "1000000")
    while (head := await backend.store.read(keys[0])) is None or head.seq < 3:
        await asyncio.sleep(0.005)
    await first.kill()
    seqs = [head.seq for head in await backend.store.list(EVERYTHING)]
    second = child("work", str(max(seqs) + 3))
    assert int(await second.hears()) == sum(max(seqs) + 3 - seq for seq in seqs)
    for key in keys:
        assert verify(await backend.store.commits(key))[0] == max(seqs) + 3


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
