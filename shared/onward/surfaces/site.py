"""What is served: the API for programs and the console for people, behind one door."""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from onward.errors import OnwardError
from onward.surfaces.console.app import console, refused
from onward.surfaces.http.app import api
from onward.surfaces.http.door import API, Door, Who
from onward.surfaces.http.problems import answer
from onward.surfaces.http.service import Service


def make(service: Service, who: Who, *, place: str | None = None, hosts: frozenset[str] | None = None) -> ASGIApp:
    """API and console as one ASGI application: that of the deployment at `place`, if it is one's. With `hosts` it only
    answers to these names."""
    routes, pages = api(service), console(service, place)

    async def chosen(scope: Scope, receive: Receive, send: Send) -> None:
        await (routes if _is_api(scope) else pages)(scope, receive, send)

    def refusal(scope: Scope, exc: OnwardError) -> Response:
        return answer(exc) if _is_api(scope) else refused(scope, exc)

    return Door(chosen, who, refusal, place, hosts)


def _is_api(scope: Scope) -> bool:
    """Lifespans and the like are the API's too."""
    return str(scope.get("path", API)).startswith(API)
