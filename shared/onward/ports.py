"""What the engine needs of the world: small protocols, their promises numbered.

Each promise is a test in `onward.testing.contracts` that carries its number, and runs on every backend.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

from onward.core.events import Actor, Event
from onward.core.head import Head, Status, WaitKind
from onward.core.incarnation import Restored, Restores
from onward.core.lease import Busy, Later
from onward.core.log import Commit
from onward.core.model import Model as Model
from onward.core.signals import Signal
from onward.core.sweeps import Sweepings, Swept
from onward.core.switches import Switch, Turn
from onward.errors import Refused


@dataclass(frozen=True, slots=True)
class Wake:
    """ "Look at this session." `look` asks for its inbox too; `published` is what is known to be out (R12).

    A `delayed` one was armed by a visitor who then acknowledged: nobody else may be left to come, so one that is
    turned away again is armed again (R4). A queue that unites wakes may call any look delayed. Whose session it is
    says who knows it: lanes can be made of that, and nothing else is.
    """

    key: str
    look: bool = False
    published: int = 0
    delayed: bool = field(default=False, compare=False)
    tenant: str | None = field(default=None, compare=False)
    program: str | None = field(default=None, compare=False)

    @classmethod
    def of(cls, head: Head, *, look: bool = False, published: int = 0) -> Wake:
        """A wake for the session of this head."""
        return cls(head.key, look, published, tenant=head.tenant, program=head.program)


@dataclass(frozen=True, slots=True)
class Errand:
    """ "Tell this webhook of event `seq` of this session": no step of the session, and done beside its steps. `attempt`
    counts from 1."""

    key: str
    seq: int
    webhook: str
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to append. `now` is the store's time at the claim, `confirmed` the claimant's own monotonic time from
    before the last claim, renewal or append was sent (R3). `stalls` attempts before this one died without a trace."""

    key: str
    epoch: int
    owner: str
    head: Head
    now: datetime
    confirmed: float
    stalls: int = 0
    mark: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Append:
    """One atomic append: the commit, the head it leads to, the signals it absorbed, whether the lease is let go.

    `inbox_read` says that the holder has read the inbox since it saw the lease's mark, which may then go.
    `wake` is the wake that follows; an embedded store keeps it in the same commit.
    """

    commit: Commit
    head: Head
    absorbed: tuple[str, ...] = ()
    release: bool = False
    inbox_read: bool = False
    wake: Wake | None = None


@dataclass(frozen=True, slots=True)
class Appended:
    """`mark` is the visitor's mark that stands after the append, if any: somebody was turned away."""

    lease: Lease
    mark: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Inbox:
    """Pending signals in the order of (filed_at, id), and the store's time of this read."""

    signals: tuple[Signal, ...]
    now: datetime
    more: bool = False


Cursor = tuple[datetime, str]
"""A place in a list: a head's `updated_at` and its key."""


@dataclass(frozen=True, slots=True)
class Query:
    """Which heads to list: by (`updated_at`, key), the newest first, or with `oldest` the oldest first; at most
    `limit`, those behind the cursor `after`.

    What is not given is not asked for, but that tombstones are only listed where `status` names them. `labels` are
    pairs of name and value that a session must all have, compared as text (`true` for True). `parent` is the id of the
    session that started these, `family` of the one that these branches come from in the end, which is none of them.
    `..._before` excludes its time, `..._since` includes it.

    A session that moves becomes the newest. Who pages from the newest on meets it at most once, and may miss it; who
    pages from the oldest on misses none, and may meet it again.
    """

    tenant: str | None = None
    status: tuple[Status, ...] = ()
    program: str | None = None
    version: str | None = None
    wait: WaitKind | None = None
    parent: str | None = None
    family: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    updated_before: datetime | None = None
    updated_since: datetime | None = None
    created_before: datetime | None = None
    created_since: datetime | None = None
    after: Cursor | None = None
    limit: int = 100
    oldest: bool = False


def cursor(head: Head) -> Cursor:
    """The place of this head: what follows it is the next page."""
    return head.updated_at, head.key


