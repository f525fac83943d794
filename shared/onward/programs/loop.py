"""The event loop that a workflow's body runs on: it does nothing by itself, and its time is the log's.

Tasks, futures, gathers, groups and timeouts of asyncio work on it as they are. Whoever feeds it calls `pump`, and it
runs until every task waits for something from outside: then nothing of it is under way, and it can lie there for days.
"""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import logging
import sys
import weakref
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from types import FrameType
from typing import Any, NoReturn, TypeVar

from onward.errors import BadInput
from onward.programs.dropping import close, close_generator

MOST = 1_000_000
"""Callbacks after which a body that never waits is stopped."""

ENOUGH = 1000
"""Refusals after which a body that was dropped, and catches everything, is left waiting."""

log = logging.getLogger("onward.workflow")

F = TypeVar("F", bound=Callable[..., Any])


class Scope:
    """Where names are counted: each task of a workflow has its own, so that no task shifts the names of another."""

    __slots__ = ("_counts", "path")

    def __init__(self, path: str = "") -> None:
        self.path = path
        self._counts: dict[str, int] = {}

    def name(self, name: str) -> str:
        """The full name of the next thing that is called so here."""
        count = self._counts[name] = self._counts.get(name, 0) + 1
        own = name if count == 1 else f"{name}#{count}"
        return f"{self.path}/{own}" if self.path else own


SCOPE: contextvars.ContextVar[Scope] = contextvars.ContextVar("onward_workflow_scope")

_OURS = set[Any]()
"""Code of coroutines that have their names already when a task is made of them."""


def named_already(function: F) -> F:
    """Mark a coroutine function whose coroutines need no scope of their own."""
    _OURS.add(function.__code__)
    return function


class Dropped(GeneratorExit):
    """The workflow was dropped from memory: nothing that it still says is heard. To Python it is a coroutine's end,
    which it asked for."""


class _Task(asyncio.Task[Any]):
    """A task with a number: sets of tasks, as `asyncio.wait` gives them, have the same order at each run."""

    def __init__(self, coro: Coroutine[Any, Any, Any], number: int, **more: Any) -> None:
        self._number = number
        super().__init__(coro, **more)

    def __hash__(self) -> int:
        return self._number


