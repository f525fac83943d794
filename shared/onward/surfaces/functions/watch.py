"""What a step comes to and how long its parts take, seen from around the engine: so that a line can say so, and the
engine need not."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Literal, TypeVar, cast

from onward.core.events import Failure
from onward.core.head import Head
from onward.core.lease import Busy, Later
from onward.engine.advance import Engine
from onward.errors import LeaseLost
from onward.ports import Append, Appended, Clock, Lease, SessionStore
from onward.surfaces.verbs import needs_attention

Part = Literal["claim", "load", "decide", "perform", "append", "publish"]
T = TypeVar("T")


@dataclass(slots=True)
class Step:
    """One visit to a session, as far as it has come. `spent` are milliseconds; `parked` is why it needs attention since
    this step, if it does."""

    key: str
    outcome: str = "failed"
    head: Head | None = None
    epoch: int | None = None
    kinds: list[str] = field(default_factory=list)
    spent: dict[Part, float] = field(default_factory=dict)
    parked: Failure | None = None
    tokens: int = 0

    def fields(self) -> dict[str, Any]:
        """What a line says of it."""
        head = self.head
        said: dict[str, Any] = {"key": self.key, "outcome": self.outcome, "epoch": self.epoch}
        said |= {"kinds": self.kinds or None, "tokens": self.tokens or None}
        said |= {f"{part}_ms": round(ms, 1) for part, ms in self.spent.items()}
        if head is not None:
            said |= {"tenant": head.tenant, "session": head.id, "program": head.program}
            said |= {"version": head.version, "seq": head.seq}
        return said


STEP: ContextVar[Step | None] = ContextVar("step", default=None)
"""The visit that this task is making."""


# --- what is done to the session -------------------------------------------------------------------------------


class Watched:
    """A store that notes what is done to the session of the visit under way."""

    def __init__(self, store: SessionStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def claim(self, key: str, owner: str, published: int = 0) -> Lease | Busy | Later | None:
        claimed, step = await self._store.claim(key, owner, published), _of(key)
        if step is not None:
            step.outcome = _claimed(claimed)
            if isinstance(claimed, Lease):
                step.head, step.epoch = claimed.head, claimed.epoch
        return claimed

    async def append(self, lease: Lease, append: Append) -> Appended:
        step = _of(lease.key)
        try:
            appended = await self._store.append(lease, append)
        except LeaseLost:
            if step is not None:
                step.outcome = "lost"
            raise
        if step is not None:
            _note(step, append)
        return appended


def _of(key: str) -> Step | None:
    step = STEP.get()
    return step if step is not None and step.key == key else None


def _claimed(claimed: Lease | Busy | Later | None) -> str:
    if isinstance(claimed, Lease):
        return "looked"
    return "absent" if claimed is None else "busy" if isinstance(claimed, Busy) else "later"


def _note(step: Step, append: Append) -> None:
    before, step.outcome, step.head = step.head, "moved", append.head
    step.kinds += [record.kind for record in append.commit.records]
    step.tokens += max(0, append.head.spent.tokens - (before.spent.tokens if before else 0))
    if needs_attention(append.head) and not (before and needs_attention(before)):
        step.parked = append.head.error or _doubt(append.head)


def _doubt(head: Head) -> Failure:
    tools = [wait.tool or "a call" for wait in head.waits if wait.kind == "operator"]
    return Failure(code="in_doubt", message=f"nobody knows whether it happened: {', '.join(tools)}")


def watched(store: SessionStore) -> SessionStore:
    """The store, watched."""
    return cast(SessionStore, Watched(store))


# --- how long it takes -----------------------------------------------------------------------------------------


def time_parts(engine: Engine, clock: Clock) -> None:
    """From now on the engine's steps know how long their parts take. What the parts do among themselves is theirs."""
    engine.store = _timed(engine.store, clock, "claim", "claim")
    engine.loader = _timed(engine.loader, clock, "load", "fold", "decidable")
    engine.decider = _timed(engine.decider, clock, "decide", "decide")
    engine.performing = _timed(engine.performing, clock, "perform", "run")
    engine.appender = _timed(engine.appender, clock, "append", "append", "append_by_head")
    engine.outbox = _timed(engine.outbox, clock, "publish", "publish", "publish_rest", "pay", "pay_rest")
    engine.wakes = _timed(engine.wakes, clock, "publish", "publish")
    engine.timers = _timed(engine.timers, clock, "publish", "arm")


def _timed(part: T, clock: Clock, name: Part, *methods: str) -> T:
    """The same, but that the time in these methods counts as this part of a step."""
    return cast(T, _Timed(part, {method: _timing(getattr(part, method), clock, name) for method in methods}))


class _Timed:
    def __init__(self, part: Any, methods: dict[str, Any]) -> None:
        self._part = part
        self.__dict__ |= methods

    def __getattr__(self, name: str) -> Any:
        return getattr(self._part, name)


def _timing(method: Callable[..., Any], clock: Clock, name: Part) -> Callable[..., Any]:
    if inspect.isasyncgenfunction(method):
        return lambda *given: _batches(method(*given), clock, name)

    @wraps(method)
    async def awaited(*given: Any, **named: Any) -> Any:
        with _spending(clock, name):
            return await method(*given, **named)

    @wraps(method)
    def called(*given: Any, **named: Any) -> Any:
        with _spending(clock, name):
            return method(*given, **named)

    return awaited if inspect.iscoroutinefunction(method) else called


async def _batches(generator: AsyncGenerator[T, None], clock: Clock, name: Part) -> AsyncIterator[T]:
    """Only the time in the generator counts, and not that of who takes what it gives."""
    async with aclosing(generator):
        while True:
            try:
                with _spending(clock, name):
                    batch = await anext(generator)
            except StopAsyncIteration:
                return
            yield batch


@contextmanager
def _spending(clock: Clock, name: Part) -> Iterator[None]:
    step, began = STEP.get(), clock.monotonic()
    try:
        yield
    finally:
        if step is not None:
            step.spent[name] = step.spent.get(name, 0.0) + (clock.monotonic() - began) * 1000
