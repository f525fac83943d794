"""What can be wrong with the file: each gets one clear error, and nothing is lost. Run as a program, it is a victim."""

import asyncio
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import onward
from onward.adapters.local import database as database_module
from onward.adapters.local.clock import SystemClock
from onward.adapters.local.failures import check_place
from onward.adapters.local.sqlite import SqliteBackend
from onward.core.lease import Later
from onward.core.log import verify
from onward.errors import (
    Ambiguous,
    CorruptLog,
    LeaseLost,
    NotFound,
    Retryable,
    StoreUnavailable,
    UnreadableLog,
    UsageError,
)
from onward.ports import Lease, Wake
from onward.testing.clock import ManualClock
from onward.testing.contracts.story import append_of, begin, claimed
from onward.testing.contracts.story import signal as signal_of

LIMIT = 400_000
"""Bytes that a file may have while the disk is full, for want of a smaller disk."""


# --- victims -------------------------------------------------------------------------------------------------------


async def append_for_ever(backend: SqliteBackend) -> None:
    """Append to many sessions at once; say what was answered."""
    keys = [await begin(backend.store, f"s{n}") for n in range(8)]

    async def work(key: str) -> None:
        turn = 0
        while True:
            lease = await claimed(backend.store, key, f"{backend.process}:{turn}")
            answer = await backend.store.append(lease, append_of(lease, release=True))
            print(key, answer.lease.head.seq, flush=True)
            turn += 1

    await asyncio.gather(*(work(key) for key in keys))


async def fill_the_disk(backend: SqliteBackend) -> None:
    """Append until the disk is full, make room, and go on where it stopped."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    key = await begin(backend.store)
    lease = await claimed(backend.store, key)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, hard))
    answered, failure = 1, ""
    while not failure:
        append = append_of(lease, f"n{lease.head.seq}")
        try:
            lease = (await backend.store.append(lease, append)).lease
            answered = lease.head.seq
        except Retryable as exc:
            failure = str(exc)
    assert str(backend.database.path) in failure
    assert (await backend.store.commits(key))[-1].last_seq == answered
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    lease = (await backend.store.append(lease, append)).lease
    assert verify(await backend.store.commits(key)) == (answered + 1, lease.head.hash)
    print("went on", flush=True)


async def be_refused(path: str) -> None:
    """Open a file that may only be read, as somebody who may not do everything."""
    if os.geteuid() == 0:
        os.setgid(65534)
        os.setuid(65534)
    try:
        SqliteBackend.open(path, SystemClock())
    except UsageError as exc:
        print(exc, flush=True)


async def main(role: str, path: str) -> None:
    if role == "be_refused":
        return await be_refused(path)
    backend = SqliteBackend.open(path, SystemClock())
    try:
        await {"append_for_ever": append_for_ever, "fill_the_disk": fill_the_disk}[role](backend)
    finally:
        await backend.close()


def victim(role: str, path: Path) -> "subprocess.Popen[str]":
    environment = os.environ | {"PYTHONPATH": str(Path(onward.__file__).parents[1])}
    command = [sys.executable, "-W", "error", __file__, role, str(path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


# --- files that can't be opened --------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "onward.db"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def refused(path: Path, error: type[Exception], says: str, create: bool = True) -> None:
    """Opening fails with this error, which names the file, and leaves it as it was."""
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(error, match=says) as raised:
        SqliteBackend.open(path, ManualClock(), create=create)
    assert str(path) in str(raised.value)
    assert (path.read_bytes() if path.is_file() else None) == before


def test_no_directory(path: Path) -> None:
    refused(path.parent / "missing" / "onward.db", UsageError, "make it, or name another")


def test_a_directory(path: Path) -> None:
    path.mkdir()
    refused(path, UsageError, "is a directory")


def test_no_file_where_none_is_to_be_made(path: Path) -> None:
    refused(path, NotFound, "no database", create=False)
    assert not path.exists()


def test_no_database(path: Path) -> None:
    path.write_text("This is a letter to my aunt.\n" * 100)
    refused(path, UsageError, "not a database: name another file")


def test_another_programs_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    with pytest.raises(UsageError, match="another program's database"):
        SqliteBackend.open(path, ManualClock())
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("recipes",)]


async def test_a_newer_schema(path: Path, clock: ManualClock) -> None:
    await SqliteBackend.open(path, clock).close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE meta SET value = 1000 WHERE name = 'schema'")
    refused(path, UnreadableLog, "made by a newer onward .*upgrade")


async def test_a_damaged_file(path: Path, clock: ManualClock) -> None:
    backend = SqliteBackend.open(path, clock)
    await begin(backend.store)
    await backend.close()
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)
    refused(path, CorruptLog, "damaged .*restore it from a backup")


async def test_a_file_damaged_while_it_is_open(path: Path, clock: ManualClock) -> None:
    backend = SqliteBackend.open(path, clock)
    key = await begin(backend.store)
    await backend.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE commits SET doc = '{' || doc")
    backend = SqliteBackend.open(path, clock)
    with pytest.raises(CorruptLog):
        await backend.store.commits(key)
    await backend.close()


def test_a_file_that_may_only_be_read() -> None:
    directory = Path(tempfile.mkdtemp())
    try:
        directory.chmod(0o755)
        path = directory / "onward.db"
        path.touch(0o444)
        process = victim("be_refused", path)
        said, _ = process.communicate()
        assert f"{path} can't be written" in said
        assert "permissions" in said
    finally:
        shutil.rmtree(directory)


async def test_a_file_that_another_program_keeps_locked(
    path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await SqliteBackend.open(path, clock).close()
    monkeypatch.setattr(database_module, "PATIENCE", 0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreUnavailable, match="locked by another program") as raised:
            SqliteBackend.open(path, clock)
        assert str(path) in str(raised.value)
    await SqliteBackend.open(path, clock).close()


def test_a_network_file_system(tmp_path: Path) -> None:
    place = tmp_path / "a b"
    place.mkdir()
    mounted = str(place.resolve()).replace(" ", r"\040")
    for kind in ("nfs", "nfs4", "cifs", "smb3", "fuse.sshfs"):
        mounts = f"/dev/vda / ext4 rw 0 0\nserver:/x {mounted} {kind} rw 0 0\n"
        check_place(tmp_path / "onward.db", mounts)
        with pytest.raises(UsageError, match="network file system"):
            check_place(place / "onward.db", mounts)
    check_place(place / "onward.db", f"/dev/vda / nfs rw 0 0\n/dev/vdb {mounted} ext4 rw 0 0\n")


# --- while it is in use ----------------------------------------------------------------------------------------------


@pytest.fixture
async def backend(path: Path, clock: ManualClock) -> AsyncIterator[SqliteBackend]:
    backend = SqliteBackend.open(path, clock)
    yield backend
    await backend.close()


@pytest.fixture
def other(backend: SqliteBackend) -> Iterator[sqlite3.Connection]:
    """Another program's connection to the same file."""
    with closing(sqlite3.connect(backend.database.path, isolation_level=None)) as connection:
        yield connection


