"""The ledger, and what the matrix has to say at the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests import ledger as ledgers
from tests.faults.matrix import MATRIX, quiet
from tests.ledger import Ledger


@pytest.fixture(scope="session")
def ledger() -> Iterator[Ledger]:
    """The world outside, in a process of its own."""
    ledger = ledgers.start()
    yield ledger
    ledger.close()


@pytest.fixture
def silent() -> Iterator[None]:
    """The engine warns of every fault it meets; in a test of faults that is no news."""
    with quiet():
        yield


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if MATRIX.runs:
        terminalreporter.write_line(str(MATRIX))
