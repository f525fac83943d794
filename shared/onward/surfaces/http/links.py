"""Approval links: making them, and what opens when somebody follows one.

A link is a name and no key: opening it takes a viewer of its tenant, deciding whatever a decision takes. Opening it
uses nothing up, as scanners of mail follow links too; the first decision on its call does, whoever takes it and
however.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from onward.core import events as ev
from onward.core.codec import stamp
from onward.core.events import Event
from onward.core.head import Head
from onward.core.links import Link, link_path, read
from onward.errors import Gone, NotFound, Refused
from onward.surfaces.http import forms, models
from onward.surfaces.http.caller import Caller
from onward.surfaces.http.looking import question_doc
from onward.surfaces.http.moving import ACCEPTED, decided
from onward.surfaces.http.roles import Rights
from onward.surfaces.http.service import Anywhere, Asked, Key, Known, Service
from onward.surfaces.http.sessions import Id
from onward.surfaces.questions import Question, questions

router = APIRouter(tags=["links"])

Token = Annotated[str, Path(description="The last part of a link's path.")]
_Decision = ev.ApprovalDecided | ev.ApprovalDelegated


@dataclass(frozen=True, slots=True)
class Opened:
    """What a link opens: the one approval, as it stands."""

    link: Link
    head: Head
    question: Question


async def opened(service: Service, rights: Rights, token: str) -> Opened:
    """The approval that a link is about, for one who may see it; this changes nothing.

    Raises NotFound (`link_forged`, or `not_found` where its tenant is not for this caller), NotAllowed, and Gone with
    what became of it: `link_expired`, `link_gone` (the session was deleted), `link_used` (who decided, and what),
    `link_closed` (nobody is asked any more) or `link_changed` (another call is asked about).
    """
    link = _link(service, rights, token)
    caller = Caller(service.parts, rights.name)
    head = await _session(caller, link)
    used = await _used(caller, head, link)
    if used is not None:
        raise Gone("link refused", "link_used", _words(used))
    return Opened(link, head, await _question(caller, head, link))


def _link(service: Service, rights: Rights, token: str) -> Link:
    link = read(service.parts.backend.secret, token)
    rights.check("viewer", rights.tenant(link.tenant))
    if service.parts.clock.now() >= link.expires:
        raise Gone("link refused", "link_expired", f"it was good until {stamp(link.expires)}")
    return link


async def _session(caller: Caller, link: Link) -> Head:
    try:
        return await caller.logged(link.session, link.tenant)
    except NotFound as exc:
        raise Gone("link refused", "link_gone", str(exc)) from None


async def _decisions(caller: Caller, head: Head, call: str) -> Sequence[Event]:
    """Every decision on a call, from the event on that proposed it."""
    proposed = call.partition(".")[0]
    after = int(proposed) if proposed.isdecimal() and len(proposed) < 12 else head.seq
    events = caller.events(head.id, after=after, tenant=head.tenant)
    return [event async for event in events if isinstance(event.body, _Decision) and event.body.call == call]


async def _used(caller: Caller, head: Head, link: Link) -> Event | None:
    """The decision that has used a link up: the first one since it was made."""
    decisions = await _decisions(caller, head, link.call)
    return decisions[link.decided] if len(decisions) > link.decided else None


def _words(decision: Event) -> str:
    verdict = getattr(decision.body, "verdict", "delegated")
    return f"{verdict} by {decision.actor.name} at {stamp(decision.at)}"


async def _question(caller: Caller, head: Head, link: Link) -> Question:
    question = await _open(caller, head, link.call)
    if question is None:
        raise Gone("link refused", "link_closed", await _stands(caller, head, link.call))
    if question.digest != link.digest:
        raise Gone("link refused", "link_changed", f"the open approval is for the call with digest {question.digest}")
    return question


async def _open(caller: Caller, head: Head, call: str) -> Question | None:
    return next((each for each in await questions(caller, head) if each.call == call), None)


async def _stands(caller: Caller, head: Head, call: str) -> str:
    state = await caller.state(head.id, head.tenant)
    return state.decisions.get(call) or f"session {head.id} is {head.status} and asks nothing of call {call}"


# --- the routes --------------------------------------------------------------------------------------------------


@router.post("/sessions/{id}/links", status_code=201, response_model=models.LinkMade)
async def make_link(id: Id, said: forms.LinkRequest, asked: Known, request: Request) -> Any:
    """Make a link to an open approval, to be sent to whoever is to decide it.

    Takes a viewer. The link grants nothing: it opens for whoever may see the approval, and who may not decide may not
    decide by it. It is used up by the next decision on the call. Nothing is recorded: the same again is another link.
    """
    head = await asked.caller.logged(id, asked.tenant())
    question = await _open(asked.caller, head, said.call)
    if question is None:
        raise Refused("link refused", "not_open", await _stands(asked.caller, head, said.call))
    decided = len(await _decisions(asked.caller, head, said.call))
    link = Link(head.tenant, head.id, said.call, question.digest, _until(asked, said, question), decided)
    path = link_path(asked.service.parts.backend.secret, link)
    return {"url": f"{_base(request)}{path}", "path": path, "expires_at": stamp(link.expires)}


def _until(asked: Asked, said: forms.LinkRequest, question: Question) -> datetime:
    wanted = asked.service.parts.clock.now().astimezone(UTC) + timedelta(seconds=said.ttl)
    return min(wanted, question.expires_at) if question.expires_at else wanted


def _base(request: Request) -> str:
    """Where this API was asked, as the caller sees it: in front of a function stands a proxy that ends TLS."""
    proto = request.headers.get("x-forwarded-proto", "").partition(",")[0].strip()
    scheme = proto if proto in ("http", "https") else request.url.scheme
    return f"{scheme}://{request.url.netloc}"


@router.get("/links/{token}", response_model=models.Approval)
async def open_link(token: Token, asked: Anywhere) -> Any:
    """Get the approval that a link is about.

    Takes a viewer of its tenant. 410 once it is over, with what became of it: `link_expired`, `link_used`,
    `link_closed`, `link_changed` or `link_gone`; 404 `link_forged` for what is no link.
    """
    found = await opened(asked.service, asked.rights, token)
    return question_doc(found.head, found.question)


@router.post(
    "/links/{token}/decisions", response_model=models.Told, response_model_exclude_unset=True, responses=ACCEPTED
)
async def decide_by_link(
    token: Token, said: forms.LinkDecisionRequest, asked: Anywhere, answer: Response, key: Key = None
) -> Any:
    """Decide the approval that a link is about, as it was when the link was made.

    Takes what a decision takes without one: an approver whom the rules of approvals let decide. The same again gets the
    same answer, though the link is used up.
    """
    link = _link(asked.service, asked.rights, token)
    body = said.model_dump(exclude_unset=True) | {"call": link.call, "digest": link.digest, "decided": link.decided}
    await check_unused(asked, token, body, key)
    return await decided(replace(asked, given=link.tenant), answer, link.session, body, key)


async def check_unused(asked: Asked, token: str, body: Mapping[str, Any], key: str | None) -> None:
    """Raises what `opened` raises, but for a link that this very decision has used up."""
    link = _link(asked.service, asked.rights, token)
    if not await _is_repeat(asked, link, body, key):
        await opened(asked.service, asked.rights, token)


async def _is_repeat(asked: Asked, link: Link, body: Mapping[str, Any], key: str | None) -> bool:
    """Whether it was this very request that has used a link up."""
    head = await _session(asked.caller, link)
    used = await _used(asked.caller, head, link)
    return used is not None and getattr(used.body, "signal", None) == asked.caller.filed(body, key)
