"""What only Firestore does: its server's own clock, its limits, its event loops, what it is asked for."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from onward.adapters.gcp import firestore as store_module
from onward.adapters.gcp.firestore import FirestoreStore
from onward.adapters.gcp.firestore_client import DOCUMENT_BYTES, Client
from onward.adapters.gcp.firestore_documents import session_path, signal_path
from onward.adapters.gcp.firestore_wire import MISSING, Document, Question, Write
from onward.core.head import Fold, Wait, tombstone
from onward.core.lease import Busy
from onward.core.log import verify
from onward.core.sweeps import Swept
from onward.core.switches import Switch
from onward.errors import Ambiguous, BadInput, CorruptLog, LeaseLost, StoreUnavailable
from onward.ports import Lease, Wake
from onward.testing.clock import ManualClock
from onward.testing.contracts.story import PERSON, START, append_of, begin, claimed, opening, signal
from tests.contract.firestore import Around, FirestoreBackend, ServerTime, a_client

Made = Callable[..., FirestoreStore]
SHORT = 0.2
"""A time to live that a test can wait for."""


@pytest.fixture
def client(firestore: str) -> Client:
    return a_client(firestore)


@pytest.fixture
async def store(client: Client, clock: ManualClock) -> AsyncIterator[Made]:
    """Makes stores on the server's own clock, each as another process would; this machine's clock stands still, at
    a time that is not the server's."""

    def make(around: Any = client, **options: Any) -> FirestoreStore:
        return FirestoreStore(around, clock, **options)

    yield make
    await client.close()


# --- the server's own clock ----------------------------------------------------------------------------------------


def now_here() -> datetime:
    """The emulator is on this machine, so this is its clock too."""
    return datetime.now(UTC)


async def test_s5_a_lease_lapses_on_the_servers_clock(store: Made) -> None:
    patient, hasty = store(), store(ttl=SHORT)
    key = await begin(patient)
    lease = await claimed(patient, key)
    assert isinstance(await patient.claim(key, "bob:1"), Busy)
    taken: object = None
    while not isinstance(taken, Lease):
        taken = await hasty.claim(key, "bob:1")
        await asyncio.sleep(SHORT / 10)
    assert (taken.epoch, taken.stalls) == (lease.epoch + 1, 1)
    with pytest.raises(LeaseLost):
        await patient.append(lease, append_of(lease))


async def test_s5_a_renewal_and_an_append_begin_it_anew(store: Made, client: Client) -> None:
    one = store()
    key = await begin(one)
    lease = await claimed(one, key)
    stamps = [await _renewed_at(client, key)]
    for write in (one.renew, lambda lease: one.append(lease, append_of(lease))):
        await asyncio.sleep(0.002)
        await write(lease)
        stamps.append(await _renewed_at(client, key))
    assert stamps == sorted(set(stamps))
    assert stamps[-1] <= now_here()


async def _renewed_at(client: Client, key: str) -> datetime:
    (head,) = (await client.get([session_path(key)])).documents
    stamp: datetime = head.fields["renewed_at"]
    return stamp


async def test_s7_a_signal_is_filed_at_the_servers_time(store: Made) -> None:
    one, before = store(), now_here() - timedelta(milliseconds=1)
    key = await begin(one)
    filed = await one.file(key, signal())
    lease, inbox = await claimed(one, key), await one.pending(key)
    assert filed.filed_at is not None
    assert before <= filed.filed_at <= now_here()
    assert filed.filed_at <= inbox.now
    assert before <= lease.now <= now_here()
    assert inbox.signals == (filed,)
    assert await store().file(key, signal()) == filed


