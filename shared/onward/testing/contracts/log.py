"""S1, S4, S9 to S11, S13: heads and commits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import pytest

from onward.core import events as ev
from onward.core.codec import Cell, erase
from onward.core.events import Failure, Limits
from onward.core.head import Fold, Wait
from onward.core.log import Commit, verify
from onward.core.state import Spent
from onward.errors import CorruptLog, LeaseLost
from onward.ports import Wake
from onward.testing.contracts.story import START, Backend, Clock, append_of, begin, claimed, opening, signal


def texts(commits: Iterable[Commit]) -> list[str]:
    """Commits to the byte."""
    return [commit.to_json() for commit in commits]


@pytest.mark.asyncio
class LogContract:
    """A session's head and commits."""

    # --- create --------------------------------------------------------------------------------------------------

    async def test_s1_create_makes_head_and_first_commit_together(self, backend: Backend) -> None:
        head, commit = opening()
        assert await backend.store.create(head, commit, Wake(head.key)) is None
        assert await backend.store.read(head.key) == head
        assert texts(await backend.store.commits(head.key)) == texts([commit])

    async def test_s1_create_answers_the_head_that_is_there_and_changes_nothing(self, backend: Backend) -> None:
        head, commit = opening()
        await backend.store.create(head, commit, Wake(head.key))
        other = replace(head, program="another", status="waiting")
        assert await backend.store.create(other, replace(commit, token="other"), Wake(head.key)) == head
        assert await backend.store.read(head.key) == head
        assert texts(await backend.store.commits(head.key)) == texts([commit])

    async def test_s1_of_creators_at_once_one_succeeds(self, backend: Backend) -> None:
        head, commit = opening()
        creates = (backend.store.create(head, replace(commit, token=f"t{n}"), Wake(head.key)) for n in range(10))
        answers = await asyncio.gather(*creates)
        assert answers.count(None) == 1
        assert answers.count(head) == 9
        assert len(await backend.store.commits(head.key)) == 1

    async def test_s1_a_session_that_is_not_there_has_nothing(self, backend: Backend) -> None:
        assert await backend.store.read("0" * 32) is None
        assert list(await backend.store.commits("0" * 32)) == []

    async def test_s1_heads_are_kept_whole(self, backend: Backend) -> None:
        wait = Wait(kind="approval", call="2.0", tool="refund", rule="over 50", digest="d" * 64, until=START)
        head, commit = opening(
            status="waiting",
            wake_at=START + timedelta(days=40, milliseconds=1),
            waits=(wait, Wait(kind="timer", note="user:π")),
            error=Failure(code="oops", message="Füße\n"),
            spent=Spent(turns=3, tokens=9),
            limits=Limits(turns=5, time=1.5),
            labels=(("a", "x"), ("b", 7), ("c", True)),
            published=1,
            fold=Fold(1, "h" * 64, 1, 1, text='{"seq":1}'),
        )
        await backend.store.create(head, commit, Wake(head.key))
        assert await backend.store.read(head.key) == head

    # --- append --------------------------------------------------------------------------------------------------

    async def test_s4_append_adds_the_commit_and_moves_the_head(self, backend: Backend) -> None:
        key = await begin(backend.store)
        lease = await claimed(backend.store, key)
        first = append_of(lease, "one", head={"status": "waiting", "fold": Fold(2, "h", 1, 2, text="{}")})
        answer = await backend.store.append(lease, first)
        assert (answer.lease.epoch, answer.lease.owner, answer.lease.head) == (lease.epoch, lease.owner, first.head)
        second = append_of(answer.lease, "two", release=True)
        await backend.store.append(answer.lease, second)
        assert await backend.store.read(key) == second.head
        assert texts(await backend.store.commits(key, after=1)) == texts([first.commit, second.commit])

    async def test_s4_append_with_a_stale_epoch_changes_nothing(self, backend: Backend, clock: Clock) -> None:
        key = await begin(backend.store)
        await backend.store.file(key, signal())
        stale = await claimed(backend.store, key, "alice:1")
        clock.advance(1000)
        current = await claimed(backend.store, key, "bob:1")
        assert current.epoch > stale.epoch
        await self._append_fails(backend, key, append_of(stale, absorbed=("s1",)), stale)
        await backend.store.append(current, append_of(current, "mine"))

    async def test_s4_append_at_another_seq_changes_nothing(self, backend: Backend) -> None:
        key = await begin(backend.store)
        await backend.store.file(key, signal())
        lease = await claimed(backend.store, key)
        moved = (await backend.store.append(lease, append_of(lease, "one"))).lease
        await self._append_fails(backend, key, append_of(lease, "again", absorbed=("s1",)), lease)
        await self._append_fails(backend, key, append_of(lease, "again", absorbed=("s1",)), moved)
        await backend.store.append(moved, append_of(moved, "two"))

    async def test_s4_append_after_letting_go_changes_nothing(self, backend: Backend) -> None:
        key = await begin(backend.store)
        await backend.store.file(key, signal())
        lease = await claimed(backend.store, key)
        await backend.store.release(lease)
        await self._append_fails(backend, key, append_of(lease, absorbed=("s1",)), lease)
        lease = await claimed(backend.store, key, "alice:2")
        gone = (await backend.store.append(lease, append_of(lease, release=True))).lease
        await self._append_fails(backend, key, append_of(gone, "late", absorbed=("s1",)), gone)

    async def _append_fails(self, backend: Backend, key: str, append: object, lease: object) -> None:
        before = await self._all(backend, key)
        with pytest.raises(LeaseLost):
            await backend.store.append(lease, append)  # type: ignore[arg-type]
        assert await self._all(backend, key) == before

    async def _all(self, backend: Backend, key: str) -> tuple[object, ...]:
        store = backend.store
        return await store.read(key), tuple(await store.commits(key)), (await store.pending(key)).signals

    async def test_s4_of_appends_at_once_one_succeeds(self, backend: Backend) -> None:
        key = await begin(backend.store)
        lease = await claimed(backend.store, key)
        appends = (backend.store.append(lease, append_of(lease, f"n{n}")) for n in range(8))
        answers = await asyncio.gather(*appends, return_exceptions=True)
        assert [type(answer) for answer in answers].count(LeaseLost) == 7
        assert len(await backend.store.commits(key)) == 2

    async def test_s4_sessions_do_not_disturb_each_other(self, backend: Backend) -> None:
        keys = [await begin(backend.store, f"s{n}") for n in range(20)]

        async def work(key: str) -> None:
            for step in range(5):
                lease = await claimed(backend.store, key, f"worker:{step}")
                await backend.store.append(lease, append_of(lease, f"step{step}", release=True))

        await asyncio.gather(*(work(key) for key in keys))
        for key in keys:
            head = await backend.store.read(key)
            assert head is not None
            assert verify(await backend.store.commits(key), head.hash) == (6, head.hash)

    async def test_s4_one_that_fails_does_not_disturb_those_beside_it(self, backend: Backend) -> None:
        keys = [await begin(backend.store, f"s{n}") for n in range(6)]
        leases = [await claimed(backend.store, key) for key in keys]
        for lease in leases[::2]:
            await backend.store.release(lease)
        appends = (backend.store.append(lease, append_of(lease)) for lease in leases)
        answers = await asyncio.gather(*appends, return_exceptions=True)
        assert [isinstance(answer, LeaseLost) for answer in answers] == [True, False] * 3
        assert [len(await backend.store.commits(key)) for key in keys] == [1, 2] * 3

    # --- what was answered, and what was not -----------------------------------------------------------------------

    async def test_s9_the_commits_tell_whether_an_append_happened(self, backend: Backend) -> None:
        key = await begin(backend.store)
        lease = await claimed(backend.store, key)
        append = append_of(lease)
        assert list(await backend.store.commits(key, after=1, limit=1)) == []
        await backend.store.append(lease, append)
        assert [commit.token for commit in await backend.store.commits(key, after=1, limit=1)] == [append.commit.token]
        with pytest.raises(LeaseLost):
            await backend.store.append(lease, append)
        assert len(await backend.store.commits(key)) == 2

    async def test_s9_commits_are_kept_to_the_byte(self, backend: Backend) -> None:
        key = await begin(backend.store)
        lease = await claimed(backend.store, key)
        values = {"float": 0.1 + 0.2, "big": 2**70, "text": 'Ünï "quoted" \\ \x00 \u2028 😀', "deep": [[{"": None}]]}
        bodies = [ev.InputReceived(content=value, signal=name) for name, value in values.items()]
        append = append_of(lease, "bytes", *bodies)
        record = append.commit.records[0]
        blob = Cell(record.private["content"].digest, "salt", None, "blob", 70_000, "prévue")
        records = (replace(record, private={"content": blob}, trace="00-ab-cd-01"), *append.commit.records[1:])
        commit = replace(append.commit, records=records)
        await backend.store.append(lease, replace(append, commit=commit))
        stored = list(await backend.store.commits(key))
        assert texts(stored) == texts([opening()[1], commit])
        assert verify(stored) == (5, commit.hash)

    async def test_s9_commits_after_a_seq_within_one_begin_with_that_one(self, backend: Backend) -> None:
        key = await begin(backend.store)
        lease = await claimed(backend.store, key)
        notes = [ev.LabelsChanged(set={"n": n}) for n in range(3)]
        first = append_of(lease, "three", *notes)
        lease = (await backend.store.append(lease, first)).lease
        second = append_of(lease, "one")
        await backend.store.append(lease, second)
        tails = {after: texts(await backend.store.commits(key, after=after)) for after in range(1, 6)}
        assert tails == {
            1: texts([first.commit, second.commit]),
            2: texts([first.commit, second.commit]),
            3: texts([first.commit, second.commit]),
            4: texts([second.commit]),
            5: [],
        }
        assert texts(await backend.store.commits(key, limit=2)) == texts([opening()[1], first.commit])

    # --- erase ---------------------------------------------------------------------------------------------------

    async def test_s11_erase_replaces_a_commit_that_still_verifies(self, backend: Backend) -> None:
        key = await begin(backend.store)
        lease = await claimed(backend.store, key)
        (first,) = await backend.store.commits(key)
        erased = replace(first, records=(erase(first.records[0], "input"),))
        await backend.store.erase(lease, erased)
        assert texts(await backend.store.commits(key)) == texts([erased])
        assert verify(await backend.store.commits(key)) == (1, first.hash)

    async def test_s11_erase_without_the_lease_changes_nothing(self, backend: Backend) -> None:
        key = await begin(backend.store)
        lease = await claimed(backend.store, key)
        await backend.store.release(lease)
        (first,) = await backend.store.commits(key)
        with pytest.raises(LeaseLost):
            await backend.store.erase(lease, replace(first, records=(erase(first.records[0], "input"),)))
        assert texts(await backend.store.commits(key)) == texts([first])

    async def test_s11_erase_never_puts_another_commit_in_its_place(self, backend: Backend) -> None:
        key = await begin(backend.store)
        lease = await claimed(backend.store, key)
        (first,) = await backend.store.commits(key)
        with pytest.raises(CorruptLog):
            await backend.store.erase(lease, replace(first, hash="f" * 64))
        assert texts(await backend.store.commits(key)) == texts([first])

    # --- wakes with the log -------------------------------------------------------------------------------

    async def test_s13_an_embedded_store_keeps_wakes_with_the_log_and_another_leaves_them_to_their_port(
        self, backend: Backend
    ) -> None:
        head, commit = opening()
        started, going_on = Wake(head.key, look=True), Wake(head.key, published=2)
        await backend.store.create(head, commit, started)
        assert await self._follows(backend) == ([started] if backend.store.embedded else [])
        for wake in (going_on, None):
            lease = await claimed(backend.store, head.key, f"alice:{wake}")
            await backend.store.append(lease, append_of(lease, release=True, wake=wake))
            assert await self._follows(backend) == ([wake] if backend.store.embedded and wake else [])

    async def _follows(self, backend: Backend) -> list[Wake]:
        """The wakes that are delivered now, acknowledged."""
        deliveries = await backend.queue.take(10)
        for delivery in deliveries:
            await backend.queue.done(delivery)
        return [delivery.wake for delivery in deliveries]
