"""Branches of sessions, from Python."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from onward.core.events import Actor, Effects, InputReceived, SessionForked
from onward.core.head import Head
from onward.core.ids import session_key
from onward.engine.fork import Fork
from onward.engine.gateway import Exists
from onward.ports import Query, every
from onward.runtime.sessions import Sessions

MOST = 1000
"""Branches that are read at once."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a branch began with; `told` says that it was given an input of its own."""

    forked: SessionForked
    told: bool


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
        version: str | None = None,
        input: Any = None,
        edits: Mapping[int, Any] | None = None,
        tenant: str = "default",
        exists: Exists = "rejoin",
    ) -> Head:
        """Branch off a session after its event `at`, or else after the last one that is edited, or where it stands, and
        answer the branch's head. `branch` is the new session's id, a random one by default; the same branch under the
        same id is the same session.

        The branch asks `model`, is told `instructions`, begins on `version` of its program, and goes on with `input`;
        `edits` are other values of events that the parent has, by seq. Nothing is written to the parent, and the branch
        needs it no more, but for its record. Raises NotFound, BadInput and Refused.
        """
        made = Fork(
            session=id,
            id=branch or secrets.token_hex(6),
            at=at,
            tenant=tenant,
            effects=effects,
            model=model,
            instructions=instructions,
            version=version,
            input=input,
            edits=edits or {},
            exists=exists,
        )
        head, _ = await self.branched(made)
        return head

    async def branched(self, fork: Fork) -> tuple[Head, bool]:
        """Make this branch, or find it made: its head, and whether it is new. Raises NotFound, BadInput, Refused."""
        return await self.parts.forker.fork(fork, Actor(kind="person", name=self.identity))

    async def beginning(self, id: str, tenant: str = "default") -> Beginning | None:
        """What a branch has that its parent had not; None for a session that is no branch, or whose log is gone. Raises
        NotFound."""
        head = await self.get(id, tenant)
        commits = [] if head.origin is None else await self.parts.backend.store.commits(head.key, limit=1)
        events = [event for commit in commits for event in self.parts.loader.events(commit)]
        found = [event.body for event in events if isinstance(event.body, SessionForked)]
        told = any(isinstance(event.body, InputReceived) and event.actor.kind != "engine" for event in events)
        return Beginning(found[0], told) if found else None

    async def parent_of(self, head: Head) -> Head | None:
        """The session that a branch left, if it is there: another one of its id is not it."""
        if head.origin is None:
            return None
        store, key = self.parts.backend.store, session_key(head.tenant, head.origin.session)
        commits = await store.commits(key, after=head.origin.seq - 1, limit=1)
        there = bool(commits) and commits[0].hash == head.origin.hash
        return await store.read(key) if there else None

    async def family(self, id: str, tenant: str = "default") -> Sequence[Head]:
        """A session and all that it is a branch of, or that are branches of it, or of those: the one that all of them
        come from first, and then the oldest. Of a deleted one that others come from there is its tombstone. Raises
        NotFound."""
        head = await self.get(id, tenant)
        root, store = head.family or head.id, self.parts.backend.store
        found = {each.id: each for each in await self._relatives(head)} | {head.id: head}
        wanted = {root, *(each.origin.session for each in found.values() if each.origin)} - found.keys()
        while wanted:
            gone = [await store.read(session_key(head.tenant, name)) for name in sorted(wanted)]
            there = [each for each in gone if each is not None]
            found |= {each.id: each for each in there}
            wanted = {each.origin.session for each in there if each.origin} - found.keys()
        return sorted(found.values(), key=lambda each: (each.id != root, each.created_at, each.id))

    async def branches(self, id: str, tenant: str = "default") -> Sequence[Head]:
        """The branches that left this session. Raises NotFound."""
        found = await self._relatives(await self.get(id, tenant))
        return [head for head in found if head.origin and head.origin.session == id != head.id]

    async def _relatives(self, head: Head) -> list[Head]:
        """Every branch in this session's family."""
        query = Query(tenant=head.tenant, family=head.family or head.id)
        return [each async for each in every(self.parts.backend.store, query, MOST)]
