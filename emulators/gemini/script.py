"""What the emulator is to answer: a list of turns, one for each request that it accepts.

A turn is an answer:

    text, thought    what is said, and what is thought before it
    calls            each `name`, `args`, and `id` if it is to have one
    signed           false leaves out the thought signature that models from Gemini 3 on send
    finish           the finish reason, STOP if none is given, and left out if it is empty; `finish_message`
    usage            any of prompt, cached, candidates, thoughts, tool_use, in tokens

or something else:

    blocked          the reason for which the prompt is blocked
    empty            "candidates" or "parts": what the answer lacks
    error            `code`, and any of `message`, `retry` (seconds, in the details) and `header` (seconds, Retry-After)
    body             this text, instead of JSON

and whichever it is: `delay`, seconds before it is sent, and `cut`, the bytes of the body after which the connection is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NUMBER = (int, float)
_KINDS: dict[str, Any] = {
    "text": str,
    "thought": str,
    "calls": list,
    "signed": bool,
    "finish": str,
    "finish_message": str,
    "usage": Mapping,
    "blocked": str,
    "empty": str,
    "error": Mapping,
    "body": str,
    "delay": NUMBER,
    "cut": int,
}
_USAGE = dict.fromkeys(("prompt", "cached", "candidates", "thoughts", "tool_use"), int)
_CALL: dict[str, Any] = {"name": str, "args": Mapping, "id": str}
_ERROR: dict[str, Any] = {"code": int, "message": str, "retry": NUMBER, "header": NUMBER}


class ScriptError(ValueError):
    """A script of the wrong form; the message names the field."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a script."""

    text: str = ""
    thought: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)
    signed: bool = True
    finish: str = "STOP"
    finish_message: str = ""
    usage: Mapping[str, int] = field(default_factory=dict)
    blocked: str | None = None
    empty: str | None = None
    error: Mapping[str, Any] | None = None
    body: str | None = None
    delay: float = 0.0
    cut: int | None = None

    @classmethod
    def read(cls, turn: Any, where: str = "turn") -> Turn:
        """The turn of a JSON object. Raises ScriptError."""
        _check(turn, _KINDS, where)
        _check(turn.get("usage", {}), _USAGE, f"{where}.usage")
        for index, call in enumerate(turn.get("calls", [])):
            _check(call, _CALL, f"{where}.calls[{index}]")
        if "error" in turn:
            _check(turn["error"], _ERROR, f"{where}.error", needed="code")
        if turn.get("empty", "parts") not in ("parts", "candidates"):
            raise ScriptError(f'{where}.empty: it is "candidates" or "parts"')
        return cls(**turn)


def read_script(path: Path) -> list[Turn]:
    """The turns of a JSON file, `{"turns": [...]}`. Raises ScriptError."""
    try:
        script = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise ScriptError(f"{path}: {exc}") from exc
    _check(script, {"turns": list}, str(path), needed="turns")
    return [Turn.read(turn, f"{path}: turns[{index}]") for index, turn in enumerate(script["turns"])]


def _check(value: Any, kinds: Mapping[str, Any], where: str, needed: str | None = None) -> None:
    if not isinstance(value, Mapping):
        raise ScriptError(f"{where}: it is an object")
    for name, item in value.items():
        if name not in kinds:
            raise ScriptError(f"{where}.{name}: there is no such field; there are {', '.join(kinds)}")
        if not isinstance(item, kinds[name]):
            raise ScriptError(f"{where}.{name}: {item!r} is of the wrong kind")
    if needed is not None and needed not in value:
        raise ScriptError(f"{where}.{needed}: it is missing")