async def test_s10_locked_for_too_long_it_has_not_happened(
    backend: SqliteBackend, other: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "PATIENCE", 0.05)
    key = await begin(backend.store)
    lease = await claimed(backend.store, key)
    other.execute("BEGIN IMMEDIATE")
    for operation in (
        backend.store.append(lease, append_of(lease)),
        backend.store.claim(key, "bob:1"),
        backend.store.file(key, signal_of()),
    ):
        with pytest.raises(StoreUnavailable, match="locked by another program"):
            await operation
    other.execute("ROLLBACK")
    assert (await backend.store.pending(key)).signals == ()
    await backend.store.append(lease, append_of(lease))


async def test_locked_for_a_moment_it_is_waited_for(backend: SqliteBackend, other: sqlite3.Connection) -> None:
    key = await begin(backend.store)
    other.execute("BEGIN IMMEDIATE")
    claiming = asyncio.ensure_future(backend.store.claim(key, "alice:1"))
    appending = asyncio.ensure_future(backend.store.file(key, signal_of()))
    await asyncio.sleep(0.01)
    assert not claiming.done()
    other.execute("ROLLBACK")
    assert isinstance(await claiming, Lease)
    await appending


async def test_s10_on_a_full_disk_it_has_not_happened(backend: SqliteBackend) -> None:
    key = await begin(backend.store)
    lease = await claimed(backend.store, key)
    pages = await backend.database.write(lambda c: c.execute("PRAGMA page_count").fetchone()[0], durable=False)
    await backend.database.write(lambda c: c.execute(f"PRAGMA max_page_count = {pages}").fetchone(), durable=False)
    large = append_of(lease, "large" * 5000)
    with pytest.raises(StoreUnavailable, match="disk is full: make room"):
        await backend.store.append(lease, large)
    assert len(await backend.store.commits(key)) == 1
    await backend.database.write(lambda c: c.execute("PRAGMA max_page_count = 1000000").fetchone(), durable=False)
    await backend.store.append(lease, large)


