"""Who comes to a session and can't have it: what is done so that somebody looks at it all the same (R4, R16)."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from datetime import timedelta

from onward.core.lease import MARGIN, Busy, Later
from onward.errors import Ambiguous
from onward.ports import Clock, SessionStore, Timers, Wake

UNKNOWN_SESSION = timedelta(minutes=10)
"""How long signals wait for a session that is not there (R16)."""


class Visitors:
    """Sees to the wakes that were turned away. `owners` gives names that no other process has."""

    def __init__(self, store: SessionStore, timers: Timers, clock: Clock, owners: Callable[[], str]) -> None:
        self._store, self._timers, self._clock, self._owners = store, timers, clock, owners

    async def turned_away(self, wake: Wake, why: Busy | Later | None, armed: bool) -> bool:
        """Not now. A holder who is alive will see the mark; if it is dead, the delayed wake comes (R4).

        False where the mark lost its race to a session that moved on: the visitor starts over from the claim. However
        often it does, it arms one timer: as many again at each attempt would be more than there were.
        """
        if why is None:
            await self._unknown(wake)
            return True
        if isinstance(why, Busy) and why.marked and not wake.delayed:
            return True
        if not armed:
            await self._arm_again(wake, why)
        return not isinstance(why, Busy) or why.marked or await self._mark(wake.key, why)

    async def _arm_again(self, wake: Wake, why: Busy | Later) -> None:
        """At a time of the store's, as this instance's clock may be wrong (R3); and those who were turned away together
        at times of their own, or they would meet again."""
        wait = why.wait + (MARGIN * self._chance() if isinstance(why, Busy) else 0.0)
        await self._timers.arm(wake.key, (why.now or self._clock.now()) + timedelta(seconds=wait))

    def _chance(self) -> float:
        """A number from 0 to 1, in tests always the same ones."""
        return zlib.crc32(self._owners().encode()) / 2**32

    async def _mark(self, key: str, busy: Busy) -> bool:
        try:
            return await self._store.mark(key, busy.epoch, busy.seq)
        except Ambiguous:
            return await self._store.mark(key, busy.epoch, busy.seq)

    async def _unknown(self, wake: Wake) -> None:
        """Signals may come before their session; for a while they wait (R16)."""
        inbox = await self._store.pending(wake.key)
        old = [s.id for s in inbox.signals if s.filed_at and inbox.now - s.filed_at >= UNKNOWN_SESSION]
        if old:
            await self._store.refuse(wake.key, old, "there is no such session")
        if len(old) < len(inbox.signals):
            await self._timers.arm(wake.key, inbox.now + UNKNOWN_SESSION / 4)
