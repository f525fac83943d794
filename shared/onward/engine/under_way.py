"""Calls that are under way beside each other, and what comes of each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from onward.core.events import Actor, Body
from onward.core.program import AskModel, Effect, Recall
from onward.core.state import OpenCall, State

SOON = 0.2
"""Seconds that results which are ready wait for others, where a program goes on beside calls that are under way."""

Fact = tuple[Actor, Body]


class Stopping(Exception):
    """Effects that may be interrupted were: the lease is let go and a wake published."""


class UnderWay:
    """Calls that are under way together: others can be added, and those that are not wanted any more interrupted."""

    def __init__(self, start: Callable[[State, Effect], asyncio.Task[list[Fact]]]) -> None:
        self._start = start
        self._tasks: dict[asyncio.Task[list[Fact]], Effect] = {}

    def __bool__(self) -> bool:
        return bool(self._tasks)

    def add(self, state: State, effects: Sequence[Effect]) -> None:
        self._tasks |= {self._start(state, effect): effect for effect in effects}

    def new_in(self, effects: Sequence[Effect]) -> list[Effect]:
        """Those of which the call is not under way."""
        known = {_call(effect) for effect in self._tasks.values()}
        return [effect for effect in effects if _call(effect) not in known]

    async def next(self, patience: float | None) -> list[Fact]:
        """What came of those that are done next, in the order in which they were begun; nothing once so many seconds
        have passed. Raises Stopping, and what went wrong with one, where nothing came of others: its call is open
        still, and what is known of others is not lost for it."""
        tasks = list(self._tasks)
        done, left = await asyncio.wait(tasks, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        if done and left:
            done |= (await asyncio.wait(left, timeout=SOON))[0]
        for task in done:
            del self._tasks[task]
        facts, wrong = list[Fact](), None
        for task in filter(done.__contains__, tasks):
            try:
                facts += facts_of(task)
            except Exception as exc:
                wrong = exc
        if wrong is not None and not facts:
            raise wrong
        return facts

    def keep(self, open: Mapping[str, OpenCall]) -> None:
        """Interrupt those whose calls are not open any more."""
        for task, effect in list(self._tasks.items()):
            if _call(effect) not in open:
                del self._tasks[task]
                task.cancel()

    def close(self) -> None:
        """Interrupt whatever is left."""
        self.keep({})


def _call(effect: Effect) -> str:
    return "" if isinstance(effect, AskModel | Recall) else effect.call.id


def facts_of(task: asyncio.Task[list[Fact]]) -> list[Fact]:
    """What a task found out. Raises Stopping where it was interrupted."""
    if task.cancelled():
        raise Stopping
    return task.result()
