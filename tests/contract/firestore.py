"""The Firestore store on Google's emulator, on a clock that tests move."""

from __future__ import annotations

import importlib.util
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from emulators.cloud_sdk import Missing
from emulators.firestore import FirestoreEmulator
from onward.adapters.gcp.firestore import FirestoreStore
from onward.adapters.gcp.firestore_client import Client
from onward.adapters.gcp.firestore_documents import milliseconds
from onward.adapters.gcp.firestore_incarnations import FirestoreIncarnations
from onward.adapters.gcp.firestore_queries import SHAPES
from onward.adapters.gcp.firestore_sweeps import FirestoreSweeps
from onward.adapters.gcp.firestore_switches import FirestoreSwitches
from onward.adapters.gcp.firestore_wire import Found, Question, Write, Written
from onward.adapters.local.memory import MemoryBackend
from onward.core.lease import TTL
from onward.testing.clock import ManualClock

GET_CLIENT = "google-cloud-firestore is missing: pip install -e '.[gcp]'"


def start_emulator() -> FirestoreEmulator:
    """An emulator, or a word on what is missing here."""
    if not _installed():
        pytest.skip(GET_CLIENT)
    try:
        return FirestoreEmulator()
    except Missing as exc:
        pytest.skip(str(exc))


def _installed() -> bool:
    try:
        return importlib.util.find_spec("google.cloud.firestore_v1") is not None
    except ModuleNotFoundError:
        return False


def a_client(host: str) -> Client:
    """A client of a project that nobody else has."""
    return Client(f"test-{uuid.uuid4().hex[:12]}", emulator=host)


class Around:
    """A client around a client: what a test wants to see or to change of its calls."""

    def __init__(self, real: Any) -> None:
        self.real = real

    async def commit(self, writes: Sequence[Write]) -> list[Written]:
        return await self.real.commit(writes)

    async def get(self, paths: Sequence[str], only: Sequence[str] | None = None) -> Found:
        return await self.real.get(paths, only)

    async def query(self, question: Question) -> Found:
        return await self.real.query(question)

    async def total(self, question: Question) -> int:
        return await self.real.total(question)

    async def discard(self, documents: Sequence[Any]) -> None:
        await self.real.discard(documents)

    async def close(self) -> None:
        await self.real.close()


class Counting(Around):
    """Counts documents read and written as they are billed: a query that finds nothing is one read."""

    def __init__(self, real: Any) -> None:
        super().__init__(real)
        self.count: Counter[str] = Counter()

    async def commit(self, writes: Sequence[Write]) -> list[Written]:
        self.count["writes"] += len(writes)
        return await super().commit(writes)

    async def get(self, paths: Sequence[str], only: Sequence[str] | None = None) -> Found:
        self.count["reads"] += len(paths)
        return await super().get(paths, only)

    async def query(self, question: Question) -> Found:
        found = await super().query(question)
        self.count["reads"] += max(1, len(found.documents))
        return found

    def taken(self) -> tuple[int, int]:
        """(reads, writes) since the last time."""
        count, self.count = self.count, Counter()
        return count["reads"], count["writes"]


class Shaped(Around):
    """Sees to it that every question has one of the shapes, and so an index, which the emulator does not ask for."""

    async def query(self, question: Question) -> Found:
        assert any(has_shape(question, shape) for shape in SHAPES), question
        return await super().query(question)

    async def total(self, question: Question) -> int:
        assert any(has_shape(question, shape) for shape in SHAPES), question
        return await super().total(question)


def has_shape(question: Question, shape: Any) -> bool:
    """Whether the index of this shape answers the question."""
    where = (question.collection, question.group, question.orders) == (shape.collection, shape.group, (shape.order,))
    equal = {name for name, operator, _ in question.filters if operator == "=="}
    among = {name for name, operator, _ in question.filters if operator == "in"}
    listed = {name for name, operator, _ in question.filters if operator == "contains"}
    bounded = {name for name, operator, _ in question.filters if operator[0] in "<>"}
    wanted = (set(shape.equal), {shape.among} - {None}, {shape.contains} - {None})
    return where and (equal, among, listed) == wanted and bounded <= {shape.order[0]}


class ServerTime(Around):
    """Plays the server's clock, which no test can move: what would be stamped with the server's time is stamped with
    this one's, and reads are answered as of it. Versions, preconditions and atomicity stay the server's own.

    A server doesn't notice when somebody sets another machine's wall clock: only time that passes counts.
    """

    def __init__(self, real: Any, clock: ManualClock) -> None:
        super().__init__(real)
        self._clock = clock
        self._start = clock.now() - timedelta(seconds=clock.monotonic())

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._clock.monotonic())

    async def commit(self, writes: Sequence[Write]) -> list[Written]:
        stamp = milliseconds(self.now())
        written = await super().commit([_stamped(write, stamp) for write in writes])
        return [
            replace(one, at=stamp, stamp=stamp if write.stamped else None)
            for one, write in zip(written, writes, strict=True)
        ]

    async def get(self, paths: Sequence[str], only: Sequence[str] | None = None) -> Found:
        return self._played(await super().get(paths, only))

    async def query(self, question: Question) -> Found:
        return self._played(await super().query(question))

    def _played(self, found: Found) -> Found:
        """What is stamped is stamped in the commit that makes a signal: the test's clock knows no moment between."""
        documents = tuple(replace(one, created=one.fields.get("filed_at", one.created)) for one in found.documents)
        return Found(documents, self.now())


def _stamped(write: Write, at: datetime) -> Write:
    fields = {**write.fields, **dict.fromkeys(write.stamped, at)}
    return replace(write, fields=fields, only=write.only and (*write.only, *write.stamped), stamped=())


class FirestoreBackend(MemoryBackend):
    """Sessions and switches on Firestore; the rest, which is of other services, in memory."""

    def __init__(self, client: Any, clock: Any, ttl: float = TTL) -> None:
        super().__init__(clock, ttl)
        self.client = client
        self.store = FirestoreStore(client, clock, ttl)  # type: ignore[assignment]
        self.switches = FirestoreSwitches(client)  # type: ignore[assignment]
        self.incarnations = FirestoreIncarnations(client)  # type: ignore[assignment]
        self.sweeps = FirestoreSweeps(client)  # type: ignore[assignment]

    async def contents(self) -> str:
        """Every document there is, as text."""
        bare = self.client
        while isinstance(bare, Around):
            bare = bare.real
        below = [Question(name, group=name != "sessions") for name in ("sessions", "commits", "inbox")]
        return repr([(await bare.query(question)).documents for question in below])

    async def close(self) -> None:
        await self.store.close()
