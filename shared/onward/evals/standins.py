"""The application of an eval store, and the models that it asks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from onward.core.model import Model, ModelAnswer, ModelRequest
from onward.core.program import Program
from onward.errors import ModelRefused
from onward.programs.agent import Agent
from onward.programs.app import App
from onward.wiring import local_model


class Absent:
    """Stands for a model that nobody knows here: a run that has all of its answers from the record needs none."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def answer(self, request: ModelRequest) -> ModelAnswer:
        """Raises ModelRefused."""
        raise ModelRefused(f"no model is called {self.name!r} here")


Given = Mapping[str, Model]
"""Models by the names that suite and application have for them."""


class Models:
    """Models by name: those that are given, and else those that a name means on this machine, its files seen from the
    directory."""

    def __init__(self, directory: Path, given: Given | None = None) -> None:
        self._directory, self._known = directory, dict(given or {})

    def find(self, name: str) -> Model | None:
        """The model, or None for a name that nobody knows. Raises BadInput for a script that can't be read."""
        if name not in self._known:
            found = local_model(name, self._directory)
            if found is None:
                return None
            self._known[name] = found
        return self._known[name]


class Bench:
    """The programs of an eval store: those of an application, which reach nothing but models, and judges. It has no
    webhooks, and makes no resources."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._judges: dict[str, Agent] = {}

    def take(self, judge: Agent) -> None:
        """Have this judge, too."""
        self._judges.setdefault(judge.name, judge)

    def program(self, name: str, version: str) -> Program | None:
        """Exactly this version of this program, or None."""
        judge = self._judges.get(name)
        return self._app.program(name, version) if judge is None else judge

    def newest(self, name: str) -> Program | None:
        """The version of this program that its sessions go by, or None."""
        return self._judges.get(name) or self._app.newest(name)

    def choose(self, name: str) -> Any:
        """The newest version of this program."""
        return self._judges.get(name) or self._app.choose(name)
