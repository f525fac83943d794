"""A file of an older release is brought up to this one's schema, whole or not at all, with all that is in it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from onward.adapters.local import migrations
from onward.adapters.local.holders import Holders
from onward.adapters.local.schema import APPLICATION, VERSION, WAIT_BITS
from onward.adapters.local.sqlite import SqliteBackend
from onward.core.events import Actor
from onward.core.head import Wait, tombstone
from onward.core.switches import Switch
from onward.errors import StoreUnavailable
from onward.ports import Query
from onward.testing.clock import ManualClock
from onward.testing.contracts.story import START, append_of, begin, claimed, signal

SCHEMA_1 = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;

CREATE TABLE sessions (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    epoch INTEGER NOT NULL,
    owner TEXT NOT NULL,
    held INTEGER NOT NULL,
    renewed REAL NOT NULL,
    boot TEXT NOT NULL,
    settled INTEGER NOT NULL,
    mark_epoch INTEGER,
    mark_seq INTEGER,
    published INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    hash TEXT NOT NULL,
    format INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    program TEXT NOT NULL,
    status TEXT NOT NULL,
    waits INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    wake_ms INTEGER,
    doc TEXT NOT NULL,
    fold_seq INTEGER,
    fold_hash TEXT,
    fold_version INTEGER,
    fold_commit INTEGER,
    fold_snapshot TEXT,
    fold TEXT
);
CREATE INDEX sessions_running ON sessions (id) WHERE status = 'running';
CREATE INDEX sessions_resting ON sessions (status, updated_ms) WHERE status <> 'running';
CREATE INDEX sessions_wake ON sessions (wake_ms) WHERE status <> 'running' AND wake_ms IS NOT NULL;

CREATE TABLE commits (
    key TEXT NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (key, first_seq)
);

CREATE TABLE inbox (
    key TEXT NOT NULL,
    id TEXT NOT NULL,
    filed_ms INTEGER NOT NULL,
    pending INTEGER NOT NULL,
    expires_ms INTEGER,
    digest TEXT NOT NULL,
    doc TEXT NOT NULL,
    refused TEXT,
    PRIMARY KEY (key, id)
);
CREATE INDEX inbox_pending ON inbox (key, filed_ms, id) WHERE pending;
CREATE INDEX inbox_expires ON inbox (expires_ms) WHERE expires_ms IS NOT NULL;

CREATE TABLE blobs (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    name TEXT NOT NULL,
    text TEXT NOT NULL,
    UNIQUE (key, name)
);

CREATE TABLE wakes (
    key TEXT PRIMARY KEY,
    due_ms INTEGER NOT NULL,
    look INTEGER NOT NULL,
    published INTEGER NOT NULL,
    rev INTEGER NOT NULL,
    home TEXT
) WITHOUT ROWID;
CREATE INDEX wakes_due ON wakes (due_ms);

CREATE TABLE timers (at_ms INTEGER NOT NULL, key TEXT NOT NULL, PRIMARY KEY (at_ms, key)) WITHOUT ROWID;
"""

ROWS = "SELECT * FROM commits", "SELECT * FROM inbox", "SELECT * FROM wakes", "SELECT * FROM blobs"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "onward.db"


async def made_by_1(path: Path, clock: ManualClock) -> None:
    """A file as the first schema had it: what this release writes, carried over into the old tables."""
    now = path.with_name("now.db")
    backend = SqliteBackend.open(now, clock)
    key = await begin(backend.store, "a", created_at=START, labels=(("team", "blue"),))
    lease = await claimed(backend.store, key)
    waiting = {"status": "waiting", "waits": (Wait(kind="input"),)}
    await backend.store.append(lease, append_of(lease, head=waiting, release=True))
    await backend.store.file(key, signal())
    await backend.blobs.put(key, "blobs/x", "text")
    await begin(backend.store, "b", tenant="globex")
    await backend.close()
    carry_over(now, path)


def carry_over(now: Path, path: Path) -> None:
    waiting = "CREATE INDEX sessions_waiting_{} ON sessions (updated_ms) WHERE waits & {};"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript(SCHEMA_1 + "".join(waiting.format(kind, bit) for kind, bit in WAIT_BITS.items()))
        db.execute(f"PRAGMA application_id = {APPLICATION}")
        db.execute("ATTACH ? AS now", (str(now),))
        for table in ("meta", "sessions", "commits", "inbox", "blobs", "wakes", "timers"):
            names = ", ".join(row[1] for row in db.execute(f"PRAGMA table_info({table})"))
            db.execute(f"INSERT INTO main.{table} ({names}) SELECT {names} FROM now.{table}")
        db.execute("UPDATE main.meta SET value = 1 WHERE name = 'schema'")


