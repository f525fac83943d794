"""Letting one step run alone in its process: one that may kill it takes nobody along (R11)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Floor:
    """Shared by ordinary steps, held alone by a suspicious one; who waits to be alone lets no new ones in."""

    def __init__(self) -> None:
        self._shared = 0
        self._alone = asyncio.Lock()
        self._empty = asyncio.Condition()

    @asynccontextmanager
    async def shared(self) -> AsyncIterator[None]:
        """For an ordinary step; entered before its session is claimed, so that it waits here with empty hands."""
        if self._alone.locked():
            async with self._alone:
                self._shared += 1
        else:
            self._shared += 1
        try:
            yield
        finally:
            self._shared -= 1
            await self._tell()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """For a suspicious step: everybody else has left."""
        async with self._alone:
            async with self._empty:
                await self._empty.wait_for(lambda: self._shared == 0)
            yield

    async def _tell(self) -> None:
        if self._shared == 0 and self._alone.locked():
            async with self._empty:
                self._empty.notify_all()
