"""What bounds the calls of one tool in one process: how many run at once, and when no more are tried for a while."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from onward.core.durations import Span, seconds
from onward.errors import BadInput


@dataclass(frozen=True, slots=True)
class Breaker:
    """After so many failures in a row in a process, no call of the tool is tried there for `cooldown`, then one is: if
    it succeeds all are tried again, else the pause begins anew.

    A failure is a time-out or any exception but NotPerformed. Raises BadInput.
    """

    failures: int = 5
    cooldown: Span = "30s"

    def __post_init__(self) -> None:
        whole(self.failures, "Breaker.failures:")
        seconds(self.cooldown, "Breaker.cooldown")

    @property
    def pause(self) -> float:
        """The cooldown in seconds."""
        return seconds(self.cooldown, "Breaker.cooldown")


@dataclass(frozen=True, slots=True, eq=False)
class Bounds:
    """The bounds of one tool; None where there is none. Compared by identity: who has the same has them together.

    Raises BadInput, naming the tool.
    """

    tool: str
    concurrency: int | None = None
    breaker: Breaker | None = None

    def __post_init__(self) -> None:
        if self.concurrency is not None:
            whole(self.concurrency, f"tool {self.tool}: concurrency")
        if self.breaker is not None and not isinstance(self.breaker, Breaker):
            raise BadInput(f"tool {self.tool}: breaker must be a Breaker, such as breaker=Breaker(failures=5)")


def whole(value: Any, what: str, least: int = 1) -> int:
    """A whole number that is no less than `least`. Raises BadInput, which begins with `what` it is."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise BadInput(f"{what} {value!r} is no whole number from {least}")
    return value
