"""The ledger, and what the matrix has to say at the end."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from emulators.storage import Storage
from onward.adapters.gcp.storage import StorageBlobs
from onward.testing.runner import AutoClock
from tests import ledger as ledgers
from tests.contract.firestore import start_emulator
from tests.faults.matrix import MATRIX, quiet
from tests.faults.places import Firestore, Memory, Sqlite
from tests.ledger import Ledger

_made = itertools.count(1)


@pytest.fixture(scope="session")
def ledger() -> Iterator[Ledger]:
    """The world outside, in a process of its own."""
    ledger = ledgers.start()
    yield ledger
    ledger.close()


@pytest.fixture(scope="session")
def firestore() -> Iterator[str]:
    """The `host:port` of an emulator for all of these tests."""
    with start_emulator() as emulator:
        yield emulator.address


@pytest.fixture(scope="session")
def storage() -> Iterator[Storage]:
    """A stand-in for Cloud Storage."""
    with Storage() as storage:
        yield storage


@pytest.fixture(params=["memory", "sqlite", "firestore"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[AutoClock], Any]:
    """Where sessions live, and large values with them: makes a new place when it is given the clock."""
    if request.param == "memory":
        return Memory
    if request.param == "sqlite":
        return lambda clock: Sqlite(tmp_path / f"{next(_made)}.db", clock)
    host, storage = request.getfixturevalue("firestore"), request.getfixturevalue("storage")
    return lambda clock: Firestore(host, clock, _bucket(storage))


def _bucket(storage: Storage) -> StorageBlobs:
    name = f"bucket-{next(_made)}"
    storage.make_bucket(name)
    return StorageBlobs(name, endpoint=storage.url)


@pytest.fixture
def silent() -> Iterator[None]:
    """The engine warns of every fault it meets; in a test of faults that is no news."""
    with quiet():
        yield


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if MATRIX.runs:
        terminalreporter.write_line(str(MATRIX))
