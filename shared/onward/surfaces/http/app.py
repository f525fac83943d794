"""The API as an application: its routes, and the description that is served of them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.types import ASGIApp

from onward.surfaces.http import (
    branching,
    comparing,
    events,
    files,
    health,
    links,
    looking,
    moving,
    operating,
    porting,
    problems,
    replaying,
    sessions,
)
from onward.surfaces.http.service import Service

VERSION = "1"
DESCRIPTION = """Sessions of agents and workflows: start them, tell them something, decide what they ask, follow them.

Every request but the one for this description takes a caller who is known. Roles are held by tenant; what is not for a
caller is not found. Errors are problem documents with a stable `code`."""


def api(service: Service) -> ASGIApp:
    """The API, for callers who are known."""
    app = described()
    app.state.service = service
    return app


def described() -> FastAPI:
    """The routes, without anything to serve."""
    app = FastAPI(title="Onward", version=VERSION, openapi_url="/v1/openapi.json", docs_url=None, redoc_url=None)
    routes = APIRouter(prefix="/v1", responses=dict(problems.RESPONSES))
    for each in (
        sessions,
        branching,
        comparing,
        replaying,
        porting,
        files,
        moving,
        links,
        events,
        looking,
        operating,
        health,
    ):
        routes.include_router(each.router)
    app.include_router(routes, generate_unique_id_function=lambda route: route.name)
    problems.install(app)
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]
    return app


def _document(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, routes=app.routes, description=DESCRIPTION)
        app.openapi_schema = _completed(document)
    return app.openapi_schema


def _completed(document: dict[str, Any]) -> dict[str, Any]:
    """What the framework does not know: problems instead of its own form of errors, and how callers are known."""
    parts = document["components"]
    for name in ("HTTPValidationError", "ValidationError"):
        parts["schemas"].pop(name, None)
    parts["schemas"]["Problem"] = problems.Problem.model_json_schema()
    parts["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "An identity token."}
    }
    document["security"] = [{"token": []}]
    for path in document["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
    return document


def openapi() -> dict[str, Any]:
    """The description of the API."""
    return described().openapi()
