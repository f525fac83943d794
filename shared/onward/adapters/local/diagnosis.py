"""What an embedded file shows of itself: whether it keeps what it promises, and whether anybody works."""

from __future__ import annotations

from collections.abc import Iterator
from sqlite3 import Connection
from typing import Any

from onward.adapters.local.database import Database
from onward.adapters.local.rows import from_ms, to_ms
from onward.adapters.local.schema import VERSION
from onward.core.codec import stamp
from onward.core.head import ENDED
from onward.ports import Diagnosis, Finding

LATE_MS = 10_000
"""What is due for so long has been overlooked: a worker takes it up in a fraction of that."""

SKEW_MS = 5_000
NAMED = 5
"""Sessions named in a finding, at most."""

BIG_LOG = 256 * 1024 * 1024
"""SQLite's own log is moved into the file at a fraction of this, unless a reader never ends."""

_LIVE = f"status NOT IN {ENDED}"
_VERSIONS = f"""SELECT program, json_extract(doc, '$.version') AS version, count(*) FROM sessions WHERE {_LIVE}
    GROUP BY program, version ORDER BY program, version"""


async def diagnose(database: Database) -> Diagnosis:
    """Look at everything. Changes nothing."""
    synced = await database.write(lambda c: _pragma(c, "synchronous"), durable=True)
    return await database.read(lambda c: _diagnosis(c, database, synced))


def _diagnosis(c: Connection, database: Database, synced: int) -> Diagnosis:
    now = to_ms(database.clock.now())
    findings = (
        *_file(c, database, synced),
        _leases(c, database),
        _late(c, now, "wakes", "SELECT key, due_ms FROM wakes WHERE due_ms < ? ORDER BY due_ms"),
        _late(c, now, "timers", "SELECT key, at_ms FROM timers WHERE at_ms < ? ORDER BY at_ms"),
        _late(c, now, "signals", "SELECT key, filed_ms FROM inbox WHERE pending AND filed_ms < ? ORDER BY filed_ms"),
        _clock(c, now),
    )
    return Diagnosis(findings, tuple(c.execute(_VERSIONS).fetchall()))


def _pragma(c: Connection, name: str) -> Any:
    return c.execute(f"PRAGMA {name}").fetchone()[0]


# --- the file --------------------------------------------------------------------------------------------------


def _file(c: Connection, database: Database, synced: int) -> Iterator[Finding]:
    schema = c.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone()[0]
    yield Finding("schema", schema == VERSION, f"{schema}", {"schema": schema, "reads": VERSION})
    mode = _pragma(c, "journal_mode")
    yield Finding("journal", mode == "wal", mode, {"mode": mode})
    words = {2: "every append is on disk before it counts", 3: "every append is on disk before it counts"}
    yield Finding("sync", synced in words, words.get(synced, "appends may be lost with the power"), {"mode": synced})
    yield _size(c, database)
    alive = database.holders.alive()
    yield Finding("processes", True, f"{alive} that may hold sessions, this one included", {"alive": alive})


def _size(c: Connection, database: Database) -> Finding:
    path = database.path
    log = path.with_name(f"{path.name}-wal")
    size, free = path.stat().st_size, _pragma(c, "freelist_count") * _pragma(c, "page_size")
    logged = log.stat().st_size if log.exists() else 0
    text = f"{_mib(size)} ({_mib(free)} of it free), and {_mib(logged)} of SQLite's own log"
    return Finding("size", logged < BIG_LOG, text, {"bytes": size, "free": free, "log": logged})


def _mib(size: int) -> str:
    return f"{size / 1024 / 1024:,.1f} MiB"


# --- who works -------------------------------------------------------------------------------------------------


def _leases(c: Connection, database: Database) -> Finding:
    """Held by somebody who is gone, and not taken up by anybody since."""
    held = c.execute("SELECT json_extract(doc, '$.id'), owner, boot, renewed FROM sessions WHERE held").fetchall()
    now = database.clock.monotonic()
    lapsed = [
        id
        for id, owner, boot, renewed in held
        if boot != database.boot or now - renewed >= database.ttl or database.holders.is_dead(owner)
    ]
    text = f"{len(lapsed)} lapsed, {len(held) - len(lapsed)} held" if lapsed else f"{len(held)} held"
    return Finding("leases", not lapsed, text, {"held": len(held), "lapsed": len(lapsed)}, tuple(lapsed[:NAMED]))


def _late(c: Connection, now: int, name: str, sql: str) -> Finding:
    """What somebody should have taken up by now."""
    rows = c.execute(sql, (now - LATE_MS,)).fetchall()
    if not rows:
        return Finding(name, True, "none overdue", {"overdue": 0})
    oldest = (now - rows[0][1]) / 1000
    ids = [_id(c, key) for key in dict.fromkeys(key for key, _ in rows[: NAMED * 4])]
    text = f"{len(rows)} overdue, the oldest for {oldest:,.0f} s"
    return Finding(name, False, text, {"overdue": len(rows), "oldest_s": oldest}, tuple(ids[:NAMED]))


def _id(c: Connection, key: str) -> str:
    row = c.execute("SELECT json_extract(doc, '$.id') FROM sessions WHERE key = ?", (key,)).fetchone()
    return str(row[0]) if row else f"(no session {key})"


def _clock(c: Connection, now: int) -> Finding:
    """Whether the log has seen a later time than this machine shows."""
    newest = c.execute("SELECT max(updated_ms) FROM sessions").fetchone()[0]
    ahead = 0 if newest is None else newest - now
    details = {"newest": newest and stamp(from_ms(newest)), "ahead_s": max(0, ahead) / 1000}
    if ahead > SKEW_MS:
        return Finding("clock", False, f"the newest event is {ahead / 1000:,.0f} s ahead of this machine", details)
    return Finding("clock", True, "no event is ahead of this machine", details)
