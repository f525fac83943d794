"""Steps: functions that a workflow has performed, each with its arguments as they are recorded."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import CodeType
from typing import Any

from pydantic_core import to_jsonable_python

from onward.core.bounds import Bounds
from onward.core.canonical import canonical
from onward.core.durations import Span, seconds
from onward.core.events import EffectClass
from onward.core.retry import Retry
from onward.errors import BadInput
from onward.programs.functions import Function
from onward.programs.names import step_name
from onward.programs.schema import Form, Results, form_of, ordered
from onward.programs.tools import EFFECTS, Tool, checked_retry

TIMEOUT = 300.0
"""Seconds that one attempt at a step may take, where nothing else is said."""

_PLAIN = (str, int, float, bool, type(None))
_shapes: dict[CodeType, tuple[tuple[Any, ...], Form, Results]] = {}
"""What is known of a function's arguments and result, by its code: a closure is made anew each time."""


@dataclass(frozen=True, slots=True)
class Options:
    """What `ctx.step` says of one step; None leaves it as the function has it."""

    effect: EffectClass | None = None
    undo: Callable[..., Any] | None = None
    retry: Retry | int | None = None
    timeout: Span | None = None
    name: str | None = None


class Step(Function):
    """A plain function as a step. Undeclared its effect is irreversible, as everywhere."""

    def __init__(self, function: Callable[..., Any], name: str, effect: EffectClass) -> None:
        self.name, self.effect = name, effect
        self.timeout, self.retry, self.bounds = TIMEOUT, Retry(), Bounds(name, None, None)
        self.blocking = not inspect.iscoroutinefunction(function)
        self.form, self._results = _shape_of(function, name)
        self._function = function


def step_of(function: Callable[..., Any], options: Options) -> Function:
    """The function as a step under these options. Raises BadInput, naming the step."""
    name = step_name(function, options.name)
    step = function if isinstance(function, Tool) else Step(function, name, options.effect or "irreversible")
    if options == _NOTHING or (isinstance(function, Tool) and options == Options(name=options.name)):
        return step
    step = copy.copy(step)
    step.effect = _effect(name, step.effect, options)
    if options.timeout is not None:
        step.timeout = seconds(options.timeout, f"step {name}: timeout")
    if options.retry is not None:
        step.retry = checked_retry(name, options.retry)
    return step


_NOTHING = Options()


def _effect(name: str, declared: EffectClass, options: Options) -> EffectClass:
    """What has an undo is compensatable. Nobody could say of what may be repeated whether an attempt that failed was
    the one that did it: it is not made so without a word, as it would be in doubt where it was tried again before."""
    if options.effect is not None and options.effect not in EFFECTS:
        raise BadInput(f"step {name}: effect {options.effect!r} is none of {', '.join(EFFECTS)}")
    effect = options.effect or declared
    if options.undo is None:
        return effect
    if effect in ("read", "idempotent"):
        wrong = f"undo= is for effect='compensatable', and this one is {effect}"
        raise BadInput(f"step {name}: {wrong}: say effect='compensatable', and raise TryAgain to have it tried again")
    return "compensatable" if options.effect is None else effect


def _shape_of(function: Callable[..., Any], name: str) -> tuple[Form, Results]:
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None or inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise BadInput(f"step {name}: {function!r} is no function that returns a result")
    known = _shapes.get(code)
    told = _told(function)
    if known is None or known[0] != told:
        known = _shapes[code] = told, form_of(function, name, typed=False), Results(function, name)
    return known[1:]


def _told(function: Callable[..., Any]) -> tuple[Any, ...]:
    """What a function says of its arguments and result: functions that are made by another one have the same code, and
    may say other things."""
    own = inspect.unwrap(function)
    plain = own if inspect.isfunction(own) else getattr(own, "__func__", own)
    return own is plain, plain.__annotations__, plain.__defaults__, plain.__kwdefaults__


# --- arguments -------------------------------------------------------------------------------------------------


def recorded_arguments(step: Function, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments as JSON, by the names of the function's parameters. Raises BadInput for what JSON can't hold, and
    for more arguments than there are parameters."""
    names = step.form.parameters
    if len(args) > len(names):
        raise BadInput(f"step {step.name}: takes {len(names)} arguments, and was given {len(args)}")
    taken = dict(zip(names, args, strict=False))
    twice = [name for name in kwargs if name in taken]
    if twice:
        raise BadInput(f"step {step.name}: {twice[0]} is given twice")
    return {name: plain(value, f"step {step.name}: {name}") for name, value in {**taken, **kwargs}.items()}


def plain(value: Any, field: str) -> Any:
    """The value as JSON, the same in every process. Raises BadInput, naming the field."""
    if isinstance(value, _PLAIN):
        return value
    try:
        data = ordered(value, to_jsonable_python(value, by_alias=True, bytes_mode="base64"))
        canonical(data)
    except Exception as exc:
        raise BadInput(f"{field}: a {type(value).__name__} can't be written as JSON: {exc}") from exc
    return data


# --- undoing ---------------------------------------------------------------------------------------------------

RESULT = "result"
"""The parameter of an undo that is given what the step came to."""


def undo_of(step: Function, options: Options) -> Function | None:
    """What takes the step back, if anything does. Raises BadInput for one that wants what nobody can give it."""
    undo = options.undo if options.undo is not None else getattr(step, "undo", None)
    if undo is None:
        return None
    undoing = step_of(undo, _NOTHING)
    wanted = undoing.form.schema.get("required", ())
    unknown = [name for name in wanted if name != RESULT and name not in step.form.parameters]
    if unknown:
        says = f"its undo {undoing.name} wants {unknown[0]}, which is no parameter of the step, and not {RESULT!r}"
        raise BadInput(f"step {step.name}: {says}")
    return undoing


def undo_arguments(undo: Function, step: Function, arguments: Any, result: Any) -> dict[str, Any]:
    """What an undo is called with: what it asks for of the step's arguments, and the result."""
    given = {**step.form.dump(step.form.parse(arguments)), RESULT: result}
    return {name: given[name] for name in undo.form.parameters if name in given}
