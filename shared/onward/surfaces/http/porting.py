"""The routes of sessions as files."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from onward.core.portable import Leaving
from onward.errors import BadInput, CorruptLog, UnreadableLog
from onward.surfaces.http import forms, models
from onward.surfaces.http.files import HEADERS, MEDIA
from onward.surfaces.http.service import Known
from onward.surfaces.http.sessions import Id, doc
from onward.surfaces.porting import verified

router = APIRouter(tags=["files of sessions"])


@router.get(
    "/sessions/{id}/export",
    response_class=Response,
    responses={200: {"content": {MEDIA: {"schema": {"type": "string", "format": "binary"}}}}},
)
async def export_session(
    id: Id,
    asked: Known,
    private: Annotated[bool, Query(description="With what people and models said.")] = True,
    erase: Annotated[
        list[str] | None,
        Query(max_length=100, description="Without this private field of such events, as `call_completed.result`."),
    ] = None,
) -> Response:
    """Get a session as a file: its whole log so far, with large values and files, as lines of JSON that show any edit.

    Takes a viewer. What is left out is erased in it, and it verifies all the same. A file without its last line was cut
    off: ask again.
    """
    leaving = Leaving(private, tuple(erase or ()))
    head = await asked.caller.logged(id, asked.tenant())
    lines = asked.service.parts.exporter.lines(head, leaving)
    first = await anext(lines)
    name = {"Content-Disposition": f'attachment; filename="{head.id.replace(":", "_")}.jsonl"'}
    return StreamingResponse(_bytes(first, lines), headers=HEADERS | name, media_type=MEDIA)


async def _bytes(first: str, lines: AsyncIterator[str]) -> AsyncIterator[bytes]:
    yield first.encode()
    async for line in lines:
        yield line.encode()


@router.post(
    "/imports",
    status_code=201,
    response_model=models.StartedSession,
    response_model_exclude_unset=True,
    responses={200: {"model": models.StartedSession, "description": "It is there already."}},
)
async def import_session(said: forms.ImportRequest, asked: Known, answer: Response) -> Any:
    """Keep an exported session as a recording, which nothing moves.

    Takes an operator. It is verified as a whole before anything is written. 201 for one that is new, 200 for one that
    is there already; one of which a part is there is completed. Larger ones than a request takes go by the command
    line.
    """
    tenant = asked.tenant("operator")
    export = await asyncio.to_thread(verified, io.StringIO(said.file))
    try:
        head, new = await asked.service.parts.importer.put(export, tenant, said.id)
    except (CorruptLog, UnreadableLog) as exc:
        raise BadInput(f"file: {exc}") from exc
    answer.status_code = 201 if new else 200
    return doc(head) | {"new": new}
