"""W1 under every order of events: two processes on one file publish, take, finish, put back, and die."""

import asyncio
import tempfile
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onward.adapters.local.sqlite import SqliteBackend
from onward.ports import Wake
from onward.testing.clock import ManualClock
from onward.testing.contracts.story import append_of, begin, claimed, signal

KEYS = [0, 1]
PROCESSES = [0, 1]
process, key, look = st.sampled_from(PROCESSES), st.sampled_from(KEYS), st.booleans()
step = st.one_of(
    st.tuples(st.just("publish"), process, key, look),
    st.tuples(st.just("append"), process, key, look),
    st.tuples(st.just("file"), process, key),
    st.tuples(st.just("arm"), process, key, st.sampled_from([0.0, 0.1, 1.0])),
    st.tuples(st.just("take"), process, st.sampled_from([1, 10])),
    st.tuples(st.just("done"), process),
    st.tuples(st.just("put_back"), process, st.sampled_from([0.0, 1.0])),
    st.tuples(st.just("die"), process),
    st.tuples(st.just("advance"), st.sampled_from([0.001, 0.3, 3.0])),
)


@dataclass
class World:
    """Two processes, what each has under way, and when each session was last called and last looked at."""

    path: Path
    clock: ManualClock = field(default_factory=ManualClock)
    now: int = 0
    backends: list[SqliteBackend] = field(default_factory=list)
    under_way: list[list[Any]] = field(default_factory=lambda: [[], []])
    begun: dict[int, int] = field(default_factory=dict)
    dead: list[SqliteBackend] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    called: dict[tuple[str, bool], int] = field(default_factory=dict)
    answered: dict[tuple[str, bool], int] = field(default_factory=dict)

    async def open(self) -> None:
        self.backends = [SqliteBackend.open(self.path, self.clock) for _ in PROCESSES]
        self.keys = [await begin(self.backends[0].store, f"s{n}") for n in KEYS]
        for key in self.keys:
            self.call(key, False)

    async def close(self) -> None:
        for backend in (*self.backends, *self.dead):
            await backend.close()

    def call(self, key: str, look: bool) -> None:
        self.called[key, False] = self.now
        if look:
            self.called[key, True] = self.now

    async def do(self, name: str, *args: Any) -> None:
        self.now += 1
        await getattr(self, name)(*args)

    async def publish(self, process: int, key: int, look: bool) -> None:
        await self.backends[process].queue.publish(Wake(self.keys[key], look))
        self.call(self.keys[key], look)

    async def append(self, process: int, key: int, look: bool) -> None:
        store = self.backends[process].store
        lease = await claimed(store, self.keys[key], f"{self.backends[process].process}:{self.now}")
        await store.append(lease, append_of(lease, f"n{self.now}", release=True, wake=Wake(lease.key, look)))
        self.call(self.keys[key], look)

    async def file(self, process: int, key: int) -> None:
        await self.backends[process].store.file(self.keys[key], signal(f"s{self.now}"))
        self.call(self.keys[key], True)

    async def arm(self, process: int, key: int, delay: float) -> None:
        await self.backends[process].queue.arm(self.keys[key], self.clock.now() + timedelta(seconds=delay))
        self.call(self.keys[key], True)

    async def take(self, process: int, limit: int) -> None:
        deliveries = await self.backends[process].queue.take(limit)
        keys = [delivery.wake.key for delivery in (*self.under_way[process], *deliveries)]
        assert len(keys) == len(set(keys)), "one delivery of a session at a time"
        self.under_way[process] += deliveries
        self.begun |= {id(delivery): self.now for delivery in deliveries}

    async def done(self, process: int) -> None:
        if self.under_way[process]:
            delivery = self.under_way[process].pop(0)
            for look in {False, delivery.wake.look}:
                what = (delivery.wake.key, look)
                self.answered[what] = max(self.begun[id(delivery)], self.answered.get(what, 0))
            await self.backends[process].queue.done(delivery)

    async def put_back(self, process: int, delay: float) -> None:
        if self.under_way[process]:
            await self.backends[process].queue.put_back(self.under_way[process].pop(0), delay)

    async def die(self, process: int) -> None:
        """Nothing is closed; another process starts in its place."""
        self.backends[process].database.holders.abandon()
        self.dead.append(self.backends[process])
        self.backends[process] = SqliteBackend.open(self.path, self.clock)
        self.under_way[process] = []

    async def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    async def settle(self) -> None:
        """Both go on working until nothing comes any more."""
        for _ in range(4):
            for process in PROCESSES:
                await self.do("take", process, 100)
                while self.under_way[process]:
                    await self.do("done", process)
            self.clock.advance(3.0)


async def rows(backend: SqliteBackend) -> list[Any]:
    return await backend.database.write(lambda c: c.execute("SELECT * FROM wakes").fetchall(), durable=False)


async def play(steps: list[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        world = World(Path(directory) / "onward.db")
        await world.open()
        try:
            for name, *args in steps:
                await world.do(name, *args)
            await world.settle()
            for what, at in world.called.items():
                assert world.answered.get(what, -1) >= at, (what, "was called and nobody came")
            left = [await rows(backend) for backend in world.backends]  # and all is written that was handed in
            left = [await rows(backend) for backend in world.backends]
            assert left == [[], []]
        finally:
            await world.close()


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(step, max_size=25))
def test_w1_no_wake_is_lost_in_any_order_of_events(steps: list[tuple[Any, ...]]) -> None:
    asyncio.run(play(steps))