class Loop(asyncio.AbstractEventLoop):
    """`time` says what time it is, and `arm` sees to it that `fire` is called with a handle once its time has come."""

    def __init__(self, time: Callable[[], float], arm: Callable[[asyncio.TimerHandle], None]) -> None:
        self.dropped = False
        self._time, self._arm = time, arm
        self._ready: deque[asyncio.Handle] = deque()
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self.disarm: Callable[[asyncio.TimerHandle], None] = lambda handle: None
        self._closings = Scope()
        self._refused = 0
        self.numbers = count()
        self.halted = False
        _LOOPS.add(self)

    # --- running -----------------------------------------------------------------------------------------------

    def pump(self) -> None:
        """Run until every task waits, or the loop is halted. Raises RuntimeError for a body that never waits."""
        with self._current():
            for _ in range(MOST):
                if not self._ready or self.halted:
                    return
                handle = self._ready.popleft()
                if not handle.cancelled():
                    with suppress(SystemExit):  # its task has it by now: a body ends its session, and not the process
                        handle._run()
        raise RuntimeError(f"the workflow went on {MOST:,} times without waiting for anything")

    @contextmanager
    def _current(self) -> Iterator[None]:
        """This loop in place of the one that the engine runs on, and none of its tasks the current one."""
        outer, hooks = asyncio._get_running_loop(), sys.get_asyncgen_hooks()
        swap = getattr(asyncio.tasks, "_swap_current_task", None)
        task = asyncio.current_task(outer) if swap and outer else None
        if swap and task:
            swap(outer, None)
        asyncio._set_running_loop(self)
        sys.set_asyncgen_hooks(None, self._close_generator)
        try:
            yield
        finally:
            sys.set_asyncgen_hooks(*hooks)
            asyncio._set_running_loop(outer)
            if swap and task:
                swap(outer, task)

    def fire(self, handle: asyncio.Handle) -> None:
        """The handle's time has come."""
        self._ready.append(handle)

    def drop(self) -> None:
        """Close what is suspended, the newest tasks first. Python runs their `finally` blocks; they reach nothing."""
        self.halted = self.dropped = True
        with self._current():
            for task in reversed(list(self._tasks)):
                coroutine: Any = task.get_coro()
                if not close(coroutine):
                    log.warning("a workflow does not let itself be closed", extra={"action": "not_closed"})
        self._tasks.clear()
        self._ready.clear()

    def __del__(self) -> None:
        """Nobody has it any more: before its coroutines are taken apart one by one, they are dropped together."""
        if not self.dropped:
            self.drop()

    def _close_generator(self, generator: AsyncGenerator[Any, Any]) -> None:
        """Nobody goes on with an asynchronous generator: it is closed as by any loop, or with the others."""
        if self.dropped or asyncio._get_running_loop() is not self:
            close_generator(generator)
        else:
            self.spawn(
                generator.aclose(), Scope(self._closings.name(f"close:{getattr(generator, '__name__', 'generator')}"))
            )

    # --- what asyncio asks for -----------------------------------------------------------------------------------

    def time(self) -> float:
        return self._time()

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def create_future(self) -> asyncio.Future[Any]:
        if self.dropped:
            self._refused += 1
            if self._refused < ENOUGH:
                raise Dropped
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: str | None = None, context: Any = None, **more: Any) -> asyncio.Task[Any]:
        """A task with a scope of its own, called as its coroutine is: what a task is called is not known in every
        release of Python when it is made."""
        if self.dropped:
            coro.close()
            raise Dropped
        _refuse_unordered(coro)
        scope = SCOPE.get()
        if getattr(coro, "cr_code", None) not in _OURS and not _is_awaited():
            scope = Scope(scope.name(str(getattr(coro, "__name__", "task"))))
        return self.spawn(coro, scope, name=name, context=context)

    def spawn(
        self, coro: Coroutine[Any, Any, Any], scope: Scope, *, name: str | None = None, context: Any = None
    ) -> asyncio.Task[Any]:
        """A task with this scope."""
        inner = contextvars.copy_context() if context is None else context.copy()
        inner.run(SCOPE.set, scope)
        task = _Task(coro, next(self.numbers), loop=self, name=name, context=inner)
        self._tasks[task] = None
        task.add_done_callback(lambda done: self._tasks.pop(done, None))
        return task

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:  # type: ignore[override]
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:  # type: ignore[override]
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:  # type: ignore[override]
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        if when <= self.time():
            self._ready.append(handle)
        elif not self.dropped:
            self._arm(handle)
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        self.disarm(handle)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Asyncio has something to say of a task that nobody waited for, or that was dropped."""
        if not self.dropped and context.get("exception") is not None:
            text = f"{context.get('message')}: {context['exception']!r}"
            log.warning("unheard exception", extra={"action": "unheard_exception", "error": text[:2000]})

    # --- what a workflow has no use for ----------------------------------------------------------------------------

    def run_in_executor(self, *args: Any) -> NoReturn:  # type: ignore[override]
        _refuse("threads")

    def call_soon_threadsafe(self, *args: Any, **more: Any) -> NoReturn:  # type: ignore[override]
        _refuse("threads")

    async def getaddrinfo(self, *args: Any, **more: Any) -> NoReturn:
        _refuse("connections")

    async def create_connection(self, *args: Any, **more: Any) -> NoReturn:
        _refuse("connections")

    async def create_server(self, *args: Any, **more: Any) -> NoReturn:
        _refuse("connections")

    async def subprocess_exec(self, *args: Any, **more: Any) -> NoReturn:
        _refuse("processes")

    async def subprocess_shell(self, *args: Any, **more: Any) -> NoReturn:
        _refuse("processes")


_LOOPS: weakref.WeakSet[Loop] = weakref.WeakSet()


@atexit.register
def _leave_suspended() -> None:
    """What is suspended when the process ends stays so: Python would close each coroutine, and run its `finally`
    blocks, as if the workflow had come to an end. It does so when nothing refers to one any more; this reference is
    never given back."""
    with suppress(Exception):  # where nothing is counted, nothing is closed
        from ctypes import py_object, pythonapi

        for loop in _LOOPS:
            for task in loop._tasks:
                pythonapi.Py_IncRef(py_object(task))


def _refuse(what: str) -> NoReturn:
    raise BadInput(f"a workflow's body has no {what}: it is run again from its log; do it in a step")


def _refuse_unordered(coro: Any) -> None:
    """Coroutines that asyncio has put into a set are begun in an order that is another one at each run. Raises
    BadInput."""
    frame: FrameType | None = sys._getframe(2)
    for _ in range(4):
        if frame is None or frame.f_globals.get("__name__") != "asyncio.tasks":
            return
        if frame.f_code.co_qualname.startswith(("as_completed", "_AsCompletedIterator")):
            coro.close()
            raise BadInput("as_completed: give it tasks, of asyncio.create_task: coroutines are begun in any order")
        frame = frame.f_back


def _is_awaited() -> bool:
    """Whether this task is one that Python 3.11 makes in `wait_for`, where later ones make none: a name must not depend
    on it."""
    if sys.version_info >= (3, 12):
        return False
    frame: FrameType | None = sys._getframe(2)
    for _ in range(4):
        if frame is None or frame.f_code is asyncio.wait_for.__code__:
            return frame is not None
        frame = frame.f_back
    return False
