"""Ctrl-C and SIGTERM: the first asks to stop, the second leaves at once."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from onward.surfaces.answers import INTERRUPTED, TERMINATED

_CODES = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED}


class Interrupts:
    """What has come so far. `code` is the exit code that goes with it."""

    def __init__(self) -> None:
        self.code = 0
        self._came = asyncio.Event()

    async def wait(self) -> None:
        await self._came.wait()

    def take(self, number: signal.Signals) -> None:
        if self._came.is_set():
            leave_at_once(_CODES[number])
        self.code = _CODES[number]
        self._came.set()


@contextmanager
def interrupts() -> Iterator[Interrupts]:
    """Catch both signals on the running loop."""
    loop, found = asyncio.get_running_loop(), Interrupts()
    for number in _CODES:
        loop.add_signal_handler(number, found.take, number)
    try:
        yield found
    finally:
        for number in _CODES:
            loop.remove_signal_handler(number)


def leave(code: int) -> None:
    """End the process. Tools that were given up, and still run in threads, don't keep it."""
    tools = [thread for thread in threading.enumerate() if thread.name.startswith("onward-tool")]
    for thread in tools:
        thread.join(0.2 / len(tools))
    if any(thread.is_alive() for thread in tools):
        leave_at_once(code)
    sys.exit(code)


def leave_at_once(code: int) -> None:
    """End the process as a crash would, but for what was written."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)
