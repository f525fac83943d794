"""Branches of sessions, from Python."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from onward.core.events import Actor, Effects
from onward.core.head import Head
from onward.core.ids import session_key
from onward.engine.fork import Fork
from onward.engine.gateway import Exists
from onward.ports import Query, every
from onward.runtime.sessions import Sessions

MOST = 1000
"""Branches that are read at once."""


class Branching(Sessions):
    """What a runtime can do with branches."""

    async def fork(  # noqa: PLR0913 - each is a choice of its own, and all have defaults
        self,
        id: str,
        *,
        at: int | None = None,
        branch: str | None = None,
        effects: Effects = "recorded",
        model: str | None = None,
        instructions: str | None = None,
        input: Any = None,
        edits: Mapping[int, Any] | None = None,
        tenant: str = "default",
        exists: Exists = "rejoin",
    ) -> Head:
        """Branch off a session after its event `at`, or where it stands, and answer the branch's head. `branch` is the
        new session's id, a random one by default; the same branch under the same id is the same session.

        The branch asks `model`, is told `instructions`, and goes on with `input`; `edits` are other values of events
        that the parent has, by seq. Nothing is written to the parent, and the branch needs it no more, but for its
        record. Raises NotFound, BadInput and Refused.
        """
        made = Fork(
            session=id,
            id=branch or secrets.token_hex(6),
            at=at,
            tenant=tenant,
            effects=effects,
            model=model,
            instructions=instructions,
            input=input,
            edits=edits or {},
            exists=exists,
        )
        head, _ = await self.branched(made)
        return head

    async def branched(self, fork: Fork) -> tuple[Head, bool]:
        """Make this branch, or find it made: its head, and whether it is new. Raises NotFound, BadInput, Refused."""
        return await self.parts.forker.fork(fork, Actor(kind="person", name=self.identity))

    async def family(self, id: str, tenant: str = "default") -> Sequence[Head]:
        """A session and all that it is a branch of, or that are branches of it, or of those: the one that all of them
        come from first, and then the oldest. Of a deleted one that others come from there is its tombstone. Raises
        NotFound."""
        head = await self.get(id, tenant)
        root = head.family or head.id
        store, query = self.parts.backend.store, Query(tenant=head.tenant, family=root)
        found = {each.id: each async for each in every(store, query, MOST)} | {head.id: head}
        wanted = {root, *(each.origin.session for each in found.values() if each.origin)} - found.keys()
        while wanted:
            gone = [await store.read(session_key(head.tenant, name)) for name in sorted(wanted)]
            there = [each for each in gone if each is not None]
            found |= {each.id: each for each in there}
            wanted = {each.origin.session for each in there if each.origin} - found.keys()
        return sorted(found.values(), key=lambda each: (each.id != root, each.created_at, each.id))
