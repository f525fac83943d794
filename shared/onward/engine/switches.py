"""What operators have switched off, as one process sees it: a few seconds old at most."""

from __future__ import annotations

from collections.abc import Sequence

from onward.core.state import State
from onward.core.switches import Switch
from onward.engine.seen import REFRESH as REFRESH
from onward.engine.seen import Seen
from onward.ports import Clock, Switches


class Switchboard:
    """A view of the switches. Raises StoreUnavailable where they can't be read: then nothing may be started."""

    def __init__(self, switches: Switches, clock: Clock) -> None:
        self._seen: Seen[Sequence[Switch]] = Seen(switches.read, clock)

    async def off_for(self, state: State) -> Sequence[Switch]:
        """What is off, as far as this session needs to know. One that a switch has paused is looked at because that may
        be over: then the switches are read anew."""
        return () if state.ended else await self.off(fresh=state.switch is not None)

    async def off(self, *, fresh: bool = False) -> Sequence[Switch]:
        """Everything that is off."""
        return await self._seen.now(fresh=fresh)
