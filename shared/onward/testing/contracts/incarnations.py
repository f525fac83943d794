"""I1 and I2: what operators have said of restores from backups."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from onward.core.events import Actor
from onward.core.incarnation import KEPT, Restored, Restores
from onward.testing.contracts.story import START, Backend

ANN = Actor(kind="operator", name="ann")


async def record(backend: Backend, number: int) -> Restored:
    return await backend.incarnations.record(ANN, f'Ünï "{number}"', START + timedelta(hours=number))


def restored(number: int) -> Restored:
    """As `record` makes it, in a database that was never restored before."""
    return Restored(number=number + 1, by=ANN, reason=f'Ünï "{number}"', at=START + timedelta(hours=number))


@pytest.mark.asyncio
class IncarnationsContract:
    """Clauses I1 and I2."""

    async def test_i1_restores_are_known_the_newest_first(self, backend: Backend) -> None:
        assert await backend.incarnations.read() == Restores()
        for number in (1, 2, 3):
            assert await record(backend, number) == restored(number)
        assert await backend.incarnations.read() == Restores(newest=(restored(3), restored(2), restored(1)))

    async def test_i1_only_the_newest_are_kept(self, backend: Backend) -> None:
        for number in range(1, KEPT + 3):
            await record(backend, number)
        kept = (await backend.incarnations.read()).newest
        assert [each.number for each in kept] == list(range(KEPT + 3, 3, -1))

    async def test_i2_of_many_at_once_each_begins_an_incarnation_of_its_own(self, backend: Backend) -> None:
        told = await asyncio.gather(*(record(backend, number) for number in range(1, 9)))
        assert sorted(each.number for each in told) == list(range(2, 10))
        assert (await backend.incarnations.read()).incarnation == 9
