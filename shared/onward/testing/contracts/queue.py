"""W1, W2, T1, T2: wakes, timers and errands, and their delivery to whoever takes them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from onward.ports import Errand, Wake
from onward.testing.contracts.story import Backend, Clock

AfterDeath = Callable[[], Awaitable[Backend]]
KEY = "a" * 32
ERRAND = Errand(KEY, 7, "hooks")
A_WHILE = 3600.0
"""Seconds: longer than an errand that was taken is left to whoever took it."""


async def taken(backend: Backend, done: bool = True) -> list[Wake]:
    """Everything that is due, until nothing more comes."""
    wakes: list[Wake] = []
    while deliveries := await backend.queue.take(100):
        wakes += [delivery.wake for delivery in deliveries]
        if done:
            for delivery in deliveries:
                await backend.queue.done(delivery)
    return wakes


@pytest.mark.asyncio
class WakesContract:
    """Clauses W1 and W2."""

    async def test_w1_what_was_published_is_delivered(self, backend: Backend) -> None:
        assert await taken(backend) == []
        await backend.queue.publish(Wake(KEY, look=True, published=7))
        assert await taken(backend) == [Wake(KEY, look=True, published=7)]
        assert await taken(backend) == []

    async def test_w1_what_was_published_before_anybody_took_is_delivered(self, backend: Backend) -> None:
        keys = {f"{n:032x}" for n in range(1000)}
        await asyncio.gather(*(backend.queue.publish(Wake(key)) for key in keys))
        assert {wake.key for wake in await taken(backend)} == keys

    async def test_w1_wakes_that_unite_say_all_that_each_said(self, backend: Backend) -> None:
        await backend.queue.publish(Wake(KEY, look=True, published=3))
        await backend.queue.publish(Wake(KEY, published=7))
        wakes = await taken(backend)
        assert any(wake.look for wake in wakes)
        assert max(wake.published for wake in wakes) == 7

    async def test_w1_what_is_published_while_one_is_under_way_is_delivered_too(self, backend: Backend) -> None:
        await backend.queue.publish(Wake(KEY))
        (delivery,) = await backend.queue.take(10)
        await backend.queue.publish(Wake(KEY, look=True))
        await backend.queue.done(delivery)
        assert await taken(backend) == [Wake(KEY, look=True)]

    async def test_w1_what_was_not_acknowledged_comes_again_after_a_death(
        self, backend: Backend, after_death: AfterDeath
    ) -> None:
        await backend.queue.publish(Wake(KEY, look=True, published=7))
        await backend.queue.publish(Wake("b" * 32))
        assert len(await taken(backend, done=False)) == 2
        await backend.queue.publish(Wake("c" * 32))
        backend = await after_death()
        wakes = {wake.key: wake for wake in await taken(backend)}
        assert set(wakes) == {KEY, "b" * 32, "c" * 32}
        assert wakes[KEY] == Wake(KEY, look=True, published=7)
        assert await taken(backend) == []

    async def test_w1_a_look_is_not_lost_to_a_later_wake_without_one(
        self, backend: Backend, after_death: AfterDeath
    ) -> None:
        await backend.queue.publish(Wake(KEY, look=True))
        assert len(await backend.queue.take(10)) == 1
        await backend.queue.publish(Wake(KEY))
        wakes = await taken(await after_death())
        assert any(wake.look for wake in wakes)

    async def test_w1_what_is_put_back_comes_again(self, backend: Backend, clock: Clock) -> None:
        await backend.queue.publish(Wake(KEY, look=True))
        (delivery,) = await backend.queue.take(10)
        await backend.queue.put_back(delivery)
        (delivery,) = await backend.queue.take(10)
        assert delivery.wake == Wake(KEY, look=True)
        await backend.queue.put_back(delivery, 5.0)
        assert await backend.queue.take(10) == []
        clock.advance(5)
        assert await taken(backend) == [Wake(KEY, look=True)]

    async def test_w1_what_is_put_back_for_later_outlives_a_death(
        self, backend: Backend, clock: Clock, after_death: AfterDeath
    ) -> None:
        await backend.queue.publish(Wake(KEY, look=True))
        (delivery,) = await backend.queue.take(10)
        await backend.queue.put_back(delivery, 5.0)
        backend = await after_death()
        clock.advance(5)
        assert await taken(backend) == [Wake(KEY, look=True)]

    async def test_w1_no_more_are_taken_than_asked_for(self, backend: Backend) -> None:
        for n in range(5):
            await backend.queue.publish(Wake(f"{n:032x}"))
        first = await backend.queue.take(3)
        rest = await backend.queue.take(3)
        assert (len(first), len(rest)) == (3, 2)
        assert len({delivery.wake.key for delivery in (*first, *rest)}) == 5


@pytest.mark.asyncio
class TimersContract:
    """Clause T1."""

    async def test_t1_a_timer_is_a_wake_that_says_look_not_before_its_time(
        self, backend: Backend, clock: Clock
    ) -> None:
        await backend.queue.arm(KEY, clock.now() + timedelta(seconds=10))
        assert await taken(backend) == []
        clock.advance(9.9)
        assert await taken(backend) == []
        clock.advance(0.1)
        assert await taken(backend) == [Wake(KEY, look=True)]
        assert await taken(backend) == []

    async def test_t1_not_a_part_of_a_millisecond_too_early(self, backend: Backend, clock: Clock) -> None:
        await backend.queue.arm(KEY, clock.now() + timedelta(microseconds=10_400))
        clock.advance(0.010)
        assert await taken(backend) == []
        clock.advance(0.001)
        assert await taken(backend) == [Wake(KEY, look=True)]

    async def test_t1_a_time_that_has_passed_is_due_at_once(self, backend: Backend, clock: Clock) -> None:
        await backend.queue.arm(KEY, clock.now() - timedelta(days=1))
        assert await taken(backend) == [Wake(KEY, look=True)]

    async def test_t1_an_earlier_one_is_not_hidden_by_a_later_one(self, backend: Backend, clock: Clock) -> None:
        for seconds in (20, 10, 30, 10):
            await backend.queue.arm(KEY, clock.now() + timedelta(seconds=seconds))
        for _ in range(3):
            clock.advance(10)
            assert Wake(KEY, look=True) in await taken(backend)
        clock.advance(10)
        assert await taken(backend) == []

    async def test_t1_a_thousand_at_once_are_all_delivered(self, backend: Backend, clock: Clock) -> None:
        at = clock.now() + timedelta(seconds=10)
        keys = {f"{n:032x}" for n in range(1000)}
        await asyncio.gather(*(backend.queue.arm(key, at) for key in keys))
        assert await taken(backend) == []
        clock.advance(10)
        assert {wake.key for wake in await taken(backend)} == keys

    async def test_t1_timers_outlive_a_death(self, backend: Backend, clock: Clock, after_death: AfterDeath) -> None:
        await backend.queue.arm(KEY, clock.now() + timedelta(seconds=10))
        await backend.queue.arm("b" * 32, clock.now())
        assert len(await taken(backend, done=False)) == 1
        backend = await after_death()
        clock.advance(10)
        assert {wake.key for wake in await taken(backend)} == {KEY, "b" * 32}

    async def test_t1_the_wall_clock_decides(self, backend: Backend, clock: Clock) -> None:
        await backend.queue.arm(KEY, clock.now() + timedelta(days=1))
        assert await taken(backend) == []
        clock.set_wall(clock.now() + timedelta(days=1))
        assert await taken(backend) == [Wake(KEY, look=True)]


@pytest.mark.asyncio
class ErrandsContract:
    """Clause T2."""

    async def test_t2_an_errand_comes_as_it_is_not_before_its_time(self, backend: Backend, clock: Clock) -> None:
        errand = Errand(KEY, 12, "hooks.example.com", attempt=3)
        await backend.queue.send(errand, clock.now() + timedelta(seconds=10))
        clock.advance(9.9)
        assert await backend.queue.take_errands(10) == []
        clock.advance(0.1)
        assert await backend.queue.take_errands(10) == [errand]
        await backend.queue.done_errand(errand)
        clock.advance(A_WHILE)
        assert await backend.queue.take_errands(10) == []

    async def test_t2_it_is_no_wake_and_holds_up_none(self, backend: Backend, clock: Clock) -> None:
        await backend.queue.send(ERRAND, clock.now())
        assert await taken(backend) == []
        assert await backend.queue.take_errands(10) == [ERRAND]
        await backend.queue.publish(Wake(KEY))
        assert await taken(backend) == [Wake(KEY)]

    async def test_t2_what_is_not_done_comes_again(self, backend: Backend, clock: Clock) -> None:
        await backend.queue.send(ERRAND, clock.now())
        assert await backend.queue.take_errands(10) == [ERRAND]
        assert await backend.queue.take_errands(10) == []
        clock.advance(A_WHILE)
        assert await backend.queue.take_errands(10) == [ERRAND]

    async def test_t2_it_outlives_a_death(self, backend: Backend, clock: Clock, after_death: AfterDeath) -> None:
        other = Errand(KEY, 9, "hooks")
        await backend.queue.send(ERRAND, clock.now())
        await backend.queue.send(other, clock.now() + timedelta(days=1))
        assert await backend.queue.take_errands(10) == [ERRAND]
        backend = await after_death()
        clock.advance(A_WHILE)
        assert await backend.queue.take_errands(10) == [ERRAND]
        clock.advance(86_400)
        assert other in await backend.queue.take_errands(10)

    async def test_t2_one_that_was_sent_again_meanwhile_is_not_done(self, backend: Backend, clock: Clock) -> None:
        await backend.queue.send(ERRAND, clock.now())
        assert await backend.queue.take_errands(10) == [ERRAND]
        second = Errand(KEY, 7, "hooks", attempt=2)
        await backend.queue.send(second, clock.now() + timedelta(seconds=5))
        await backend.queue.done_errand(ERRAND)
        clock.advance(5)
        assert await backend.queue.take_errands(10) == [second]

    async def test_t2_each_is_one_of_its_own(self, backend: Backend, clock: Clock) -> None:
        errands = {Errand(key, seq, hook) for key in (KEY, "b" * 32) for seq in (1, 2) for hook in ("one", "two")}
        await asyncio.gather(*(backend.queue.send(errand, clock.now()) for errand in errands))
        assert len(await backend.queue.take_errands(3)) == 3
        found = await backend.queue.take_errands(100)
        await backend.queue.done_errand(found[0])
        clock.advance(A_WHILE)
        assert set(await backend.queue.take_errands(100)) == errands - {found[0]}
