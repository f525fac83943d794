"""Faults at every call to the outside: what crashes, outages and slow networks do to a process, done on purpose.

    plan = Plan({17: kill_after})                   # every call of every process is counted and named; the 17th is met
    process = Process("first", plan)
    runner = Runner(process.programs(app), backend=process.backend(real), clock=clock)

A process that was killed raises `Killed`, a BaseException, from every later call, so that no `finally` of anybody's
can do what a dead process could not. Go on with another Process on the same backend.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from onward.core.given import NOTHING, EmptySupply, Given, Needs, Role, Supply
from onward.core.model import Model, ModelAnswer, ModelRequest
from onward.core.outcomes import Call
from onward.core.program import AskModel, Decision, Effect, Perform, Performer, Program
from onward.core.state import OpenCall, State
from onward.core.webhooks import Webhook
from onward.engine.deciding import Registry
from onward.errors import Ambiguous, ModelUnavailable, NotDelivered, OnwardError, StoreUnavailable
from onward.ports import Errand, Wake

Act = Callable[[], Awaitable[Any]]
Fault = Callable[["Process", str, Act], Awaitable[Any]]
Callback = Callable[["Process"], Awaitable[None]]

COMMITS = frozenset(
    f"store.{name}"
    for name in ("create", "claim", "renew", "mark", "append", "release", "erase", "delete", "file", "refuse", "fill")
)
"""Calls whose fate may be unknown: an error after they were applied is Ambiguous."""


class Killed(BaseException):
    """The process is dead."""


class Plan:
    """Counts and names the calls of all processes that share it, from 1, and says which of them meet a fault."""

    def __init__(self, faults: Mapping[int, Fault] = MappingProxyType({})) -> None:
        self.calls: list[str] = []
        self._faults = faults
        self._under_way: tuple[int, Act] | None = None

    def next(self, name: str) -> Fault | None:
        """The fault that this call meets, if any."""
        self.calls.append(name)
        return self._faults.get(len(self.calls))

    def delay(self, act: Act, calls: int) -> None:
        """Apply this only when so many more calls are made: a request that is slow on its way."""
        self._under_way = (len(self.calls) + calls, act)

    async def arrive(self) -> None:
        """Apply what was slow and is here now."""
        if self._under_way is not None and len(self.calls) >= self._under_way[0]:
            act, self._under_way = self._under_way[1], None
            with suppress(OnwardError):
                await act()


class Process:
    """One process, as far as others can tell: its calls to ports, models and tools, until it is dead."""

    def __init__(self, name: str, plan: Plan) -> None:
        self.name = name
        self.plan = plan
        self.dead = False

    def die(self) -> Killed:
        """From now on every call raises Killed; answers the first one."""
        self.dead = True
        return Killed(self.name)

    async def call(self, name: str, act: Act) -> Any:
        """Make this call, or let it meet its fault."""
        self._check_alive()
        fault = self.plan.next(name)
        await self.plan.arrive()
        answer = await (act() if fault is None else fault(self, name, act))
        self._check_alive()
        return answer

    def _check_alive(self) -> None:
        if self.dead:
            raise Killed(self.name)

    def backend(self, real: Any) -> FaultyBackend:
        """The same backend, through this process's calls."""
        return FaultyBackend(real, self)

    def post(self, real: Any) -> Any:
        """The same way to webhooks, through this process's calls."""
        return _Port(real, "post", self, {}, frozenset())

    def programs(self, real: Registry) -> FaultyPrograms:
        """The same programs, their models and tools through this process's calls."""
        return FaultyPrograms(real, self)


# --- what may happen at a call ---------------------------------------------------------------------------------


async def kill_before(process: Process, name: str, act: Act) -> Any:
    """The process dies before the call leaves it."""
    raise process.die()


async def kill_after(process: Process, name: str, act: Act) -> Any:
    """The call is applied; the process dies before it learns that."""
    try:
        await act()
    finally:
        killed = process.die()
    raise killed


async def error_before(process: Process, name: str, act: Act) -> Any:
    """The call fails, and nothing was applied."""
    raise _error(name, applied=False)


async def error_after(process: Process, name: str, act: Act) -> Any:
    """The call is applied, and then fails."""
    await act()
    raise _error(name, applied=True)


def applied_late(calls: int) -> Fault:
    """The call fails and seems not to be applied; it is, just before the first, second, ... call after it."""

    async def fault(process: Process, name: str, act: Act) -> Any:
        process.plan.delay(act, calls)
        raise _error(name, applied=True)

    return fault


