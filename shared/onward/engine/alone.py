"""Letting one step run alone in its process: one that may kill it takes nobody along (R11)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

TURN = timedelta(seconds=1)
"""When to look again whether another suspicious step is done."""


class Floor:
    """Shared by ordinary steps, held alone by a suspicious one; who waits to be alone lets no new ones in.

    It is entered before a session is claimed, and there is never more than one who waits to be alone: whoever waited
    with a claim in hand would be taken along, and counted as one who ended the process.
    """

    def __init__(self) -> None:
        self.taken = False
        """Whether somebody is alone, or waits to be."""
        self._shared = 0
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def shared(self) -> AsyncIterator[None]:
        """Come in, once nobody is alone there."""
        if self.taken:
            async with self._changed:
                await self._changed.wait_for(lambda: not self.taken)
        self._shared += 1
        try:
            yield
        finally:
            self._shared -= 1
            if self.taken:
                await self._tell()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """From within `shared`, unless it is taken: stay until everybody else has left, and keep them out."""
        self.taken = True
        self._shared -= 1
        try:
            async with self._changed:
                await self._changed.wait_for(lambda: self._shared == 0)
            yield
        finally:
            self._shared += 1
            self.taken = False
            await self._tell()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()
