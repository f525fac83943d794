"""The run that the page on replays shows is repeated, and says what the page says."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from onward.surfaces.cli import _answer
from tests.docs.test_docs import FENCE, ROOT
from tests.docs.test_evals_page import pattern

PAGE = ROOT / "docs/howto/replay.md"


def shown(language: str) -> list[str]:
    return [match[2] for match in FENCE.finditer(PAGE.read_text()) if match[1] == language]


def commands() -> list[tuple[str, str]]:
    """The commands of the page, and what it says that they say."""
    parts = re.split(r"^\$ ", "".join(shown("console")), flags=re.M)[1:]
    return [(part.partition("\n")[0], part.partition("\n")[2]) for part in parts]


def said(command: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """The exit code of a command, and what it says."""
    words = [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', command)]
    if words[0] == "onward":
        code = _answer(words[1:], as_json=False)
        return code, capsys.readouterr().out
    command_line = [sys.executable, "-m", *words, "-p", "no:cacheprovider"] if words[0] == "pytest" else words
    done = subprocess.run(command_line, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.replace("\n", " ") if words[0] == "pytest" else done.stdout


def test_the_run_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(ROOT / "docs/examples/returns", tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    for name in ("ONWARD_DB", "ONWARD_APP", "ONWARD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_sessions.py").write_text(shown("py")[0])
    assert sum(command.startswith("onward replay") for command, _ in commands()) == 4
    for command, says in commands():
        code, out = said(command, capsys)
        assert code == int(says.startswith("differs")), (command, out)
        wanted = pattern(says.replace("\n", "") if command.startswith("pytest") else says)
        assert not says or re.fullmatch(wanted, out.rstrip("\n")), out
