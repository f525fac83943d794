"""A step's time: nothing is begun at its end, and what was begun keeps its lease until then."""

from __future__ import annotations

from datetime import UTC, datetime

from onward.core.head import Head
from onward.engine.hold import Hold
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
