"""One SQLite file: every change goes through one thread, and what waits together is one commit (design, section 8).

    write   BEGIN IMMEDIATE, the jobs that wait with a savepoint each, COMMIT; synced to disk if any of them must be
    read    each job on its own, on a second connection; no read transaction outlives a job

Other processes' commits are noticed by asking SQLite for its `data_version`, only while somebody watches.
"""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from sqlite3 import Connection
from typing import Any, TypeVar

from onward.adapters.local import migrations
from onward.adapters.local.failures import is_busy, make_file, translate, translate_commit, translate_open
from onward.adapters.local.holders import Holders
from onward.adapters.local.lane import After, Job, Lane, Work
from onward.core.lease import TTL
from onward.errors import StoreUnavailable
from onward.ports import Clock

T = TypeVar("T")

POLL = 0.03
"""Seconds between two looks for other processes' commits, while somebody watches."""

PATIENCE = 5.0
"""Seconds to wait for another process's commit."""

WAL_PAGES = 2000
"""About so many pages are written to SQLite's log before it is moved into the file."""

PAGE = 4096


@dataclass(slots=True)
class Watcher:
    """Who is called, from the writing thread, when another process has committed; until `until` (monotonic)."""

    changed: Callable[[], None]
    until: float = float("inf")


class Database:
    """An open file. Usable from any thread and any event loop until it is closed."""

    def __init__(
        self, path: Path, clock: Clock, ttl: float, secret: bytes, writer: Connection, reader: Connection
    ) -> None:
        self.path = path
        self.clock = clock
        self.ttl = ttl
        self.secret = secret
        self.boot = boot_id()
        self.holders = Holders(path)
        self._writer = writer
        self._reader = reader
        self._synced: bool | None = None
        self._pages = 0
        self._scrub = False
        self._watching: dict[int, Watcher] = {}
        self._seen = _data_version(writer)
        self._seen_at = 0.0
        self._write_lane = Lane("onward-write", self._write_all, self._between)
        self._read_lane = Lane("onward-read", self._read_all, lambda: None)

    @classmethod
    def open(cls, path: Path, clock: Clock, *, ttl: float = TTL, create: bool = True) -> Database:
        """Open the file, and make it unless `create` is false.

        Raises UsageError (NotFound, too) for a file that can't be used, UnreadableLog for one of a newer release,
        CorruptLog for a damaged one, StoreUnavailable for one that is locked.
        """
        path = path.resolve()
        make_file(path, create)
        connections: list[Connection] = []
        try:
            connections.append(_connect(path))
            secret = _patiently(lambda: migrations.prepare(connections[0], path), may_wait=True)
            assert secret is not None
            connections.append(_connect(path))
            connections[1].execute("PRAGMA query_only = ON")
            return cls(path, clock, ttl, secret, connections[0], connections[1])
        except BaseException as exc:
            for connection in connections:
                connection.close()
            if isinstance(exc, sqlite3.Error):
                raise translate_open(exc, path) from exc
            raise

    def write(
        self, work: Work[T], *, durable: bool, quick: bool = False, size: int = 0, after: After[T] | None = None
    ) -> asyncio.Future[T]:
        """Have the work done in a transaction; the answer comes once that is committed, and on disk if `durable`.
        `quick` work may be done at once on this thread.

        What the work raises is raised here, and then it has changed nothing. Raises StoreUnavailable where nothing
        happened, and Ambiguous where the disk failed during the commit.
        """
        return self._write_lane.submit(work, durable=durable, quick=quick, size=size, after=after)

    def read(self, work: Work[T], *, quick: bool = False) -> asyncio.Future[T]:
        """Have the work done on what is committed. `quick` work may be done at once on this thread."""
        return self._read_lane.submit(work, quick=quick)

    def scrub(self) -> None:
        """From within a write: leave nothing of what was overwritten in SQLite's log either."""
        self._scrub = True

    def close(self) -> None:
        """Finish what was handed in, and let go of the file."""
        self._read_lane.close()
        self._write_lane.close()
        self._reader.close()
        self._writer.close()
        self.holders.close()

    # --- watching for other processes ----------------------------------------------------------------------------

    def watch(self, watcher: Watcher) -> None:
        """Call the watcher from now on. Watching twice is watching once."""
        self._watching[id(watcher)] = watcher
        if self._write_lane.pace is None:
            self._write_lane.pace = POLL
            self._write_lane.nudge()

    def unwatch(self, watcher: Watcher) -> None:
        self._watching.pop(id(watcher), None)

    def watched(self, watcher: Watcher) -> bool:
        """Whether the watcher is still called."""
        return id(watcher) in self._watching

    def _look_around(self) -> None:
        now = time.monotonic()
        if not self._watching or now - self._seen_at < POLL * 0.9:
            return
        self._seen_at = now
        version = _data_version(self._writer)
        for watcher in list(self._watching.values()):
            if version != self._seen:
                watcher.changed()
            if watcher.until < now:
                self.unwatch(watcher)
        self._seen = version

    def _between(self) -> None:
        """After each batch of writes, and at each poll. A failure here costs nothing but time: it is tried again."""
        with suppress(sqlite3.Error):
            self._look_around()
            self._checkpoint()
        if not self._watching:
            self._write_lane.pace = None
            if self._watching:  # somebody came between the two lines, and saw the pace still set
                self._write_lane.pace = POLL

    # --- the writing thread --------------------------------------------------------------------------------------

    def _write_all(self, batch: Sequence[Job[Any]], may_wait: bool) -> bool:
        try:
            if not self._begin(any(job.durable for job in batch), may_wait):
                return False
            self._work(batch)
        except Exception as exc:
            self._roll_back()
            _fail(batch, translate(exc, self.path))
            return True
        try:
            self._writer.execute("COMMIT")
        except sqlite3.Error as exc:
            self._roll_back()
            _fail(batch, translate_commit(exc, self.path))
        self._pages += sum(2 + job.size // PAGE for job in batch)
        if self._pages >= WAL_PAGES and not may_wait:
            self._write_lane.nudge()  # to have it moved into the file
        return True

    def _begin(self, durable: bool, may_wait: bool) -> bool:
        """Begin. False where another process is writing, and it may not be waited for."""
        if durable != self._synced:
            self._writer.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._synced = durable
        return _patiently(lambda: self._writer.execute("BEGIN IMMEDIATE"), may_wait) is not None

    def _work(self, batch: Sequence[Job[Any]]) -> None:
        """Do the jobs. One that raises is undone alone; raises only where the whole transaction is to be given up."""
        if len(batch) == 1:
            batch[0].result = batch[0].work(self._writer)
            return
        for job in batch:
            self._writer.execute("SAVEPOINT job")
            try:
                job.result = job.work(self._writer)
            except Exception as exc:
                if not self._writer.in_transaction:
                    raise
                job.error = translate(exc, self.path)
                self._writer.execute("ROLLBACK TO job")
            self._writer.execute("RELEASE job")

    def _roll_back(self) -> None:
        if self._writer.in_transaction:
            with suppress(sqlite3.Error):
                self._writer.execute("ROLLBACK")

    def _checkpoint(self) -> None:
        """Move SQLite's log into the file, from time to time, after the answers are out.

        Not by SQLite's own automatic: that lets others write meanwhile, and releases before 3.51.3 can lose commits
        when the log starts anew under a checkpoint. FULL keeps writers out; readers are not waited for long.
        """
        if self._pages < WAL_PAGES and not self._scrub:
            return
        self._pages = 0
        self._writer.execute("PRAGMA busy_timeout = 100")
        try:
            self._writer.execute(f"PRAGMA wal_checkpoint({'TRUNCATE' if self._scrub else 'FULL'})").fetchall()
            self._scrub = False
        finally:
            self._writer.execute("PRAGMA busy_timeout = 0")

    # --- the reading thread --------------------------------------------------------------------------------------

    def _read_all(self, batch: Sequence[Job[Any]], may_wait: bool) -> bool:
        for job in batch:
            try:
                done = _patiently(partial(self._read_one, job), may_wait)
            except Exception as exc:
                job.error = translate(exc, self.path)
            else:
                if not done:
                    return False
        return True

    def _read_one(self, job: Job[Any]) -> bool:
        job.result = job.work(self._reader)
        return True


def _patiently(act: Callable[[], T], may_wait: bool) -> T | None:
    """Do it once no other process keeps us from it. None where one does, and it may not be waited for.

    Not SQLite's own waiting: its steps grow so long that a busy neighbour always comes first.
    """
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return act()
        except sqlite3.OperationalError as exc:
            if not is_busy(exc) or (may_wait and time.monotonic() >= end):
                raise
            if not may_wait:
                return None
        time.sleep(0.001)


def _fail(batch: Sequence[Job[Any]], error: Exception) -> None:
    """Nothing of the batch happened, or nobody knows: each job gets an error of its own."""
    for job in batch:
        if job.error is None:
            job.error = error if len(batch) == 1 else type(error)(*error.args)


def _connect(path: Path) -> Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0.0)
    try:
        _switch_to_wal(connection)
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("PRAGMA secure_delete = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _switch_to_wal(connection: Connection) -> None:
    mode = _patiently(lambda: connection.execute("PRAGMA journal_mode = WAL").fetchone()[0], may_wait=True)
    if mode != "wal":
        raise StoreUnavailable(f"SQLite can't keep a log beside this file (mode {mode}): name a file on a local disk")


def _data_version(connection: Connection) -> int:
    with closing(connection.execute("PRAGMA data_version")) as cursor:
        return int(cursor.fetchone()[0])


def boot_id() -> str:
    """What is another after each start of the machine; monotonic times of different boots can't be compared."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        pass
    with suppress(OSError):  # macOS
        ask = ["sysctl", "-n", "kern.bootsessionuuid"]
        return subprocess.run(ask, capture_output=True, text=True, check=False).stdout.strip()
    return ""
