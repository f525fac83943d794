"""The fault matrix (`tests.faults.matrix`), and what is not one fault at one call: see each test."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

import onward.engine
from onward.ports import Blobs, Feed, SessionStore, Timers, Wakes
from onward.testing.faults import Dropped, Fault, Plan
from tests.faults.invariants import Run, differences
from tests.faults.matrix import KINDS, MATRIX, TRAVELS, WHOLE, Report, play, quiet, sampled, whole
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.ledger import Ledger

PORTS: dict[str, type] = {"store": SessionStore, "blobs": Blobs, "wakes": Wakes, "timers": Timers, "feed": Feed}
SEED = 20260105
FEW = 300 if WHOLE else 100
"""Runs with several faults at random calls."""

PROCESSES = 2


@pytest.fixture(scope="module")
def work(request: pytest.FixtureRequest, ledger: Ledger) -> Iterator[dict[str, Future[Any]]]:
    """What the chosen tests will ask for, begun at once in processes beside this one."""
    chosen = [item.callspec.id for item in request.session.items if hasattr(item, "callspec") and "matrix" in item.name]
    pool = ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn"))
    try:
        futures: dict[str, Future[Any]] = {}
        for name in chosen:
            if name in SCENARIOS:
                futures[name] = pool.submit(whole, name, ledger.address)
            else:
                part = int(name.rpartition(" ")[2])
                futures[name] = pool.submit(sampled, part, PROCESSES, ledger.address)
        yield futures
    finally:
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("name", SCENARIOS)
def test_matrix_in_memory(name: str, work: dict[str, Future[Report]]) -> None:
    """G1 to G8, G13: whatever happens at whatever call, the session comes to the same, and so does the world."""
    report = work[name].result()
    MATRIX.add(report)
    assert not report.complaints


@pytest.mark.parametrize("part", [f"part {part}" for part in range(PROCESSES)])
def test_matrix_on_sqlite(part: str, work: dict[str, Future[list[Report]]]) -> None:
    """The same on one file, where the dead are known to be dead, or else only by their lease."""
    complaints = []
    for report in work[part].result():
        MATRIX.add(report)
        complaints += report.complaints
    assert not complaints


def test_matrix_missed_no_call() -> None:
    """Every call that the engine can make to a port was interrupted, in every way that fits it."""
    if not (MATRIX.has_all("memory") and MATRIX.has_all("SQLite")):
        pytest.skip("only a part of the matrix was run")
    made = {call for calls in MATRIX.calls.values() for call in calls}
    assert calls_in_source() - made == ELSEWHERE
    assert not MATRIX.missing("memory", "SQLite")


ELSEWHERE = {"store.renew", "store.fill"}
"""Renewals are made by a thread, in real time: tests/faults/test_guarantees.py interrupts them. Logs are filled only by
imports, which no step makes: tests/unit/test_porting.py interrupts those."""


def calls_in_source() -> set[str]:
    """What the engine's source says it calls of the ports."""
    source = "".join(path.read_text() for path in Path(onward.engine.__path__[0]).glob("*.py"))
    found = set(re.findall(r"\b_?(store|blobs|wakes|timers|feed)\.(\w+)\(", source))
    return {f"{port}.{method}" for port, method in found if hasattr(PORTS[port], method)}


@pytest.fixture(scope="module")
def calm_runs() -> dict[tuple[str, int], Run]:
    """Runs that nothing happened to, by session and steps per wake."""
    return {}


def undisturbed_once(scenario: Scenario, ledger: Ledger, known: dict[tuple[str, int], Run]) -> Run:
    key = scenario.name, scenario.steps_per_wake
    if key not in known:
        known[key] = asyncio.run(play(scenario, ledger))
    return known[key]


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize("travel", [*TRAVELS, "nothing but the sweep"])
@pytest.mark.parametrize("steps", [1, 100])
def test_g5_messages_travel_as_they_like(
    travel: str, steps: int, ledger: Ledger, calm_runs: dict[tuple[str, int], Run]
) -> None:
    """With the sweep off, doubled, late and reordered messages change nothing; without messages, the sweep suffices."""
    only_sweep = travel not in TRAVELS
    for scenario in SCENARIOS.values():
        other = replace(scenario, steps_per_wake=steps)
        calm = undisturbed_once(other, ledger, calm_runs)
        run = asyncio.run(play(other, ledger, travel=Dropped if only_sweep else TRAVELS[travel], sweeping=only_sweep))
        assert not differences(run, calm, scenario.ignore, lossy=only_sweep), scenario.name


@pytest.mark.parametrize("steps", [1, 100])
def test_g6_several_faults_in_one_run(steps: int, ledger: Ledger) -> None:
    """Two to five faults, at calls drawn by lot: also those that are made only because of a fault."""
    lot = random.Random(SEED + steps)
    with quiet():
        complaints = asyncio.run(_draw(lot, steps, ledger))
    assert not complaints


async def _draw(lot: random.Random, steps: int, ledger: Ledger) -> list[str]:
    complaints: list[str] = []
    calm: dict[str, Any] = {}
    for _ in range(FEW):
        scenario = replace(lot.choice(list(SCENARIOS.values())), steps_per_wake=steps)
        known = calm.get(scenario.name) or await play(scenario, ledger)
        calm[scenario.name] = known
        plan = _Lots(lot, len(known.calls))
        run = await play(scenario, ledger, plan, late=lot.random() < 0.3)
        complaints += [f"{scenario.name}: {plan.met}: {no}" for no in differences(run, known, scenario.ignore)]
    return complaints


class _Lots(Plan):
    """A plan that says at random calls what happens, if it fits the call that is made."""

    def __init__(self, lot: random.Random, calls: int) -> None:
        super().__init__()
        kinds = [kind for kind in KINDS if not kind.sweeping]
        self._kinds = {lot.randint(1, calls * 3 // 2): lot.choice(kinds) for _ in range(lot.randint(2, 5))}
        self.met: list[tuple[int, str, str]] = []

    def next(self, name: str) -> Fault | None:
        self.calls.append(name)
        kind = self._kinds.get(len(self.calls))
        if kind is None or not kind.fits(name):
            return None
        self.met.append((len(self.calls), name, kind.name))
        return kind.make()
