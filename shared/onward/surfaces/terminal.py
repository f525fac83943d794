"""Reading a person's answers from a terminal, while sessions go on."""

from __future__ import annotations

import asyncio
import os
import termios
from contextlib import suppress


class Keyboard:
    """Lines typed on a terminal. It reads only while somebody waits for a line."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def forget(self) -> None:
        """Drop what was typed so far: what was typed before a question is no answer to it."""
        with suppress(termios.error):
            termios.tcflush(self._fd, termios.TCIFLUSH)

    async def line(self) -> str | None:
        """The next line, or None at the end of input (Ctrl-D)."""
        typed = b""
        while not typed.endswith(b"\n"):
            await self._readable()
            part = self._read()
            if not part:
                return None
            typed += part
        return typed.decode(errors="replace").strip()

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_reader(self._fd, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self._fd)

    def _read(self) -> bytes:
        try:
            return os.read(self._fd, 4096)
        except OSError:
            return b""  # the terminal is gone
