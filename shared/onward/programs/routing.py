"""Which of an agent's models is asked next: rules of one's own over a turn, and what a model is left for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from onward.core.model import Model
from onward.core.state import State
from onward.errors import BadInput

CODES = frozenset(
    {
        "model_unavailable",
        "rate_limited",
        "model_refused",
        "model_blocked",
        "prompt_too_long",
        "bad_answer",
        "model_error",
    }
)
"""How a model can fail. `model_error`: it raised something of its own."""

LEAVE_ON = CODES - {"model_error"}
Resolve = Callable[[str], Model | None]


@dataclass(frozen=True, slots=True)
class Turn:
    """What a rule may know of the turn that is to come. `number` counts from 1 over the session, `context` is the
    tokens of the newest prompt and its answer, `input` the newest input that is at hand."""

    agent: str
    version: str
    tenant: str
    labels: Mapping[str, str | int | bool]
    number: int
    context: int
    input: Any


@dataclass(frozen=True, slots=True)
class Route:
    """A model, when it is asked, and the codes of failures at which the next one is asked instead.

    `when` is a pure function of a Turn; where it raises, it does not hold. None holds always.
    """

    model: Model | str
    when: Callable[[Turn], bool] | None = None
    leave_on: Collection[str] = LEAVE_ON

    def __post_init__(self) -> None:
        check_model(self.model, "Route: model")
        if self.when is not None and (not callable(self.when) or inspect.iscoroutinefunction(self.when)):
            raise BadInput("Route.when: give a plain function of a Turn that answers True or False; it has no await")
        codes = [self.leave_on] if isinstance(self.leave_on, str) else list(self.leave_on)
        unknown = [code for code in codes if code not in CODES]
        if unknown:
            raise BadInput(f"Route.leave_on: {unknown[0]!r} is none of {', '.join(sorted(CODES))}")
        object.__setattr__(self, "leave_on", frozenset(codes))

    def holds(self, turn: Turn) -> bool:
        """Whether the rule wants this model for the turn. Never raises: a rule is no reason to break a session."""
        try:
            return self.when is None or bool(self.when(turn))
        except Exception:
            return False

    def resolved(self, resolve: Resolve) -> Route:
        """The same with the model's name looked up; a name that nobody knows stays."""
        found = resolve(self.model) if isinstance(self.model, str) else None
        return self if found is None else replace(self, model=found)


def nobody(name: str) -> None:
    """Where no model is known by name."""


def routes_of(owner: str, models: Any) -> tuple[Route, ...]:
    """The routes of `model=`: one model or many, each a Model, a name or a Route. Raises BadInput."""
    given = list(models) if isinstance(models, list | tuple) else [models]
    if not given:
        raise BadInput(f"{owner}: model is an empty list; give one model at least")
    for model in given:
        if not isinstance(model, Route):
            check_model(model, f"{owner}: model")
    routes = tuple(model if isinstance(model, Route) else Route(model) for model in given)
    if routes[-1].when is not None:
        raise BadInput(f"{owner}: the last model is asked where no rule holds, so it has no when=")
    return routes


def candidates(routes: Sequence[Route], state: State) -> tuple[Route, ...]:
    """The models for the next turn, in the order in which they are asked; never none. Pure."""
    if all(route.when is None for route in routes):
        return tuple(routes)
    turn = turn_of(state)
    return tuple(route for route in routes if route.holds(turn))


def turn_of(state: State) -> Turn:
    """The turn to come. Its number is the same at each attempt, or a rule might lead back to a model that was left."""
    newest = next((entry.value for entry in reversed(state.transcript) if entry.kind == "input"), None)
    return Turn(
        agent=state.program,
        version=state.version,
        tenant=state.tenant,
        labels=state.labels,
        number=state.turns + 1,
        context=state.context,
        input=newest,
    )


def check_model(model: Any, what: str) -> None:
    """Raises BadInput unless this is a Model or may be the name of one."""
    is_model = callable(getattr(model, "answer", None)) and isinstance(getattr(model, "name", None), str)
    if not is_model and not (isinstance(model, str) and model):
        raise BadInput(f"{what} is neither a Model nor the name of one: {model!r}")
