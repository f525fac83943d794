"""One text for one value: what is hashed, compared and stored."""

from __future__ import annotations

import hashlib
from json import JSONEncoder
from typing import Any

from pydantic_core import to_json

from onward.errors import BadInput

DEEPEST = 128
"""Levels of lists and objects in one value: what is stored is read by parsers that give up at some 200, envelopes and
all."""

_encode = JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def canonical(value: Any) -> str:
    """Canonical JSON: sorted keys, no spaces, UTF-8 kept, no NaN or infinity, no half of a surrogate pair.

    Raises BadInput for what JSON can't hold, and for what is nested deeper than DEEPEST.
    """
    try:
        text = _encode(value)
        if not text.isascii():
            text.encode()
        if text.count("[") + text.count("{") > DEEPEST and _deep(value):
            raise RecursionError
        return text
    except RecursionError:
        raise BadInput(f"not a JSON value: it is nested too deeply, and {DEEPEST} levels are taken") from None
    except (TypeError, ValueError) as exc:
        raise BadInput(f"not a JSON value: {exc}") from exc


def _deep(value: Any) -> bool:
    """Whether it is nested too deeply: level by level, as what is nested deeply should not be walked so."""
    level = [value]
    for _ in range(DEEPEST + 1):
        inside = [
            each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list | tuple)
        ]
        level = [part for each in inside for part in each]
        if not level:
            return False
    return True


def document(value: Any) -> str:
    """JSON text of plain values, as they come: for documents whose parts are digested one by one. Quick."""
    return to_json(value).decode()


def digest(value: Any) -> str:
    """The SHA-256 of the canonical text, as 64 hex digits."""
    return sha256(canonical(value))


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
