"""Sessions for the suites to work on: heads, commits and signals that hold together, the same at each run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from itertools import count
from typing import Any, Protocol

from onward.core import events as ev
from onward.core.codec import encode
from onward.core.events import Actor, Body, Event
from onward.core.head import Head
from onward.core.ids import session_key
from onward.core.log import Commit, seal
from onward.core.signals import Signal
from onward.ports import Append, Blobs, Errand, Incarnations, Lease, SessionStore, Sweeps, Switches, Wake

PERSON = Actor(kind="person", name="ada@example.com")
START = datetime.fromisoformat("2026-01-05T09:00:00.123+00:00")


class QueueUnderTest(Protocol):
    async def publish(self, wake: Wake) -> None: ...
    async def arm(self, key: str, at: datetime) -> None: ...
    async def take(self, limit: int = 1) -> list[Any]: ...
    async def done(self, delivery: Any) -> None: ...
    async def put_back(self, delivery: Any, delay: float = 0.0) -> None: ...
    async def send(self, errand: Errand, at: datetime) -> None: ...
    async def take_errands(self, limit: int = 1) -> list[Errand]: ...
    async def done_errand(self, errand: Errand) -> None: ...


class Backend(Protocol):
    """What a suite needs of a backend."""

    @property
    def store(self) -> SessionStore: ...
    @property
    def blobs(self) -> Blobs: ...
    @property
    def queue(self) -> QueueUnderTest: ...
    @property
    def switches(self) -> Switches: ...
    @property
    def incarnations(self) -> Incarnations: ...
    @property
    def sweeps(self) -> Sweeps: ...


Contents = Callable[[], Awaitable[str]]
"""All that a backend holds, as text: what was to go is to be found nowhere."""


class Clock(Protocol):
    """A clock that a test moves."""

    def now(self) -> datetime: ...
    def monotonic(self) -> float: ...
    async def sleep(self, seconds: float) -> None: ...
    def advance(self, seconds: float) -> None: ...
    def set_wall(self, to: datetime) -> None: ...


def salts() -> Iterator[str]:
    return (f"{number:016x}" for number in count(1))


def commit_of(*bodies: Body, after: Head | None, epoch: int, token: str, **genesis: str) -> Commit:
    """These bodies as one commit after this head."""
    seq, prev = (after.seq, after.hash) if after else (0, "")
    events = [
        Event.model_construct(seq=seq + at, at=START, actor=PERSON, body=body, trace=None)
        for at, body in enumerate(bodies, start=1)
    ]
    pool = salts()
    return seal([encode(e, pool) for e in events], prev=prev, epoch=epoch, token=token, genesis=genesis or None)


def opening(id: str = "order-1", tenant: str = "acme", **fields: Any) -> tuple[Head, Commit]:
    """The first head and commit of a session."""
    body = ev.SessionStarted(tenant=tenant, session=id, program="desk", version="1", input={"text": "Grüße, 😀 \u2028"})
    commit = commit_of(body, after=None, epoch=0, token=f"open-{id}", tenant=tenant, session=id)
    key = session_key(tenant, id)
    head = Head(key, tenant, id, "desk", "1", "running", 1, commit.hash, 1, START, START)
    return replace(head, **fields), commit


async def begin(store: SessionStore, id: str = "order-1", **fields: Any) -> str:
    """A session that is there, as its key."""
    head, commit = opening(id, **fields)
    assert await store.create(head, commit, Wake(head.key)) is None
    return head.key


async def claimed(store: SessionStore, key: str, owner: str = "alice:1", published: int = 0) -> Lease:
    lease = await store.claim(key, owner, published)
    assert isinstance(lease, Lease), lease
    return lease


def append_of(
    lease: Lease, note: str = "note", *bodies: Body, head: Mapping[str, Any] | None = None, **how: Any
) -> Append:
    """The next append under this lease; `note` makes it differ from others."""
    bodies = bodies or (ev.LabelsChanged(set={"note": note}),)
    commit = commit_of(*bodies, after=lease.head, epoch=lease.epoch, token=f"{note}-{lease.epoch}-{lease.head.seq}")
    moved = replace(lease.head, seq=commit.last_seq, hash=commit.hash, commits=lease.head.commits + 1)
    return Append(commit, replace(moved, **(head or {})), **how)


def signal(id: str = "s1", content: Any = "hello", sender: Actor = PERSON) -> Signal:
    return Signal(id, "input", {"content": content}, sender)
