"""What operators have switched off, as one process sees it: a few seconds old at most."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from onward.core.state import State
from onward.core.switches import Switch
from onward.ports import Clock, Switches

REFRESH = 5.0
"""Seconds for which what was read is taken for what is."""


class Switchboard:
    """A view of the switches that is read again when it is older than REFRESH, by one asker for all.

    Raises StoreUnavailable where it can't be read: then nobody knows, and nothing may be started.
    """

    def __init__(self, switches: Switches, clock: Clock) -> None:
        self._switches = switches
        self._clock = clock
        self._off: Sequence[Switch] = ()
        self._read_at: float | None = None
        self._reads = 0
        self._reading = asyncio.Lock()

    async def off_for(self, state: State) -> Sequence[Switch]:
        """What is off, as far as this session needs to know. One that a switch has paused is looked at because that may
        be over: then the switches are read anew."""
        return () if state.ended else await self.off(fresh=state.switch is not None)

    async def off(self, *, fresh: bool = False) -> Sequence[Switch]:
        """Everything that is off."""
        reads = self._reads
        if fresh or self._is_old():
            async with self._reading:
                if self._reads == reads if fresh else self._is_old():  # else somebody has read it meanwhile
                    await self._read()
        return self._off

    def _is_old(self) -> bool:
        return self._read_at is None or self._clock.monotonic() - self._read_at >= REFRESH

    async def _read(self) -> None:
        self._reads += 1
        sent = self._clock.monotonic()
        self._off = await self._switches.read()
        self._read_at = sent
