"""What a commit has for others: events for subscribers, duties to other sessions and to webhooks (R12, R13).

Both go out after the append, and again through whoever finds that they may not have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from onward.core.events import Event
from onward.engine.duties import Duties
from onward.engine.hold import Hold
from onward.engine.load import Loader
from onward.ports import Feed, SessionStore


class Outbox:
    """Publishes and pays for whoever holds a session."""

    def __init__(self, feed: Feed, store: SessionStore, loader: Loader, duties: Duties) -> None:
        self.feed = feed
        self._store = store
        self._loader = loader
        self._duties = duties

    async def publish(self, hold: Hold, events: Sequence[Event]) -> None:
        """They are out, and the next write that is made anyway says so."""
        await self.feed.publish(hold.lease.head, events)
        hold.published = hold.lease.head.seq

    async def publish_rest(self, hold: Hold) -> None:
        """A holder before this one may have died between append and publish."""
        if hold.published < hold.lease.head.seq:
            await self.publish(hold, await self._after(hold, hold.published))

    async def pay(self, hold: Hold, events: Sequence[Event]) -> None:
        """What these events owe is paid; the head says so when it is next written."""
        await self._duties.pay(hold.lease.head, events)
        hold.owed, hold.paid = 0, True
        hold.lease = replace(hold.lease, head=replace(hold.lease.head, owed=0))

    async def pay_rest(self, hold: Hold) -> None:
        """A holder before this one may have died between append and payment."""
        if hold.owed:
            events = await self._after(hold, hold.owed - 1)
            await self.pay(hold, [event for event in events if event.seq >= hold.owed])

    async def _after(self, hold: Hold, seq: int) -> list[Event]:
        commits = await self._store.commits(hold.key, after=seq)
        return [event for commit in commits for event in self._loader.events(commit)]
