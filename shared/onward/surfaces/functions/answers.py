"""Requests and answers of the functions, whatever serves them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. Header names may be in any case."""

    headers: Mapping[str, str]
    body: bytes = b""

    def header(self, name: str) -> str | None:
        return {known.lower(): value for known, value in self.headers.items()}.get(name)


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
