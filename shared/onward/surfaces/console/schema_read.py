"""What a form of arguments says, as exactly the JSON that it stands for, and what is wrong with it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from math import isfinite
from typing import Any, NoReturn

from onward.core.canonical import DEEPEST, canonical
from onward.core.payload import Erased
from onward.core.schemas import complaint, errors_of
from onward.errors import BadInput
from onward.surfaces.console.schema_form import MISSING, Field
from onward.surfaces.text import cut, safe, shown

LONGEST = 300
"""Characters of what is said against a value."""

_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d{1,4})?", re.ASCII)
_WHOLE = re.compile(r"-?(0|[1-9]\d{0,3999})", re.ASCII)

Said = Mapping[str, str]
Errors = dict[str, str]
"""What is wrong, by the names of fields."""


def read(field: Field, said: Said) -> tuple[Any, Errors]:
    """The value that a filled in form says, as far as it can be read, and what is wrong with it."""
    errors: Errors = {}
    return _read(field, said, errors), errors


def again(field: Field, said: Said, errors: Errors) -> Field:
    """The form as it was filled in, each error beside its field."""
    state = said.get(field.how, field.state)
    return replace(
        field,
        text=_text(field, said),
        state=state if state in field.states else field.state,
        error=errors.get(field.name, ""),
        fields=tuple(again(each, said, errors) for each in field.fields),
    )


def _text(field: Field, said: Said) -> str:
    if field.kind == "tick":
        return "true" if said.get(field.name) else "false"
    return said.get(field.name, field.text)


def _read(field: Field, said: Said, errors: Errors) -> Any:
    state = said.get(field.how, field.state) if field.states else "given"
    if state != "given":
        _check_untouched(field, said, errors)
        return None if state == "null" else MISSING
    if field.kind == "group":
        return _group(field, said, errors)
    text = _text(field, said)
    if text == field.text and field.value is not MISSING and field.state == "given":
        return field.value
    try:
        return _READERS[field.kind](field, text)
    except ValueError as exc:
        errors[field.name] = cut(safe(str(exc)), LONGEST)
        return MISSING


def _group(field: Field, said: Said, errors: Errors) -> dict[str, Any]:
    """What was there stays in its order."""
    found = {each.path[-1]: _read(each, said, errors) for each in field.fields}
    keys = dict.fromkeys((*(field.value if isinstance(field.value, Mapping) else ()), *found))
    return {key: found[key] for key in keys if found[key] is not MISSING}


def _check_untouched(field: Field, said: Said, errors: Errors) -> None:
    """What is filled in and not meant to be given was meant to be, perhaps."""
    for each in field.all():
        if each.kind in ("group", "tick"):
            continue
        text = _text(each, said)
        if text and text != each.text:
            errors[field.name] = "it is filled in, but not marked as given"


# --- values ----------------------------------------------------------------------------------------------------


def _plain(field: Field, text: str) -> Any:
    return text


def _tick(field: Field, text: str) -> Any:
    return text == "true"


def _choice(field: Field, text: str) -> Any:
    if not text.isdecimal() or len(text) > 4 or int(text) >= len(field.choices):
        raise ValueError("choose one")
    return field.choices[int(text)]


def _whole(field: Field, text: str) -> Any:
    if not _WHOLE.fullmatch(text.strip()):
        raise ValueError("write a whole number, such as 12")
    return int(text)


def _number(field: Field, text: str) -> Any:
    wanted = text.strip()
    if _WHOLE.fullmatch(wanted):
        return int(wanted)
    if not _NUMBER.fullmatch(wanted):
        raise ValueError("write a number, such as 12.5")
    return _exact(wanted)


def _decimal(field: Field, text: str) -> Any:
    """Kept as it is written; a whole number that was one stays one."""
    wanted = text.strip()
    if not _NUMBER.fullmatch(wanted):
        raise ValueError("write a number, such as 12.50")
    return int(wanted) if isinstance(field.value, int) and _WHOLE.fullmatch(wanted) else wanted


def _of_json(field: Field, text: str) -> Any:
    return exact_json(text)


_READERS = {
    "text": _plain,
    "long": _plain,
    "tick": _tick,
    "choice": _choice,
    "whole": _whole,
    "number": _number,
    "decimal": _decimal,
    "json": _of_json,
}


def exact_json(text: str) -> Any:
    """The value of a JSON text. Raises ValueError for what is none, or would not be kept as it is written."""
    try:
        value = json.loads(text, parse_float=_exact, parse_constant=_no_number, object_pairs_hook=_once)
        canonical(value, DEEPEST)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except json.JSONDecodeError as exc:
        raise ValueError(f"it is no JSON: {exc}") from None
    except BadInput as exc:
        raise ValueError(str(exc)) from None
    return value


def _exact(text: str) -> float:
    number = float(text)
    if not isfinite(number) or Decimal(text) != Decimal(repr(number)):
        raise ValueError(f"{cut(text, 40)} has more digits than a number keeps; it would become {number!r}")
    return number


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number in JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands in it twice")
    return found


# --- by the schema ---------------------------------------------------------------------------------------------


def complaints(schema: Any, field: Field, value: Any) -> Errors:
    """What the schema says against a value, beside the fields that it is about."""
    from jsonschema.exceptions import best_match  # only where somebody edits a call

    errors: Errors = {}
    for error in errors_of(value, schema):
        best = best_match([error])
        for path in _blamed(best):
            errors.setdefault(_nearest(field, (*field.path, *path)).name, cut(safe(complaint(best)), LONGEST))
    return errors


def _blamed(error: Any) -> Iterator[tuple[str, ...]]:
    path = tuple(str(key) for key in error.absolute_path)
    if error.validator != "required":
        yield path
        return
    for key in error.validator_value:
        if key not in error.instance:
            yield (*path, key)


def _nearest(field: Field, path: tuple[str, ...]) -> Field:
    """The field of a value, or of what it lies in."""
    for each in field.fields:
        if path[: len(each.path)] == each.path:
            return _nearest(each, path)
    return field


# --- what is changed -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Change:
    """One value that is another than was asked for."""

    path: tuple[str, ...]
    before: Any
    after: Any

    @property
    def name(self) -> str:
        return ".".join(safe(key, True) for key in self.path) or "arguments"


def changes(before: Any, after: Any, path: tuple[str, ...] = ()) -> list[Change]:
    """What differs, value by value; lists are compared whole."""
    if not (isinstance(before, Mapping) and isinstance(after, Mapping)):
        same = (
            MISSING not in (before, after) and not isinstance(before, Erased) and canonical(before) == canonical(after)
        )
        return [] if same else [Change(path, before, after)]
    keys = dict.fromkeys((*before, *after))
    pairs = ((key, before.get(key, MISSING), after.get(key, MISSING)) for key in keys)
    return [change for key, was, now in pairs for change in changes(was, now, (*path, key))]


def value_text(value: Any) -> str:
    """A value, or that there is none."""
    return "left out" if value is MISSING else shown(value, exact=True)