async def lost(process: Process, name: str, act: Act) -> Any:
    """The call is answered, and what it sent never arrives."""


async def twice(process: Process, name: str, act: Act) -> Any:
    """What the call sent arrives twice."""
    await act()
    return await act()


def meanwhile_before(callback: Callback) -> Fault:
    """The call is held up on its way, and something else happens first."""

    async def fault(process: Process, name: str, act: Act) -> Any:
        await callback(process)
        await asyncio.sleep(0)
        return await act()

    return fault


def meanwhile_after(callback: Callback) -> Fault:
    """The call is applied, and something else happens before its answer arrives."""

    async def fault(process: Process, name: str, act: Act) -> Any:
        answer = await act()
        await callback(process)
        await asyncio.sleep(0)
        return answer

    return fault


def meanwhile_then_kill(callback: Callback) -> Fault:
    """The call is applied, something else happens, and the process dies."""

    async def fault(process: Process, name: str, act: Act) -> Any:
        try:
            await act()
            await callback(process)
        finally:
            killed = process.die()
        raise killed

    return fault


def _error(name: str, applied: bool) -> Exception:
    if name.startswith("tool."):
        return RuntimeError("connection reset by the test")
    if name.startswith("post."):
        return NotDelivered(f"{name} was interrupted by the test")
    if name.startswith("model."):
        return ModelUnavailable(f"{name} was interrupted by the test")
    if applied and name in COMMITS:
        return Ambiguous(f"{name} was interrupted by the test")
    return StoreUnavailable(f"{name} was interrupted by the test")


# --- ports -----------------------------------------------------------------------------------------------------


class _Port:
    """A port whose every method is a call of the process. `names` gives some another name, `apart` leaves some out."""

    def __init__(self, real: Any, port: str, process: Process, names: dict[str, str], apart: frozenset[str]) -> None:
        self._real = real
        self._port = port
        self._process = process
        self._names = names
        self._apart = apart

    def __getattr__(self, method: str) -> Any:
        target = getattr(self._real, method)
        if method in self._apart or not inspect.iscoroutinefunction(target):
            return target
        name = self._names.get(method, f"{self._port}.{method}")
        process = self._process

        async def call(*args: Any, **named: Any) -> Any:
            return await process.call(name, lambda: target(*args, **named))

        self.__dict__[method] = call
        return call


class FaultyBackend:
    """A Backend (`onward.wiring`) whose ports are the calls of one process. What a worker does to wait and to take is
    left alone: dying there is the same as dying at the call before or after."""

    def __init__(self, real: Any, process: Process) -> None:
        self.real = real
        self.store: Any = _Port(real.store, "store", process, {}, frozenset({"close"}))
        self.blobs: Any = _Port(real.blobs, "blobs", process, {}, frozenset())
        self.feed: Any = _Port(real.feed, "feed", process, {}, frozenset())
        self.switches: Any = _Port(real.switches, "switches", process, {}, frozenset())
        self.incarnations: Any = _Port(real.incarnations, "incarnations", process, {}, frozenset())
        self.sweeps: Any = real.sweeps
        named = {"publish": "wakes.publish", "arm": "timers.arm", "send": "timers.send"}
        self.queue: Any = _Port(real.queue, "queue", process, named, frozenset({"take", "take_errands", "wait"}))

    @property
    def secret(self) -> bytes:
        secret: bytes = self.real.secret
        return secret

    async def close(self) -> None:
        """The real one is closed by who opened it."""


# --- models and tools ------------------------------------------------------------------------------------------


class FaultyPrograms:
    """A Registry whose programs ask their models, and perform their tools, through one process's calls."""

    def __init__(self, real: Registry, process: Process) -> None:
        self._real = real
        self._process = process

    def program(self, name: str, version: str) -> Program | None:
        return self._wrap(self._real.program(name, version))

    def newest(self, name: str) -> Program | None:
        return self._wrap(self._real.newest(name))

    @property
    def webhooks(self) -> Sequence[Webhook]:
        """What the real ones tell, and to whom."""
        declared: Sequence[Webhook] = getattr(self._real, "webhooks", ())
        return declared

    def supply(self) -> Supply:
        """What the real ones give their tools."""
        make: Callable[[], Supply] = getattr(self._real, "supply", EmptySupply)
        return make()

    def replace(self, real: Registry) -> None:
        """Run these from now on, as after a deploy."""
        self._real = real

    def _wrap(self, program: Program | None) -> Program | None:
        return None if program is None else _Program(program, self._process)


