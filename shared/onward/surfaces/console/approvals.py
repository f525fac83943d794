"""The inbox of approvals: what waits for a decision, the oldest first, and deciding several at once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl

from starlette.responses import Response

from onward import ports
from onward.core.canonical import digest
from onward.core.head import Head, Wait
from onward.core.ids import is_among
from onward.errors import BadInput, OnwardError, Permanent, Refused, Retryable
from onward.surfaces.console.asking import Card, Told, approval_address, one_card, open_cards
from onward.surfaces.console.deciding import TOLD, key_of
from onward.surfaces.console.page import Form, Visit, address, redirect, wanted
from onward.surfaces.http.lists import OldestPage, oldest, read_cursor
from onward.surfaces.http.looking import FEW
from onward.surfaces.http.moving import decision
from onward.surfaces.http.problems import noted
from onward.surfaces.http.service import Asked
from onward.surfaces.questions import stakes_text

FILTERS = ("program", "tool", "tenant", "for")
AT_ONCE = 8
"""Decisions that are under way together."""

BATCH = {"approved": "approved", "rejected": "rejected"}
PICK = "pick."


@dataclass(frozen=True, slots=True)
class Picked:
    """One of several that are decided together, and what became of it: `unknown`, where nobody answered."""

    tenant: str
    session: str
    call: str
    digest: str
    refused: str = ""
    status: int = 200
    unknown: bool = False
    stands: Told | None = None

    @property
    def href(self) -> str:
        return approval_address(self.tenant, self.session, self.call)


async def show(visit: Visit) -> Response:
    """A page of what waits for a decision, as the address filters it."""
    return await _page(visit)


async def decide_many(visit: Visit, form: Form) -> Response:
    """Decide what was picked, each on its own. What was refused is said, each with the reason."""
    verdict = BATCH.get(wanted(form, "verdict"))
    if verdict is None:
        raise BadInput(f"verdict: it is one of {', '.join(BATCH)}")
    picked = [_picked(value) for name, value in form.items() if name.startswith(PICK)]
    if not picked:
        return await _page(visit, 400, "Nothing is picked: tick what is to be decided.", said=form)
    turns = asyncio.Semaphore(AT_ONCE)
    found = await asyncio.gather(*(_decided(visit, form, each, verdict, turns) for each in picked))
    if any(each.refused for each in found):
        return await _page(visit, max(each.status for each in found), outcomes=found, said=form)
    return redirect(list_address(form, told=f"all_{verdict}", n=len(found)))


async def _decided(visit: Visit, form: Form, picked: Picked, verdict: str, turns: asyncio.Semaphore) -> Picked:
    named = {"call": picked.call, "verdict": verdict, "digest": picked.digest, "reason": form.get("reason", "")}
    async with turns:
        try:
            asked = visit.among(picked.tenant)
            await decision(asked, picked.session, named, key_of(form, picked.session, named))
        except Retryable as exc:
            return replace(picked, refused=str(exc), status=noted(exc), unknown=True)
        except Refused as exc:
            return replace(picked, refused=str(exc), status=noted(exc), stands=await _stands(asked, picked))
        except OnwardError as exc:  # what is wrong with one session hides nothing of the others
            return replace(picked, refused=str(exc), status=noted(exc))
    return picked


async def _stands(asked: Asked, picked: Picked) -> Told | None:
    """What was decided instead; nothing, where the log can't be read."""
    try:
        return (await one_card(asked, picked.session, picked.call)).stands
    except OnwardError:
        return None


def _picked(value: str) -> Picked:
    """Exactly the call that was shown. Raises BadInput."""
    parts = value.split(" ")
    if len(parts) != 4:
        raise BadInput("pick: it names no approval")
    tenant, session, call, shown = parts
    return Picked(tenant, session, call, shown)


def list_address(form: Form, **more: str | int) -> str:
    """The list that a form was sent from, filtered as it was: by what is known of that, and nothing else."""
    came = dict(parse_qsl(form.get("list", "")[:2000]))
    return address("/approvals", **{name: came.get(name) for name in FILTERS}, **more)


