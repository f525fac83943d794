"""What the documentation shows is run, and what it points at is there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.M | re.S)


def blocks(language: str) -> list[tuple[str, str]]:
    found = [(page, match) for page in PAGES for match in FENCE.finditer(page.read_text()) if match[1] == language]
    return [
        (f"{page.relative_to(ROOT)}:{page.read_text()[: match.start()].count(chr(10)) + 1}", match[2])
        for page, match in found
    ]


@pytest.mark.parametrize(("where", "code"), [pytest.param(*block, id=block[0]) for block in blocks("python")])
def test_every_python_example_runs(where: str, code: str, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, f"{where}\n{done.stderr}"


@pytest.mark.parametrize(("where", "code"), [pytest.param(*block, id=block[0]) for block in blocks("json")])
def test_every_json_example_is_a_script_that_loads(where: str, code: str, tmp_path: Path) -> None:
    from onward import ScriptedModel

    json.loads(code)
    (tmp_path / "script.json").write_text(code)
    ScriptedModel.from_file(tmp_path / "script.json")


def test_the_readme_shows_the_example_that_is_there() -> None:
    assert (ROOT / "docs/examples/library.py").read_text() in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / link).exists(), link


def test_every_command_that_the_docs_name_exists() -> None:
    from onward.surfaces.cli import onward

    named = {name for page in PAGES for name in re.findall(r"\$ (?:\.venv/bin/)?onward (\w+)", page.read_text())}
    assert named
    assert named <= set(onward.commands)


def test_every_guarantee_has_tests_that_carry_its_number_and_a_broken_variant() -> None:
    tests = {path: path.read_text() for path in (ROOT / "tests").rglob("*.py")}
    numbers = [int(number) for number in re.findall(r"^\| \*\*G(\d+)", (ROOT / "docs/guarantees.md").read_text(), re.M)]
    assert numbers
    for number in numbers:
        assert any(re.search(rf"\b(test_)?g{number}_", text) for text in tests.values()), (
            f"G{number} has no test of its number"
        )
        broken = [text for path, text in tests.items() if path.parent.name == "broken"]
        assert any(re.search(rf"\bG{number}\b|\bg{number}_", text, re.I) for text in broken), (
            f"G{number} has no broken variant"
        )
