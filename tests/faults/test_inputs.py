"""An input at every moment: before each call that a session makes to the outside, somebody writes to it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence

import pytest

from onward.core.fold import fold
from onward.core.log import verify
from onward.core.signals import Signal
from onward.core.state import Entry, State
from onward.ports import Wake
from onward.testing import faults
from onward.testing.faults import Plan, Process
from onward.wiring import Policy
from tests.faults.desk import desk, turn
from tests.faults.world import ANN, KEY, World
from tests.ledger import Ledger

APP = desk(
    turn(
        ("find_order", {"order": "7"}),
        ("refund", {"order": "7", "amount": 1}),
        ("pay_out", {"order": "7", "amount": 2}),
    ),
    turn(("nap", {"hours": 1}), ("set_address", {"order": "7", "street": "Elm Street 1"})),
    {"text": "one"},
    {"text": "two"},
)
_runs = itertools.count(1)


async def _write(process: Process) -> None:
    """Somebody writes; it is filed as a message would be, whoever is at work."""
    world = World.current
    await world.watcher.store.file(KEY, Signal("by the way", "input", {"content": "by the way"}, ANN))
    await world.watcher.queue.publish(Wake(KEY, look=True))


async def _run(ledger: Ledger, on_input: str, at: int, steps: int) -> tuple[list[str], list[str], State, World]:
    """The calls of a run whose `at`-th one an input comes before, the kinds of its events, and where it ended."""
    plan = Plan({at: faults.meanwhile_before(_write)} if at else {})
    world = World(APP, ledger, f"inputs/{next(_runs)}", plan, policy=Policy(steps))
    await world.start("desk", on_input=on_input)
    await world.rest()
    head = await world.head()
    assert head is not None
    if any(wait.kind == "approval" for wait in head.waits):
        await world.decide("pay_out", "approved")
    await world.rest(24)
    events = await world.events()
    verify(await world.commits(), (await world.head()).hash)  # type: ignore[union-attr]
    return plan.calls, [event.kind for event in events], fold(State(), events), world


def well_formed(transcript: Sequence[Entry]) -> list[str]:
    """What a provider would refuse: a result that is not right behind the answer that asked for it, or is missing."""
    complaints, open = [], 0
    for entry in transcript:
        if open and entry.kind != "result":
            complaints.append(f"{entry.kind} {entry.seq} came while {open} results were missing")
        if entry.kind == "answer":
            open = len(entry.value["calls"])
        elif entry.kind == "result":
            open -= 1
    return complaints + ([f"{open} results are missing"] if open else [])


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize("steps", [1, 100])
@pytest.mark.parametrize("on_input", ["enqueue", "interrupt", "reject"])
def test_an_input_at_every_moment(ledger: Ledger, on_input: str, steps: int) -> None:
    """Whenever it comes, it is taken or refused, once; the session ends, and what its model sees is well formed."""
    calls = asyncio.run(_calls(ledger, on_input, steps))
    complaints = []
    for at in range(1, len(calls) + 1):
        complaints += [
            f"at {calls[at - 1]} ({at}): {text}" for text in asyncio.run(_played(ledger, on_input, at, steps))
        ]
    assert not complaints


async def _calls(ledger: Ledger, on_input: str, steps: int) -> list[str]:
    calls, _, _, world = await _run(ledger, on_input, 0, steps)
    await world.close()
    return calls


async def _played(ledger: Ledger, on_input: str, at: int, steps: int) -> list[str]:
    _, kinds, state, world = await _run(ledger, on_input, at, steps)
    taken, refused = kinds.count("input_received"), kinds.count("signal_refused")
    paid = len(world.outside.entries("refund", "s1/3.0"))
    await world.close()
    complaints = well_formed(state.transcript)
    complaints += [] if state.ended == "completed" else [f"it is {state.ended}, parked: {state.parked}"]
    complaints += [] if (taken, refused) in ((1, 0), (0, 1)) else [f"taken {taken} times, refused {refused} times"]
    complaints += [] if paid <= 1 else [f"refunded {paid} times"]
    return complaints
