"""How long to wait before trying again, and when to stop."""

from __future__ import annotations

from dataclasses import dataclass

STALL_DELAYS = (0.1, 1.0, 5.0, 30.0)
"""Seconds to wait after the first, second, ... attempt that died without a trace."""

ALONE_AFTER = 2
"""After so many such attempts they are written down, and the next one runs alone in its process (R11)."""

STALLS_TO_PARK = 5
FAILURES_TO_PARK = 5


@dataclass(frozen=True, slots=True)
class Retry:
    """Attempts in all, and the delay between them in seconds: `first`, growing by `factor`, at most `longest`."""

    attempts: int = 3
    first: float = 1.0
    factor: float = 2.0
    longest: float = 300.0

    def delay(self, attempt: int) -> float | None:
        """Seconds to wait after this attempt (1 is the first), or None when it was the last."""
        if attempt >= self.attempts:
            return None
        return self.after(attempt)

    def after(self, attempt: int) -> float:
        """Seconds to wait after this attempt, though it were the last."""
        return min(self.longest, self.first * self.factor ** min(attempt - 1, 64))


MODEL_RETRY = Retry(attempts=1_000_000)
"""An outage parks nobody (G13): a model out of reach is asked again until the session's deadline."""

STEP_RETRY = Retry(attempts=FAILURES_TO_PARK)


def stall_delay(stalls: int) -> float:
    """Seconds that must have passed since the last sign of life, after so many attempts without a trace."""
    return STALL_DELAYS[min(stalls, len(STALL_DELAYS)) - 1] if stalls else 0.0
