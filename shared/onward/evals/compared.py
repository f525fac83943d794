"""What is worse, and what is better, than in a baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Difference:
    """What is another than in the baseline about a case: its `pass_rate`, its `cost`, a score, or that it is `missing`
    or `new`; `why` is for people."""

    case: str
    what: str
    was: float | None = None
    now: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Results beside a baseline. It is fine if nothing is worse."""

    worse: tuple[Difference, ...] = ()
    better: tuple[Difference, ...] = ()
    new: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.worse

    def doc(self) -> dict[str, Any]:
        """For programs."""
        return {
            "ok": self.ok,
            "worse": [_difference_doc(each) for each in self.worse],
            "better": [_difference_doc(each) for each in self.better],
            "new": list(self.new),
        }


def _difference_doc(each: Difference) -> dict[str, Any]:
    return {"case": each.case, "what": each.what, "was": each.was, "now": each.now, "why": each.why}
