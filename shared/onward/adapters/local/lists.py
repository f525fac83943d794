"""Lists of sessions: each reads an index in the list's own order, and tests what else is asked for on the way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from sqlite3 import Connection
from typing import Any, get_args

from onward.adapters.local.rows import HEAD, head_from, to_ms
from onward.adapters.local.schema import WAIT_BITS
from onward.core.head import Head, Status, WaitKind
from onward.ports import RESTS, Query

STATUSES: tuple[Status, ...] = get_args(Status)
Term = tuple[str, Sequence[Any]]
"""A condition in SQL, and its values."""

_LABEL = """EXISTS (SELECT 1 FROM json_each(doc, '$.labels') AS label WHERE json_extract(label.value, '$[0]') = ?
    AND CASE json_type(label.value, '$[1]') WHEN 'true' THEN 'true' WHEN 'false' THEN 'false'
        ELSE CAST(json_extract(label.value, '$[1]') AS TEXT) END = ?)"""


def heads(c: Connection, query: Query) -> list[Head]:
    """What the query finds."""
    found = [row for source, terms in _sources(query) for row in _first(c, query, source, terms)]
    found.sort(key=lambda row: (row[0], row[1]), reverse=not query.oldest)
    return [head_from(row[2:]) for row in found[: query.limit]]


def census(c: Connection) -> dict[WaitKind | Status, int]:
    """How many wait for what, and have which status of those that rest: counted in the indexes."""
    waits: dict[WaitKind | Status, int] = {kind: _count(c, *_waiting(kind)) for kind in get_args(WaitKind)}
    return waits | {status: _count(c, *_resting(status)) for status in RESTS}


def _count(c: Connection, source: str, fitting: Sequence[str]) -> int:
    where = " AND ".join(fitting)
    (count,) = c.execute(f"SELECT count(*) FROM sessions INDEXED BY {source} WHERE {where}").fetchone()
    return int(count)


def _waiting(kind: WaitKind) -> tuple[str, list[str]]:
    return f"sessions_waiting_{kind}", [f"waits & {WAIT_BITS[kind]}"]


def _resting(status: Status) -> tuple[str, list[str]]:
    return "sessions_resting", [f"status = '{status}'", "status <> 'running'"]


def _sources(query: Query) -> Iterator[tuple[str, list[str]]]:
    """The indexes to read, each with the terms that make it fit."""
    if query.wait is not None:
        yield _waiting(query.wait)
    elif query.parent is not None:
        yield "sessions_parent", []
    elif query.family is not None:
        yield "sessions_family", []
    else:
        yield from _by_status(query)


def _by_status(query: Query) -> Iterator[tuple[str, list[str]]]:
    for status in STATUSES:
        if status not in query.status if query.status else status == "deleted":
            continue
        if status == "running":
            yield "sessions_running", ["status = 'running'"]
        else:
            yield _resting(status)


def _first(c: Connection, query: Query, source: str, fitting: Sequence[str]) -> list[tuple[Any, ...]]:
    terms: list[Term] = [*((term, ()) for term in fitting), *_asked(query)]
    where = " AND ".join(term for term, _ in terms) or "TRUE"
    way = "ASC" if query.oldest else "DESC"
    return c.execute(
        f"""SELECT updated_ms, key, {HEAD} FROM sessions INDEXED BY {source} WHERE {where}
            ORDER BY updated_ms {way}, key {way} LIMIT ?""",
        (*(value for _, values in terms for value in values), query.limit),
    ).fetchall()


def _asked(query: Query) -> Iterator[Term]:
    """What is asked of each session that an index names."""
    if query.status:
        yield f"status IN ({', '.join('?' * len(query.status))})", query.status
    else:
        yield "status <> 'deleted'", ()
    if query.after is not None:
        at, way = to_ms(query.after[0]), ">" if query.oldest else "<"
        yield f"updated_ms {way}= ? AND (updated_ms, key) {way} (?, ?)", (at, at, query.after[1])
    for name, value in query.labels:
        yield _LABEL, (name, value)
    yield from ((term, (value,)) for term, value in _values(query) if value is not None)


def _values(query: Query) -> Iterator[tuple[str, Any]]:
    yield "tenant = ?", query.tenant
    yield "program = ?", query.program
    yield "json_extract(doc, '$.version') = ?", query.version
    yield "parent = ?", query.parent
    yield "family = ?", query.family
    times = (
        ("updated_ms", query.updated_before, query.updated_since),
        (
            "created_ms",
            query.created_before,
            query.created_since,
        ),
    )
    for column, before, since in times:
        yield f"{column} < ?", before and to_ms(before)
        yield f"{column} >= ?", since and to_ms(since)
