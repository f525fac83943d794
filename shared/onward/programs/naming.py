"""What a function names: the tools and programs that its code refers to, so that an application has them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import CodeType
from typing import Any

from onward.core.program import Program
from onward.programs.tools import Tool


def tools_named_in(function: Callable[..., Any]) -> Mapping[str, Tool[..., Any]]:
    """The tools that the code refers to by global or enclosing names."""
    return {each.name: each for each in _named_in(function) if isinstance(each, Tool)}


def programs_named_in(function: Callable[..., Any]) -> tuple[Program, ...]:
    """The agents and workflows that the code refers to likewise."""
    return tuple(each for each in _named_in(function) if Program in type(each).__mro__)


def _named_in(function: Callable[..., Any]) -> Iterator[Any]:
    known = dict(getattr(function, "__globals__", {}))
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=False)
    for name, cell in cells:
        try:
            known[name] = cell.cell_contents
        except ValueError:  # it is named by now, and made later
            continue
    for name in dict.fromkeys(_names(function.__code__)):
        if name in known:
            yield known[name]


def _names(code: CodeType) -> Iterator[str]:
    yield from (*code.co_names, *code.co_freevars)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
