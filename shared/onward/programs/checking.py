"""Check mode: whatever is new in its log, a workflow's body is run from the log's beginning for it, and may do nothing
that a replay would not do again in the same way."""

from __future__ import annotations

from collections.abc import Sequence

from onward.core.state import State
from onward.core.words import NONDETERMINISTIC
from onward.programs.noticing import Notice, noticing
from onward.programs.running import Run

_SHOWN = 10
"""Notices that are said in full."""


def advance_checked(run: Run, state: State, seen: int) -> None:
    """Lead the run on to this state, and notice what is not repeatable behind the entries that were seen. It can't go
    on where something was noticed: a person has to look at the lines that are named."""
    if seen:
        run.advance(state, seen)
    with noticing() as notices:
        run.advance(state)
    if notices:
        run.stop(NONDETERMINISTIC, _said(notices))


def _said(notices: Sequence[Notice]) -> str:
    lines = [str(notice) for notice in notices[:_SHOWN]]
    more = [f"and {len(notices) - _SHOWN} more"] if len(notices) > _SHOWN else []
    return "\n".join([*lines, *more])
