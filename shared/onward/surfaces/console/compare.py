"""The page that shows two sessions side by side: where they part first, and all that differs."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from onward.core.turns import Turn
from onward.surfaces.comparing import Row, place, rows, standing, unit, used
from onward.surfaces.console.page import Visit, address, part
from onward.surfaces.console.session import session_of
from onward.surfaces.text import safe

MOST = 400
"""Turns and differences that a page has room for: `onward compare` has all."""


async def show(visit: Visit) -> Response:
    """What another session did otherwise than this one."""
    a = await session_of(visit)
    b = await visit.asked.caller.get(visit.request.path_params["other"], a.tenant)
    found = await visit.asked.caller.compare(a.id, b.id, tenant=a.tenant)
    every = visit.param("all") is not None
    turns = rows(found, every)
    values: dict[str, Any] = {
        "found": found,
        "verdict": safe(found.verdict),
        "rows": turns[:MOST],
        "more": len(turns) > MOST,
        "every": every,
        "left": any(isinstance(row, int) for row in turns),
        "ends": list(dict.fromkeys(safe(each.text) for each in found.end)),
        "used": used(found),
    }
    helpers: dict[str, Any] = {
        "standing": standing,
        "place": place,
        "seq": _seq,
        "texts": _texts,
        "is_count": _is_count,
        "unit": unit(found),
    }
    return visit.page("compare.html", a=a, b=b, link=_links(a.tenant), **values, **helpers)


def _links(tenant: str) -> Any:
    return lambda a, b, **query: address(f"/sessions/{part(a)}/compare/{part(b)}", tenant=tenant, **query)


def _seq(turn: Turn | None) -> int | None:
    """The first event of a turn that is in the session's own log; None for what it has inherited."""
    return next((seq for seq in turn.seqs if seq > 0), None) if turn else None


def _texts(row: Row) -> list[str]:
    return list(dict.fromkeys(safe(each.text) for each in row.pair.differences))


def _is_count(row: Row | int) -> bool:
    return isinstance(row, int)
