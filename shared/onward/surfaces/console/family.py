"""The page of a session's family: all that it is a branch of, and all branches of those."""

from __future__ import annotations

from starlette.responses import Response

from onward.core.head import Head
from onward.surfaces.console.page import Visit, address, part
from onward.surfaces.console.session import session_of
from onward.surfaces.families import family
from onward.surfaces.telling_branches import EFFECTS, left


async def show(visit: Visit) -> Response:
    """The family of a session, as a tree."""
    head = await session_of(visit)
    members = await family(visit.asked.caller, head.id, head.tenant)
    return visit.page("family.html", head=head, members=members, effects=EFFECTS, left=left, compared=compared)


def compared(head: Head) -> str:
    """The address of the page that compares a branch with its parent."""
    parent = head.origin.session if head.origin else head.id
    return address(f"/sessions/{part(parent)}/compare/{part(head.id)}", tenant=head.tenant)
