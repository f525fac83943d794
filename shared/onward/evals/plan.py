"""All that a suite needs, found before anything is run: whatever is wrong with it is said at once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from onward.adapters.local.scripted import SCHEME
from onward.core.canonical import sha256
from onward.core.model import Model
from onward.core.prices import TOKENS, TokenPrices, overridden
from onward.errors import BadInput
from onward.evals.baseline import Baseline
from onward.evals.cases import find
from onward.evals.facts import program_facts
from onward.evals.functions import Function
from onward.evals.judges import Judge
from onward.evals.scores import Scorer
from onward.evals.standins import Absent, Bench, Given, Models
from onward.evals.suite import Suite
from onward.programs.app import App, load_target


@dataclass(frozen=True, slots=True)
class Plan:
    """A suite with what it names: the application as it was given, and as it is run on a bench; the models of judges
    and of the change, found; the files of its cases."""

    suite: Suite
    app: App
    directory: Path
    bench: Bench
    models: Models
    instructions: str | None
    prices: TokenPrices
    baseline: Baseline | None
    cases: tuple[tuple[str, Path], ...]
    whole: bool

    @classmethod
    def of(cls, suite: Suite, app: App | None = None, models: Given | None = None, only: str = "*") -> Plan:
        """Raises BadInput, which names the field."""
        app, directory = (app, suite.directory) if app is not None else _application(suite)
        known = Models(suite.directory, models)
        _check_models(suite, known)
        cases = tuple(find(suite, only))
        for name, _ in cases:
            _check_scores(suite.for_case(name)[2], suite, known)
        return cls(
            suite,
            app,
            directory,
            Bench(_resolved(app, suite, known, Models(directory, models))),
            known,
            suite.instructions(),
            _prices(suite),
            None if suite.baseline is None else Baseline.load(suite.file(suite.baseline.file)),
            cases,
            only == "*",
        )

    def facts(self, program: str) -> list[Any]:
        """What runs of this program depend on, beside the recorded session."""
        programs = program_facts(self.app.newest(program), lambda name: _model_facts(name, self.directory))
        model = self.suite.change.model
        changed = None if model is None else _model_facts(model, self.suite.directory)
        return [programs, self.suite.effects, changed, self.instructions]

    def change(self) -> dict[str, Any]:
        """What runs have instead of what was recorded, for people and programs."""
        change = {"model": self.suite.change.model, "instructions": self.instructions}
        return {"effects": self.suite.effects} | {name: value for name, value in change.items() if value is not None}


def _application(suite: Suite) -> tuple[App, Path]:
    """The application, and where its own files are."""
    if not suite.app:
        raise BadInput("app: it is missing: the application that runs these sessions, such as desk.py")
    file, colon, attribute = suite.app.partition(":")
    source = str(suite.file(file)) if file.endswith(".py") else file
    target = load_target(f"{source}{colon}{attribute}")
    if target.program is not None:
        raise BadInput(f"app: {target.program!r} is a program; the sessions say themselves which one they run")
    return target.app, target.directory


def _resolved(app: App, suite: Suite, known: Models, own: Models) -> App:
    """The application with its models: the one that is changed to is named from the suite, its own from where it is."""

    def find(name: str) -> Model:
        found = known.find(name) if name == suite.change.model else own.find(name)
        return found or Absent(name)

    return app.resolved(find)


def _check_models(suite: Suite, known: Models) -> None:
    if suite.change.model is not None and known.find(suite.change.model) is None:
        raise BadInput(f"change.model: no model is called {suite.change.model!r}: write gemini-... or scripted:FILE")


def _check_scores(scores: tuple[Scorer, ...], suite: Suite, known: Models) -> None:
    if not scores:
        raise BadInput("score: there is none; write at least one [[score]]")
    for score in scores:
        if isinstance(score, Function):
            score.found(suite.directory)
        if isinstance(score, Judge) and known.find(score.model) is None:
            raise BadInput(f"score {score.title!r}: model: none is called {score.model!r}")


def _prices(suite: Suite) -> TokenPrices:
    if suite.prices is None:
        return TOKENS
    path = suite.file(suite.prices)
    try:
        return overridden(json.loads(path.read_bytes(), parse_float=Decimal))
    except (OSError, ValueError, RecursionError) as exc:
        raise BadInput(f"prices: {path} can't be read as JSON: {exc}") from exc


def _model_facts(name: str, directory: Path) -> list[str]:
    """A model's name, and what its script says, if it has one."""
    path = directory / name.removeprefix(SCHEME)
    return [name, sha256(path.read_text(encoding="utf-8"))] if name.startswith(SCHEME) and path.is_file() else [name]
