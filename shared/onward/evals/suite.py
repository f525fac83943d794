"""A suite: recorded sessions, what is changed about them, and how what they then do is scored."""

from __future__ import annotations

import tomllib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationError, model_validator

from onward.core.durations import seconds
from onward.core.events import Value
from onward.errors import BadInput
from onward.evals.answers import Answer
from onward.evals.calls import Arguments, Calls, Forbidden, Required
from onward.evals.functions import Function
from onward.evals.judges import Judge
from onward.evals.scores import Scorer
from onward.evals.spending import Within

SuiteEffects = Literal["recorded", "live-model", "blocked"]
"""What becomes of a run's effects: those of a branch but `live`, as a suite reaches nothing but models."""

AnyScore = Annotated[
    Calls | Required | Forbidden | Arguments | Answer | Within | Function | Judge, Field(discriminator="kind")
]
_IN_A_FILE = {"score": "scores", "case": "cases"}
"""Tables that are called otherwise in a file than in Python."""


class Change(Value):
    """What runs have instead of what was recorded: a `model`, and `instructions`, given here or in a file."""

    model: str | None = Field(default=None, min_length=1)
    instructions: str | None = None
    instructions_file: str | None = None


class Tolerance(Value):
    """How much worse than the baseline is not worse: pass rates and scores as a difference, cost as a share of it."""

    score: float = Field(default=0.0, ge=0, le=1)
    pass_rate: float = Field(default=0.0, ge=0, le=1)
    cost: float = Field(default=0.25, ge=0)


class Against(Value):
    """The baseline that results are compared with."""

    file: str
    tolerance: Tolerance = Tolerance.model_construct()


class Case(Value):
    """What is another for some cases: those whose name fits the glob `name`. A score takes the place of the suite's of
    the same name, or is there beside them."""

    name: str
    at: int | None = Field(default=None, ge=1, strict=True)
    repeats: int | None = Field(default=None, ge=1, strict=True)
    scores: tuple[AnyScore, ...] = ()


class Suite(Value):
    """Recorded sessions that are run again with a change, and scored.

    app        the application that runs them, as commands name it
    sessions   exported sessions: globs of files, seen from `directory`, as all files are
    effects    what becomes of calls and models (`recorded`, `live-model`, `blocked`)
    at         the event of each session that its runs leave after; its start by default
    change     what is another than in the recorded sessions
    scores     how a run is scored; it passes if every score does
    cases      what is another for some of them
    repeats    runs of each session; `parallel` of all runs go on at once, each for `timeout` at most
    prices     a file with prices of models, as `onward cost --prices` takes it
    baseline   what the results are compared with
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, arbitrary_types_allowed=True)

    app: str = ""
    sessions: tuple[str, ...] = Field(min_length=1)
    effects: SuiteEffects = "live-model"
    at: int | None = Field(default=None, ge=1, strict=True)
    change: Change = Change.model_construct()
    scores: tuple[AnyScore, ...] = ()
    cases: tuple[Case, ...] = ()
    repeats: int = Field(default=1, ge=1, le=100, strict=True)
    parallel: int = Field(default=4, ge=1, le=64, strict=True)
    timeout: str | float = "10m"
    prices: str | None = None
    baseline: Against | None = None
    name: str = "suite"
    directory: Path = Path()

    @model_validator(mode="after")
    def _is_one(self) -> Suite:
        seconds(self.timeout, "timeout")
        if self.change.instructions is not None and self.change.instructions_file is not None:
            raise BadInput("change: instructions and instructions_file are two; write one")
        _check_titles(self.scores, "score")
        for index, case in enumerate(self.cases):
            _check_titles(case.scores, f"case[{index}].score")
        return self

    @classmethod
    def load(cls, path: Path | str) -> Suite:
        """The suite of a TOML file, named after it. Raises BadInput, which names file and field."""
        path = Path(path)
        try:
            doc = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as exc:
            raise BadInput(f"suite: {path} can't be read: {exc.strerror or exc}") from exc
        except ValueError as exc:
            raise BadInput(f"{path}: this is no TOML: {exc}") from exc
        try:
            return suite_of({"name": path.stem, **_renamed(doc)}, path.parent)
        except BadInput as exc:
            raise BadInput(f"{path}: {exc}") from exc

    def changed(self, **fields: Any) -> Suite:
        """The same suite with these fields. Raises BadInput."""
        given = {name: getattr(self, name) for name in self.model_fields_set} | fields
        return suite_of(given, given.pop("directory", self.directory))

    @property
    def seconds(self) -> float:
        """How long a run may take."""
        return seconds(self.timeout, "timeout")

    def file(self, name: str) -> Path:
        """A file that the suite names."""
        return self.directory / name

    def instructions(self) -> str | None:
        """What models are told instead. Raises BadInput for a file that can't be read, or is empty."""
        if self.change.instructions_file is None:
            return self.change.instructions
        return text_of(self.file(self.change.instructions_file), "change.instructions_file")

    def for_case(self, name: str) -> tuple[int | None, int, tuple[Scorer, ...]]:
        """The event that runs of this case leave after, how many runs it has, and how they are scored. Of several
        overrides the later one counts."""
        at, repeats = self.at, self.repeats
        scores: dict[str, Scorer] = {score.title: score for score in self.scores}
        for case in self.cases:
            if fnmatchcase(name, case.name):
                at, repeats = case.at or at, case.repeats or repeats
                scores |= {score.title: score for score in case.scores}
        return at, repeats, tuple(scores.values())


