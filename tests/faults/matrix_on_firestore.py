"""The fault matrix on Firestore: every fault at every kind of call, in the first session that has it, and in others.

All of it would take half an hour: a run asks the emulator some fifty times. What is played is spread over the sessions
and over their calls, so that each session has its part, and the same in every run. Messages and blobs are in memory;
what is played here is the store.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from onward.testing.runner import AutoClock
from tests.contract.test_firestore_faults import Code, Fault, Interrupted, interrupt
from tests.faults.invariants import differences
from tests.faults.matrix import KINDS, WHOLE, Kind, Report, disturbed, play, plays, quiet, undisturbed
from tests.faults.places import Firestore
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.ledger import Ledger

NAME = "Firestore"
PARTS = 10
"""What is waited for at once is a part, so that each test ends within its time."""

SEED = 20260105
FATES = (Code.UNAVAILABLE, Code.ABORTED, Code.DEADLINE_EXCEEDED, Code.INTERNAL)
SHARE = 7
"""One in so many sessions that have a kind of call plays a fault at it, besides the first. Only where all is played."""

Played = tuple[int, str, Kind]
"""The number of a call, its name, and what it meets."""


@dataclass
class Sample:
    """What is chosen, session by session."""

    seen: Counter[tuple[str, str]] = field(default_factory=Counter)

    def choose(self, number: int, calls: Sequence[str]) -> list[Played]:
        """What is played of this session, the `number`-th."""
        chosen = []
        for (name, kind), times in _occurrences(calls).items():
            self.seen[name, kind.name] += 1
            if self._is_wanted(name, kind):
                chosen.append((times[number % len(times)], name, kind))
        return chosen

    def _is_wanted(self, name: str, kind: Kind) -> bool:
        seen = self.seen[name, kind.name]
        return seen == 1 or (WHOLE and (seen + KINDS.index(kind) + len(name)) % SHARE == 0)


def _occurrences(calls: Sequence[str]) -> dict[tuple[str, Kind], list[int]]:
    """Each kind of call with each fault that fits it, and at which calls."""
    found: dict[tuple[str, Kind], list[int]] = {}
    for at, kind in plays(calls):
        found.setdefault((calls[at - 1], kind), []).append(at)
    return found


def sampled(part: int, host: str, address: str) -> list[Report]:
    """This part's sessions. Runs in a process of its own, beside another."""
    with quiet(), Ledger.at(address) as ledger:
        return asyncio.run(_sampled(part, host, ledger))


async def _sampled(part: int, host: str, ledger: Ledger) -> list[Report]:
    """In memory a session makes the same calls, and costs little."""
    reports, sample = [], Sample()
    for number, scenario in enumerate(SCENARIOS.values()):
        calls = (await play(scenario, ledger)).calls
        chosen = sample.choose(number, calls)
        if number % PARTS == part:
            reports.append(await _session(scenario, chosen, calls, host, ledger))
    return reports


async def _session(
    scenario: Scenario, chosen: Sequence[Played], calls: Sequence[str], host: str, ledger: Ledger
) -> Report:
    calm = await play(scenario, ledger, place=lambda clock: Firestore(host, clock))
    report = Report(NAME, scenario.name, list(calm.calls), complaints=undisturbed(scenario, calm))
    if list(calm.calls) != list(calls):
        report.complaints.append(f"{scenario.name}: other calls than in memory")
    for at, name, kind in chosen:
        said = await disturbed(scenario, ledger, calm, at, kind, place=lambda clock: Firestore(host, clock))
        report.count(name, kind.name, said)
    return report


# --- faults below the store --------------------------------------------------------------------------------------


def interrupted(part: int, host: str, address: str) -> list[str]:
    """Two of each session's commits, drawn by lot, fail below the store: once before they arrive, once after."""
    with quiet(), Ledger.at(address) as ledger:
        return asyncio.run(_interrupted(part, host, ledger))


async def _interrupted(part: int, host: str, ledger: Ledger) -> list[str]:
    complaints = []
    for scenario in list(SCENARIOS.values())[part::PARTS]:
        lot = random.Random(f"{SEED} {scenario.name}")
        complaints += await _with_lost_commits(scenario, lot, host, ledger)
    return complaints


async def _with_lost_commits(scenario: Scenario, lot: random.Random, host: str, ledger: Ledger) -> list[str]:
    complaints, wire = [], Interrupted(None)
    calm = await play(scenario, ledger, place=lambda clock: _over(wire, host, clock))
    commits = wire.sent["commit"]
    for applied in (False, True):
        wire.meet(Fault("commit", lot.choice(FATES), applied, at=lot.randint(1, commits)))
        run = await play(scenario, ledger, place=lambda clock: _over(wire, host, clock))
        complaints += [f"{scenario.name}: {wire.fault}: {no}" for no in differences(run, calm, scenario.ignore)]
    return complaints


def _over(wire: Interrupted, host: str, clock: AutoClock) -> Firestore:
    place = Firestore(host, clock)
    interrupt(place.bare, wire)
    return place
