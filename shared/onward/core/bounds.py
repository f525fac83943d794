"""What bounds the calls of one tool in one process: how many run at once, and when no more are tried for a while."""

from __future__ import annotations

from dataclasses import dataclass

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
        if not _is_count(self.failures):
            raise BadInput(f"Breaker.failures: {self.failures!r} is no whole number from 1")
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
        if self.concurrency is not None and not _is_count(self.concurrency):
            raise BadInput(f"tool {self.tool}: concurrency {self.concurrency!r} is no whole number from 1")
        if self.breaker is not None and not isinstance(self.breaker, Breaker):
            raise BadInput(f"tool {self.tool}: breaker must be a Breaker, such as breaker=Breaker(failures=5)")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
