"""Where engine and programs meet: decisions, effects, and what the engine needs of a program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from onward.core.events import Actor, Body, EffectClass
from onward.core.model import Model, ModelRequest
from onward.core.outcomes import Call
from onward.core.retry import Retry
from onward.core.state import OpenCall, State


@dataclass(frozen=True, slots=True)
class AskModel:
    """One model call: the one effect that may run before its request is in the log (R6)."""

    model: Model
    request: ModelRequest
    timeout: float


@dataclass(frozen=True, slots=True)
class MakeCall:
    """One attempt at a call."""

    call: OpenCall


@dataclass(frozen=True, slots=True)
class Reconcile:
    """Ask the tool what became of a call that is in doubt."""

    call: OpenCall


@dataclass(frozen=True, slots=True)
class Poll:
    """Ask the tool about a call that goes on outside."""

    call: OpenCall


Effect = AskModel | MakeCall | Reconcile | Poll


@dataclass(frozen=True, slots=True)
class Record:
    """Write these down; nothing needs to be done in the world for them."""

    bodies: tuple[Body, ...]
    actor: Actor


@dataclass(frozen=True, slots=True)
class Perform:
    """Do these, together, and write down what came of each."""

    effects: tuple[Effect, ...]


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing to do before something comes from outside, or a timer fires."""


Decision = Record | Perform | Rest


class Performer(Protocol):
    """A tool, as the engine sees it. `invoke` gets the validated arguments that were recorded, never derived anew.

    A blocking one is called in a thread and returns its value; another returns an awaitable.
    """

    name: str
    effect: EffectClass
    timeout: float
    retry: Retry
    blocking: bool

    def invoke(self, call: Call) -> Any: ...
    def reconciles(self) -> bool: ...
    async def ask(self, call: Call) -> Any: ...
    async def check(self, call: Call) -> Any: ...


class Program(Protocol):
    """What decides.

    P1: `decide` is pure: the same state gives the same decision, on any machine, at any time.
    P2: it is asked only when no call is due, and answers Rest while it has nothing to do.
    """

    name: str
    version: str
    follows: bool
    """Whether a session takes up the newest version at its next model turn (G12)."""

    def decide(self, state: State) -> Decision: ...
    def performer(self, tool: str) -> Performer | None: ...


Programs = Mapping[tuple[str, str], Program]
"""Programs by name and version, the newest of a name last."""
