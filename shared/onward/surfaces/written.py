"""What is written in a command, as the input that a program takes."""

from __future__ import annotations

import json
from typing import Any

from onward.errors import BadInput


def taken(program: Any, written: Any) -> Any:
    """What a new session is given: a text as it is where the program takes one, else the JSON that it is. Raises
    BadInput, naming the field."""
    check = getattr(program, "check_start", None)
    if check is None:
        return written
    try:
        check(written)
    except BadInput as exc:
        written = as_json(written, exc)
        check(written)
    return written


def as_json(written: Any, refused: BadInput) -> Any:
    """The JSON value that a text is which was refused. Raises that refusal where there is no other way to read it."""
    if not isinstance(written, str) or not str(refused).startswith("input"):
        raise refused
    try:
        return json.loads(written)
    except ValueError as exc:
        raise BadInput(f"{refused}; and what is written is no JSON ({exc})") from exc
