"""What a tool is given beside its arguments: resources of its process, and secrets that nothing may tell."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal, Protocol

from onward.core.files import MARK, File, file_in
from onward.core.outcomes import NotPerformed

Role = Literal["invoke", "reconcile", "poll"]
"""What a tool is asked to do: perform a call, tell what became of it, tell how it stands."""

STARS = "***"
LEAST_ENCODED = 8
"""Characters of a piece of base64 that can't stand in a text by chance."""

_EMPTY: Mapping[str, Any] = MappingProxyType({})


class NotPrepared(NotPerformed):
    """A resource or a secret that the call needs is not to be had: the call was certainly not performed."""


@dataclass(frozen=True, slots=True)
class Needs:
    """By the name of the parameter: the types of the resources, and the names of the secrets, that a function takes."""

    resources: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.resources or self.secrets)


class Given:
    """Values by the name of the parameter, and the words that must not be told: the secrets in these values, and those
    that the resources among them were made with."""

    def __init__(self, values: Mapping[str, Any] = _EMPTY, words: Iterable[str] = ()) -> None:
        self.values = values
        self.words = frozenset(words)

    def __repr__(self) -> str:
        return f"<given {', '.join(self.values) or 'nothing'}>"

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        forms = {form for word in self.words for form in _forms(word)}
        return re.compile("|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True)))

    def scrub(self, text: str) -> str:
        """The text with stars in place of every secret, also where it stands quoted, escaped or as base64."""
        return self._pattern.sub(STARS, text) if self.words else text

    def scrub_json(self, value: Any) -> Any:
        """A JSON value whose texts, keys and files are scrubbed."""
        if not self.words:
            return value
        if isinstance(value, str):
            return self.scrub(value)
        if isinstance(value, list):
            return [self.scrub_json(item) for item in value]
        if not isinstance(value, Mapping):
            return value
        file = file_in(value) if MARK in value else None
        if file is not None and file.data is not None:
            return self._scrubbed_file(file, file.data)
        return {self.scrub(key): self.scrub_json(item) for key, item in value.items()}

    def _scrubbed_file(self, file: File, data: bytes) -> Any:
        """Its base64 text can't be cut into: the bytes are."""
        for word in sorted(self.words, key=len, reverse=True):
            data = data.replace(word.encode(errors="replace"), STARS.encode())
        name, kind = self.scrub(file.name), self.scrub(file.media_type)
        return File(data=data, media_type=kind, name=name).model_dump(mode="json")


NOTHING = Given()


def _forms(word: str) -> Iterator[str]:
    """The word, and as it stands in a repr, in JSON, in a URL, and in base64 of a text that holds it."""
    from urllib.parse import quote, quote_plus  # only where there are secrets

    yield from (word, repr(word)[1:-1], repr(word.encode(errors="replace"))[2:-1])
    yield from (json.dumps(word)[1:-1], json.dumps(word, ensure_ascii=False)[1:-1])
    yield from (quote(word, errors="replace"), quote(word, "", errors="replace"), quote_plus(word, errors="replace"))
    for shift in range(3):
        inner = _encoded(word, shift)
        if len(inner) >= LEAST_ENCODED:
            yield from (inner, inner.translate({ord("+"): "-", ord("/"): "_"}))


def _encoded(word: str, shift: int) -> str:
    """What is always there of the word in base64 when so many bytes, modulo 3, stand before it."""
    raw = word.encode(errors="replace")
    whole = (shift + len(raw)) * 8 // 6
    return base64.b64encode(bytes(shift) + raw).decode()[-(-shift * 8 // 6) : whole]


class Supply(Protocol):
    """What a process gives its tools. Made lazily, kept until `close`.

    `give` raises NotPrepared, and its message holds no secret.
    """

    async def give(self, needs: Needs) -> Given: ...
    async def close(self) -> None: ...


class EmptySupply:
    """The supply of a process whose application has none."""

    async def give(self, needs: Needs) -> Given:
        if needs:
            names = ", ".join((*needs.resources, *needs.secrets))
            raise NotPrepared(f"nothing gives {names} here: run the tool's agent in an App with resources=")
        return NOTHING

    async def close(self) -> None:
        return None
