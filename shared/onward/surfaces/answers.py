"""What a command answers when it can't do what was asked: one line, and an exit code. Nothing else decides that."""

from __future__ import annotations

import json

from onward.errors import NotFound, OnwardError, Refused, UsageError

FAILED = 1
"""The session failed, was cancelled or needs attention; or the command could not be carried out."""

USAGE = 2
NOT_FOUND = 3
REFUSED = 4
INTERRUPTED = 130
TERMINATED = 143
BROKEN_PIPE = 141

_CODES: tuple[tuple[type[OnwardError], int], ...] = (
    (NotFound, NOT_FOUND),
    (Refused, REFUSED),
    (UsageError, USAGE),
    (OnwardError, FAILED),
)


def exit_code(error: OnwardError) -> int:
    """The exit code for this error."""
    return next(code for kind, code in _CODES if isinstance(error, kind))


def message(error: OnwardError) -> str:
    """The error in one line: its code, what happened, and what stands or can be done."""
    return f"{error.code}: {' '.join(str(error).split()) or type(error).__name__}"


def document(code: str, message: str, exit: int, stands: str = "") -> str:
    """The same for programs."""
    return json.dumps(
        {"error": {"code": code, "message": message, "exit": exit} | ({"stands": stands} if stands else {})}
    )


class ReaderGone(Exception):
    """Standard output is a pipe that nobody reads any more."""