class _Program:
    def __init__(self, real: Program, process: Process) -> None:
        self.name, self.version, self.follows, self.on_input = real.name, real.version, real.follows, real.on_input
        self.elsewhere, self.check_edit, self.unwind = real.elsewhere, real.check_edit, real.unwind
        self.leads, self.in_hindsight = real.leads, real.in_hindsight
        self._real = real
        self._process = process

    def decide(self, state: State) -> Decision:
        decision = self._real.decide(state)
        if isinstance(decision, Perform):
            return Perform(tuple(self._effect(effect) for effect in decision.effects))
        return decision

    def _effect(self, effect: Effect) -> Effect:
        return replace(effect, model=_Model(effect.model, self._process)) if isinstance(effect, AskModel) else effect

    def performer(self, call: OpenCall, state: State) -> Performer | None:
        real = self._real.performer(call, state)
        return None if real is None else _Tool(real, self._process)


class _Model:
    def __init__(self, real: Model, process: Process) -> None:
        self.name = real.name
        self._real = real
        self._process = process

    async def answer(self, request: ModelRequest) -> ModelAnswer:
        answer: ModelAnswer = await self._process.call("model.answer", lambda: self._real.answer(request))
        return answer


class _Tool:
    def __init__(self, real: Performer, process: Process) -> None:
        self.name, self.effect, self.timeout, self.retry = real.name, real.effect, real.timeout, real.retry
        self.blocking, self.bounds = real.blocking, real.bounds
        self._real = real
        self._process = process
        self._loop = asyncio.get_running_loop()

    def needs(self, role: Role = "invoke") -> Needs:
        return self._real.needs(role)

    def invoke(self, call: Call, given: Given = NOTHING) -> Any:
        if not self.blocking:
            return self._process.call("tool.invoke", lambda: self._real.invoke(call, given))
        threaded = self._process.call("tool.invoke", lambda: asyncio.to_thread(self._real.invoke, call, given))
        return asyncio.run_coroutine_threadsafe(threaded, self._loop).result()

    def reconciles(self) -> bool:
        return self._real.reconciles()

    async def ask(self, call: Call, given: Given = NOTHING) -> Any:
        return await self._process.call("tool.ask", lambda: self._real.ask(call, given))

    async def check(self, call: Call, given: Given = NOTHING) -> Any:
        return await self._process.call("tool.check", lambda: self._real.check(call, given))


# --- how messages travel ---------------------------------------------------------------------------------------


class _Travel:
    """A queue as it is; what follows changes how its messages travel."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class Doubled(_Travel):
    """Every wake, every timer and every errand comes twice."""

    async def publish(self, wake: Wake) -> None:
        await self._real.publish(wake)
        await self._real.publish(wake)

    async def arm(self, key: str, at: Any) -> None:
        await self._real.arm(key, at)
        await self._real.arm(key, at)

    async def send(self, errand: Errand, at: Any) -> None:
        await self._real.send(errand, at)
        await self._real.send(errand, at)


class Dropped(_Travel):
    """No wake and no timer ever arrives."""

    async def publish(self, wake: Wake) -> None:
        return None

    async def arm(self, key: str, at: Any) -> None:
        return None


class Delayed(_Travel):
    """Every message is late, by these seconds."""

    def __init__(self, real: Any, seconds: float) -> None:
        super().__init__(real)
        self._seconds = seconds
        self._late: list[Wake] = []

    async def take(self, limit: int = 1) -> list[Any]:
        ready = []
        for delivery in await self._real.take(limit):
            if delivery.wake in self._late:
                self._late.remove(delivery.wake)
                ready.append(delivery)
            else:
                self._late.append(delivery.wake)
                await self._real.put_back(delivery, self._seconds)
        return ready


class Reordered(_Travel):
    """The newest message comes first."""

    async def take(self, limit: int = 1) -> list[Any]:
        due = await self._real.take(1000)
        for delivery in due[:-limit]:
            await self._real.put_back(delivery)
        return list(reversed(due[-limit:]))


class Redelivered(_Travel):
    """Every acknowledgement is lost once."""

    def __init__(self, real: Any) -> None:
        super().__init__(real)
        self._again: list[Wake] = []

    async def done(self, delivery: Any) -> None:
        if delivery.wake in self._again:
            self._again.remove(delivery.wake)
            await self._real.done(delivery)
        else:
            self._again.append(delivery.wake)
            await self._real.put_back(delivery)
