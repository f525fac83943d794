"""Pages of sessions: of all tenants that a caller sees, from where the page before left off."""

from __future__ import annotations

import base64
import heapq
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from onward.core.head import Head
from onward.errors import BadInput
from onward.ports import Cursor, Query, SessionStore, cursor, every

PAGE = 50
LONGEST_PAGE = 200
LOOKED = 1000
"""Sessions that are looked at for one page of those that are worked off."""

Tenants = tuple[str, ...] | None
"""Some, or None for all there are."""


@dataclass(frozen=True, slots=True)
class OldestPage:
    """Which page, and of what."""

    wanted: Callable[[Head], bool]
    after: Cursor | None
    limit: int


_KEY = re.compile("[0-9a-f]{32}")


def cursor_text(head: Head) -> str:
    """Where a list goes on after this session."""
    at, key = cursor(head)
    return base64.urlsafe_b64encode(f"{at.isoformat()}/{key}".encode()).decode().rstrip("=")


def read_cursor(text: str | None) -> Cursor | None:
    """The inverse. Raises BadInput."""
    if text is None:
        return None
    try:
        padded = text + "=" * (-len(text) % 4)
        at, _, key = base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii").partition("/")
        time = datetime.fromisoformat(at)
        if time.tzinfo is None or not _KEY.fullmatch(key):
            raise ValueError(at)
    except ValueError as exc:
        raise BadInput("cursor: it is none that a page before gave") from exc
    return time, key


async def newest(store: SessionStore, query: Query, tenants: Tenants) -> tuple[list[Head], str | None]:
    """A page of what a query finds, the newest first, and the cursor of the next one."""
    asked = replace(query, limit=query.limit + 1)
    heads = [head for each in _each(asked, tenants) for head in await store.list(each)]
    page = heapq.nlargest(asked.limit, heads, key=cursor)
    more = len(page) > query.limit
    return page[: query.limit], cursor_text(page[query.limit - 1]) if more else None


async def oldest(
    store: SessionStore, queries: Sequence[Query], tenants: Tenants, page: OldestPage
) -> tuple[list[Head], str | None]:
    """A page of what any of these queries finds and is wanted, the oldest first, and the cursor of the next one.

    No more than LOOKED sessions are looked at for it: where few of them are wanted, a page has fewer, or none.
    """
    found: list[Head] = []
    looked, last = 0, ""
    async for head in _merged(store, queries, tenants, page):
        if len(found) == page.limit or looked == LOOKED:
            return found, last
        found += [head] if page.wanted(head) else []
        looked, last = looked + 1, cursor_text(head)
    return found, None


async def _merged(
    store: SessionStore, queries: Sequence[Query], tenants: Tenants, page: OldestPage
) -> AsyncIterator[Head]:
    """Each session that is found behind the page's cursor, once, the oldest first; of each list a page at a time."""
    asked = [replace(query, oldest=True, after=page.after) for query in queries]
    lists = [every(store, each, page.limit + 1) for query in asked for each in _each(query, tenants)]
    waiting = [(cursor(head), number, head) for number, each in enumerate(lists) async for head in _next(each)]
    heapq.heapify(waiting)
    last = None
    while waiting:
        place, number, head = heapq.heappop(waiting)
        if place != last:
            yield head
        last = place
        async for following in _next(lists[number]):
            heapq.heappush(waiting, (cursor(following), number, following))


async def _next(heads: AsyncIterator[Head]) -> AsyncIterator[Head]:
    """The next one, if there is one."""
    with suppress(StopAsyncIteration):
        yield await anext(heads)


async def all_of(store: SessionStore, query: Query, tenants: Tenants) -> AsyncIterator[Head]:
    """Everything that a query finds."""
    for each in _each(query, tenants):
        async for head in every(store, each):
            yield head


def _each(query: Query, tenants: Tenants) -> list[Query]:
    return [query] if tenants is None else [replace(query, tenant=tenant) for tenant in tenants]
