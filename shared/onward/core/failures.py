"""What an exception says, for the log and the model."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from onward.core.events import Failure
from onward.core.given import NOTHING, Given
from onward.core.outcomes import NotPerformed
from onward.errors import OnwardError

LONGEST = 2000


def failure(exc: BaseException, code: str = "", limit: float | None = None, given: Given = NOTHING) -> Failure:
    """An exception's type and message, never its traceback, and no secret that was given. Never raises: an error while
    an error is told would carry it into the process's log as it is."""
    said = _said(exc)
    if isinstance(exc, TimeoutError) and not said and limit is not None:
        return Failure(code="timed_out", message=f"no result within {limit:g} s")
    own = exc.code if isinstance(exc, OnwardError) else "tool_error"
    text = given.scrub(said if isinstance(exc, OnwardError | NotPerformed) else f"{type(exc).__name__}: {said}")
    return Failure(code=code or own, message=text[:LONGEST].encode(errors="replace").decode())


def failure_in(value: Any) -> Failure:
    """A failure as it is recorded in the result of a call."""
    fields = value if isinstance(value, dict) else {}
    return Failure(code=str(fields.get("code", "failed")), message=str(fields.get("message", value)))


def _said(exc: BaseException) -> str:
    try:
        return _without_input(exc) if isinstance(exc, ValidationError) else str(exc)
    except Exception:
        return ""


def _without_input(exc: ValidationError) -> str:
    """What does not fit and why, but not what was given: that may be private, and this can't be erased."""
    errors = exc.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in errors)
