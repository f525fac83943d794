"""Runs that pages show, repeated: each command of a page, and what the page says that it says."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from onward.surfaces.cli import _answer
from tests.docs.test_docs import FENCE, ROOT

EXAMPLE = ROOT / "docs/examples/returns"


@dataclass(frozen=True)
class Ran:
    """A command of a page, as it went."""

    command: str
    code: int


class Page:
    """A page of docs with a run on it, in a copy of the directory that the page says to copy."""

    def __init__(self, name: str, capsys: pytest.CaptureFixture[str]) -> None:
        self._text, self._capsys = (ROOT / "docs/howto" / name).read_text(), capsys

    def shown(self, language: str) -> list[str]:
        """What stands in the page's fences of this language."""
        return [match[2] for match in FENCE.finditer(self._text) if match[1] == language]

    def repeat(self) -> Iterator[Ran]:
        """Run each command, and hold what it says against the page; what is left out there may be anything."""
        for part in re.split(r"^\$ ", "".join(self.shown("console")), flags=re.M)[1:]:
            command, _, says = part.partition("\n")
            code, out, errors = self._run(re.findall(r'"[^"]*"|\S+', command))
            wanted = ".*".join(map(re.escape, says.rstrip("\n").split("…")))
            assert not says or re.fullmatch(wanted, out.rstrip("\n"), re.S), f"{command}: {out}{errors}"
            yield Ran(command.removeprefix("onward "), code)

    def _run(self, words: list[str]) -> tuple[int, str, str]:
        words = [word.strip('"') for word in words]
        if words[0] == "onward":
            return _answer(words[1:], as_json=False), *self._capsys.readouterr()
        line = [sys.executable, "-m", *words, "-p", "no:cacheprovider"] if words[0] == "pytest" else words
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        return done.returncode, re.sub(r"^=+ | =+$", "", done.stdout, flags=re.M), done.stderr


def prepare(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the reader of a page is: in a copy of the example, with nothing set."""
    shutil.copytree(EXAMPLE, path, dirs_exist_ok=True)
    monkeypatch.chdir(path)
    for name in ("ONWARD_DB", "ONWARD_APP", "ONWARD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
