"""Old and new code taking turns on the same sessions: what is new waits for who knows it, and is never misread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest

from onward.adapters.local import transactions
from onward.core import log
from onward.core.codec import FORMAT, encode
from onward.core.events import Event, SessionPaused
from onward.core.head import Head
from onward.ports import Append, Lease
from onward.testing.contracts.story import salts
from onward.testing.runner import AutoClock
from tests.faults.desk import ONE_VERSION, TWO_VERSIONS, desk, turn
from tests.faults.scenarios import ORDER, REFUND
from tests.faults.world import ANN, KEY, OPERATOR, Worker, World
from tests.ledger import Ledger

Place = Callable[[AutoClock], Any]
_SQLITE = (transactions, "FORMAT")
HANDOVER = 900.0
"""Seconds for which a version that is not known here is left to others."""


async def take_turns(world: World, *workers: Worker, seconds: float = 400.0) -> None:
    """One wake each, again and again, while time passes."""
    end = world.clock.monotonic() + seconds
    while world.clock.monotonic() < end:
        for worker in workers:
            await worker.runner.deliver()
            world.clock.advance(7.0)


def counts(events: list[Any], kind: str) -> int:
    return [event.kind for event in events].count(kind)


# --- a new version of a program ----------------------------------------------------------------------------------


@pytest.mark.parametrize("pinned", [False, True])
async def test_g12_old_and_new_code_take_turns(
    place: Place, pinned: bool, ledger: Ledger, request: pytest.FixtureRequest
) -> None:
    """Two processes, one with the old version only, move one session in turn: it takes up the new version once, unless
    it is pinned, and the old process then leaves it to the other."""
    world = World(ONE_VERSION, ledger, request.node.name, place=place)
    old, new = world.process("old"), world.process("new")
    new.deploy(TWO_VERSIONS)
    await world.start("desk", pinned=pinned)
    await take_turns(world, old, new)
    head, events, commits = await world.head(), await world.events(), await world.commits()
    await world.close()
    assert head is not None
    assert (head.status, head.version) == ("completed", "1" if pinned else "2")
    assert counts(events, "program_changed") == (0 if pinned else 1)
    assert log.verify(commits, head.hash) == (head.seq, head.hash)


@pytest.mark.parametrize("minutes", [10, 25])
async def test_g12_a_version_that_is_not_here_yet_is_left_to_others_for_a_while(
    place: Place, minutes: int, ledger: Ledger, request: pytest.FixtureRequest
) -> None:
    """The new process comes after so many minutes. For fifteen the old one only looks, once a minute, and changes
    nothing; then the session is parked, visibly, and goes on when the version is there."""
    world = World(ONE_VERSION, ledger, request.node.name, place=place)
    world.operator_may = _nobody
    await world.start("desk", version="2", pinned=True)
    began = await world.head()
    old = world.process("old")
    await old.finish(minutes * 60.0)
    waited, looks = await world.head(), world.plan.calls.count("store.claim")
    new = world.process("new")
    new.deploy(TWO_VERSIONS)
    world.worker, world.programs = new, TWO_VERSIONS
    await world.sweep()
    await world.rest()
    head, events = await world.head(), await world.events()
    await world.close()
    assert None not in (began, waited, head)
    assert looks < minutes + 3
    parked = [event for event in events if event.kind == "session_parked"]
    if minutes < 15:
        assert replace(waited, published=began.published) == began  # type: ignore[union-attr, type-var]
        assert parked == []
    else:
        assert (waited.status, waited.error.code) == ("needs_attention", "unknown_version")  # type: ignore[union-attr]
        late = (parked[0].at - events[0].at).total_seconds() - HANDOVER
        assert 0 <= late <= 120
    assert (head.status, head.version) == ("completed", "2")  # type: ignore[union-attr]


async def _nobody(world: World, head: Head) -> bool:
    return False


# --- a new release of the library --------------------------------------------------------------------------------


class Newer:
    """A store as the next release has it: what it writes needs a reader as new as itself."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def create(self, head: Head, *rest: Any) -> Any:
        return await self._real.create(replace(head, format=FORMAT + 1), *rest)

    async def claim(self, *given: Any) -> Any:
        with _reading(self._real):
            return await self._real.claim(*given)