# --- the list --------------------------------------------------------------------------------------------------


async def _page(
    visit: Visit,
    status: int = 200,
    alert: str | None = None,
    outcomes: Sequence[Picked] = (),
    said: Form | None = None,
) -> Response:
    chosen = _chosen(visit)
    heads, following = await _heads(visit, chosen)
    cards = [card for head in heads for card in await _cards(visit, head) if _fits(visit, card, chosen)]
    filters = {name: chosen[name] or None for name in FILTERS}
    return visit.page(
        "approvals.html",
        status,
        alert=alert,
        told=_told(visit),
        cards=cards,
        decidable=any(not card.no for card in cards),
        outcomes=outcomes,
        said=said or {},
        next=following and address("/approvals", **filters | {"cursor": following}),
        list=address("", **filters).removeprefix("?"),
        here=address("/approvals", **filters | {"cursor": visit.param("cursor")}),
        batch_key=digest([card.key for card in cards])[:16],
        chosen=SimpleNamespace(**chosen | {"mine": chosen["for"]}),
        filtered=any(chosen[name] for name in ("program", "tool", "tenant")),
        programs=visit.service.app.names,
        stakes=stakes_text,
    )


def _told(visit: Visit) -> str | None:
    """What was done before this page was asked for."""
    code, n = visit.param("told") or "", visit.param("n") or ""
    if code.removeprefix("all_") in BATCH and code.startswith("all_") and n.isdecimal() and len(n) < 4:
        return f"{n} {BATCH[code.removeprefix('all_')]}."
    return TOLD.get(code)


def _chosen(visit: Visit) -> dict[str, str]:
    """What the address asks for; an approver is shown what is asked of them, if it says nothing else."""
    chosen = {name: visit.param(name) or "" for name in FILTERS}
    approves = visit.asked.rights.somewhere("approver")
    return chosen | {"for": chosen["for"] if chosen["for"] in ("me", "all") else "me" if approves else "all"}


async def _heads(visit: Visit, chosen: Mapping[str, str]) -> tuple[list[Head], str | None]:
    def wanted(head: Head) -> bool:
        return not head.ended and any(_may_fit(visit, head, wait, chosen) for wait in head.waits)

    page = OldestPage(wanted, read_cursor(visit.param("cursor")), FEW)
    query = ports.Query(wait="approval", program=chosen["program"] or None)
    return await oldest(visit.service.parts.backend.store, [query], visit.asked.tenants(), page)


def _may_fit(visit: Visit, head: Head, wait: Wait, chosen: Mapping[str, str]) -> bool:
    """Whether an open approval is asked for, as far as its session's head tells."""
    if wait.kind != "approval" or chosen["tool"] not in ("", wait.tool):
        return False
    return chosen["for"] != "me" or asks(visit, head, wait)


def asks(visit: Visit, head: Head, wait: Wait) -> bool:
    """Whether this visitor is one of those whom an approval asks, and has not decided it."""
    name, roles = visit.asked.rights.name, visit.service.roles
    if not visit.may("approver", head.tenant) or is_among(name, wait.approved_by):
        return False
    rules = roles.rules(head.tenant, head.program, wait.tool or "")
    ruled = all(rule.by is None or roles.names(rule.by, name) for rule in rules)
    return ruled and (not wait.approvers or is_among(name, wait.approvers))


async def _cards(visit: Visit, head: Head) -> list[Card]:
    """What one session asks; where its log can't be read, that needs attention, and hides nothing of the others."""
    try:
        return await open_cards(visit.among(head.tenant), head)
    except Permanent:
        return []


def _fits(visit: Visit, card: Card, chosen: Mapping[str, Any]) -> bool:
    if chosen["tool"] not in ("", card.question.tool):
        return False
    return chosen["for"] != "me" or (not card.no and card.question.for_person(visit.asked.rights.name))
