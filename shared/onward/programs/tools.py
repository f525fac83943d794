"""Tools: typed functions whose effects a session performs at most as often as their effect class allows."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar, cast, get_args, overload

from onward.core.bounds import Bounds, Breaker
from onward.core.durations import Span, seconds
from onward.core.events import EffectClass
from onward.core.given import NOTHING, Given, Needs, NotPrepared, Role
from onward.core.model import ToolSpec
from onward.core.outcomes import Call, Done, NotDone, NotPerformed, Pending, Unknown
from onward.core.retry import Retry
from onward.errors import BadInput
from onward.programs.approvals import Approval, checked_approval
from onward.programs.docstrings import split
from onward.programs.inquiries import Inquiry, inquiry
from onward.programs.schema import Form, Results, form_of, is_tool_name

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])
EFFECTS: tuple[str, ...] = get_args(EffectClass)


class Tool(Generic[P, R]):
    """A function that a model may ask for, and that the engine performs (`core.program.Performer`).

    Made by `tool`. Called directly it is the plain function, as a unit test wants it: nothing is validated, recorded
    or injected. `spec` is what a model is shown.
    """

    name: str
    effect: EffectClass
    timeout: float
    retry: Retry
    blocking: bool
    bounds: Bounds

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
        self.effect = _checked_effect(self.name, effect, undo)
        self.approval = _checked_approval(self.name, effect, approval)
        self.undo = undo
        self.timeout = seconds(timeout, f"tool {self.name}: timeout")
        self.retry = _checked_retry(self.name, retry)
        self.bounds = Bounds(self.name, concurrency, breaker)
        self.blocking = not inspect.iscoroutinefunction(function)
        description, notes = _description(function, self.name)
        self.form: Form = form_of(function, self.name, notes)
        self.spec = ToolSpec(self.name, description, self.form.schema)
        self._function: Callable[..., Any] = function
        self._results = Results(function, self.name)
        self._reconcile: Inquiry | None = None
        self._poll: Inquiry | None = None

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

    # --- what the engine asks ----------------------------------------------------------------------------------

    def needs(self, role: Role = "invoke") -> Needs:
        """What is to be given when the tool is asked for this."""
        if role == "invoke":
            return self.form.needs
        asked = self._reconcile if role == "reconcile" else self._poll
        return asked.needs if asked else Needs()

    def invoke(self, call: Call, given: Given = NOTHING) -> Any:
        """Perform the call with the arguments that were recorded; gives the result as JSON, or Pending.

        A blocking tool gives it, another gives an awaitable of it. Raises NotPerformed if the recorded arguments don't
        fit the function any more: then it was not called.
        """
        if not self.blocking:
            return self._invoke(call, given)
        value = self._function(**self._keywords(call, given))
        if inspect.isawaitable(value):
            raise TypeError(f"tool {self.name} is not async and gave an awaitable, which nobody awaits: make it async")
        return self._result(value, given)

    async def _invoke(self, call: Call, given: Given) -> Any:
        return self._result(await self._function(**self._keywords(call, given)), given)

    def _keywords(self, call: Call, given: Given) -> dict[str, Any]:
        missing = [name for name in (*self.form.needs.resources, *self.form.needs.secrets) if name not in given.values]
        if missing:
            raise NotPrepared(f"{self.name} was not given {', '.join(missing)}")
        try:
            return {**self.form.keywords(self.form.parse(call.arguments), call), **given.values}
        except BadInput as exc:
            raise NotPerformed(f"the recorded arguments don't fit this version of the tool: {exc}") from exc

    def _result(self, value: Any, given: Given) -> Any:
        """A tool that answers in the words of a reconcile function is taken at its word."""
        if isinstance(value, NotDone):
            raise NotPerformed("the tool answered NotDone")
        if isinstance(value, Unknown):
            raise RuntimeError(value.reason or "the tool answered Unknown")
        if isinstance(value, Pending):
            return value
        return self.dump_result(value.result if isinstance(value, Done) else value, given)

    def dump_result(self, value: Any, given: Given = NOTHING) -> Any:
        """The result as JSON, by the return annotation where there is one, without the secrets that were given. Never
        raises: the effect has happened, and an error now would look as if its outcome were not known. What can't be
        written is recorded by its `repr`."""
        return self._results.dump(value, given)

    def reconciles(self) -> bool:
        """Whether the tool can be asked what became of a call."""
        return self._reconcile is not None

    async def ask(self, call: Call, given: Given = NOTHING) -> Done[Any] | NotDone | Unknown:
        """What became of this call. Anything but Done, NotDone and Unknown is no answer, and so Unknown.

        What the reconcile function raises is raised.
        """
        if self._reconcile is None:
            return Unknown(f"{self.name} has no reconcile function")
        try:
            answer = await self._reconcile.ask(self.form, call, given)
        except BadInput as exc:
            return Unknown(f"reconcile could not be asked: {exc}")
        if isinstance(answer, Done):
            return Done(self.dump_result(answer.result, given))
        if isinstance(answer, NotDone | Unknown):
            return answer
        return Unknown(f"reconcile answered {_said(answer)}; it must answer Done(...), NotDone() or Unknown()")

    async def check(self, call: Call, given: Given = NOTHING) -> Done[Any] | NotDone | Pending | Unknown:
        """How a call that goes on outside stands. NotPerformed, raised by the poll function, is NotDone.

        Raises TypeError for any other answer: it says nothing about the call, which stays pending.
        """
        if self._poll is None:
            return Unknown(f"{self.name} has no poll function")
        try:
            answer = await self._poll.ask(self.form, call, given)
        except NotPerformed:
            return NotDone()
        if isinstance(answer, Done):
            return Done(self.dump_result(answer.result, given))
        if isinstance(answer, NotDone | Pending | Unknown):
            return answer
        raise TypeError(f"poll answered {_said(answer)}; it must answer Done(...), NotDone() or Pending(...)")


def _said(answer: Any) -> str:
    """What was answered, without its content."""
    if answer is None:
        return "None"
    return f"the class {answer.__name__}" if isinstance(answer, type) else f"a {type(answer).__name__}"


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
    retry        how often, and how fast, what may be repeated is tried; a number means attempts in all
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


def _checked_effect(name: str, effect: Any, undo: Any) -> EffectClass:
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


def _checked_retry(name: str, retry: Any) -> Retry:
    policy = Retry(attempts=retry) if isinstance(retry, int) and not isinstance(retry, bool) else retry
    if not isinstance(policy, Retry) or policy.attempts < 1:
        raise BadInput(f"tool {name}: retry must be a Retry, or a number of attempts from 1")
    return policy


def _description(function: Callable[..., Any], name: str) -> tuple[str, dict[str, str]]:
    text, notes = split(function.__doc__ or "")
    if not text:
        raise BadInput(f"tool {name}: it has no docstring; a model reads it to know what the tool does")
    return text, notes
