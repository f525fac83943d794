"""What the embedded store promises beyond the ports: who is dead, whose a wake is, what is swept away."""

import asyncio
import sqlite3
import stat
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from onward.adapters.local import database as database_module
from onward.adapters.local.holders import Holders
from onward.adapters.local.sqlite import SqliteBackend
from onward.core import events as ev
from onward.core.codec import erase
from onward.core.head import Fold
from onward.core.lease import TTL, Busy, Later
from onward.core.retry import stall_delay
from onward.core.signals import KEPT_DAYS
from onward.errors import Refused, StoreUnavailable
from onward.ports import Lease, Wake
from onward.testing.clock import ManualClock
from onward.testing.contracts.story import append_of, begin, claimed, opening, signal

Open = Callable[[], SqliteBackend]
SOON = 20.0
"""Seconds of patience with real threads; nothing here takes so long."""


@pytest.fixture
async def another(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Open]:
    """Opens the same file again, as another process would."""
    opened: list[SqliteBackend] = []

    def open() -> SqliteBackend:
        opened.append(SqliteBackend.open(tmp_path / "onward.db", clock))
        return opened[-1]

    yield open
    for backend in opened:
        await backend.close()


@pytest.fixture
def backend(another: Open) -> SqliteBackend:
    return another()


# --- the file ------------------------------------------------------------------------------------------------------


