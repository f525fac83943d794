"""The effects ledger: what was done to the world, by whose leave, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType, SimpleNamespace

from starlette.responses import Response

from onward import ports
from onward.errors import BadInput
from onward.surfaces.console.page import Visit, address
from onward.surfaces.effects import by_text, name_text, outcome_text
from onward.surfaces.http.lists import read_cursor
from onward.surfaces.http.looking import FEW, done
from onward.surfaces.telling import why

FILTERS = ("program", "tool", "tenant", "since", "reads")
SINCE: Mapping[str, timedelta] = MappingProxyType(
    {"1h": timedelta(hours=1), "1d": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30)}
)
WORDS: Mapping[str, str] = MappingProxyType({"1h": "an hour", "1d": "a day", "7d": "7 days", "30d": "30 days"})


async def show(visit: Visit) -> Response:
    """A page of the ledger, as the address filters it."""
    chosen = {name: visit.param(name) for name in FILTERS}
    found, following = await done(visit.asked, _query(visit), chosen["tool"], bool(chosen["reads"]))
    return visit.page(
        "effects.html",
        found=found,
        next=following and address("/effects", **chosen | {"cursor": following}),
        chosen=SimpleNamespace(**{name: said or "" for name, said in chosen.items()}),
        filtered=any(chosen.values()),
        programs=visit.service.app.names,
        spans=WORDS,
        outcome=outcome_text,
        name=name_text,
        by=by_text,
        why=why,
    )


def _query(visit: Visit) -> ports.Query:
    """The sessions whose effects are asked for. Raises BadInput."""
    since = visit.param("since")
    if since is not None and since not in SINCE:
        raise BadInput(f"since: it is one of {', '.join(SINCE)}")
    return ports.Query(
        program=visit.param("program"),
        updated_since=None if since is None else visit.now - SINCE[since],
        after=read_cursor(visit.param("cursor")),
        limit=FEW,
    )
