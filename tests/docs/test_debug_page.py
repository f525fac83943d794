"""The run that the page on debugging shows is repeated, and says what the page says."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import get_args

import pytest

from onward.core.comparing import Code
from onward.surfaces.cli import _answer
from tests.docs.test_docs import FENCE, ROOT

PAGE = ROOT / "docs/howto/debug.md"


def shown() -> list[tuple[str, str]]:
    """The commands of the page, and what it says that they say."""
    text = "".join(match[2] for match in FENCE.finditer(PAGE.read_text()) if match[1] == "console")
    parts = re.split(r"^\$ onward ", text, flags=re.M)[1:]
    return [(command, says) for command, _, says in (part.partition("\n") for part in parts)]


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
    assert [command.split()[0] for command, _ in commands] == ["run", "events", "show", "fork", "compare"]
    for command, says in commands:
        code = _answer([word.strip('"') for word in re.findall(r'"[^"]*"|\S+', command)], as_json=False)
        assert code == int(command.startswith("compare")), command
        out = capsys.readouterr().out
        assert re.fullmatch(pattern(says), out.rstrip("\n"), re.S) or not says, out


def test_every_code_is_explained() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), re.M)) == set(get_args(Code))
