"""More checks: of how many wakes and timers there are, so that what they come together for ends. See
`tests.faults.checks`."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from inspect import iscoroutinefunction
from random import Random
from typing import Any

from onward import Agent, App, ScriptedModel
from onward.adapters.local.memory import MemoryBackend
from onward.core.lease import Busy
from onward.engine.gateway import Start
from onward.testing.runner import AutoClock, Runner
from tests.faults import checks
from tests.faults.checks import check, expect, world
from tests.faults.desk import desk, turn
from tests.faults.scenarios import REFUND
from tests.faults.world import ANN, KEY, World
from tests.ledger import Ledger

RACES = 5
CROWD = 60


class _Hot:
    """A store whose session goes from holder to holder, so fast that no mark finds the one that it was meant for."""

    def __init__(self, real: Any) -> None:
        self._real, self._epochs = real, iter(range(1, RACES + 1))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def claim(self, *given: Any) -> Any:
        epoch = next(self._epochs, None)
        return await self._real.claim(*given) if epoch is None else Busy(epoch, 1, wait=95.0, marked=False)

    async def mark(self, *given: Any) -> bool:
        return False


@check
async def g5_a_visitor_arms_one_timer(ledger: Ledger) -> list[str]:
    """However often it is turned away: if each race made a timer, a crowd of visitors would grow each time it met."""
    here = world(ledger, desk(), store=_Hot)
    await here.start("desk")
    await here.rest()
    head, armed = await here.head(), here.plan.calls.count("timers.arm")
    await here.close()
    complaints = expect(head is not None and head.ended, f"it is {head and head.status}")
    return complaints + expect(armed == 1, f"one visitor armed {armed} timers in {RACES} races")


class _Slow:
    """A store whose answers take their time, so that who comes at one time is there at one time."""

    def __init__(self, real: Any, chance: Random) -> None:
        self._real, self._chance = real, chance

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        return self._slowly(found) if iscoroutinefunction(found) else found

    def _slowly(self, call: Any) -> Any:
        async def asked(*given: Any, **more: Any) -> Any:
            for _ in range(self._chance.randrange(8)):
                await asyncio.sleep(0)
            return await call(*given, **more)

        return asked


@check
async def g5_a_crowd_of_timers_grows_no_larger(ledger: Ledger) -> list[str]:
    """Many timers of one session come at one time, several times over as messages do, and are in each other's way."""
    clock = AutoClock()
    backend = MemoryBackend(clock)
    backend.store = _Slow(backend.store, Random(7))  # type: ignore[assignment]
    runner = Runner(App([Agent("desk", model=ScriptedModel([{"text": "done"}]))]), backend=backend, clock=clock)
    await runner.parts.gateway.start(Start("s1", "desk", "1", "hello"), ANN)
    await runner.settle()
    for _ in range(CROWD):
        await backend.queue.arm(KEY, clock.now() + timedelta(minutes=10))
    came = []
    while (due := backend.queue.next_due()) and len(came) < 4 * CROWD:
        clock.advance_to(due)
        came.append(await _all_at_once(runner))
    return expect(sum(came) < 4 * CROWD, f"{CROWD} timers came {sum(came)} times: {came}")


async def _all_at_once(runner: Runner) -> int:
    """Deliver what is due now, all of it at one time; how many came."""
    due = await runner.backend.queue.take(10_000)
    await asyncio.gather(*(runner.parts.engine.advance(delivery.wake) for delivery in due))
    for delivery in due:
        await runner.backend.queue.done(delivery)
    return len(due)


@check
async def g10_one_timer_for_one_time(ledger: Ledger) -> list[str]:
    """A session that rests often, always until the same time, does not have a timer for each rest: they would all come
    at once."""
    here = await _asking(ledger)
    before = here.plan.calls.count("timers.arm")
    for number in range(RACES):
        await here.send(f"still there? {number}")
        await here.rest(1.0)
    armed = here.plan.calls.count("timers.arm")
    await here.later(24.0)
    left = await here.head()
    await here.close()
    complaints = expect((before, armed) == (1, 1), f"one timer was wanted, and {armed} were armed")
    return complaints + expect(left is not None and left.ended, "it did not come")


class _Early:
    """A queue whose timers come long before their time: it takes none that is far ahead."""

    def __init__(self, real: Any, at: list[datetime]) -> None:
        self._real, self._at = real, at

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def arm(self, key: str, at: datetime) -> None:
        self._at.append(at)
        await self._real.arm(key, min(at, World.current.clock.now() + timedelta(hours=1)))


@check
async def g10_a_timer_that_comes_early_is_armed_again(ledger: Ledger) -> list[str]:
    """The head says that it is armed, and it is not any more."""
    at: list[datetime] = []
    here = await _asking(ledger, travel=lambda real: _Early(real, at))
    await here.later(24.0)
    head = await here.head()
    await here.close()
    complaints = expect(head is not None and head.ended, "a timer that came early never came again")
    return complaints + expect(len(set(at)) == 1 < len(at), f"armed for {len(set(at))} times")


async def _asking(ledger: Ledger, **options: Any) -> World:
    """A session at rest until somebody decides, or the time for that is over."""
    here = checks.world(ledger, desk(turn(("pay_out", REFUND))), **options)
    await here.start("desk")
    await here.rest(0.1)
    return here
