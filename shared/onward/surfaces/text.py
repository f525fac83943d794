"""How values, times and tables look to a person. Nothing here knows a session."""

from __future__ import annotations

import json
import textwrap
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from onward.core.payload import Blob, Erased

Tone = Literal["plain", "good", "bad", "ask", "dim", "strong"]
_CODES = {"good": "32", "bad": "31", "ask": "33", "dim": "2", "strong": "1"}
_JOINERS = "\u200c\u200d\u00a0\u202f"
"""Invisible, but ordinary in people's text: parts of emoji and of several scripts, and spaces that don't break."""

_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


@dataclass(frozen=True, slots=True)
class Paper:
    """What is written on: how wide it is, and whether it takes colour."""

    width: int = 100
    color: bool = False

    def tint(self, text: str, tone: Tone) -> str:
        return f"\x1b[{_CODES[tone]}m{text}\x1b[0m" if self.color and tone in _CODES and text else text


# --- values ----------------------------------------------------------------------------------------------------


def safe(text: str, exact: bool = False) -> str:
    """The text with everything escaped that a terminal would obey, or that hides or reorders what is shown.

    With `exact` nothing invisible is left, as befits what a person decides on.
    """
    keep = "" if exact else _JOINERS
    return "".join(c if c.isprintable() or c in keep or c == "\n" else _escaped(c) for c in text.replace("\r\n", "\n"))


def _escaped(char: str) -> str:
    if char == "\t":
        return "    "
    if unicodedata.category(char) == "Zs":
        return " "
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def shown(value: Any, exact: bool = False) -> str:
    """A value in one line: JSON, but for what lies elsewhere or was erased."""
    if isinstance(value, Blob):
        return f"{safe(value.preview, exact)}… ({value.size:,} bytes)"
    if isinstance(value, Erased):
        return "(erased)"
    return safe(json.dumps(value, ensure_ascii=False, default=str), exact).replace("\n", "\\n")


WIDE = 60
"""Characters of a value that are as easily read in one line."""


def laid_out(value: Any, exact: bool = False) -> str:
    """A value for whoever is to read it well: what has parts and is long has a line for each."""
    line = shown(value, exact)
    if len(line) <= WIDE or not isinstance(value, Mapping | list | tuple):
        return line
    return safe(json.dumps(value, ensure_ascii=False, default=str, indent=2), exact)


def said(value: Any) -> str:
    """A value as words: a text itself, anything else as JSON."""
    return safe(value) if isinstance(value, str) else shown(value)


def in_full(value: Any) -> str:
    """A value that stands by itself: a text, anything else as JSON that is laid out."""
    return safe(value) if isinstance(value, str) else laid_out(value)


def cut(text: str, most: int) -> str:
    """At most so many characters, the cut marked."""
    return text if len(text) <= most else f"{text[: max(0, most - 1)]}…"


def brief(text: str, most: int) -> str:
    """The text in one line of at most so many characters."""
    return cut(" ".join(text.split()), most)


def preview(text: str, lines: int, most: int) -> str:
    """The beginning of a long text, and how long it is."""
    kept = "\n".join(text.splitlines()[:lines])[:most]
    return text if kept == text.rstrip("\n") else f"{kept.rstrip()} … ({len(text):,} characters)"


def call_text(tool: str, arguments: Any) -> str:
    """A call as one would write it."""
    if isinstance(arguments, Mapping):
        return f"{safe(tool)}({', '.join(f'{safe(name)}={shown(value)}' for name, value in arguments.items())})"
    return f"{safe(tool)}({shown(arguments)})"


def input_text(name: str | None) -> str:
    """An input that is waited for, by its name if it has one."""
    return f"the input {safe(name)}" if name else "an input"


# --- times -----------------------------------------------------------------------------------------------------


def span(seconds: float) -> str:
    """A span in its two largest units: `1 h 5 m`."""
    left, parts = int(max(0.0, seconds) + 0.5), []
    for unit, size in _UNITS:
        if left >= size:
            parts.append(f"{left // size} {unit}")
            left %= size
    return " ".join(parts[:2]) or "0 s"


def ago(at: datetime, now: datetime) -> str:
    return f"{span((now - at).total_seconds())} ago"


def until(at: datetime, now: datetime) -> str:
    """A time to come, and how far off it is."""
    away = at - now
    if away <= timedelta():
        return f"{moment(at, now)} (due)"
    return f"{moment(at, now)} (in {span(away.total_seconds())})"


def moment(at: datetime, now: datetime) -> str:
    """A time in the zone of this machine, with its day unless that is today."""
    local = at.astimezone()
    return f"{local:%H:%M:%S}" if local.date() == now.astimezone().date() else f"{local:%Y-%m-%d %H:%M:%S}"


# --- lines -----------------------------------------------------------------------------------------------------


def indented(text: str, width: int, indent: int) -> list[str]:
    """The text in lines that fit, its own line breaks kept."""
    room = max(20, width - indent)
    return [part for line in text.splitlines() or [""] for part in _wrapped(line, room)]


def _wrapped(line: str, room: int) -> list[str]:
    wrapper = textwrap.TextWrapper(room, break_long_words=True, break_on_hyphens=False, drop_whitespace=True)
    return wrapper.wrap(line) or [""]


def columns(text: str) -> int:
    """How many columns a text takes up."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 0 if unicodedata.combining(c) else 1 for c in text)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], paper: Paper) -> list[str]:
    """Aligned columns; the last one takes what room is left."""
    widths = [max(columns(row[at]) for row in (head, *rows)) for at in range(len(head) - 1)]
    room = max(16, paper.width - sum(widths) - 2 * len(widths))
    lines = [_row(row, widths, room) for row in (head, *rows)]
    return [paper.tint(lines[0], "dim"), *lines[1:]]


def _row(row: Sequence[str], widths: Sequence[int], room: int) -> str:
    cells = [text + " " * (width - columns(text)) for text, width in zip(row, widths, strict=False)]
    return "  ".join((*cells, cut(row[-1], room))).rstrip()
