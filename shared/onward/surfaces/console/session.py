"""The page of one session: what it waits for and what can be done, its conversation, its timeline, its events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.responses import Response

from onward import ports
from onward.core import events as ev
from onward.core.events import Event
from onward.core.head import Head, Wait
from onward.errors import BadInput, NotAllowed, Permanent, Refused, UsageError
from onward.surfaces.console import reading
from onward.surfaces.console.bars import Line, Row
from onward.surfaces.console.chart import chart
from onward.surfaces.console.doings import doings
from onward.surfaces.console.kin import kin
from onward.surfaces.console.moves import DONE, LIMITS, moved, moves, raised, standing
from onward.surfaces.console.page import Form, Visit, address, part, redirect
from onward.surfaces.console.reading import Window
from onward.surfaces.console.saying import sayings
from onward.surfaces.console.talk import talk
from onward.surfaces.console.values import raw, written
from onward.surfaces.http.problems import noted
from onward.surfaces.reports import spent_text, wait_text
from onward.surfaces.telling import Note, who
from onward.surfaces.telling_branches import EFFECTS
from onward.surfaces.text import said, shown

CHILDREN = 20
"""Sessions that it started which are shown: those that moved last."""

FIELDS = ("json", "reason", "output", *LIMITS)


async def show(visit: Visit) -> Response:
    """A session. With `before` in the address, as it was up to that event."""
    return await _page(visit, await session_of(visit), {})


async def rows(visit: Visit) -> Response:
    """What is new behind the event `after`, for one who has the page: as much as a page has room for."""
    head, seq = await session_of(visit), seq_of(visit.param("after"), "after")
    window, error = reading.NOTHING, None
    if head.status != "deleted":
        window, error = await _read(visit, head, reading.after, seq)
    return visit.page("rows.html", **await _values(visit, head, window, error, {}))


async def move(visit: Visit, form: Form) -> Response:
    """Tell the session something, and go back to its page. What is wrong with the form is said beside it."""
    id, name = visit.request.path_params["id"], visit.request.path_params["move"]
    try:
        done = await moved(visit, form, id, name)
    except (BadInput, NotAllowed, Refused) as exc:
        return await _page(visit, await session_of(visit), form, name, exc)
    return redirect(at(await session_of(visit), done=done))


async def session_of(visit: Visit) -> Head:
    """The session that the address names, if the visitor may see it. Raises UsageError."""
    return await visit.asked.caller.get(visit.request.path_params["id"], visit.asked.tenant())


def seq_of(text: str | None, name: str) -> int:
    """The number of an event, as an address says it; 0 for none. Raises BadInput."""
    digits = text or "0"
    if not (digits.isascii() and digits.isdecimal() and len(digits) < 12):
        raise BadInput(f"{name}: {digits[:20]!r} is no number of an event")
    return int(digits)


def at(head: Head, *more: str, **query: str | int | None) -> str:
    """The address of a session's page, or of one below it."""
    return address("/".join(("/sessions", part(head.id), *more)), tenant=head.tenant, **query)


# --- the page --------------------------------------------------------------------------------------------------


async def _page(visit: Visit, head: Head, form: Form, failed: str = "", exc: UsageError | None = None) -> Response:
    end = seq_of(visit.param("before"), "before")
    window, error = reading.NOTHING, None
    if head.status != "deleted":
        window, error = await _read(visit, head, reading.before, end)
    values = await _values(visit, head, window, error, form)
    more = {"failed": failed, "done": DONE.get(visit.param("done") or ""), "newest": not window.more}
    rows = [] if error else chart(window.proposals, window.events, _takes_input(head, window))
    status, alert = (noted(exc), str(exc)) if exc else (200, None)
    return visit.page("session.html", status, alert=alert, **values | more | _drawn(rows, visit))


async def _read(visit: Visit, head: Head, read: Any, seq: int) -> tuple[Window, Permanent | None]:
    """A part of the log, or why it can't be read."""
    try:
        return await read(visit.service.parts, head, seq), None
    except Permanent as exc:
        noted(exc)
        return reading.NOTHING, exc


