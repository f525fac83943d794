"""Python objects as Markdown: signatures, fields and docstrings as they are written."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Collection, Iterator, Mapping, Set
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from functools import cached_property
from importlib import import_module
from types import FunctionType, ModuleType
from typing import Any, get_overloads

from pydantic import BaseModel

from onward.core.program import Performer, Program

WIDTH = 100
NOTE = """<!-- Written by `make docs` from the docstrings of the library: change those. -->
<!-- fmt: off -->"""
DOCUMENTED = re.compile(r'^ +(?:self\.)?([a-z]\w*)(?:: .+?)?(?: = .+)?\n +"""(\S(?s:.+?))"""', re.M)
"""An attribute with a text of its own right below it."""

PROTOCOLS = (Program, Performer)
"""What the engine asks of programs and tools: no business of who writes or runs them."""

Known = Collection[tuple[str, str]]
"""Modules and names in them."""


class Page:
    """One page, and the types that its signatures mention."""

    def __init__(self, title: str, about: str) -> None:
        self._lines = [NOTE, "", f"# {title}", ""]
        self._mentioned: dict[tuple[str, str], None] = {}
        self.add(prose(about))

    @property
    def text(self) -> str:
        """The page, without needless empty lines."""
        return re.sub(r"\n{3,}", "\n\n", "\n".join(self._lines)).strip() + "\n"

    def add(self, *lines: str) -> None:
        """Add these lines as a paragraph."""
        self._lines += [*lines, ""]

    # --- what is described -------------------------------------------------------------------------------------

    def cls(self, found: Any, made: bool = True) -> None:
        """A class: how it is made, what it says of itself and its attributes, and its public methods."""
        if made and _has_fields(found):
            parts = ["*"] if issubclass(found, BaseModel) else []
            self.add(fenced(_wrapped(found.__name__, [*parts, *self._fields(found)], "")))
        elif made and (makers := [vars(base)["__init__"] for base in _ours(found) if "__init__" in vars(base)]):
            self.function(makers[0], named=found.__name__, doc=False)
        self.add(prose(own_doc(found)))
        self._attributes(found)
        for name, member in _members(found):
            self.add(f"#### {found.__name__}.{name}")
            self._member(name, member)

    def fields(self, found: Any, private: Collection[str] = (), but: Collection[str] = ()) -> None:
        """The fields of a class, those that are private marked so, and what is said of them."""
        lines = [f"{line}  # private" if line.split(":")[0] in private else line for line in self._fields(found, but)]
        if lines:
            self.add(fenced("\n".join(lines)))
        self._attributes(found)

    def function(self, found: Any, named: str = "", doc: bool = True) -> None:
        """A function, by each of its signatures; a constructor as what it makes."""
        forms = [self._signature(named or form.__name__, form) for form in get_overloads(found) or [found]]
        self.add(fenced("\n".join(forms)))
        self.add(prose(own_doc(found)) if doc else "")

    def _member(self, name: str, member: Any) -> None:
        getter = member.fget if isinstance(member, property) else getattr(member, "func", None)
        if getter is None:
            return self.function(getattr(member, "__func__", member))
        self.add(fenced(f"{name}: {self._hint(getter.__annotations__['return'], getter.__module__)}"))
        self.add(prose(own_doc(getter)))

    def _attributes(self, found: type) -> None:
        documented = DOCUMENTED.findall(inspect.getsource(found))
        self.add(*(f"- `{name}`: {' '.join(prose(doc).split())}" for name, doc in documented))

    def types(self, but: Known = (), whole: Collection[str] = (), deep: bool = True) -> None:
        """Everything of ours that a signature on this page mentions; where it is `deep` with fields, and in turn what
        those mention. Of a `whole` class the methods are told too."""
        told: dict[tuple[str, str], str] = {}
        while waiting := [mentioned for mentioned in self._mentioned if mentioned not in {*but, *told}]:
            for module, name in waiting:
                part = Page("", "")
                part._type(module, name, deep, name in whole)
                told[module, name] = part.text.split("\n# \n")[1]
                self._mentioned |= part._mentioned
        if told:
            self.add("## Types in signatures")
        self.add(*(told[key] for key in sorted(told, key=lambda key: key[::-1])))

    def _type(self, module: str, name: str, deep: bool, whole: bool) -> None:
        self.add(f"### {name}")
        found = getattr(import_module(module), name)
        if not isinstance(found, type):
            return self.add(alias(module, name))
        self.add(f"`{module}.{name}`")
        if whole:
            return self.cls(found)
        self.add(prose(own_doc(found)))
        if deep and _has_fields(found):
            self.fields(found)

    # --- signatures --------------------------------------------------------------------------------------------

    def _fields(self, found: Any, but: Collection[str] = ()) -> Iterator[str]:
        hints = {name: hint for base in reversed(found.__mro__) for name, hint in inspect.get_annotations(base).items()}
        for name, default in _defaults(found):
            if name not in but:
                yield f"{name}: {self._hint(hints[name], found.__module__)}" + (f" = {default}" if default else "")

    def _signature(self, name: str, function: Any) -> str:
        form = inspect.signature(function)
        params = [param for param in form.parameters.values() if param.name not in ("self", "cls")]
        made = function.__name__ == "__init__"
        gives = "" if made else f" -> {self._hint(form.return_annotation, function.__module__)}"
        start = f"async {name}" if inspect.iscoroutinefunction(function) else name
        return _wrapped(start, list(self._parts(params, function.__module__)), gives)

    def _parts(self, params: list[inspect.Parameter], module: str) -> Iterator[str]:
        kinds = [param.kind for param in params]
        for index, param in enumerate(params):
            if param.kind is param.KEYWORD_ONLY and not {param.kind, param.VAR_POSITIONAL} & set(kinds[:index]):
                yield "*"
            typed = "" if param.annotation is param.empty else f": {self._hint(param.annotation, module)}"
            stars = "*" * (param.kind.name.startswith("VAR") + (param.kind is param.VAR_KEYWORD))
            yield stars + param.name + typed + ("" if param.default is param.empty else f" = {literal(param.default)}")
            if param.kind is param.POSITIONAL_ONLY and param.kind not in kinds[index + 1 :]:
                yield "/"

    def _hint(self, annotation: Any, module: str) -> str:
        """An annotation as it is written, without what only the machine reads; what it mentions is remembered."""
        text = re.sub(r"Annotated\[(\w+), [^\[\]]*\b_\w[^\[\]]*\]", r"\1", str(annotation).replace("'", '"'))
        for name in re.findall(r"\b[A-Z]\w+", text):
            home = _home(module, name)
            if home is not None:
                self._mentioned[home, name] = None
        return text


def _wrapped(name: str, parts: list[str], gives: str) -> str:
    line = f"{name}({', '.join(parts)}){gives}"
    return line if len(line) <= WIDTH else "\n    ".join([f"{name}(", *(f"{part}," for part in parts)]) + f"\n){gives}"


def literal(value: Any) -> str:
    """A default as one would write it, the same on every Python and in every process."""
    if isinstance(value, BaseModel):
        given = {name: left for name, left in value if left != type(value).model_fields[name].default}
        return f"{type(value).__name__}({', '.join(f'{name}={literal(left)}' for name, left in given.items())})"
    if isinstance(value, str | datetime):
        text = value if isinstance(value, str) else value.isoformat()
        return json.dumps(text if len(text) < WIDTH else f"{text[:40]}...", ensure_ascii=False)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{literal(key)}: {literal(left)}" for key, left in value.items()) + "}"
    if isinstance(value, Set) and value:
        return "{" + ", ".join(sorted(map(literal, value))) + "}"
    if callable(value):
        return str(value.__name__)
    return "..." if repr(value).startswith("<") else repr(value)


# --- classes and modules ---------------------------------------------------------------------------------------


def _has_fields(found: type) -> bool:
    return is_dataclass(found) or issubclass(found, BaseModel)


def _defaults(found: Any) -> Iterator[tuple[str, str]]:
    """The fields of a class in order, and their defaults; an empty one must be given."""
    if is_dataclass(found):
        for field in fields(found):
            made = "" if field.default_factory is MISSING else literal(field.default_factory())
            yield field.name, made if field.default is MISSING else literal(field.default)
    else:
        for name, info in found.model_fields.items():
            yield name, "" if info.is_required() else literal(info.get_default(call_default_factory=True))


def _members(found: type) -> Iterator[tuple[str, Any]]:
    """Public methods and properties, the class's own first, then those of its bases that are ours."""
    kinds = (FunctionType, classmethod, staticmethod, property, cached_property)
    members: dict[str, Any] = {}
    for base in _ours(found):
        members |= {name: value for name, value in vars(base).items() if name not in members}
    kept = [promised for promised in map(_promised, PROTOCOLS) if promised <= members.keys()]
    hidden = {name for promised in kept for name in promised}
    for name in [name for name in members if name not in hidden and not name.startswith(("_", "test_"))]:
        if isinstance(members[name], kinds):
            yield name, members[name]


