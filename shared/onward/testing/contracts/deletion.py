"""S14: what is left of a session that was deleted."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from onward.core.head import Fold, Head, Wait, tombstone
from onward.core.lease import TTL
from onward.errors import LeaseLost
from onward.ports import Lease, Query, Wake
from onward.testing.contracts.story import (
    START,
    Backend,
    Clock,
    Contents,
    append_of,
    begin,
    claimed,
    opening,
    signal,
)

LATER = START + timedelta(hours=1)


async def ended(backend: Backend, id: str = "order-1") -> Lease:
    """A session that has ended, with all that a session can have; and the lease under which it may be deleted."""
    key = await begin(backend.store, id, labels=(("team", "blue"),), parent="mother")
    lease = await claimed(backend.store, key)
    fold = Fold(2, "h", 1, 2, text="{}")
    done = append_of(lease, head={"status": "completed", "fold": fold}, release=True, wake=Wake(key))
    await backend.store.append(lease, done)
    await backend.store.file(key, signal())
    return await claimed(backend.store, key, "alice:2")


def stone(head: Head) -> Head:
    return tombstone(head, LATER, "ann", "asked for it")


@pytest.mark.asyncio
class DeletionContract:
    """Clause S14."""

    async def test_s14_a_tombstone_is_all_that_is_left(self, backend: Backend) -> None:
        lease = await ended(backend)
        other = await begin(backend.store, "other")
        await backend.store.file(other, signal())
        await backend.store.delete(lease, stone(lease.head))
        assert await backend.store.read(lease.key) == stone(lease.head)
        assert list(await backend.store.commits(lease.key)) == []
        assert (await backend.store.pending(lease.key)).signals == ()
        assert len(await backend.store.commits(other)) == len((await backend.store.pending(other)).signals) == 1
        assert list(await backend.store.overdue()) == [other]

    async def test_s14_clear_removes_nothing_but_what_a_deletion_left(self, backend: Backend) -> None:
        lease = await ended(backend)
        await backend.store.clear(lease.key)
        assert await backend.store.read(lease.key) == lease.head
        assert len(await backend.store.commits(lease.key)) == 2
        await backend.store.delete(lease, stone(lease.head))
        for key in (lease.key, "never"):
            await backend.store.clear(key)
        assert await backend.store.read(lease.key) == stone(lease.head)

    async def test_s14_it_keeps_who_it_was_and_its_hash_and_nothing_that_it_said(self, backend: Backend) -> None:
        lease = await ended(backend)
        head = replace(lease.head, waits=(Wait(kind="timer"),), wake_at=LATER)
        left = stone(head)
        kept = ("key", "tenant", "id", "program", "version", "seq", "hash", "commits", "created_at", "spent", "parent")
        assert [getattr(left, name) for name in kept] == [getattr(head, name) for name in kept]
        assert (left.status, left.updated_at, left.ended) == ("deleted", LATER, True)
        assert (left.waits, left.labels, left.fold, left.wake_at) == ((), (), None, None)

    async def test_s14_what_was_still_to_be_read_is_gone_too(self, backend: Backend, contents: Contents) -> None:
        lease = await ended(backend)
        await backend.store.file(lease.key, signal("s2", content="between us"))
        assert "between us" in await contents()
        await backend.store.delete(lease, stone(lease.head))
        assert "between us" not in await contents()

    async def test_s14_an_embedded_store_deletes_wakes_and_timers_too(self, backend: Backend, clock: Clock) -> None:
        lease = await ended(backend)
        await backend.queue.arm(lease.key, clock.now())
        await backend.store.delete(lease, stone(lease.head))
        if backend.store.embedded:
            assert await backend.queue.take(10) == []

    async def test_s14_create_answers_the_tombstone_and_changes_nothing(self, backend: Backend) -> None:
        lease = await ended(backend)
        await backend.store.delete(lease, stone(lease.head))
        head, commit = opening()
        assert await backend.store.create(head, commit, Wake(head.key)) == stone(lease.head)
        assert list(await backend.store.commits(head.key)) == []

    async def test_s14_it_is_never_claimed_and_its_lease_is_gone(self, backend: Backend, clock: Clock) -> None:
        lease = await ended(backend)
        await backend.store.delete(lease, stone(lease.head))
        clock.advance(TTL)
        for owner in ("alice:2", "bob:1"):
            assert await backend.store.claim(lease.key, owner) is None
        with pytest.raises(LeaseLost):
            await backend.store.append(lease, append_of(lease))
        with pytest.raises(LeaseLost):
            await backend.store.delete(lease, stone(lease.head))
        assert await backend.store.read(lease.key) == stone(lease.head)

    async def test_s14_without_the_lease_nothing_changes(self, backend: Backend, clock: Clock) -> None:
        lease = await ended(backend)
        clock.advance(TTL + 1)
        await claimed(backend.store, lease.key, "bob:1")
        with pytest.raises(LeaseLost):
            await backend.store.delete(lease, stone(lease.head))
        assert await backend.store.read(lease.key) == lease.head
        assert len(await backend.store.commits(lease.key)) == 2
        assert len((await backend.store.pending(lease.key)).signals) == 1

    async def test_s14_what_went_on_meanwhile_is_not_deleted(self, backend: Backend) -> None:
        lease = await ended(backend)
        moved = (await backend.store.append(lease, append_of(lease))).lease
        with pytest.raises(LeaseLost):
            await backend.store.delete(moved, stone(lease.head))
        assert await backend.store.read(lease.key) == moved.head

    async def test_s14_tombstones_are_listed_only_where_they_are_asked_for(self, backend: Backend) -> None:
        lease = await ended(backend)
        await ended(backend, "other")
        await backend.store.delete(lease, stone(lease.head))
        queries = (Query(), Query(tenant="acme"), Query(parent="mother"), Query(status=("completed", "running")))
        for query in queries:
            assert [head.id for head in await backend.store.list(query)] == ["other"]
        for query in (Query(status=("deleted",)), Query(status=("deleted",), parent="mother")):
            assert list(await backend.store.list(query)) == [stone(lease.head)]
