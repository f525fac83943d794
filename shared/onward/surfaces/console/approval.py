"""The page of one approval: everything that is asked, each way to decide it, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from starlette.responses import Response

from onward.core import events as ev
from onward.core.canonical import canonical
from onward.core.ids import is_among
from onward.core.links import Link, read
from onward.core.payload import Erased
from onward.errors import BadInput, Gone, NotAllowed, Refused, UsageError
from onward.surfaces.console.approvals import list_address
from onward.surfaces.console.asking import Card, approval_address, one_card
from onward.surfaces.console.deciding import TOLD, decide, decide_by_link
from onward.surfaces.console.page import Form, Visit, part, redirect
from onward.surfaces.console.schema_form import Field, drawn
from onward.surfaces.console.schema_read import Change, again, changes, complaints, value_text
from onward.surfaces.console.schema_read import read as read_form
from onward.surfaces.http.links import opened
from onward.surfaces.http.problems import noted
from onward.surfaces.http.service import Asked
from onward.surfaces.questions import stakes_text

_DECIDES = (ev.ApprovalDecided, ev.ApprovalDelegated)
COUNTED = "Your approval is counted; it takes more than yours."

OVER = {
    "link_expired": "This link was good for a while, and that is over.",
    "link_used": "This link has been used: somebody has decided since it was made.",
    "link_closed": "Nobody is asked about this any more.",
    "link_changed": "What is asked has changed since this link was made.",
    "link_gone": "The session that this link was about is gone.",
}
"""What is said of a link that opens nothing, by the code of why."""


@dataclass(frozen=True, slots=True)
class Edit:
    """Changed arguments: the form as it was filled in, and, if they can be sent, what they change."""

    form: Field | None
    changes: tuple[Change, ...] = ()
    text: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an approval is shown: on its page, or where a link led to."""

    asked: Asked
    session: str
    call: str
    token: str | None = None

    @property
    def action(self) -> str:
        """Where its forms are sent to."""
        if self.token is not None:
            return f"/link/{part(self.token)}"
        return approval_address(self.asked.tenant(), self.session, self.call)


# --- by its own address ----------------------------------------------------------------------------------------


async def show(visit: Visit) -> Response:
    """One approval, as it stands."""
    return await _page(visit, _place(visit))


async def act(visit: Visit, form: Form) -> Response:
    """Decide it, or look at what changed arguments would change. A decision that came too late is told what stands."""
    place = _place(visit)
    if await _unseen(place, form):
        return await _review(visit, place, form)
    try:
        code, _ = await decide(place.asked, place.session, form, place.call)
    except (Refused, NotAllowed, BadInput) as exc:
        return await _page(visit, place, noted(exc), _words(exc), said=form)
    if "list" in form:
        return redirect(list_address(form, told=code))
    return redirect(approval_address(place.asked.tenant(), place.session, place.call, told=code))


def _place(visit: Visit) -> Place:
    return Place(visit.asked, visit.request.path_params["session"], visit.request.path_params["call"])


def _words(exc: UsageError) -> str:
    return f"Not taken: {exc}."


# --- by a link -------------------------------------------------------------------------------------------------


async def follow(visit: Visit) -> Response:
    """What a link opens; this uses nothing up. Of one that is over, why."""
    token = visit.request.path_params["token"]
    try:
        found = await opened(visit.service, visit.asked.rights, token)
    except Gone as exc:
        return _over(visit, _link(visit, token), exc)
    return await _page(visit, _linked(visit, token, found.link))


async def act_by_link(visit: Visit, form: Form) -> Response:
    """The same as on the approval's own page, for as long as the link is good."""
    token = visit.request.path_params["token"]
    link = _link(visit, token)
    place = _linked(visit, token, link)
    try:
        if await _unseen(place, form):
            await opened(visit.service, visit.asked.rights, token)
            return await _review(visit, place, form)
        code, _ = await decide_by_link(visit, token, form)
    except Gone as exc:
        return _over(visit, link, exc)
    except (Refused, NotAllowed, BadInput) as exc:
        return await _page(visit, place, noted(exc), _words(exc), said=form)
    return redirect(approval_address(link.tenant, link.session, link.call, told=code))


