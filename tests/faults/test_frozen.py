"""A real process, stopped in the middle of what can't be undone, until another has its lease and has gone on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from onward.core import log
from onward.core.events import Actor
from onward.core.head import Head
from onward.core.ids import session_key
from onward.engine.gateway import Start
from onward.engine.load import Loader
from onward.wiring import Parts
from tests.contract.firestore import a_client
from tests.faults import process
from tests.faults.workers import Workers
from tests.ledger import Ledger

KEY, TTL = session_key("default", "s"), 10.0
PATIENCE = 40.0
ANN = Actor(kind="person", name="ann@example.com")


@pytest.fixture(params=["sqlite", "firestore"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place, as a process is told of it."""
    if request.param == "sqlite":
        return str(tmp_path / "onward.db")
    host = request.getfixturevalue("firestore")
    return f"firestore:{host}/{a_client(host)._database.split('/')[1]}"


@pytest.fixture
async def parts(where: str) -> AsyncIterator[Parts]:
    parts = process.open_parts(where)
    yield parts
    await parts.close()


@pytest.fixture
def book(ledger: Ledger) -> Iterator[Ledger]:
    """The ledger, with nothing in it yet."""
    ledger.forget(process.RUN)
    yield ledger
    ledger.forget(process.RUN)


@contextmanager
def worker(where: str, ledger: Ledger) -> Iterator[Workers]:
    workers = Workers(where, ledger, 1, TTL, "s")
    try:
        yield workers
    finally:
        workers.end()


async def until(parts: Parts, test: Callable[[Head], Any]) -> Head:
    end = time.monotonic() + PATIENCE
    while True:
        head = await parts.backend.store.read(KEY)
        if head is not None and test(head):
            return head
        assert time.monotonic() < end, head
        await asyncio.sleep(0.05)


def attempts(ledger: Ledger) -> list[int]:
    return [entry["attempt"] for what, entry in ledger.entries(process.RUN) if what == "pay_late"]


async def frozen_in_the_middle(parts: Parts, first: Workers, ledger: Ledger) -> None:
    """Start, and freeze the process once it has done what its log knows the beginning of."""
    await parts.gateway.start(Start("s", "late", "1", "go"), ANN)
    end = time.monotonic() + PATIENCE
    while not attempts(ledger):
        assert time.monotonic() < end
        await asyncio.sleep(0.02)
    first.freeze(0)


async def test_g2_who_was_frozen_appends_nothing_and_its_outcome_settles_the_doubt(
    where: str, parts: Parts, book: Ledger
) -> None:
    """Nobody can tell whether it was paid, until the first process wakes up and says so (R7)."""
    with worker(where, book) as first:
        await frozen_in_the_middle(parts, first, book)
        with worker(where, book):
            asking = await until(parts, lambda head: any(wait.kind == "operator" for wait in head.waits))
            book.book_surely(process.RUN, "tell", {})
            first.thaw(0)
            head = await until(parts, lambda head: head.ended)
    done = [event for event in await events(parts) if event.kind == "call_completed"]
    assert attempts(book) == [1]
    assert head.status == "completed"
    assert done[0].body.result == "paid by attempt 1"
    assert done[0].seq > asking.seq
    await holds(parts, head)


async def test_g6_what_was_done_again_meanwhile_is_found_out(where: str, parts: Parts, book: Ledger) -> None:
    """They say that it did not happen, so it is done again; then the first process says that it had."""
    book.book_surely(process.RUN, "deny", {})
    with worker(where, book) as first:
        await frozen_in_the_middle(parts, first, book)
        with worker(where, book):
            ended = await until(parts, lambda head: head.ended)
            book.book_surely(process.RUN, "tell", {})
            first.thaw(0)
            head = await until(parts, lambda head: head.seq > ended.seq)
    (told,) = [event for event in await events(parts) if event.seq > ended.seq]
    assert attempts(book) == [1, 2]
    assert (told.kind, told.body.error.code) == ("signal_refused", "performed_twice")
    await holds(parts, head)


async def events(parts: Parts) -> list[Any]:
    return [event for commit in await parts.backend.store.commits(KEY) for event in Loader.events(commit)]


async def holds(parts: Parts, head: Head) -> None:
    """The log is whole, and whoever appended held the lease: epochs only grow."""
    commits = await parts.backend.store.commits(KEY)
    assert log.verify(commits, head.hash) == (head.seq, head.hash)
    epochs = [commit.epoch for commit in commits]
    assert epochs == sorted(epochs)
    started = next(commit for commit in commits if any(record.kind == "call_started" for record in commit.records))
    assert epochs.count(started.epoch) == 1, "it began, and appended nothing more under that lease"
