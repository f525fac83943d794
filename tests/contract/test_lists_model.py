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
NAMES = st.sampled_from(["a", "b"])
VALUES = st.sampled_from(["true", "1", 1, True, False, "x'\"\n"])
LABELS = st.sampled_from([True, "true", 1]).map(lambda value: {"a": value}) | st.fixed_dictionaries(
    {}, optional={"a": VALUES, "b": VALUES}
)
STATUSES = st.sampled_from(get_args(Status))
FIELDS = st.fixed_dictionaries(
    {
        "tenant": NAMES,
        "program": NAMES,
        "version": NAMES,
        "status": STATUSES,
        "parent": st.none() | NAMES,
        "family": st.none() | NAMES,
        "created_at": MINUTES,
        "updated_at": MINUTES,
        "labels": LABELS.map(lambda labels: tuple(sorted(labels.items()))),
        "waits": st.lists(st.sampled_from(get_args(WaitKind)), max_size=2),
    }
)
FILTERS: dict[str, st.SearchStrategy[Any]] = {
    "tenant": NAMES,
    "status": st.lists(STATUSES, max_size=3).map(tuple),
    "program": NAMES,
    "version": NAMES,
    "wait": st.sampled_from(get_args(WaitKind)),
    "parent": NAMES,
    "family": NAMES,
    "labels": LABELS.map(lambda labels: tuple((name, label_text(value)) for name, value in labels.items())),
    "updated_before": MINUTES,
    "updated_since": MINUTES,
    "created_before": MINUTES,
    "created_since": MINUTES,
    "limit": st.integers(1, 12),
    "oldest": st.booleans(),
}


@st.composite
def queries(draw: st.DrawFn) -> Query:
    """A query that asks for a few things at once: one that asks for everything finds nothing."""
    names = draw(st.lists(st.sampled_from(sorted(FILTERS)), unique=True, max_size=3))
    return Query(**{name: draw(FILTERS[name]) for name in names})


@settings(deadline=None)
@given(st.lists(FIELDS, min_size=1, max_size=10), st.lists(queries(), min_size=1, max_size=8))
def test_lists_are_those_of_the_reference(sessions: list[dict[str, Any]], asked: list[Query]) -> None:
    asyncio.run(compare(sessions, [Query(), *asked]))


async def compare(sessions: list[dict[str, Any]], asked: list[Query]) -> None:
    clock = ManualClock()
    with tempfile.TemporaryDirectory() as directory:
        memory, sqlite = MemoryBackend(clock), SqliteBackend.open(Path(directory) / "onward.db", clock)
        try:
            for number, fields in enumerate(sessions):
                waits = tuple(Wait(kind=kind) for kind in fields["waits"])
                head, commit = opening(f"s{number}", **{**fields, "waits": waits})
                for backend in (memory, sqlite):
                    assert await backend.store.create(head, commit, Wake(head.key)) is None
            for query in asked:
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
        assert whole == sorted(whole, key=cursor, reverse=not query.oldest)
        behind = replace(query, after=cursor(whole[0]))
        assert list(await sqlite.store.list(behind)) == list(await memory.store.list(behind))
