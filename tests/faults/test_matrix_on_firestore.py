"""The fault matrix on Firestore (`tests.faults.matrix_on_firestore`)."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import pytest

from tests.faults import matrix_on_firestore as here
from tests.faults.matrix import MATRIX
from tests.ledger import Ledger

PROCESSES = 2
DOES = {"test_matrix_on_firestore": here.sampled, "test_s9_commits_of_unknown_fate": here.interrupted}


@pytest.fixture(scope="module")
def work(request: pytest.FixtureRequest, ledger: Ledger, firestore: str) -> Iterator[dict[str, Future[Any]]]:
    """What the chosen tests will ask for, begun at once in processes beside this one."""
    chosen = [item for item in request.session.items if getattr(item, "originalname", "") in DOES]
    pool = ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn"))
    try:
        yield {
            item.name: pool.submit(DOES[item.originalname], item.callspec.params["part"], firestore, ledger.address)
            for item in chosen
            if isinstance(item, pytest.Function)
        }
    finally:
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("part", range(here.PARTS))
def test_matrix_on_firestore(part: int, work: dict[str, Future[Any]], request: pytest.FixtureRequest) -> None:
    """G1 to G8, G13: whatever happens at whatever call, the session comes to the same, and so does the world."""
    complaints = []
    for report in work[request.node.name].result():
        MATRIX.add(report)
        complaints += report.complaints
    assert not complaints


@pytest.mark.usefixtures("firestore")
def test_matrix_on_firestore_missed_no_call() -> None:
    """Every call that these sessions make met every fault that fits it, there too."""
    if not MATRIX.has_all(here.NAME):
        pytest.skip("only a part of the matrix was run")
    assert not MATRIX.missing(here.NAME)


@pytest.mark.parametrize("part", range(here.PARTS))
def test_s9_commits_of_unknown_fate(part: int, work: dict[str, Future[Any]], request: pytest.FixtureRequest) -> None:
    """Two of each session's commits, drawn by lot, fail below the store: once before they arrive, once after."""
    assert not work[request.node.name].result()
