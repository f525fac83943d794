"""S16: the recording of a session from elsewhere."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from onward.core import events as ev
from onward.core.head import Head, Status, tombstone
from onward.core.log import Commit, verify
from onward.errors import CorruptLog, LeaseLost, Refused
from onward.ports import Lease, Query
from onward.testing.contracts.log import texts
from onward.testing.contracts.story import START, Backend, begin, claimed, commit_of, opening, signal


def recording(count: int = 4, id: str = "order-1") -> tuple[Head, list[Commit]]:
    """The head of an import, and all its commits."""
    head, first = opening(id)
    log, last = [first], head
    for number in range(1, count):
        commit = commit_of(ev.LabelsChanged(set={"n": number}), after=last, epoch=1, token=f"t{number}")
        log.append(commit)
        last = replace(last, seq=commit.last_seq, hash=commit.hash, commits=len(log))
    return replace(last, status="imported", published=last.seq), log


async def begun(backend: Backend, count: int = 4) -> tuple[Head, list[Commit]]:
    """An import of which the first commit is there."""
    head, log = recording(count)
    assert await backend.store.create(head, log[0], None) is None
    return head, log


@pytest.mark.asyncio
class ImportContract:
    """Clause S16."""

    async def test_s16_fill_completes_the_log_and_the_head_stays(self, backend: Backend) -> None:
        head, log = await begun(backend)
        await backend.store.fill(head.key, log[1:])
        assert await backend.store.read(head.key) == head
        assert texts(await backend.store.commits(head.key)) == texts(log)
        assert verify(await backend.store.commits(head.key)) == (head.seq, head.hash)

    async def test_s16_what_died_half_way_is_completed_and_what_is_there_stays(self, backend: Backend) -> None:
        head, log = await begun(backend, 6)
        for part in (log[2:4], log[1:], log[1:], []):
            await backend.store.fill(head.key, part)
        assert texts(await backend.store.commits(head.key)) == texts(log)

    async def test_s16_a_long_log_is_filled_part_by_part(self, backend: Backend) -> None:
        head, log = await begun(backend, 450)
        await backend.store.fill(head.key, log[1:])
        assert texts(await backend.store.commits(head.key)) == texts(log)

    async def test_s16_of_two_who_fill_at_once_both_find_it_whole(self, backend: Backend) -> None:
        head, log = await begun(backend, 8)
        await asyncio.gather(*(backend.store.fill(head.key, log[1:]) for _ in range(2)))
        assert texts(await backend.store.commits(head.key)) == texts(log)

    async def test_s16_another_commit_in_the_place_of_one_changes_nothing(self, backend: Backend) -> None:
        head, log = await begun(backend)
        await backend.store.fill(head.key, log[1:2])
        with pytest.raises(CorruptLog):
            await backend.store.fill(head.key, [replace(log[1], hash="f" * 64), *log[2:]])
        assert texts(await backend.store.commits(head.key)) == texts(log[:2])

    @pytest.mark.parametrize("status", ["running", "completed", None])
    async def test_s16_only_an_import_is_filled(self, backend: Backend, status: Status | None) -> None:
        head, log = recording()
        if status:
            await begin(backend.store, status=status)
        with pytest.raises(Refused, match="not imported"):
            await backend.store.fill(head.key, log[1:])
        assert len(await backend.store.commits(head.key)) == (1 if status else 0)

    async def test_s16_nobody_claims_it_and_nobody_need_look(self, backend: Backend) -> None:
        head, log = await begun(backend)
        await backend.store.fill(head.key, log[1:])
        assert await backend.store.claim(head.key, "alice:1") is None
        assert list(await backend.store.overdue()) == []
        assert await backend.queue.take(10) == []
        assert set((await backend.store.census()).values()) == {0}
        assert await backend.store.read(head.key) == head

    async def test_s16_it_is_listed(self, backend: Backend) -> None:
        head, _ = await begun(backend)
        await begin(backend.store, "other", updated_at=START + timedelta(minutes=1))
        assert [each.id for each in await backend.store.list(Query())] == ["other", head.id]
        assert list(await backend.store.list(Query(status=("imported",)))) == [head]

    async def test_s16_it_is_deleted_without_being_held_and_never_filled_again(self, backend: Backend) -> None:
        head, log = await begun(backend)
        await backend.store.fill(head.key, log[1:])
        await backend.store.file(head.key, signal())
        stone = tombstone(head, START, "ann", "")
        with pytest.raises(LeaseLost):
            await backend.store.delete(_lease(head), replace(stone, hash="0" * 64))
        assert await backend.store.read(head.key) == head
        await backend.store.delete(_lease(head), stone)
        assert await backend.store.read(head.key) == stone
        assert list(await backend.store.commits(head.key)) == []
        assert (await backend.store.pending(head.key)).signals == ()
        with pytest.raises(Refused, match="deleted"):
            await backend.store.fill(head.key, log[1:])
        assert list(await backend.store.commits(head.key)) == []

    async def test_s16_what_is_no_import_is_not_deleted_without_a_lease(self, backend: Backend) -> None:
        key = await begin(backend.store, status="completed")
        head = await backend.store.read(key)
        assert head is not None
        with pytest.raises(LeaseLost):
            await backend.store.delete(_lease(head), tombstone(head, START, "ann", ""))
        assert (await claimed(backend.store, key)).head == head


def _lease(head: Head) -> Lease:
    return Lease(head.key, 0, "", head, START, 0.0)
