"""Sessions of workflows out of one world and into another, and branches of them there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from onward.core.divergence import Same
from onward.core.portable import NOTHING_LEFT_OUT, read
from onward.core.replaying import replay
from onward.engine.fork import Fork
from onward.testing.runner import Runner
from tests.fixtures.make import LOGS
from tests.fixtures.programs import application
from tests.unit.play import ANN, Play

FLOWS = sorted(LOGS.glob("*flow*.jsonl"))


async def lines_of(runner: Runner, head: Any) -> list[str]:
    return [line async for line in runner.parts.exporter.lines(head, NOTHING_LEFT_OUT)]


@pytest.mark.parametrize("file", FLOWS, ids=lambda file: file.stem)
async def test_what_comes_in_goes_out_as_it_was_and_is_decided_as_it_was(file: Path) -> None:
    lines = file.read_text().splitlines(keepends=True)
    app = application()
    runner = Runner(app)
    head, new = await runner.parts.importer.put(read(lines), "default", "imported")
    assert new
    again = await lines_of(runner, head)
    assert again[1:-1] == lines[1:-1], "all but the line that says where it is from, and the sum"
    verdict = replay(await runner.parts.loader.recording(head), app.programs)
    assert isinstance(verdict, Same), verdict.line
    assert await runner.deliver() is False, "nothing moves a recording"


async def test_a_branch_of_what_was_imported_is_answered_from_it() -> None:
    play = Play(app=application())
    with (LOGS / "flow_left.jsonl").open(encoding="utf-8") as lines:
        await play.runner.parts.importer.put(read(lines), "default", "s")
    await play.runner.parts.forker.fork(Fork(session="s", id="b", at=1), ANN)
    await play.settle()
    assert (await play.state("b")).output == (await play.state("s")).output
    assert (await play.state("b")).ended == "completed"
