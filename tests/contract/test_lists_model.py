"""Lists of the embedded store are those of the reference, for whatever sessions and queries there may be."""

import asyncio
import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from onward.adapters.local.memory import MemoryBackend
from onward.adapters.local.sqlite import SqliteBackend
from onward.core.head import Status, Wait, WaitKind, label_text
from onward.ports import Query, Wake, cursor, every
from onward.testing.clock import ManualClock
from onward.testing.contracts.story import START, opening

MINUTES = st.integers(0, 4).map(lambda count: START + timedelta(minutes=count))
NAMES = st.sampled_from(["a", "b", "1", "true"])
LABELS = st.dictionaries(NAMES, st.sampled_from(["a", "true", "1", 1, 10, True, False, "x'\"\n"]), max_size=3)
STATUSES = st.sampled_from(get_args(Status))
FIELDS = st.fixed_dictionaries(
    {
        "tenant": NAMES,
        "program": NAMES,
        "version": NAMES,
        "status": STATUSES,
        "parent": st.none() | NAMES,
        "created_at": MINUTES,
        "updated_at": MINUTES,
        "labels": LABELS.map(lambda labels: tuple(sorted(labels.items()))),
        "waits": st.lists(st.sampled_from(get_args(WaitKind)), max_size=2),
    }
)
QUERIES = st.builds(
    Query,
    tenant=st.none() | NAMES,
    status=st.lists(STATUSES, max_size=3).map(tuple),
    program=st.none() | NAMES,
    version=st.none() | NAMES,
    wait=st.none() | st.sampled_from(get_args(WaitKind)),
    parent=st.none() | NAMES,
    labels=LABELS.map(lambda labels: tuple((name, label_text(value)) for name, value in list(labels.items())[:1])),
    updated_before=st.none() | MINUTES,
    updated_since=st.none() | MINUTES,
    created_before=st.none() | MINUTES,
    created_since=st.none() | MINUTES,
    limit=st.integers(1, 12),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(FIELDS, min_size=1, max_size=10), st.lists(QUERIES, min_size=1, max_size=6))
def test_lists_are_those_of_the_reference(sessions: list[dict[str, Any]], queries: list[Query]) -> None:
    asyncio.run(compare(sessions, [Query(), *queries]))


async def compare(sessions: list[dict[str, Any]], queries: list[Query]) -> None:
    clock = ManualClock()
    with tempfile.TemporaryDirectory() as directory:
        memory, sqlite = MemoryBackend(clock), SqliteBackend.open(Path(directory) / "onward.db", clock)
        try:
            for number, fields in enumerate(sessions):
                waits = tuple(Wait(kind=kind) for kind in fields["waits"])
                head, commit = opening(f"s{number}", **{**fields, "waits": waits})
                for backend in (memory, sqlite):
                    assert await backend.store.create(head, commit, Wake(head.key)) is None
            for query in queries:
                await agree(memory, sqlite, query)
        finally:
            await sqlite.close()


async def agree(memory: MemoryBackend, sqlite: SqliteBackend, query: Query) -> None:
    whole = list(await memory.store.list(query))
    assert list(await sqlite.store.list(query)) == whole
    everything = [head async for head in every(memory.store, query, page=2)]
    assert [head async for head in every(sqlite.store, query, page=2)] == everything
    assert everything[: query.limit] == whole
    if whole:
        behind = replace(query, after=cursor(whole[0]))
        assert list(await sqlite.store.list(behind)) == list(await memory.store.list(behind))
