"""Values as a page shows them, and events as the JSON that they are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from onward.core.events import Event
from onward.core.files import MARK, digests_in
from onward.core.payload import Blob, Erased
from onward.surfaces.documents import event_doc
from onward.surfaces.text import safe, shown


def written(value: Any) -> str:
    """A value: a text itself, anything else as JSON in which nothing is invisible. Of a large one that lies elsewhere
    the beginning."""
    if isinstance(value, str):
        return safe(value)
    return shown(value) if isinstance(value, Blob | Erased) else as_json(value)


def as_json(value: Any) -> str:
    """A JSON value, to be read by people: the same value again for who parses it, and nothing in it is invisible."""
    try:
        text = json.dumps(value, ensure_ascii=False, indent=2, default=str)
    except RecursionError:  # lines and indents are what takes the depth
        text = json.dumps(value, ensure_ascii=False, default=str)
    if text.replace("\n", "").isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text)


def raw(event: Event) -> str:
    """An event as the JSON that it is, but for large values that lie elsewhere: of those the beginning."""
    far = {name: value for name in event.body.private if isinstance(value := getattr(event.body, name), Blob)}
    if not far:
        return as_json(event_doc(event))
    near = {name: {"beginning": value.preview, "bytes": value.size} for name, value in far.items()}
    return as_json(event_doc(event.model_copy(update={"body": event.body.model_copy(update=near)})))


@dataclass(frozen=True, slots=True)
class Attached:
    """A file that a value refers to, as whoever sent it says."""

    digest: str
    name: str
    media_type: str


def files_in(event: Event) -> list[Attached]:
    """The files that an event refers to, each once."""
    found = (file for name in event.body.private for file in _files(getattr(event.body, name)))
    return list({file.digest: file for file in found}.values())


def _files(value: Any) -> Iterator[Attached]:
    if isinstance(value, list):
        for item in value:
            yield from _files(item)
    elif isinstance(value, Mapping) and len(value) == 1 and isinstance(value.get(MARK), Mapping) and digests_in(value):
        told = value[MARK]
        yield Attached(told["digest"], safe(str(told.get("name") or "")), safe(str(told.get("media_type") or "")))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _files(item)
