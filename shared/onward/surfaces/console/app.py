"""The console as an application: which page is where."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from types import MappingProxyType

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import Scope

from onward.errors import NotFound, OnwardError
from onward.surfaces.console import (
    approval,
    approvals,
    attention,
    compare,
    effects,
    family,
    forking,
    health,
    record,
    session,
    sessions,
    static,
)
from onward.surfaces.console.page import HEADERS, Does, Shows, form_of, made, rendered
from onward.surfaces.http.problems import WENT_WRONG, note_crash, noted
from onward.surfaces.http.service import Service

Answers = Callable[[Request], Awaitable[Response]]

SHOWS: Mapping[str, Shows] = MappingProxyType(
    {
        "/": sessions.show,
        "/sessions/{id}": session.show,
        "/sessions/{id}/rows": session.rows,
        "/sessions/{id}/state": record.state,
        "/sessions/{id}/events/{seq}": record.event,
        "/sessions/{id}/fork": forking.show,
        "/sessions/{id}/branches": family.show,
        "/sessions/{id}/compare/{other}": compare.show,
        "/approvals": approvals.show,
        "/approvals/{session}/{call}": approval.show,
        "/attention": attention.show,
        "/effects": effects.show,
        "/link/{token}": approval.follow,
        "/health": health.show,
    }
)
"""Pages by their paths."""

DOES: Mapping[str, Does] = MappingProxyType(
    {
        "/sessions": sessions.start,
        "/sessions/{id}/fork": forking.fork,
        "/sessions/{id}/{move}": session.move,
        "/approvals": approvals.decide_many,
        "/approvals/{session}/{call}": approval.act,
        "/attention/{session}": attention.act,
        "/link/{token}": approval.act_by_link,
        "/health": health.turn,
    }
)
"""What forms do, by the paths that they are sent to."""


def console(service: Service, place: str | None) -> Starlette:
    """The pages of these sessions; of the deployment at `place`, if it is one's."""
    shows = [Route(path, _showing(show, place), methods=["GET"]) for path, show in SHOWS.items()]
    does = [Route(path, _doing(do, place), methods=["POST"]) for path, do in DOES.items()]
    files = Route("/static/{name}", static.give, methods=["GET"])
    known = {HTTPException: _http, OnwardError: _known, Exception: _unforeseen}
    app = Starlette(routes=[*shows, *does, files], exception_handlers=known)
    app.state.service = service
    return app


def _showing(show: Shows, place: str | None) -> Answers:
    async def answers(request: Request) -> Response:
        return await show(made(request, place))

    return answers


def _doing(do: Does, place: str | None) -> Answers:
    async def answers(request: Request) -> Response:
        visit = made(request, place)
        return await do(visit, await form_of(visit))

    return answers


async def _known(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, OnwardError)
    return refused(request.scope, exc)


async def _unforeseen(request: Request, exc: Exception) -> Response:
    note_crash(exc)
    return _page(500, WENT_WRONG, "error")


async def _http(request: Request, exc: Exception) -> Response:
    """What the web framework itself refuses: a path or a method that nothing is for."""
    assert isinstance(exc, HTTPException)
    if exc.status_code == 404:
        return refused(request.scope, NotFound(f"there is no page {request.url.path[:100]}"))
    return _page(exc.status_code, str(exc.detail), "no_method")


def refused(scope: Scope, exc: OnwardError) -> Response:
    """The page that says why something is not shown or done; it is noted in the log."""
    return _page(noted(exc), str(exc), exc.code, getattr(exc, "stands", ""))


def _page(status: int, detail: str, code: str, stands: str = "") -> Response:
    said = {"title": HTTPStatus(status).phrase, "detail": detail, "code": code, "stands": stands}
    return HTMLResponse(rendered("refused.html", said), status, HEADERS)
