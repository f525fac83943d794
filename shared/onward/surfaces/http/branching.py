"""The routes of branches: making one, and the family of a session."""

from __future__ import annotations

import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Header, Response

from onward.adapters.gcp.trace import well_formed
from onward.core.canonical import digest
from onward.core.ids import check_id
from onward.engine.fork import Fork
from onward.errors import BadInput
from onward.surfaces.http import forms, models
from onward.surfaces.http.door import BODY
from onward.surfaces.http.service import Asked, Key, Known
from onward.surfaces.http.sessions import Id, doc
from onward.surfaces.http.sizes import check_size

router = APIRouter(tags=["branches"])


@router.post(
    "/sessions/{id}/fork",
    status_code=201,
    response_model=models.StartedSession,
    response_model_exclude_unset=True,
    responses={200: {"model": models.StartedSession, "description": "It is there already."}},
)
async def fork_session(
    id: Id,
    said: forms.ForkRequest,
    asked: Known,
    answer: Response,
    key: Key = None,
    traceparent: Annotated[str | None, Header(max_length=200, description="The trace that it belongs to.")] = None,
) -> Any:
    """Branch off a session, which is not touched.

    Takes an operator, as starting a session does. The branch has a log of its own and goes on from where the session
    was after event `at`; nothing that was open there goes with it. 201 for a new branch, 200 for one that is there
    already and the same. The same Idempotency-Key is the same branch; an `id` goes before that.
    """
    branch = said.id or made_id(asked.rights.name, key)
    head, new = await asked.caller.branched(fork_of(asked, id, branch, said, well_formed(traceparent)))
    answer.status_code = 201 if new else 200
    return doc(head) | {"new": new}


def fork_of(asked: Asked, id: str, branch: str, said: forms.ForkRequest, trace: str | None = None) -> Fork:
    """The branch that is asked for, if whoever asks may make it. Raises NotFound, NotAllowed, BadInput, TooLarge."""
    tenant = asked.tenant("operator")
    check_size([said.input, said.instructions, [edit.value for edit in said.edits]], BODY)
    same = said.model_dump(include={"at", "effects", "model", "instructions", "version", "exists"})
    return Fork(
        session=check_id(id),
        id=branch,
        tenant=tenant,
        input=said.input,
        edits=_edits(said),
        trace=trace,
        **same,
    )


def made_id(name: str, key: str | None) -> str:
    """The id of a branch that was given none: the same for the same key of the same caller."""
    return secrets.token_hex(6) if key is None else digest(["fork", name, key])[:24]


def _edits(said: forms.ForkRequest) -> dict[int, Any]:
    edits = {edit.seq: edit.value for edit in said.edits}
    if len(edits) < len(said.edits):
        raise BadInput("edits: an event is there twice")
    return edits


@router.get("/sessions/{id}/branches", response_model=models.Family, response_model_exclude_unset=True)
async def list_branches(id: Id, asked: Known) -> Any:
    """List the family of a session: all that it is a branch of, and all branches of those, the oldest first.

    Takes a viewer. Of a deleted session that others come from there is its tombstone.
    """
    heads = await asked.caller.family(check_id(id), asked.tenant())
    family = heads[0].family or heads[0].id
    return {"family": family, "sessions": [doc(head) for head in heads]}
