"""A step's time: nothing is begun at its end, and what was begun keeps its lease until then."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, cast

from onward.core.head import Head
from onward.engine.hold import Hold
from onward.errors import LeaseLost
from onward.ports import Lease
from onward.testing.clock import ManualClock

AT = datetime(2026, 1, 2, tzinfo=UTC)
HEAD = Head("a" * 32, "default", "s", "desk", "1", "running", 1, "h" * 64, 1, AT, AT)


def test_r10_nothing_is_begun_in_the_reserve_of_a_step_and_its_lease_is_renewed_to_the_end() -> None:
    clock = ManualClock()
    hold = Hold(Lease(HEAD.key, 1, "o", HEAD, AT, clock.monotonic()), clock, ttl=90.0, budget=540.0, reserve=130.0)
    told = []
    for _ in range(6):
        told.append((hold.spent, hold.renewable(after=45.0)))
        clock.advance(109.0)
    assert told == [(False, False), *[(False, True)] * 3, (True, True), (True, False)]


class Lapsed:
    """A store that has given the lease to somebody else."""

    asked = 0

    async def renew(self, lease: Lease) -> Lease:
        self.asked += 1
        raise LeaseLost("it was taken")


def test_r2_a_lease_that_is_lost_is_not_renewed_again() -> None:
    clock, store = ManualClock(), Lapsed()
    hold = Hold(Lease(HEAD.key, 1, "o", HEAD, AT, clock.monotonic()), clock, ttl=90.0, budget=540.0)
    clock.advance(60.0)
    assert hold.renewable(after=45.0)
    with asyncio.Runner() as runner:
        hold.renew(cast(Any, store), runner.get_loop())
    assert (store.asked, hold.renewable(after=45.0)) == (1, False)
