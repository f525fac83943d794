"""Values against JSON Schemas, where no program is loaded that could check them."""

from __future__ import annotations

from typing import Any

from onward.errors import BadInput


def check_schema(value: Any, schema: Any, field: str) -> None:
    """Raises BadInput, naming the field, where the value does not fit; no schema takes every value."""
    if not isinstance(schema, dict):
        return
    from jsonschema import Draft202012Validator  # only where somebody edits a call

    errors = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).iter_errors(value)
    first = min(errors, key=lambda error: len(error.absolute_path), default=None)
    if first is not None:
        raise BadInput(f"{'.'.join((field, *map(str, first.absolute_path)))}: {first.message[:300]}")
