"""The trace that the request under way belongs to: what it publishes and arms carries it on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_TRACE: ContextVar[str | None] = ContextVar("trace", default=None)
HEADER = "traceparent"


@contextmanager
def traced(parent: str | None) -> Iterator[None]:
    """Within this block everything belongs to this W3C traceparent, if there is one."""
    before = _TRACE.set(parent)
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
    parts = (_TRACE.get() or "").split("-")
    return parts[1] if len(parts) == 4 and len(parts[1]) == 32 else None
