"""What becomes of suspended coroutines that are dropped from memory: they are closed, and say nothing on their way.

Python throws GeneratorExit into each, which runs `finally` blocks and the ends of `with` blocks. What those await is
refused by the loop that is dropped.
"""

from __future__ import annotations

import gc
import inspect
from collections import deque
from collections.abc import AsyncGenerator, Coroutine, Iterator
from contextlib import suppress
from types import CellType, CoroutineType
from typing import Any

TRIES = 100
"""How often a coroutine is closed that awaits on its way out."""

MOST = 10_000
"""Values that are looked through for coroutines that were never begun."""

_HOLDERS = frozenset(
    {list, tuple, dict, set, frozenset, deque, CellType, CoroutineType, type(iter([])), type(iter(())), enumerate, zip}
)


def close(coroutine: Coroutine[Any, Any, Any]) -> bool:
    """Close a suspended coroutine, and what it has made and not begun: Python would warn of that. False where it does
    not let itself be closed."""
    for forgotten in list(_never_begun(coroutine)):
        forgotten.close()
    return all([_is_closed(each) for each in list(_awaited(coroutine))])


def _awaited(coroutine: Any) -> Iterator[Any]:
    """It, the one that it waits for, and so on: each may end without letting the next one end."""
    while isinstance(coroutine, CoroutineType):
        yield coroutine
        coroutine = coroutine.cr_await


def _is_closed(coroutine: CoroutineType[Any, Any, Any]) -> bool:
    """Close it. It may await on its way, and is closed again."""
    for _ in range(TRIES):
        with suppress(BaseException):
            coroutine.close()
        if coroutine.cr_frame is None:
            return True
    return False


def close_generator(generator: AsyncGenerator[Any, Any]) -> None:
    """Close an asynchronous generator that nobody goes on with."""
    closing = generator.aclose()
    with suppress(BaseException):
        for _ in range(TRIES):
            closing.send(None)


def _never_begun(suspended: Coroutine[Any, Any, Any]) -> Iterator[Coroutine[Any, Any, Any]]:
    """The coroutines that this one holds, and that nobody has awaited."""
    seen, waiting = {id(suspended)}, deque[Any]([suspended])
    while waiting and len(seen) < MOST:
        for held in gc.get_referents(waiting.popleft()):
            if id(held) in seen or type(held) not in _HOLDERS:
                continue
            seen.add(id(held))
            if isinstance(held, CoroutineType) and inspect.getcoroutinestate(held) == inspect.CORO_CREATED:
                yield held
            else:
                waiting.append(held)
