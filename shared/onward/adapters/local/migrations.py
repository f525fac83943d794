"""Making the tables, telling a foreign file apart, and bringing one of an older release up to this one's schema: a step
for each version, all in one transaction.

An older release must not go on writing to it meanwhile, so that its workers are to be stopped first.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from sqlite3 import Connection
from types import MappingProxyType

from onward.adapters.local.holders import Holders
from onward.adapters.local.rows import to_ms
from onward.adapters.local.schema import APPLICATION, ERRANDS, SESSIONS, SWITCHES, TABLES, VERSION
from onward.errors import StoreUnavailable, UnreadableLog, UsageError


def prepare(connection: Connection, path: Path) -> bytes:
    """Make the tables if the file is empty, check whose file it is, bring it up to this schema, and answer its secret.

    Raises UsageError for somebody else's database, UnreadableLog for one of a newer release, StoreUnavailable for one
    that is to be brought up to this schema while an older release uses it.
    """
    if _number(connection, "application_id") != APPLICATION:
        _in_transaction(connection, lambda: _create_tables(connection, path))
    found = dict(connection.execute("SELECT name, value FROM meta").fetchall())
    if found["schema"] > VERSION:
        made = f"schema {found['schema']}; this release reads {VERSION}"
        raise UnreadableLog(f"{path} was made by a newer onward ({made}): upgrade onward")
    if found["schema"] < VERSION:
        _in_transaction(connection, lambda: _migrate(connection, path))
    return bytes(found["secret"])


def _in_transaction(connection: Connection, work: Callable[[], None]) -> None:
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
    _execute(connection, TABLES + SESSIONS + SWITCHES + ERRANDS)
    connection.execute("INSERT INTO meta VALUES ('schema', ?), ('secret', ?)", (VERSION, secrets.token_bytes(32)))
    connection.execute(f"PRAGMA application_id = {APPLICATION}")


def _execute(connection: Connection, script: str) -> None:
    """Several statements, in the transaction that is open."""
    for statement in script.split(";\n"):
        connection.execute(statement)


def _number(connection: Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])


# --- older files -----------------------------------------------------------------------------------------------


def _migrate(connection: Connection, path: Path) -> None:
    """Bring the file up to VERSION, from within a transaction. Raises StoreUnavailable while it is in use."""
    version = _version(connection)
    if version < VERSION and Holders(path).alive():
        raise StoreUnavailable(
            f"{path} is of an older onward, which uses it just now: stop its workers, then try again"
        )
    for step in range(version, VERSION):
        _STEPS[step](connection)
    connection.execute("UPDATE meta SET value = ? WHERE name = 'schema'", (VERSION,))


def _version(connection: Connection) -> int:
    return int(connection.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone()[0])


_KEPT = """id, key, epoch, owner, held, renewed, boot, settled, mark_epoch, mark_seq, published, seq, hash, format,
    tenant, program, status, waits, updated_ms, wake_ms, doc,
    fold_seq, fold_hash, fold_version, fold_commit, fold_snapshot, fold"""


def _from_1(connection: Connection) -> None:
    """Sessions get the time they were created and a parent, in columns before the long ones; and there are switches."""
    connection.create_function("ms_of", 1, lambda text: to_ms(datetime.fromisoformat(text)), deterministic=True)
    _remade(connection, created_ms="ms_of(json_extract(doc, '$.created_at'))")
    _execute(connection, SWITCHES)


def _remade(connection: Connection, **made: str) -> None:
    """Sessions in the table of this release, with these columns made of what was there."""
    for (index,) in connection.execute("SELECT name FROM sqlite_master WHERE name GLOB 'sessions_*'").fetchall():
        connection.execute(f"DROP INDEX {index}")
    connection.execute("ALTER TABLE sessions RENAME TO sessions_before")
    _execute(connection, SESSIONS)
    columns, values = ", ".join(made), ", ".join(made.values())
    connection.execute(f"INSERT INTO sessions ({_KEPT}, {columns}) SELECT {_KEPT}, {values} FROM sessions_before")
    connection.execute("DROP TABLE sessions_before")


def _from_2(connection: Connection) -> None:
    """Webhooks are told by errands."""
    _execute(connection, ERRANDS)


def _from_3(connection: Connection) -> None:
    """Branches get their family in a column."""
    _remade(connection, created_ms="created_ms", parent="parent", family="json_extract(doc, '$.family')")


_STEPS: Mapping[int, Callable[[Connection], None]] = MappingProxyType({1: _from_1, 2: _from_2, 3: _from_3})
