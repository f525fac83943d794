"""Everything goes wrong at once, with no sweep to help: processes killed at random and at the worst moments, messages
that come twice, clocks that are wrong, services that are away; and every session still comes to its right end."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from emulators.tasks import Fault
from onward.core.ids import session_key
from tests.cloud.chaos_plan import GAMBLERS, INSTANCES, LATE, PARTS, WRONG

if TYPE_CHECKING:
    from tests.cloud.chaos import Chaos

KILLING = 8.0
"""Seconds during which instances are killed at random."""


@pytest.fixture(scope="module")
def chaos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chaos]:
    for package in ("google.cloud.firestore_v1", "google.pubsub_v1", "google.cloud.tasks_v2", "google.cloud.storage"):
        pytest.importorskip(package, reason=f"{package} is missing: pip install -e '.[gcp]'")
    from emulators import cloud_sdk
    from tests.cloud.chaos import Chaos

    try:
        made = Chaos(tmp_path_factory.mktemp("chaos"))
    except cloud_sdk.Missing as exc:
        pytest.skip(str(exc))
    with contextlib.closing(made.cloud):
        yield made


@pytest.mark.timeout(240)
async def test_g5_g6_processes_killed_at_random_and_at_the_worst_moments(chaos: Chaos) -> None:
    """Sixty sessions, children included: what cannot be undone is done once, or a person is asked about it."""
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    lot = random.Random(seed)
    killing = asyncio.create_task(chaos.kill_at_random(lot, KILLING))
    for id in lot.sample(sorted(PARTS), len(PARTS)):
        await chaos.start(id, PARTS[id].program, input="A large word. " * lot.choice((1, 7000)))
        await asyncio.sleep(lot.uniform(0, 0.1))
    refunds = [id for id, part in PARTS.items() if part.program == "refund-desk"]
    says = {"ann@shop.example": "approved", "bob@shop.example": "rejected"}
    answers = await asyncio.gather(*(chaos.decide(id, says) for id in refunds))
    assert {status for answer in answers for status in answer} <= {200, 202, 409}
    assert await killing > 5
    heads = await chaos.settled("c", PARTS)
    assert await chaos.complaints(heads) == {}, f"seed {seed}\n{chaos.said()}"
    assert PARTS.keys() <= heads.keys()
    for id in refunds:
        events = await chaos.until(id, "session_completed")
        (decided,) = [event.body.verdict for event in events if event.kind == "approval_decided"]
        assert (decided == "approved") == any(entry["what"] == "refund" for entry in chaos.booked(id))
    assert Counter(head.program for head in heads.values() if not head.ended) == {"gamble-desk": GAMBLERS}
    missed = [id for id, part in PARTS.items() if part.point and not chaos.passed(id, part)]
    assert len(missed) < 6, "one that is killed by chance may come by no more"
    assert all(chaos.lines(name, outcome="moved") for name in INSTANCES), "that with the wrong clock, too"


async def test_g2_g6_an_instance_that_is_cut_off_and_a_message_that_comes_twice_at_once(chaos: Chaos) -> None:
    """What can't be undone takes longer than its message may: that comes again while it is worked on. Meanwhile its
    instance does not reach the store for longer than a lease lasts, and then reaches it with all that it had to say."""
    slow, chains = "d-slow", [f"d{number:02}-chain" for number in range(6)]
    key = session_key("default", slow)
    await chaos.start(slow, "slow-desk")
    await chaos.process_of(slow)
    cut_off = chaos.booked(slow)[0]["instance"]
    other = "advance" if cut_off == "advance-2" else "advance-2"
    await chaos.start_all({id: "chain-desk" for id in chains})
    chaos.cloud.ways[cut_off].set("held")
    assert await chaos.push(f'{{"version": 1, "key": "{key}"}}'.encode(), "by-hand", other) == 204
    await asyncio.sleep(16)  # a lease, two margins and some: until whoever was turned away has come again
    chaos.cloud.ways[cut_off].set("open")
    heads = await chaos.settled("d", [slow, *chains])
    assert await chaos.complaints(heads) == {}, chaos.said()
    assert {head.status for head in heads.values()} == {"completed"}
    assert chaos.lines(cut_off, action="lease_lost", session=slow), "others had it, and what it came to counted"
    visits = Counter(line["message_id"] for name in INSTANCES for line in chaos.lines(name, action="step", key=key))
    assert max(visits.values()) > 1, "a message came again"


async def test_g5_pubsub_is_away(chaos: Chaos) -> None:
    """First it loses its answers, so that all is published twice; then it can't be reached after what was appended."""
    ids, before = [f"p{number:02}-chain" for number in range(10)], chaos.refused()
    await chaos.start_all({id: "chain-desk" for id in ids})
    await chaos.weather([("deaf", 4), ("shut", 5)], "pubsub")
    heads = await chaos.settled("p", ids)
    assert await chaos.complaints(heads) == {}, chaos.said()
    assert {head.status for head in heads.values()} == {"completed"}
    assert chaos.refused() > before, "steps had committed, and could not say so"


