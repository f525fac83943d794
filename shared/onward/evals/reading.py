"""What scores look at in a trajectory: what a run did itself, and what the recorded session did from there on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from onward.core.payload import Erased
from onward.core.turns import Call, Trajectory, Turn
from onward.errors import BadInput
from onward.evals.scores import Run


@dataclass(frozen=True, slots=True)
class Made:
    """A call as the model asked for it, whatever came of it."""

    tool: str
    arguments: Any


@dataclass(frozen=True, slots=True)
class Spending:
    """What a run took itself; the cost is None where a price is not known."""

    cost: float | None
    tokens: int
    turns: int
    calls: int
    seconds: float


def made(run: Run) -> list[Made]:
    """The calls of the run."""
    return _calls(turn for turn in run.trajectory.turns if not turn.inherited)


def recorded(run: Run) -> list[Made]:
    """The calls of the recorded session after the event that the run left after."""
    return _calls(turn for turn in run.recorded.turns if _began(turn) > run.after)


def _began(turn: Turn) -> int:
    return turn.answer.seq if turn.answer else min(turn.seqs, default=0)


_WAITS = ("sleep", "signal", "approval", "patch")
"""What a workflow waits for, or asks: it is no call of anything."""


def _calls(turns: Iterable[Turn]) -> list[Made]:
    calls = (call for turn in turns for call in turn.calls if call.kind not in _WAITS)
    return [Made(call.tool, _arguments(call)) for call in calls]


def _arguments(call: Call) -> Any:
    if isinstance(call.written, Erased):
        raise BadInput(f"the arguments of {call.tool} (event {call.seq}) were erased")
    return call.written


def answer(run: Run) -> Any:
    """The run's final answer: its output, or in a conversation the last thing that was said."""
    return _answer(run.trajectory)


def recorded_answer(run: Run) -> Any:
    """The same of the recorded session."""
    return _answer(run.recorded)


def _answer(trajectory: Trajectory) -> Any:
    final = trajectory.final
    found = trajectory.output if trajectory.status == "completed" else final.text if final else None
    if isinstance(found, Erased):
        raise BadInput(f"the answer of session {trajectory.session} was erased")
    return found


def spent(run: Run) -> Spending:
    """What the run took."""
    return spending(run.trajectory)


def spending(trajectory: Trajectory) -> Spending:
    """What a session took."""
    totals = trajectory.totals
    cost = None if totals.usd is None else float(totals.usd)
    return Spending(cost, totals.tokens, totals.turns, totals.calls, totals.seconds)