def _link(visit: Visit, token: str) -> Link:
    return read(visit.service.parts.backend.secret, token)


def _linked(visit: Visit, token: str, link: Link) -> Place:
    return Place(replace(visit.asked, given=link.tenant), link.session, link.call, token)


def _over(visit: Visit, link: Link, exc: Gone) -> Response:
    """What became of a link, for one who may know."""
    visit.asked.rights.check("viewer", visit.asked.rights.tenant(link.tenant))
    there = None if exc.code == "link_gone" else approval_address(link.tenant, link.session, link.call)
    return visit.page(
        "link.html", noted(exc), words=OVER.get(exc.code, "It opens nothing."), stands=exc.stands, to=there
    )


# --- the page --------------------------------------------------------------------------------------------------


def _fields(form: Form) -> bool:
    """Whether a form has the arguments in fields."""
    return any(name.startswith(("value", "how")) for name in form)


async def _unseen(place: Place, form: Form) -> bool:
    """Whether a form changes arguments, and whoever sent it has not been shown exactly these changes."""
    if form.get("verdict") == "review":
        return True
    if not _fields(form):
        return False
    card = await one_card(place.asked, place.session, place.call)
    if not _changeable(card):
        return False
    value, errors = read_form(drawn(card.schema, card.question.arguments), form)
    return bool(errors) or canonical(value) != form.get("arguments")


def _changeable(card: Card) -> bool:
    """Whether it is open, and has arguments that are there to be changed."""
    return card.open and not card.question.asks and not isinstance(card.question.arguments, Erased)


async def _review(visit: Visit, place: Place, form: Form) -> Response:
    """Show what changed arguments change, before anybody approves them."""
    card = await one_card(place.asked, place.session, place.call)
    if not _changeable(card) or card.question.digest != form.get("digest"):
        return await _page(visit, place, 409, "Not taken: this is not what is asked any more.", card=card)
    field = drawn(card.schema, card.question.arguments)
    value, errors = read_form(field, form)
    errors = errors or complaints(card.schema, field, value)
    edit = Edit(again(field, form, errors))
    if errors:
        alert = f"Nothing is sent yet: {len(errors)} of the values can't be taken."
        return await _page(visit, place, 400, alert, card=card, edit=edit, said=form)
    edit = replace(edit, changes=tuple(changes(card.question.arguments, value)), text=canonical(value))
    same = None if edit.changes else "You changed nothing."
    return await _page(visit, place, 200, same, card=card, edit=edit, said=form)


async def _page(
    visit: Visit,
    place: Place,
    status: int = 200,
    alert: str | None = None,
    card: Card | None = None,
    edit: Edit | None = None,
    said: Form | None = None,
) -> Response:
    card = card or await one_card(place.asked, place.session, place.call)
    return visit.page(
        "approval.html",
        status,
        alert=alert,
        told=_told(visit, card),
        card=card,
        action=place.action,
        edit=edit or _edit(card, said),
        said=_said(said),
        stakes=stakes_text,
        value_text=value_text,
    )


def _told(visit: Visit, card: Card) -> str | None:
    """What they did before this page was asked for: of a decision only what the log says of them."""
    code, name = visit.param("told") or "", visit.asked.rights.name
    events = [told.event for told in card.story]
    mine = [each for each in events if isinstance(each.body, _DECIDES) and is_among(name, [each.actor.name])]
    if code != "accepted" and not mine:
        return None
    return COUNTED if card.open and is_among(name, card.question.approved_by) else TOLD.get(code)


def _edit(card: Card, said: Form | None) -> Edit:
    """The form of the arguments, if there are any to change; what was filled in stays."""
    if not _changeable(card):
        return Edit(None)
    field = drawn(card.schema, card.question.arguments)
    return Edit(again(field, said, {}) if said and _fields(said) else field)


def _said(form: Form | None) -> Mapping[str, Any]:
    """What was filled in and not taken: that is not to be written again."""
    names = ("reason", "result", "json", "to", "verdict")
    return {name: (form or {}).get(name, "") for name in names}
