"""The guarantees, each by its checks (`tests.faults.checks`). The test's id begins with the guarantee's number."""

from __future__ import annotations

import asyncio

import pytest

from tests.faults import (  # noqa: F401 - they register their checks
    checks_of_branches,
    checks_of_flows,
    checks_of_teams,
    checks_of_wakes,
    checks_of_workflow_branches,
)
from tests.faults.checks import CHECKS
from tests.ledger import Ledger


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize("name", CHECKS)
def test_guarantee(name: str, ledger: Ledger) -> None:
    assert not asyncio.run(CHECKS[name](ledger))
