"""The page that makes a branch of a session, after one of its events."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from starlette.responses import Response

from onward.core import events as ev
from onward.core.branch import EDITABLE
from onward.core.canonical import canonical
from onward.core.events import Event
from onward.core.head import Head
from onward.core.payload import Erased
from onward.engine.fork import Fork
from onward.errors import BadInput, OnwardError, UsageError
from onward.surfaces.console.deciding import given_json
from onward.surfaces.console.page import Form, Visit, redirect, value, wanted
from onward.surfaces.console.reading import one
from onward.surfaces.console.record import logged
from onward.surfaces.console.session import at, seq_of, told
from onward.surfaces.documents import whole
from onward.surfaces.http.branching import made_id
from onward.surfaces.http.door import BODY
from onward.surfaces.http.problems import noted
from onward.surfaces.http.sizes import check_size
from onward.surfaces.telling_branches import EFFECTS

LONGEST = 50_000
"""Characters of a value that may be changed in a form."""

SAID = ("at", "effects", "model", "instructions", "input", "json", "edit", "id", "key")


async def show(visit: Visit) -> Response:
    """The form, for a branch after event `seq`, or of where the session stands."""
    visit.asked.tenant("operator")
    head = await logged(visit)
    return await _page(visit, head, seq_of(visit.param("seq"), "seq") or head.seq, {})


async def fork(visit: Visit, form: Form) -> Response:
    """Make the branch, and go there. What is wrong with the form is said beside it."""
    visit.asked.tenant("operator")
    head = await logged(visit)
    try:
        made, _ = await visit.asked.caller.branched(await _wanted(visit, head, form))
    except UsageError as exc:
        return await _page(visit, head, _shown(head, form), form, exc)
    return redirect(at(made, done="fork"))


def _shown(head: Head, form: Form) -> int:
    """The event that a form was about, if it is one."""
    text = form.get("about", "")
    seq = int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else 0
    return seq if 1 <= seq <= head.seq else head.seq


# --- what is wanted --------------------------------------------------------------------------------------------


async def _wanted(visit: Visit, head: Head, form: Form) -> Fork:
    """The branch that a form asks for. Raises UsageError."""
    edits = await _edits(visit, head, form)
    input = value(form, "input") if form.get("input", "").strip() else None
    check_size([input, form.get("instructions"), list(edits.values())], BODY)
    return Fork(
        session=head.id,
        id=form.get("id") or made_id(visit.asked.rights.name, wanted(form, "key")),
        at=seq_of(wanted(form, "at"), "at"),
        tenant=head.tenant,
        effects=wanted(form, "effects"),  # type: ignore[arg-type]
        model=form.get("model", "").strip() or None,
        instructions=_instructions(form, await _told(visit, head)),
        input=input,
        edits=edits,
    )


def _instructions(form: Form, known: str) -> str | None:
    """What its models are to be told, if that is anything else than before. Raises BadInput."""
    text = form.get("instructions", "").strip()
    if not text and known.strip():
        raise BadInput("instructions: they are empty; give some, or leave them as they were")
    return None if text in ("", _lines(known).strip()) else text


async def _edits(visit: Visit, head: Head, form: Form) -> dict[int, Any]:
    """Another value of the event that the form was about, if one is given. Raises UsageError."""
    if "edit" not in form:
        return {}
    seq = _shown(head, form)
    _, window = await one(visit.service.parts, head, seq)
    editable, before = await _value(visit, head, window.events[0])
    if not editable:
        return {}
    if isinstance(before, str):
        return {} if form["edit"] == _lines(before) else {seq: form["edit"]}
    after = given_json(form, "edit")
    return {} if canonical(after) == canonical(before) else {seq: after}


# --- the page --------------------------------------------------------------------------------------------------


async def _page(visit: Visit, head: Head, seq: int, form: Form, exc: UsageError | None = None) -> Response:
    _, window = await one(visit.service.parts, head, seq)
    event = window.events[0]
    editable, before = await _value(visit, head, event)
    shown = {"edit": _text(before) if editable else "", "instructions": await _told(visit, head)}
    said = {name: form.get(name, shown.get(name, "")) for name in SAID}
    said |= {"at": said["at"] or str(seq), "effects": said["effects"] or "recorded"}
    status, alert = (noted(exc), str(exc)) if exc else (200, None)
    return visit.page(
        "fork.html",
        status,
        alert=alert,
        head=head,
        seq=seq,
        told=told(event, window.telling().note(event)),
        said=SimpleNamespace(**said),
        editable=editable,
        text=isinstance(before, str),
        effects=EFFECTS,
        link=lambda *more, **query: at(head, *map(str, more), **query),
    )


async def _told(visit: Visit, head: Head) -> str:
    """What the models of the session are told, as far as it is known here."""
    try:
        began = await visit.asked.caller.beginning(head.id, head.tenant)
    except OnwardError:
        began = None
    own = began.forked.instructions if began else None
    program = visit.service.app.program(head.program, head.version) or visit.service.app.newest(head.program)
    found = own if isinstance(own, str) else getattr(program, "instructions", "")
    return found if isinstance(found, str) else ""


async def _value(visit: Visit, head: Head, event: Event) -> tuple[bool, Any]:
    """Whether the event has a value that a form may change, and the value."""
    field = EDITABLE.get(type(event.body))
    if field is None or (isinstance(event.body, ev.ApprovalDecided) and event.body.verdict != "responded"):
        return False, None
    found = await whole(visit.asked.caller, head.id, event, head.tenant)
    value = getattr(found.body, field)
    if isinstance(value, Erased) or len(_text(value)) > LONGEST:
        return False, None
    return True, value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)


def _lines(text: str) -> str:
    """A text as a form sends it back."""
    return text.replace("\r\n", "\n")
