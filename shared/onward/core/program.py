"""Where engine and programs meet: decisions, effects, and what the engine needs of a program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from onward.core.bounds import Bounds
from onward.core.events import (
    NO_LIMITS,
    Actor,
    Body,
    CallEdited,
    EffectClass,
    Event,
    Failure,
    Limits,
    OnClose,
    OnInput,
)
from onward.core.given import NOTHING, Given, Needs, Role
from onward.core.model import Model, ModelRequest
from onward.core.outcomes import Call
from onward.core.retry import Retry
from onward.core.state import OpenCall, State


@dataclass(frozen=True, slots=True)
class AskModel:
    """One model call: the one effect that may run before its request is in the log (R6).

    Where it fails with a code in `leave_on`, the program has another model to ask. `summarize` asks for a summary of
    what stands up to that event, instead of an answer.
    """

    model: Model
    request: ModelRequest
    timeout: float
    leave_on: frozenset[str] = frozenset()
    summarize: int | None = None


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


@dataclass(frozen=True, slots=True)
class Child:
    """A tool that is another program: a call of it is a session of its own, with this much to spend."""

    program: str
    version: str
    on_input: OnInput = "enqueue"
    on_close: OnClose = "cancel"
    limits: Limits = NO_LIMITS

    def input_of(self, arguments: Any) -> Any:
        """What the child starts with: the call's only argument `input`, or all of them."""
        only = isinstance(arguments, Mapping) and arguments.keys() == {"input"}
        return arguments["input"] if only else arguments


@dataclass(frozen=True, slots=True)
class Handover:
    """A tool that gives the session to another program, with all that was said."""

    program: str
    version: str
    on_input: OnInput = "enqueue"


@dataclass(frozen=True, slots=True)
class Withheld:
    """A call that the program has not come to yet: it was proposed by another version of it, and is not made now."""


@dataclass(frozen=True, slots=True)
class StartChild:
    """Start the session that a call is."""

    call: OpenCall
    session: str
    child: Child


@dataclass(frozen=True, slots=True)
class Recall:
    """Answer calls of a branch from its parent's record, or block them: nothing is performed. They are answered one
    after the other, as what was done once is an answer once. With `handover` the one call hands the session over,
    unless the record says that it did not."""

    calls: tuple[OpenCall, ...]
    handover: Handover | None = None


Effect = AskModel | MakeCall | Reconcile | Poll | StartChild | Recall


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

    A blocking one is called in a thread and returns its value; another returns an awaitable. What it is given, as its
    `needs` ask for, is kept out of everything it answers; what it raises is the engine's to clean.
    """

    name: str
    effect: EffectClass
    timeout: float
    retry: Retry
    blocking: bool
    bounds: Bounds

    def needs(self, role: Role = "invoke") -> Needs: ...
    def invoke(self, call: Call, given: Given = NOTHING) -> Any: ...
    def reconciles(self) -> bool: ...
    async def ask(self, call: Call, given: Given = NOTHING) -> Any: ...
    async def check(self, call: Call, given: Given = NOTHING) -> Any: ...


class Program(Protocol):
    """What decides.

    Who inherits from it gets what a program without children, handovers and editing says.

    P1: `decide` is pure: the same state gives the same decision, on any machine, at any time.
    P2: it is asked only when no call is due, and answers Rest while it has nothing to do. One that `leads` is asked
    also before its calls are made.
    """

    name: str
    version: str
    follows: bool
    """Whether a session takes up the newest version at its next model turn (G12)."""
    leads: bool = False
    """Whether what its calls came to is told to it before others of them are made: they may not be wanted any more."""
    on_input: OnInput = "enqueue"

    def decide(self, state: State) -> Decision: ...
    def performer(self, call: OpenCall, state: State) -> Performer | None: ...
    def elsewhere(self, call: OpenCall, state: State) -> Child | Handover | Withheld | None:
        """What a call is, where it is no tool that is performed here."""
        return None

    def unwind(self, state: State) -> Record | Rest | None:
        """What is to be taken back before a session that is closing ends; None where that is nothing, any more. Asked
        once nothing is unsettled."""
        return None

    def in_hindsight(self, events: Sequence[Event]) -> Program:
        """The same program as it decides while a log is replayed, with all that the log has known from the beginning.
        One that finds out from its log what it decided before is to know which part of it is still to come."""
        return self

    def check_edit(self, state: State, call: OpenCall) -> Sequence[Body]:
        """What becomes of a call whose arguments a person changed (`call.edited`): CallEdited, with what will be
        performed or why it can't be, and a request where the rule asks for more people. Pure."""
        error = Failure(code="not_editable", message=f"{self.name} takes no changed arguments")
        return (CallEdited(call=call.id, digest=call.digest, error=error),)


Programs = Mapping[tuple[str, str], Program]
"""Programs by name and version, the newest of a name last."""
