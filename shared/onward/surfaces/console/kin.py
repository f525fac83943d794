"""What a session's page says of its branches, and of what it is a branch of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from onward.core.head import Head
from onward.surfaces.console.page import Visit
from onward.surfaces.families import NOTHING, Own, own
from onward.surfaces.telling_branches import left

FEW = 20
"""Branches that are named on a session's page: the newest."""


@dataclass(frozen=True, slots=True)
class Kin:
    """Its newest branches, how many more there are, and what it has of its own."""

    own: Own = NOTHING
    branches: Sequence[Head] = ()
    more: int = 0

    @property
    def left(self) -> list[str]:
        """What it has not inherited, in words."""
        return left(self.own.left)


async def kin(visit: Visit, head: Head) -> Kin:
    """The branches of this session, and what it has of its own."""
    found = sorted(await visit.asked.caller.branches(head.id, head.tenant), key=lambda each: each.created_at)
    mine = await own(visit.asked.caller, head) if head.origin else NOTHING
    return Kin(mine, found[-FEW:], max(0, len(found) - FEW))
