"""S2, S3, S5, S6, S12: who may append."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from onward.core.codec import FORMAT
from onward.core.head import Wait
from onward.core.lease import MARGIN, TTL, Busy, Later
from onward.core.retry import stall_delay
from onward.errors import LeaseLost
from onward.ports import Lease, Query
from onward.testing.contracts.story import Backend, Clock, append_of, begin, claimed


@pytest.mark.asyncio
class LeaseContract:
    """A session's lease and marks."""

    # --- claim ---------------------------------------------------------------------------------------------------

    async def test_s2_claim_gives_what_an_append_needs(self, backend: Backend, clock: Clock) -> None:
        key = await begin(backend.store)
        lease = await claimed(backend.store, key)
        assert (lease.key, lease.epoch, lease.owner, lease.stalls, lease.mark) == (key, 1, "alice:1", 0, None)
        assert lease.head == await backend.store.read(key)
        assert lease.confirmed == clock.monotonic()
        assert abs(lease.now - clock.now()) < timedelta(milliseconds=1)

    async def test_s2_every_claim_has_a_higher_epoch(self, backend: Backend, clock: Clock) -> None:
        key = await begin(backend.store)
        epochs = []
        for turn in range(4):
            lease = await claimed(backend.store, key, f"alice:{turn}")
            epochs.append(lease.epoch)
            if turn % 2:
                await backend.store.release(lease)
            else:
                await backend.store.append(lease, append_of(lease, release=True))
        clock.advance(TTL)
        assert epochs == sorted(set(epochs))

    async def test_s2_no_session_no_lease(self, backend: Backend) -> None:
        assert await backend.store.claim("0" * 32, "alice:1") is None

    async def test_s2_a_held_session_is_busy(self, backend: Backend, clock: Clock) -> None:
        key = await begin(backend.store)
        lease = await claimed(backend.store, key)
        clock.advance(30)
        busy = await backend.store.claim(key, "bob:1")
        assert isinstance(busy, Busy)
        assert (busy.epoch, busy.seq, busy.marked) == (lease.epoch, 1, False)
        assert 0 < busy.wait <= TTL - 30 + MARGIN, "to be looked at again at the lease's end, or before"
        await backend.store.append(lease, append_of(lease))
        busy = await backend.store.claim(key, "bob:1")
        assert isinstance(busy, Busy)
        assert (busy.epoch, busy.seq, busy.marked) == (lease.epoch, 2, False)

    async def test_s2_of_claimants_at_once_one_gets_it(self, backend: Backend) -> None:
        key = await begin(backend.store)
        answers = await asyncio.gather(*(backend.store.claim(key, f"w{n}:1") for n in range(10)))
        assert sum(isinstance(answer, Lease) for answer in answers) == 1
        assert sum(isinstance(answer, Busy) for answer in answers) == 9

    async def test_s2_a_log_of_a_newer_format_is_left_alone(self, backend: Backend) -> None:
        key = await begin(backend.store, format=FORMAT + 1)
        answer = await backend.store.claim(key, "alice:1")
        assert isinstance(answer, Later)
        assert answer.reason == "format"

    async def test_s2_a_claim_notes_what_is_known_to_be_published(self, backend: Backend) -> None:
        key = await begin(backend.store, published=0)
        lease = await claimed(backend.store, key)
        assert lease.head.published == 0
        for known in (1, 0):
            await backend.store.release(lease)
            lease = await claimed(backend.store, key, published=known)
            assert lease.head.published == 1
        head = await backend.store.read(key)
        assert head is not None
        assert head.published == 1

    async def test_s2_no_claim_notes_more_than_there_is(self, backend: Backend) -> None:
        """Else a wake that says too much would keep everything to come from subscribers (R12)."""
        lease = await claimed(backend.store, await begin(backend.store, published=0), published=10**9)
        assert lease.head.published == lease.head.seq == 1

    async def test_s2_attempts_without_a_trace_are_counted_and_back_off(self, backend: Backend, clock: Clock) -> None:
        key = await begin(backend.store)
        for stalls in range(3):
            lease = await claimed(backend.store, key, f"alice:{stalls}")
            assert lease.stalls == stalls
            clock.advance(TTL)
            answer = await backend.store.claim(key, f"bob:{stalls}")
            assert isinstance(answer, Later)
            assert answer.reason == "stalled"
            assert answer.wait == pytest.approx(stall_delay(stalls + 1))
            clock.advance(answer.wait + 0.001)
        lease = await claimed(backend.store, key, "carol:1")
        await backend.store.append(lease, append_of(lease, release=True))
        assert (await claimed(backend.store, key, "carol:2")).stalls == 0

    async def test_s2_letting_go_is_a_trace(self, backend: Backend) -> None:
        key = await begin(backend.store)
        for turn in range(3):
            lease = await claimed(backend.store, key, f"alice:{turn}")
            assert lease.stalls == 0
            await backend.store.release(lease)

    async def test_s3_who_holds_it_gets_it_again(self, backend: Backend, clock: Clock) -> None:
        key = await begin(backend.store)
        lease = await claimed(backend.store, key)
        clock.advance(30)
        again = await claimed(backend.store, key)
        assert (again.epoch, again.head, again.confirmed) == (lease.epoch, lease.head, clock.monotonic())
        assert isinstance(await backend.store.claim(key, "bob:1"), Busy)
        moved = (await backend.store.append(again, append_of(again))).lease
        again = await claimed(backend.store, key)
        assert (again.epoch, again.head) == (lease.epoch, moved.head)
        await backend.store.release(again)
        assert (await claimed(backend.store, key)).epoch == lease.epoch + 1

    # --- how long it lasts -----------------------------------------------------------------------------------------

    async def test_s5_it_lapses_after_its_time(self, backend: Backend, clock: Clock) -> None:
        key = await begin(backend.store)
        lease = await claimed(backend.store, key)
        await self._lives_for_its_time(backend, clock, key)
        clock.advance(stall_delay(1) + 0.001)
        assert (await claimed(backend.store, key, "bob:1")).epoch == lease.epoch + 1

    async def test_s5_renewal_makes_it_last(self, backend: Backend, clock: Clock) -> None:
        key = await begin(backend.store)
        lease = await claimed(backend.store, key)
        for _ in range(3):
            clock.advance(TTL / 2)
            lease = await backend.store.renew(lease)
            assert lease.confirmed == clock.monotonic()
        await self._lives_for_its_time(backend, clock, key)

    async def test_s5_an_append_is_a_renewal(self, backend: Backend, clock: Clock) -> None:
        key = await begin(backend.store)
        lease = await claimed(backend.store, key)
        clock.advance(TTL - 1)
        answer = await backend.store.append(lease, append_of(lease))
        assert answer.lease.confirmed == clock.monotonic()
        await self._lives_for_its_time(backend, clock, key)

    async def _lives_for_its_time(self, backend: Backend, clock: Clock, key: str) -> None:
        clock.advance(TTL - 0.5)
        assert isinstance(await backend.store.claim(key, "bob:1"), Busy)
        clock.advance(0.5)
        assert not isinstance(await backend.store.claim(key, "bob:1"), Busy)

    async def test_s5_the_wall_clock_has_no_say(self, backend: Backend, clock: Clock) -> None:
        key = await begin(backend.store)
        await claimed(backend.store, key)
        clock.set_wall(clock.now() + timedelta(days=1))
        assert isinstance(await backend.store.claim(key, "bob:1"), Busy)
        clock.set_wall(clock.now() - timedelta(days=2))
        clock.advance(TTL + 1)
        await claimed(backend.store, key, "bob:1")

    async def test_s5_what_was_taken_is_not_renewed(self, backend: Backend, clock: Clock) -> None:
        key = await begin(backend.store)
        lease = await claimed(backend.store, key)
        clock.advance(TTL + 1)
        await claimed(backend.store, key, "bob:1")
        with pytest.raises(LeaseLost):
            await backend.store.renew(lease)
        lapsed = await begin(backend.store, "order-2")
        lease = await claimed(backend.store, lapsed)
        await backend.store.release(lease)
        with pytest.raises(LeaseLost):
            await backend.store.renew(lease)

    async def test_s5_a_lapsed_lease_that_nobody_took_still_appends(self, backend: Backend, clock: Clock) -> None:
        key = await begin(backend.store)
        lease = await claimed(backend.store, key)
        clock.advance(TTL * 2)
        await backend.store.append(lease, append_of(lease))

    # --- letting go ----------------------------------------------------------------------------------------------

    async def test_s12_letting_go_makes_it_free(self, backend: Backend) -> None:
        key = await begin(backend.store)
        lease = await claimed(backend.store, key)
        head = await backend.store.read(key)
        assert await backend.store.release(lease) is None
        assert await backend.store.read(key) == head
        again = await claimed(backend.store, key, "bob:1")
        assert (again.head, again.stalls) == (head, 0)

    async def test_s12_letting_go_may_replace_the_head(self, backend: Backend, clock: Clock) -> None:
        key = await begin(backend.store)
        lease = await claimed(backend.store, key)
        lease = (await backend.store.append(lease, append_of(lease))).lease
        rests = replace(lease.head, status="waiting", waits=(Wait(kind="input"),), wake_at=clock.now())
        await backend.store.release(lease, rests)
        assert await backend.store.read(key) == rests
        assert [head.id for head in await backend.store.list(Query(wait="input"))] == ["order-1"]
        assert list(await backend.store.overdue()) == [key]
        lease = await claimed(backend.store, key, "bob:1")
        assert lease.head == rests
        await backend.store.release(lease, replace(rests, wake_at=None))
        assert (await claimed(backend.store, key, "carol:1")).head == replace(rests, wake_at=None)

    async def test_s12_letting_go_of_what_was_taken_does_nothing(self, backend: Backend, clock: Clock) -> None:
        key = await begin(backend.store)
        stale = await claimed(backend.store, key)
        clock.advance(TTL + 1)
        lease = await claimed(backend.store, key, "bob:1")
        await backend.store.release(stale, replace(stale.head, status="failed"))
        assert await backend.store.read(key) == lease.head
        await backend.store.append(lease, append_of(lease))

    # --- marks ---------------------------------------------------------------------------------------------------

    async def test_s6_a_mark_stands_only_where_the_session_is_held_as_seen(self, backend: Backend) -> None:
        key = await begin(backend.store)
        lease = await claimed(backend.store, key)
        assert not await backend.store.mark(key, lease.epoch + 1, 1)
        assert not await backend.store.mark(key, lease.epoch, 2)
        assert await backend.store.mark(key, lease.epoch, 1)
        busy = await backend.store.claim(key, "bob:1")
        assert isinstance(busy, Busy)
        assert busy.marked
        await backend.store.release(lease)
        assert not await backend.store.mark(key, lease.epoch, 1)

    async def test_s6_the_holder_learns_of_a_mark(self, backend: Backend) -> None:
        key = await begin(backend.store)
        lease = await claimed(backend.store, key)
        assert (await backend.store.append(lease, append_of(lease))).mark is None
        lease = await claimed(backend.store, key)
        await backend.store.mark(key, lease.epoch, 2)
        answer = await backend.store.append(lease, append_of(lease, "two"))
        assert answer.mark == answer.lease.mark == (lease.epoch, 2)
        assert await backend.store.release(answer.lease) == (lease.epoch, 2)

    async def test_s6_letting_go_tells_of_a_mark(self, backend: Backend) -> None:
        key = await begin(backend.store)
        lease = await claimed(backend.store, key)
        await backend.store.mark(key, lease.epoch, 1)
        assert await backend.store.release(lease) == (lease.epoch, 1)

    async def test_s6_a_mark_goes_only_after_the_inbox_was_read(self, backend: Backend) -> None:
        key = await begin(backend.store)
        lease = await claimed(backend.store, key)
        await backend.store.mark(key, lease.epoch, 1)
        mark = (lease.epoch, 1)
        await backend.store.release(lease)
        lease = await claimed(backend.store, key, "bob:1")
        assert lease.mark == mark
        lease = (await backend.store.append(lease, append_of(lease))).lease
        assert lease.mark == mark
        answer = await backend.store.append(lease, append_of(lease, "two", inbox_read=True, release=True))
        assert answer.mark is None
        assert (await claimed(backend.store, key, "carol:1")).mark is None

    async def test_s6_a_mark_set_after_the_inbox_was_read_stays(self, backend: Backend) -> None:
        key = await begin(backend.store)
        lease = await claimed(backend.store, key)
        await backend.store.mark(key, lease.epoch, 1)
        answer = await backend.store.append(lease, append_of(lease, inbox_read=True))
        assert answer.mark == (lease.epoch, 1)
        await backend.store.mark(key, lease.epoch, 2)
        answer = await backend.store.append(answer.lease, append_of(answer.lease, "two", inbox_read=True))
        assert answer.mark == (lease.epoch, 2)
