"""K1 to K3: what operators have switched off."""

from __future__ import annotations

import asyncio

import pytest

from onward.core.events import Actor
from onward.core.switches import Switch, Turn
from onward.testing.contracts.story import START, Backend

ANN = Actor(kind="operator", name="ann")


def switch(scope: str = "all", reason: str = "it burns") -> Switch:
    return Switch(scope=scope, by=ANN, reason=reason, at=START)


@pytest.mark.asyncio
class SwitchesContract:
    """Clauses K1 to K3."""

    async def test_k1_what_was_switched_off_is_off_until_it_is_on_again(self, backend: Backend) -> None:
        assert list(await backend.switches.read()) == []
        for scope in ("tenant:acme", "program:desk"):
            assert await backend.switches.turn(switch(scope, 'Ünï "reason"'), off=True)
        wanted = [switch("program:desk", 'Ünï "reason"'), switch("tenant:acme", 'Ünï "reason"')]
        assert list(await backend.switches.read()) == wanted
        assert await backend.switches.turn(switch("program:desk"), off=False)
        assert list(await backend.switches.read()) == wanted[1:]
        assert await backend.switches.turn(switch("program:desk", "again"), off=True)
        assert list(await backend.switches.read()) == [switch("program:desk", "again"), wanted[1]]

    async def test_k2_what_is_off_stays_off_for_the_reason_that_it_is_off(self, backend: Backend) -> None:
        assert not await backend.switches.turn(switch(), off=False)
        assert await backend.switches.turn(switch(), off=True)
        assert not await backend.switches.turn(switch(reason="another"), off=True)
        assert list(await backend.switches.read()) == [switch()]

    async def test_k2_of_many_who_turn_it_at_once_one_does(self, backend: Backend) -> None:
        turns = (backend.switches.turn(switch(reason=str(number)), off=True) for number in range(8))
        assert sum(await asyncio.gather(*turns)) == 1

    async def test_k3_history_has_every_turn_that_changed_something(self, backend: Backend) -> None:
        for number, off in enumerate((False, True, True, False, False, True)):
            await backend.switches.turn(switch(reason=str(number)), off)
        turns = [
            Turn(switch=switch(reason=reason), off=off) for reason, off in (("5", True), ("3", False), ("1", True))
        ]
        assert list(await backend.switches.history()) == turns
        assert list(await backend.switches.history(limit=2)) == turns[:2]
