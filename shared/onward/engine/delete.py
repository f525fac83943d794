"""Deleting a session for good: a tombstone is left, so that its id never starts again (R22)."""

from __future__ import annotations

from collections.abc import Callable

from onward.core.head import Head, tombstone
from onward.engine.load import Cache
from onward.errors import Ambiguous, LeaseLost, NotFound, Refused
from onward.ports import Blobs, Lease, SessionStore


class Deleter:
    """First the tombstone, with the end of log and inbox; then the values that lay beside them.

    Dying in between leaves some of it, and nothing that shows it; deleting again completes it.
    """

    def __init__(self, store: SessionStore, blobs: Blobs, cache: Cache, owners: Callable[[], str]) -> None:
        self._store = store
        self._blobs = blobs
        self._cache = cache
        self._owners = owners

    async def delete(self, key: str, by: str, reason: str) -> Head:
        """Delete a session that has ended, and answer its tombstone. Raises NotFound, and Refused for one that has not
        ended, or that somebody holds."""
        head = await self._store.read(key)
        if head is None:
            raise NotFound("there is no such session to delete")
        if head.status != "deleted":
            head = await self._bury(_ended(head), by, reason)
        self._cache.drop(key)
        await self._store.clear(key)
        await self._blobs.forget(key, "")
        return head

    async def _bury(self, head: Head, by: str, reason: str) -> Head:
        lease = await self._lease(head)
        stone = tombstone(lease.head, lease.now, by, reason)
        try:
            await self._store.delete(lease, stone)
        except (Ambiguous, LeaseLost) as exc:
            there = await self._store.read(head.key)
            if there is None or there.status != "deleted":
                raise exc if isinstance(exc, Ambiguous) else _busy(head) from exc
            return there
        return stone

    async def _lease(self, head: Head) -> Lease:
        """The right to delete: of an import nobody has one, and nobody else can have it (S16)."""
        if head.status == "imported":
            now = (await self._store.pending(head.key, limit=1)).now
            return Lease(head.key, 0, "", head, now, 0.0)
        lease = await self._store.claim(head.key, self._owners())
        if not isinstance(lease, Lease):
            raise _busy(head)
        await self._check(lease)
        return lease

    async def _check(self, lease: Lease) -> None:
        """What was claimed may stand elsewhere than what was read; then it is let go."""
        try:
            _ended(lease.head)
        except Refused:
            await self._store.release(lease)
            raise


def _ended(head: Head) -> Head:
    if not head.ended:
        raise Refused(f"session {head.id} not deleted", "not_ended", f"it is {head.status}; cancel it first")
    if head.owed:
        raise Refused(f"session {head.id} not deleted", "owes", "somebody is still to be told of it; try again")
    return head


def _busy(head: Head) -> Refused:
    return Refused(f"session {head.id} not deleted", "busy", "somebody holds it just now; try again")
