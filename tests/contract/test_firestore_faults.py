"""Commits of unknown fate, as gRPC tells of them: each gets the right error, and asking again settles it (R1)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from onward import Agent, App, Approval, ScriptedModel, tool
from onward.adapters.gcp import firestore_client
from onward.adapters.gcp.clients import PerLoop
from onward.adapters.gcp.firestore_client import Client, Denied
from onward.core.codec import erase
from onward.core.events import Actor
from onward.core.head import Head, tombstone
from onward.core.ids import session_key
from onward.core.log import verify
from onward.core.signals import Signal
from onward.engine.gateway import Start
from onward.errors import Ambiguous, LeaseLost, Permanent, Retryable, StoreUnavailable
from onward.ports import Lease, Query, Wake
from onward.testing.clock import ManualClock
from onward.testing.contracts.imports import recording
from onward.testing.contracts.story import START, append_of, begin, claimed, opening, signal
from onward.testing.contracts.switches import switch
from onward.testing.runner import AutoClock, Runner
from tests.contract.firestore import GET_CLIENT, FirestoreBackend, ServerTime, a_client

grpc = pytest.importorskip("grpc", reason=GET_CLIENT)
exceptions = pytest.importorskip("google.api_core.exceptions", reason=GET_CLIENT)
Code = grpc.StatusCode
UNKNOWN_FATE = (
    Code.UNAVAILABLE,
    Code.ABORTED,
    Code.DEADLINE_EXCEEDED,
    Code.INTERNAL,
    Code.CANCELLED,
    Code.UNKNOWN,
)


@dataclass
class Fault:
    """What meets the `at`-th request of a kind, counted from 1: an error, before it is sent or after it was applied."""

    method: str
    code: Any
    applied: bool
    at: int = 1
    times: int = 1


class Interrupted:
    """The generated client, whose requests meet a fault. `sent` counts them by method."""

    def __init__(self, real: Any) -> None:
        self.real = real
        self.fault: Fault | None = None
        self.sent: dict[str, int] = {}

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.real, name)
        if name not in ("commit", "batch_get_documents", "run_query", "batch_write"):
            return method

        async def call(*args: Any, **named: Any) -> Any:
            assert named["retry"] is None, "the store alone says what is tried again"
            self.sent[name] = count = self.sent.get(name, 0) + 1
            fault = self.fault
            if fault is None or fault.method != name or not fault.at <= count < fault.at + fault.times:
                return await method(*args, **named)
            if fault.applied:
                await method(*args, **named)
            raise exceptions.from_grpc_status(fault.code, "interrupted by the test")

        return call

    def meet(self, fault: Fault | None) -> None:
        self.fault, self.sent = fault, {}


@dataclass
class World:
    """A backend over a client that can be interrupted."""

    backend: FirestoreBackend
    wire: Interrupted

    @property
    def store(self) -> Any:
        return self.backend.store


def interrupt(client: Client, wire: Interrupted) -> None:
    """Let what this client sends go through `wire`."""

    async def make() -> Any:
        wire.real = await client._make()
        return wire

    client._clients = PerLoop(make)


def interrupted(host: str, clock: Any) -> World:
    client, wire = a_client(host), Interrupted(None)
    interrupt(client, wire)
    return World(FirestoreBackend(ServerTime(client, clock), clock), wire)


@pytest.fixture
async def world(firestore: str, clock: ManualClock) -> AsyncIterator[World]:
    made = interrupted(firestore, clock)
    yield made
    await made.backend.close()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firestore_client, "READ_DELAYS", (0.0, 0.0, 0.0))


# --- each kind of commit -----------------------------------------------------------------------------------------


@dataclass
class Doing:
    """A kind of commit: what comes before, what is done, and what was done whoever asks again and finds."""

    before: Callable[[World], Awaitable[Any]]
    do: Callable[[World, Any], Awaitable[Any]]
    settled: Callable[[World, Any, bool], Awaitable[None]]


async def a_session(world: World) -> Lease:
    return await claimed(world.store, await begin(world.store))


async def unclaimed(world: World) -> str:
    return await begin(world.store)


async def nothing(world: World) -> None:
    return None


async def create(world: World, _: Any) -> Head | None:
    head, commit = opening()
    answer: Head | None = await world.store.create(head, commit, Wake(head.key))
    return answer


async def created(world: World, _: Any, applied: bool) -> None:
    assert await create(world, None) == (opening()[0] if applied else None)
    assert len(await world.store.commits(opening()[0].key)) == 1


async def claim(world: World, key: str) -> Any:
    return await world.store.claim(key, "alice:1", 1)


async def is_claimed(world: World, key: str, applied: bool) -> None:
    lease = await claim(world, key)
    assert isinstance(lease, Lease)
    assert (lease.epoch, lease.stalls) == (1, 0), "the same claim, given again"
    await world.store.append(lease, append_of(lease))


async def renew(world: World, lease: Lease) -> Lease:
    answer: Lease = await world.store.renew(lease)
    return answer


async def renewed(world: World, lease: Lease, applied: bool) -> None:
    await renew(world, lease)
    await world.store.append(lease, append_of(lease))


async def mark(world: World, lease: Lease) -> bool:
    answer: bool = await world.store.mark(lease.key, lease.epoch, 1)
    return answer


async def marked(world: World, lease: Lease, applied: bool) -> None:
    assert await mark(world, lease)
    assert (await world.store.append(lease, append_of(lease))).mark == (lease.epoch, 1)


async def append(world: World, lease: Lease) -> Any:
    return await world.store.append(lease, append_of(lease, "mine"))


async def appended(world: World, lease: Lease, applied: bool) -> None:
    """As `engine.append` settles it: the commit document tells; and then the lease is there as before."""
    tokens = [commit.token for commit in await world.store.commits(lease.key, after=1)]
    assert tokens == ([append_of(lease, "mine").commit.token] if applied else [])
    if applied:
        with pytest.raises(LeaseLost):
            await append(world, lease)
        lease = await claimed(world.store, lease.key)
    await world.store.append(lease, append_of(lease, "mine"))
    head = await world.store.read(lease.key)
    assert verify(await world.store.commits(lease.key), head.hash) == (3 if applied else 2, head.hash)


async def release(world: World, lease: Lease) -> Any:
    return await world.store.release(lease, replace(lease.head, status="waiting"))


async def released(world: World, lease: Lease, applied: bool) -> None:
    assert await release(world, lease) is None
    assert (await world.store.read(lease.key)).status == "waiting"
    assert (await claimed(world.store, lease.key, "bob:1")).stalls == 0


async def file(world: World, key: str) -> Signal:
    answer: Signal = await world.store.file(key, signal())
    return answer


async def filed(world: World, key: str, applied: bool) -> None:
    known = await file(world, key)
    assert (await world.store.pending(key)).signals == (known,)


async def erase_input(world: World, lease: Lease) -> None:
    (first,) = await world.store.commits(lease.key)
    if "input" in first.records[0].private and first.records[0].private["input"].text is not None:
        first = replace(first, records=(erase(first.records[0], "input"),))
    await world.store.erase(lease, first)


async def erased(world: World, lease: Lease, applied: bool) -> None:
    await erase_input(world, lease)
    (first,) = await world.store.commits(lease.key)
    assert first.records[0].private["input"].encoding == "erased"
    await world.store.append(lease, append_of(lease))


async def delete(world: World, lease: Lease) -> None:
    await world.store.delete(lease, tombstone(lease.head, START, "ann", ""))


async def deleted(world: World, lease: Lease, applied: bool) -> None:
    """As `engine.delete` settles it: what is there tells; if it is the tombstone, the rest is cleared."""
    head = await world.store.read(lease.key)
    assert (head.status == "deleted") == applied
    if not applied:
        await delete(world, lease)
    await world.store.clear(lease.key)
    assert list(await world.store.commits(lease.key)) == []


async def an_import(world: World) -> Any:
    head, log = recording()
    assert await world.store.create(head, log[0], None) is None
    return head, log


async def fill(world: World, given: Any) -> None:
    await world.store.fill(given[0].key, given[1][1:])


async def is_filled(world: World, given: Any, applied: bool) -> None:
    head, log = given
    assert len(await world.store.commits(head.key)) == (len(log) if applied else 1)
    await fill(world, given)
    assert verify(await world.store.commits(head.key)) == (head.seq, head.hash)
    assert await world.store.read(head.key) == head


async def turn(world: World, _: Any) -> bool:
    return await world.backend.switches.turn(switch(), off=True)


async def turned(world: World, _: Any, applied: bool) -> None:
    assert await turn(world, None) != applied
    assert list(await world.backend.switches.read()) == [switch()]
    assert len(await world.backend.switches.history()) == 1


async def restore(world: World, _: Any) -> int:
    return (await world.backend.incarnations.record(PERSON, "disk", START)).number


async def restored(world: World, _: Any, applied: bool) -> None:
    """Said again, it is one more."""
    assert (await world.backend.incarnations.read()).incarnation == 1 + applied
    assert await restore(world, None) == 2 + applied


DOINGS = {
    "create": Doing(nothing, create, created),
    "claim": Doing(unclaimed, claim, is_claimed),
    "renew": Doing(a_session, renew, renewed),
    "mark": Doing(a_session, mark, marked),
    "append": Doing(a_session, append, appended),
    "release": Doing(a_session, release, released),
    "file": Doing(unclaimed, file, filed),
    "erase": Doing(a_session, erase_input, erased),
    "delete": Doing(a_session, delete, deleted),
    "fill": Doing(an_import, fill, is_filled),
    "turn": Doing(nothing, turn, turned),
    "restore": Doing(nothing, restore, restored),
}


@pytest.mark.parametrize("applied", [False, True], ids=["lost", "applied"])
@pytest.mark.parametrize("code", UNKNOWN_FATE, ids=lambda code: code.name.lower())
@pytest.mark.parametrize("name", DOINGS)
async def test_s9_a_commit_of_unknown_fate_is_ambiguous_and_asking_again_settles_it(
    world: World, name: str, code: Any, applied: bool
) -> None:
    doing = DOINGS[name]
    given = await doing.before(world)
    world.wire.meet(Fault("commit", code, applied))
    with pytest.raises(Ambiguous):
        await doing.do(world, given)
    assert world.wire.sent["commit"] == 1, "a commit is sent once"
    world.wire.meet(None)
    await doing.settled(world, given, applied)


NOT_DONE: dict[grpc.StatusCode, type[Exception]] = {
    Code.RESOURCE_EXHAUSTED: StoreUnavailable,
    Code.PERMISSION_DENIED: Denied,
    Code.UNAUTHENTICATED: Denied,
    Code.INVALID_ARGUMENT: Permanent,
}


@pytest.mark.parametrize("code", NOT_DONE, ids=lambda code: code.name.lower())
@pytest.mark.parametrize("name", DOINGS)
async def test_s10_a_commit_that_was_refused_has_not_happened(world: World, name: str, code: Any) -> None:
    doing = DOINGS[name]
    given = await doing.before(world)
    world.wire.meet(Fault("commit", code, applied=False))
    with pytest.raises(NOT_DONE[code]) as refused:
        await doing.do(world, given)
    assert not isinstance(refused.value, Ambiguous)
    world.wire.meet(None)
    await doing.settled(world, given, False)


# --- reads -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["batch_get_documents", "run_query"])
async def test_a_read_is_tried_again_a_few_times(world: World, method: str) -> None:
    key = await unclaimed(world)

    async def ask() -> Any:
        return await (world.store.read(key) if method == "batch_get_documents" else world.store.commits(key))

    calm = await ask()
    for code in (*UNKNOWN_FATE, Code.RESOURCE_EXHAUSTED):
        world.wire.meet(Fault(method, code, applied=False, times=3))
        assert await ask() == calm
    for code, times in ((Code.UNAVAILABLE, 4), (Code.NOT_FOUND, 1), (Code.FAILED_PRECONDITION, 1)):
        world.wire.meet(Fault(method, code, applied=False, times=100))
        with pytest.raises(StoreUnavailable, match="interrupted by the test"):
            await ask()
        assert world.wire.sent[method] == times


async def test_an_answer_that_breaks_off_is_no_session_that_is_not_there(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await unclaimed(world)

    class Nothing:
        def __aiter__(self) -> Any:
            return self

        async def __anext__(self) -> Any:
            raise StopAsyncIteration

    async def nothing_came(*_: Any, **__: Any) -> Nothing:
        return Nothing()

    monkeypatch.setattr(world.wire, "batch_get_documents", nothing_came, raising=False)
    monkeypatch.setattr(world.wire, "run_query", nothing_came, raising=False)
    for ask in (world.store.read, world.store.commits, lambda key: world.store.claim(key, "alice:1")):
        with pytest.raises(StoreUnavailable, match="broke off"):
            await ask(key)


# --- deletion in parts -------------------------------------------------------------------------------------------


async def a_long_one(world: World, commits: int = 120) -> Lease:
    """An ended session with more commits, and signals, than are deleted at once."""
    lease = await a_session(world)
    for number in range(commits):
        await world.store.file(lease.key, signal(f"s{number}"))
        lease = (await world.store.append(lease, append_of(lease))).lease
    return lease


@pytest.mark.parametrize("applied", [False, True], ids=["lost", "applied"])
@pytest.mark.parametrize("at", [1, 2, 3, 4])
async def test_s14_dying_while_the_log_is_deleted_is_healed_by_deleting_again(
    world: World, at: int, applied: bool
) -> None:
    lease = await a_long_one(world)
    world.wire.meet(Fault("batch_write", Code.UNAVAILABLE, applied, at, times=100))
    with pytest.raises(Ambiguous, match="its tombstone stands"):
        await delete(world, lease)
    world.wire.meet(None)
    assert await world.store.claim(lease.key, "bob:1") is None, "the tombstone stands since the first commit"
    assert [head.status for head in await world.store.list(Query(status=("deleted",)))] == ["deleted"]
    assert (await world.store.read(lease.key)).status == "deleted"
    assert not {"commit", "batch_write"} & set(world.wire.sent), "who only reads needs no right to delete"
    await world.store.clear(lease.key)
    assert list(await world.store.commits(lease.key)) == []
    assert "s1" not in await world.backend.contents()
    world.wire.meet(None)
    await world.store.clear(lease.key)
    assert "commit" not in world.wire.sent, "it was cleared once and for all"


async def test_s14_who_may_not_delete_is_told_and_who_may_completes_it(world: World, clock: ManualClock) -> None:
    lease = await a_session(world)
    lease = (await world.store.append(lease, append_of(lease, head={"status": "completed"}, release=True))).lease
    deleter = Runner(None, backend=world.backend, clock=clock).parts.deleter
    world.wire.meet(Fault("batch_write", Code.PERMISSION_DENIED, applied=False, times=100))
    for _ in range(2):
        with pytest.raises(Denied):
            await deleter.delete(lease.key, "ann", "asked for it")
    assert [head.id for head in await world.store.list(Query(status=("deleted",)))] == ["order-1"]
    head, commit = opening()
    assert (await world.store.create(head, commit, Wake(head.key))).status == "deleted"
    world.wire.meet(None)
    assert (await deleter.delete(lease.key, "ann", "asked for it")).status == "deleted"
    assert list(await world.store.commits(lease.key)) == []


# --- whole sessions ----------------------------------------------------------------------------------------------

PERSON = Actor(kind="person", name="ana")
KEY = session_key("default", "s")


def application(paid: list[str]) -> App:
    @tool(effect="irreversible", approval=Approval(when=lambda args: args.number > 1))
    async def pay(number: int) -> str:
        """Pay."""
        paid.append(str(number))
        return "paid"

    @tool(effect="read")
    async def look(number: int) -> str:
        """Look."""
        return "seen"

    calls = [{"tool": "look", "arguments": {"number": 1}}, {"tool": "pay", "arguments": {"number": 1}}]
    model = ScriptedModel(
        [{"calls": calls}, {"calls": [{"tool": "pay", "arguments": {"number": 2}}]}, {"text": "done"}]
    )
    return App(programs=[Agent("desk", model=model, tools=[pay, look])])


async def until_answered(do: Callable[[], Awaitable[Any]]) -> Any:
    """People try again until they are answered."""
    for _ in range(5):
        try:
            return await do()
        except Retryable:
            continue
    raise AssertionError("never answered")


async def play(host: str, fault: Fault | None) -> tuple[list[str], list[str], int]:
    """What was paid, the kinds of events in order, and how many commits were sent."""
    clock, paid = AutoClock(), []  # type: tuple[AutoClock, list[str]]
    world = interrupted(host, clock)
    runner = Runner(application(paid), backend=world.backend, clock=clock)
    world.wire.meet(fault)
    gateway = runner.parts.gateway
    await until_answered(lambda: gateway.start(Start("s", "desk", "1", input="hi"), PERSON))
    await runner.finish(within=3600)
    state = await runner.state("s")
    (call,) = [call for call in state.calls.values() if call.status == "asked"]
    body = {"call": call.id, "verdict": "approved", "digest": call.digest}
    await until_answered(lambda: gateway.signal(KEY, "decision", body, PERSON, "once"))
    await runner.finish(within=3600)
    commits = await world.store.commits(KEY)
    assert (await runner.state("s")).ended == "completed"
    assert verify(commits, (await world.store.read(KEY)).hash)
    assert not (await world.store.pending(KEY)).signals
    await world.backend.close()
    return paid, [record.kind for commit in commits for record in commit.records], world.wire.sent["commit"]


@pytest.mark.parametrize("applied", [False, True], ids=["lost", "applied"])
@pytest.mark.parametrize("code", [Code.UNAVAILABLE, Code.ABORTED], ids=lambda code: code.name.lower())
async def test_whichever_commit_of_a_session_is_of_unknown_fate_it_comes_to_the_same(
    firestore: str, code: Any, applied: bool
) -> None:
    calm = await play(firestore, None)
    assert calm[0] == ["1", "2"]
    for at in range(1, calm[2] + 1):
        paid, kinds, _ = await play(firestore, Fault("commit", code, applied, at))
        assert (paid, kinds) == calm[:2], f"commit {at}"
