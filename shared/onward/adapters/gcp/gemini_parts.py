"""Values and files as parts of a content: pure, and plain values but for the bytes of files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from onward.core.files import File, file_in

Part = dict[str, Any]

_IMAGES = frozenset({"image/png", "image/jpeg", "image/webp", "image/heic", "image/heif"})
_TEXTS = frozenset({"application/json", "application/xml", "application/yaml", "application/javascript"})
_RESPONSES = frozenset({"image/png", "image/jpeg", "image/webp", "application/pdf"})
"""What may be part of a function response, from generation 3 on."""


def text_part(text: str) -> Part:
    """A part that says this. The service takes no empty text."""
    return {"text": text or "(empty)"}


def value_parts(value: Any) -> list[Part]:
    """A JSON value as parts: text as it is, files as files, also as items of a list; anything else as JSON text, with
    its files behind it."""
    if isinstance(value, str):
        return [text_part(value)]
    file = file_in(value)
    if file is not None:
        return _shown(file)
    if isinstance(value, list) and any(file_in(item) is not None for item in value):
        return [part for item in value for part in value_parts(item)]
    plain, files = file_parts(value)
    text = json.dumps(plain, ensure_ascii=False)
    return [text_part(text), *(part for file in files for part in _shown(file))]


def file_parts(value: Any) -> tuple[Any, list[File]]:
    """The value with its files described, and the files."""
    files: list[File] = []
    return _without_files(value, files), files


def responded(files: list[File], multimodal: bool) -> tuple[Part, list[Part]]:
    """The files that a function response can hold, as its `parts`, and parts for all others."""
    inside = [file for file in files if multimodal and file.data and file.media_type in _RESPONSES]
    part: Part = {"parts": [_inline(file) for file in inside]} if inside else {}
    return part, [part for file in files if file not in inside for part in _shown(file)]


def _without_files(value: Any, files: list[File]) -> Any:
    file = file_in(value)
    if file is not None:
        files.append(file)
        return {"file": file.name, "media_type": file.media_type, "size": len(file.data or b"")}
    if isinstance(value, Mapping):
        return {key: _without_files(item, files) for key, item in value.items()}
    return [_without_files(item, files) for item in value] if isinstance(value, list) else value


def _shown(file: File) -> list[Part]:
    """A file as a model can take it: its bytes, its text, or in words that it can't."""
    name = file.name or "without a name"
    if file.data is None:
        return [text_part(f"(file {name}, {file.media_type}: its bytes are gone)")]
    if not file.data:
        return [text_part(f"(file {name}, {file.media_type}: it is empty)")]
    if _is_text(file.media_type):
        return [text_part(f"File {name} ({file.media_type}):\n{file.data.decode(errors='replace')}")]
    if _is_inline(file.media_type):
        return [text_part(f"File {name}:"), _inline(file)] if file.name else [_inline(file)]
    return [text_part(f"(file {name}, {file.media_type}, {len(file.data)} bytes: no kind that the model can be shown)")]


def _is_text(media_type: str) -> bool:
    kind = media_type.partition(";")[0].strip()
    return kind.startswith("text/") or kind in _TEXTS or kind.endswith(("+json", "+xml"))


def _is_inline(media_type: str) -> bool:
    return media_type in _IMAGES or media_type == "application/pdf" or media_type.startswith(("audio/", "video/"))


def _inline(file: File) -> Part:
    return {"inline_data": {"mime_type": file.media_type, "data": file.data}}
