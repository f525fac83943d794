"""Randomness for salts, tokens and owners, drawn from the system a page at a time: a step needs a hundred bytes."""

from __future__ import annotations

import os

PAGE = 4096


class SystemEntropy:
    """Bytes nobody can guess and nobody gets twice, also not in a forked child. Used from one thread."""

    def __init__(self) -> None:
        self._page = b""
        self._at = 0
        self._process = 0

    def __call__(self, size: int) -> bytes:
        if self._at + size > len(self._page) or self._process != os.getpid():
            self._page, self._at, self._process = os.urandom(max(PAGE, size)), 0, os.getpid()
        self._at += size
        return self._page[self._at - size : self._at]
