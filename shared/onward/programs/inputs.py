"""What a workflow takes from outside: JSON, checked against a type."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cached_property
from typing import Any

from pydantic import TypeAdapter, ValidationError

from onward.core.canonical import canonical
from onward.errors import BadInput
from onward.programs.injection import hints_of
from onward.programs.schema import adapter_of


class InputForm:
    """Values of one type. `schema` is its JSON Schema, None where it takes everything. Raises BadInput for a type that
    JSON can't have."""

    def __init__(self, type: Any, what: str = "input") -> None:
        self.type, self._what = type, what

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        try:
            return adapter_of(self.type)
        except Exception as exc:
            raise BadInput(f"{self._what}: {self.type!r} has no JSON form: {exc}") from exc

    @cached_property
    def schema(self) -> Any:
        try:
            return self._adapter.json_schema() or None
        except Exception as exc:
            raise BadInput(f"{self._what}: {self.type!r} has no JSON Schema: {exc}") from exc

    def read(self, value: Any) -> Any:
        """The typed value. Raises BadInput, naming the field."""
        try:
            return self._adapter.validate_json(canonical(value))
        except ValidationError as exc:
            first = exc.errors()[0]
            where = ".".join((self._what, *map(str, first["loc"])))
            raise BadInput(f"{where}: {first['msg']}") from exc
        except BadInput:
            raise
        except Exception as exc:  # a validator of the author's: what somebody sends must not stop the session
            raise BadInput(f"{self._what}: it can't be checked: {type(exc).__name__}") from exc


def input_of(function: Callable[..., Any], name: str) -> tuple[InputForm, bool] | None:
    """The form of what it is started with, and whether it may be left out; None where it takes nothing."""
    parameters = list(inspect.signature(function).parameters.values())
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if not 1 <= len(parameters) <= 2 or any(each.kind not in plain for each in parameters):
        raise BadInput(f"workflow {name}: its function takes the context, and at most one input: (ctx, input)")
    if len(parameters) == 1:
        return None
    hints, taken = hints_of(function, f"workflow {name}"), parameters[1]
    form = InputForm(hints.get(taken.name, Any))
    _ = form.schema
    return form, taken.default is not taken.empty
