"""Tools: typed functions whose effects a session performs at most as often as their effect class allows."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar, cast, get_args, overload

from onward.core.bounds import Bounds, Breaker
from onward.core.durations import Span, seconds
from onward.core.events import EffectClass
from onward.core.model import ToolSpec
from onward.core.retry import Retry
from onward.errors import BadInput
from onward.programs.approvals import Approval, checked_approval
from onward.programs.docstrings import split
from onward.programs.functions import Function
from onward.programs.inquiries import inquiry
from onward.programs.schema import Form, Results, form_of, is_tool_name

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])
EFFECTS: tuple[str, ...] = get_args(EffectClass)


class Tool(Function, Generic[P, R]):
    """A function that a model may ask for, and that the engine performs (`core.program.Performer`).

    Made by `tool`. Called directly it is the plain function, as a unit test wants it: nothing is validated, recorded
    or injected. `spec` is what a model is shown.
    """

    def __init__(  # noqa: PLR0913 - one for each thing that is declared
        self,
        function: Callable[P, R],
        *,
        effect: EffectClass = "irreversible",
        approval: Approval | None = None,
        timeout: Span = "5m",
        retry: Retry | int = 3,
        name: str | None = None,
        undo: Tool[..., Any] | None = None,
        concurrency: int | None = None,
        breaker: Breaker | None = None,
    ) -> None:
        update_wrapper(cast("Callable[P, R]", self), function)
        self.name = _checked_name(function, name)
        self.effect = checked_effect(self.name, effect, undo)
        self.approval = _checked_approval(self.name, effect, approval)
        self.undo = undo
        self.timeout = seconds(timeout, f"tool {self.name}: timeout")
        self.retry = checked_retry(self.name, retry)
        self.bounds = Bounds(self.name, concurrency, breaker)
        self.blocking = not inspect.iscoroutinefunction(function)
        description, notes = _description(function, self.name)
        self.form: Form = form_of(function, self.name, notes)
        self.spec = ToolSpec(self.name, description, self.form.schema)
        self._function: Callable[..., Any] = function
        self._results = Results(function, self.name)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return cast(R, self._function(*args, **kwargs))

    def __repr__(self) -> str:
        return f"<tool {self.name}: {self.effect}>"

    # --- what authors add --------------------------------------------------------------------------------------

    def reconcile(self, function: F) -> F:
        """Declare how to learn what became of a call in doubt. The function answers Done, NotDone or Unknown.

        It is sync or async and takes the Call, any of the tool's own parameters by name, resources and secrets.
        """
        if self._reconcile is not None:
            raise BadInput(f"tool {self.name}: it has a reconcile function already")
        self._reconcile = inquiry(function, self.form, "reconcile")
        return function

    def poll(self, function: F) -> F:
        """Declare how to ask about a call that goes on outside. The function answers Done, NotDone or Pending.

        It takes what a reconcile function takes.
        """
        if self._poll is not None:
            raise BadInput(f"tool {self.name}: it has a poll function already")
        self._poll = inquiry(function, self.form, "poll")
        return function


# --- declaring -------------------------------------------------------------------------------------------------


@overload
def tool(function: Callable[P, R], /) -> Tool[P, R]: ...
@overload
def tool(
    *,
    effect: EffectClass = "irreversible",
    approval: Approval | None = None,
    timeout: Span = "5m",
    retry: Retry | int = 3,
    name: str | None = None,
    undo: Tool[..., Any] | None = None,
    concurrency: int | None = None,
    breaker: Breaker | None = None,
) -> Callable[[Callable[P, R]], Tool[P, R]]: ...
def tool(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a tool of a typed function, sync or async.

    The annotations become the JSON Schema and check every argument before the function runs; the docstring is what a
    model reads, and what it says of a parameter stands in the schema. Keyword-only parameters that a model never sees:
    one annotated `Call` is given the call, with its idempotency key; `Injected[T]` ones are given a resource of the
    application, `Annotated[Secret, "NAME"]` ones a secret.

    effect       what may be done after a crash: `read` and `idempotent` ones may run again; `irreversible` ones (which
                 is what an undeclared one is) and `compensatable` ones, which name their `undo`, never run twice
                 unasked
    approval     when a person decides first
    timeout      how long one attempt may take
    retry        how often, and how fast, it is tried; a number means attempts in all. What may be repeated is tried
                 again after any failure, the rest where it raises `TryAgain`
    name         what a model calls it; the function's name otherwise
    concurrency  how many calls of it may run at once in a process
    breaker      when calls are not even tried for a while

    Raises BadInput, naming the tool and the parameter, for what can't be expressed.
    """
    if function is not None:
        return Tool(_checked_function(function), **options)
    return lambda function: Tool(_checked_function(function), **options)


def _checked_function(function: Any) -> Callable[..., Any]:
    if isinstance(function, Tool):
        raise BadInput(f"tool {function.name}: it is a tool already")
    if not inspect.isroutine(function) or not hasattr(function, "__annotations__"):
        raise BadInput(f"tool: {function!r} is no Python function; write @tool or @tool(effect='read') above one")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise BadInput(f"tool {function.__name__}: it yields; a tool returns one result")
    inner = inspect.unwrap(function)
    if inspect.iscoroutinefunction(inner) and not inspect.iscoroutinefunction(function):
        raise BadInput(f"tool {function.__name__}: a decorator hides that it is async: make its wrapper async too")
    return function


def _checked_name(function: Callable[..., Any], name: str | None) -> str:
    chosen = function.__name__ if name is None else name
    if not is_tool_name(chosen):
        raise BadInput(f"tool {chosen!r}: a name is 1 to 64 letters, digits and _, and no digit first; give name=")
    return chosen


def checked_effect(name: str, effect: Any, undo: Any) -> EffectClass:
    if effect not in EFFECTS:
        raise BadInput(f"tool {name}: effect {effect!r} is none of {', '.join(EFFECTS)}")
    if undo is not None and not isinstance(undo, Tool):
        raise BadInput(f"tool {name}: undo must be a tool: put @tool above the function that undoes it")
    if effect == "compensatable" and undo is None:
        raise BadInput(f"tool {name}: a compensatable effect names the tool that undoes it: give undo=")
    if effect != "compensatable" and undo is not None:
        raise BadInput(f"tool {name}: undo= is for effect='compensatable', and this one is {effect}")
    return cast(EffectClass, effect)


def _checked_approval(name: str, effect: str, approval: Any) -> Approval | None:
    if (checked := checked_approval(name, approval)) and checked.on_timeout == "approve" and effect == "irreversible":
        raise BadInput(f"tool {name}: an irreversible effect is never approved by a timeout: use on_timeout='deny'")
    return checked


def checked_retry(name: str, retry: Any) -> Retry:
    policy = Retry(attempts=retry) if isinstance(retry, int) and not isinstance(retry, bool) else retry
    if not isinstance(policy, Retry) or policy.attempts < 1:
        raise BadInput(f"tool {name}: retry must be a Retry, or a number of attempts from 1")
    return policy


def _description(function: Callable[..., Any], name: str) -> tuple[str, dict[str, str]]:
    text, notes = split(function.__doc__ or "")
    if not text:
        raise BadInput(f"tool {name}: it has no docstring; a model reads it to know what the tool does")
    return text, notes
