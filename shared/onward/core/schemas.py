"""Values against JSON Schemas, where no program is loaded that could check them.

A schema comes from a program, or from whatever a program has it from. It is applied as it is written, and no further:
nothing is fetched for it, patterns take no longer than a text is long, and one that can't be applied says nothing. The
program checks again what is to be performed.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from onward.errors import BadInput


def check_schema(value: Any, schema: Any, field: str) -> None:
    """Raises BadInput, naming the field, where the value does not fit; no schema takes every value."""
    first = min(errors_of(value, schema), key=lambda error: len(error.absolute_path), default=None)
    if first is not None:
        raise BadInput(f"{'.'.join((field, *map(str, first.absolute_path)))}: {complaint(first)}")


def complaint(error: Any) -> str:
    """What such an error says. What the value is is left out: who gave it knows, and an error may be logged."""
    return str(error.message.replace(repr(error.instance), "it", 1))[:300]


def errors_of(value: Any, schema: Any) -> list[Any]:
    """What a schema says against a value, as errors of `jsonschema`; of one that can't be applied to the end, what it
    says until then."""
    found: list[Any] = []
    if not isinstance(schema, dict):
        return found
    from referencing import Registry  # only where somebody edits a call

    kind = _validator()
    try:
        # A registry that is given fetches nothing: the default one would ask any server that a reference names.
        found.extend(kind(schema, format_checker=kind.FORMAT_CHECKER, registry=Registry()).iter_errors(value))
    except Exception:  # whatever is wrong with a schema, the program says it better
        return found
    return found


@cache
def _validator() -> Any:
    """The standard's own, but for patterns: those of a program are checked by an engine that never goes back, and that
    the program's own check uses."""
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    own = {"pattern": _pattern, "patternProperties": _by_pattern, "additionalProperties": _by_no_pattern}
    return extend(Draft202012Validator, own)


def _pattern(validator: Any, pattern: Any, instance: Any, schema: Any) -> Iterator[Any]:
    from jsonschema.exceptions import ValidationError

    if isinstance(instance, str) and not _matches(pattern, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _by_pattern(validator: Any, patterns: Any, instance: Any, schema: Any) -> Iterator[Any]:
    if not isinstance(instance, dict):
        return
    for pattern, below in patterns.items():
        for name in (name for name in instance if _matches(pattern, name)):
            yield from validator.descend(instance[name], below, path=name, schema_path=pattern)


def _by_no_pattern(validator: Any, below: Any, instance: Any, schema: Any) -> Iterator[Any]:
    """What is neither named nor of a pattern."""
    from jsonschema.exceptions import ValidationError

    names, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for name in instance if isinstance(instance, dict) else ():
        if name in names or any(_matches(pattern, name) for pattern in patterns):
            continue
        if below is False:
            yield ValidationError(f"Additional properties are not allowed ({name!r} was unexpected)")
        else:
            yield from validator.descend(instance[name], below, path=name)


def _matches(pattern: str, text: str) -> bool:
    """Whether a pattern is found in a text. One that the engine does not know says nothing against it."""
    from pydantic_core import SchemaError, SchemaValidator, ValidationError, core_schema

    try:
        SchemaValidator(core_schema.str_schema(pattern=pattern)).validate_python(text)
    except SchemaError:
        return True
    except ValidationError:
        return False
    return True