async def every(store: SessionStore, query: Query, page: int = 200) -> AsyncIterator[Head]:
    """Everything that a query finds, a page at a time; its `limit` is not asked."""
    query = replace(query, limit=page)
    while heads := await store.list(query):
        for head in heads:
            yield head
        if len(heads) < page:
            return
        query = replace(query, after=cursor(heads[-1]))


def not_imported(status: Status | None) -> Refused:
    """Why a log is not filled: only that of an import is."""
    return Refused("not imported", "not_an_import", f"it is {status}" if status else "there is no such session")


RESTS: tuple[Status, ...] = ("needs_attention", "paused", "scheduled")
"""Statuses of sessions that rest, and need not wait for anything that is named."""


class SessionStore(Protocol):
    """Heads, commits and inboxes of all sessions.

    S1  create makes head and first commit together, or answers the head that is there and changes nothing.
    S2  claim gives a lease with an epoch above every earlier one, or says Busy or Later, or None for no session.
    S3  claim by an owner that holds the lease already gives it again (an ambiguous claim is settled by asking again).
    S4  append is one atomic commit, conditional on the lease's epoch and the expected seq; else LeaseLost, and
        nothing has changed: not the head, not the log, not the inbox.
    S5  a lease lapses `ttl` seconds after its last claim, renewal or append, on the store's own clock.
    S6  mark stands only if the head is still held at that epoch and seq. An append keeps it, unless `inbox_read`
        and it is the mark that the lease was claimed with.
    S7  file is create-if-absent; the same id with other content is Refused. `filed_at` is the store's time.
    S8  absorbed signals are no longer pending, in the same commit as the events they became. Of them, as of those that
        are refused, the store forgets the body, and keeps what makes a repeat harmless: id, digest and times.
    S9  a commit that was answered is durable; one that raised Ambiguous may have happened, and the commits tell.
    S10 what raised anything but Ambiguous has not happened.
    S11 erase replaces one commit by the same with fields erased: its hash and seqs are the same; else CorruptLog.
    S12 release lets the lease go and settles its epoch; a `head` of the same seq and hash replaces the one there. A
        lease that is gone already makes it do nothing. It answers the mark that stands.
    S13 an embedded store keeps wakes with the log: an append's `wake` is part of its commit.
    S14 delete puts a tombstone, a head of the same seq and hash, in the place of a session, in one atomic commit under
        its lease; else LeaseLost, and nothing has changed. Log and inbox are gone, in an embedded store wakes and
        timers too. A tombstone is read, listed if asked for, and never claimed: create answers it. Where a log is more
        than one commit takes, it goes after the tombstone; if that dies half-way, clear completes it. Else clear does
        nothing, and no other call removes anything: who may not delete can do everything else.
    S15 census counts the sessions that wait for each kind of thing, and those of each status of RESTS, without reading
        them. What is written meanwhile may be counted or not.
    S16 fill puts commits behind the first one into the log of an import, each where there is none yet: many of them
        part by part, each part atomic and only while the head says that it is an import, else Refused. Another one in
        the place of one of them is CorruptLog. What died half-way is completed by the same fill. Nobody claims an
        import, so that its head never moves; delete puts a tombstone in its place under any lease of this head.
    """

    embedded: bool

    async def create(self, head: Head, commit: Commit, wake: Wake | None) -> Head | None: ...
    async def fill(self, key: str, commits: Sequence[Commit]) -> None: ...
    async def read(self, key: str) -> Head | None: ...
    async def claim(self, key: str, owner: str, published: int = 0) -> Lease | Busy | Later | None: ...
    async def renew(self, lease: Lease) -> Lease: ...
    async def mark(self, key: str, epoch: int, seq: int) -> bool: ...
    async def append(self, lease: Lease, append: Append) -> Appended: ...
    async def release(self, lease: Lease, head: Head | None = None) -> tuple[int, int] | None: ...
    async def commits(self, key: str, after: int = 0, limit: int | None = None) -> Sequence[Commit]: ...
    async def erase(self, lease: Lease, commit: Commit) -> None: ...
    async def delete(self, lease: Lease, tombstone: Head) -> None: ...
    async def clear(self, key: str) -> None: ...
    async def file(self, key: str, signal: Signal) -> Signal: ...
    async def pending(self, key: str, limit: int = 100) -> Inbox: ...
    async def refuse(self, key: str, signals: Sequence[str], reason: str) -> None: ...
    async def list(self, query: Query) -> Sequence[Head]: ...
    async def overdue(self, limit: int = 100) -> Sequence[str]: ...
    async def census(self) -> Mapping[WaitKind | Status, int]: ...
    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: what it is, how it is, and whether that is as it should be. `details` are for
    programs; `sessions` the ids of those that it is about, if they are few."""

    name: str
    ok: bool
    text: str
    details: Mapping[str, Any] = field(default_factory=dict)
    sessions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """How a backend is: its findings, and how many sessions that have not ended run each (program, version)."""

    findings: tuple[Finding, ...] = ()
    versions: tuple[tuple[str, str, int], ...] = ()


class Blobs(Protocol):
    """Large values of a session.

    B1  put is create-only, and putting the same again is no error.
    B2  get gives what was put, or None.
    B3  forget removes every value of the session whose name begins so, but for `keep`; for good.
    """

    async def put(self, key: str, name: str, text: str) -> None: ...
    async def get(self, key: str, name: str) -> str | None: ...
    async def forget(self, key: str, prefix: str, keep: str | None = None) -> None: ...


class Switches(Protocol):
    """What operators have switched off, for all processes.

    K1  read gives what is off now, by scope; a turn that was answered is durable, and seen by every later read.
    K2  turn answers whether it changed anything: what is off already stays off for the reason that it is off.
    K3  history gives every turn that changed something, the newest first.
    """

    async def read(self) -> Sequence[Switch]: ...
    async def turn(self, switch: Switch, off: bool) -> bool: ...
    async def history(self, limit: int = 100) -> Sequence[Turn]: ...


class Incarnations(Protocol):
    """What operators have said of restores from backups, for all processes.

    I1  read gives the newest restores (`core.incarnation.KEPT`), the newest first: what was recorded and answered is
        durable, and seen by every later read.
    I2  record begins the next incarnation, from 2; of several at once each begins one of its own.
    """

    async def read(self) -> Restores: ...
    async def record(self, by: Actor, reason: str, at: datetime) -> Restored: ...


class Sweeps(Protocol):
    """What is kept of sweeps, for people.

    H1  read gives the last sweep that was recorded.
    H2  and those that woke something, the newest first; of several at once none is lost.
    H3  only the newest of them (`core.sweeps.KEPT`) are kept.
    """

    async def record(self, swept: Swept) -> None: ...
    async def read(self) -> Sweepings: ...


class Wakes(Protocol):
    """W1: a wake that was published is delivered at least once, though every process dies after publish returned.
    W2: it may come twice, late, and in any order."""

    async def publish(self, wake: Wake) -> None: ...


class Timers(Protocol):
    """T1: at or after `at`, a delayed wake with `look` for this session is delivered at least once.
    T2: at or after `at`, an errand that was sent is delivered at least once, as it is, though every process dies after
    send returned; and again, while whoever got it has not said that it is done.
    """

    async def arm(self, key: str, at: datetime) -> None: ...
    async def send(self, errand: Errand, at: datetime) -> None: ...


class Feed(Protocol):
    """Committed events on their way to subscribers. F1: at least once, in any order."""

    async def publish(self, head: Head, events: Sequence[Event]) -> None: ...


class Post(Protocol):
    """A request to somebody else's server, and the status that it answers; else NotDelivered, which names no more of
    the URL than its host.

    P1  it goes to one of the addresses that the name has just then, and was checked to have: unless `private`, all of
        them are public.
    P2  nothing is followed, no proxy is asked, and it ends within its time, whatever the receiver does.
    """

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, *, private: bool) -> int: ...


class Clock(Protocol):
    """C1: monotonic never goes back. C2: now is UTC, for people and for delays; leases never depend on it."""

    def now(self) -> datetime: ...
    def monotonic(self) -> float: ...
    async def sleep(self, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Ports:
    """The world, as the engine sees it."""

    store: SessionStore
    wakes: Wakes
    timers: Timers
    feed: Feed
    clock: Clock
