"""Answers of a wanted type: the schema a model is shown, and the value that its text amounts to."""

from __future__ import annotations

import re
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from onward.core.canonical import DEEPEST, canonical
from onward.errors import BadInput

ERRORS_SHOWN = 5
LONGEST_PLACE = 64
_FENCED = re.compile(r"\s*```[a-zA-Z]*\s*\n(.*?)\n?\s*```\s*", re.S)


class OutputType:
    """A type that an agent's answers are to be of: a pydantic model, a dataclass, a TypedDict, or anything else that
    pydantic has a JSON Schema for. Raises BadInput, naming the owner."""

    def __init__(self, kind: Any, owner: str) -> None:
        try:
            self._adapter: TypeAdapter[Any] = TypeAdapter(kind)
            self.schema: dict[str, Any] = self._adapter.json_schema()
        except Exception as exc:  # a type's own hooks may raise anything
            why = str(exc).splitlines() or [type(exc).__name__]
            raise BadInput(f"{owner}: output_type {kind!r} has no JSON Schema: {why[0]}") from exc

    def read(self, text: str) -> Any:
        """The JSON value of a model's text, which may stand in a Markdown fence. Strict: "5" is no number.

        Raises BadInput in words for the model, without what it said.
        """
        try:
            value = self._adapter.validate_json(unfenced(text), strict=True)
            dumped = self._adapter.dump_python(value, mode="json", by_alias=True, warnings=False)
            canonical(dumped, DEEPEST)
        except ValidationError as exc:
            raise BadInput(_complaints(exc)) from exc
        except (BadInput, PydanticSerializationError) as exc:
            raise BadInput("the answer holds what JSON can't, such as NaN") from exc
        except Exception as exc:  # a validator of the author's: its failure must not become the session's
            raise BadInput(f"the answer can't be checked: {type(exc).__name__}") from exc
        return dumped

    def typed(self, output: Any) -> Any:
        """The value of the type that a session's output stands for: its JSON, or the text of an answer, where a person
        finished the session with that. Raises BadInput."""
        try:
            return self._adapter.validate_json(canonical(output))
        except ValidationError as exc:
            if not isinstance(output, str):
                raise BadInput(f"the output is not of the output_type: {_complaints(exc)}") from exc
        return self._adapter.validate_json(canonical(self.read(output)))


def unfenced(text: str) -> str:
    """The text without a Markdown fence around it."""
    fenced = _FENCED.fullmatch(text)
    return fenced[1] if fenced else text


def _complaints(exc: ValidationError) -> str:
    errors = exc.errors(include_url=False, include_input=False, include_context=False)
    shown = [_complaint(error) for error in errors[:ERRORS_SHOWN]]
    more = len(errors) - len(shown)
    return "; ".join([*shown, f"and {more} more"] if more else shown)


def _complaint(error: Any) -> str:
    if error["type"] == "json_invalid":
        return "the answer is not JSON, and nothing else is wanted: no words around it"
    where = ".".join(str(part)[:LONGEST_PLACE] for part in error["loc"])
    return f"{where or 'the answer'}: {error['msg']}"
