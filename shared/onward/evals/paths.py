"""Places in JSON values, written as `lines.0.amount`."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

MISSING: Any = object()


def at_path(value: Any, path: str) -> Any:
    """The value at a path, or MISSING; the empty path is the value itself."""
    for part in path.split(".") if path else ():
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return MISSING
    return value


def number(value: Any) -> Decimal | None:
    """A number, also one that is written as text, as sums of money are."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal: true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def difference(wanted: Any, found: Any, path: str = "") -> str | None:
    """Where a value lacks what is wanted of it, or has another; objects may have more fields. None if nowhere."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        inner = (difference(wanted[name], found.get(name, MISSING), f"{path}.{name}".strip(".")) for name in wanted)
        return next((each for each in inner if each is not None), None)
    return None if found is not MISSING and same(wanted, found) else path or "the answer"
