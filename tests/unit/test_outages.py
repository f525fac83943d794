"""The store is away just when something that can't be undone has happened: who knows what came of it keeps that."""

from __future__ import annotations

from typing import Any

import pytest

from onward import Agent, App, ScriptedModel, tool
from onward.core.events import Actor
from onward.core.ids import session_key
from onward.core.lease import TTL
from onward.engine.gateway import Start
from onward.errors import Ambiguous, StoreUnavailable
from onward.testing.runner import Runner

ANA = Actor(kind="person", name="ana")


class Away:
    """A store that can't be reached until `until`, and takes nothing meanwhile: what is written may have happened, for
    all that is known, and nothing can be read."""

    def __init__(self, real: Any, clock: Any) -> None:
        self._real, self._clock, self.until = real, clock, 0.0

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._real, name)
        if not callable(real) or self._clock.monotonic() >= self.until:
            return real
        failure = Ambiguous if name in ("append", "file", "release") else StoreUnavailable

        async def fail(*_: Any, **__: Any) -> None:
            self._clock.advance(0.1)
            raise failure("nobody there")

        return fail


@pytest.mark.parametrize("seconds", [5.0, 240.0])
async def test_g6_g13_an_outage_right_after_an_effect_asks_nobody(seconds: float) -> None:
    """Shorter than a lease lasts, and longer: then it may be in doubt until it is told."""
    done: list[int] = []
    away: list[Away] = []

    @tool(effect="irreversible", timeout="30s")
    async def pay(amount: int) -> str:
        """Pay."""
        done.append(amount)
        away[0].until = one.clock.monotonic() + seconds
        return "paid"

    model = ScriptedModel([{"calls": [{"tool": "pay", "arguments": {"amount": 5}}]}, {"text": "done"}])
    one = Runner(App(programs=[Agent("desk", model=model, tools=[pay])]))
    away.append(_in_the_way(one))
    await one.parts.gateway.start(Start("s", "desk", "1", input="hello"), ANA)
    await one.finish(within=3600)
    state, store = await one.state("s"), one.backend.store
    commits = await store.commits(session_key("default", "s"))
    kinds = [event.kind for commit in commits for event in one.parts.loader.events(commit)]
    assert (state.ended, done) == ("completed", [5]), kinds
    assert kinds.count("call_completed") == 1
    assert "call_reconciled" not in kinds
    assert "call_in_doubt" not in kinds or seconds > TTL


def _in_the_way(one: Runner) -> Away:
    """Between everybody and the store."""
    away = Away(one.backend.store, one.clock)
    engine = one.parts.engine
    engine.store = engine.appender._store = engine.late._store = away
    engine.outbox._store = engine.loader._store = engine.renewer._store = away
    return away
