"""Branches of sessions, from Python."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from onward.core.events import Actor, Effects
from onward.core.head import Head
from onward.engine.fork import Fork
from onward.engine.gateway import Exists
from onward.runtime.sessions import Sessions


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
        head, _ = await self.parts.forker.fork(made, Actor(kind="person", name=self.identity))
        return head
