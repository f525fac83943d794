"""The page of sessions, and the form that starts one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import get_args

from starlette.responses import Response

from onward import ports
from onward.core.events import Actor
from onward.core.head import Head, Status
from onward.core.ids import check_id
from onward.core.signals import StartBody
from onward.errors import BadInput, Refused, UsageError
from onward.surfaces.console.approvals import asks
from onward.surfaces.console.page import Form, Visit, address, part, redirect, wanted
from onward.surfaces.console.starting import forms, input_of, starting
from onward.surfaces.http.door import BODY
from onward.surfaces.http.lists import PAGE, OldestPage, newest, oldest, read_cursor
from onward.surfaces.http.problems import noted
from onward.surfaces.http.sessions import made_id
from onward.surfaces.http.sizes import check_size
from onward.surfaces.reports import wait_text
from onward.surfaces.starting import start_of
from onward.surfaces.verbs import needs_attention

FILTERS = ("id", "status", "program", "version", "label", "tenant", "mine")
NEEDS: tuple[Status, ...] = ("needs_attention",)
SAID = ("program", "input", "json", "id", "tenant", "key")


async def show(visit: Visit) -> Response:
    """A page of the list, as the address filters it."""
    if (id := visit.param("id")) is not None:
        return redirect(address(f"/sessions/{part(check_id(id))}", tenant=visit.param("tenant")))
    return await _page(visit, {})


async def start(visit: Visit, form: Form) -> Response:
    """Start a session, and go there. What is wrong with the form is said beside it."""
    try:
        head = await _started(visit, form)
    except UsageError as exc:
        return await _page(visit, form, noted(exc), str(exc))
    return redirect(address(f"/sessions/{part(head.id)}", tenant=head.tenant))


async def _started(visit: Visit, form: Form) -> Head:
    asked = visit.among(form.get("tenant"))
    tenant = asked.tenant("operator")
    program = wanted(form, "program")
    body = StartBody(program=program, input=input_of(visit.service.app, program, form))
    check_size(body.input, BODY)
    name = asked.rights.name
    start = start_of(visit.service.app, tenant, form.get("id") or made_id(name, wanted(form, "key")), body)
    head, new = await visit.service.parts.gateway.start(start, Actor(kind="person", name=name))
    if not new and form.get("id"):
        raise Refused(f"id: there is a session {head.id} already", "exists", "its program and input are the same")
    return head


async def _page(visit: Visit, said: Form, status: int = 200, alert: str | None = None) -> Response:
    heads, following = await _heads(visit)
    chosen = SimpleNamespace(**{name: visit.param(name) or "" for name in FILTERS})
    return visit.page(
        "sessions.html",
        status,
        alert=alert,
        heads=heads,
        next=following and _next(visit, following),
        chosen=chosen,
        filtered=any(vars(chosen).values()),
        statuses=get_args(Status),
        programs=visit.service.app.names,
        startable=visit.service.app.names if visit.asked.rights.somewhere("operator") else (),
        starting=starting(visit.service.app, said.get("program") or visit.param("start"), said),
        forms=forms(visit.service.app),
        said=SimpleNamespace(**{name: said.get(name, "") for name in SAID}),
        why=lambda head: _why(visit, head),
    )


def _next(visit: Visit, cursor: str) -> str:
    return address("/", **{name: visit.param(name) for name in FILTERS} | {"cursor": cursor})


async def _heads(visit: Visit) -> tuple[Sequence[Head], str | None]:
    """What the filters find; of what waits for somebody only what the visitor can move, the oldest first."""
    query, store, tenants = _query(visit), visit.service.parts.backend.store, visit.asked.tenants()
    if not visit.param("mine"):
        return await newest(store, query, tenants)
    query = replace(query, status=())
    waiting = [replace(query, wait="approval"), replace(query, wait="operator"), replace(query, status=NEEDS)]
    return await oldest(store, waiting, tenants, OldestPage(lambda head: _mine(visit, head), query.after, PAGE))


def _mine(visit: Visit, head: Head) -> bool:
    return visit.param("status") in (None, head.status) and _needs(visit, head)


def _query(visit: Visit) -> ports.Query:
    """The list that is asked for. Raises BadInput."""
    status, label = visit.param("status"), visit.param("label")
    if status is not None and status not in get_args(Status):
        raise BadInput(f"status: it is one of {', '.join(get_args(Status))}")
    if label is not None and not label.partition("=")[1]:
        raise BadInput("label: it is NAME=VALUE")
    return ports.Query(
        status=() if status is None else (status,),  # type: ignore[arg-type]
        program=visit.param("program"),
        version=visit.param("version"),
        labels=() if label is None else ((label.partition("=")[0], label.partition("=")[2]),),
        after=read_cursor(visit.param("cursor")),
        limit=PAGE,
    )


def _needs(visit: Visit, head: Head) -> bool:
    """Whether this visitor can move it: by a decision that they may take, or as an operator."""
    if needs_attention(head):
        return visit.may("operator", head.tenant)
    return any(wait.kind == "approval" and asks(visit, head, wait) for wait in head.waits)


def _why(visit: Visit, head: Head) -> str:
    """What it waits for, or what went wrong."""
    if head.waits and not head.ended:
        return wait_text(head.waits[0], visit.now)
    return head.error.message if head.error and head.status != "cancelled" else ""
