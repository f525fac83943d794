"""What a model says before it has answered: told to whoever listens, and kept nowhere (G4)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Self

from onward.core.model import Provisional

Hear = Callable[[Provisional], None]
log = logging.getLogger("onward.engine")


class Speech:
    """One attempt at an answer, as it is heard. Where it comes to nothing, that is told too: what was said is void.

    A listener that fails is not told again, and the attempt knows nothing of it.
    """

    def __init__(self, hear: Hear | None, key: str, seq: int, attempt: int) -> None:
        self._hear, self._key, self._seq, self._attempt = hear, key, seq, attempt
        self._text = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        if failed is not None and self._text:
            self._text = ""
            self._tell()
        self._hear = None

    def say(self, piece: str) -> None:
        """The next piece of the text. Never raises."""
        if self._hear is not None and isinstance(piece, str) and piece:
            self._text += piece
            self._tell()

    def _tell(self) -> None:
        if self._hear is None:
            return
        try:
            self._hear(Provisional(self._key, self._seq, self._attempt, self._text))
        except Exception:
            log.warning("what a model says is not told any more", exc_info=True, extra={"action": "not_heard"})
            self._hear = None
