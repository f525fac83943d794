"""The reference says what the library says: every page is made anew and compared."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import onward
from onward.core import events, signals
from onward.surfaces import cli

REFERENCE = Path(__file__).parents[2] / "docs/reference"
MARK = "<!-- Written by `make docs`"
STALE = "docs/reference is out of date: run `make docs` and commit what it wrote"


def made(directory: Path, seed: str) -> dict[str, str]:
    """Every page as a process with this seed for its hashes writes it."""
    command = [sys.executable, "-W", "error", str(REFERENCE / "generate.py"), str(directory)]
    done = subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return pages_in(directory)


def pages_in(directory: Path) -> dict[str, str]:
    """The pages that were written by `make docs`."""
    found = {path.name: path.read_text(encoding="utf-8") for path in directory.glob("*.md")}
    return {name: text for name, text in found.items() if text.startswith(MARK)}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return made(tmp_path_factory.mktemp("reference"), seed="1")


def headings(page: str) -> set[str]:
    return set(re.findall(r"^#+ (.+)$", page, re.M))


def test_the_committed_pages_are_those_that_the_library_gives(pages: dict[str, str]) -> None:
    committed = pages_in(REFERENCE)
    assert committed.keys() == pages.keys(), STALE
    stale = [name for name in pages if committed[name] != pages[name]]
    assert not stale, f"{STALE} ({', '.join(sorted(stale))})"


def test_the_pages_are_the_same_in_every_process_and_replace_those_of_an_older_release(
    pages: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "gone.md").write_text(pages["errors.md"], encoding="utf-8")
    (tmp_path / "own.md").write_text("by hand", encoding="utf-8")
    assert made(tmp_path, seed="2") == pages
    assert {path.name for path in tmp_path.iterdir()} == {*pages, "openapi.json", "own.md"}
    assert not [name for name, page in pages.items() if re.search(r" at 0x[0-9a-f]|<[\w.]+ object|<function", page)]


def test_nothing_public_is_left_out(pages: dict[str, str]) -> None:
    assert set(onward.__all__) <= headings(pages["library.md"])
    assert set(events.BODIES) <= headings(pages["events.md"])
    assert set(signals.BODIES) <= headings(pages["signals.md"])
    assert {f"onward {name}" for name, command in cli.onward.commands.items() if not command.hidden} <= headings(
        pages["cli.md"]
    )


def test_private_fields_are_marked_and_no_others(pages: dict[str, str]) -> None:
    for kind, body in events.BODIES.items():
        section = pages["events.md"].split(f"\n### {kind}\n")[1].split("\n### ")[0]
        assert set(re.findall(r"^(\w+): .+  # private$", section, re.M)) == body.private, kind


def test_the_environment_is_told_whole(pages: dict[str, str]) -> None:
    source = (Path(onward.__file__).parent / "config.py").read_text(encoding="utf-8")
    read = set(re.findall(r'"((?:[A-Z]+_)*[A-Z]{2,})"', source))
    assert read
    assert read <= set(re.findall(r"`(\w+)`", pages["settings.md"]))
