"""Snapshots and large values that are gone, or not what they were: nothing depends on where snapshots lie, and what
can't be read is said, and never made up."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from onward.core.files import File
from onward.core.head import Fold
from onward.core.state import FOLD_VERSION
from onward.ports import Lease
from onward.testing.runner import AutoClock
from tests.faults.desk import desk, turn
from tests.faults.invariants import differences
from tests.faults.matrix import play
from tests.faults.scenarios import REFUND, Scenario, runs
from tests.faults.world import KEY, OPERATOR, World
from tests.ledger import Ledger

Place = Callable[[AutoClock], Any]
Damage = Callable[[str], str | None]
LONG = desk(*[turn(("find_order", {"order": "x" * 2000}))] * 8, turn(("pay_out", REFUND)))
"""What this comes to is too large for a head."""

DAMAGES: dict[str, Damage] = {
    "gone": lambda text: None,
    "empty": lambda text: "",
    "cut short": lambda text: text[:-9],
    "another": lambda text: text.replace('"program":"desk"', '"program":"none"', 1),
}


async def spoil(world: World, name: str, damage: Damage) -> str:
    """Do this to what is under that name; answers what it was."""
    text: str = await world.watcher.blobs.get(KEY, name)
    assert damage(text) != text
    await put_instead(world, name, damage(text))
    return text


async def put_instead(world: World, name: str, text: str | None) -> None:
    """Let this be what a new process finds there."""
    await world.watcher.blobs.forget(KEY, name)
    if text is not None:
        await world.watcher.blobs.put(KEY, name, text)
    world.worker = world.process("worker")


# --- snapshots ---------------------------------------------------------------------------------------------------


def approved(damage: Damage | None) -> Scenario:
    """A session with a snapshot, to which this is done while it waits."""

    async def people(world: World) -> None:
        await runs(world)
        if damage:
            await spoil(world, await _snapshot(world), damage)
        await world.decide("pay_out", "approved")
        await world.rest()

    return Scenario("approved_long", LONG, people)


async def _snapshot(world: World) -> str:
    head = await world.head()
    assert head is not None
    assert head.fold is not None
    assert head.fold.snapshot is not None
    return head.fold.snapshot


@pytest.mark.parametrize("damage", DAMAGES)
async def test_g1_a_snapshot_that_is_damaged_changes_nothing(place: Place, damage: str, ledger: Ledger) -> None:
    calm = await play(approved(None), ledger)
    run = await play(approved(DAMAGES[damage]), ledger, place=place)
    assert run.head.status == "completed"
    assert not differences(run, calm)


class Pointing:
    """A store whose heads tell of another fold than they have."""

    def __init__(self, real: Any, change: Callable[[Fold], Fold]) -> None:
        self._real = real
        self._change = change

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def claim(self, *args: Any) -> Any:
        lease = await self._real.claim(*args)
        if not isinstance(lease, Lease) or lease.head.fold is None:
            return lease
        return replace(lease, head=replace(lease.head, fold=self._change(lease.head.fold)))


POINTERS: dict[str, Callable[[Fold], Fold]] = {
    "version": lambda fold: replace(fold, version=FOLD_VERSION + 1, snapshot=None, text=f'{{"seq":{fold.seq}}}'),
    "hash": lambda fold: replace(fold, hash="0" * 64),
    "seq": lambda fold: replace(fold, seq=fold.seq + 1),
    "name": lambda fold: replace(fold, snapshot="snapshots/of another") if fold.snapshot else fold,
}


@pytest.mark.parametrize("field", POINTERS)
async def test_g1_a_fold_that_is_not_what_its_head_says_changes_nothing(
    place: Place, field: str, ledger: Ledger
) -> None:
    """Nothing is remembered here, so that each step begins with what the head points to."""
    calm = await play(approved(None), ledger)
    store = lambda real: Pointing(real, POINTERS[field])  # noqa: E731 - a wrap
    run = await play(approved(None), ledger, place=place, store=store, cache=0)
    assert run.head.status == "completed"
    assert not differences(run, calm)


# --- large values ------------------------------------------------------------------------------------------------

PICTURE = b"a lamp that is broken" * 5000
LARGE: dict[str, Any] = {"value": "story " * 15_000, "file": ["look:", File(data=PICTURE, media_type="image/jpeg")]}

BROKEN = [("value", "gone"), ("value", "empty"), ("value", "cut short"), ("file", "empty"), ("file", "cut short")]
"""A file that is gone may have been erased, and is shown as one that is gone."""


def told_of(kind: str, damage: Damage | None, found: list[Any]) -> Scenario:
    """A session whose input is large; that is damaged while it waits, and put back when people have seen it."""

    async def people(world: World) -> None:
        world.operator_may = _look_only
        await world.start("desk", input=LARGE[kind])
        await world.rest()
        name = await _name(world, kind)
        text = await spoil(world, name, damage) if damage else ""
        await world.decide("pay_out", "approved")
        await world.later(hours=24)
        found.append((await world.head(), list(world.outside.ledger.entries(world.outside.run))))
        if damage:
            await put_instead(world, name, text)
            await world.signal("resume", "resume", OPERATOR, reason="it was put back")
            await world.rest()

    app = desk(turn(("pay_out", REFUND)))
    return Scenario(f"large_{kind}", app, people, frozenset({"session_parked", "session_resumed"}))


async def _look_only(world: World, head: Any) -> bool:
    return False


async def _name(world: World, kind: str) -> str:
    """Where that input lies."""
    if kind == "file":
        return f"files/{hashlib.sha256(PICTURE).hexdigest()}"
    (started,) = (await world.commits())[0].records
    assert started.private["input"].encoding == "blob"
    return f"blobs/{started.private['input'].digest}"


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize(("kind", "damage"), BROKEN)
async def test_g13_a_large_value_that_is_damaged_is_said_and_not_made_up(
    place: Place, kind: str, damage: str, ledger: Ledger
) -> None:
    """The session needs attention, and what it says names what is missing; with that put back it goes on."""
    seen: list[Any] = []
    calm = await play(told_of(kind, None, []), ledger)
    scenario = told_of(kind, DAMAGES[damage], seen)
    run = await play(scenario, ledger, place=place)
    ((head, entries),) = seen
    assert head.status == "needs_attention"
    assert re.search(r"(blob|file) \w{64} (is missing|holds something else)|files/", head.error.message)
    assert [what for what, _ in entries].count("model") == 1, "a model was asked without it"
    assert run.head.status == "completed"
    assert not differences(run, calm, scenario.ignore)
