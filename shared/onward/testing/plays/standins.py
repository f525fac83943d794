"""Stand-ins: what is performed in place of steps and tools while a session is played, and a list of what was."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from onward.core.events import EffectClass
from onward.core.given import NOTHING, Given, Needs, Role
from onward.core.outcomes import Call, Done, NotDone, NotPerformed, Pending, Unknown
from onward.core.program import Decision, Performer, Program
from onward.core.state import OpenCall, State
from onward.core.webhooks import Webhook
from onward.errors import BadInput
from onward.programs.functions import Function
from onward.programs.workflow import Workflow
from onward.testing.plays.script import names_of


@dataclass(frozen=True, slots=True)
class Performed:
    """One attempt at something. `name` is what a workflow knows the call by, else its tool; `key` is its
    idempotency key. It gave `result`, as JSON, or raised `error`."""

    session: str
    name: str
    tool: str
    effect: EffectClass
    arguments: Any
    attempt: int
    key: str
    result: Any = None
    error: BaseException | None = None
    names: tuple[str, ...] = field(default=(), repr=False)

    @property
    def happened(self) -> bool | None:
        """Whether it did what it is for; None where that is not known."""
        if self.error is None:
            return None if isinstance(self.result, Pending) else True
        return False if isinstance(self.error, NotPerformed) else None


class StandIns:
    """A Registry of programs with coroutines of their own, that perform other functions than they say. `performed` is
    what they performed."""

    def __init__(
        self, app: Any, steps: Mapping[Any, Any], performed: list[Performed], *, checked: bool = False
    ) -> None:
        self._supply = app.supply
        self._programs = {key: _Program(_apart(program, checked), self) for key, program in app.programs.items()}
        self._steps = steps
        self._performed = performed
        self.used = set[Any]()
        self.mistakes: list[BadInput] = []

    def program(self, name: str, version: str) -> Program | None:
        return self._programs.get((name, version))

    def newest(self, name: str) -> Program | None:
        return next((program for program in reversed(self._programs.values()) if program.name == name), None)

    @property
    def webhooks(self) -> Sequence[Webhook]:
        """Nobody is told of what is played."""
        return ()

    def supply(self) -> Any:
        """What the application gives its tools."""
        return self._supply()

    def drop(self) -> None:
        """Drop every coroutine, as a process that ends does."""
        for program in self._programs.values():
            program.drop()

    def performer(self, real: Performer, call: OpenCall) -> Performer:
        """What performs this call, and is written down."""
        key = self._key(real, call)
        if key is None or not isinstance(real, Function):
            return _Noted(real, call, self._performed, instead=False)
        self.used.add(key)
        try:
            return _Noted(_instead(real, self._steps[key]), call, self._performed, instead=True)
        except BadInput as exc:
            self.mistakes.append(exc)
            raise

    def _key(self, real: Any, call: OpenCall) -> Any:
        """By what this call is stood in for: a name of it, or the function or tool itself."""
        own = getattr(real, "_function", None)
        functions = (key for key in self._steps if not isinstance(key, str) and getattr(key, "_function", key) is own)
        return next((name for name in names_of(call) if name in self._steps), next(functions, None))


def _apart(program: Any, checked: bool) -> Any:
    return program.apart(checked=checked) if isinstance(program, Workflow) else program


class _Program:
    def __init__(self, real: Any, standins: StandIns) -> None:
        self.name, self.version, self.follows, self.on_input = real.name, real.version, real.follows, real.on_input
        self.decide: Callable[[State], Decision] = real.decide
        self.elsewhere, self.check_edit, self.unwind = real.elsewhere, real.check_edit, real.unwind
        self.leads, self.in_hindsight = real.leads, real.in_hindsight
        self._real = real
        self._standins = standins

    def performer(self, call: OpenCall, state: State) -> Performer | None:
        real = self._real.performer(call, state)
        return None if real is None else self._standins.performer(real, call)

    def drop(self) -> None:
        if isinstance(self._real, Workflow):
            self._real.drop()


class _Noted:
    """A performer whose every call is written down. Where it stands in for another, that one is asked nothing: it is
    known here what became of its calls."""

    def __init__(self, real: Performer, call: OpenCall, performed: list[Performed], instead: bool) -> None:
        self.name, self.effect, self.timeout, self.retry = real.name, real.effect, real.timeout, real.retry
        self.blocking, self.bounds = real.blocking, real.bounds
        self._real, self._call, self._performed, self._instead = real, call, performed, instead

    def needs(self, role: Role = "invoke") -> Needs:
        return Needs() if self._instead else self._real.needs(role)

    def invoke(self, call: Call, given: Given = NOTHING) -> Any:
        if not self.blocking:
            return self._invoke(call, given)
        try:
            return self._note(call, self._real.invoke(call, given))
        except BaseException as exc:
            self._note(call, None, exc)
            raise

    async def _invoke(self, call: Call, given: Given) -> Any:
        try:
            return self._note(call, await self._real.invoke(call, given))
        except BaseException as exc:
            self._note(call, None, exc)
            raise

    def _note(self, call: Call, result: Any, error: BaseException | None = None) -> Any:
        known = (call.session, _name(self._call), call.tool, self.effect, call.arguments)
        made = (call.attempt, call.idempotency_key, result, error)
        self._performed.append(Performed(*known, *made, names_of(self._call)))
        return result

    def reconciles(self) -> bool:
        return not self._instead and self._real.reconciles()

    async def ask(self, call: Call, given: Given = NOTHING) -> Done[Any] | NotDone | Unknown:
        answer: Done[Any] | NotDone | Unknown = await self._real.ask(call, given)
        return answer

    async def check(self, call: Call, given: Given = NOTHING) -> Any:
        return Unknown("nobody knows of a stand-in") if self._instead else await self._real.check(call, given)


def _name(call: OpenCall) -> str:
    return call.operation.name if call.operation else call.tool


# --- what stands in --------------------------------------------------------------------------------------------


def _instead(real: Any, what: Any) -> Function:
    """The same step or tool, doing this instead: call it, raise it, or give it as the result."""
    other: Any = copy.copy(real)
    other.form = copy.copy(real.form)
    other.form.needs = Needs()
    other.blocking = False
    takes = _takes(real.name, what, real.form.parameters) if callable(what) else None

    async def perform(**given: Any) -> Any:
        if isinstance(what, BaseException):
            raise what
        value = what if takes is None else what(*takes(given)[0], **takes(given)[1])
        return await value if isinstance(value, Awaitable) else value

    other._function = perform
    return other  # type: ignore[no-any-return]


Arguments = tuple[list[Any], dict[str, Any]]


def _takes(name: str, what: Any, names: Sequence[str]) -> Callable[[Mapping[str, Any]], Arguments]:
    """What a stand-in is given of the step's arguments: the first ones by position, as many as it takes, and those it
    takes by keyword by their names. Raises BadInput for one that wants what the step does not have."""
    parameters = list(inspect.signature(what).parameters.values())
    rest = any(each.kind is each.VAR_POSITIONAL for each in parameters)
    plain = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    wanted = [each for each in plain[len(names) :] if each.default is each.empty]
    if wanted:
        raise BadInput(f"steps: what stands in for {name} wants {wanted[0].name}, and there are {len(names)} arguments")
    count = len(names) if rest else len(plain)
    by_name = [each.name for each in parameters if each.kind is each.KEYWORD_ONLY]

    def take(given: Mapping[str, Any]) -> Arguments:
        return [given[each] for each in names][:count], {each: given[each] for each in by_name if each in given}

    return take
