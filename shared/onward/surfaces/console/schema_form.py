"""A form drawn from the JSON Schema of a call's arguments: a field for each, by names that lead back to them. Nothing
here knows a page.

The schema decides how a value is asked for, never what it may be: what comes back is checked by the whole schema. A
value that no field would give back to the letter is asked for as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from onward.core.canonical import canonical
from onward.surfaces.text import safe

Kind = Literal["text", "long", "whole", "number", "decimal", "choice", "tick", "group", "json"]
"""long: of several lines · decimal: a number that is kept as it is written · tick: yes or no · group: of fields."""

State = Literal["given", "left", "null"]
"""What is said of a value that need not be: it is given, left out, or null."""

DEEPEST = 5
MOST = 300
"""Fields of one form; what has more is one field, of JSON."""

LONG = 80
"""Characters from which on a text is asked for in a larger field."""


class Missing:
    """Where there is no value."""


MISSING = Missing()


@dataclass(frozen=True, slots=True)
class Field:
    """What is asked for. `path` leads to the value; `text` is what stands in the field, `drawn` what it stood for."""

    path: tuple[str, ...]
    kind: Kind
    value: Any
    text: str = ""
    state: State = "given"
    required: bool = True
    nullable: bool = False
    help: str = ""
    hints: tuple[str, ...] = ()
    choices: tuple[Any, ...] = ()
    fields: tuple[Field, ...] = ()
    error: str = ""

    @property
    def place(self) -> str:
        """The path as a JSON pointer, by which fields of a form are named."""
        return "".join(f"/{key.replace('~', '~0').replace('/', '~1')}" for key in self.path)

    @property
    def name(self) -> str:
        """The name of the field that holds the value."""
        return f"value{self.place}"

    @property
    def how(self) -> str:
        """The name of the field that holds the state."""
        return f"how{self.place}"

    @property
    def label(self) -> str:
        return safe(self.path[-1], True) if self.path else "arguments"

    @property
    def states(self) -> tuple[State, ...]:
        """What may be said of the value; nothing, where it has to be given."""
        left: tuple[State, ...] = () if self.required else ("left",)
        null: tuple[State, ...] = ("null",) if self.nullable else ()
        return ("given", *left, *null) if left or null else ()

    def all(self) -> Iterator[Field]:
        """This one, and what it is made of."""
        yield self
        for field in self.fields:
            yield from field.all()


def drawn(schema: Any, value: Any, path: tuple[str, ...] = ()) -> Field:
    """The form of this value. With a path it can stand beside others."""
    field = _field(path, schema, value, schema, required=True)
    many = field.kind == "group" and sum(1 for _ in field.all()) > MOST
    return _json(path, value) if many else field


def _json(path: tuple[str, ...], value: Any) -> Field:
    return Field(path, "json", value, json_text(value))


def json_text(value: Any) -> str:
    """A value to be changed: what would not be seen in it is escaped."""
    if value is MISSING:
        return ""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return text if safe(text, True) == text else json.dumps(value, indent=2)


# --- what is asked for -----------------------------------------------------------------------------------------


def _field(path: tuple[str, ...], schema: Any, value: Any, root: Any, *, required: bool) -> Field:
    plain, nullable = _without_null(_resolved(schema, root), root)
    known = MISSING if value is None and nullable else value
    kind = _kind(plain, known, len(path))
    there = kind == "tick" and value is not MISSING  # a truth value is given, one way or the other
    state: State = "null" if value is None and nullable else "left" if value is MISSING and not required else "given"
    field = Field(
        path,
        kind,
        value,
        text_of(kind, known, plain),
        state,
        required or there,
        nullable,
        safe(str(plain.get("description") or "")),
        tuple(_hints(plain)),
        tuple(_choices(plain) or ()),
    )
    return replace(field, fields=tuple(_within(field, plain, known, root))) if kind == "group" else field


def _within(field: Field, schema: Mapping[str, Any], value: Any, root: Any) -> Iterator[Field]:
    """A field for each property, and for each key that is none."""
    held = value if isinstance(value, Mapping) else {}
    needed = _many(schema.get("required"))
    for key, each in schema["properties"].items():
        yield _field((*field.path, key), each, held.get(key, MISSING), root, required=key in needed)
    for key in (key for key in held if key not in schema["properties"]):
        yield replace(_json((*field.path, key), held[key]), required=False)


def _resolved(schema: Any, root: Any) -> Mapping[str, Any]:
    """The schema that a reference leads to; of one that leads nowhere nothing is known."""
    known: Mapping[str, Any] = schema if isinstance(schema, Mapping) else {}
    for _ in range(DEEPEST * 2):
        only = known.get("allOf")
        if isinstance(only, Sequence) and len(only) == 1 and isinstance(only[0], Mapping):
            known = {**only[0], **_without(known, "allOf")}
        if "$ref" not in known:
            return known
        target = _at(root, known["$ref"])
        known = {**target, **_without(known, "$ref")} if isinstance(target, Mapping) else {}
    return {}


def _without(schema: Mapping[str, Any], word: str) -> dict[str, Any]:
    return {name: said for name, said in schema.items() if name != word}


def _at(root: Any, ref: Any) -> Any:
    """What a reference within the schema points at."""
    if not isinstance(ref, str) or not ref.startswith("#"):
        return None
    found = root
    for key in ref[1:].split("/")[1:]:
        name = key.replace("~1", "/").replace("~0", "~")
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _without_null(schema: Mapping[str, Any], root: Any) -> tuple[Mapping[str, Any], bool]:
    """The schema of what is not null, and whether null is taken too."""
    kinds = schema.get("type")
    if isinstance(kinds, Sequence) and not isinstance(kinds, str):
        rest = [kind for kind in kinds if kind != "null"]
        return {**schema, "type": rest[0] if len(rest) == 1 else rest}, len(rest) < len(kinds)
    word = next((word for word in ("anyOf", "oneOf") if _many(schema.get(word))), None)
    if word is None:
        return schema, False
    ways = [_resolved(way, root) for way in schema[word]]
    rest = [way for way in ways if way.get("type") != "null"]
    more = _without(schema, word)
    return ({**rest[0], **more} if len(rest) == 1 else {**more, "anyOf": rest}), len(rest) < len(ways)


def _kind(schema: Mapping[str, Any], value: Any, depth: int) -> Kind:
    """How a value is asked for: by its schema, if it is what the schema tells of."""
    choices = _choices(schema)
    if choices is not None:
        if len(choices) > MOST:
            return "json"
        return "choice" if value is MISSING or any(_same(value, choice) for choice in choices) else "json"
    kind = "decimal" if _is_decimal(schema) else schema.get("type")
    if kind == "object":
        return _group(schema, value, depth)
    asks = _ASKS.get(kind) if isinstance(kind, str) else None
    if asks is None or not (value is MISSING or asks[1](value)):
        return "json"
    return "long" if asks[0] == "text" and _is_long(schema, value) else asks[0]


def _group(schema: Mapping[str, Any], value: Any, depth: int) -> Kind:
    keyed = value is MISSING or isinstance(value, Mapping)
    named = isinstance(schema.get("properties"), Mapping)
    return "group" if keyed and named and depth < DEEPEST else "json"


def _choices(schema: Mapping[str, Any]) -> Sequence[Any] | None:
    return [schema["const"]] if "const" in schema else _many(schema.get("enum")) or None


def _many(found: Any) -> Sequence[Any]:
    """A list that a schema has; nothing, where it has something else there."""
    return found if isinstance(found, Sequence) and not isinstance(found, str) else ()


def _ways(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The schemas of which a value fits any. One that takes everything, or nothing, asks for nothing."""
    return [way if isinstance(way, Mapping) else {} for way in _many(schema.get("anyOf"))]


