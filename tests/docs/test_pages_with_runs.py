"""The runs that pages on looking back show are repeated, and say what the pages say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from onward.core.comparing import Code
from onward.evals import Suite
from tests.docs.runs import Page, prepare
from tests.docs.test_docs import ROOT
from tests.logs import log_as_before


@pytest.fixture(autouse=True)
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    prepare(tmp_path, monkeypatch)
    with log_as_before():
        yield


def test_a_session_is_debugged(capsys: pytest.CaptureFixture[str]) -> None:
    ran = list(Page("debug.md", capsys).repeat())
    assert [each.command.split()[0] for each in ran] == ["run", "events", "show", "fork", "compare"]
    assert [each.code for each in ran] == [0, 0, 0, 0, 1]


def test_every_code_of_a_comparison_is_explained() -> None:
    page = (ROOT / "docs/howto/debug.md").read_text()
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.M)) == set(get_args(Code))


def test_a_prompt_is_tested(capsys: pytest.CaptureFixture[str]) -> None:
    ran = list(Page("evals.md", capsys).repeat())
    assert [each.command.split()[0] for each in ran] == ["run", "run", "export", "export", "eval", "eval"]
    assert all(each.code == int("short.md" in each.command) for each in ran)


def test_the_suite_that_the_page_explains_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (text,) = Page("evals.md", capsys).shown("text")
    (tmp_path / "explained.toml").write_text(text)
    suite = Suite.load(tmp_path / "explained.toml")
    assert suite.model_fields_set >= Suite.model_fields.keys() - {"directory"}


def test_an_incident_becomes_a_test(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = Page("replay.md", capsys)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_sessions.py").write_text(page.shown("py")[0])
    replays = [each for each in page.repeat() if each.command.startswith("replay") or each.code]
    assert [each.code for each in replays] == [0, 1, 0, 1]
