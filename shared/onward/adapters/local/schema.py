"""The tables of the embedded database, and how an older or foreign file is told apart."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from sqlite3 import Connection
from types import MappingProxyType

from onward.errors import UnreadableLog, UsageError

VERSION = 2
"""The schema this release writes. An older file is brought up to it when it is opened (`migrations.py`)."""

APPLICATION = 0x4F6E7764
"""What the file's header says of whose it is: `Onwd`."""

WAIT_BITS: Mapping[str, int] = MappingProxyType(
    {"input": 1, "approval": 2, "timer": 4, "child": 8, "external": 16, "operator": 32}
)
"""A session's kinds of waits are one number, so that each kind can have an index. The numbers are for ever."""

SESSIONS = """
-- A session's head. The lease comes first and in columns of its own, so that a claim rewrites no document.
-- `renewed` is system-wide monotonic time in seconds and means something only while `boot` is this boot.
-- What never changes (tenant, created_ms, parent) is set once; what else a list may ask for is read from `doc`.
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
    created_ms INTEGER NOT NULL,
    parent TEXT,
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
-- Sessions on the move change with each step and are few; they are in an index that a step does not touch.
CREATE INDEX sessions_running ON sessions (id) WHERE status = 'running';
CREATE INDEX sessions_resting ON sessions (status, updated_ms) WHERE status <> 'running';
CREATE INDEX sessions_wake ON sessions (wake_ms) WHERE status <> 'running' AND wake_ms IS NOT NULL;
CREATE INDEX sessions_parent ON sessions (parent) WHERE parent IS NOT NULL;
""" + "".join(
    f"CREATE INDEX sessions_waiting_{kind} ON sessions (updated_ms) WHERE waits & {bit};\n"
    for kind, bit in WAIT_BITS.items()
)

SWITCHES = """
-- Every turn of a switch. A scope is off while its last turn says so.
CREATE TABLE switches (
    id INTEGER PRIMARY KEY,
    scope TEXT NOT NULL,
    off INTEGER NOT NULL,
    by_kind TEXT NOT NULL,
    by_name TEXT NOT NULL,
    reason TEXT NOT NULL,
    at_ms INTEGER NOT NULL
);
CREATE INDEX switches_scope ON switches (scope, id);
"""

TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;

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

-- At most one wake for each session. `rev` is another at each change, `look` is the rev that last asked to look
-- or 0, and `home` is the process that will take it or NULL for whoever comes first.
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


def prepare(connection: Connection, path: Path) -> bytes:
    """Make the tables if the file is empty, check whose file it is, bring it up to this schema, and answer its secret.

    Raises UsageError for somebody else's database, UnreadableLog for one of a newer release, StoreUnavailable for one
    that is to be brought up to this schema while an older release uses it.
    """
    if _number(connection, "application_id") != APPLICATION:
        in_transaction(connection, lambda: _create_tables(connection, path))
    found = dict(connection.execute("SELECT name, value FROM meta").fetchall())
    if found["schema"] > VERSION:
        made = f"schema {found['schema']}; this release reads {VERSION}"
        raise UnreadableLog(f"{path} was made by a newer onward ({made}): upgrade onward")
    if found["schema"] < VERSION:
        from onward.adapters.local.migrations import migrate

        in_transaction(connection, lambda: migrate(connection, path))
    return bytes(found["secret"])


def in_transaction(connection: Connection, work: Callable[[], None]) -> None:
    """Do it whole, or not at all."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        work()
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _create_tables(connection: Connection, path: Path) -> None:
    if _number(connection, "application_id") == APPLICATION:
        return  # somebody else was quicker
    if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise UsageError(f"{path} is another program's database: name another file")
    execute(connection, TABLES + SESSIONS + SWITCHES)
    connection.execute("INSERT INTO meta VALUES ('schema', ?), ('secret', ?)", (VERSION, secrets.token_bytes(32)))
    connection.execute(f"PRAGMA application_id = {APPLICATION}")


def execute(connection: Connection, script: str) -> None:
    """Several statements, in the transaction that is open."""
    for statement in script.split(";\n"):
        connection.execute(statement)


def _number(connection: Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])
