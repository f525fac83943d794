"""What the embedded store promises beyond the ports: the file, who holds leases, what is swept away."""

import asyncio
import sqlite3
import stat
import threading
from collections.abc import Callable
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
    await backend.store.file(head.key, signal(content=secret * 300))
    moved = append_of(lease, head={"fold": Fold(2, "h", 1, 2, text=secret)}, absorbed=("s1",))
    lease = (await backend.store.append(lease, moved)).lease
    await backend.store.erase(lease, replace(commit, records=(erase(commit.records[0], "input"),)))
    await backend.store.append(lease, append_of(lease, head={"fold": None}))
    await backend.blobs.forget(head.key, "snapshots/")
    await backend.blobs.put(head.key, "blobs/1", "this is after the log was cut")
    for file in tmp_path.iterdir():
        assert secret.encode() not in file.read_bytes(), file


async def test_erasing_takes_the_signals_that_an_older_release_kept_whole(backend: SqliteBackend) -> None:
    head, commit = opening()
    await backend.store.create(head, commit, Wake(head.key))
    lease = await claimed(backend.store, head.key)
    await backend.store.file(head.key, signal(content="between us"))
    await backend.store.file(head.key, signal("s2", content="still to be read"))
    with closing(sqlite3.connect(backend.database.path)) as connection, connection:
        connection.execute("UPDATE inbox SET pending = 0 WHERE id = 's1'")
    await backend.store.erase(lease, replace(commit, records=(erase(commit.records[0], "input"),)))
    with closing(sqlite3.connect(backend.database.path)) as connection:
        kept = [doc for (doc,) in connection.execute("SELECT doc FROM inbox ORDER BY id")]
    assert ["between us" in kept[0], "still to be read" in kept[1]] == [False, True]


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
    assert await inbox_of(backend, key) == ["new", "old"]
    clock.advance(1)
    await backend.store.file(key, signal("newer"))
    await backend.store.append(lease, append_of(lease, "three", absorbed=("newer",)))
    assert await inbox_of(backend, key) == ["new", "newer"]


async def inbox_of(backend: SqliteBackend, key: str) -> list[str]:
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
