"""The routes of sessions: starting, listing, showing."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Path, Query, Response
from pydantic import StringConstraints

from onward import ports
from onward.adapters.gcp.trace import well_formed
from onward.core.canonical import digest
from onward.core.events import Actor
from onward.core.head import Head, Status, WaitKind
from onward.core.ids import check_id
from onward.core.signals import StartBody, Time
from onward.surfaces.documents import plain, session_doc
from onward.surfaces.effects import entry_doc
from onward.surfaces.evidence import evidence
from onward.surfaces.http import forms, models
from onward.surfaces.http.door import BODY
from onward.surfaces.http.lists import LONGEST_PAGE, PAGE, newest, read_cursor
from onward.surfaces.http.service import Asked, Key, Known, Lists
from onward.surfaces.http.sizes import check_size
from onward.surfaces.starting import start_of

router = APIRouter(tags=["sessions"])

Id = Annotated[str, Path(description="The session's id.", pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$")]
Include = Literal["input", "output", "evidence"]
Limit = Annotated[int, Query(ge=1, le=LONGEST_PAGE, description="At most so many.")]
After = Annotated[
    str | None, Query(max_length=200, pattern="^[A-Za-z0-9_-]+$", description="The `next` of the page before.")
]
Many = Annotated[list[Status] | None, Query(description="Only these; deleted ones are listed only so.")]
Labels = Annotated[
    list[Annotated[str, StringConstraints(pattern="^[^=]+=", max_length=400)]] | None,
    Query(max_length=16, description="Only those with all these labels, each as NAME=VALUE."),
]
Name = Annotated[str | None, Query(max_length=256)]


def doc(head: Head) -> dict[str, Any]:
    """What is told of a session."""
    return session_doc(head) | {"tenant": head.tenant}


@router.post(
    "/sessions",
    status_code=201,
    response_model=models.StartedSession,
    response_model_exclude_unset=True,
    responses={200: {"model": models.StartedSession, "description": "It is there already."}},
)
async def start_session(
    said: forms.StartRequest,
    asked: Known,
    answer: Response,
    key: Key = None,
    traceparent: Annotated[str | None, Header(max_length=200, description="The trace that it belongs to.")] = None,
) -> Any:
    """Start a session.

    Takes an operator. 201 for one that is new, 200 for one that is there already with the same program and input. The
    same Idempotency-Key is the same session; an `id` is a key of its own, and goes before that.
    """
    tenant = asked.tenant("operator")
    body = StartBody.model_validate(said.model_dump(exclude={"id"}, exclude_unset=True))
    check_size(body.input, BODY)
    start = start_of(asked.service.app, tenant, said.id or made_id(asked.rights.name, key), body)
    person = Actor(kind="person", name=asked.rights.name)
    head, new = await asked.service.parts.gateway.start(replace(start, trace=well_formed(traceparent)), person)
    answer.status_code = 201 if new else 200
    return doc(head) | {"new": new}


def made_id(name: str, key: str | None) -> str:
    """The id of a session that was given none: the same for the same key of the same caller."""
    return secrets.token_hex(6) if key is None else digest(["start", name, key])[:24]


@router.get("/sessions", response_model=models.Sessions, response_model_exclude_unset=True)
async def list_sessions(  # noqa: PLR0913 - each is a filter
    asked: Lists,
    status: Many = None,
    program: Name = None,
    version: Name = None,
    wait: Annotated[WaitKind | None, Query(description="Only those that wait for this.")] = None,
    parent: Annotated[str | None, Query(max_length=128, description="Only those that this session started.")] = None,
    label: Labels = None,
    updated_since: Time | None = None,
    updated_before: Time | None = None,
    created_since: Time | None = None,
    created_before: Time | None = None,
    cursor: After = None,
    limit: Limit = PAGE,
) -> Any:
    """List sessions, those that moved last first.

    Takes a viewer. A session that moves goes to the front: who pages meets it at most once, and may miss it.
    """
    query = ports.Query(
        status=tuple(status or ()),
        program=program,
        version=version,
        wait=wait,
        parent=parent,
        labels=tuple((text.partition("=")[0], text.partition("=")[2]) for text in label or ()),
        updated_since=updated_since,
        updated_before=updated_before,
        created_since=created_since,
        created_before=created_before,
        after=read_cursor(cursor),
        limit=limit,
    )
    heads, following = await newest(asked.service.parts.backend.store, query, asked.tenants())
    return {"sessions": [doc(head) for head in heads], "next": following}


@router.get("/sessions/{id}", response_model=models.WholeSession, response_model_exclude_unset=True)
async def get_session(
    id: Id,
    asked: Known,
    include: Annotated[list[Include] | None, Query(description="What to tell besides; that takes the log.")] = None,
) -> Any:
    """Get one session: what it waits for, what it spent; of a deleted one its tombstone.

    Takes a viewer.
    """
    tenant = asked.tenant()
    head = await asked.caller.get(check_id(id), tenant)
    return doc(head) | await _more(asked, head, set(include or ()))


async def _more(asked: Asked, head: Head, wanted: set[Include]) -> dict[str, Any]:
    if not wanted or head.status == "deleted":
        return {}
    caller, more = asked.caller, dict[str, Any]()
    if wanted & {"input", "output"}:
        state = await caller.state(head.id, head.tenant)
        for name, value in (("input", state.input), ("output", state.output)):
            if name in wanted:
                more[name] = plain(await caller.value(head.id, value, head.tenant))
    if "evidence" in wanted:
        more["evidence"] = [entry_doc(entry) for entry in await evidence(caller, head)]
    return more
