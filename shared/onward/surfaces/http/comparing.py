"""The route that compares two sessions, and the form of its answer."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import Field

from onward.core.comparing import Code, doc
from onward.core.differences import Kind
from onward.core.events import Effects, Usage
from onward.core.ids import check_id
from onward.core.turns import Status
from onward.surfaces.http.models import Answering, LeftAt
from onward.surfaces.http.service import Known
from onward.surfaces.http.sessions import Id

router = APIRouter(tags=["branches"])


class Used(Answering):
    """What was used: tokens of the session's own models, and USD by list prices, or null where none is known."""

    turns: int
    calls: int
    tokens: int
    usage: Usage
    usd: float | None
    seconds: float


class Side(Answering):
    """One of two sessions. `totals` are of the turns that neither has from the other; `hidden_turns` stand in the other
    as a summary."""

    session: str
    program: str
    version: str
    status: Status
    seq: int
    effects: Effects | None
    origin: LeftAt | None
    models: list[str]
    totals: Used
    hidden_turns: int


class TurnPlace(Answering):
    """A turn, and the events that it is told by; those of what a branch has inherited are counted back from 0."""

    turn: int
    events: list[int]
    inherited: bool


class DifferenceFound(Answering):
    """One thing that differs. What is absent in one of them is left out."""

    kind: Kind
    text: str
    tool: str | None
    name: str | None = Field(default=None, description="The call's name, where a workflow asked for it.")
    path: str | None
    a: Any = None
    b: Any = None


class Parting(Answering):
    """Where two sessions part."""

    a: TurnPlace | None
    b: TurnPlace | None


class PairOfTurns(Answering):
    """Two turns that belong together, or one that the other has not. `shared`: one session has it from the other."""

    a: TurnPlace | None
    b: TurnPlace | None
    shared: bool
    differences: list[DifferenceFound]


class ComparisonFound(Answering):
    """Two sessions, turn by turn. `untold` counts values that were erased, of which nothing can be told."""

    code: Code
    same: bool
    by_name: bool = Field(description="Whether both are workflows: then each turn is one thing that it asked for.")
    verdict: str = Field(examples=["diverges at turn 3: refund(amount=20) instead of refund(amount=35)"])
    a: Side
    b: Side
    first: Parting | None
    turns: list[PairOfTurns]
    end: list[DifferenceFound]
    untold: int


@router.get("/sessions/{id}/compare/{other}", response_model=ComparisonFound, response_model_exclude_unset=True)
async def compare_sessions(id: Id, other: Id, asked: Known) -> Any:
    """Say what another session did otherwise than this one: turns are aligned, and what differs is calls and their
    arguments, approvals, results, answers, and the end. Tokens, cost and time make no difference.

    Takes a viewer.
    """
    return doc(await asked.caller.compare(check_id(id), check_id(other), tenant=asked.tenant()))
