"""Spans of time as people write them."""

from __future__ import annotations

import re
from datetime import timedelta

from onward.errors import BadInput

Span = timedelta | str | int | float
"""A length of time: a timedelta, a number of seconds, or a text of numbers with ms, s, m, h, d or w: `90s`, `1h30m`."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")


def seconds(span: Span, field: str = "duration") -> float:
    """Seconds in a timedelta, a number of seconds, or a text such as `90s`, `24h`, `1h30m`.

    Raises BadInput for anything else, and for what is not above zero.
    """
    value = _number(span)
    if value is None or not 0 < value < 1e10:
        raise BadInput(
            f"{field}: {span!r} is not a time span above zero; write 90, '90s', '24h', '1h30m' or a timedelta"
        )
    return value


def _number(span: Span) -> float | None:
    if isinstance(span, timedelta):
        return span.total_seconds()
    if isinstance(span, bool):
        return None
    if isinstance(span, int | float):
        return float(span)
    parts = _PART.findall(span.replace(" ", "")) if isinstance(span, str) else []
    if not parts or "".join(n + u for n, u in parts) != span.replace(" ", ""):
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in parts)
