"""Lists of the Firestore store are those of the reference, for whatever sessions and queries there may be."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onward.adapters.gcp.firestore_lists import Overdue
from onward.adapters.local.memory import MemoryBackend
from onward.core.head import Wait
from onward.ports import Query, Wake
from onward.testing.clock import ManualClock
from onward.testing.contracts.story import START, begin, claimed, opening
from tests.contract.firestore import FirestoreBackend, ServerTime, Shaped, a_client
from tests.contract.test_lists_model import FIELDS, agree, queries

FEWER = settings().max_examples // 2


@settings(max_examples=FEWER, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(FIELDS, min_size=1, max_size=8), st.lists(queries(), min_size=1, max_size=5))
def test_lists_are_those_of_the_reference(firestore: str, sessions: list[dict[str, Any]], asked: list[Query]) -> None:
    asyncio.run(compare(firestore, sessions, [Query(), *asked]))


async def compare(host: str, sessions: list[dict[str, Any]], asked: list[Query]) -> None:
    clock = ManualClock()
    memory, there = MemoryBackend(clock), FirestoreBackend(Shaped(a_client(host)), clock)
    try:
        for number, fields in enumerate(sessions):
            waits = tuple(Wait(kind=kind) for kind in fields["waits"])
            head, commit = opening(f"s{number}", **{**fields, "waits": waits})
            for backend in (memory, there):
                assert await backend.store.create(head, commit, Wake(head.key)) is None
        for query in asked:
            await agree(memory, there, query)  # type: ignore[arg-type]
    finally:
        await there.close()


async def test_what_is_overdue_says_since_when_and_whose_lease_is_over(firestore: str) -> None:
    """A session that is held is not overdue; once its holder is gone, it is, and says so."""
    clock = ManualClock()
    client: Any = ServerTime(Shaped(a_client(firestore)), clock)
    backend = FirestoreBackend(client, clock)
    try:
        held = await begin(backend.store, "held", wake_at=START)
        free = await begin(backend.store, "free", wake_at=START + timedelta(minutes=1))
        await claimed(backend.store, held)
        now = START + timedelta(minutes=2)
        asked = [Overdue(client, now, 90.0, 10), Overdue(client, now, 0.0, 10)]
        assert [await each.keys() for each in asked] == [[free], [held, free]]
        assert [each.lapsed for each in asked] == [set(), {held}]
        assert asked[1].since == {held: START, free: START + timedelta(minutes=1)}
    finally:
        await backend.close()
