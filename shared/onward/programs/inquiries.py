"""Reconcile and poll functions: what a tool is asked about a call after it was made."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from onward.core.given import Given, Needs
from onward.core.outcomes import Call
from onward.errors import BadInput
from onward.programs.injection import hints_of, need_of, wants_call
from onward.programs.schema import Form
from onward.programs.signature import Signature


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A function that is asked about a call: which of its parameters get the Call, which the tool's arguments, and
    which a resource or a secret."""

    function: Callable[..., Any]
    calls: tuple[str, ...]
    arguments: tuple[str, ...]
    needs: Needs

    async def ask(self, form: Form, call: Call, given: Given) -> Any:
        """Raises BadInput if it wants arguments and the recorded ones don't fit."""
        handed: dict[str, Any] = {**dict.fromkeys(self.calls, call), **given.values}
        if self.arguments:
            value = form.parse(call.arguments)
            handed |= {name: value.__dict__[name] for name in self.arguments}
        if inspect.iscoroutinefunction(self.function):
            return await self.function(**handed)
        from asyncio import to_thread  # declaring tools needs no event loop, and this import is slow

        return await to_thread(self.function, **handed)


def inquiry(function: Callable[..., Any], form: Form, role: str) -> Inquiry:
    """What this function of a tool takes. Raises BadInput, naming the tool and the parameter."""
    what = f"tool {form.tool}.{role}"
    hints = hints_of(function, what)
    calls: list[str] = []
    arguments: list[str] = []
    taken = Signature()
    for parameter in inspect.signature(function).parameters.values():
        by_name = parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        annotation = hints.get(parameter.name)
        need = _need(annotation, what, parameter.name)
        if by_name and need is not None:
            taken.give(parameter.name, need)
        elif by_name and wants_call(annotation):
            calls.append(parameter.name)
        elif by_name and parameter.name in form.parameters:
            arguments.append(parameter.name)
        elif not by_name or parameter.default is parameter.empty:
            raise _odd_parameter(form, what, parameter.name)
    return Inquiry(function, tuple(calls), tuple(arguments), taken.needs)


def _need(annotation: Any, what: str, name: str) -> Any:
    try:
        return need_of(annotation)
    except BadInput as exc:
        raise BadInput(f"{what}: parameter {name} {exc}") from None


def _odd_parameter(form: Form, what: str, name: str) -> BadInput:
    known = ", ".join(form.parameters) or "no parameters"
    return BadInput(f"{what}: parameter {name} is neither annotated Call nor one of the tool's own ({known})")
