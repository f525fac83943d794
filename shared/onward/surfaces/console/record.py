"""The pages of one event, and of what a session's log amounted to after it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from onward.core.head import Head
from onward.core.state import State
from onward.errors import Gone
from onward.surfaces.console.page import Visit
from onward.surfaces.console.reading import one
from onward.surfaces.console.session import at, seq_of, session_of, told
from onward.surfaces.console.values import as_json, files_in
from onward.surfaces.documents import whole
from onward.surfaces.past import past_doc, status

ENTRIES = 100
"""Of a long transcript so many entries are shown: the newest."""

LONG = 500_000
"""Characters of a state beyond which it is one with a long transcript."""


async def event(visit: Visit) -> Response:
    """One event, whole, and the commit that it lies in."""
    head, seq = await logged(visit), seq_of(visit.request.path_params["seq"], "event")
    commit, window = await one(visit.service.parts, head, seq)
    note = window.telling().note(window.events[0])
    found = await whole(visit.asked.caller, head.id, window.events[0], head.tenant)
    values: dict[str, Any] = {"told": told(found, note), "files": files_in(found), "commit": commit}
    return visit.page("event.html", **values, **_around(head, seq))


async def state(visit: Visit) -> Response:
    """What the log amounted to after event `seq`, or amounts to now. For an earlier one all events up to it are
    read."""
    head = await logged(visit)
    seq = seq_of(visit.param("seq"), "seq") or head.seq
    then = await _state(visit, head, seq)
    _, window = await one(visit.service.parts, head, seq)
    text, left = _shown(await past_doc(visit.asked.caller, head, then, window.events[0]))
    return visit.page("state.html", text=text, left=left, then=then, did=status(then), **_around(head, seq))


async def _state(visit: Visit, head: Head, seq: int) -> State:
    if seq == head.seq and (now := await visit.service.parts.loader.fold(head)).seq == seq:
        return now
    return await visit.asked.caller.state(head.id, head.tenant, at=seq)


def _shown(doc: Mapping[str, Any]) -> tuple[str, int]:
    """A state as text, and how many entries of its transcript are left out."""
    text = as_json(doc)
    left = len(doc["transcript"]) - ENTRIES
    if len(text) <= LONG or left <= 0:
        return text, 0
    return as_json({**doc, "transcript": doc["transcript"][left:]}), left


async def logged(visit: Visit) -> Head:
    """The session that the address names, if it has a log. Raises UsageError."""
    head = await session_of(visit)
    if head.status == "deleted":
        raise Gone(f"session {head.id}", "deleted", "its log is gone")
    return head


def _around(head: Head, seq: int) -> dict[str, Any]:
    return {
        "head": head,
        "seq": seq,
        "link": lambda *more, **query: at(head, *map(str, more), **query),
    }