async def test_g5_timers_are_made_twice_and_fire_early_and_before_their_wait_is_there(chaos: Chaos) -> None:
    early, twice = [f"t{number}-patient" for number in range(3)], [f"t{number}-twice" for number in range(3)]
    lost, failed = Fault("CreateTask", after=True, times=4), Fault("CreateTask", times=2)
    chaos.cloud.tasks.faults += [lost, failed]
    await chaos.start_all(dict.fromkeys(early, "patient-desk") | dict.fromkeys([*LATE, *twice], "timer-desk"))
    for id in early:
        await chaos.until(id, "approval_requested")
    await chaos.fire(lambda task: True)
    heads = await chaos.settled("t", [*early, *twice, *LATE])
    assert await chaos.complaints(heads) == {}, chaos.said()
    assert {head.status for head in heads.values()} == {"completed"}
    assert (lost.times, failed.times) == (0, 0)
    for id in early:
        events = {event.kind: event for event in await chaos.until(id, "approval_expired")}
        assert events["approval_expired"].at >= events["approval_requested"].body.expires_at
        assert chaos.lines("resume", session=id, outcome="looked"), "its timer came early, and left another"
    for id in LATE:
        assert chaos.lines("resume", key=session_key("default", id), outcome="busy"), "its wait was not there yet"


@pytest.mark.timeout(240)
async def test_g13_firestore_is_away_and_nobody_is_parked(chaos: Chaos) -> None:
    """What was sent comes late, then answers are lost, then nothing can be reached, until messages are given up. What
    can't be undone was done meanwhile, and who knows what came of it keeps that: nobody else does."""
    chains, remits = [f"f{number:02}-chain" for number in range(10)], [f"f{number}-remit" for number in range(3)]
    timers, bets = [f"f{number}-timer" for number in range(3)], ["f-bet"]
    programs, before = {"bet-desk": bets, "timer-desk": timers, "remit-desk": remits}, chaos.refused()
    await chaos.start_all({id: program for program, ids in programs.items() for id in ids})
    await chaos.start_all(dict.fromkeys(chains, "chain-desk"))
    await chaos.process_of(bets[0])
    await chaos.weather([("held", 11), ("deaf", 3), ("shut", 11)], *INSTANCES)
    await chaos.until(bets[0], "session_completed")  # it may have been in doubt before what is known was filed
    heads = await chaos.settled("f", [*chains, *remits, *timers, *bets])
    assert await chaos.complaints(heads) == {}, chaos.said()
    assert {head.status for head in heads.values()} == {"completed"}
    assert chaos.refused() > before


async def test_the_checks_find_out_what_is_wrong(chaos: Chaos) -> None:
    await chaos.start_wrong(WRONG)
    heads = await chaos.settled("w", [id for id in WRONG if id != "x-lost"], patience=40) | await chaos.heads("x")
    found = await chaos.complaints(heads, patience=3)
    assert all(chaos.passed(id, part) for id, part in WRONG.items() if part.point)
    assert {id: [_about(said) for said in complaints] for id, complaints in found.items()} == {
        "w-forgets": ["never published"],
        "w-repeats": ["call"],
        "w-early": ["published before it was committed"],
        "x-lost": ["end"],
    }


def _about(said: str) -> str:
    """What a complaint is about; a call's number depends on how many attempts were lost before it."""
    about = said.partition(":")[0]
    return "call" if about.startswith("call ") else about
