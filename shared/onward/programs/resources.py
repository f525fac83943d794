"""What an application gives its tools, as it is declared: resources by their type, and secrets by their name."""

from __future__ import annotations

import collections.abc as abc
import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin

from onward.core.given import Needs
from onward.errors import BadInput
from onward.programs.injection import hints_of, need_of
from onward.programs.signature import Signature
from onward.programs.tools import Tool

SecretSource = Mapping[str, str] | Callable[[str], str | None] | Callable[[str], Awaitable[str | None]]
"""Secrets by name. A function that blocks is called in a thread; None means that there is none."""

Kind = Literal["value", "function", "coroutine", "generator", "async generator"]
_YIELDS = (abc.Iterator, abc.Generator, abc.Iterable, abc.AsyncIterator, abc.AsyncGenerator, abc.AsyncIterable)


@dataclass(frozen=True, slots=True, eq=False)
class Provider:
    """One resource: the type it is of, how it is made, and what its function needs."""

    name: str
    gives: Any
    kind: Kind
    source: Any
    needs: Needs = field(default_factory=Needs)

    def fits(self, wanted: Any) -> bool:
        """Whether what it gives is of this type, by inheritance."""
        return self.gives == wanted or (isinstance(self.gives, type) and wanted in self.gives.__mro__)


class Resources:
    """Resources that fit together: each that a tool or another resource needs is there once. Raises BadInput."""

    def __init__(self, resources: Iterable[Any] = (), tools: Iterable[Tool[..., Any]] = ()) -> None:
        self.providers = tuple(_provider(resource) for resource in resources)
        for provider in self.providers:
            self._check_needs(f"resource {provider.name}", provider.needs)
            self._check_circle(provider, ())
        for tool in tools:
            for role in ("invoke", "reconcile", "poll"):
                self._check_needs(f"tool {tool.name}" + (f".{role}" if role != "invoke" else ""), tool.needs(role))

    def provider(self, wanted: Any) -> Provider:
        """Who gives this type: whose type it is exactly, else the only one whose class inherits from it.

        Raises BadInput.
        """
        exact = [provider for provider in self.providers if provider.gives == wanted]
        found = exact or [provider for provider in self.providers if provider.fits(wanted)]
        if len(found) != 1:
            names = " and ".join(provider.name for provider in found)
            why = f"{names} both give one" if found else "no resource gives one: add it to App(resources=[...])"
            raise BadInput(f"is a {named(wanted)}, and {why}")
        return found[0]

    def _check_needs(self, what: str, needs: Needs) -> None:
        for parameter, wanted in needs.resources.items():
            try:
                self.provider(wanted)
            except BadInput as exc:
                raise BadInput(f"{what}: parameter {parameter} {exc}") from None

    def _check_circle(self, provider: Provider, above: tuple[Provider, ...]) -> None:
        if provider in above:
            circle = " needs ".join(one.name for one in (*above[above.index(provider) :], provider))
            raise BadInput(f"resource {provider.name}: it needs itself: {circle}")
        for wanted in provider.needs.resources.values():
            self._check_circle(self.provider(wanted), (*above, provider))


def named(kind: Any) -> str:
    """A type, as people write it."""
    return kind.__name__ if isinstance(kind, type) else str(kind)


def tools_of(programs: Iterable[Any]) -> Sequence[Tool[..., Any]]:
    """Every tool that these programs may perform, what undoes them included."""
    known: dict[int, Tool[..., Any]] = {}
    for program in programs:
        for tool in getattr(program, "tools", {}).values():
            while isinstance(tool, Tool) and id(tool) not in known:
                known[id(tool)] = tool
                tool = tool.undo
    return list(known.values())


def checked_resources(resources: Any) -> tuple[Any, ...]:
    """Raises BadInput for what is no list of resources."""
    if not isinstance(resources, list | tuple):
        raise BadInput(f"app: resources is a {type(resources).__name__}; give a list of them")
    return tuple(resources)


def checked_secrets(secrets: Any) -> SecretSource | None:
    """Raises BadInput for what can't answer with secrets."""
    if secrets is None or isinstance(secrets, Mapping) or callable(secrets):
        source: SecretSource | None = secrets
        return source
    raise BadInput(f"app: secrets is a {type(secrets).__name__}; give a mapping, or a function of a secret's name")


# --- one resource ----------------------------------------------------------------------------------------------


def _provider(resource: Any) -> Provider:
    if isinstance(resource, type | str) or resource is None:
        raise BadInput(f"app: resource {resource!r} is neither an instance nor a function that makes one")
    if not inspect.isroutine(resource):
        return Provider(named(type(resource)), type(resource), "value", resource)
    inner = inspect.unwrap(resource)  # contextlib's decorators wrap a generator function
    function = inner if inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner) else resource
    name = function.__name__
    hints = hints_of(function, f"resource {name}")
    if hints.get("return") in (None, type(None)):
        raise BadInput(f"resource {name}: its return annotation must say what it gives")
    kind = _kind(function)
    return Provider(name, _given_by(name, kind, hints["return"]), kind, function, _needs(name, function, hints))


def _kind(function: Any) -> Kind:
    if inspect.isasyncgenfunction(function):
        return "async generator"
    if inspect.isgeneratorfunction(function):
        return "generator"
    return "coroutine" if inspect.iscoroutinefunction(function) else "function"


def _given_by(name: str, kind: Kind, annotation: Any) -> Any:
    if "generator" not in kind:
        return annotation
    inner = get_args(annotation)
    if get_origin(annotation) not in _YIELDS or not inner:
        raise BadInput(f"resource {name}: it yields, so its return annotation must be Iterator[T] or AsyncIterator[T]")
    return inner[0]


def _needs(name: str, function: Any, hints: Mapping[str, Any]) -> Needs:
    taken = Signature()
    for parameter in inspect.signature(function).parameters.values():
        try:
            need = need_of(hints.get(parameter.name))
            if need is not None:
                taken.give(parameter.name, need)
            elif parameter.default is parameter.empty:
                raise BadInput("is neither Injected[...] nor an Annotated[Secret, 'NAME']")
        except BadInput as exc:
            raise BadInput(f"resource {name}: parameter {parameter.name} {exc}") from None
    return taken.needs
