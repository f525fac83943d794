"""The library's way in, on a real SQLite file."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from onward import Agent, App, Approval, Limits, NotFound, Pending, Refused, Runtime, ScriptedModel, run, tool
from onward.core.events import Actor, Event
from onward.core.signals import Signal
from onward.errors import BadInput, CorruptLog
from onward.ports import Query
from onward.wiring import Policy

PAY: dict[str, Any] = {"tool": "pay", "arguments": {"amount": 80}}
made: list[str] = []


@tool(effect="irreversible", approval=Approval(when=lambda args: args.amount > 50))
def pay(amount: int) -> str:
    """Pay."""
    made.append(f"paid {amount}")
    return made[-1]


@tool(effect="read")
async def look(number: int) -> str:
    """Look."""
    await asyncio.sleep(0)
    return f"seen {number}"


@tool(effect="idempotent")
async def ship(order: str) -> Pending:
    """Ship."""
    return Pending(timeout="2d")


def application(*turns: dict[str, Any], version: str = "1") -> App:
    model = ScriptedModel([*turns, {"text": "done"}])
    return App(
        programs=[Agent("desk", model=model, tools=[pay, look, ship], version=version, limits=Limits(turns=500))]
    )


def looks(count: int) -> list[dict[str, Any]]:
    return [{"calls": [{"tool": "look", "arguments": {"number": number}}]} for number in range(count)]


@pytest.fixture
def db(tmp_path: Path) -> Path:
    made.clear()
    return tmp_path / "onward.db"


async def test_a_session_waits_over_two_runtimes_for_its_approval_and_pays_once(db: Path) -> None:
    async with Runtime(application({"calls": [PAY]}), db, identity="ana") as runtime:
        await runtime.start("desk", "hello", id="s")
        head = await runtime.wait("s")
        assert (head.status, [wait.kind for wait in head.waits]) == ("waiting", ["approval"])
        assert made == []
    async with Runtime(db=db, identity="ben") as desk:
        ((head, wait),) = await desk.approvals()
        outcome = await desk.decide("s", "approved", digest=wait.digest, reason="fine")
        assert outcome.event is not None
        assert (outcome.event.kind, outcome.event.actor.name) == ("approval_decided", "ben")
        with pytest.raises(Refused, match="approved by ben"):
            await desk.decide("s", "rejected", call=wait.call, digest=wait.digest)
    async with Runtime(application({"calls": [PAY]}), db) as runtime:
        assert (await runtime.wait("s", ended=True)).status == "completed"
        assert made == ["paid 80"]
        await runtime.verify("s", head.hash)
        with pytest.raises(CorruptLog):
            await runtime.verify("s", "0" * 64)


async def test_the_same_decision_filed_again_gets_the_same_answer(db: Path) -> None:
    async with Runtime(application({"calls": [PAY]}), db, identity="ana") as runtime:
        await runtime.start("desk", "hello", id="s")
        await runtime.wait("s")
        ((_, wait),) = await runtime.approvals("s")
        answers = [await runtime.decide("s", "approved", call=wait.call, digest=wait.digest) for _ in range(2)]
        await runtime.wait("s", ended=True)
        answers.append(await runtime.decide("s", "approved", call=wait.call, digest=wait.digest))
        assert len({answer.event.seq for answer in answers if answer.event}) == 1


async def test_g8_of_many_who_decide_at_once_one_wins_and_the_others_are_told_who(db: Path) -> None:
    async with Runtime(application({"calls": [PAY]}), db) as runtime:
        await runtime.start("desk", "hello", id="s")
        await runtime.wait("s")
        ((_, wait),) = await runtime.approvals("s")

        async def decide(number: int) -> str:
            verdict: Any = "approved" if number % 2 else "rejected"
            try:
                await runtime.decide("s", verdict, call=wait.call, digest=wait.digest, by=f"p{number}")
            except Refused as no:
                return no.stands
            return f"p{number}"

        answers = await asyncio.gather(*(decide(number) for number in range(8)))
        (winner,) = [answer for answer in answers if answer.startswith("p")]
        told = [answer for answer in answers if answer != winner]
        assert all(winner in answer or "completed" in answer for answer in told), answers


async def test_g9_readers_of_any_start_see_every_event_once_and_in_order(db: Path) -> None:
    async with Runtime(application(*looks(30)), db) as runtime:
        await runtime.start("desk", "hello", id="s")

        async def read(after: int) -> list[int]:
            return [event.seq async for event in runtime.events("s", after=after, follow=True)]

        gone = asyncio.create_task(read(0))
        await asyncio.sleep(0)
        gone.cancel()
        found = await asyncio.gather(*(read(after) for after in (0, 0, 1, 17, 40)))
        last = (await runtime.get("s")).seq
        assert found == [list(range(after + 1, last + 1)) for after in (0, 0, 1, 17, 40)]
        assert (await runtime.get("s")).status == "completed", "a reader who went away cancelled nothing"


async def test_g9_a_reader_in_another_runtime_follows_live(db: Path) -> None:
    async with Runtime(application(*looks(5), {"calls": [PAY]}), db) as runtime, Runtime(db=db) as other:
        await runtime.start("desk", "hello", id="s")
        seen: list[Event] = []

        async def follow() -> None:
            seen.extend([event async for event in other.events("s", follow=True)])

        following = asyncio.create_task(follow())
        await runtime.wait("s")
        await runtime.decide("s", "approved")
        await following
        assert [event.seq for event in seen] == list(range(1, len(seen) + 1))
        assert seen[-1].kind == "session_completed"


async def test_g10_a_session_at_rest_costs_no_thread_and_no_task(db: Path) -> None:
    async with Runtime(application({"calls": [{"tool": "ship", "arguments": {"order": "A"}}]}), db) as runtime:
        await runtime.start("desk", 0, id="first")
        await runtime.wait("first")
        await asyncio.sleep(0.05)
        tasks, threads = len(asyncio.all_tasks()), threading.active_count()
        for number in range(50):
            await runtime.start("desk", number, id=f"s{number}")
        for number in range(50):
            await runtime.wait(f"s{number}")
        await asyncio.sleep(0.05)
        assert (len(asyncio.all_tasks()), threading.active_count()) == (tasks, threads)


async def test_a_signal_without_a_worker_is_absorbed_at_once(db: Path) -> None:
    async with Runtime(application(), db) as runtime:
        await runtime.start("desk", id="s")
        assert [wait.kind for wait in (await runtime.wait("s")).waits] == ["input"]
    async with Runtime(db=db) as other:
        outcome = await other.send("s", "hello", key="k")
        assert outcome.event is not None
        assert outcome.event.kind == "input_received"
    async with Runtime(application(), db) as runtime:
        assert (await runtime.wait("s", ended=True)).status == "completed"


async def test_r5_stopping_lets_go_of_a_model_call_and_the_next_runtime_asks_again(db: Path) -> None:
    asked = asyncio.Event()
    calls: list[str] = []

    class Slow:
        name = "slow"

        async def answer(self, request: Any) -> Any:
            calls.append("asked")
            asked.set()
            await asyncio.sleep(60)

    app = App(programs=[Agent("desk", model=Slow(), tools=[])])
    async with Runtime(app, db) as runtime:
        await runtime.start("desk", "hello", id="s")
        await asked.wait()
        began = time.monotonic()
    assert time.monotonic() - began < 30, "stopping interrupts the model call"
    async with Runtime(application(), db) as runtime:
        head = await runtime.wait("s", ended=True)
        assert (head.status, head.spent.turns) == ("completed", 1)


async def test_r5_stopping_waits_for_an_irreversible_call_and_records_it(db: Path) -> None:
    began = asyncio.Event()

    @tool(effect="irreversible", name="pay")
    async def slow(amount: int) -> str:
        """Pay, slowly."""
        began.set()
        await asyncio.sleep(0.3)
        made.append("paid")
        return "paid"

    model = ScriptedModel([{"calls": [PAY]}, {"text": "done"}])
    async with Runtime(App(programs=[Agent("desk", model=model, tools=[slow])]), db) as runtime:
        await runtime.start("desk", "hello", id="s")
        await began.wait()
    assert made == ["paid"]
    async with Runtime(db=db) as reader:
        assert "call_completed" in [event.kind async for event in reader.events("s")]


async def test_g12_a_session_takes_up_the_newest_version_at_its_next_turn_unless_pinned(db: Path) -> None:
    async with Runtime(application({"calls": [PAY]}), db) as runtime:
        for id in ("free", "pinned"):
            await runtime.start("desk", "hello", id=id, pinned=id == "pinned")
            await runtime.wait(id)
    old, new = application({"calls": [PAY]}), application({"calls": [PAY]}, version="2")
    async with Runtime(App(programs=[*old.programs.values(), *new.programs.values()]), db) as runtime:
        for id in ("free", "pinned"):
            await runtime.decide(id, "approved")
            await runtime.wait(id, ended=True)
        assert [(await runtime.get(id)).version for id in ("free", "pinned")] == ["2", "1"]
        kinds = [event.kind async for event in runtime.events("free")]
        assert kinds.count("program_changed") == 1


async def test_g12_a_version_nobody_has_parks_the_session_and_it_goes_on_when_it_is_back(db: Path) -> None:
    async with Runtime(application({"calls": [PAY]}, version="7"), db) as runtime:
        await runtime.start("desk", "hello", id="s", pinned=True)
        await runtime.wait("s")
    async with Runtime(application(version="8"), db, policy=Policy(handover=0.0)) as runtime:
        await runtime.decide("s", "approved")
        while (await runtime.get("s")).status != "needs_attention":
            await asyncio.sleep(0.01)
        head = await runtime.get("s")
        assert head.error is not None
        assert (head.error.code, "'7'" in head.error.message) == ("unknown_version", True)
        assert made == []
    async with Runtime(application({"calls": [PAY]}, version="7"), db) as runtime:
        assert (await runtime.wait("s", ended=True)).status == "completed"
        assert made == ["paid 80"]


async def test_g15_what_is_wrong_is_said_by_name_and_changes_nothing(db: Path) -> None:
    async with Runtime(application(), db) as runtime:
        for wrong in ({"id": "a b"}, {"deadline": "soon"}, {"delay": -1}, {"labels": {"x": None}}):
            with pytest.raises(BadInput, match=next(iter(wrong)) if "labels" not in wrong else "labels.x"):
                await runtime.start("desk", "hello", **wrong)  # type: ignore[arg-type]
        with pytest.raises(BadInput, match="desk"):
            await runtime.start("nobody", "hello")
        with pytest.raises(NotFound):
            await runtime.get("nobody")
        assert await runtime.list(Query()) == []


def test_run_goes_on_where_it_was(db: Path) -> None:
    agent = Agent("guide", model=ScriptedModel([*looks(2), {"text": "sunny"}]), tools=[look])
    first = run(agent, "weather?", id="trip", db=db)
    again = run(agent, "weather?", id="trip", db=db)
    assert (first.ended, first.output) == ("completed", "sunny")
    assert again == first
    with pytest.raises(Refused, match="another input"):
        run(agent, "something else", id="trip", db=db)


async def test_g3_an_erased_input_is_nowhere_in_the_file_and_the_log_verifies(db: Path) -> None:
    async with Runtime(application(*looks(40)), db) as runtime:
        await runtime.start("desk", "tell nobody: " + "hush " * 5000, id="s")
        head = await runtime.wait("s", ended=True)
        await runtime.erase("s", 1, "input", "asked for it")
        await runtime.verify("s", head.hash)
        kinds = [event.kind async for event in runtime.events("s")]
        assert kinds[-1] == "field_erased"
        assert (await runtime.get("s")).status == "completed"
    with sqlite3.connect(db) as link:
        link.execute("VACUUM")
        link.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    link.close()
    assert b"hush" not in db.read_bytes()


async def test_g3_an_erased_input_that_came_as_a_signal_is_in_no_file(db: Path) -> None:
    """Nor is one that came after the end and was refused."""
    agent = Agent("guide", model=ScriptedModel([{"text": "a"}, {"text": "b"}]), conversation=True)
    async with Runtime(App(programs=[agent]), db) as runtime:
        head = await runtime.start("guide", "hello", id="s")
        await runtime.wait("s")
        said = await runtime.send("s", "tell nobody: " + "hush " * 500, key="k")
        await runtime.wait("s")
        assert said.event is not None
        await runtime.finish("s")
        await runtime.erase("s", said.event.seq, "content", "asked for it")
        late = Signal("late", "input", {"content": "hush, too late"}, Actor(kind="person", name="ann"))
        await runtime.parts.gateway.file(head.key, late)
        while await runtime.unread("s"):
            await asyncio.sleep(0.01)
        kinds = [event.kind async for event in runtime.events("s")]
        assert kinds[-1] == "signal_refused"
    for file in db.parent.iterdir():
        assert b"hush" not in file.read_bytes(), file


async def test_r8_the_same_answer_to_a_second_doubt_is_another_answer(db: Path) -> None:
    @tool(effect="irreversible", name="pay")
    async def shaky(amount: int) -> str:
        """Pay, on a bad line."""
        made.append("tried")
        if len(made) < 3:
            raise ConnectionError("the line broke")
        return "paid"

    model = ScriptedModel([{"calls": [PAY]}, {"text": "done"}])
    async with Runtime(App(programs=[Agent("desk", model=model, tools=[shaky])]), db) as runtime:
        await runtime.start("desk", "hello", id="s")
        for _ in range(2):
            await runtime.wait("s")
            await runtime.resolve("s", "not_done")
        assert (await runtime.wait("s", ended=True)).status == "completed"
    assert made == ["tried"] * 3


async def test_models_are_found_by_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a script as on the command line."""
    (tmp_path / "turns.json").write_text('{"turns": [{"text": "found"}]}')
    monkeypatch.chdir(tmp_path)
    app = App(programs=[Agent("named", model="scripted:turns.json")])
    async with Runtime(app, tmp_path / "onward.db") as runtime:
        head = await runtime.start("named", "go")
        await runtime.wait(head.id)
        assert (await runtime.state(head.id)).output == "found"
