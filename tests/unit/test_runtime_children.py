"""A runtime that waits for a session waits for the work of its children too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from onward import Agent, App, Runtime, ScriptedModel, run
from tests.unit.play import call


def boss(*helper_turns: Any) -> Agent:
    helper = Agent("helper", model=ScriptedModel(helper_turns))
    middle_turns = [{"calls": [call("helper", input="b")]}, {"text": "middle"}]
    middle = Agent("middle", model=ScriptedModel(middle_turns), tools=[helper])
    turns = [{"calls": [call("helper", input="a"), call("middle", input="a")]}, {"text": "all done"}]
    return Agent("boss", model=ScriptedModel(turns), tools=[helper, middle])


def test_a_session_whose_children_are_at_work_does_not_rest(tmp_path: Path) -> None:
    assert run(boss({"text": "done"}), "go", db=tmp_path / "db").output == "all done"


async def test_a_session_whose_children_wait_for_somebody_rests(tmp_path: Path) -> None:
    async with Runtime(App(programs=[boss({"text": "", "fails": [{"code": "refused"}]})]), tmp_path / "db") as runtime:
        await runtime.start("boss", "go", id="s")
        head = await runtime.wait("s")
        assert [wait.kind for wait in head.waits] == ["child", "child"]
        below = [await runtime.get(str(wait.session)) for wait in head.waits]
        assert [child.status for child in below] == ["needs_attention", "waiting"]
