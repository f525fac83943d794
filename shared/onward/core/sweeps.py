"""What is kept of sweeps: that they go on, and what they had to heal."""

from __future__ import annotations

from datetime import datetime

from onward.core.events import Value

KEPT = 20
"""Sweeps that woke something, of which the newest are kept."""


class Swept(Value):
    """One sweep: when, and how many sessions it had to wake. A healthy system wakes nearly none."""

    at: datetime
    woken: int


class Sweepings(Value):
    """The last sweep, and those that woke something, the newest first."""

    last: Swept | None = None
    healed: tuple[Swept, ...] = ()

    def after(self, swept: Swept) -> Sweepings:
        """What is kept once there was this one."""
        healed = (swept, *self.healed)[:KEPT] if swept.woken else self.healed
        return Sweepings(last=swept, healed=healed)
