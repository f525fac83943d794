"""The fault matrix on Firestore: every fault at every kind of call, in the first session that has it. Messages and
blobs are in memory; what is played here is the store."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator

import pytest

from onward.testing.runner import AutoClock
from tests.contract.firestore import start_emulator
from tests.contract.test_firestore_faults import Code, Fault, Interrupted, interrupt
from tests.faults.invariants import differences
from tests.faults.matrix import MATRIX, Report, disturbed, play, plays, quiet, undisturbed
from tests.faults.places import Firestore
from tests.faults.scenarios import SCENARIOS
from tests.ledger import Ledger

PARTS = 3
SEED = 20260105
FATES = (Code.UNAVAILABLE, Code.ABORTED, Code.DEADLINE_EXCEEDED, Code.INTERNAL)


@pytest.fixture(scope="module")
def firestore() -> Iterator[str]:
    with start_emulator() as emulator:
        yield emulator.address


@pytest.mark.parametrize("part", range(PARTS))
def test_matrix_on_firestore(part: int, ledger: Ledger, firestore: str) -> None:
    """G1 to G8, G13: whatever happens at whatever call, the session comes to the same, and so does the world."""
    complaints = []
    with quiet():
        for report in asyncio.run(sampled(part, ledger, firestore)):
            MATRIX.add(report)
            complaints += report.complaints
    assert not complaints


async def sampled(part: int, ledger: Ledger, host: str) -> list[Report]:
    """This part of the sample."""
    reports, seen = [], Counter[tuple[str, str]]()
    for scenario in SCENARIOS.values():
        calm = await play(scenario, ledger, place=lambda clock: Firestore(host, clock))
        report = Report("Firestore", scenario.name, list(calm.calls), complaints=undisturbed(scenario, calm))
        for at, kind in plays(report.calls):
            call = calm.calls[at - 1]
            seen[call, kind.name] += 1
            if seen[call, kind.name] == 1 and sum(seen.values()) % PARTS == part:
                said = await disturbed(scenario, ledger, calm, at, kind, place=lambda clock: Firestore(host, clock))
                report.count(call, kind.name, said)
        reports.append(report)
    return reports


def test_s9_a_commit_of_unknown_fate_in_every_session(ledger: Ledger, firestore: str) -> None:
    """Two of each session's commits, drawn by lot, fail below the store: once before they arrive, once after."""
    with quiet():
        complaints = asyncio.run(interrupted(random.Random(SEED), ledger, firestore))
    assert not complaints


async def interrupted(lot: random.Random, ledger: Ledger, host: str) -> list[str]:
    complaints = []
    for scenario in SCENARIOS.values():
        wire = Interrupted(None)
        calm = await play(scenario, ledger, place=lambda clock, wire=wire: _over(wire, host, clock))
        commits = wire.sent["commit"]
        for applied in (False, True):
            wire.meet(Fault("commit", lot.choice(FATES), applied, at=lot.randint(1, commits)))
            run = await play(scenario, ledger, place=lambda clock, wire=wire: _over(wire, host, clock))
            complaints += [f"{scenario.name}: {wire.fault}: {no}" for no in differences(run, calm, scenario.ignore)]
    return complaints


def _over(wire: Interrupted, host: str, clock: AutoClock) -> Firestore:
    place = Firestore(host, clock)
    interrupt(place.bare, wire)
    return place