_DECIMAL = ("string", "number", "integer")


def _is_decimal(schema: Mapping[str, Any]) -> bool:
    """A number that may be written as a text, so that nothing of it is lost."""
    kinds = [way.get("type") for way in _ways(schema)]
    return "string" in kinds and any(kind != "string" for kind in kinds) and all(kind in _DECIMAL for kind in kinds)


def _is_text(value: Any) -> bool:
    """Whether a field gives it back to the letter, and shows all of it."""
    return isinstance(value, str) and safe(value, True) == value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_ASKS: Mapping[str, tuple[Kind, Any]] = {
    "string": ("text", _is_text),
    "boolean": ("tick", lambda value: isinstance(value, bool)),
    "integer": ("whole", lambda value: isinstance(value, int) and not isinstance(value, bool)),
    "number": ("number", _is_number),
    "decimal": ("decimal", lambda value: _is_number(value) or (_is_text(value) and "\n" not in value)),
}


def _is_long(schema: Mapping[str, Any], value: Any) -> bool:
    most = schema.get("maxLength")
    return isinstance(value, str) and (len(value) > LONG or "\n" in value or (isinstance(most, int) and most > 1000))


def text_of(kind: Kind, value: Any, schema: Mapping[str, Any]) -> str:
    """What stands in a field for a value."""
    if value is MISSING or kind == "group":
        return ""
    if kind == "choice":
        return str(next(n for n, choice in enumerate(_choices(schema) or ()) if _same(value, choice)))
    if kind == "json":
        return json_text(value)
    return value if isinstance(value, str) else json.dumps(value)


def _same(one: Any, other: Any) -> bool:
    """Whether two values are one in JSON: a truth value is no number."""
    return canonical(one) == canonical(other)


_HINTS: Mapping[str, str] = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
    "multipleOf": "a multiple of {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "pattern": "like {}",
    "format": "a {}",
}


def _hints(schema: Mapping[str, Any]) -> Iterator[str]:
    """What the schema asks of a value, in words."""
    for name, words in _HINTS.items():
        if isinstance(schema.get(name), str | int | float):
            yield words.format(safe(str(schema[name]), True))
    for way in _ways(schema):
        yield from _hints({name: said for name, said in way.items() if name not in ("pattern", "format")})