async def test_g8_no_read_of_the_inbox_misses_what_was_filed_before_it(store: Made) -> None:
    """Or a decision could lose to a timeout that came after it."""
    filer, reader = store(), store()
    key = await begin(filer)
    filing = asyncio.gather(*(filer.file(key, signal(f"s{number}")) for number in range(60)))
    reads = [await reader.pending(key)]
    while len(reads[-1].signals) < 60:
        reads.append(await reader.pending(key))
    filed = {one.id: one for one in await filing}
    assert {one.id: one for one in reads[-1].signals} == filed
    for read in reads:
        missed = filed.keys() - {one.id for one in read.signals}
        assert all((filed[id].filed_at or START) >= read.now for id in missed)


# --- processes, threads and loops ----------------------------------------------------------------------------------


async def test_a_lease_is_renewed_from_another_threads_loop(store: Made) -> None:
    """As `engine.hold` does it: a blocking tool must not cost its neighbours their leases."""
    one = store()
    lease = await claimed(one, await begin(one))

    async def renew_and_close() -> Lease:
        renewed = await one.renew(lease)
        await one.close()
        return renewed

    with ThreadPoolExecutor(1) as thread:
        for _ in range(3):
            await asyncio.wrap_future(thread.submit(asyncio.run, renew_and_close()))
            lease = (await one.append(lease, append_of(lease))).lease
    assert lease.head.seq == 4


def test_one_client_serves_one_loop_after_the_other(firestore: str) -> None:
    one = FirestoreStore(a_client(firestore), ManualClock())

    async def step() -> int:
        lease = await claimed(one, key)
        await one.append(lease, append_of(lease, release=True))
        return lease.epoch

    key = asyncio.run(begin(one))
    assert [asyncio.run(step()) for _ in range(3)] == [1, 2, 3]


def test_nothing_of_google_is_loaded_before_it_is_needed() -> None:
    modules = "firestore firestore_client firestore_documents firestore_lists firestore_queries firestore_switches"
    modules += " firestore_incarnations firestore_sweeps"
    lines = [f"import onward.adapters.gcp.{name}" for name in modules.split()]
    lines += ["from onward.adapters.gcp.firestore_client import Client", "Client('p')", "import sys"]
    lines += ["loaded = {name for name in sys.modules if name.startswith(('google.', 'grpc'))}"]
    lines += [
        "assert loaded <= {'google.cloud'}, loaded  # a name that other packages may have made, with nothing in it"
    ]
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True)


async def test_g2_processes_that_contend_append_one_after_the_other(store: Made) -> None:
    """And visitors set marks all the while."""
    stores = [store(ttl=30) for _ in range(4)]
    keys = [await begin(stores[0], f"s{number}") for number in range(3)]
    appends = 12

    async def work(one: FirestoreStore, name: str) -> int:
        done = 0
        while True:
            for key in keys:
                answer = await one.claim(key, f"{name}:{done}")
                if isinstance(answer, Busy):
                    await one.mark(key, answer.epoch, answer.seq)
                if not isinstance(answer, Lease):
                    continue
                if answer.head.seq > appends:
                    await one.release(answer)
                    return done
                await one.append(answer, append_of(answer, f"{name}-{done}", release=True))
                done += 1

    done = await asyncio.gather(*(work(one, f"w{number}") for number, one in enumerate(stores)))
    seqs = []
    for key in keys:
        head = await stores[0].read(key)
        assert head is not None
        assert verify(await stores[0].commits(key), head.hash) == (head.seq, head.hash)
        seqs.append(head.seq - 1)
    assert sum(done) == sum(seqs)


async def test_r1_every_write_of_a_head_changes_it(store: Made, client: Client) -> None:
    """A write that changes nothing keeps a document's version, and two could pass the same precondition."""
    standing = ServerTime(client, ManualClock())  # time stands still
    one = store(standing)
    key = await begin(one)
    versions, lease = [], await claimed(one, key)
    for write in (one.renew, one.renew, lambda _: one.claim(key, "alice:1"), one.release):
        await write(lease)
        (head,) = (await client.get([session_path(key)])).documents
        versions.append(head.version)
    assert versions == sorted(set(versions))


