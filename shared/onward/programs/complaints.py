"""What a model is told about arguments that don't fit: each wrong field, what is wrong, and what was meant, perhaps."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

ERRORS_SHOWN = 5
LONGEST_NAME = 64
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'")
_CHOICES = ("enum", "literal_error", "union_tag_invalid")

Loc = tuple[int | str, ...]


def complaints(exc: ValidationError, schema: Mapping[str, Any]) -> str:
    """The errors in words, without the values that were sent. `schema` is what the model was shown."""
    errors = exc.errors(include_url=False)
    shown = [_complaint(error, schema) for error in errors[:ERRORS_SHOWN]]
    more = len(errors) - len(shown)
    return "; ".join([*shown, f"and {more} more"] if more else shown)


def _complaint(error: Any, schema: Mapping[str, Any]) -> str:
    loc: Loc = error["loc"]
    if not loc:
        return "the arguments must be an object with the tool's parameters"
    where = ".".join(str(part)[:LONGEST_NAME] for part in loc)
    if error["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"{where}: {_no_such(loc, schema)}"
    return f"{where}: {_said(error)}{_nearest_choice(error)}"


def _said(error: Any) -> str:
    """pydantic's words; for a tag of no kind, not with what was sent."""
    if error["type"] == "union_tag_invalid":
        return f"{error['ctx']['discriminator']} must be one of {error['ctx']['expected_tags']}"
    return str(error["msg"])


def _no_such(loc: Loc, schema: Mapping[str, Any]) -> str:
    """What there is in place of a name that there is not."""
    known, what = _names(schema, loc[:-1]), "field" if len(loc) > 1 else "parameter"
    near = _near(str(loc[-1]), known)
    if near:
        return f"there is no such {what}; did you mean {' or '.join(near)}?"
    return f"there is no such {what}" + (f"; there are: {', '.join(known) or 'none'}" if known is not None else "")


def _names(schema: Mapping[str, Any], loc: Loc) -> list[str] | None:
    """The names that the object at this place may have; None where the schema has more than one answer."""
    definitions, here = schema.get("$defs", {}), schema
    for part in loc:
        here = _resolved(_inner(here, part), definitions)
    if "properties" in here:
        return list(here["properties"])
    return None if loc else []


def _inner(schema: Mapping[str, Any], part: int | str) -> Any:
    if isinstance(part, str):
        return schema.get("properties", {}).get(part)
    first = schema.get("prefixItems") or []
    return first[part] if part < len(first) else schema.get("items")


def _resolved(schema: Any, definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(schema, Mapping):
        return {}
    reference = schema.get("$ref")
    return definitions.get(reference.rpartition("/")[2], {}) if reference else schema


def _nearest_choice(error: Any) -> str:
    """Which of the values that are allowed was meant."""
    if error["type"] not in _CHOICES:
        return ""
    context = error.get("ctx", {})
    said = error["input"]
    if error["type"] == "union_tag_invalid":
        said = context.get("tag")
    choices = _QUOTED.findall(str(context.get("expected") or context.get("expected_tags") or ""))
    near = _near(said, choices) if isinstance(said, str) else []
    return f"; did you mean {near[0]!r}?" if near else ""


def _near(name: str, known: Iterable[str] | None) -> list[str]:
    """The known names that are most like this one, whatever the case."""
    from difflib import get_close_matches  # only for a model that goes wrong

    lower = {text.lower(): text for text in known or ()}
    return [lower[match] for match in get_close_matches(name[:LONGEST_NAME].lower(), list(lower), n=3)]
