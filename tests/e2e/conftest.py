"""A desk with a command line."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from onward.surfaces.cli import _answer
from tests.e2e.command import DONE, LOOKUP, REFUND, Answer, Desk, Here
from tests.logs import log_as_before


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    desk.write(LOOKUP, REFUND, DONE)
    yield desk
    desk.close()


@pytest.fixture
def here(desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Here]:
    """Run a command in this process."""
    monkeypatch.chdir(desk.path)
    monkeypatch.setenv("ONWARD_IDENTITY", "ann")
    for name in ("ONWARD_DB", "ONWARD_APP", "ONWARD_PROJECT"):
        monkeypatch.delenv(name, raising=False)

    def run(*words: str) -> Answer:
        code = _answer(list(words), "--json" in words)
        return Answer(code, *capsys.readouterr())

    with log_as_before():
        yield run
