"""Processes whose clocks are wrong by minutes, this way and that, taking turns on the same sessions. What is due, and
who holds what, is for the store's clock to say (R3, G8)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from onward.core.lease import MARGIN, TTL
from onward.errors import LeaseLost
from onward.ports import Wake
from onward.testing import faults
from onward.testing.faults import Fault, Plan
from onward.testing.runner import AutoClock
from tests.faults import checks, checks_of_wakes
from tests.faults.desk import desk, turn
from tests.faults.invariants import differences
from tests.faults.matrix import KINDS, disturbed, play
from tests.faults.places import Firestore
from tests.faults.scenarios import ORDER, REFUND, SCENARIOS
from tests.faults.world import KEY, World
from tests.ledger import Ledger

OFF = timedelta(minutes=7)
CHECKS = (
    checks.g8_filing_time_decides_a_race_with_the_timeout,
    checks.g8_one_decision_wins,
    checks.g13_step_that_kills_its_process_is_parked,
    checks_of_wakes.g10_one_timer_for_one_time,
)
SESSIONS = ("approvals_time_out", "asleep", "delayed_start", "paused", "child_asks", "irreversible", "polled")


class Wrong:
    """A process's own clock: minutes ahead or behind, and its machine was started at some other time."""

    def __init__(self, clock: AutoClock, off: timedelta) -> None:
        self._clock = clock
        self._off = off

    def now(self) -> datetime:
        return self._clock.now() + self._off

    def monotonic(self) -> float:
        return self._clock.monotonic() + 1e6 * self._off.total_seconds()

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)


def clocks(clock: AutoClock, number: int) -> Wrong:
    """Every other process's clock is ahead."""
    return Wrong(clock, -OFF if number % 2 else OFF)


@pytest.fixture
def wrong(firestore: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Worlds on Firestore in which every clock but the store's is wrong; also those of `checks`."""
    options = {"place": lambda clock: Firestore(firestore, clock), "clocks": clocks}
    monkeypatch.setattr(checks, "world", lambda *given: World(*_of_a_check(*given), **options))
    return options


def _of_a_check(ledger: Ledger, app: Any, plan: Plan | None = None) -> tuple[Any, ...]:
    return app, ledger, f"clocks/{next(checks._runs)}", plan


class Losses:
    """A store that notes which leases were lost."""

    def __init__(self, real: Any, lost: list[str]) -> None:
        self._real = real
        self._lost = lost

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def append(self, *given: Any) -> Any:
        try:
            return await self._real.append(*given)
        except LeaseLost as exc:
            self._lost.append(str(exc))
            raise


class _AtEach(Plan):
    """A fault after each call to the world outside."""

    def __init__(self, fault: Fault) -> None:
        super().__init__()
        self._fault = fault

    def next(self, name: str) -> Fault | None:
        super().next(name)
        return self._fault if name.startswith(("model.", "tool.")) else None


async def _visit(process: Any) -> None:
    """Two others come by: one whose clock is ahead, one whose clock is behind."""
    for _ in range(2):
        await World.current.visit(process)


async def test_r3_nobody_takes_what_is_held(ledger: Ledger, wrong: dict[str, Any]) -> None:
    """To a clock that is seven minutes ahead, every lease would have lapsed long ago."""
    lost: list[str] = []
    app = desk(turn(("find_order", ORDER), ("refund", REFUND)), turn(("set_address", ORDER | {"street": "Elm Street"})))
    plan = _AtEach(faults.meanwhile_after(_visit))
    world = World(app, ledger, "held", plan, store=lambda real: Losses(real, lost), **wrong)
    await world.start("desk")
    await world.rest()
    head, calls = await world.head(), world.plan.calls
    await world.close()
    assert head is not None
    assert head.status == "completed"
    assert "store.mark" in calls
    assert lost == []


@pytest.mark.parametrize("first", [0, 1])
async def test_r4_who_is_found_dead_is_followed_when_the_lease_ends(
    first: int, ledger: Ledger, wrong: dict[str, Any]
) -> None:
    """Not seven minutes later, and nobody asks again and again until then."""
    world = World(desk(turn(("refund", REFUND))), ledger, "dead", **wrong)
    await world.start("desk")
    began = world.clock.monotonic()
    await world.watcher.store.claim(KEY, "somebody who dies")
    visitors = [world.process("visitor") for _ in range(4)]
    await visitors[first].runner.parts.engine.advance(Wake(KEY, look=True))
    due = world.watcher.queue.next_due()
    while (await world.head()).status != "completed":  # type: ignore[union-attr]
        for visitor in visitors:
            await visitor.finish(TTL + 2 * MARGIN)
    claims = world.plan.calls.count("store.claim")
    took = world.clock.monotonic() - began
    await world.close()
    assert due is not None
    assert TTL <= took < TTL + 60
    assert claims < 25


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_what_is_promised_holds(check: Callable[[Ledger], Any], ledger: Ledger, wrong: dict[str, Any]) -> None:
    assert not await check(ledger)


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize("name", SESSIONS)
async def test_sessions_come_to_the_same(name: str, ledger: Ledger, wrong: dict[str, Any]) -> None:
    """What happens, and when, is as where every clock is right; also where processes die, sleep, and come by."""
    scenario = SCENARIOS[name]
    calm, run = await play(scenario, ledger), await play(scenario, ledger, **wrong)
    complaints = differences(run, calm, scenario.ignore)
    assert times(run)[1:] == times(calm)[1:], "but for the start, whose time is that of who started it"
    for at, name in enumerate(calm.calls, start=1):
        if name in ("store.append", "model.answer"):
            for kind in KINDS:
                if kind.name in ("visited, then killed", "paused after"):
                    complaints += await disturbed(scenario, ledger, calm, at, kind, **wrong)
    assert not complaints


def times(run: Any) -> list[datetime]:
    return [event.at for event in run.events]
