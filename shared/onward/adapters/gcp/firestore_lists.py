"""Lists of sessions, and what is overdue: read by shard and page by page (R15)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, get_args

from onward.adapters.gcp.firestore_client import Client
from onward.adapters.gcp.firestore_documents import SHARDS, head_of, key_of, session_path
from onward.adapters.gcp.firestore_queries import (
    CALLED,
    DUE,
    LISTS,
    OLDEST,
    OLDEST_TOMBSTONES,
    TOMBSTONES,
    Lead,
    Shape,
)
from onward.adapters.gcp.firestore_wire import Document, Found, Question
from onward.core.head import Head, Status, WaitKind, label_text
from onward.ports import RESTS, Query, cursor

PAGE = 100
LIVING: tuple[Status, ...] = tuple(status for status in get_args(Status) if status != "deleted")


# --- lists -------------------------------------------------------------------------------------------------------


async def heads(client: Client, query: Query) -> list[Head]:
    """What the query finds, in its order."""
    found = [head for source in _sources(query) for head in await _first(client, query, source)]
    return sorted(found, key=cursor, reverse=not query.oldest)[: query.limit]


async def census(client: Client) -> dict[WaitKind | Status, int]:
    """How many wait for what, and have which status of those that rest. For each a thousand cost one read."""
    kinds: tuple[WaitKind, ...] = get_args(WaitKind)
    asked: list[tuple[Lead, WaitKind | Status]] = [("waits", kind) for kind in kinds]
    asked += [("status", status) for status in RESTS]
    counts = await asyncio.gather(*(client.total(_everywhere(lead, value)) for lead, value in asked))
    return {value: count for (_, value), count in zip(asked, counts, strict=True)}


def _everywhere(lead: Lead, value: str) -> Question:
    assert lead is not None, "what is counted is asked for by something"
    return LISTS[lead, False].question({"shard": list(range(SHARDS)), lead: value})


@dataclass(frozen=True, slots=True)
class _Source:
    """A shape, the values to ask it for, and whether what it finds is all that fits."""

    shape: Shape
    values: Mapping[str, Any]
    exact: bool


def _sources(query: Query) -> Iterator[_Source]:
    """Tombstones are apart from all others."""
    living = tuple(status for status in query.status if status != "deleted")
    tenant = {"tenant": query.tenant}
    if "deleted" in query.status:
        asked = replace(query, status=(), tenant=None, after=None, limit=0, oldest=False)
        stones = OLDEST_TOMBSTONES if query.oldest else TOMBSTONES
        yield _Source(stones[query.tenant is not None], tenant, asked == Query(limit=0))
    if living or not query.status:
        lead, asked_for = _oldest_lead(query, living) if query.oldest else _lead(query, living)
        lists = OLDEST if query.oldest else LISTS
        shape, exact = lists[lead, query.tenant is not None], _asks_no_more(query, lead)
        everywhere = {**tenant, "shard": list(range(SHARDS))}
        yield from (_Source(shape, everywhere | ({lead: value} if lead else {}), exact) for value in asked_for)


def _lead(query: Query, living: Sequence[str]) -> tuple[Lead, Sequence[str | None]]:
    """By what the fewest are likely to be found; and what to ask for, in a query each."""
    if query.parent is not None:
        return "parent", [query.parent]
    if query.family is not None:
        return "family", [query.family]
    if query.wait is not None:
        return "waits", [query.wait]
    if query.labels:
        return "labels", ["{}={}".format(*query.labels[0])]
    if living:
        return "status", tuple(dict.fromkeys(living))
    if query.program is not None:
        return "program", [query.program]
    return None, [None]


def _oldest_lead(query: Query, living: Sequence[str]) -> tuple[Lead, Sequence[str | None]]:
    """The same, from the other end: what waits, or else every status that there is."""
    if query.wait is not None:
        return "waits", [query.wait]
    return "status", tuple(dict.fromkeys(living or LIVING))


def _asks_no_more(query: Query, lead: Lead) -> bool:
    """Whether tenant, lead and the order's bounds are all that is asked."""
    led = {"parent": query.parent, "family": query.family, "waits": query.wait, "program": query.program}
    asked = {name for name, value in led.items() if value is not None}
    asked |= {"status"} if query.status else set()
    asked |= {"labels"} if len(query.labels) == 1 else set()
    rest = (query.version, query.created_before, query.created_since)
    return asked <= {lead} and rest == (None, None, None) and len(query.labels) < 2


