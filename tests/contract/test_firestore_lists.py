"""Lists of the Firestore store are those of the reference, for whatever sessions and queries there may be."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onward.adapters.local.memory import MemoryBackend
from onward.core.head import Wait
from onward.ports import Query, Wake
from onward.testing.clock import ManualClock
from onward.testing.contracts.story import opening
from tests.contract.firestore import FirestoreBackend, Shaped, a_client
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
