"""The backends, by id."""

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from onward.adapters.local.memory import MemoryBackend
from onward.adapters.local.sqlite import SqliteBackend
from onward.testing.clock import ManualClock
from tests.contract.firestore import FirestoreBackend, ServerTime, Shaped, a_client, start_emulator

Open = Callable[[], SqliteBackend]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(scope="session")
def firestore() -> Iterator[str]:
    """The `host:port` of an emulator for all tests; each takes a project of its own."""
    with start_emulator() as emulator:
        yield emulator.address


@pytest.fixture(params=["memory", "sqlite"])
async def backend(request: pytest.FixtureRequest, clock: ManualClock, tmp_path: Path) -> AsyncIterator[Any]:
    """A backend by its id. Suites that run on others than these two name all."""
    made: Any
    if request.param == "memory":
        made = MemoryBackend(clock)
    elif request.param == "sqlite":
        made = SqliteBackend.open(tmp_path / "onward.db", clock)
    else:
        made = FirestoreBackend(ServerTime(Shaped(a_client(request.getfixturevalue("firestore"))), clock), clock)
    yield made
    await made.close()


@pytest.fixture
def contents(backend: Any) -> Callable[[], Awaitable[str]]:
    """Everything that the backend holds, as text."""

    async def look() -> str:
        if isinstance(backend, FirestoreBackend):
            return await backend.contents()
        if isinstance(backend, MemoryBackend):
            return repr([backend.store._rows, backend.store._inbox, backend.blobs._values])
        if not isinstance(backend, SqliteBackend):
            return str(await backend.contents())
        with closing(sqlite3.connect(backend.database.path)) as file:
            return "\n".join(file.iterdump())

    return look


@pytest.fixture
async def after_death(backend: Any, clock: ManualClock) -> AsyncIterator[Callable[[], Awaitable[Any]]]:
    """The backend as the next process finds it."""
    born: list[Any] = []

    async def die() -> Any:
        if isinstance(backend, MemoryBackend):
            backend.queue.redeliver()
            return backend
        backend.database.holders.abandon()
        born.append(SqliteBackend.open(backend.database.path, clock))
        return born[-1]

    yield die
    for other in born:
        await other.close()


@pytest.fixture
async def another(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Open]:
    """Opens the same file again, as another process would."""
    opened: list[SqliteBackend] = []

    def open() -> SqliteBackend:
        opened.append(SqliteBackend.open(tmp_path / "onward.db", clock))
        return opened[-1]

    yield open
    for backend in opened:
        await backend.close()