async def test_r4_a_mark_that_comes_again_and_again_holds_nobody_up(store: Made) -> None:
    """At most one head write of visitors for each (epoch, seq)."""
    holder, visitors = store(), [store() for _ in range(6)]
    lease = await claimed(holder, await begin(holder))
    for _ in range(3):
        seq = lease.head.seq
        assert all(await asyncio.gather(*(one.mark(lease.key, lease.epoch, seq) for one in visitors)))
        answer = await holder.append(lease, append_of(lease))
        assert answer.mark == (lease.epoch, seq)
        lease = answer.lease


async def test_heads_that_were_seen_are_forgotten_in_time(store: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "SEEN", 3)
    one = store()
    leases = [await claimed(one, await begin(one, f"s{number}")) for number in range(6)]
    assert len(one._seen) == 3
    for lease in leases:
        await one.append(lease, append_of(lease))


# --- limits --------------------------------------------------------------------------------------------------------


async def test_g15_what_is_too_large_for_a_document_is_refused_and_changes_nothing(store: Made) -> None:
    one = store()
    key = await begin(one)
    with pytest.raises(BadInput, match=r"inbox: 1,0.* bytes are too many .* as a file"):
        await one.file(key, signal(content="x" * (DOCUMENT_BYTES + 1)))
    assert (await one.pending(key)).signals == ()
    large = "x" * (DOCUMENT_BYTES - 500)
    assert (await one.file(key, signal(content=large))).filed_at is not None
    lease = await claimed(one, key)
    with pytest.raises(BadInput, match="too many"):
        await one.append(lease, append_of(lease, "x" * DOCUMENT_BYTES))
    assert len(await one.commits(key)) == 1
    await one.append(lease, append_of(lease))


async def test_g15_what_is_too_large_for_one_request_is_refused(client: Client) -> None:
    writes = [Write(f"sessions/{number}", {"text": "x" * 900_000}, expects=MISSING) for number in range(5)]
    with pytest.raises(BadInput, match=r"commit: .* at once"):
        await client.commit(writes)
    await client.commit(writes[:4])
    assert len((await client.query(Question("sessions"))).documents) == 4
    await client.close()


async def test_a_value_that_no_document_can_hold_is_an_error_of_the_caller(client: Client) -> None:
    with pytest.raises(TypeError, match="float"):
        await client.commit([Write("sessions/x", {"number": 1.5})])


# --- what somebody did by hand -------------------------------------------------------------------------------------


async def test_a_signal_that_was_deleted_by_hand_before_it_is_absorbed_is_read_anew(
    store: Made, client: Client
) -> None:
    one = store()
    key = await begin(one)
    await one.file(key, signal())
    lease = await claimed(one, key)
    await client.commit([Write(signal_path(key, "s1"), gone=True)])
    with pytest.raises(StoreUnavailable):
        await one.append(lease, append_of(lease, absorbed=("s1",)))
    assert len(await one.commits(key)) == 1
    assert (await client.get([signal_path(key, "s1")])).documents == ()
    await one.append(lease, append_of(lease))


async def test_what_is_no_head_and_no_commit_is_said_to_be_none(store: Made, client: Client) -> None:
    one, (head, commit) = store(), opening()
    await client.commit(
        [Write(session_path(head.key), {"seq": 1}), Write(f"{session_path(head.key)}/commits/1", {"last_seq": 1})]
    )
    for ask in (one.read, one.commits, lambda key: one.claim(key, "alice:1")):
        with pytest.raises(CorruptLog, match=head.key):
            await ask(head.key)
    await client.commit([Write(session_path(head.key), gone=True)])
    await one.create(head, commit, Wake(head.key))
    other, commit = opening("other")
    path = f"{session_path(other.key)}/commits/{1:012d}"
    await client.commit([Write(path, {"last_seq": 1})])
    with pytest.raises(CorruptLog, match="a log and no head"):
        await one.create(other, commit, Wake(other.key))


# --- overdue, page by page -----------------------------------------------------------------------------------------