async def _first(client: Client, query: Query, source: _Source) -> list[Head]:
    found: list[Head] = []
    times = {"<": query.updated_before, ">=": query.updated_since}
    bounds = {operator: at for operator, at in times.items() if at is not None}
    after = (query.after[0], session_path(query.after[1])) if query.after else ()
    limit = query.limit if source.exact else max(query.limit, PAGE)
    question = source.shape.question(source.values, bounds=bounds, after=after, limit=limit)
    async for page in pages(client, question):
        found += [head for head in map(head_of, page.documents) if _fits(head, query)]
        if len(found) >= query.limit:
            break
    return found[: query.limit]


async def pages(client: Client, question: Question) -> AsyncIterator[Found]:
    """What a question finds, so many at a time as it is limited to."""
    while True:
        found = await client.query(question)
        if found.documents:
            yield found
        if question.limit is None or len(found.documents) < question.limit:
            return
        last = found.documents[-1]
        place = tuple(last.fields[name] for name, _ in question.orders)
        question = replace(question, after=(*place, last.path))


_SAME = ("tenant", "program", "version", "parent", "family")


def _fits(head: Head, query: Query) -> bool:
    """Whether it has all that its shape did not ask for; the bounds of the order's field were asked for."""
    return (
        all(getattr(query, name) in (None, getattr(head, name)) for name in _SAME)
        and (not query.status or head.status in query.status)
        and (query.wait is None or any(wait.kind == query.wait for wait in head.waits))
        and set(query.labels) <= {(name, label_text(value)) for name, value in head.labels}
        and (query.created_since is None or head.created_at >= query.created_since)
        and (query.created_before is None or head.created_at < query.created_before)
    )


# --- what is overdue ---------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Overdue:
    """Sessions that nobody holds, and that somebody should have looked at by `now`: due, or with signals pending.

    A sweep with nothing to find is 32 queries: one for each shard and kind. What is due is read with its lease, so only
    sessions with signals are read besides. Afterwards `since` says from when on somebody should have looked, and
    `lapsed` which of them somebody held who is gone.
    """

    client: Client
    now: datetime
    ttl: float
    limit: int
    since: dict[str, datetime] = field(default_factory=dict)
    lapsed: set[str] = field(default_factory=set)
    _known: dict[str, bool] = field(default_factory=dict)

    async def keys(self) -> list[str]:
        """At most `limit`, those that have waited longest before the others."""
        found = await asyncio.gather(*(self._due(shard) for shard in range(SHARDS)))
        free = self._earliest(found)
        if len(free) < self.limit:
            called = await asyncio.gather(*(self._called(shard) for shard in range(SHARDS)))
            free = list(dict.fromkeys((*free, *self._earliest(called))))
        return free[: self.limit]

    def _earliest(self, found: Sequence[Sequence[tuple[datetime, str]]]) -> list[str]:
        places = sorted(place for shard in found for place in shard)
        for at, key in places:
            self.since[key] = min(at, self.since.get(key, at))
        return list(dict.fromkeys(key for _, key in places))

    async def _due(self, shard: int) -> list[tuple[datetime, str]]:
        select = ("wake_at", "held", "renewed_at")
        question = DUE.question({"shard": shard}, bounds={"<=": self.now}, limit=self.limit, select=select)
        return await self._free(question, "wake_at")

    async def _called(self, shard: int) -> list[tuple[datetime, str]]:
        values = {"shard": shard, "pending": True}
        question = CALLED.question(values, limit=max(self.limit, PAGE), select=("filed_at",))
        return await self._free(question, "filed_at")

    async def _free(self, question: Question, since: str) -> list[tuple[datetime, str]]:
        """Those that nobody holds, each once, until there are enough of them."""
        free: dict[str, datetime] = {}
        async for page in pages(self.client, question):
            await self._learn(page)
            for document in page.documents:
                if not self._known[key_of(document)]:
                    free.setdefault(key_of(document), document.fields[since])
            if len(free) >= self.limit:
                break
        return [(at, key) for key, at in free.items()]

    async def _learn(self, page: Found) -> None:
        """Whether each of these sessions is held: as it says itself, or as its head does. One without a head isn't."""
        unknown = {key_of(document) for document in page.documents} - self._known.keys()
        if "held" not in page.documents[0].fields and unknown:
            page = await self.client.get([session_path(key) for key in sorted(unknown)], ("held", "renewed_at"))
        self._known |= dict.fromkeys(unknown, False)
        heads = {key_of(head): head for head in page.documents if key_of(head) in unknown}
        self._known |= {key: self._held(head, page.now) for key, head in heads.items()}
        self.lapsed |= {key for key, head in heads.items() if head.fields["held"] and not self._known[key]}

    def _held(self, head: Document, now: datetime) -> bool:
        return bool(head.fields["held"]) and (now - head.fields["renewed_at"]).total_seconds() < self.ttl
