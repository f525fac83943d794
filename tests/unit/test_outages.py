"""The store is away, or slow, just when something that can't be undone is done: it is not done twice, and who knows
what came of it keeps that."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from onward import Agent, App, NotDone, ScriptedModel, tool
from onward.core.events import Actor
from onward.core.ids import session_key
from onward.core.lease import TTL
from onward.engine.gateway import Start
from onward.errors import Ambiguous, StoreUnavailable
from onward.ports import Wake
from onward.testing.runner import Runner
from onward.wiring import Policy

ANA = Actor(kind="person", name="ana")


class Away:
    """A store that can't be reached until `until`, and takes nothing meanwhile, or nothing of what is in `only`: what
    is written may have happened, for all that is known, and nothing can be read."""

    def __init__(self, real: Any, clock: Any) -> None:
        self._real, self._clock, self.until = real, clock, 0.0
        self.only: tuple[str, ...] = ()

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._real, name)
        there = self.only and name not in self.only
        if not callable(real) or there or self._clock.monotonic() >= self.until:
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

    one = Runner(App(programs=[desk(pay)]))
    away.append(_in_the_way(one))
    await one.parts.gateway.start(Start("s", "desk", "1", input="hello"), ANA)
    await one.finish(within=3600)
    said = await kinds(one)
    assert ((await one.state("s")).ended, done) == ("completed", [5]), said
    assert said.count("call_completed") == 1
    assert "call_reconciled" not in said
    assert "call_in_doubt" not in said or seconds > TTL


class Visited(Away):
    """Somebody comes by, and is turned away, just before a call is started."""

    async def append(self, lease: Any, request: Any) -> Any:
        if "call_started" in [record.kind for record in request.commit.records]:
            assert await self._real.mark(lease.key, lease.epoch, lease.head.seq)
        return await self.__getattr__("append")(lease, request)


async def test_g6_g13_an_inbox_that_can_not_be_read_after_an_effect_asks_nobody() -> None:
    """Between the effect and its append somebody was turned away, so the holder looks at the inbox first."""
    done: list[int] = []
    away: list[Away] = []

    @tool(effect="irreversible", timeout="30s")
    async def pay(amount: int) -> str:
        """Pay."""
        done.append(amount)
        away[0].until, away[0].only = one.clock.monotonic() + 60.0, ("pending",)
        return "paid"

    one = Runner(App(programs=[desk(pay)]), policy=Policy(steps_per_wake=5))
    away.append(_in_the_way(one, Visited))
    await one.parts.gateway.start(Start("s", "desk", "1", input="hello"), ANA)
    await one.finish(within=3600)
    assert ((await one.state("s")).ended, done) == ("completed", [5])
    assert "call_reconciled" not in await kinds(one)


async def test_r5_what_came_of_an_effect_is_kept_when_its_process_is_asked_to_stop() -> None:
    done: list[int] = []

    @tool(effect="irreversible", timeout="30s")
    async def pay(amount: int) -> str:
        """Pay."""
        done.append(amount)
        one.parts.performing.stop()
        return "paid"

    one = Runner(App(programs=[desk(pay)]), policy=Policy(steps_per_wake=5))
    key = session_key("default", "s")
    await one.parts.gateway.start(Start("s", "desk", "1", input="hello"), ANA)
    await one.parts.engine.advance(Wake(key, look=True))
    assert (await kinds(one))[-1] == "call_completed"
    one.parts = one.process(App(programs=[desk(pay)]))
    await one.finish(within=3600)
    assert ((await one.state("s")).ended, done) == ("completed", [5])
    assert "call_in_doubt" not in await kinds(one)


class Cut:
    """A way to the store on which the answer to an append of `call_started` is lost, and that then is so slow that
    others have been at work by the time the log is read."""

    def __init__(self, real: Any, meanwhile: Callable[[], Awaitable[None]]) -> None:
        self._real, self._meanwhile, self.lost = real, meanwhile, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def append(self, lease: Any, request: Any) -> Any:
        done = await self._real.append(lease, request)
        if not self.lost and "call_started" in [record.kind for record in request.commit.records]:
            self.lost = True
            raise Ambiguous("cut off")
        return done

    async def commits(self, *asked: Any, **more: Any) -> Any:
        if self.lost:
            await self._meanwhile()
        return await self._real.commits(*asked, **more)


class Renewing:
    """A feed that takes its time, in which the renewing thread comes by."""

    def __init__(self, one: Runner) -> None:
        self._real, self._renewer = one.backend.feed, one.parts.renewer

    async def publish(self, head: Any, events: Any) -> None:
        await self._real.publish(head, events)
        for hold in list(self._renewer._holds):
            if hold.renewable(self._renewer._after):
                hold.confirmed = (await self._renewer._store.renew(hold.lease)).confirmed


async def test_g2_g6_who_learns_too_late_that_its_call_was_started_does_not_make_it() -> None:
    """The commit is there, under a lease that was lost meanwhile: another one has settled the doubt, and made the call.
    A lease that can be had again now is another lease."""
    here, done = ["late"], list[str]()

    @tool(effect="irreversible", timeout="30s")
    async def pay(amount: int) -> str:
        """Pay."""
        done.append(here[0])
        return "paid"

    @pay.reconcile
    async def happened() -> NotDone:
        return NotDone()

    one, key = Runner(App(programs=[desk(pay)])), session_key("default", "s")
    other = one.process(App(programs=[desk(pay)]))

    async def meanwhile() -> None:
        if here[0] == "late":
            here[0] = "other"
            one.clock.advance(TTL + 40)
            for _ in range(6):
                await other.engine.advance(Wake(key, look=True))

    engine = one.parts.engine
    engine.store = engine.appender._store = cast(Any, Cut(one.backend.store, meanwhile))
    engine.outbox.feed = Renewing(one)
    await one.parts.gateway.start(Start("s", "desk", "1", input="hello"), ANA)
    for _ in range(2):
        await engine.advance(Wake(key, look=True))
    assert (here, done) == (["other"], ["other"])
    assert not one.backend.store._rows[key].held


def desk(*tools: Any) -> Agent:
    turns = [{"calls": [{"tool": "pay", "arguments": {"amount": 5}}]}, {"text": "done"}]
    return Agent("desk", model=ScriptedModel(turns), tools=tools)


async def kinds(one: Runner) -> list[str]:
    commits = await one.backend.store.commits(session_key("default", "s"))
    return [event.kind for commit in commits for event in one.parts.loader.events(commit)]


def _in_the_way(one: Runner, made: type[Away] = Away) -> Away:
    """Between everybody and the store."""
    away = made(one.backend.store, one.clock)
    engine = one.parts.engine
    engine.store = engine.appender._store = engine.late._store = away
    engine.outbox._store = engine.loader._store = engine.renewer._store = away
    return away
