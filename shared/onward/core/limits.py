"""Limits hold before, not after (G11)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from onward.core.events import NO_LIMITS, LimitReached
from onward.core.program import AskModel, Effect, MakeCall, StartChild
from onward.core.state import State

_INSTANT = 0.001
"""Seconds that anything takes at least."""


def exceeded(state: State, effects: Sequence[Effect], now: datetime, longest: float) -> LimitReached | None:
    """The first limit that these effects could exceed, or None. `longest`: the slowest one's time limit in seconds."""
    if state.limits == NO_LIMITS:
        return None
    needed = costs(effects)
    elapsed = (now - (state.started_at or now)).total_seconds()
    checks = (
        ("turns", state.spent.turns, needed["turns"], state.limits.turns),
        ("calls", state.spent.calls, needed["calls"], state.limits.calls),
        ("tokens", state.spent.tokens, needed["tokens"], state.limits.tokens),
        ("time", elapsed, max(longest, _INSTANT) if needed["turns"] or needed["calls"] else 0, state.limits.time),
    )
    for limit, spent, more, allowed in checks:
        if allowed is not None and more and spent + more > allowed:
            return LimitReached.model_construct(limit=limit, spent=spent, needed=more, allowed=allowed)
    return None


def lost_costs(effects: Sequence[Effect]) -> dict[str, int]:
    """What an attempt that died without a trace may have spent: a child is started only after it is in the log."""
    return costs([effect for effect in effects if not isinstance(effect, StartChild)])


def costs(effects: Sequence[Effect]) -> dict[str, int]:
    """What one attempt at these effects spends at most."""
    models = [effect for effect in effects if isinstance(effect, AskModel)]
    children = [effect for effect in effects if isinstance(effect, StartChild)]
    calls = sum(isinstance(effect, MakeCall) for effect in effects) + len(children)
    allotted = sum(effect.child.limits.tokens or 0 for effect in children)
    tokens = sum(effect.request.reserve for effect in models) + allotted
    return {"turns": len(models), "calls": calls, "tokens": tokens}