@contextmanager
def _reading(store: Any) -> Iterator[None]:
    """For a moment this release's store reads what the next one writes. Only one is asked at a time here."""
    target = (store, "_reads") if hasattr(store, "_reads") else _SQLITE
    with patch.object(*target, FORMAT + 1):
        yield


class Watched:
    """A store that notes what it is asked for."""

    def __init__(self, real: Any, asked: list[str]) -> None:
        self._real = real
        self._asked = asked

    def __getattr__(self, name: str) -> Any:
        self._asked.append(name)
        return getattr(self._real, name)


async def test_r21_old_code_leaves_alone_what_it_cant_read(
    place: Place, ledger: Ledger, request: pytest.FixtureRequest
) -> None:
    """It takes turns with new code: it claims nothing, sees to it that the wake comes again, and takes no part; what it
    did is no failure."""
    asked: list[str] = []
    world = World(desk(turn(("refund", REFUND))), ledger, request.node.name, place=place)
    old = _process(world, "old", lambda real: Watched(real, asked))
    new = world.front = _process(world, "new", Newer)
    asked.clear()
    await world.start("desk")
    await take_turns(world, old, new, seconds=2000.0)
    head, events, commits = await world.head(), await world.events(), await world.commits()
    await world.close()
    assert head is not None
    assert (head.status, head.format) == ("completed", FORMAT + 1)
    assert {"claim"} <= set(asked) <= {"claim", "embedded"}
    assert not {"attempts_lost", "step_failed", "session_parked"} & {event.kind for event in events}
    assert log.verify(commits, head.hash) == (head.seq, head.hash)


def _process(world: World, name: str, store: Any) -> Worker:
    world.store = store
    try:
        return world.process(name)
    finally:
        world.store = None


async def test_r21_an_event_of_a_kind_that_is_not_known_is_never_skipped(
    place: Place, ledger: Ledger, request: pytest.FixtureRequest
) -> None:
    """Newer code wrote it too soon, before all readers were out. Nothing is decided over it, whoever asks."""
    world = World(desk(turn(("pay_out", REFUND)), turn(("find_order", ORDER))), ledger, request.node.name, place=place)
    world.operator_may = _nobody
    await world.start("desk")
    await world.rest()
    await _write_what_is_new(world)
    await world.decide("pay_out", "approved")
    await world.later(hours=1)
    for reason in ("again", "and again"):
        await world.signal("resume", reason, OPERATOR, reason=reason)
        await world.later(hours=1)
    head, commits = await world.head(), await world.commits()
    done = [what for what, _ in ledger.entries(world.outside.run)]
    await world.close()
    assert head is not None
    assert head.status == "needs_attention"
    assert head.error is not None
    assert head.error.code == "unreadable_log"
    assert "'mood_noted', which this release does not know: upgrade onward" in head.error.message
    assert done == ["model"]
    assert log.verify(commits, head.hash) == (head.seq, head.hash)


async def _write_what_is_new(world: World) -> None:
    """A commit of the next release: as it should be, but for the kind of its event."""
    store = world.watcher.store
    lease = await store.claim(KEY, "the next release")
    assert isinstance(lease, Lease)
    event = Event(seq=lease.head.seq + 1, at=lease.now, actor=ANN, body=SessionPaused())
    record = replace(encode(event, salts()), kind="mood_noted")
    commit = log.seal([record], prev=lease.head.hash, epoch=lease.epoch, token="t" * 24)
    head = replace(lease.head, seq=event.seq, hash=commit.hash, commits=lease.head.commits + 1)
    await store.append(lease, Append(commit, head, release=True))
