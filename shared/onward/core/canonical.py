"""One text for one value: what is hashed, compared and stored."""

from __future__ import annotations

import hashlib
from json import JSONEncoder
from typing import Any

from pydantic_core import to_json

from onward.errors import BadInput

DEEPEST = 128
"""Levels of lists and objects in a value that comes from outside: what is stored, with all that is around it, is read
by parsers that give up at some 200."""

TOO_DEEP = f"not a JSON value: it is nested too deeply; {DEEPEST} levels are taken"

_encode = JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def canonical(value: Any, deepest: int | None = None) -> str:
    """Canonical JSON: sorted keys, no spaces, UTF-8 kept, no NaN or infinity, no half of a surrogate pair.

    Raises BadInput for what JSON can't hold, and for more levels than `deepest`, if that is given.
    """
    try:
        text = _encode(value)
        if not text.isascii():
            text.encode()
    except RecursionError:
        raise BadInput(TOO_DEEP) from None
    except (TypeError, ValueError) as exc:
        raise BadInput(f"not a JSON value: {exc}") from exc
    if deepest is not None and text.count("[") + text.count("{") > deepest and levels(value) > deepest:
        raise BadInput(TOO_DEEP)
    return text


def copied(value: Any) -> Any:
    """The same JSON in lists and objects of its own: who changes them changes nothing of the other's."""
    if isinstance(value, dict):
        return {name: copied(each) for name, each in value.items()}
    return [copied(each) for each in value] if isinstance(value, list) else value


def levels(value: Any) -> int:
    """How deeply lists and objects are nested in a value: counted level by level, however deep it is."""
    count, level = 0, [value]
    while level := [each for each in level if isinstance(each, dict | list | tuple)]:
        parts = (each.values() if isinstance(each, dict) else each for each in level)
        count, level = count + 1, [part for each in parts for part in each]
    return count


def document(value: Any) -> str:
    """JSON text of plain values, as they come: for documents whose parts are digested one by one. Quick."""
    return to_json(value).decode()


def digest(value: Any) -> str:
    """The SHA-256 of the canonical text, as 64 hex digits."""
    return sha256(canonical(value))


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
