"""What every score has in common: a name, a threshold, and what it says of one run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from onward.core.events import Value
from onward.core.turns import Trajectory


@dataclass(frozen=True, slots=True)
class Score:
    """How good a run was in one respect, from 0 to 1, and why."""

    value: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a case: what it did, and what the recorded session did. `case` is the case's name, `after` the event
    of the recorded session that the run left after: what was before it is not the run's own."""

    case: str
    repeat: int
    trajectory: Trajectory
    recorded: Trajectory
    after: int = 1


Ask = Callable[[str, str, str], Awaitable[Any]]
"""Has a model answer a question in a session of its own: the model, what it is told, what it is shown."""


@dataclass(frozen=True, slots=True)
class Help:
    """What scores may need: the `directory` that files are named from, and somebody to `ask`."""

    directory: Path
    ask: Ask


class Scorer(Value):
    """Base of what scores a run. It passes with `threshold` or more."""

    name: str = ""
    threshold: float = Field(default=1.0, ge=0, le=1)

    @property
    def title(self) -> str:
        """Its name, or one that says what it does."""
        return self.name or self._title()

    def _title(self) -> str:
        raise NotImplementedError

    def score(self, run: Run, help: Help) -> Score | Awaitable[Score]:
        """What it says of the run. Whatever it raises is a failed score."""
        raise NotImplementedError


def yes_or_no(fine: bool, reason: str) -> Score:
    """1, or 0 and the reason."""
    return Score(1.0) if fine else Score(0.0, reason)


def short(value: Any, most: int = 80) -> str:
    """A value in a line of a reason."""
    text = " ".join((value if isinstance(value, str) else repr(value)).split())
    return text if len(text) <= most else f"{text[: most - 1]}…"
