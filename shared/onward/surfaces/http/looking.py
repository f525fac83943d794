"""The routes that look at many sessions at once: what waits for people, what was done, what was used up."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, get_args

from fastapi import APIRouter, Query

from onward import ports
from onward.core.codec import stamp
from onward.core.head import Head, Status
from onward.core.ledger import LedgerEntry
from onward.core.notices import operation_details
from onward.core.signals import Time
from onward.core.usage import UsageBy, UsageRow, usage
from onward.errors import Permanent
from onward.surfaces.effects import entry_doc
from onward.surfaces.http import models
from onward.surfaces.http.lists import OldestPage, all_of, newest, oldest, read_cursor
from onward.surfaces.http.service import Asked, Lists
from onward.surfaces.http.sessions import After, Limit, Name, doc
from onward.surfaces.questions import Question, questions
from onward.surfaces.verbs import needs_attention

FEW = 20
"""Sessions in a page of what takes reading their logs."""

router = APIRouter(tags=["looking"])


@router.get("/me", response_model=models.Me)
async def get_me(asked: Lists) -> Any:
    """Who asks, and what they may do."""
    return {"name": asked.rights.name, "roles": {name: sorted(roles) for name, roles in asked.rights.held.items()}}


# --- what waits for people -------------------------------------------------------------------------------------


@router.get("/approvals", response_model=models.Approvals)
async def list_approvals(asked: Lists, cursor: After = None, limit: Limit = FEW) -> Any:
    """List what waits for a decision, the oldest session first, `limit` sessions at a time.

    Takes a viewer. A session that moves goes to the end: who pages misses none, and may meet it again. A decision names
    `call` and `digest` as they are shown here.
    """
    page = OldestPage(lambda head: not head.ended, read_cursor(cursor), limit)
    store, query = asked.service.parts.backend.store, ports.Query(wait="approval")
    heads, following = await oldest(store, [query], asked.tenants(), page)
    return {"approvals": [each for head in heads for each in await _asked(asked, head)], "next": following}


async def _asked(asked: Asked, head: Head) -> list[dict[str, Any]]:
    """What one session asks; where its log can't be read, that needs attention, and hides nothing of the others."""
    try:
        return [question_doc(head, question) for question in await questions(asked.caller, head)]
    except Permanent:
        return []


def question_doc(head: Head, question: Question) -> dict[str, Any]:
    """An open approval, as it is shown."""
    fields = {name: getattr(question, name) for name in models.Approval.model_fields if hasattr(question, name)}
    expires = {"expires_at": question.expires_at and stamp(question.expires_at)}
    origin = {"origin": head.origin.model_dump()} if head.origin else {}
    return (
        {"tenant": head.tenant, "program": head.program}
        | fields
        | expires
        | origin
        | operation_details(question.operation)
    )


@router.get("/attention", response_model=models.Sessions, response_model_exclude_unset=True)
async def list_attention(asked: Lists, cursor: After = None, limit: Limit = FEW) -> Any:
    """List sessions that nobody moves but somebody who looks into what went wrong, the oldest first.

    Takes a viewer. A call in doubt is resolved; a session that was parked is retried, finished or cancelled. A page may
    have fewer than `limit`, or none, and be followed by another.
    """
    queries = [ports.Query(status=("needs_attention",)), ports.Query(wait="operator")]
    page = OldestPage(needs_attention, read_cursor(cursor), limit)
    heads, following = await oldest(asked.service.parts.backend.store, queries, asked.tenants(), page)
    return {"sessions": [doc(head) for head in heads], "next": following}


# --- what was done and used up ---------------------------------------------------------------------------------


@router.get("/effects", response_model=models.Effects)
async def list_effects(
    asked: Lists,
    program: Name = None,
    tool: Name = None,
    since: Annotated[Time | None, Query(description="Only what moved since.")] = None,
    reads: Annotated[bool, Query(description="Calls that only read, too.")] = False,
    cursor: After = None,
    limit: Limit = FEW,
) -> Any:
    """List what was done to the world, `limit` sessions at a time, those that moved last first.

    Takes a viewer.
    """
    query = ports.Query(program=program, updated_since=since, after=read_cursor(cursor), limit=limit)
    found, following = await done(asked, query, tool, reads)
    return {"effects": [entry_doc(entry) | {"tenant": head.tenant} for head, entry in found], "next": following}


async def done(
    asked: Asked, query: ports.Query, tool: str | None, reads: bool
) -> tuple[list[tuple[Head, LedgerEntry]], str | None]:
    """The calls of a page of sessions that have moved since the query's time, and the cursor of the next page."""
    heads, following = await newest(asked.service.parts.backend.store, query, asked.tenants())
    found, since = [], query.updated_since
    for head in heads:
        entries = await asked.caller.done_by(head)
        wanted = [entry for entry in entries if entry.counts(tool, reads)]
        found += [(head, entry) for entry in wanted if since is None or entry.moved_at >= since]
    return found, following


@router.get("/usage", response_model=models.UsageTable)
async def get_usage(
    asked: Lists,
    by: UsageBy = "program",
    since: Annotated[Time | None, Query(description="Only sessions that moved since.")] = None,
) -> Any:
    """Add up what sessions have used, deleted ones too.

    Takes a viewer. By program and tenant each token is counted once.
    """
    return {"by": by, "rows": [asdict(row) for row in await used_up(asked, by, since)]}


async def used_up(asked: Asked, by: UsageBy, since: datetime | None) -> list[UsageRow]:
    """The same, for whoever asks: it reads the head of every session that moved since."""
    query = ports.Query(status=get_args(Status), updated_since=since)
    return usage([head async for head in all_of(asked.service.parts.backend.store, query, asked.tenants())], by)
