"""Scores of a run's final answer."""

from __future__ import annotations

import json
import re
from typing import Any, Literal

from pydantic import model_validator

from onward.core.schemas import errors_of
from onward.evals.calls import compiled
from onward.evals.paths import MISSING, at_path, difference, same
from onward.evals.reading import answer, recorded_answer
from onward.evals.scores import Help, Run, Score, Scorer, short, yes_or_no
from onward.programs.output import unfenced


class Answer(Scorer):
    """What the final answer is to be: all that is given holds.

    `equals` a text or a value, is the `recorded` one, has a `regex` in it, has the fields of `contains` and what they
    are, `fits` a JSON Schema. With `path` the value there is meant. An answer that is a text of JSON is read
    where a value is wanted.
    """

    kind: Literal["answer"] = "answer"
    path: str = ""
    equals: Any = None
    recorded: bool = False
    regex: str | None = None
    contains: dict[str, Any] | None = None
    fits: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _checks_something(self) -> Answer:
        if not self.recorded and not {"equals", "regex", "contains", "fits"} & self.model_fields_set:
            raise ValueError("write equals, recorded, regex, contains or fits")
        compiled(self.regex)
        _check_schema(self.fits)
        return self

    def _title(self) -> str:
        return f"answer {self.path}".strip()

    def score(self, run: Run, help: Help) -> Score:
        found = self._at(answer(run))
        if found is None or found is MISSING:
            return Score(0.0, f"the answer has no {self.path}" if self.path else "there is no answer")
        complaint = self._complaint(found, run)
        return yes_or_no(complaint is None, complaint or "")

    def _at(self, value: Any) -> Any:
        return at_path(read(value), self.path) if self.path else value

    def _complaint(self, found: Any, run: Run) -> str | None:
        if "equals" in self.model_fields_set and not _alike(self.equals, found):
            return f"it is {short(found)} and not {short(self.equals)}"
        if self.recorded and not _alike(self._at(recorded_answer(run)), found):
            return f"it is {short(found)}; recorded is {short(self._at(recorded_answer(run)))}"
        if self.regex is not None and not re.search(self.regex, found if isinstance(found, str) else json.dumps(found)):
            return f"{self.regex!r} is not in {short(found)}"
        lacking = None if self.contains is None else difference(self.contains, read(found))
        if lacking is not None:
            return f"{lacking} is {short(at_path(read(found), lacking)) if lacking != 'the answer' else 'another'}"
        errors = [] if self.fits is None else errors_of(read(found), self.fits)
        return str(errors[0].message) if errors else None


def _alike(wanted: Any, found: Any) -> bool:
    """Texts as they are, but for space around them; values as values."""
    if isinstance(wanted, str):
        return isinstance(found, str) and found.strip() == wanted.strip()
    return same(wanted, read(found))


def read(value: Any) -> Any:
    """The value of a text that is JSON; any other as it is."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(unfenced(value))
    except ValueError:
        return value


def _check_schema(schema: dict[str, Any] | None) -> None:
    if schema is None:
        return
    from jsonschema import Draft202012Validator, SchemaError

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as exc:
        raise ValueError(f"fits: this is no JSON Schema: {exc.message}") from exc
