"""How much may be said at once: files apart, which have limits of their own."""

from __future__ import annotations

from typing import Any

from onward.core.canonical import canonical
from onward.core.files import stash
from onward.surfaces.http.problems import TooLarge


def check_size(value: Any, most: int) -> None:
    """Raises TooLarge for a value of more bytes, without the files in it, and BadInput for one that is no JSON."""
    size = len(canonical(stash(value, {})).encode())
    if size > most:
        raise TooLarge(f"body: {size} bytes without its files; at most {most} are taken")
