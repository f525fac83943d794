"""The page of what needs attention: sessions that nothing moves but somebody who looks into what went wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace

from starlette.responses import Response

from onward import ports
from onward.core.canonical import digest
from onward.core.head import Head
from onward.core.ledger import LedgerEntry
from onward.errors import BadInput, NotAllowed, Permanent, Refused
from onward.surfaces.console.page import Form, Visit, address, part, redirect
from onward.surfaces.console.repairs import TOLD, Repair, key, repair, repairs
from onward.surfaces.effects import name_text, outcome_text
from onward.surfaces.evidence import evidence
from onward.surfaces.http.lists import OldestPage, oldest, read_cursor
from onward.surfaces.http.looking import FEW
from onward.surfaces.http.problems import noted
from onward.surfaces.reports import wait_text
from onward.surfaces.telling import who, why
from onward.surfaces.verbs import agreed_up_to, needs_attention

FILTERS = ("program", "tenant", "session", "paused")
SAID = ("do", "call", "result", "output", "turns", "calls", "tokens", "time", "json", "reason")


@dataclass(frozen=True, slots=True)
class Trouble:
    """One session, what is known of its calls that are not settled, and what can be done. `unread` says why its log
    can't be read, if that is so."""

    head: Head
    calls: Sequence[LedgerEntry]
    repairs: Sequence[Repair]
    unread: str = ""

    @property
    def agreed(self) -> int | None:
        """The event up to which the log and the code agree, where it stands because they don't behind it."""
        return agreed_up_to(self.head)


async def show(visit: Visit) -> Response:
    """A page of the list, as the address filters it."""
    return await _page(visit)


async def act(visit: Visit, form: Form) -> Response:
    """Do something about a session. What can't be done is said, with what stands instead."""
    session = visit.request.path_params["session"]
    try:
        code = await repair(visit, session, form)
    except (Refused, NotAllowed, BadInput) as exc:
        return await _page(visit, noted(exc), f"Not done: {exc}.", session, form)
    return redirect(address("/attention", tenant=visit.param("in"), paused=visit.param("paused"), told=code))


async def _page(
    visit: Visit, status: int = 200, alert: str | None = None, session: str | None = None, form: Form | None = None
) -> Response:
    chosen = {name: visit.param(name) or "" for name in FILTERS} | ({"session": session} if session else {})
    troubles, following = await _troubles(visit, chosen)
    filters = {name: visit.param(name) for name in FILTERS}
    return visit.page(
        "attention.html",
        status,
        alert=alert,
        told=TOLD.get(visit.param("told") or ""),
        troubles=troubles,
        next=following and address("/attention", **filters | {"cursor": following}),
        chosen=SimpleNamespace(**chosen),
        filtered=any(chosen.values()),
        programs=visit.service.app.names,
        session=session,
        said=SimpleNamespace(**{name: (form or {}).get(name, "") for name in SAID}),
        seen=digest([[trouble.head.key, trouble.head.seq] for trouble in troubles])[:16],
        form_key=key,
        action=lambda head: _action(visit, head),
        why=why,
        who=who,
        outcome=outcome_text,
        name=name_text,
        waits=lambda head: [wait_text(wait, visit.now) for wait in head.waits if wait.kind == "operator"],
    )


def _action(visit: Visit, head: Head) -> str:
    """Where the forms of a session are sent to, and what was shown beside it."""
    shown = {"in": visit.param("in") or visit.param("tenant"), "paused": visit.param("paused")}
    return address(f"/attention/{part(head.id)}", tenant=head.tenant, **shown)


async def _troubles(visit: Visit, chosen: dict[str, str]) -> tuple[list[Trouble], str | None]:
    if chosen["session"]:
        head = await visit.asked.caller.get(chosen["session"], visit.asked.tenant())
        return [await _trouble(visit, head)], None
    heads, following = await _heads(visit, chosen["program"] or None, bool(chosen["paused"]))
    return [await _trouble(visit, head) for head in heads], following


async def _heads(visit: Visit, program: str | None, paused: bool) -> tuple[list[Head], str | None]:
    queries = [ports.Query(status=("needs_attention",), program=program), ports.Query(wait="operator", program=program)]
    page = OldestPage(
        lambda head: needs_attention(head) or (paused and head.status == "paused"),
        read_cursor(visit.param("cursor")),
        FEW,
    )
    return await oldest(visit.service.parts.backend.store, queries, visit.asked.tenants(), page)


async def _trouble(visit: Visit, head: Head) -> Trouble:
    """A session with what helps to say what became of its calls, as far as its log can be read."""
    todo = repairs(visit, head)
    if head.status == "deleted":
        return Trouble(head, (), todo)
    try:
        return Trouble(head, await evidence(visit.among(head.tenant).caller, head), todo)
    except Permanent as exc:
        return Trouble(head, (), todo, f"{exc} [{exc.code}]")
