"""A function's signature: which parameters a model fills in, and which are given something by the process."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from onward.core.given import Needs
from onward.errors import BadInput
from onward.programs.injection import Named, Resource, hints_of, need_of, wants_call

_GIVEN = {Resource: "is injected", Named: "takes a secret"}


@dataclass(slots=True)
class Signature:
    """`fields` are annotation and default (`...` for none) of the parameters that a model fills in; `call` is the name
    of the one that is given the Call."""

    fields: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    call: str | None = None
    resources: dict[str, Any] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)

    @property
    def needs(self) -> Needs:
        return Needs(self.resources, self.secrets)

    def give(self, name: str, need: Resource | Named) -> None:
        """Note what a parameter is to be given."""
        if isinstance(need, Named):
            self.secrets[name] = need.name
        else:
            self.resources[name] = need.type


def signature_of(function: Callable[..., Any], tool: str, *, typed: bool = True) -> Signature:
    """What a tool's function takes, anything where a parameter need not be `typed`. Raises BadInput, naming the tool
    and the parameter."""
    hints = hints_of(function, f"tool {tool}")
    taken = Signature()
    for parameter in inspect.signature(function).parameters.values():
        if not typed:
            hints.setdefault(parameter.name, Any)
        try:
            _take(taken, parameter, hints)
        except BadInput as exc:
            raise BadInput(f"tool {tool}: parameter {parameter.name} {exc}") from None
    return taken


def _take(taken: Signature, parameter: inspect.Parameter, hints: Mapping[str, Any]) -> None:
    _check_kind(parameter)
    if parameter.name not in hints:
        raise BadInput("has no type annotation")
    annotation = hints[parameter.name]
    need = need_of(annotation)
    if need is not None:
        _check_given(parameter, _GIVEN[type(need)])
        taken.give(parameter.name, need)
    elif wants_call(annotation):
        _check_given(parameter, "takes the Call")
        if taken.call is not None:
            raise BadInput(f"takes the Call, which {taken.call} takes already")
        taken.call = parameter.name
    else:
        default = ... if parameter.default is parameter.empty else parameter.default
        taken.fields[parameter.name] = (annotation, default)


def _check_kind(parameter: inspect.Parameter) -> None:
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        raise BadInput("takes any number of arguments (* or **); a model needs each one named and typed")
    if parameter.kind is parameter.POSITIONAL_ONLY:
        raise BadInput("is positional-only; a model gives arguments by name: remove the /")
    if parameter.name.startswith("_") or parameter.name == "model_config":
        raise BadInput("can't be shown to a model under this name: rename it")


def _check_given(parameter: inspect.Parameter, what: str) -> None:
    if parameter.kind is not parameter.KEYWORD_ONLY:
        raise BadInput(f"{what} and must be keyword-only: put it after *")
