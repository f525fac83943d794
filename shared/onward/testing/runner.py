"""A world in one thread and virtual time: everything advances until nothing is left to do, in no time at all."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from onward.adapters.local.memory import MemoryBackend
from onward.core.ids import session_key
from onward.core.state import State
from onward.engine.deciding import Registry
from onward.errors import Retryable
from onward.ports import Clock, Post
from onward.wiring import Backend, Parts, Policy, assemble

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


class AutoClock:
    """The Clock port in virtual time. Sleeping moves time on and returns at once."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._elapsed = 0.0
        self._jump = timedelta()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed) + self._jump

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        self._elapsed += seconds

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._elapsed += seconds

    def advance_to(self, at: datetime) -> None:
        self._elapsed += max(0.0, (at - self.now()).total_seconds())

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back; monotonic time does not notice."""
        self._jump += timedelta(seconds=seconds)


def counted_entropy(seed: str = "") -> Callable[[int], bytes]:
    """Bytes that differ at each call and are the same in each run."""
    counter = itertools.count(1)
    return lambda size: f"{seed}{next(counter)}".encode().rjust(size, b"0")[-size:]


class Runner:
    """Runs sessions of one application on one backend, in virtual time.

    `deliver` advances one wake, or runs one errand; `settle` goes on until nothing is due, `finish` lets time pass too,
    up to a limit. `post` is how webhooks are reached.
    """

    def __init__(
        self,
        programs: Registry | None,
        *,
        backend: Backend | None = None,
        clock: Clock | None = None,
        policy: Policy | None = None,
        seed: str = "",
        post: Post | None = None,
    ) -> None:
        self.clock: Any = clock or AutoClock()
        self.backend: Any = backend or MemoryBackend(self.clock)
        self.policy = policy or Policy()
        self._seed = itertools.count(1)
        self._post = post
        self.parts = self.process(programs, seed)

    def process(self, programs: Registry | None, seed: str = "") -> Parts:
        """Another process on the same backend."""
        name = f"{seed}p{next(self._seed)}"
        return assemble(
            self.backend,
            self.clock,
            programs,
            policy=self.policy,
            process=name,
            entropy=counted_entropy(name),
            post=self._post,
        )

    async def deliver(self) -> bool:
        """Advance the oldest wake that is due, else run the oldest errand; False where there is none. A wake that fails
        comes again a second later, an errand after a while."""
        for delivery in await self.backend.queue.take(1):
            try:
                await self.parts.engine.advance(delivery.wake)
            except Retryable:
                await self.backend.queue.put_back(delivery, 1.0)
            else:
                await self.backend.queue.done(delivery)
            return True
        return await self._run_errand()

    async def _run_errand(self) -> bool:
        for errand in await self.backend.queue.take_errands(1):
            with suppress(Retryable):
                await self.parts.teller.run(errand)
                await self.backend.queue.done_errand(errand)
            return True
        return False

    async def settle(self, most: int = 10_000) -> int:
        """Advance everything that is due now. Answers the number of deliveries."""
        for count in range(most):
            if not await self.deliver():
                return count
        raise AssertionError(f"{most} wakes were delivered and it goes on")

    async def finish(self, within: float = 86400.0 * 400) -> None:
        """Advance everything, and let time pass to the next timer, until none is armed or `within` seconds went by."""
        end = self.clock.now() + timedelta(seconds=within)
        while True:
            await self.settle()
            due = self.backend.queue.next_due()
            if due is None or due > end:
                return
            self.clock.advance_to(due)

    async def state(self, id: str, tenant: str = "default") -> State:
        """The state of a session, from its log."""
        head = await self.backend.store.read(session_key(tenant, id))
        assert head is not None, f"no session {id}"
        return await self.parts.loader.load(head)
