"""What a workflow is told by what it waited for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from onward.core.canonical import copied

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Decision:
    """What people said to a question. `by` are those who approved it, or the one who rejected it; `result` is what
    somebody answered instead of either. Nobody having decided in time, it is `expired`, and not approved."""

    approved: bool
    by: tuple[str, ...] = ()
    reason: str = ""
    expired: bool = False
    result: Any = None


@dataclass(frozen=True)
class Settled(Generic[R]):
    """How one of many items came out: with a `value`, or with an `error`."""

    value: R | None = None
    error: Exception | None = None

    @property
    def ok(self) -> bool:
        return self.error is None


@dataclass(frozen=True, slots=True)
class Continued:
    """What a workflow returns that starts afresh with this input."""

    input: Any


def decision(value: Any) -> Decision:
    """The decision that a question's call came to, as it is recorded."""
    fields = value if isinstance(value, dict) and "verdict" in value else {"verdict": "responded", "result": value}
    verdict = fields["verdict"]
    return Decision(
        approved=verdict == "approved",
        by=tuple(fields.get("by", ())),
        reason=fields.get("reason", ""),
        expired=verdict == "expired",
        result=copied(fields.get("result")),
    )
