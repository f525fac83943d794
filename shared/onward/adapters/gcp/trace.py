"""The trace that the request under way belongs to: what it publishes and arms carries it on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_TRACE: ContextVar[str | None] = ContextVar("trace", default=None)
HEADER = "traceparent"
_FORM = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@contextmanager
def traced(parent: str | None) -> Iterator[None]:
    """Within this block everything belongs to this W3C traceparent; to none, if it is no such thing."""
    before = _TRACE.set(well_formed(parent))
    try:
        yield
    finally:
        _TRACE.reset(before)


def trace_header() -> dict[str, str]:
    """As a header, or an attribute of a message."""
    parent = _TRACE.get()
    return {HEADER: parent} if parent else {}


def trace_id() -> str | None:
    """The trace's own id: 32 hexadecimal digits."""
    parent = _TRACE.get()
    return parent.split("-")[1] if parent else None


def well_formed(parent: str | None) -> str | None:
    """The traceparent that somebody sent, if it is one."""
    return parent if parent and _FORM.fullmatch(parent) else None
