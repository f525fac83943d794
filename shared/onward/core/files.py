"""Files and images in inputs and results: in the log a reference, their bytes in a blob of the session.

In JSON a file is `{"$file": {media_type, name, size, digest}}`, and on its way in or out `data` too, as base64 text.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import mimetypes
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pydantic import ValidationError, model_serializer, model_validator

from onward.core.canonical import DEEPEST, TOO_DEEP
from onward.core.events import Value
from onward.errors import BadInput, CorruptLog

MARK = "$file"
_DIGEST = re.compile("[0-9a-f]{64}")
LARGEST = 20 * 1024 * 1024
"""Bytes: more than a model takes in one request."""

Stash = dict[str, str]
"""Base64 text of files by digest: what is to lie in blobs under `files/<digest>`."""


class File(Value):
    """A file or an image as an input, part of an input, or a tool's result.

    `media_type` is a MIME type, `name` what people call it. `data` is None where the bytes are gone, and where only the
    reference is at hand, with their `size` and `digest`: in a workflow's body, which gives it to a step.
    """

    data: bytes | None
    media_type: str
    name: str = ""
    size: int = 0
    digest: str = ""

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        """A file is read from its JSON too."""
        fields = value.get(MARK) if isinstance(value, Mapping) and len(value) == 1 else None
        if not isinstance(fields, Mapping):
            return value
        known = {name: fields[name] for name in ("media_type", "name", "size", "digest") if name in fields}
        data = fields.get("data")
        return known | {"data": data if data is None else base64.b64decode(data, validate=True)}

    @classmethod
    def named(cls, name: str, data: bytes, media_type: str | None = None) -> File:
        """A file whose type its name's ending tells, unless it is given. Raises BadInput where neither does."""
        guessed = media_type or mimetypes.guess_type(name)[0]
        if guessed is None:
            raise BadInput(f"file {name}: its ending says no media type; give media_type=")
        return cls(data=data, media_type=guessed, name=name)

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> dict[str, Any]:
        """As it is written, and not as it is held."""
        fields = {"type": "object", "properties": {"media_type": {"type": "string"}}, "required": ["media_type"]}
        return {"type": "object", "properties": {MARK: fields}, "required": [MARK], "additionalProperties": False}

    @model_serializer
    def _marked(self) -> dict[str, Any]:
        if self.data is None and self.digest:
            fields = {"media_type": self.media_type, "name": self.name, "size": self.size}
            return {MARK: fields | {"digest": self.digest}}
        data = self.data or b""
        fields = {"media_type": self.media_type, "name": self.name, "size": len(data)}
        return {MARK: fields | {"digest": hashlib.sha256(data).hexdigest(), "data": base64.b64encode(data).decode()}}


def file_in(value: Any) -> File | None:
    """The file that this JSON value is, if it is one. `data` is None where only the reference is at hand."""
    fields = value.get(MARK) if isinstance(value, Mapping) and len(value) == 1 else None
    if not isinstance(fields, Mapping) or not isinstance(fields.get("media_type"), str):
        return None
    data = fields.get("data")
    try:
        decoded = None if data is None else base64.b64decode(data, validate=True)
        return File(data=decoded, media_type=fields["media_type"], name=str(fields.get("name") or ""))
    except (ValueError, TypeError, ValidationError):
        return None


def stash(value: Any, taken: Stash) -> Any:
    """The value with the bytes of its files taken out, into `taken`. Raises BadInput for one that can't be a file, and
    for what is nested too deeply."""
    return _bare(value, taken, DEEPEST)


def _bare(value: Any, taken: Stash, room: int) -> Any:
    if isinstance(value, File):
        value = value.model_dump(mode="json")
    if not isinstance(value, list | tuple | Mapping):
        return value
    if not room:
        raise BadInput(TOO_DEEP)
    if isinstance(value, list | tuple):
        return [_bare(item, taken, room - 1) for item in value]
    if len(value) == 1 and isinstance(value.get(MARK), Mapping):
        return _stashed(value, taken) if "data" in value[MARK] else _referred(value)
    return {key: _bare(item, taken, room - 1) for key, item in value.items()}


def _stashed(value: Mapping[str, Any], taken: Stash) -> dict[str, Any]:
    file = file_in(value)
    if file is None or file.data is None:
        raise BadInput("$file: needs a media_type, and data as base64 text")
    if len(file.data) > LARGEST:
        raise BadInput(f"file {file.name or file.media_type}: {len(file.data)} bytes; at most {LARGEST} are taken")
    reference: dict[str, Any] = file.model_dump(mode="json")[MARK]
    taken[reference["digest"]] = reference.pop("data")
    return {MARK: reference}


def _referred(value: Mapping[str, Any]) -> dict[str, Any]:
    digest = value[MARK].get("digest")
    if not _is_digest(digest):
        raise BadInput(f"$file: {str(digest)[:80]!r} is no digest of a file, and there is no data")
    return dict(value)


def _is_digest(digest: Any) -> bool:
    return isinstance(digest, str) and _DIGEST.fullmatch(digest) is not None


async def filled(value: Any, fetch: Callable[[str], Awaitable[str | None]]) -> Any:
    """The value with the bytes of its files in it. One whose bytes are gone stays a reference; where they are others
    than its digest says, raises CorruptLog."""
    if isinstance(value, list):
        return [await filled(item, fetch) for item in value]
    if not isinstance(value, Mapping):
        return value
    reference = value.get(MARK) if len(value) == 1 else None
    if isinstance(reference, Mapping) and "data" not in reference and _is_digest(reference.get("digest")):
        data = await fetch(reference["digest"])
        return value if data is None else {MARK: {**reference, "data": _genuine(data, reference["digest"])}}
    return {key: await filled(item, fetch) for key, item in value.items()}


def is_genuine(data: str, digest: str) -> bool:
    """Whether this base64 text is of a file with this digest."""
    with contextlib.suppress(ValueError):
        return hashlib.sha256(base64.b64decode(data, validate=True)).hexdigest() == digest
    return False


def _genuine(data: str, digest: str) -> str:
    if is_genuine(data, digest):
        return data
    raise CorruptLog(f"file {digest} holds something else than what was put there")


def digests_in(value: Any) -> set[str]:
    """The digests of every file referred to."""
    if isinstance(value, list):
        return {digest for item in value for digest in digests_in(item)}
    if not isinstance(value, Mapping):
        return set()
    reference = value.get(MARK) if len(value) == 1 else None
    if isinstance(reference, Mapping) and _is_digest(reference.get("digest")):
        return {reference["digest"]}
    return {digest for item in value.values() for digest in digests_in(item)}
