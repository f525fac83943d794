"""The bytes of a session's files. They were written by a model, a tool or anybody who sent something in: they are
handed over to be kept, and no browser shows or runs them here."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response

from onward.core.files import MARK, file_in, filled
from onward.errors import NotFound
from onward.surfaces.http.service import Known
from onward.surfaces.http.sessions import Id

MEDIA = "application/octet-stream"
HEADERS = {
    "Content-Disposition": "attachment",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-store",
}

router = APIRouter(tags=["sessions"])
Digest = Annotated[str, Path(description="As a reference to the file names it.", pattern="^[0-9a-f]{64}$")]


@router.get(
    "/sessions/{id}/files/{digest}",
    response_class=Response,
    responses={200: {"content": {MEDIA: {"schema": {"type": "string", "format": "binary"}}}}},
)
async def get_file(id: Id, digest: Digest, asked: Known) -> Response:
    """Get the bytes of a file that this session was given or has made.

    Takes a viewer. Whatever the file is said to be, it is sent as bytes to be saved; what is known of its type and name
    is in the reference.
    """
    head = await asked.caller.logged(id, asked.tenant())
    reference: Any = {MARK: {"media_type": MEDIA, "digest": digest}}
    blobs = asked.service.parts.backend.blobs
    file = file_in(await filled(reference, lambda name: blobs.get(head.key, f"files/{name}")))
    if file is None or file.data is None:
        raise NotFound(f"session {id} has no file {digest}")
    return Response(file.data, headers=HEADERS, media_type=MEDIA)
