"""What is answered when something can't be done: problem documents (RFC 9457) with the library's stable codes."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from onward.errors import (
    BadInput,
    Gone,
    NotAllowed,
    NotFound,
    OnwardError,
    Refused,
    Retryable,
    Unidentified,
    UsageError,
)

MEDIA = "application/problem+json"

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

log = logging.getLogger("onward.http")


class Problem(BaseModel):
    """Why a request was not done; nothing was changed by it, but where the status is 500 or 503: then something may
    have been, and the same request again, under the same Idempotency-Key, does no harm."""

    type: str = Field(default="about:blank", description="Always `about:blank`: the code says more.")
    title: str = Field(description="The status in words.", examples=["Conflict"])
    status: int = Field(examples=[409])
    code: str = Field(description="What is wrong: a word that stays the same.", examples=["not_open"])
    detail: str = Field(description="The same for people: the field or thing, the reason, what can be done.")
    stands: str | None = Field(default=None, description="Of what was refused: what holds instead.")


class TooLarge(UsageError):
    """More was sent than is taken."""

    code = "too_large"


class WrongMedia(UsageError):
    """What was sent is no JSON."""

    code = "wrong_media_type"


STATUSES: Mapping[type[OnwardError], int] = MappingProxyType(
    {
        Unidentified: 401,
        NotAllowed: 403,
        NotFound: 404,
        Gone: 410,
        Refused: 409,
        TooLarge: 413,
        WrongMedia: 415,
        UsageError: 400,
        Retryable: 503,
        OnwardError: 500,
    }
)
"""The answer to each error: of those that fit, the first."""

_HEADERS: Mapping[int, Mapping[str, str]] = MappingProxyType(
    {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "1"}}
)


def status_of(exc: OnwardError) -> int:
    """The HTTP status that tells of this error."""
    return next(status for kind, status in STATUSES.items() if isinstance(exc, kind))


def answer(exc: OnwardError) -> Response:
    """The problem that an error is, noted in the log."""
    return problem(noted(exc), exc.code, str(exc), getattr(exc, "stands", "") or None)


def noted(exc: OnwardError) -> int:
    """Note an error in the log, and answer the status that tells of it."""
    status = status_of(exc)
    level = logging.ERROR if status >= 500 else logging.INFO
    log.log(level, "request refused: %s", exc, extra={"action": "refused", "code": exc.code})
    return status


def problem(status: int, code: str, detail: str, stands: str | None = None) -> Response:
    """The answer that says so."""
    told = Problem(title=HTTPStatus(status).phrase, status=status, code=code, detail=detail, stands=stands)
    text = json.dumps(told.model_dump(exclude_none=True), ensure_ascii=False)
    return Response(text.encode(errors="replace"), status, _HEADERS.get(status), MEDIA)


def install(app: FastAPI) -> None:
    """Have an application answer whatever goes wrong in it so."""
    app.add_exception_handler(OnwardError, _known)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unforeseen)


async def _known(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, OnwardError)
    return answer(exc)


async def _unforeseen(request: Request, exc: Exception) -> Response:
    return crashed(exc)


async def _malformed(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, RequestValidationError)
    return answer(BadInput(_words(exc.errors())))


def _words(errors: Sequence[Any]) -> str:
    """What is wrong first, with the field's name; never what was sent."""
    error = errors[0]
    place = ".".join(str(part) for part in error["loc"][1:]) if error["type"] != "json_invalid" else ""
    why = f": {error['ctx']['error']}" if error["type"] == "json_invalid" and "error" in error.get("ctx", {}) else ""
    return f"{place or error['loc'][0]}: {error['msg']}{why}"


async def _http(request: Request, exc: Exception) -> Response:
    """What the web framework itself refuses: a path or a method that nothing is for."""
    assert isinstance(exc, HTTPException)
    if exc.status_code == 404:
        return answer(NotFound(f"there is nothing at {request.url.path[:100]}"))
    code = "no_method" if exc.status_code == 405 else "bad_input"
    said = f"{request.method} is not for {request.url.path[:100]}" if exc.status_code == 405 else str(exc.detail)
    refusal = problem(exc.status_code, code, said)
    refusal.headers.update(exc.headers or {})
    if exc.status_code == 405:
        refusal.headers["Allow"] = ", ".join(_methods(request))
    return refusal


def _methods(request: Request) -> list[str]:
    """All that the path is for: the framework names those of one route."""
    return sorted(method for method in _METHODS if _is_for(request, method))


def _is_for(request: Request, method: str) -> bool:
    scope = {**request.scope, "method": method}
    return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)


WENT_WRONG = "something went wrong; the log says more"


def crashed(exc: Exception) -> Response:
    """The answer where something went wrong that nobody foresaw."""
    note_crash(exc)
    return problem(500, "error", WENT_WRONG)


def note_crash(exc: Exception) -> None:
    """Note in the log what nobody foresaw."""
    log.error("a request failed", exc_info=exc, extra={"action": "failed"})


RESPONSES: Mapping[int | str, dict[str, Any]] = MappingProxyType(
    {
        status: {"description": words, "content": {MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
        for status, words in {
            400: "A field is wrong or missing; `detail` names it.",
            401: "Nobody is known by what was shown.",
            403: "Whoever asks may not do this.",
            404: "There is no such thing, or not for whoever asks.",
            409: "Right form, wrong moment: `stands` says what holds instead.",
            410: "It was there, and will not be again: `stands` says what became of it.",
            413: "More was sent than is taken.",
            415: "What was sent is no JSON.",
            503: "Nobody knows whether it was done: the same again, under the same Idempotency-Key, does no harm.",
        }.items()
    }
)
"""What every route may answer besides."""
