"""The fault matrix: every scripted session, interrupted at every call to the outside, in every way.

First an undisturbed run counts and names the calls; then each call meets each fault that fits it, in a run of its own.
A process does nothing between two calls, so what happens before one happens after the one before it too: the longer
faults are made before a call only where that is an effect.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from onward.core.lease import TTL
from onward.testing import faults
from onward.testing.faults import Delayed, Doubled, Dropped, Plan, Process, Redelivered, Reordered
from onward.wiring import Policy
from tests.faults.invariants import Run, differences
from tests.faults.scenarios import Scenario
from tests.faults.places import Memory
from tests.faults.world import World
from tests.ledger import Ledger

_runs = itertools.count(1)


@dataclass(frozen=True)
class Kind:
    """A fault: what happens at the call (`make`, which may use the world), and at which calls it makes sense.

    `sweeping` lets a sweep look after what got lost; `late` redelivers what a dead process took after its lease only.
    """

    name: str
    make: Callable[[], faults.Fault]
    fits: Callable[[str], bool] = lambda name: True
    late: bool = False
    sweeping: bool = False


def _is_message(name: str) -> bool:
    return name in ("wakes.publish", "timers.arm")


def _is_effect(name: str) -> bool:
    return name.startswith(("model.", "tool."))


def _is_commit(name: str) -> bool:
    return name in faults.COMMITS


def _writes(name: str) -> bool:
    return name not in ("store.read", "store.pending", "store.commits", "store.list", "store.overdue", "blobs.get")


async def _visit(process: Process) -> None:
    await World.current.visit(process)


async def _dawdle(process: Process) -> None:
    World.current.clock.advance(TTL - 2)


async def _overtake(process: Process) -> None:
    await World.current.overtake(process)


async def _stop(process: Process) -> None:
    await World.current.stop(process)


KINDS = (
    Kind("killed before", lambda: faults.kill_before),
    Kind("killed after", lambda: faults.kill_after, _writes),
    Kind("killed after, found after the lease", lambda: faults.kill_after, _writes, late=True),
    Kind("error before", lambda: faults.error_before),
    Kind("error after", lambda: faults.error_after, _writes),
    Kind("applied late", lambda: faults.applied_late(1), _is_commit),
    Kind("applied later", lambda: faults.applied_late(2), _is_commit),
    Kind("slow before", lambda: faults.meanwhile_before(_dawdle), lambda name: name == "store.append"),
    Kind("slow after", lambda: faults.meanwhile_after(_dawdle), _is_commit),
    Kind("delivered twice", lambda: faults.twice, _is_message),
    Kind("lost, with the sweep", lambda: faults.lost, _is_message, sweeping=True),
    Kind("visited before", lambda: faults.meanwhile_before(_visit), _is_effect),
    Kind("visited after", lambda: faults.meanwhile_after(_visit)),
    Kind("visited, then killed", lambda: faults.meanwhile_then_kill(_visit)),
    Kind("paused before", lambda: faults.meanwhile_before(_overtake)),
    Kind("paused after", lambda: faults.meanwhile_after(_overtake)),
    Kind("asked to stop before", lambda: faults.meanwhile_before(_stop), _is_effect),
    Kind("asked to stop after", lambda: faults.meanwhile_after(_stop)),
)

TRAVELS: dict[str, Callable[[Any], Any]] = {
    "every message doubled": Doubled,
    "every message late": lambda queue: Delayed(queue, 20.0),
    "newest message first": Reordered,
    "every acknowledgement lost once": Redelivered,
}


@dataclass
class Matrix:
    """What was run so far."""

    runs: int = 0
    sessions: set[str] = field(default_factory=set)
    interrupted: Counter[tuple[str, str]] = field(default_factory=Counter)
    calls: int = 0
    places: Counter[str] = field(default_factory=Counter)

    def count(self, place: str, scenario: str, kind: str, call: str) -> None:
        self.runs += 1
        self.places[place] += 1
        self.sessions.add(scenario)
        self.interrupted[call, kind] += 1

    def __str__(self) -> str:
        kinds = {kind for _, kind in self.interrupted}
        where = ", ".join(f"{runs} on {place}" for place, runs in self.places.items())
        return f"fault matrix: {self.calls} calls x {len(kinds)} faults x {len(self.sessions)} sessions: {self.runs} runs ({where})"


async def play(
    scenario: Scenario,
    ledger: Ledger,
    plan: Plan | None = None,
    *,
    place: Callable[[Any], Any] = Memory,
    **options: Any,
) -> Run:
    """One run of a scenario, to its end."""
    name = f"{scenario.name}/{next(_runs)}"
    world = World(scenario.app, ledger, name, plan, place=place, policy=Policy(scenario.steps_per_wake), **options)
    try:
        await scenario.play(world)
        await world.rest(24 * 400)
        return await _left_behind(world)
    finally:
        await world.close()
        ledger.forget(name)


async def _left_behind(world: World) -> Run:
    head = await world.head()
    assert head is not None
    return Run(
        head=head,
        commits=await world.commits(),
        events=await world.events(),
        ledger=world.outside.ledger.entries(world.outside.run),
        published=frozenset(world.feed.seqs),
        early=world.feed.early,
        needless=world.outside.needless,
        calls=world.plan.calls,
    )


def plays(scenario: Scenario, calls: list[str]) -> Iterator[tuple[int, Kind]]:
    """Every call (from 1) with every fault that fits it."""
    for at, name in enumerate(calls, start=1):
        for kind in KINDS:
            if kind.fits(name):
                yield at, kind


async def disturbed(scenario: Scenario, ledger: Ledger, calm: Run, at: int, kind: Kind, **options: Any) -> list[str]:
    """The complaints about one run whose `at`-th call meets this fault."""
    plan = Plan({at: kind.make()})
    try:
        run = await play(scenario, ledger, plan, late=kind.late, sweeping=kind.sweeping, **options)
    except Exception as exc:
        return [f"{type(exc).__name__}: {exc}"]
    return differences(run, calm, scenario.ignore)


@contextmanager
def quiet() -> Iterator[None]:
    """The engine warns of every fault it meets; thousands of them are no news."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def run(coroutine: Any) -> Any:
    return asyncio.run(coroutine)


__all__ = ["KINDS", "TRAVELS", "Dropped", "Kind", "Matrix", "disturbed", "play", "plays", "quiet", "run"]