def _promised(protocol: type) -> set[str]:
    return {name for name, value in vars(protocol).items() if isinstance(value, FunctionType) and name[0] != "_"}


def _ours(found: type) -> list[type]:
    """The class and its bases, as far as they are ours and more than promises."""
    own = [base for base in found.__mro__ if base.__module__.startswith("onward.")]
    return [base for base in own if not getattr(base, "_is_protocol", False)]


def declared(module: ModuleType) -> list[Any]:
    """The public classes and functions of a module, in the order in which they stand."""
    own = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
    named = [getattr(module, name) for name in getattr(module, "__all__", own) if not name.startswith("_")]
    return [value for value in named if isinstance(value, type | FunctionType)]


def _home(module: str, name: str) -> str | None:
    """The module of ours that defines what this name means in another one; None for what is no type of ours."""
    found = vars(import_module(module)).get(name)
    if isinstance(found, type):
        return found.__module__ if found.__module__.startswith("onward.") else None
    source = inspect.getsource(import_module(module))
    if re.search(rf"^{name} = (?!\w*(?:TypeVar|ParamSpec)\()", source, re.M):
        return module
    known = re.search(rf"^from (onward[\w.]*) import (?:\([^)]*?|[^(\n]*?)\b{name}\b", source, re.M)
    return _home(known[1], name) if known else None


