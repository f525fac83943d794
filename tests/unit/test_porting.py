"""Sessions out of one world and into another, as recordings that nothing moves (S16)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onward import Agent, App, Approval, File, Refused, Runtime, ScriptedModel, tool
from onward.adapters.gcp.diagnosis import GOING
from onward.core.codec import encode
from onward.core.events import Actor, Body, Event, SessionStarted
from onward.core.head import Head
from onward.core.ids import session_key
from onward.core.log import ROOT, Commit, seal, verify
from onward.core.portable import Leaving, read, write
from onward.core.usage import usage
from onward.engine.fork import Fork
from onward.engine.gateway import Start
from onward.engine.porting import Importer
from onward.errors import BadInput, CorruptLog, UnreadableLog
from onward.ports import Query, Wake
from onward.testing.faults import Killed, Plan, Process, error_after, kill_after, kill_before
from onward.testing.runner import Runner
from tests.property.strategies import bodies, salts
from tests.unit.test_portable import AT, export_of, resealed

ANN = Actor(kind="person", name="ann")
KEY = session_key("default", "s")
LONG = "tell nobody " * 20_000
PICTURE = File(data=b"\x89PNG and so on", media_type="image/png", name="a.png")
DONE: list[str] = []


@tool(effect="read")
async def look(what: str) -> str:
    """Look."""
    DONE.append(what)
    return what * 30_000


@tool(effect="irreversible", approval=Approval(when=lambda args: True))
async def pay(amount: int) -> str:
    """Pay."""
    raise AssertionError("nobody said yes")


TURNS = [
    {"calls": [{"tool": "look", "arguments": {"what": "a"}}]},
    {"calls": [{"tool": "pay", "arguments": {"amount": 3}}]},
    {"text": "done"},
]


def world() -> Runner:
    return Runner(App(programs=[Agent("desk", model=ScriptedModel(TURNS * 3), tools=[look, pay])]))


async def began(runner: Runner, id: str = "s", input: Any = None) -> Head:
    DONE.clear()
    said = [LONG, PICTURE] if input is None else input
    await runner.parts.gateway.start(Start(id=id, program="desk", version="1", input=said), ANN)
    await runner.settle()
    return await head_of(runner, id)


async def head_of(runner: Runner, id: str = "s") -> Head:
    head = await runner.backend.store.read(session_key("default", id))
    assert isinstance(head, Head)
    return head


async def exported(runner: Runner, id: str = "s", leaving: Leaving | None = None) -> list[str]:
    head = await head_of(runner, id)
    return [line async for line in runner.parts.exporter.lines(head, leaving or Leaving())]


async def put(runner: Runner, lines: Sequence[str], id: str | None = None) -> tuple[Head, bool]:
    return await runner.parts.importer.put(read(lines), "default", id)


def texts(commits: Sequence[Commit]) -> list[str]:
    return [commit.to_json() for commit in commits]


async def test_a_session_is_the_same_elsewhere_and_waits_for_nothing_there() -> None:
    here, there = world(), world()
    head = await began(here)
    assert head.status == "waiting"
    kept, new = await put(there, await exported(here))
    assert new
    assert kept == await head_of(there)
    assert (kept.status, kept.ended, kept.waits, kept.wake_at, kept.owed) == ("imported", True, (), None, 0)
    same = ("key", "tenant", "id", "program", "version", "seq", "hash", "commits", "created_at", "spent")
    assert [getattr(kept, name) for name in same] == [getattr(head, name) for name in same]
    assert kept.published == kept.seq
    log = await there.backend.store.commits(KEY)
    assert texts(log) == texts(await here.backend.store.commits(KEY))
    assert verify(log, head.hash) == (head.seq, head.hash)
    assert await there.state("s") == await here.state("s")
    assert await there.parts.loader.recording(kept) == await here.parts.loader.recording(head)
    files = [name for key, name in there.backend.blobs._values if key == KEY and name.startswith("files/")]
    assert len(files) == 1


async def test_a_file_can_be_read_without_a_store_and_written_again_from_an_import() -> None:
    here, there = world(), world()
    head = await began(here)
    lines = await exported(here)
    assert read(lines).recording().events == (await here.parts.loader.recording(head)).events
    await put(there, lines, id="other")
    again = await exported(there, "other")
    assert (again[1:-1], read(again).header.session) == (lines[1:-1], "s")
    assert read(again).header.status == "waiting"


async def test_a_session_that_goes_on_meanwhile_is_exported_up_to_where_it_was() -> None:
    here = world()
    head = await began(here)
    lines = here.parts.exporter.lines(head, Leaving())
    first = await anext(lines)
    await here.parts.gateway.signal(KEY, "cancel", {}, ANN, "c")
    await here.settle()
    assert (await head_of(here)).seq > head.seq
    rest = [line async for line in lines]
    assert (read([first, *rest]).header.seq, read([first, *rest]).commits[-1].last_seq) == (head.seq, head.seq)


async def test_nothing_moves_an_import_and_nobody_tells_it_anything() -> None:
    here, there = world(), world()
    await began(here)
    kept, _ = await put(there, await exported(here))
    for kind, body in (("input", {"content": "hello"}), ("cancel", {}), ("pause", {})):
        with pytest.raises(Refused, match="is imported"):
            await there.parts.gateway.signal(KEY, kind, body, ANN, kind)
    await there.parts.engine.advance(Wake(KEY, look=True))
    await there.finish()
    assert await head_of(there) == kept
    assert DONE == ["a"]
    assert list(await there.backend.store.overdue()) == []
    assert usage(await there.backend.store.list(Query())) == []


async def test_a_deployment_need_not_have_the_program_of_an_import(tmp_path: Path) -> None:
    here = world()
    await began(here)
    lines = await exported(here)
    async with Runtime(db=tmp_path / "onward.db", identity="ann") as runtime:
        await runtime.import_(lines)
        assert (await runtime.diagnose()).versions == ()
        assert [entry async for entry in runtime.effects()] == []
        assert [entry.tool async for entry in runtime.effects("s", reads=True)] == ["look", "pay"]
        assert list(await runtime.usage()) == []
        assert "".join([line async for line in runtime.export("s")]).count("\n") == len(lines)
    assert "imported" not in GOING


async def test_an_import_is_forked_and_answered_from_its_record() -> None:
    here, there = world(), world()
    await began(here)
    await put(there, await exported(here))
    await there.parts.forker.fork(Fork(session="s", id="f", at=2), ANN)
    await there.settle()
    assert (await head_of(there, "f")).family == "s"
    kept = [entry.kind for entry in (await there.state("s")).transcript]
    assert [entry.kind for entry in (await there.state("f")).transcript][: len(kept)] == kept
    assert DONE == ["a"]


async def test_another_session_of_the_id_that_an_import_came_from_is_no_record_of_it() -> None:
    here, there = world(), world()
    await began(here, input="hi")
    await here.parts.forker.fork(Fork(session="s", id="f", at=1), ANN)
    await here.settle()
    await put(there, await exported(here, "f"))
    await began(there, input="somebody else's")
    lines = [await each.parts.engine.performing._records._line(await each.state("f")) for each in (here, there)]
    assert [[ancestor.record.session for ancestor in line] for line in lines] == [["s"], []]
    await put(there, await exported(here), id="t")
    assert (await head_of(there, "t")).hash == (await head_of(here)).hash


async def test_its_id_is_no_session_s_and_no_branch_s() -> None:
    here, there = world(), world()
    await began(here)
    await put(there, await exported(here))
    await began(there, "mother", "hi")
    with pytest.raises(Refused, match="it is imported"):
        await began(there)
    with pytest.raises(Refused, match="it is imported"):
        await there.parts.forker.fork(Fork(session="mother", id="s"), ANN)


async def test_the_same_again_is_found_done_and_anything_else_is_refused() -> None:
    here, there = world(), world()
    await began(here)
    lines = await exported(here)
    kept, _ = await put(there, lines)
    assert await put(there, lines) == (kept, False)
    with pytest.raises(Refused, match="other fields are erased in it than in this file, from event 1 on"):
        await put(there, await exported(here, leaving=Leaving(private=False)))
    await here.parts.gateway.signal(KEY, "cancel", {}, ANN, "c")
    await here.settle()
    with pytest.raises(Refused, match=f"it ends with event {kept.seq}, this one"):
        await put(there, await exported(here))
    with pytest.raises(Refused, match="it is cancelled, and no import"):
        await put(here, lines)
    assert await put(here, lines, id="copy") == (await head_of(here, "copy"), True)


async def test_what_is_not_whole_is_refused_and_nothing_is_written() -> None:
    here, there = world(), world()
    await began(here)
    lines = await exported(here)
    for wrong in (lines[:-1], [*lines[:2], *lines[3:]], resealed([line.rstrip() for line in (*lines[:2], lines[-1])])):
        with pytest.raises(CorruptLog):
            await put(there, wrong)
    with pytest.raises(BadInput, match="id: "):
        await put(there, lines, id="no good")
    assert there.backend.blobs._values == {}
    assert list(await there.backend.store.list(Query())) == []


async def test_an_import_is_deleted_and_its_id_is_taken_for_good() -> None:
    here, there = world(), world()
    await began(here)
    lines = await exported(here)
    await put(there, lines)
    stone = await there.parts.deleter.delete(KEY, "ann", "done with")
    assert (stone.status, await there.backend.store.commits(KEY), there.backend.blobs._values) == ("deleted", [], {})
    assert usage([stone])[0].tokens == 0
    with pytest.raises(Refused, match="an id starts only once"):
        await put(there, lines)
    assert there.backend.blobs._values == {}


async def test_one_that_is_deleted_while_it_is_put_leaves_nothing() -> None:
    here, there = world(), world()
    await began(here)
    export, store = read(await exported(here)), there.backend.store

    class Slow:
        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        async def fill(self, key: str, commits: Sequence[Commit]) -> None:
            await there.parts.deleter.delete(key, "ann", "")
            await store.fill(key, commits)

    slow: Any = Slow()
    with pytest.raises(Refused, match="deleted"):
        await Importer(slow, there.backend.blobs, there.parts.appender).put(export, "default", None)
    assert there.backend.blobs._values == {}
    assert (await head_of(there)).status == "deleted"


async def test_a_field_of_an_import_is_not_erased() -> None:
    here, there = world(), world()
    await began(here)
    await put(there, await exported(here))
    with pytest.raises(Refused, match="import one without the field"):
        await there.parts.eraser.erase(KEY, 1, "input", ANN, "")
    assert texts(await there.backend.store.commits(KEY)) == texts(await here.backend.store.commits(KEY))


async def test_without_private_fields_the_log_is_the_same_and_says_nothing() -> None:
    here, there = world(), world()
    await began(here)
    lines = await exported(here, leaving=Leaving(private=False))
    assert not any(word in "".join(lines) for word in ("tell nobody", "aaaa", "PNG"))
    kept, _ = await put(there, lines)
    assert verify(await there.backend.store.commits(KEY), kept.hash)
    assert "tell nobody" not in str(await there.state("s"))


async def test_s16_whatever_an_import_died_after_it_can_be_seen_and_completed() -> None:
    here = world()
    await began(here)
    export = read(await exported(here))
    plan = Plan()
    await importer(world(), plan).put(export, "default", None)
    calls = len(plan.calls)
    assert [name for name in plan.calls if name.startswith("store.")][1:] == ["store.create", "store.fill"]
    for call in range(1, calls + 1):
        for fault in (kill_before, kill_after):
            there = world()
            with pytest.raises(Killed):
                await importer(there, Plan({call: fault})).put(export, "default", None)
            left = await there.backend.store.read(KEY)
            assert left is None or (left.status, left.seq) == ("imported", export.header.seq)
            kept, _ = await importer(there, Plan()).put(export, "default", None)
            assert verify(await there.backend.store.commits(KEY)) == (kept.seq, kept.hash)
            assert (await there.parts.loader.recording(kept)).hash == export.header.hash


@pytest.mark.parametrize("name", ["store.create", "store.fill"])
async def test_s16_an_answer_that_is_lost_is_asked_for_again(name: str) -> None:
    here, there, plan = world(), world(), Plan()
    await began(here)
    export = read(await exported(here))
    await importer(world(), plan).put(export, "default", None)
    at = plan.calls.index(name) + 1
    kept, _ = await importer(there, Plan({at: error_after})).put(export, "default", None)
    assert verify(await there.backend.store.commits(KEY)) == (kept.seq, kept.hash)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(bodies, max_size=6))
def test_what_verifies_and_makes_no_sense_is_refused_as_that(said: list[Body]) -> None:
    """Anybody can make a chain of hashes of whatever they like."""
    first = SessionStarted(tenant="t", session="s", program="desk", version="1", input="hi")
    events = [
        Event.model_construct(seq=seq, at=AT, actor=ANN, body=body, trace=None)
        for seq, body in enumerate([first, *said], start=1)
    ]
    salt = salts()
    genesis = {"tenant": "t", "session": "s"}
    commit = seal([encode(event, salt) for event in events], prev=ROOT, epoch=1, token="t", genesis=genesis)
    with suppress(CorruptLog, UnreadableLog):  # nothing else may be raised
        kept, _ = asyncio.run(put(world(), list(write(export_of([commit])))))
        assert (kept.status, kept.seq) == ("imported", len(events))


def importer(runner: Runner, plan: Plan) -> Importer:
    backend: Any = Process("first", plan).backend(runner.backend)
    return Importer(backend.store, backend.blobs, runner.parts.appender)


async def test_a_long_log_is_read_once() -> None:
    here, there, plan = world(), world(), Plan()
    head = await began(here, input="hi")
    for number in range(600):
        await here.parts.gateway.signal(KEY, "input", {"content": str(number)}, ANN, str(number))
        if number % 100 == 99:
            await here.settle()
    head = await head_of(here)
    backend: Any = Process("first", plan).backend(here.backend)
    here.parts.loader._store = here.parts.exporter._store = backend.store
    lines = await exported(here)
    assert len(lines) > head.commits
    assert plan.calls.count("store.commits") <= 2 + head.commits // 100
    kept, _ = await put(there, lines)
    assert kept.seq == head.seq
