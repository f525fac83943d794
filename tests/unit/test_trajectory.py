"""Trajectories: what a session did is told from its recording, whole, also of a branch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from onward import Agent, App, Approval, Compaction, tool
from onward.adapters.local.scripted import ScriptedModel
from onward.core.payload import Erased
from onward.core.trajectory import trajectory
from onward.core.turns import Trajectory, doc
from onward.runtime import Runtime

TURNS: list[dict[str, Any]] = [
    {
        "text": "looking",
        "calls": [{"tool": "look", "arguments": {"x": "a"}}, {"tool": "pay", "arguments": {"n": "3"}}],
    },
    {"calls": [{"tool": "pay", "arguments": {"n": 9}}, {"tool": "lok", "arguments": {}}]},
    {"calls": [{"tool": "fails", "arguments": {}}]},
    {"text": "all done"},
]


@tool(effect="read")
async def look(x: str) -> str:
    """Look."""
    return f"r{x}"


@tool(effect="irreversible", approval=Approval(when=lambda arguments: arguments.n > 5))
async def pay(n: int) -> str:
    """Pay."""
    return f"paid {n}"


@tool(effect="read", retry=1)
async def fails() -> str:
    """Fail."""
    raise ValueError("it is broken")


def desk(turns: list[dict[str, Any]] = TURNS, **more: Any) -> App:
    return App(programs=[Agent("desk", model=ScriptedModel(turns), tools=[look, pay, fails], **more)])


async def told(runtime: Runtime, id: str) -> Trajectory:
    return trajectory(await runtime.recording(id))


async def finished(runtime: Runtime, id: str = "p") -> Trajectory:
    await runtime.start("desk", "go", id=id)
    await runtime.wait(id)
    await runtime.decide(id, "approved", arguments={"n": 7}, reason="seven will do")
    await runtime.wait(id, ended=True)
    return await told(runtime, id)


async def test_it_tells_what_was_said_what_was_called_and_what_came_of_it(tmp_path: Path) -> None:
    async with Runtime(desk(), tmp_path / "a.db", identity="mia") as runtime:
        did = await finished(runtime)
    assert (did.session, did.program, did.status, did.output) == ("p", "desk", "completed", "all done")
    assert [(said.kind, said.value) for turn in did.turns for said in turn.said] == [("input", "go")]
    assert [turn.answer.text if turn.answer else None for turn in did.turns] == ["looking", "", "", "all done"]
    assert [(call.tool, call.written, call.arguments, call.outcome) for call in did.calls] == [
        ("look", {"x": "a"}, {"x": "a"}, "done"),
        ("pay", {"n": "3"}, {"n": 3}, "done"),
        ("pay", {"n": 9}, {"n": 7}, "done"),
        ("lok", {}, {}, "refused"),
        ("fails", {}, {}, "failed"),
    ]
    asked = did.calls[2]
    assert (asked.rule is not None, asked.edited, asked.effect) == (True, True, "irreversible")
    assert [(each.by.name, each.verdict, each.reason) for each in asked.decisions] == [
        ("mia", "approved", "seven will do")
    ]
    assert [call.result for call in did.calls[:3]] == ["ra", "paid 3", "paid 7"]
    assert did.calls[4].error is not None
    assert "it is broken" in did.calls[4].error.message
    assert (did.totals.turns, did.totals.calls, did.totals.usd) == (4, 5, None)
    assert did.totals.tokens == sum(turn.spent.total for turn in did.turns) > 0
    assert did.turns[0].seqs[0] == 1
    json.dumps(doc(did))


async def test_of_a_branch_it_begins_with_what_was_inherited_and_counts_only_what_is_its_own(tmp_path: Path) -> None:
    async with Runtime(desk(), tmp_path / "a.db") as runtime:
        parent = await finished(runtime)
        for at in range(1, parent.seq + 1):
            await runtime.fork("p", at=at, branch=f"f{at}")
            await runtime.wait(f"f{at}", ended=True)
            did = await told(runtime, f"f{at}")
            assert [turn.answer.text for turn in did.turns if turn.answer] == ["looking", "", "", "all done"], at
            assert [call.tool for call in did.calls] == [call.tool for call in parent.calls], at
            assert [call.written for call in did.calls] == [call.written for call in parent.calls], at
            assert [call.result for call in did.calls] == [call.result for call in parent.calls], at
            assert [call.edited for call in did.calls] == [call.edited for call in parent.calls], at
            assert did.totals.tokens == 0
            inherited = [turn.inherited for turn in did.turns]
            assert inherited == sorted(inherited, reverse=True)
            assert all(call.record for call in did.calls if not call.inherited and call.tool != "lok"), at
        first = await told(runtime, "f1")
    assert not any(turn.inherited for turn in first.turns)
    assert all(turn.answer and turn.answer.record for turn in first.turns)


async def test_large_values_of_a_base_are_there_and_erased_ones_are_shown_as_erased(tmp_path: Path) -> None:
    large = "x" * 100_000
    turns = [{"calls": [{"tool": "look", "arguments": {"x": large}}]}, {"text": "done"}]
    async with Runtime(desk(turns), tmp_path / "a.db") as runtime:
        await runtime.start("desk", large, id="p")
        await runtime.wait("p", ended=True)
        await runtime.fork("p", branch="f")
        branch = await told(runtime, "f")
        await runtime.erase("p", 1, "input", reason="asked")
        parent = await told(runtime, "p")
    assert (branch.turns[0].said[0].value, branch.calls[0].result) == (large, f"r{large}")
    assert isinstance(parent.turns[0].said[0].value, Erased)
    assert doc(parent)["turns"][0]["said"][0]["value"] == {"$erased": True}


async def test_refused_answers_and_summaries_have_their_place(tmp_path: Path) -> None:
    turns = [{"text": "no number"}, {"text": "7"}, {"text": "8"}]
    app = desk(turns, output_type=int, conversation=True, compaction=Compaction(at=1, keep=1, by=lambda _: "in short"))
    async with Runtime(app, tmp_path / "a.db") as runtime:
        await runtime.start("desk", "go", id="p")
        await runtime.wait("p")
        await runtime.send("p", "and now?")
        await runtime.wait("p")
        did = await told(runtime, "p")
    assert did.status == "open"
    said = [(said.kind, said.value) for turn in did.turns for said in turn.said]
    assert [kind for kind, _ in said if kind != "summary"] == ["input", "notice", "input"]
    assert ("summary", "in short") in said


@pytest.mark.parametrize("effects", ["blocked", "recorded"])
async def test_a_call_that_was_open_is_told_once(tmp_path: Path, effects: Any) -> None:
    async with Runtime(desk(), tmp_path / "a.db") as runtime:
        await runtime.start("desk", "go", id="p")
        head = await runtime.wait("p")
        assert [call.outcome for call in (await told(runtime, "p")).calls] == ["done", "done", "open", "refused"]
        await runtime.fork("p", at=head.seq, branch="f", effects=effects)
        await runtime.wait("f")
        did = await told(runtime, "f")
    outcome = "not_inherited" if effects == "blocked" else "blocked"
    assert [call.outcome for call in did.turns[1].calls] == [outcome, "refused"]
    assert len(did.turns[1].calls) == 2


async def test_calls_of_one_tool_keep_their_places_whichever_was_settled_first(tmp_path: Path) -> None:
    asked = [{"x": "a"}, {"y": "b"}, {"x": "c"}]
    turns = [{"calls": [{"tool": "look", "arguments": each} for each in asked]}, {"text": "done"}]
    async with Runtime(desk(turns), tmp_path / "a.db") as runtime:
        await runtime.start("desk", "go", id="p")
        await runtime.wait("p", ended=True)
        await runtime.fork("p", at=3, branch="f")
        await runtime.wait("f", ended=True)
        await runtime.fork("f", branch="g")
        for id in ("p", "f", "g"):
            did = (await told(runtime, id)).turns[0].calls
            assert [(call.written, call.result) for call in did] == [
                ({"x": "a"}, "ra"),
                ({"y": "b"}, None),
                ({"x": "c"}, "rc"),
            ], id
