"""The run that the page on suites shows is repeated, and says what the page says."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from onward.evals import Suite
from onward.surfaces.cli import _answer
from tests.docs.test_docs import FENCE, ROOT

PAGE = ROOT / "docs/howto/evals.md"


def shown() -> list[tuple[str, str]]:
    """The commands of the page, and what it says that they say."""
    text = "".join(match[2] for match in FENCE.finditer(PAGE.read_text()) if match[1] == "console")
    return [
        (part.partition("\n")[0], part.partition("\n")[2]) for part in re.split(r"^\$ onward ", text, flags=re.M)[1:]
    ]


def pattern(text: str) -> str:
    """What is left out on the page may be anything."""
    return ".*".join(map(re.escape, text.rstrip("\n").split("…")))


def test_the_run_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(ROOT / "docs/examples/returns", tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    for name in ("ONWARD_DB", "ONWARD_APP", "ONWARD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    commands = shown()
    assert [command.split()[0] for command, _ in commands] == ["run", "run", "export", "export", "eval", "eval"]
    for command, says in commands:
        code = _answer([word.strip('"') for word in re.findall(r'"[^"]*"|\S+', command)], as_json=False)
        assert code == int("short.md" in command), command
        out = capsys.readouterr().out
        assert re.fullmatch(pattern(says), out.rstrip("\n")) or not says, out


def test_the_suite_that_the_page_explains_is_one(tmp_path: Path) -> None:
    (text,) = [match[2] for match in FENCE.finditer(PAGE.read_text()) if match[1] == "text"]
    (tmp_path / "suite.toml").write_text(text)
    suite = Suite.load(tmp_path / "suite.toml")
    assert suite.model_fields_set >= Suite.model_fields.keys() - {"directory"}
