"""The routes of one session's events and effects: as pages, or live."""

from __future__ import annotations

from asyncio import timeout
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response, StreamingResponse
from starlette.types import Send

from onward.core.events import Event
from onward.core.head import Head
from onward.errors import BadInput
from onward.surfaces.documents import event_doc, line, whole
from onward.surfaces.effects import entry_doc
from onward.surfaces.http import models
from onward.surfaces.http.caller import Caller
from onward.surfaces.http.service import Asked, Known
from onward.surfaces.http.sessions import Id
from onward.surfaces.http.streaming import END, frames

PAGE = 200
HIGHEST = 10**9
"""No log has an event beyond it."""

FULL = 32 * 1024 * 1024
"""Bytes of events after which a page ends before its limit."""

LARGE = 64 * 1024
"""Bytes that an event is counted for of which nothing is kept apart: it hardly has more."""

LONGEST_WAIT = 30
"""Seconds that a request for a page may wait for its first event."""

STREAM = "text/event-stream"
STUCK = 60.0
"""Seconds after the end of its time that a stream may take to be sent."""

router = APIRouter(tags=["events"])


class Live(StreamingResponse):
    """A stream of server-sent events, closed with its reader, and with one that takes nothing for too long."""

    media_type = STREAM

    def __init__(self, frames: AsyncIterator[bytes], lasts: float) -> None:
        super().__init__(frames, headers={"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"})
        self._frames, self._lasts = frames, lasts

    async def stream_response(self, send: Send) -> None:
        async with aclosing(self._frames), timeout(self._lasts + STUCK):  # type: ignore[type-var]
            await super().stream_response(send)


@router.get(
    "/sessions/{id}/events",
    response_model=models.Events,
    response_model_exclude_unset=True,
    responses={
        200: {
            "description": "A page of events, or a stream of server-sent events where `Accept` asks for one: the id of "
            "each is its seq, and its data one Event; the last is `event: end`. It is closed after ten minutes; "
            "`Last-Event-ID` goes on where it was. Under `onward dev` an `event: provisional`, without an id, has what "
            "a model has said so far: the `seq` of its answer at the earliest, the `attempt`, and the `text`.",
            "content": {STREAM: {"schema": {"type": "string"}}},
        },
        204: {"description": "To a reader of a stream who has had the end: there is nothing to come again for."},
    },
)
async def list_events(
    id: Id,
    request: Request,
    asked: Known,
    after: Annotated[int, Query(ge=0, le=HIGHEST, description="Only events behind this one.")] = 0,
    limit: Annotated[int, Query(ge=1, le=PAGE, description="Of a page: at most so many.")] = PAGE,
    wait: Annotated[int, Query(ge=0, le=LONGEST_WAIT, description="Of a page: seconds to wait for its first.")] = 0,
    last_event_id: Annotated[
        str | None, Header(max_length=20, description="Of a stream: the last event that the reader has.")
    ] = None,
) -> Any:
    """Read a session's events from any seq on: a page of them, or all and then those to come.

    Takes a viewer.
    """
    tenant = asked.tenant()
    head = await asked.caller.logged(id, tenant)
    if STREAM in request.headers.get("accept", ""):
        return _live(asked, head, after, last_event_id)
    return await _page(asked, head, after, limit, float(wait))


def _live(asked: Asked, head: Head, after: int, last: str | None) -> Response:
    """A stream; what a browser says that it has goes before what its address says."""
    if last == END:
        return Response(status_code=204)
    if last:
        if not last.isdecimal() or int(last) > HIGHEST:
            raise BadInput(f"Last-Event-ID: {last!r} is no id of an event")
        after = int(last)
    hub = asked.service.hub
    return Live(frames(hub, head, after), hub.pace.lasts)


async def _page(asked: Asked, head: Head, after: int, limit: int, wait: float) -> dict[str, Any]:
    if wait and head.seq <= after and not head.ended:
        with asked.service.hub.watching(head) as watch:
            await watch.past(after, wait)
    caller, found = asked.caller, []
    async with aclosing(caller.events(head.id, after, tenant=head.tenant)) as events:  # type: ignore[type-var]
        async for event in events:
            found.append(event)
            if len(found) > limit:
                break
    page = await _docs(caller, head, found[:limit])
    return {"events": page, "after": page[-1]["seq"] if page else after, "more": len(found) > len(page)}


async def _docs(caller: Caller, head: Head, events: Sequence[Event]) -> list[dict[str, Any]]:
    """These events whole, as many as go well into one answer, and one at least."""
    page, size = list[dict[str, Any]](), 0
    for event in events:
        found = await whole(caller, head.id, event, head.tenant)
        page.append(event_doc(found))
        size += LARGE if found is event else len(line(page[-1]))
        if size >= FULL:
            break
    return page


@router.get("/sessions/{id}/effects", response_model=models.Effects)
async def list_effects_of_session(
    id: Id,
    asked: Known,
    reads: Annotated[bool, Query(description="Calls that only read, too.")] = False,
) -> Any:
    """Read what a session did to the world: each call with its key, who let it happen, and what came of it.

    Takes a viewer.
    """
    found = asked.caller.effects(id, reads=reads, tenant=asked.tenant())
    return {"effects": [entry_doc(entry) async for entry in found], "next": None}
