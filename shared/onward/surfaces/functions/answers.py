"""Requests and answers of the functions, whatever serves them; and which error is which answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from onward.adapters.gcp.identity import Unidentified
from onward.errors import BadInput, NotFound, OnwardError, Refused, Retryable, UsageError

STATUSES: Mapping[type[OnwardError], int] = {
    Unidentified: 401,
    NotFound: 404,
    Refused: 409,
    UsageError: 400,
    Retryable: 503,
    OnwardError: 500,
}
"""The answer to each error: of those that fit, the first."""


def status_of(exc: OnwardError) -> int:
    """The HTTP status that tells of this error."""
    return next(status for kind, status in STATUSES.items() if isinstance(exc, kind))


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. Header names may be in any case."""

    headers: Mapping[str, str]
    body: bytes = b""
    method: str = "POST"
    path: str = "/"
    query: Mapping[str, str] = field(default_factory=dict)

    def header(self, name: str) -> str | None:
        return {known.lower(): value for known, value in self.headers.items()}.get(name)

    def document(self) -> dict[str, Any]:
        """The JSON object in the body; an empty body is an empty one. Raises BadInput."""
        try:
            doc = json.loads(self.body or b"{}")
        except (ValueError, RecursionError) as exc:
            raise BadInput(f"body: it is no JSON: {exc}") from exc
        if not isinstance(doc, dict):
            raise BadInput("body: it is no JSON object")
        return doc


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, and the JSON document that goes with it."""

    status: int
    document: Any = None

    @property
    def body(self) -> bytes:
        if self.document is None:
            return b""
        return json.dumps(self.document, ensure_ascii=False, default=str).encode(errors="replace")
