"""Calling a tool's function: on the event loop, or in a bounded pool of threads if it blocks."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from onward.core.outcomes import Call
from onward.core.program import Performer
from onward.engine.admission import Admitted
from onward.engine.gates import Slot

T = TypeVar("T")


async def uninterrupted(asked: Awaitable[T]) -> T:
    """What it comes to. Raises RuntimeError where something that it waited for was cancelled: it would look as if the
    step were to stop, and be made again and again."""
    try:
        return await asked
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise RuntimeError("what it waited for was cancelled") from None


class Invoker:
    """Invokes tools. A call's slot is left once nothing of it runs any more, which for a thread may be long after its
    time is up."""

    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="onward-tool")

    def close(self) -> None:
        self._threads.shutdown(wait=False)

    async def invoke(self, tool: Performer, call: Call, admitted: Admitted) -> Any:
        """What the tool gives; what it raises is raised."""
        if tool.blocking:
            return await uninterrupted(self._threaded(tool, call, admitted))
        try:
            return await uninterrupted(tool.invoke(call, admitted.given))
        finally:
            admitted.slot.leave()

    async def _threaded(self, tool: Performer, call: Call, admitted: Admitted) -> Any:
        context, loop = contextvars.copy_context(), asyncio.get_running_loop()
        try:
            running = self._threads.submit(context.run, tool.invoke, call, admitted.given)
        except RuntimeError:
            admitted.slot.leave()
            raise
        if admitted.slot.counts:
            running.add_done_callback(lambda _: _left(loop, admitted.slot))
        return await asyncio.wrap_future(running)


def _left(loop: asyncio.AbstractEventLoop, slot: Slot) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody is left to take the slot
        loop.call_soon_threadsafe(slot.leave)