def suite_of(doc: dict[str, Any], directory: Path) -> Suite:
    """The suite that a document describes. Raises BadInput, which names the field."""
    try:
        return Suite.model_validate({**doc, "directory": directory})
    except ValidationError as exc:
        raise BadInput(_complaint(exc)) from exc


def text_of(path: Path, field: str) -> str:
    """The text of a file that isn't empty. Raises BadInput, which names the field."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise BadInput(f"{field}: {path} can't be read: {getattr(exc, 'strerror', None) or exc}") from exc
    if not text.strip():
        raise BadInput(f"{field}: {path} is empty")
    return text


def _check_titles(scores: tuple[Scorer, ...], field: str) -> None:
    titles = set[str]()
    for index, score in enumerate(scores):
        if score.title in titles:
            raise BadInput(f"{field}[{index}].name: there are two scores {score.title!r}; give one another name")
        titles.add(score.title)


def _renamed(doc: dict[str, Any]) -> dict[str, Any]:
    """What a file says, under the names that Python has for it."""
    for name in ("directory", *_IN_A_FILE.values()):
        if name in doc:
            raise BadInput(f"{name}: a suite has no such field")
    cases = doc.get("case", [])
    if isinstance(cases, list):
        doc = {**doc, "case": [_case(case, index) for index, case in enumerate(cases)]} if cases else doc
    return {_IN_A_FILE.get(name, name): value for name, value in doc.items()}


def _case(case: Any, index: int) -> Any:
    if not isinstance(case, dict):
        return case
    if "scores" in case:
        raise BadInput(f"case[{index}].scores: a suite has no such field")
    return {_IN_A_FILE.get(name, name): value for name, value in case.items()}


_KINDS = frozenset({"calls", "required", "forbidden", "arguments", "answer", "within", "function", "judge"})


def _complaint(exc: ValidationError) -> str:
    """The first thing that is wrong, as it is called in a file."""
    first = exc.errors(include_url=False, include_context=False)[0]
    names = {python: file for file, python in _IN_A_FILE.items()}
    parts = list(first["loc"])
    kept = [part for at, part in enumerate(parts) if not (part in _KINDS and at and isinstance(parts[at - 1], int))]
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{names.get(part, part)}" for part in kept).strip(".")
    if first["type"] == "extra_forbidden":
        return f"{place}: a suite has no such field"
    return f"{place}: {first['msg'].removeprefix('Value error, ')}"
