"""What operators have switched off, as one process sees it: a few seconds old at most."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

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
        self._reading = asyncio.Lock()

    async def off_for(self, program: str, tenant: str, *, fresh: bool = False) -> Switch | None:
        """The switch that holds back sessions of this program and tenant, or None.

        With `fresh` it is read now: for a session that was held back, and is looked at because that may be over.
        """
        off = await self.off(fresh=fresh)
        return next((switch for switch in off if switch.covers(program, tenant)), None)

    async def off(self, *, fresh: bool = False) -> Sequence[Switch]:
        """Everything that is off."""
        asked = self._clock.monotonic()
        if fresh or not self._is_fresh(asked):
            async with self._reading:
                if not self._is_fresh(asked) or (fresh and self._read_at is not None and self._read_at < asked):
                    await self._read()
        return self._off

    def _is_fresh(self, now: float) -> bool:
        return self._read_at is not None and now - self._read_at < REFRESH

    async def _read(self) -> None:
        sent = self._clock.monotonic()
        self._off = await self._switches.read()
        self._read_at = sent
