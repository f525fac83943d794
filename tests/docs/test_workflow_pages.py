"""What the pages on workflows show is typed into a shell, with the files that they show."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.runs import Page, prepare
from tests.docs.test_docs import ROOT
from tests.logs import log_as_before


@pytest.fixture(autouse=True)
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    prepare(tmp_path, monkeypatch)
    others = sys.modules.pop("shop", None)  # the demo has a shop too
    with log_as_before():
        yield
    sys.modules.pop("shop", None)
    sys.modules.update({"shop": others} if others else {})


def written(page: Page, directory: Path) -> list[str]:
    """The files that a page shows, each under the name in its first line."""
    files = dict(text.removeprefix("# ").split("\n", 1) for text in page.shown("py"))
    for name, text in files.items():
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text(f"# {name}\n{text}")
    return list(files)


def test_code_changes_under_a_session(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = Page("versions.md", capsys)
    assert written(page, tmp_path)[:2] == ["shop.py", "changed.py"]
    failed = [each.command for each in page.repeat() if each.code]
    assert failed == ["run changed.py --id A-17", "replay A-20 --app changed.py"]


def test_the_readme_shows_the_workflow_that_is_there() -> None:
    assert (ROOT / "docs/examples/workflows/purchase.py").read_text() in (ROOT / "README.md").read_text()
