"""Exported sessions as tests: each must be decided by the application of today as it was.

from onward.testing.replaying import onward_replay

test_sessions = onward_replay("tests/sessions/*.jsonl", app="app.py")
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from onward.core.divergence import Same
from onward.core.program import Programs
from onward.errors import BadInput, OnwardError
from onward.programs.app import load_app
from onward.programs.replaying import programs_of
from onward.runtime.replaying import replay_file


def onward_replay(*patterns: str, app: str = "app", model: str | None = None) -> Callable[[Path], None]:
    """A test function with one test for each file that a pattern finds, named after it: give it a name that begins
    with `test`.

    Patterns, and an `app` that is a file, are seen from the directory that pytest is run in, or else from the nearest
    one above the calling file that has such files. `model` is as in `onward run --model`. No model is asked and no key
    is needed. Raises BadInput where there is no file.
    """
    base, files = _found(patterns, Path(sys._getframe(1).f_code.co_filename))

    @cache
    def programs() -> Programs:
        return programs_of(load_app(_seen_from(base, app)), model)

    @pytest.mark.parametrize("file", files, ids=[file.name for file in files])
    def test(file: Path) -> None:
        said = _replayed(file, programs)
        if said:
            pytest.fail(said, pytrace=False)

    return test


def _replayed(file: Path, programs: Callable[[], Programs]) -> str:
    """What is wrong with a file's replay, in a line."""
    try:
        with file.open(encoding="utf-8") as lines:
            verdict = replay_file(lines, programs())
    except (OnwardError, OSError) as exc:
        return f"{file.name}: {exc}"
    return "" if isinstance(verdict, Same) else f"{file.name}: {verdict.line}"


def _found(patterns: tuple[str, ...], caller: Path) -> tuple[Path, list[Path]]:
    """Where the files are seen from, and they themselves. Raises BadInput."""
    if not patterns:
        raise BadInput("onward_replay: name the files, such as 'tests/sessions/*.jsonl'")
    for base in (Path.cwd(), *caller.resolve().parents):
        files = sorted({file for pattern in patterns for file in _matching(base, pattern) if file.is_file()})
        if files:
            return base, files
    raise BadInput(f"onward_replay: there is no file {' or '.join(patterns)} here, nor above {caller.name}")


def _matching(base: Path, pattern: str) -> Iterator[Path]:
    path = Path(pattern)
    root = Path(path.anchor) if path.is_absolute() else base
    yield from root.glob(str(path.relative_to(path.anchor) if path.is_absolute() else path))


def _seen_from(base: Path, app: str) -> str:
    """The application's name, where it is a file beside these files."""
    source, colon, rest = app.partition(":")
    return f"{base / source}{colon}{rest}" if source.endswith(".py") else app
