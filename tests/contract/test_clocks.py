"""An instance whose wall clock is wrong by minutes keeps nobody waiting for them."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from onward import Agent, App, ScriptedModel
from onward.core.events import Actor
from onward.core.ids import session_key
from onward.core.lease import MARGIN, TTL, Busy, Later
from onward.engine.gateway import Start
from onward.ports import Wake
from onward.testing.clock import ManualClock
from onward.testing.contracts.story import begin, claimed
from onward.testing.runner import Runner
from tests.contract.firestore import FirestoreBackend, ServerTime, a_client

OFF = timedelta(minutes=7)


@pytest.mark.parametrize("off", [OFF, -OFF])
async def test_r3_who_is_turned_away_hears_the_time_of_the_server(
    firestore: str, clock: ManualClock, off: timedelta
) -> None:
    backend = FirestoreBackend(ServerTime(a_client(firestore), clock), clock)
    right, key = clock.now(), await begin(backend.store)
    lease = await claimed(backend.store, key)
    clock.set_wall(right + off)
    busy = await backend.store.claim(key, "bob:1")
    clock.advance(TTL)
    stalled = await backend.store.claim(key, "bob:1")
    await backend.close()
    assert isinstance(busy, Busy)
    assert (busy.epoch, busy.now) == (lease.epoch, right)
    assert isinstance(stalled, Later)
    assert stalled.now == right + timedelta(seconds=TTL)


@pytest.mark.parametrize("off", [OFF, -OFF])
async def test_r4_a_delayed_wake_is_armed_for_a_time_of_the_store(
    monkeypatch: pytest.MonkeyPatch, off: timedelta
) -> None:
    one = Runner(App(programs=[Agent("desk", model=ScriptedModel([{"text": "done"}]))]))
    await one.parts.gateway.start(Start("s", "desk", "1", input="hello"), Actor(kind="person", name="ana"))
    key, right = session_key("default", "s"), one.clock.now() - off
    store = one.backend.store
    await claimed(store, key)
    armed: list[datetime] = []

    async def claim(*_: str | int) -> Busy:
        return Busy(1, 1, TTL + MARGIN, marked=True, now=right)

    async def arm(_: str, at: datetime) -> None:
        armed.append(at)

    monkeypatch.setattr(store, "claim", claim)
    monkeypatch.setattr(one.parts.engine.timers, "arm", arm)
    await one.parts.engine.advance(Wake(key, delayed=True))
    (at,) = armed
    assert TTL + MARGIN <= (at - right).total_seconds() <= TTL + 2 * MARGIN
