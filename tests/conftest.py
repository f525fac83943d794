"""What could not be tested here is said at the end, in a line each; EMULATORS=required makes each a failure."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

REQUIRED = os.environ.get("EMULATORS") == "required"
LEFT_OUT = os.environ.pop("LEFT_OUT", None)

# The same examples for everybody, so that a change answers for itself alone; `explore` looks for new ones.
settings.register_profile("same", derandomize=True, max_examples=100 if REQUIRED else 50)
settings.register_profile("explore", max_examples=1000, print_blob=True)
settings.load_profile("same")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """A test says `pytest.skip("what is missing, and how to get it")`; where everything is required, that fails it."""
    report: Any = yield
    if REQUIRED and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome, report.longrepr = "failed", f"required, and left out: {report.longrepr[2]}"
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """One line for each thing that is missing, with the suites that wait for it: here, or with those of the other parts
    of a run in the file that LEFT_OUT names."""
    left_out: dict[str, Counter[str]] = defaultdict(Counter)
    for report in terminalreporter.stats.get("skipped", []):
        suite, reason = report.nodeid.split("::")[0], report.longrepr[2]
        left_out[reason.removeprefix("Skipped: ")][suite] += 1
    for reason, suites in left_out.items():
        names = ", ".join(f"{suite} ({count})" for suite, count in suites.items())
        _say(terminalreporter, f"left out: {names}: {reason}")


def _say(terminalreporter: Any, line: str) -> None:
    if LEFT_OUT is None:
        return terminalreporter.write_line(line)
    with Path(LEFT_OUT).open("a") as file:
        file.write(f"{line}\n")