class Asked(Around):
    def __init__(self, real: Any) -> None:
        super().__init__(real)
        self.questions: list[Question] = []

    async def query(self, question: Question) -> Any:
        self.questions.append(question)
        return await super().query(question)


@pytest.mark.parametrize("called", [False, True])
async def test_overdue_finds_who_waits_behind_many_that_are_held(
    firestore: str, clock: ManualClock, called: bool
) -> None:
    asked = Asked(ServerTime(a_client(firestore), clock))
    backend = FirestoreBackend(asked, clock)
    for number in range(25):
        key = f"{number:031x}7"
        head, commit = opening(f"s{number}", wake_at=None if called else clock.now())
        assert await backend.store.create(replace(head, key=key), commit, Wake(key)) is None
        if called:
            await backend.store.file(key, signal())
            clock.advance(0.001)
        if number < 24:
            await claimed(backend.store, key)
    assert list(await backend.store.overdue(limit=2)) == [f"{24:031x}7"]
    await backend.close()


# --- documents as they lie there -----------------------------------------------------------------------------------


class NeverCleared(Around):
    async def discard(self, documents: Any) -> None:
        raise StoreUnavailable("not today")


PAGE = Path(__file__).parents[2] / "docs/storage.md"
SWITCH = Switch(scope="program:desk", by=PERSON, reason="it burns", at=START)


async def test_documents_have_the_fields_that_the_page_on_storage_tells_of(firestore: str, clock: ManualClock) -> None:
    client = NeverCleared(a_client(firestore))
    backend = FirestoreBackend(client, clock)
    await one_of_each(backend)
    kinds = ("sessions", "commits", "inbox", "control/switches", "turns", "control/incarnation", "control/sweeps")
    for told, kind in zip(tables(PAGE.read_text()), kinds, strict=True):
        documents = await of_kind(client, kind)
        assert {name for document in documents for name in document.fields} == told, kind
    await backend.close()


async def of_kind(client: Any, kind: str) -> Sequence[Document]:
    """Every document of a collection, wherever it lies, or the one at a path."""
    found = client.get([kind]) if "/" in kind else client.query(Question(kind, group=kind != "sessions"))
    documents: Sequence[Document] = (await found).documents
    return documents


def tables(page: str) -> list[set[str]]:
    """The first column of each table of fields."""
    found = page.split("\n| field |")[1:]
    return [set(re.findall(r"^\| `(\w+)` \|", table.split("\n\n")[0], re.MULTILINE)) for table in found]


async def one_of_each(backend: FirestoreBackend) -> None:
    """Every kind of document, with every field that it can have."""
    store = backend.store
    fold = Fold(1, "h" * 64, 1, 1, text="{}")
    key = await begin(store, fold=fold, parent="mother", family="order-0", labels=(("team", "blue"),), wake_at=START)
    await store.file(key, signal())
    await store.refuse(key, ["s1"], "there is no such session")
    gone = await claimed(store, await begin(store, "gone"))
    with pytest.raises(Ambiguous, match="not today"):
        await store.delete(gone, tombstone(gone.head, START, "ann", ""))
    await store.file(key, signal("s2"))
    assert await backend.switches.turn(SWITCH, off=True)
    await backend.incarnations.record(PERSON, "the disk broke", START)
    await backend.sweeps.record(Swept(at=START, woken=1))


async def test_a_head_can_be_read_in_the_console(client: Client, store: Made) -> None:
    key = await begin(store(), waits=(Wait(kind="approval", call="2.0"), Wait(kind="timer")), labels=(("vip", True),))
    (document,) = (await client.get([session_path(key)])).documents
    told = {name: document.fields[name] for name in ("tenant", "id", "program", "status", "seq", "waits", "labels")}
    assert told == {
        "tenant": "acme",
        "id": "order-1",
        "program": "desk",
        "status": "running",
        "seq": 1,
        "waits": ["approval", "timer"],
        "labels": ["vip=true"],
    }
    assert json.loads(document.fields["head"])["waits"][0] == {"kind": "approval", "call": "2.0"}