def schema(path: Path) -> set[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as db:
        found = db.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
        return {(name, " ".join(sql.split())) for name, sql in found}


def rows(path: Path) -> list[list[tuple[object, ...]]]:
    with closing(sqlite3.connect(path)) as db:
        return [db.execute(sql).fetchall() for sql in ROWS]


async def test_an_old_file_is_as_a_new_one_and_nothing_is_lost(path: Path, clock: ManualClock) -> None:
    await made_by_1(path, clock)
    before = rows(path)
    backend = SqliteBackend.open(path, clock)
    heads = {head.id: head for head in await backend.store.list(Query())}
    assert {id: (head.tenant, head.seq, head.created_at) for id, head in heads.items()} == {
        "a": ("acme", 2, START),
        "b": ("globex", 1, START),
    }
    assert [head.id for head in await backend.store.list(Query(created_since=START, wait="input"))] == ["a"]
    assert [head.id for head in await backend.store.list(Query(labels=(("team", "blue"),)))] == ["a"]
    assert len(await backend.store.commits(heads["a"].key)) == 2
    await backend.close()
    assert rows(path) == before
    fresh = path.with_name("fresh.db")
    await SqliteBackend.open(fresh, clock).close()
    assert schema(path) == schema(fresh)


async def test_branches_that_a_file_had_without_a_column_are_found_by_their_family(
    path: Path, clock: ManualClock
) -> None:
    backend = SqliteBackend.open(path, clock)
    await begin(backend.store, "a", parent="mother")
    await begin(backend.store, "b", family="a")
    await backend.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("DROP INDEX sessions_family")
        db.execute("ALTER TABLE sessions DROP COLUMN family")
        db.execute("UPDATE meta SET value = 3 WHERE name = 'schema'")
    backend = SqliteBackend.open(path, clock)
    assert [head.id for head in await backend.store.list(Query(family="a"))] == ["b"]
    assert [head.id for head in await backend.store.list(Query(parent="mother"))] == ["a"]
    await backend.close()
    fresh = path.with_name("fresh.db")
    await SqliteBackend.open(fresh, clock).close()
    assert schema(path) == schema(fresh)


async def test_an_old_file_goes_on_and_can_do_what_is_new(path: Path, clock: ManualClock) -> None:
    await made_by_1(path, clock)
    backend = SqliteBackend.open(path, clock)
    (head,) = await backend.store.list(Query(wait="input"))
    lease = await claimed(backend.store, head.key, "carol:1")
    assert lease.epoch == 2
    lease = (await backend.store.append(lease, append_of(lease, head={"status": "completed", "waits": ()}))).lease
    await backend.store.delete(lease, tombstone(lease.head, clock.now(), "ann", ""))
    assert [head.status for head in await backend.store.list(Query(status=("deleted",)))] == ["deleted"]
    switch = Switch(scope="all", by=Actor(kind="operator", name="ann"), reason="", at=START)
    assert await backend.switches.turn(switch, off=True)
    await backend.close()


async def test_while_an_older_release_works_on_it_the_file_is_left_as_it_is(path: Path, clock: ManualClock) -> None:
    await made_by_1(path, clock)
    older = Holders(path)
    assert older.id
    before = schema(path)
    with pytest.raises(StoreUnavailable, match="stop its workers"):
        SqliteBackend.open(path, clock)
    assert schema(path) == before
    older.close()
    await SqliteBackend.open(path, clock).close()
    assert schema(path) != before


async def test_a_migration_that_fails_has_changed_nothing(
    path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await made_by_1(path, clock)
    before = schema(path), rows(path)
    step = migrations._STEPS[1]

    def fails(connection: sqlite3.Connection) -> None:
        step(connection)
        raise RuntimeError("the power went")

    with monkeypatch.context() as patch:
        patch.setattr(migrations, "_STEPS", {1: fails})
        with pytest.raises(RuntimeError):
            SqliteBackend.open(path, clock)
    assert (schema(path), rows(path)) == before
    await SqliteBackend.open(path, clock).close()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone() == (VERSION,)


async def test_opened_again_it_is_brought_up_no_more(path: Path, clock: ManualClock) -> None:
    await made_by_1(path, clock)
    for _ in range(2):
        backend = SqliteBackend.open(path, clock)
        assert backend.process
        assert len(await backend.store.list(Query())) == 2
        await backend.close()


async def test_one_of_schema_2_gets_what_webhooks_need(path: Path, clock: ManualClock) -> None:
    await SqliteBackend.open(path, clock).close()
    made = schema(path)
    with closing(sqlite3.connect(path)) as db:
        db.executescript("DROP TABLE errands; UPDATE meta SET value = 2 WHERE name = 'schema'")
    assert schema(path) != made
    await SqliteBackend.open(path, clock).close()
    assert schema(path) == made
