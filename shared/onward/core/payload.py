"""Private values as state and events hold them: the value itself, a blob elsewhere, or an erased place."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

from onward.core.canonical import canonical
from onward.core.events import Value


class Blob(Value):
    """A value too large for its commit: `digest` names it under its session, and covers `salt` and its text; `size` is
    in bytes.

    With `index` the value is that item of what the blob holds.
    """

    digest: str
    size: int
    preview: str
    salt: str = ""
    index: int | None = None


class Erased(Value):
    """Where a private value was; only its digest is left, in the log."""


def bytes_of(value: Any) -> int:
    """The size of a JSON value's text, wherever it lies."""
    if isinstance(value, Blob):
        return value.size
    if isinstance(value, Erased):
        return 0
    text = canonical(value)
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


_MARKS = frozenset({"$blob", "$erased", "$value"})


def pack(value: Any) -> Any:
    """The value as plain JSON; what looks like a mark of ours is wrapped, so that data can't pass for one."""
    if isinstance(value, Blob):
        return {"$blob": value.model_dump()}
    if isinstance(value, Erased):
        return {"$erased": True}
    if isinstance(value, dict) and len(value) == 1 and next(iter(value)) in _MARKS:
        return {"$value": value}
    return value


def unpack(value: Any) -> Any:
    """The inverse of `pack`."""
    if isinstance(value, dict) and len(value) == 1:
        ((mark, inner),) = value.items()
        if mark == "$blob":
            return Blob.model_validate(inner)
        if mark == "$erased":
            return Erased()
        if mark == "$value":
            return inner
    return value


Payload = Annotated[Any, PlainSerializer(pack), BeforeValidator(unpack)]
