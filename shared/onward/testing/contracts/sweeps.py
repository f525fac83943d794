"""H1 to H3: what is kept of sweeps."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from onward.core.sweeps import KEPT, Sweepings, Swept
from onward.testing.contracts.story import START, Backend


def swept(number: int, woken: int = 0) -> Swept:
    return Swept(at=START + timedelta(minutes=number), woken=woken)


@pytest.mark.asyncio
class SweepsContract:
    """Clauses H1 to H3."""

    async def test_h1_the_last_sweep_is_known(self, backend: Backend) -> None:
        assert await backend.sweeps.read() == Sweepings()
        for number in range(3):
            await backend.sweeps.record(swept(number))
            assert await backend.sweeps.read() == Sweepings(last=swept(number))

    async def test_h2_what_was_healed_is_known_the_newest_first(self, backend: Backend) -> None:
        for number, woken in enumerate((3, 0, 5, 0)):
            await backend.sweeps.record(swept(number, woken))
        assert await backend.sweeps.read() == Sweepings(last=swept(3), healed=(swept(2, 5), swept(0, 3)))

    async def test_h2_no_healing_is_lost_where_several_sweep_at_once(self, backend: Backend) -> None:
        await asyncio.gather(*(backend.sweeps.record(swept(number, number + 1)) for number in range(4)))
        healed = (await backend.sweeps.read()).healed
        assert sorted(each.woken for each in healed) == [1, 2, 3, 4]

    async def test_h3_the_newest_are_kept(self, backend: Backend) -> None:
        for number in range(KEPT + 3):
            await backend.sweeps.record(swept(number, 1))
        healed = (await backend.sweeps.read()).healed
        assert healed == tuple(swept(number, 1) for number in reversed(range(3, KEPT + 3)))
