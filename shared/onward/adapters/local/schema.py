"""The tables of the embedded database."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

VERSION = 4
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
-- What never changes (tenant, created_ms, parent, family) is set once; what else a list may ask for is read from `doc`.
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
    family TEXT,
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
CREATE INDEX sessions_family ON sessions (family) WHERE family IS NOT NULL;
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

ERRANDS = """
-- At most one row for each webhook and event. Whoever takes an errand moves `at_ms` to when it is to come again.
CREATE TABLE errands (
    key TEXT NOT NULL,
    seq INTEGER NOT NULL,
    webhook TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (key, seq, webhook)
) WITHOUT ROWID;
CREATE INDEX errands_due ON errands (at_ms);
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