async def test_s10_a_full_disk_fails_only_those_who_have_no_room(backend: SqliteBackend) -> None:
    keys = [await begin(backend.store, f"s{n}") for n in range(4)]
    leases = [await claimed(backend.store, key) for key in keys]
    pages = await backend.database.write(lambda c: c.execute("PRAGMA page_count").fetchone()[0], durable=False)
    await backend.database.write(lambda c: c.execute(f"PRAGMA max_page_count = {pages}").fetchone(), durable=False)
    appends = [append_of(lease, "large" * 5000 * (n % 2)) for n, lease in enumerate(leases)]
    answers = await asyncio.gather(
        *(backend.store.append(lease, append) for lease, append in zip(leases, appends, strict=True)),
        return_exceptions=True,
    )
    for key, answer in zip(keys, answers, strict=True):
        assert len(await backend.store.commits(key)) == (1 if isinstance(answer, StoreUnavailable) else 2)
    assert isinstance(answers[1], StoreUnavailable)
    assert isinstance(answers[3], StoreUnavailable)


def test_s9_a_disk_that_fills_up_loses_nothing(path: Path) -> None:
    process = victim("fill_the_disk", path)
    said, _ = process.communicate()
    assert said == "went on\n"


class FailsAtCommit:
    """A connection whose disk fails at the next COMMIT, `before` or after it has been written."""

    def __init__(self, real: sqlite3.Connection, before: bool) -> None:
        self._real = real
        self._before = before
        self.failures = 1

    def execute(self, sql: str, *args: Any) -> Any:
        if sql != "COMMIT" or not self.failures:
            return self._real.execute(sql, *args)
        self.failures -= 1
        self._real.execute("ROLLBACK" if self._before else "COMMIT")
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
        raise error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@pytest.mark.parametrize("before", [True, False])
async def test_s9_a_disk_error_at_commit_is_settled_by_the_commits(backend: SqliteBackend, before: bool) -> None:
    key = await begin(backend.store)
    (delivery,) = await backend.queue.take(10)
    lease = await claimed(backend.store, key)
    append = append_of(lease, release=True, wake=Wake(key))
    real = backend.database._writer
    backend.database._writer = FailsAtCommit(real, before)  # type: ignore[assignment]
    with pytest.raises(Ambiguous, match="may have happened"):
        await backend.store.append(lease, append)
    backend.database._writer = real
    assert len(await backend.store.commits(key, after=1)) == (0 if before else 1)
    if before:
        await backend.store.append(lease, append)
    else:
        with pytest.raises(LeaseLost):
            await backend.store.append(lease, append)
    await backend.queue.done(delivery)
    (delivery,) = await backend.queue.take(10)
    assert delivery.wake.key == key
    assert (await claimed(backend.store, key, "bob:1")).head == append.head


async def test_s9_a_disk_error_fails_everybody_in_the_commit(backend: SqliteBackend) -> None:
    real = backend.database._writer
    backend.database._writer = FailsAtCommit(real, before=True)  # type: ignore[assignment]
    puts = (backend.blobs.put("k", str(n), "text") for n in range(5))
    answers = await asyncio.gather(*puts, return_exceptions=True)
    backend.database._writer = real
    assert [type(answer) for answer in answers] == [Ambiguous] * 5
    assert len({id(answer) for answer in answers}) == 5
    assert not [n for n in range(5) if await backend.blobs.get("k", str(n))]


def test_s9_kill_9_loses_nothing_that_was_answered(path: Path) -> None:
    process = victim("append_for_ever", path)
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(400)]
    process.send_signal(signal.SIGKILL)
    said += process.stdout.read().splitlines()
    process.communicate()
    answered: dict[str, int] = {}
    for line in said:
        key, _, seq = line.partition(" ")
        if seq:
            answered[key] = int(seq)

    async def check() -> None:
        backend = SqliteBackend.open(path, SystemClock())
        for key, seq in answered.items():
            head = await backend.store.read(key)
            assert head is not None
            assert verify(await backend.store.commits(key), head.hash) == (head.seq, head.hash)
            assert head.seq in (seq, seq + 1)
            while not isinstance(lease := await backend.store.claim(key, f"{backend.process}:1"), Lease):
                assert isinstance(lease, Later)  # the back-off after a stall
                await asyncio.sleep(lease.wait)
            await backend.store.append(lease, append_of(lease))
        await backend.close()

    asyncio.run(check())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