async def test_the_file_and_its_companions_are_nobody_elses_to_read(backend: SqliteBackend, tmp_path: Path) -> None:
    await begin(backend.store)
    assert backend.process
    files = list(tmp_path.iterdir())
    assert {file.name.partition("-holder-")[0] for file in files} == {"onward.db", "onward.db-wal", "onward.db-shm"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


async def test_everything_is_there_when_the_file_is_opened_again(backend: SqliteBackend, another: Open) -> None:
    key = await begin(backend.store)
    lease = await claimed(backend.store, key)
    append = append_of(lease, head={"fold": Fold(2, "h", 1, 2, text="{}")}, release=True)
    await backend.store.append(lease, append)
    filed = await backend.store.file(key, signal())
    secret = backend.secret
    await backend.close()
    backend = another()
    assert await backend.store.read(key) == append.head
    assert len(await backend.store.commits(key)) == 2
    assert (await backend.store.pending(key)).signals == (filed,)
    assert backend.secret == secret != b""


async def test_closed_it_says_so(backend: SqliteBackend) -> None:
    await backend.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await backend.store.read("0" * 32)


async def test_what_fails_in_a_shared_commit_fails_alone(backend: SqliteBackend) -> None:
    def work(number: int, c: sqlite3.Connection) -> int:
        c.execute("INSERT INTO blobs (key, name, text) VALUES ('k', ?, '')", (str(number),))
        if number % 3 == 0:
            raise Refused(f"number {number}")
        return number

    jobs = [backend.database.write(partial(work, n), durable=True) for n in range(9)]
    answers = await asyncio.gather(*jobs, return_exceptions=True)
    assert [answer for answer in answers if isinstance(answer, int)] == [1, 2, 4, 5, 7, 8]
    assert [str(answer) for answer in answers if isinstance(answer, Refused)] == ["number 0", "number 3", "number 6"]
    there = [n for n in range(9) if await backend.blobs.get("k", str(n)) is not None]
    assert there == [1, 2, 4, 5, 7, 8]


async def test_s9_what_must_be_durable_is_synced_and_the_rest_is_not(
    backend: SqliteBackend, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bool] = []
    begin_transaction = backend.database._begin

    def noted(durable: bool, may_wait: bool) -> bool:
        begun = begin_transaction(durable, may_wait)
        synced.append(backend.database._writer.execute("PRAGMA synchronous").fetchone() == (2,))
        return begun

    monkeypatch.setattr(backend.database, "_begin", noted)
    store, queue = backend.store, backend.queue
    key = await begin(store)
    lease = await claimed(store, key)
    await store.renew(lease)
    await store.mark(key, lease.epoch, 1)
    await store.file(key, signal())
    await store.refuse(key, ["s1"], "no")
    (first,) = await store.commits(key)
    await store.erase(lease, replace(first, records=(erase(first.records[0], "input"),)))
    lease = (await store.append(lease, append_of(lease))).lease
    await store.release(lease)
    await queue.arm(key, clock.now())
    await queue.publish(Wake(key))
    durable = [True, False, False, False, True, True, True, True, False, True, True]
    assert synced == durable
    together = (store.claim(key, "x:1"), store.file(key, signal("s2")))
    await asyncio.gather(*together)
    assert synced[len(durable) :] in ([True], [False, True])


async def test_the_log_of_sqlite_itself_stays_small(backend: SqliteBackend, tmp_path: Path) -> None:
    for number in range(200):
        await backend.blobs.put("k", str(number), "x" * 100_000)
    key = await begin(backend.store)
    for number in range(500):
        await backend.store.release(await claimed(backend.store, key, f"w:{number}"))
    assert (tmp_path / "onward.db-wal").stat().st_size < 10_000_000


async def test_any_loop_of_any_thread_may_ask(backend: SqliteBackend) -> None:
    keys = [await begin(backend.store, f"s{n}") for n in range(3)]

    async def step(key: str) -> None:
        for turn in range(10):
            lease = await claimed(backend.store, key, f"w:{turn}")
            await backend.store.append(await backend.store.renew(lease), append_of(lease, release=True))

    threads = [threading.Thread(target=lambda key=key: asyncio.run(step(key))) for key in keys]
    for thread in threads:
        thread.start()
    await asyncio.gather(*(asyncio.to_thread(thread.join) for thread in threads))
    assert [len(await backend.store.commits(key)) for key in keys] == [11, 11, 11]


async def test_what_was_erased_is_in_no_file(backend: SqliteBackend, tmp_path: Path) -> None:
    secret = "a-word-that-must-go-0123456789"
    head, commit = opening()
    records = (replace(commit.records[0], private={"input": replace(commit.records[0].private["input"], text=secret)}),)
    commit = replace(commit, records=records)
    await backend.store.create(head, commit, Wake(head.key))
    lease = await claimed(backend.store, head.key)
    await backend.blobs.put(head.key, "snapshots/1", secret * 1000)
    moved = append_of(lease, head={"fold": Fold(2, "h", 1, 2, text=secret)})
    lease = (await backend.store.append(lease, moved)).lease
    await backend.store.erase(lease, replace(commit, records=(erase(commit.records[0], "input"),)))
    await backend.store.append(lease, append_of(lease, head={"fold": None}))
    await backend.blobs.forget(head.key, "snapshots/")
    await backend.blobs.put(head.key, "blobs/1", "this is after the log was cut")
    for file in tmp_path.iterdir():
        assert secret.encode() not in file.read_bytes(), file


# --- who holds leases ----------------------------------------------------------------------------------------------


async def test_the_lease_of_a_dead_process_is_free_after_the_back_off(another: Open, clock: ManualClock) -> None:
    first, second = another(), another()
    key = await begin(first.store)
    lease = await claimed(first.store, key, f"{first.process}:1")
    assert isinstance(await second.store.claim(key, f"{second.process}:1"), Busy)
    first.database.holders.abandon()
    assert isinstance(await second.store.claim(key, f"{second.process}:1"), Later)
    clock.advance(stall_delay(1) + 0.001)
    taken = await claimed(second.store, key, f"{second.process}:1")
    assert (taken.epoch, taken.stalls) == (lease.epoch + 1, 1)


async def test_the_lease_of_a_closed_process_is_free(another: Open, clock: ManualClock) -> None:
    first, second = another(), another()
    key = await begin(first.store)
    await claimed(first.store, key, f"{first.process}:1")
    await first.close()
    clock.advance(1)
    assert isinstance(await second.store.claim(key, f"{second.process}:1"), Lease)


async def test_an_owner_that_is_no_process_lives_for_its_time(backend: SqliteBackend, clock: ManualClock) -> None:
    key = await begin(backend.store)
    await claimed(backend.store, key, "somebody:1")
    clock.advance(TTL - 1)
    assert isinstance(await backend.store.claim(key, f"{backend.process}:1"), Busy)


async def test_a_lease_from_before_the_machine_started_is_free(
    another: Open, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Monotonic times of different boots can't be compared."""
    first = another()
    key = await begin(first.store)
    await claimed(first.store, key, "somebody:1")
    monkeypatch.setattr(database_module, "boot_id", lambda: "another boot")
    second = another()
    assert list(await second.store.overdue()) == []
    assert (await claimed(second.store, key, "somebody:2")).stalls == 1


async def test_what_the_dead_held_is_overdue(another: Open, clock: ManualClock) -> None:
    first, second = another(), another()
    key = await begin(first.store, wake_at=clock.now())
    await claimed(first.store, key, f"{first.process}:1")
    assert list(await second.store.overdue()) == []
    first.database.holders.abandon()
    assert list(await second.store.overdue()) == [key]


def test_the_files_of_the_dead_are_removed_by_whoever_finds_them(tmp_path: Path) -> None:
    path = tmp_path / "[odd] *name?.db"
    alive, dead, looker = Holders(path), Holders(path), Holders(path)
    ids = [holder.id for holder in (alive, dead, looker)]
    dead.abandon()
    assert [looker.is_dead(f"{id}:1") for id in ids] == [False, True, False]
    assert [looker.is_dead(id) for id in ids] == [False, True, False]
    assert len(list(tmp_path.iterdir())) == 2
    alive.abandon()
    looker.clean()
    assert [file.name for file in tmp_path.iterdir()] == [f"{path.name}-holder-{looker.id}"]
    looker.close()
    assert list(tmp_path.iterdir()) == []


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


# --- what is swept away --------------------------------------------------------------------------------------------


async def test_the_newest_two_snapshots_are_kept(backend: SqliteBackend) -> None:
    key = await begin(backend.store)
    lease = await claimed(backend.store, key)
    await backend.blobs.put(key, "blobs/1", "stays")
    for seq in range(2, 7):
        name = f"snapshots/{seq}"
        await backend.blobs.put(key, name, "{}")
        head = {"fold": Fold(seq, "h", 1, seq, snapshot=name)}
        lease = (await backend.store.append(lease, append_of(lease, f"n{seq}", head=head))).lease
    left = [seq for seq in range(2, 7) if await backend.blobs.get(key, f"snapshots/{seq}")]
    assert left == [5, 6]
    await backend.blobs.put(key, "snapshots/98", "of one that lost its lease")
    await backend.blobs.put(key, "snapshots/99", "of one that lost its lease")
    head = {"fold": Fold(5, "h", 1, 5, snapshot="snapshots/5")}
    await backend.store.append(lease, append_of(lease, "back", head=head))
    assert await backend.blobs.get(key, "snapshots/5")
    assert await backend.blobs.get(key, "blobs/1")


async def test_absorbed_signals_are_forgotten_after_their_time(backend: SqliteBackend, clock: ManualClock) -> None:
    key = await begin(backend.store)
    await backend.store.file(key, signal("old"))
    lease = await claimed(backend.store, key)
    lease = (await backend.store.append(lease, append_of(lease, absorbed=("old",)))).lease
    clock.advance(KEPT_DAYS * 86400 - 1)
    await backend.store.file(key, signal("new"))
    lease = (await backend.store.append(lease, append_of(lease, "two", absorbed=("new",)))).lease
    assert await self_of(backend, key) == ["new", "old"]
    clock.advance(1)
    await backend.store.file(key, signal("newer"))
    await backend.store.append(lease, append_of(lease, "three", absorbed=("newer",)))
    assert await self_of(backend, key) == ["new", "newer"]


async def self_of(backend: SqliteBackend, key: str) -> list[str]:
    with closing(sqlite3.connect(backend.database.path)) as connection:
        return sorted(id for (id,) in connection.execute("SELECT id FROM inbox WHERE key = ?", (key,)))


async def test_lists_and_sweeps_read_indexes(backend: SqliteBackend) -> None:
    await begin(backend.store)
    await backend.store.file("f" * 32, signal())
    seen: list[str] = []

    def explain(c: sqlite3.Connection) -> None:
        c.set_trace_callback(seen.append)
        backend.store._do.overdue(c, 10)
        backend.queue._table.find(c)
        c.set_trace_callback(None)
        plans = [row[3] for sql in seen for row in c.execute(f"EXPLAIN QUERY PLAN {sql}")]
        assert plans
        assert not [
            plan for plan in plans if plan.startswith("SCAN") and "USING" not in plan and "subquery" not in plan
        ]

    await backend.database.read(explain)


async def test_private_values_are_text_that_a_person_can_read(backend: SqliteBackend) -> None:
    key = await begin(backend.store)
    lease = await claimed(backend.store, key)
    append = append_of(lease, "x", ev.InputReceived(content="Grüße", signal="s"))
    await backend.store.append(lease, append)
    with closing(sqlite3.connect(backend.database.path)) as connection:
        (doc,) = connection.execute("SELECT doc FROM commits WHERE first_seq = 2").fetchone()
    assert "Grüße" in doc