def alias(module: str, name: str) -> str:
    """What a name stands for, and the text below it. One that is made of private names tells only its text."""
    source = inspect.getsource(import_module(module))
    stated = re.search(rf'^{name} = (.+?)\n(?=[^\s)\]]|$)(?:"""(.+?)""")?', source, re.M | re.S)
    assert stated, f"{module}.{name} is neither a class nor an alias"
    value = re.sub(r"(?<=[(\[]) |,? (?=[)\]])", "", " ".join(f"{name} = {stated[1]}".split()))
    return ("" if re.search(r"\b_\w", value) else f"{fenced(value)}\n\n") + prose(inspect.cleandoc(stated[2] or ""))


# --- docstrings ------------------------------------------------------------------------------------------------


def own_doc(found: Any) -> str:
    """The docstring that was written for this, and not one that was inherited or made."""
    text = (vars(found).get("__doc__") if isinstance(found, type) else found.__doc__) or ""
    made = isinstance(found, type) and text.startswith(f"{found.__name__}(")
    return "" if made else inspect.cleandoc(text)


def fenced(text: str, language: str = "py") -> str:
    """A block of code. Signatures are `py`: what is marked `python` is an example, which a test runs."""
    return f"```{language}\n{text}\n```"


def prose(text: str) -> str:
    """A docstring as Markdown: its tables of names become lists, its indented parts code."""
    return "\n\n".join(map(_paragraph, re.split(r"\n\s*\n", text))).strip()


def _paragraph(text: str) -> str:
    heading, _, rest = text.partition("\n")
    if heading == "Args:":
        return _listed(inspect.cleandoc("\n" + rest), r"(\w+): (\S.*)")
    if text and all(line.startswith("    ") for line in text.splitlines()):
        return fenced(inspect.cleandoc("\n" + text), "text")
    return _listed(text, r"(\w+)(?: {2,}|(?<=\d): )(\S.*)")


def _listed(text: str, item: str) -> str:
    """A text whose first line is an item of a list is one."""
    found = [re.match(item, line) for line in text.splitlines()]
    if not found or not found[0]:
        return _escaped(text)
    pairs = zip(found, text.splitlines(), strict=True)
    return _escaped("\n".join(f"- `{new[1]}`: {new[2]}" if new else f"  {line.strip()}" for new, line in pairs))


def _escaped(text: str) -> str:
    """What Markdown would take for markup, outside of code, is taken as it is."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([*<])", r"\\\1", part) for part in parts)
