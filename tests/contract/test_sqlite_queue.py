"""Whose a wake is, and who waits for what, between processes on one file."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from onward.adapters.local.sqlite import SqliteBackend
from onward.ports import Wake
from onward.testing.clock import ManualClock
from onward.testing.contracts.story import append_of, begin, claimed, signal

Open = Callable[[], SqliteBackend]

SOON = 20.0
"""Seconds of patience with real threads; nothing here takes so long."""


@pytest.fixture
def backend(another: Open) -> SqliteBackend:
    return another()


# --- whose a wake is -----------------------------------------------------------------------------------------------

KEY = "a" * 32


async def keys(backend: SqliteBackend) -> list[str]:
    return [delivery.wake.key for delivery in await backend.queue.take(100)]


async def rows(backend: SqliteBackend) -> int:
    """How many wakes are on record."""
    return await backend.database.write(
        lambda c: int(c.execute("SELECT count(*) FROM wakes").fetchone()[0]), durable=False
    )


async def test_a_wake_is_first_for_the_process_that_made_it(another: Open, clock: ManualClock) -> None:
    first, second = another(), another()
    assert await keys(first) == await keys(second) == []
    await first.queue.publish(Wake(KEY))
    assert await keys(second) == []
    assert await keys(first) == [KEY]


async def test_a_wake_of_a_process_that_does_not_work_is_for_anybody(another: Open) -> None:
    first, second = another(), another()
    assert await keys(second) == []
    await first.queue.publish(Wake(KEY))
    assert await keys(second) == [KEY]
    assert await keys(first) == []


async def test_a_wake_that_waits_too_long_is_taken_over_once(another: Open, clock: ManualClock) -> None:
    first, second = another(), another()
    assert await keys(first) == await keys(second) == []
    await first.queue.publish(Wake(KEY, look=True))
    clock.advance(0.3)
    (delivery,) = await second.queue.take(10)
    assert delivery.wake == Wake(KEY, look=True)
    await first.queue.wait(None)  # from now on it watches for others
    async with asyncio.timeout(SOON):
        while not first.queue._company:
            await asyncio.sleep(0.001)
    assert await keys(first) == []
    await second.queue.done(delivery)
    assert await rows(second) == 0
    clock.advance(10)
    assert await keys(first) == await keys(second) == []


async def test_a_wake_whose_session_is_held_is_not_taken_over(another: Open, clock: ManualClock) -> None:
    first, second = another(), another()
    key = await begin(first.store)
    assert await keys(first) == [key]
    lease = await claimed(first.store, key, f"{first.process}:1")
    clock.advance(10)
    assert await keys(second) == []
    await first.store.append(lease, append_of(lease, release=True, wake=Wake(key)))
    clock.advance(0.2)
    assert await keys(second) == []
    clock.advance(0.1)
    assert await keys(second) == [key]


async def test_the_wakes_of_the_dead_are_free_at_once(another: Open, clock: ManualClock) -> None:
    first, second = another(), another()
    key = await begin(first.store)
    assert await keys(first) == [key]
    await claimed(first.store, key, f"{first.process}:1")
    first.database.holders.abandon()
    assert await keys(second) == [key]


async def test_a_worker_that_stops_leaves_its_wakes_to_others(another: Open) -> None:
    first, second = another(), another()
    await first.queue.publish(Wake(KEY))
    assert await keys(first) == [KEY]
    await first.queue.close()
    assert await keys(second) == [KEY]


async def test_there_is_one_delivery_of_a_session_at_a_time(backend: SqliteBackend) -> None:
    await backend.queue.publish(Wake(KEY))
    (first,) = await backend.queue.take(10)
    for _ in range(3):
        await backend.queue.publish(Wake(KEY, look=True))
        assert await backend.queue.take(10) == []
    await backend.queue.done(first)
    (second,) = await backend.queue.take(10)
    assert second.wake == Wake(KEY, look=True)
    await backend.queue.done(second)
    assert await backend.queue.take(10) == []
    assert await rows(backend) == 0


async def test_a_look_asked_for_elsewhere_is_not_acknowledged_unseen(another: Open, clock: ManualClock) -> None:
    worker, other = another(), another()
    key = await begin(worker.store)
    (delivery,) = await worker.queue.take(10)
    await other.store.file(key, signal())
    lease = await claimed(worker.store, key, f"{worker.process}:1")
    await worker.store.append(lease, append_of(lease, release=True, wake=Wake(key)))
    await worker.queue.done(delivery)
    looks = []
    while deliveries := await worker.queue.take(10):
        for delivery in deliveries:
            looks.append(delivery.wake.look)
            await worker.queue.done(delivery)
    assert True in looks
    clock.advance(10)
    assert await keys(worker) == await keys(other) == []
    assert await rows(worker) == 0


async def test_a_look_that_was_not_delivered_is_not_acknowledged(another: Open) -> None:
    """The worker does not see what the other filed before it delivers: it has enough to do."""
    worker, other = another(), another()
    key = await begin(worker.store)
    (delivery,) = await worker.queue.take(1)
    await other.store.file(key, signal())
    await worker.queue.publish(Wake(key))
    await worker.queue.done(delivery)
    (delivery,) = await worker.queue.take(1)
    assert not delivery.wake.look
    await worker.queue.done(delivery)
    (delivery,) = await worker.queue.take(1)
    assert delivery.wake.look
    await worker.queue.done(delivery)
    assert await rows(worker) == 0


async def test_a_put_back_wake_gives_way_to_a_newer_one(backend: SqliteBackend, clock: ManualClock) -> None:
    await backend.queue.publish(Wake(KEY, look=True))
    (delivery,) = await backend.queue.take(10)
    await backend.queue.publish(Wake(KEY))
    await backend.queue.put_back(delivery, 60.0)
    (delivery,) = await backend.queue.take(10)
    assert delivery.wake.look
    await backend.queue.done(delivery)
    clock.advance(100)
    assert await backend.queue.take(10) == []
    assert await rows(backend) == 0


async def test_a_caller_that_gave_up_does_not_lose_its_wake(backend: SqliteBackend) -> None:
    assert await keys(backend) == []
    publishing = asyncio.ensure_future(backend.queue.publish(Wake(KEY)))
    await asyncio.sleep(0)
    publishing.cancel()
    assert await next_keys(backend) == [KEY]


async def test_next_due_tells_of_timers_and_of_what_was_put_back(backend: SqliteBackend, clock: ManualClock) -> None:
    assert await keys(backend) == []
    assert backend.queue.next_due() is None
    at = clock.now().replace(microsecond=0)
    await backend.queue.arm(KEY, at.replace(hour=23))
    assert backend.queue.next_due() == at.replace(hour=23)
    await backend.queue.publish(Wake("b" * 32))
    (delivery,) = await backend.queue.take(1)
    await backend.queue.put_back(delivery, 60.0)
    assert backend.queue.next_due() == at.replace(minute=1)
    clock.advance(60)
    assert await keys(backend) == ["b" * 32]
    assert backend.queue.next_due() == at.replace(hour=23)


# --- waiting -------------------------------------------------------------------------------------------------------


async def settle() -> None:
    """Let every task run until it waits for something."""
    for _ in range(5):
        await asyncio.sleep(0)


async def resting(backend: SqliteBackend) -> "asyncio.Future[None]":
    """A wait that has nothing to wake it yet."""
    async with asyncio.timeout(SOON):
        while True:
            assert await keys(backend) == []
            waiting = asyncio.ensure_future(backend.queue.wait(None))
            await settle()
            if not waiting.done():
                return waiting


async def next_keys(backend: SqliteBackend) -> list[str]:
    """What comes next, as a worker finds it."""
    async with asyncio.timeout(SOON):
        while not (found := await keys(backend)):
            await backend.queue.wait(None)
    return found


async def test_wait_ends_with_this_processs_own_wake(backend: SqliteBackend) -> None:
    waiting = await resting(backend)
    await backend.queue.publish(Wake(KEY))
    await waiting
    assert await keys(backend) == [KEY]


async def test_wait_ends_with_another_processs_wake(another: Open) -> None:
    backend, other = another(), another()
    waiting = await resting(backend)
    await other.queue.publish(Wake(KEY))
    async with asyncio.timeout(SOON):
        await waiting
    assert await next_keys(backend) == [KEY]


async def test_wait_ends_when_a_timer_is_due(backend: SqliteBackend, clock: ManualClock) -> None:
    await backend.queue.arm(KEY, clock.now().replace(hour=23))
    waiting = await resting(backend)
    await asyncio.sleep(0)
    clock.advance(14 * 3600 + 1)
    async with asyncio.timeout(SOON):
        await waiting
    assert await keys(backend) == [KEY]


async def test_wait_ends_after_its_timeout(backend: SqliteBackend, clock: ManualClock) -> None:
    (await resting(backend)).cancel()
    waiting = asyncio.ensure_future(backend.queue.wait(1.0))
    await settle()
    assert not waiting.done()
    clock.advance(1.0)
    async with asyncio.timeout(SOON):
        await waiting


async def test_followers_hear_of_commits_of_this_and_other_processes(another: Open, clock: ManualClock) -> None:
    backend, other = another(), another()
    key = await begin(backend.store)
    assert await backend.wait_for_commit(key, 0, 60.0)
    for seq, writer in ((1, backend), (2, other)):
        following = asyncio.ensure_future(backend.wait_for_commit(key, seq, 60.0))
        lease = await claimed(writer.store, key, f"w:{seq}")
        await writer.store.append(lease, append_of(lease, release=True))
        async with asyncio.timeout(SOON):
            assert await following
    assert not backend.database._watching


async def test_followers_hear_of_a_head_that_changed_without_a_commit(another: Open) -> None:
    backend, other = another(), another()
    key = await begin(backend.store)
    for writer in (backend, other):
        resting = asyncio.ensure_future(backend.wait_for(key, lambda head: head.status == "waiting", 60.0))
        await settle()
        lease = await claimed(writer.store, key, "w:1")
        moved = (await writer.store.append(lease, append_of(lease, head={"status": "running"}))).lease
        head = replace(moved.head, status="waiting")
        await writer.store.release(moved, head)
        async with asyncio.timeout(SOON):
            assert await resting == head
        lease = await claimed(backend.store, key, "w:2")
        await backend.store.append(lease, append_of(lease, head={"status": "running"}, release=True))


async def test_followers_of_silence_are_told_so(backend: SqliteBackend, clock: ManualClock) -> None:
    key = await begin(backend.store)
    following = asyncio.ensure_future(backend.wait_for_commit(key, 1, 60.0))
    while not following.done():
        clock.advance(61.0)
        await asyncio.sleep(0)
    assert not await following
    assert not backend.database._watching
