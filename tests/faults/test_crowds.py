"""Many at once, in virtual time: a thousand sessions at rest, and a session that a thousand signals are sent to."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from onward import Agent, App, Approval, ScriptedModel, tool
from onward.core.cost import KINDS, OVERDUE_READS, Operations
from onward.core.events import Actor, SessionCompleted, TimerSet
from onward.core.head import Head
from onward.core.ids import session_key
from onward.core.log import verify
from onward.core.program import Decision, Program, Record, Rest
from onward.core.signals import Signal
from onward.core.state import OpenCall, State
from onward.engine.gateway import Start
from onward.engine.load import Loader
from onward.engine.sweep import sweep
from onward.ports import Query
from onward.testing.runner import AutoClock, Runner
from tests.contract.firestore import Counting
from tests.faults.places import Firestore

Place = Callable[[AutoClock], Any]
MANY = 1000
AT_ONCE = 64
ANN = Actor(kind="person", name="ann@example.com")


def counting(here: Any) -> Counting | None:
    """What is asked of the place from now on is counted, where each such thing has its price."""
    if not isinstance(here, Firestore):
        return None
    counted = Counting(here.client)
    here.client = counted  # type: ignore[assignment]
    return counted


def taken(counted: Counting | None) -> Operations:
    """What was asked for since the last time."""
    return Operations(*counted.taken()) if counted else Operations()


async def settle_all(runner: Runner) -> None:
    """Many at once, as a worker does."""
    while any(await asyncio.gather(*(runner.deliver() for _ in range(AT_ONCE)))):
        pass


# --- a thousand at rest ------------------------------------------------------------------------------------------


class Sleeper(Program):
    """A program that sleeps for an hour, and ends."""

    name, version, follows = "sleeper", "1", False

    def performer(self, call: OpenCall, state: State) -> Any:
        return None

    def decide(self, state: State) -> Decision:
        actor = Actor(kind="program", name=self.name)
        if state.fired:
            return Record((SessionCompleted(output="slept"),), actor)
        if state.timers or state.at is None:
            return Rest()
        return Record((TimerSet(timer="alarm", due_at=state.at + timedelta(hours=1)),), actor)


_OF = {name: kind.operations for name, kind in KINDS.items()}
EXPECTED = (_OF["start"] + _OF["step"]) * MANY + (_OF["timer"] + _OF["step"]) * (MANY // 2)
"""What the price list says of starting them all, and of waking half of them."""

SWITCHES = 4
"""Reads of the switches, one every few seconds."""


async def asleep(runner: Runner) -> None:
    """A thousand sessions, all of them at rest."""
    starts = [Start(f"s{number}", "sleeper", "1") for number in range(MANY)]
    for at in range(0, MANY, AT_ONCE):
        await asyncio.gather(*(runner.parts.gateway.start(start, ANN) for start in starts[at : at + AT_ONCE]))
    await settle_all(runner)


async def lose(runner: Runner, count: int) -> None:
    """So many wakes never arrive."""
    for _ in range(count):
        (delivery,) = await runner.backend.queue.take(1)
        await runner.backend.queue.done(delivery)


async def swept(runner: Runner) -> int:
    """How many a sweep finds."""
    return await sweep(runner.backend.store, runner.backend.queue)


async def test_g5_a_thousand_sessions_at_rest_are_woken_at_once(place: Place) -> None:
    """The machine slept past all their timers, and every other one was lost with it: the sweep finds those, some at a
    time. Each session goes on once. While they rest, a sweep asks as much for them all as for none."""
    clock = AutoClock()
    here = place(clock)
    counted = counting(here)
    runner = Runner(App([Sleeper()]), backend=here.open(), clock=clock)
    await asleep(runner)
    spent = taken(counted)
    assert await swept(runner) == 0
    resting = taken(counted)
    clock.advance(86400.0)
    await lose(runner, MANY // 2)
    await settle_all(runner)
    spent += taken(counted)
    found = []
    while found[-1:] != [0]:
        found.append(await swept(runner))
        await settle_all(runner)
    heads = await runner.backend.store.list(Query(limit=10_000))
    await here.close()
    assert Counter(head.status for head in heads) == {"completed": MANY}
    assert {head.seq for head in heads} == {4}
    assert sum(found) == MANY // 2
    assert max(found) <= 200
    if counted:
        assert resting == Operations(reads=OVERDUE_READS)
        assert spent.writes == EXPECTED.writes
        assert 0 <= spent.reads - EXPECTED.reads <= SWITCHES


# --- a thousand signals ------------------------------------------------------------------------------------------

NEIGHBOURS = 12
SIGNALS = 1000
AT_MOST = 100
"""Signals that are absorbed at once."""


@tool(effect="irreversible", approval=Approval())
async def pay(order: str) -> str:
    """Pay."""
    return order


def desk() -> App:
    turns: list[dict[str, Any]] = [{"calls": [{"tool": "pay", "arguments": {"order": "7"}}]}]
    return App([Agent("desk", model=ScriptedModel([*turns, {"text": "paid"}]), tools=[pay], limits=None)])


async def flooded(runner: Runner, clock: AutoClock, key: str) -> list[str]:
    """Send a session more than anybody would, three at the same moment each; their ids, in the order that counts."""
    filed = []
    for number in range(SIGNALS):
        clock.advance(0.001 if number % 3 == 0 else 0.0)
        signal = Signal(f"{number * 7919 % SIGNALS:04d}", "input", {"content": number}, ANN)
        filed.append(await runner.backend.store.file(key, signal))
    return [signal.id for signal in sorted(filed, key=lambda signal: (signal.filed_at, signal.id))]


async def approve(runner: Runner, head: Head) -> None:
    (wait,) = head.waits
    said = {"call": wait.call, "digest": wait.digest, "verdict": "approved"}
    await runner.backend.store.file(head.key, Signal("approve", "decision", said, ANN))


async def delivered(runner: Runner) -> list[str]:
    """Deliver everything, one by one; for whom each wake was."""
    keys: list[str] = []
    while deliveries := await runner.backend.queue.take(1):
        await runner.parts.engine.advance(deliveries[0].wake)
        await runner.backend.queue.done(deliveries[0])
        keys.append(deliveries[0].wake.key)
        assert len(keys) < SIGNALS, "it goes on and on"
    return keys


async def test_g13_a_flooded_inbox_starves_nobody(place: Place) -> None:
    """Every message is lost, so that a sweep has to find who is called: the flooded session is one among others, and so
    it is when it goes on, a part of its inbox at a time. Each signal is taken once, in the order of times and ids."""
    clock = AutoClock()
    here = place(clock)
    runner = Runner(desk(), backend=here.open(), clock=clock)
    store, flood = runner.backend.store, session_key("default", "flooded")
    for id in ("flooded", *(f"s{number}" for number in range(NEIGHBOURS))):
        await runner.parts.gateway.start(Start(id, "desk", "1", "hello"), ANN)
    await runner.settle()
    expected = await flooded(runner, clock, flood)
    resting = await store.list(Query())
    for head in resting:
        if head.key != flood:
            await approve(runner, head)
    found = await swept(runner)
    keys = await delivered(runner)
    heads, commits = await store.list(Query()), await store.commits(flood)
    await here.close()
    events = [event for commit in commits for event in Loader.events(commit)]
    parts = [sum(record.kind == "input_received" for record in commit.records) for commit in commits]
    assert found == NEIGHBOURS + 1
    assert [event.body.signal for event in events if event.kind == "input_received"] == expected
    assert max(parts) <= AT_MOST
    assert Counter(head.status for head in heads) == {"completed": NEIGHBOURS, "waiting": 1}
    assert not twice_in_a_row(keys, flood)
    (head,) = (head for head in heads if head.key == flood)
    assert verify(commits, head.hash) == (head.seq, head.hash)


def twice_in_a_row(keys: list[str], flood: str) -> bool:
    """Whether the flooded session had two turns while somebody else waited for one."""
    busy = keys[: 1 + max(at for at, key in enumerate(keys) if key != flood)]
    return any(pair == (flood, flood) for pair in itertools.pairwise(busy))
