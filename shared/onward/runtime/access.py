"""What can be done with sessions, wherever they are."""

from __future__ import annotations

import asyncio

from onward.runtime.branching import Branching
from onward.runtime.comparing import Comparing
from onward.runtime.operating import Operating
from onward.runtime.porting import Porting
from onward.runtime.replaying import Replaying
from onward.runtime.signals import Signals


class Access(Signals, Branching, Comparing, Porting, Replaying, Operating):
    """The way to sessions: `Runtime` to those of a file, `Deployed` to those of a deployment."""

    looked: asyncio.Event
    """Set once what a session says of itself is up to date."""

    async def decider(self) -> str:
        """Who decides here."""
        return self.identity

    async def stop(self) -> None:
        """Start nothing new."""
        raise NotImplementedError

    async def working(self) -> None:
        """Return when nothing is advanced here any more. Raises what stopped it, if nobody asked it to."""
        raise NotImplementedError


class Elsewhere(Access):
    """The way to sessions that others advance."""

    works = True

    def __init__(self) -> None:
        self.looked = asyncio.Event()
        self.looked.set()

    async def stop(self) -> None:
        """There is nothing to stop: what goes on, goes on elsewhere."""

    async def working(self) -> None:
        """Never return."""
        await asyncio.Event().wait()
