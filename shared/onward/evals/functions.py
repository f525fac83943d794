"""Scores by functions of the people who write suites."""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from pydantic import model_validator

from onward.core.canonical import sha256
from onward.errors import BadInput
from onward.evals.scores import Help, Run, Score, Scorer, yes_or_no


class Function(Scorer):
    """A score by a function, `file.py:function` or the function itself, which takes what the run did, what the recorded
    session did (`core.turns.Trajectory`), and the case's name. It answers whether it is fine, or a number from 0
    to 1, or a Score; it may be async, and else runs in a thread. What it raises is a failed score."""

    kind: Literal["function"] = "function"
    function: str | Callable[..., Any]

    @model_validator(mode="after")
    def _names_a_function(self) -> Function:
        if isinstance(self.function, str) and not all(self.function.rpartition(":")[::2]):
            raise ValueError(f"function: {self.function!r} names none; write FILE.py:FUNCTION")
        return self

    def _title(self) -> str:
        if isinstance(self.function, str):
            return self.function.rpartition(":")[2]
        return str(getattr(self.function, "__name__", "function"))

    async def score(self, run: Run, help: Help) -> Score:
        return _score(await _said(self.found(help.directory), run.trajectory, run.recorded, run.case))

    def found(self, directory: Path) -> Callable[..., Any]:
        """The function itself. Raises BadInput where there is none of that name, or its file can't be loaded."""
        if not isinstance(self.function, str):
            return self.function
        file, _, name = self.function.rpartition(":")
        found = getattr(_module(directory / file), name, None)
        if not callable(found):
            raise BadInput(f"function: {file} has no function {name!r}")
        return found  # type: ignore[no-any-return]


async def _said(function: Callable[..., Any], *given: Any) -> Any:
    """What a function answers; one that takes its time keeps nobody else from theirs."""
    if inspect.iscoroutinefunction(function):
        return await function(*given)
    found = await asyncio.to_thread(function, *given)
    return await found if inspect.isawaitable(found) else found


def _score(found: Any) -> Score:
    if isinstance(found, bool):
        return yes_or_no(found, "it says no")
    score = found if isinstance(found, Score) else Score(found) if isinstance(found, int | float) else None
    if score is None or not 0 <= score.value <= 1:
        raise BadInput(f"the function answered {found!r}; a score is true or false, a number from 0 to 1, or a Score")
    return score


def _module(path: Path) -> ModuleType:
    path = path.resolve()
    name = f"_onward_scorer_{sha256(str(path))[:8]}_{path.stem}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise BadInput(f"function: there is no Python file {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as exc:
        del sys.modules[name]
        if not isinstance(exc, Exception):
            raise
        raise BadInput(f"function: {path} can't be loaded: {type(exc).__name__}: {exc}") from exc
    return module
