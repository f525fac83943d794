"""The cases of a suite: exported sessions, found and read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

from onward.core.payload import Erased
from onward.core.portable import Export, read
from onward.core.prices import TokenPrices
from onward.core.recording import Recording
from onward.core.trajectory import trajectory
from onward.core.turns import Trajectory
from onward.errors import BadInput, OnwardError
from onward.evals.suite import Suite

SUFFIX = ".jsonl"


@dataclass(frozen=True)
class Recorded:
    """A recorded session: its `name` is its file's, seen from the suite, without the suffix."""

    name: str
    export: Export

    @classmethod
    def load(cls, name: str, path: Path) -> Recorded:
        """Raises BadInput and CorruptLog for a file that is no session's, or is damaged."""
        try:
            with path.open(encoding="utf-8", newline="\n") as file:
                return cls(name, read(file))
        except OSError as exc:
            raise BadInput(f"{path} can't be read: {exc.strerror or exc}") from exc

    @cached_property
    def recording(self) -> Recording:
        return self.export.recording()

    def check(self, at: int | None) -> None:
        """Whether it can be run again from there on. Raises BadInput where what it was told was erased."""
        for entry in self.recording.state(at or 1).transcript:
            if entry.kind == "input" and isinstance(entry.value, Erased):
                raise BadInput(f"what it was told in event {entry.seq} was erased, so it can't be run again")

    @property
    def slug(self) -> str:
        """Its name as it may stand in a session's id."""
        return re.sub(r"[^A-Za-z0-9._-]+", "-", self.name).strip("-._")[-60:].lstrip("-._") or "case"

    @property
    def identity(self) -> list[str]:
        """What tells it from every other case, and from what it was before."""
        return [self.name, self.recording.hash]

    def trajectory(self, prices: TokenPrices) -> Trajectory:
        """What it did."""
        return trajectory(self.recording, prices)


def find(suite: Suite, only: str = "*") -> Iterator[tuple[str, Path]]:
    """The names and files of the cases whose name fits a glob. Raises BadInput where there is none."""
    found = dict[str, Path]()
    for index, pattern in enumerate(suite.sessions):
        files = _files(pattern, suite.directory)
        if not files:
            raise BadInput(f"sessions[{index}]: there is no file {pattern} in {suite.directory}")
        found |= {_name(file, suite.directory): file for file in files}
    chosen = {name: path for name, path in found.items() if fnmatchcase(name, only)}
    if not chosen:
        raise BadInput(f"case: none is called {only!r}; there are {', '.join(found)}")
    yield from sorted(chosen.items())


def _files(pattern: str, directory: Path) -> list[Path]:
    whole = Path(pattern)
    if whole.is_absolute():
        directory, pattern = Path(whole.anchor), str(whole.relative_to(whole.anchor))
    return sorted(file for file in directory.glob(pattern) if file.is_file())


def _name(path: Path, directory: Path) -> str:
    return Path(os.path.relpath(path, directory)).as_posix().removesuffix(SUFFIX)


def load(name: str, path: Path) -> Recorded | str:
    """The case, or in words why it can't be had."""
    try:
        return Recorded.load(name, path)
    except OnwardError as exc:
        return f"{exc.code}: {exc}"
