"""Functions as the engine performs them: the arguments that were recorded, a result as JSON, and what became of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from onward.core.bounds import Bounds
from onward.core.events import EffectClass
from onward.core.given import NOTHING, Given, Needs, NotPrepared, Role
from onward.core.outcomes import Call, Done, NotDone, NotPerformed, Pending, Unknown
from onward.core.retry import Retry
from onward.errors import BadInput
from onward.programs.inquiries import Inquiry
from onward.programs.schema import Form, Results


class Function:
    """A typed function that the engine performs (`core.program.Performer`): a tool, or a step of a workflow."""

    name: str
    effect: EffectClass
    timeout: float
    retry: Retry
    blocking: bool
    bounds: Bounds
    form: Form
    _function: Callable[..., Any]
    _results: Results
    _reconcile: Inquiry | None = None
    _poll: Inquiry | None = None

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

    def read_result(self, value: Any) -> Any:
        """The typed result that was written so. Raises BadInput."""
        return self._results.read(value)

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
