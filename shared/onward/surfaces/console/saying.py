"""What may be said to a session on its page: a form for each input that it waits for, of the fields that this has.

A form says which wait it was drawn for, and is read by what that wait takes, as it was recorded: it means the same
whatever the session waits for by then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onward.core.events import DELIVERS, Operation
from onward.core.head import Head, Wait
from onward.errors import BadInput, Permanent, Refused
from onward.surfaces.console.page import Form, Visit, value
from onward.surfaces.console.schema_form import MISSING, Field, drawn
from onward.surfaces.console.schema_read import Errors, again, complaints, read
from onward.surfaces.text import input_text

FORMS = 10
"""Waits of a session that are given a form each: the oldest."""

NULL = {"type": "null"}


@dataclass(frozen=True, slots=True)
class Saying:
    """A form by which a session is given an input. `call` is the wait that it is for; without one any text will do, or
    any JSON. `field` has what the input is made of, where that is known; `bare` says that there is nothing to say.
    `early` says that nobody may wait for it yet: it can be named."""

    title: str
    call: str = ""
    field: Field | None = None
    bare: bool = False
    early: bool = False
    json: bool = False
    said: str = ""
    name: str = ""


async def sayings(visit: Visit, head: Head, form: Form) -> list[Saying]:
    """The forms for what the session waits for; `form` is one that was filled in and not taken."""
    if head.format < DELIVERS:
        return [Saying("Give it an input", json=_ticked(form), said=form.get("content", ""))]
    waits = {wait.note: wait for wait in reversed(head.waits) if wait.kind == "input" and wait.call}
    found = [await _saying(visit, head, wait, form) for wait in [*waits.values()][::-1][:FORMS]]
    return found or [_early(form)]


def _early(form: Form) -> Saying:
    title = "Give it an input before it waits for one"
    return Saying(title, early=True, json=_ticked(form), said=form.get("content", ""), name=form.get("name", ""))


def _ticked(form: Form) -> bool:
    return bool(form.get("json") and form.get("content"))


async def _saying(visit: Visit, head: Head, wait: Wait, form: Form) -> Saying:
    call, title = wait.call or "", f"Give it {input_text(wait.note)}"
    mine = form if form.get("call") == call else None
    try:
        operation = await _operation(visit, head, call)
    except Permanent:
        return Saying(title, call, json=True)
    field = _field(operation, call)
    if field is not None:
        return Saying(title, call, field if mine is None else again(field, mine, _read(field, operation, mine)[1]))
    takes = operation.takes
    json = bool(takes) and not (isinstance(takes, Mapping) and takes.get("type") == "string")
    text = "" if mine is None else mine.get("content", "")
    return Saying(title, call, bare=takes == NULL, json=json if mine is None else bool(mine.get("json")), said=text)


async def _operation(visit: Visit, head: Head, call: str) -> Operation:
    """The wait, as it was recorded. Raises Refused where it is none."""
    operation = await visit.asked.caller.operation(head, call)
    if operation is None or operation.kind != "signal":
        raise Refused("input refused", "no_wait", f"call {call[:60]} is no wait for an input")
    return operation


def _field(operation: Operation, call: str) -> Field | None:
    """What the input is made of, where that is more than a text or any JSON."""
    if not isinstance(operation.takes, Mapping) or operation.takes == NULL:
        return None
    field = drawn(operation.takes, MISSING, (call, operation.signal or "input"))
    return None if field.kind in ("json", "text", "long") else field


def _read(field: Field, operation: Operation, form: Form) -> tuple[Any, Errors]:
    content, errors = read(field, form)
    return content, errors or complaints(operation.takes, field, content)


# --- filled in ---------------------------------------------------------------------------------------------------


async def said(visit: Visit, head: Head, form: Form) -> dict[str, Any]:
    """The input that a filled in form says, as a signal has it. Raises BadInput, which names the field, and Refused."""
    if not form.get("call"):
        return _free(form)
    operation = await _operation(visit, head, form["call"])
    return {"content": _content(operation, form, form["call"])} | (
        {"name": operation.signal} if operation.signal else {}
    )


def _free(form: Form) -> dict[str, Any]:
    if not form.get("content", "").strip():
        raise BadInput("content: it is empty")
    return {"content": value(form, "content")} | ({"name": form["name"]} if form.get("name") else {})


def _content(operation: Operation, form: Form, call: str) -> Any:
    field = _field(operation, call)
    if field is None:
        return value(form, "content") if form.get("content", "").strip() else None
    content, errors = _read(field, operation, form)
    for place, error in errors.items():
        raise BadInput(f"content{place.removeprefix(field.name).replace('/', '.')}: {error}")
    return content
