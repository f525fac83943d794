"""Many at once: each item in a task of its own, whose names are counted for themselves."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from onward.core.bounds import whole
from onward.errors import BadInput
from onward.programs.loop import Scope, named_already
from onward.programs.replies import Settled

if TYPE_CHECKING:
    from onward.programs.running import Run

T = TypeVar("T")
R = TypeVar("R")
Each = Callable[[T], Awaitable[R]]


def in_order(items: Iterable[T]) -> list[T]:
    """The items, each of which is known by its place. Raises BadInput for a set: its order is another in each
    process."""
    if isinstance(items, set | frozenset):
        raise BadInput("items: a set has another order in each process; give sorted(...) or a list")
    return list(items)


class _Fan:
    """Items under way, so many at once, and what came of each in the order in which it came."""

    def __init__(self, run: Run, path: str, items: list[Any], each: Each[Any, Any], concurrency: int | None) -> None:
        self._run, self._path, self._items, self._each = run, path, items, each
        self._room = len(items) if concurrency is None else whole(concurrency, f"{path}: concurrency")
        self._waiting: Iterator[int] = iter(range(len(items)))
        self._under_way: dict[asyncio.Task[Any], int] = {}
        self._done: deque[tuple[int, asyncio.Task[Any]]] = deque()
        self._news: asyncio.Future[None] | None = None

    async def __aenter__(self) -> _Fan:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Let go of those under way; nothing is waited for where it is dropped from memory."""
        if self._under_way and not (kind and issubclass(kind, GeneratorExit)):
            await self._end()

    async def next(self) -> tuple[int, asyncio.Task[Any]] | None:
        """The next item that is done, or None when all are."""
        self._fill()
        if not self._done and not self._under_way:
            return None
        while not self._done:
            self._news = self._run.loop.create_future()
            await self._news
        return self._done.popleft()

    def _fill(self) -> None:
        while len(self._under_way) < self._room and (index := next(self._waiting, None)) is not None:
            coroutine = _one(self._each, self._items[index])
            task = self._run.loop.spawn(coroutine, Scope(f"{self._path}[{index}]"))
            self._under_way[task] = index
            task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._done.append((self._under_way.pop(task), task))
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    async def _end(self) -> None:
        left = list(self._under_way)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


async def _one(each: Each[Any, Any], item: Any) -> Any:
    return await each(item)


def mapped(
    run: Run, path: str, items: list[T], each: Each[T, R], concurrency: int | None
) -> Coroutine[Any, Any, list[R]]:
    return _collected(_Fan(run, path, items, each, concurrency), len(items), _values, 0)


def settled(
    run: Run, path: str, items: list[T], each: Each[T, R], concurrency: int | None, tolerate: int | None
) -> Coroutine[Any, Any, list[Settled[R]]]:
    tolerated = len(items) if tolerate is None else whole(tolerate, f"{path}: tolerate", least=0)
    return _collected(_Fan(run, path, items, each, concurrency), len(items), list, tolerated)


def first(run: Run, path: str, items: list[T], each: Each[T, R], concurrency: int | None) -> Coroutine[Any, Any, R]:
    if not items:
        raise BadInput(f"{path}: there are no items, so that none can be the first")
    return _first(_Fan(run, path, items, each, concurrency))


@named_already
async def _collected(fan: _Fan, count: int, form: Callable[[list[Any]], Any], tolerate: int) -> Any:
    """How all came out. More than so many failures end the others."""
    found: list[Settled[Any]] = [Settled()] * count
    failures = 0
    async with fan:
        while (done := await fan.next()) is not None:
            index, task = done
            found[index] = _settled(task)
            failures += found[index].error is not None
            if failures > tolerate:
                task.result()
    return form(found)


@named_already
async def _first(fan: _Fan) -> Any:
    """The first that did not fail."""
    async with fan:
        while (done := await fan.next()) is not None:
            last = done[1]
            if not last.cancelled() and last.exception() is None:
                break
    return last.result()


def _settled(task: asyncio.Task[Any]) -> Settled[Any]:
    error = task.exception()
    if error is not None and not isinstance(error, Exception):
        raise error
    return Settled(error=error) if error is not None else Settled(task.result())


def _values(found: list[Settled[Any]]) -> list[Any]:
    return [each.value for each in found]


@named_already
async def polled(
    ctx: Any,
    ask: Callable[[], Coroutine[Any, Any, Any]],
    until: Callable[[Any], Any],
    every: float,
    end: datetime | None,
) -> Any:
    """Ask until it will do."""
    while not until(found := await ask()):
        if end is not None and ctx.now() + timedelta(seconds=every) > end:
            raise TimeoutError("what was polled for was not so in time")
        await ctx.sleep(every)
    return found
