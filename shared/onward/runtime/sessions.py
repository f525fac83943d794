"""Reading sessions: their heads, logs and states."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from onward.core.events import Event
from onward.core.head import Head, Wait, waits_of
from onward.core.ids import check_id, session_key
from onward.core.log import verify
from onward.core.recording import Recording
from onward.core.state import State
from onward.errors import BadInput, NotFound
from onward.ports import Query, Wake
from onward.wiring import Parts

PAGE = 200
PATIENCE = 60.0
"""Seconds after which one who waits looks for himself."""


class Sessions:
    """What a runtime can say of sessions without moving them."""

    parts: Parts
    identity: str
    """Who starts, decides and operates."""

    @property
    def works(self) -> bool:
        """Whether this runtime advances sessions."""
        raise NotImplementedError

    async def rejoin(self, id: str, tenant: str = "default") -> Head:
        """The head of a session, which is looked at again. Raises NotFound."""
        head = await self.get(id, tenant)
        await self.parts.backend.queue.publish(Wake(head.key, look=True))
        return head

    async def get(self, id: str, tenant: str = "default") -> Head:
        """What is known of a session without reading its log; of a deleted one, its tombstone. Raises NotFound."""
        head = await self.parts.backend.store.read(session_key(tenant, check_id(id)))
        if head is None:
            raise NotFound(f"there is no session {id}")
        return head

    async def _with_log(self, id: str, tenant: str) -> Head:
        head = await self.get(id, tenant)
        if head.status == "deleted":
            why = head.error.message if head.error else "deleted"
            raise NotFound(f"session {id} was {why}; its log is gone")
        return head

    async def unread(self, id: str, tenant: str = "default") -> int:
        """How many signals were filed for a session and not yet taken up."""
        return len((await self.parts.backend.store.pending(session_key(tenant, check_id(id)))).signals)

    async def state(self, id: str, tenant: str = "default", *, at: int | None = None) -> State:
        """What the session's log amounts to; with `at`, what it amounted to after that event. Raises NotFound, and
        BadInput for an event that is not there."""
        head = await self._with_log(id, tenant)
        if at is None:
            return await self.parts.loader.load(head)
        if not 1 <= at <= head.seq:
            raise BadInput(f"at: {at} is no event of session {id}, which has 1 to {head.seq}")
        return await self.parts.loader.at(head, at)

    async def recording(self, id: str, tenant: str = "default") -> Recording:
        """A session's whole log, checked, with every value in it. Raises NotFound and CorruptLog."""
        return await self.parts.loader.recording(await self._with_log(id, tenant))

    async def value(self, id: str, value: Any, tenant: str = "default") -> Any:
        """A private value of an event or a state, fetched where it is kept elsewhere."""
        return await self.parts.loader.resolve(session_key(tenant, id), value)

    async def list(self, query: Query | None = None) -> Sequence[Head]:
        """Sessions, newest first."""
        return await self.parts.backend.store.list(query or Query())

    async def events(
        self, id: str, after: int = 0, follow: bool = False, tenant: str = "default"
    ) -> AsyncIterator[Event]:
        """Every event after this seq, in order, once; with `follow`, those to come too, until the session has ended.

        Raises NotFound.
        """
        head = await self._with_log(id, tenant)
        while True:
            commits = await self.parts.backend.store.commits(head.key, after=after, limit=PAGE)
            for commit in commits:
                for event in self.parts.loader.events(commit):
                    if event.seq > after:
                        yield event
                        after = event.seq
            if not commits and (not follow or (head.ended and (head.seq <= after or head.status == "deleted"))):
                return
            if not commits:
                await self.news(head, after)
            head = await self.get(id, tenant)

    async def news(self, head: Head, after: int, timeout: float = 5.0) -> bool:
        """Wait until the session has gone on past this seq; False if it has not within `timeout` seconds."""
        return await self.parts.backend.wait_for_commit(head.key, after, timeout)

    async def wait(self, id: str, *, ended: bool = False, tenant: str = "default") -> Head:
        """Wait until the session rests, or with `ended` until it has ended. While a child of it is at work, it only
        seems to rest."""
        session, seen = await self.get(id, tenant), -1

        def there(head: Head) -> bool:
            moved = head.status in ("running", "scheduled") or head.seq <= seen or bool(head.owed)
            return head.ended or not (ended or moved)

        while True:
            head = await self.parts.backend.wait_for(session.key, there, PATIENCE)
            if head is not None and (head.ended or not await self._child_ended(head)):
                return head
            seen = head.seq if head else seen

    async def waits(self, head: Head) -> Sequence[Wait]:
        """Everything that a session waits for at this head, which itself has the first hundred or so open calls."""
        return waits_of(await self.parts.loader.fold(head)) if head.unlisted else head.waits

    async def _child_ended(self, head: Head) -> bool:
        """Whether a session that waits for nothing but children will hear of one that has ended. Waits until each of
        them rests."""
        if any(wait.kind != "child" for wait in head.waits):
            return False
        named = [wait.session for wait in await self.waits(head) if wait.session]
        children = [await self.wait(id, tenant=head.tenant) for id in named]
        return any(child.ended for child in children)

    async def verify(self, id: str, head: str | None = None, tenant: str = "default") -> tuple[int, str]:
        """Check a session's whole log; `head` is a hash kept elsewhere. Raises NotFound and CorruptLog."""
        known = await self._with_log(id, tenant)
        commits = await self.parts.backend.store.commits(known.key)
        seq, last = verify(commits, head)
        return verify(commits, known.hash) if seq >= known.seq else (seq, last)
