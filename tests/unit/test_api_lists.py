"""Pages of what somebody works off, the oldest first: a page reads what a page takes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward.adapters.local.memory import MemoryBackend
from onward.core.head import Head, Wait
from onward.ports import Query, Wake, cursor
from onward.surfaces.http import lists
from onward.surfaces.http.lists import OldestPage, oldest, read_cursor
from onward.surfaces.verbs import needs_attention
from onward.testing.clock import ManualClock
from onward.testing.contracts.story import START, opening

DOUBT, PAUSED, PARKED = Wait(kind="operator", call="2.0"), Wait(kind="operator"), Wait(kind="operator", note="x")
KINDS: dict[str, dict[str, Any]] = {
    "doubt": {"status": "waiting", "waits": (DOUBT,)},
    "paused": {"status": "paused", "waits": (PAUSED,)},
    "parked": {"status": "needs_attention", "waits": (PARKED,)},
    "running": {"status": "running"},
}
QUERIES = [Query(status=("needs_attention",)), Query(wait="operator")]
SESSIONS = st.lists(
    st.tuples(st.sampled_from(sorted(KINDS)), st.sampled_from("abc"), st.integers(0, 3)), min_size=1, max_size=30
)


class Counted(MemoryBackend):
    """Counts the heads that are read."""

    heads = 0

    def __init__(self) -> None:
        super().__init__(ManualClock())
        self._list = self.store.list
        self.store.list = self._counted  # type: ignore[method-assign]

    async def _counted(self, query: Query) -> Sequence[Head]:
        found = await self._list(query)
        self.heads += len(found)
        return found


async def filled(sessions: Sequence[tuple[str, str, int]]) -> tuple[Counted, list[Head]]:
    backend, heads = Counted(), []
    for number, (kind, tenant, age) in enumerate(sessions):
        fields = KINDS[kind] | {"tenant": tenant, "updated_at": START + age * timedelta(minutes=1)}
        head, commit = opening(f"s{number}", **fields)
        await backend.store.create(head, commit, Wake(head.key))
        heads.append(head)
    return backend, heads


async def paged(backend: MemoryBackend, tenants: tuple[str, ...] | None, limit: int) -> list[list[Head]]:
    pages, after = list[list[Head]](), None
    while True:
        page = OldestPage(needs_attention, read_cursor(after), limit)
        found, after = await oldest(backend.store, QUERIES, tenants, page)
        pages.append(found)
        if after is None:
            return pages


@given(SESSIONS, st.none() | st.sets(st.sampled_from("abcd")).map(tuple), st.integers(1, 5))
def test_pages_are_the_whole_list_in_order_and_once(
    sessions: list[tuple[str, str, int]], tenants: tuple[str, ...] | None, limit: int
) -> None:
    async def play() -> None:
        backend, heads = await filled(sessions)
        pages = await paged(backend, tenants, limit)
        wanted = [head for head in heads if needs_attention(head) and (tenants is None or head.tenant in tenants)]
        assert [head for page in pages for head in page] == sorted(wanted, key=cursor)
        assert all(len(page) == limit for page in pages[:-2])

    asyncio.run(play())


async def test_a_page_reads_a_page_however_long_the_list_is() -> None:
    backend, _ = await filled([("parked", "a", 1)] * 500)
    page = OldestPage(needs_attention, None, 10)
    found, after = await oldest(backend.store, QUERIES, None, page)
    assert (len(found), after is None) == (10, False)
    assert backend.heads <= 4 * (10 + 1)


async def test_what_is_not_wanted_makes_no_page_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many may be paused at once, by a switch: they are not read through for one answer."""
    monkeypatch.setattr(lists, "LOOKED", 50)
    backend, heads = await filled([("paused", "a", 1)] * 500 + [("doubt", "a", 2)] * 3)
    _, after = await oldest(backend.store, QUERIES, None, OldestPage(needs_attention, None, 10))
    assert after is not None
    assert backend.heads <= 2 * (50 + 11)
    assert sorted(head.id for page in await paged(backend, None, 10) for head in page) == sorted(
        head.id for head in heads[500:]
    )
