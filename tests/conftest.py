"""What could not be tested here is said at the end, in a line each; EMULATORS=required makes each a failure."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

REQUIRED = os.environ.get("EMULATORS") == "required"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """A test says `pytest.skip("what is missing, and how to get it")`; where everything is required, that fails it."""
    report: Any = yield
    if REQUIRED and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome, report.longrepr = "failed", f"required, and left out: {report.longrepr[2]}"
    return report
