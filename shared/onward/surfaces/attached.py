"""Files that go with an input."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from onward.core.files import File
from onward.errors import BadInput


def attached(text: str | None, files: Sequence[Path]) -> Any:
    """The text alone, or with files a list of the text and them. Raises BadInput for one that can't be taken."""
    if not files:
        return text
    return [*([] if text is None else [text]), *(_file(path) for path in files)]


def _file(path: Path) -> File:
    try:
        return File.named(path.name, path.read_bytes())
    except OSError as exc:
        raise BadInput(f"--file: {path} can't be read: {exc.strerror or exc}") from exc
