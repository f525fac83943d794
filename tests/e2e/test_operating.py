"""Operating from Python: switches between processes, deletion, the past, what was done and used."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from onward import Agent, App, NotFound, Refused, Runtime, ScriptedModel, tool
from onward.core.events import Actor, Parent
from onward.engine.gateway import Start
from onward.errors import BadInput
from onward.ports import Query

made: list[str] = []
PAY = {"calls": [{"tool": "pay", "arguments": {"amount": 5}}]}


@tool(effect="irreversible")
def pay(amount: int) -> str:
    """Pay."""
    made.append(f"paid {amount}")
    return made[-1]


@tool(effect="read")
def look() -> str:
    """Look."""
    return "seen"


def application(*turns: dict[str, Any]) -> App:
    model = ScriptedModel([*(turns or [PAY]), {"text": "done"}])
    return App(programs=[Agent("desk", model=model, tools=[pay, look])])


@pytest.fixture
def db(tmp_path: Path) -> Path:
    made.clear()
    return tmp_path / "onward.db"


async def test_what_another_process_switches_off_rests_here_and_goes_on_when_it_is_on(db: Path) -> None:
    async with Runtime(application(), db) as working, Runtime(db=db, identity="ann") as operator:
        assert await operator.switch_off("program:desk", "it burns")
        assert not await operator.switch_off("program:desk", "again")
        await working.start("desk", "hello", id="s")
        head = await working.wait("s")
        assert (head.status, head.switch, made) == ("paused", "program:desk", [])
        assert "it burns" in head.waits[0].note
        assert await operator.switch_on("program:desk")
        assert (await working.wait("s", ended=True)).status == "completed"
        assert made == ["paid 5"]
        turns = [(turn.off, turn.switch.by.name) for turn in await operator.switch_history()]
        assert turns == [(False, "ann"), (True, "ann")]
        with pytest.raises(BadInput, match="scope"):
            await operator.switch_off("desk")


async def test_r22_a_deleted_session_is_gone_for_every_reader_and_its_id_stays_taken(db: Path) -> None:
    async with Runtime(application(), db, identity="ann") as runtime, Runtime(db=db) as other:
        await runtime.start("desk", "hello", id="s")
        head = await runtime.wait("s", ended=True)
        assert (await other.state("s")).ended == "completed"
        stone = await runtime.delete("s", "asked for it")
        assert (stone.status, stone.hash, stone.spent) == ("deleted", head.hash, head.spent)
        for reading in (runtime, other):
            assert await reading.get("s") == stone
            for gone in (reading.state("s"), reading.verify("s"), reading.erase("s", 1, "input")):
                with pytest.raises(NotFound, match="deleted by ann: asked for it"):
                    await gone
            with pytest.raises(NotFound):
                _ = [event async for event in reading.events("s")]
        with pytest.raises(Refused) as refused:
            await runtime.start("desk", "hello", id="s")
        assert refused.value.code == "deleted"
        with pytest.raises(Refused, match="deleted"):
            await other.send("s", "hello?")
        assert await other.list(Query()) == []
        assert await other.delete("s", "again") == stone
        assert [row.turns for row in await other.usage()] == [head.spent.turns]
    with closing(sqlite3.connect(db)) as file:
        left = [file.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES]
    assert left == [0] * len(TABLES)


TABLES = ("commits", "inbox", "blobs", "wakes", "timers")


async def test_a_state_is_had_as_it_was(db: Path) -> None:
    async with Runtime(application(), db) as runtime:
        await runtime.start("desk", "hello", id="s")
        last = (await runtime.wait("s", ended=True)).seq
        states = [await runtime.state("s", at=at) for at in range(1, last + 1)]
        assert [state.seq for state in states] == list(range(1, last + 1))
        assert [bool(state.calls) for state in states].count(True) >= 1
        assert states[-1].ended == "completed"
        assert states[0].transcript[0].value == "hello"
        for wrong in (0, last + 1):
            with pytest.raises(BadInput, match="at"):
                await runtime.state("s", at=wrong)


async def test_effects_of_many_sessions_are_told_though_one_log_is_damaged(
    db: Path, caplog: pytest.LogCaptureFixture
) -> None:
    turns = {"calls": [*PAY["calls"], {"tool": "look", "arguments": {}}]}
    async with Runtime(application(turns), db) as runtime:
        for id in ("a", "b", "c"):
            await runtime.start("desk", "hello", id=id)
            await runtime.wait(id, ended=True)
        now = runtime.parts.clock.now()
        assert [entry.session async for entry in runtime.effects()] == ["c", "b", "a"]
        assert {entry.tool async for entry in runtime.effects(reads=True)} == {"pay", "look"}
        assert [entry.receipt async for entry in runtime.effects("a")] == ["paid 5"]
        assert [entry async for entry in runtime.effects(tool="look")] == []
        assert [entry async for entry in runtime.effects(since=now + timedelta(hours=1))] == []
        assert [entry async for entry in runtime.effects(query=Query(program="other"))] == []
    with closing(sqlite3.connect(db)) as file, file:
        vanished = """replace(doc, '"call_completed"', '"call_vanished"')"""
        first = "SELECT key FROM sessions ORDER BY id LIMIT 1"
        file.execute(f"UPDATE commits SET doc = {vanished} WHERE key = ({first})")
    async with Runtime(db=db) as reader:
        with caplog.at_level(logging.WARNING, logger="onward.runtime"):
            assert [entry.session async for entry in reader.effects()] == ["c", "b"]
        assert "effects of session a can't be read" in caplog.text
        with pytest.raises(Exception, match="call_vanished"):
            _ = [entry async for entry in reader.effects("a")]


async def test_only_one_session_and_those_that_come_of_it_are_advanced(db: Path) -> None:
    person, app = Actor(kind="person", name="ann"), application()
    async with Runtime(app, db, work=False) as starter:
        for id, parent in (("a", None), ("b", "a"), ("c", "b"), ("d", None), ("e", "d")):
            of = Parent(session=parent, call="1.0") if parent else None
            start = Start(id=id, program="desk", version="1", input="go", parent=of)
            await starter.parts.gateway.start(start, person)
    async with Runtime(app, db, only="a") as runtime:
        for id in ("a", "b", "c"):
            assert (await runtime.wait(id, ended=True)).status == "completed"
        assert [(await runtime.get(id)).status for id in ("d", "e")] == ["running"] * 2
