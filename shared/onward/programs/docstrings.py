"""Docstrings: what they say of each parameter, and the rest of them.

The section on parameters may be in the style of Google, NumPy or reST (Sphinx). Everything else stays as it stands:
what is returned, and when it is refused, helps a model too.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence

_WORDS = r"(?:(?:other|keyword|key)\s+)?(?:args|arguments|params|parameters)"
_GOOGLE = re.compile(rf"{_WORDS}\s*:\s*", re.I)
_NUMPY = re.compile(rf"{_WORDS}\s*", re.I)
_RULE = re.compile(r"-{3,}\s*")
_ITEM = re.compile(r"\*{0,2}(\w+)\s*(?:\([^:]*\))?\s*:(?:\s+(.*)|$)")
_NAMES = re.compile(r"(\*{0,2}\w+(?:\s*,\s*\*{0,2}\w+)*)\s*(?::.*)?")
_FIELD = re.compile(r":(?:param|parameter|arg|argument|key|keyword)\s+(?:[^:]*?\s)?\*{0,2}(\w+)\s*:\s*(.*)")
_TYPE = re.compile(r":type\s+\w+\s*:.*")

Lines = list[str]


def split(docstring: str) -> tuple[str, dict[str, str]]:
    """The docstring without its sections on parameters, and what these say, by the name of the parameter."""
    lines, rest, told = inspect.cleandoc(docstring).splitlines(), Lines(), dict[str, str]()
    while lines:
        taken = _google(lines, told) or _numpy(lines, told) or _rest(lines, told)
        if not taken:
            rest.append(lines[0])
        elif rest and not rest[-1].strip() and len(lines) > taken and not lines[taken].strip():
            taken += 1
        lines = lines[taken or 1 :]
    return "\n".join(rest).strip(), told


def _google(lines: Lines, told: dict[str, str]) -> int:
    """How many lines a section in Google's style takes here."""
    block = _block(lines[1:]) if _GOOGLE.fullmatch(lines[0]) else []
    items = _items(block)
    if not items or any(_ITEM.fullmatch(item[0].strip()) is None for item in items):
        return 0
    for item in items:
        found = _ITEM.fullmatch(item[0].strip())
        assert found is not None
        told[found[1]] = _prose([found[2] or "", *item[1:]])
    return 1 + len(block)


def _numpy(lines: Lines, told: dict[str, str]) -> int:
    """How many lines a section in NumPy's style takes here."""
    if len(lines) < 3 or not _NUMPY.fullmatch(lines[0]) or not _RULE.fullmatch(lines[1]):
        return 0
    end = next((at for at in range(3, len(lines)) if _RULE.fullmatch(lines[at])), len(lines) + 1) - 1
    for item in _items(lines[2:end]):
        found = _NAMES.fullmatch(item[0].strip())
        for name in found[1].split(",") if found else ():
            told[name.strip().lstrip("*")] = _prose(item[1:])
    return end


def _rest(lines: Lines, told: dict[str, str]) -> int:
    """How many lines a field in reST's style takes here."""
    found = _FIELD.fullmatch(lines[0])
    if found is None and not _TYPE.fullmatch(lines[0]):
        return 0
    block = _block(lines[1:])
    if found is not None:
        told[found[1]] = _prose([found[2], *block])
    return 1 + len(block)


def _block(lines: Sequence[str]) -> Lines:
    """The lines that are indented, to the last one with words in it."""
    end = next((at for at, line in enumerate(lines) if line.strip() and not line[0].isspace()), len(lines))
    while end and not lines[end - 1].strip():
        end -= 1
    return list(lines[:end])


def _items(block: Lines) -> list[Lines]:
    """Each line that stands furthest to the left, with the deeper ones below it."""
    left = min((len(line) - len(line.lstrip()) for line in block if line.strip()), default=0)
    items: list[Lines] = []
    for line in block:
        if line.strip() and len(line) - len(line.lstrip()) == left:
            items.append([line])
        elif items:
            items[-1].append(line)
    return items


def _prose(lines: Sequence[str]) -> str:
    """Lines as running text; a blank line stays one."""
    paragraphs = "\n".join(line.strip() for line in lines).strip().split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs if paragraph.strip())
