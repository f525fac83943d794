"""A ready-made tool: wait for some time, or until a time, as nothing but a timer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator

from onward.core.durations import seconds
from onward.core.outcomes import Pending
from onward.errors import BadInput
from onward.programs.tools import tool

LONGEST_DAYS = 365
_FORMS = "write a time span such as '30m', '2h' or '1d12h', or a time with its zone such as '2026-03-01T09:00:00+01:00'"


def _checked(wait: str) -> str:
    time = _time(wait)
    if time is not None:
        if time.tzinfo is None:
            raise ValueError(f"{wait!r} has no time zone; {_FORMS}")
        return wait
    try:
        span = seconds(wait)
    except BadInput as exc:
        raise ValueError(f"{wait[:60]!r} is neither a time span nor a time; {_FORMS}") from exc
    if span > LONGEST_DAYS * 86400:
        raise ValueError(f"{wait!r} is more than {LONGEST_DAYS} days")
    return wait


def _time(wait: str) -> datetime | None:
    try:
        return datetime.fromisoformat(wait.strip())
    except ValueError:
        return None


@tool(effect="read")
def sleep(wait: Annotated[str, AfterValidator(_checked)]) -> Pending:
    """Wait, doing nothing, and then go on. A message that comes meanwhile ends the wait.

    Args:
        wait: For how long, such as "30m", "2h" or "1d12h", or until when, such as "2026-03-01T09:00:00+01:00". At most
            365 days.
    """
    time = _time(wait)
    if time is not None:
        return Pending(until=time, ends="done")
    return Pending(timeout=wait, ends="done")
