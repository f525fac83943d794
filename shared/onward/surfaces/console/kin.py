"""What a session's page says of its branches, and of what it is a branch of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from onward.core.head import Head
from onward.ports import Query
from onward.surfaces.console.page import Visit
from onward.surfaces.families import NOTHING, Own, own
from onward.surfaces.telling_branches import left

FEW = 20
"""Branches that are named on a session's page: those that moved last."""

LOOKED_AT = 100
"""Members of a family that are read for that, and no more: a page is asked for often, and a family may be large."""


@dataclass(frozen=True, slots=True)
class Kin:
    """Its newest branches, whether there may be more, and what it has of its own."""

    own: Own = NOTHING
    branches: Sequence[Head] = ()
    more: bool = False

    @property
    def left(self) -> list[str]:
        """What it has not inherited, in words."""
        return left(self.own.left)


async def kin(visit: Visit, head: Head) -> Kin:
    """The branches of this session, and what it has of its own."""
    query = Query(tenant=head.tenant, family=head.family or head.id, limit=LOOKED_AT)
    family = await visit.asked.caller.list(query)
    found = [each for each in family if each.origin and each.origin.session == head.id != each.id]
    mine = await own(visit.asked.caller, head) if head.origin else NOTHING
    return Kin(mine, found[:FEW], len(found) > FEW or len(family) == LOOKED_AT)