async def _values(visit: Visit, head: Head, window: Window, error: Permanent | None, form: Form) -> dict[str, Any]:
    operates = visit.may("operator", head.tenant)
    closing = operates and await _closing(visit, head, window)
    return {
        "head": head,
        "error": error,
        "link": lambda *more, **query: at(head, *map(str, more), **query),
        "spent": spent_text(head.spent, head.limits),
        "labels": [(name, shown(value)) for name, value in head.labels],
        "waits": [] if head.ended else list(_waits(head, visit.now)),
        "children": await _children(visit, head),
        "moves": moves(head, closing, error is None) if operates else [],
        "sayings": await sayings(visit, head, form) if operates and not (head.ended or closing or error) else [],
        "limits": raised(head),
        "standing": standing(head),
        "said": {name: form.get(name, "") for name in FIELDS},
        "window": window,
        "lines": lines(window),
        "messages": talk(await _said(visit, head, window), window.telling()),
        "doings": doings(head.id, window.proposals, window.events, visit.now),
        "kin": await kin(visit, head),
        "effects": EFFECTS,
        "forks": operates and error is None and head.status != "deleted",
        "output": await _output(visit, head, window),
    }


async def _closing(visit: Visit, head: Head, window: Window) -> bool:
    """Whether it is to end, and only waits for what was begun."""
    if any(isinstance(event.body, ev.ClosingBegan) for event in window.events):
        return True
    if not any(wait.call and wait.kind in ("operator", "timer") for wait in head.waits):
        return False
    with suppress(Permanent):
        return (await visit.service.parts.loader.fold(head)).closing is not None
    return False


async def _said(visit: Visit, head: Head, window: Window) -> Sequence[Event]:
    """The events of a window, with what a branch goes on from."""
    loader = visit.service.parts.loader
    with suppress(Permanent):
        return [await loader.foldable(head.key, event) for event in window.events]
    return window.events


async def _children(visit: Visit, head: Head) -> Sequence[Head]:
    query = ports.Query(tenant=head.tenant, parent=head.id, limit=CHILDREN)
    return await visit.service.parts.backend.store.list(query)


async def _output(visit: Visit, head: Head, window: Window) -> str | None:
    """What a completed session came to."""
    if head.status != "completed":
        return None
    events = window.events if window.last == head.seq else await _last(visit, head)
    return next((written(event.body.output) for event in events if isinstance(event.body, ev.SessionCompleted)), None)


async def _last(visit: Visit, head: Head) -> Sequence[Event]:
    found, _ = await _read(visit, head, reading.after, head.seq - 1)
    return found.events


def _takes_input(head: Head, window: Window) -> bool:
    return not window.more and any(wait.kind == "input" and wait.call is None for wait in head.waits)


def _drawn(rows: Sequence[Row], visit: Visit) -> dict[str, Any]:
    if not rows:
        return {"line": None, "rows": []}
    line = Line.of(rows, visit.now)
    return {"line": line, "rows": [(row, line.drawn(row, visit.now)) for row in rows]}


# --- waits -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is waited for, until when, and where it is seen to."""

    text: str
    until: datetime | None
    href: str | None = None
    there: str = ""


def _waits(head: Head, now: datetime) -> Iterator[Waiting]:
    yield from (_wait(head, wait, now) for wait in head.waits)
    if head.unlisted:
        yield Waiting(f"{head.unlisted} more", None)


def _wait(head: Head, wait: Wait, now: datetime) -> Waiting:
    text = wait_text(wait.model_copy(update={"until": None}), now)
    if wait.kind == "timer" and wait.call and wait.until and not wait.note:
        text = f"word of {said(wait.tool)} (call {wait.call}), which was begun"
    return Waiting(text, wait.until, *_where(head, wait))


def _where(head: Head, wait: Wait) -> tuple[str | None, str]:
    if wait.kind == "approval" and wait.call:
        return address(f"/approvals/{part(head.id)}/{part(wait.call)}", tenant=head.tenant), "Look at it and decide"
    if wait.kind == "operator" and wait.call:
        return address("/attention", tenant=head.tenant, session=head.id), "Say what became of it"
    if wait.kind == "child" and wait.session:
        return address(f"/sessions/{part(wait.session)}", tenant=head.tenant), "See that session"
    return None, ""


# --- events ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Told:
    """An event as a line of the list: in words, and as the JSON that it is."""

    seq: int
    at: datetime
    kind: str
    who: str
    note: Note
    raw: str


def lines(window: Window) -> list[Told]:
    """The events of a window, in order."""
    telling = window.telling()
    return [told(event, telling.note(event)) for event in window.events]


def told(event: Event, note: Note) -> Told:
    """One event."""
    return Told(event.seq, event.at, event.kind, who(event.actor), note, raw(event))
