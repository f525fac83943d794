"""What Firestore is asked for, counted: operations are what it costs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from onward import Agent, App, Limits, ScriptedModel
from onward.adapters.gcp.firestore_documents import SHARDS
from onward.core.events import Actor
from onward.core.lease import Busy
from onward.engine.gateway import Start
from onward.ports import Lease
from onward.testing.contracts.story import append_of, begin, claimed, signal
from onward.testing.runner import AutoClock, Runner
from onward.wiring import Policy
from tests.contract.firestore import Counting, FirestoreBackend, ServerTime, a_client
from tests.counted import look, pay

TURNS = 4
PERSON = Actor(kind="person", name="ana")


@pytest.fixture
async def counted(firestore: str) -> AsyncIterator[tuple[FirestoreBackend, Counting, AutoClock]]:
    clock = AutoClock()
    counting = Counting(ServerTime(a_client(firestore), clock))
    backend = FirestoreBackend(counting, clock)
    yield backend, counting, clock
    await backend.close()


Counted = tuple[FirestoreBackend, Counting, AutoClock]


def application(name: str) -> App:
    script = [{"calls": [{"tool": name, "arguments": {"number": at}}]} for at in range(TURNS)]
    model = ScriptedModel([*script, {"text": "done"}])
    return App(programs=[Agent("desk", model=model, tools=[look, pay], limits=Limits(turns=100))])


async def begun(counted: Counted, name: str, policy: Policy | None = None) -> Runner:
    """A session whose first step is done: the one that looks at the inbox and at the switches."""
    backend, counting, clock = counted
    runner = Runner(application(name), backend=backend, clock=clock, policy=policy)
    await runner.parts.gateway.start(Start("s", "desk", "1", input="hi"), PERSON)
    counting.taken()
    return runner


async def each_step(runner: Runner, counting: Counting) -> list[tuple[int, int]]:
    counts = []
    while await runner.deliver():
        counts.append(counting.taken())
    assert (await runner.state("s")).ended == "completed"
    return counts


async def test_an_ordinary_step_is_one_read_and_three_writes(counted: Counted) -> None:
    runner = await begun(counted, "look")
    await runner.deliver()
    counted[1].taken()
    assert await each_step(runner, counted[1]) == [(1, 3)] * (2 * TURNS)


async def test_an_irreversible_step_is_one_read_and_five_writes(counted: Counted) -> None:
    runner = await begun(counted, "pay")
    await runner.deliver()
    counted[1].taken()
    assert await each_step(runner, counted[1]) == [(1, 5), (1, 3)] * TURNS


async def test_many_steps_under_one_lease_are_two_writes_each(counted: Counted) -> None:
    runner = await begun(counted, "look", Policy(steps_per_wake=1000))
    ((reads, writes),) = await each_step(runner, counted[1])
    assert writes == 1 + 2 * (2 * TURNS + 1)
    assert reads <= 3, "the head, the inbox, the switches"


async def test_a_start_is_two_writes(counted: Counted) -> None:
    backend, counting, _ = counted
    await begin(backend.store)
    assert counting.taken() == (0, 2)


async def test_a_signal_is_two_writes_more(counted: Counted) -> None:
    backend, counting, _ = counted
    key = await begin(backend.store)
    lease = await claimed(backend.store, key)
    counting.taken()
    await backend.store.file(key, signal())
    assert counting.taken() == (0, 1)
    await backend.store.append(lease, append_of(lease, absorbed=("s1",)))
    assert counting.taken() == (0, 2 + 1)


async def test_a_visit_to_a_busy_session_is_one_read_and_one_write_for_the_first_and_a_read_for_others(
    counted: Counted,
) -> None:
    backend, counting, _ = counted
    key = await begin(backend.store)
    lease = await claimed(backend.store, key)
    counting.taken()
    assert isinstance(await backend.store.claim(key, "bob:1"), Busy)
    assert await backend.store.mark(key, lease.epoch, 1)
    assert counting.taken() == (1, 1)
    busy = await backend.store.claim(key, "carol:1")
    assert isinstance(busy, Busy)
    assert busy.marked
    assert counting.taken() == (1, 0)
    assert await backend.store.mark(key, lease.epoch, 1), "it stands already"
    assert counting.taken()[1] == 0


async def test_a_visitor_costs_the_holder_of_another_process_one_read_and_one_try(counted: Counted) -> None:
    backend, counting, clock = counted
    other = FirestoreBackend(ServerTime(counting.real.real, clock), clock)
    key = await begin(backend.store)
    lease = await claimed(backend.store, key)
    assert await other.store.mark(key, lease.epoch, 1)
    counting.taken()
    assert (await backend.store.append(lease, append_of(lease))).mark == (lease.epoch, 1)
    assert counting.taken() == (1, 2 + 2)


async def test_renewing_and_letting_go_are_one_write(counted: Counted) -> None:
    backend, counting, _ = counted
    lease = await claimed(backend.store, await begin(backend.store))
    counting.taken()
    for change in (backend.store.renew, backend.store.release):
        await change(lease)
        assert counting.taken() == (0, 1)


async def test_a_head_that_was_not_seen_is_read_first(counted: Counted) -> None:
    backend, counting, clock = counted
    lease = await claimed(backend.store, await begin(backend.store))
    counting.taken()
    await FirestoreBackend(counting, clock).store.append(lease, append_of(lease))
    assert counting.taken() == (1, 3 - 1)


async def test_a_sweep_that_finds_nothing_is_one_query_for_each_shard_and_kind(counted: Counted) -> None:
    backend, counting, _ = counted
    for number in range(50):
        await begin(backend.store, f"s{number}", status="waiting")
    counting.taken()
    assert list(await backend.store.overdue()) == []
    assert counting.taken() == (2 * SHARDS, 0)


Ask = Callable[[FirestoreBackend, str], Any]


async def test_reading_is_one_read(counted: Counted) -> None:
    backend, counting, _ = counted
    key = await begin(backend.store)
    asks: list[Ask] = [
        lambda backend, key: backend.store.read(key),
        lambda backend, key: backend.store.commits(key),
        lambda backend, key: backend.store.pending(key),
        lambda backend, key: backend.switches.read(),
    ]
    for ask in asks:
        counting.taken()
        await ask(backend, key)
        assert counting.taken() == (1, 0)


async def test_the_head_of_a_session_that_was_met_is_read_anew_by_each_claim(counted: Counted) -> None:
    """What one process remembers never decides who holds a session."""
    backend, counting, clock = counted
    other = FirestoreBackend(ServerTime(counting.real.real, clock), clock)
    key = await begin(backend.store)
    await backend.store.release(await claimed(backend.store, key))
    held = await claimed(other.store, key, "bob:1")
    answer = await backend.store.claim(key, "alice:2")
    assert isinstance(answer, Busy)
    assert not isinstance(answer, Lease)
    assert answer.epoch == held.epoch
