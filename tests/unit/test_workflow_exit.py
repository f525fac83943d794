"""A process that ends unwinds no workflow: to rest is not to end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BODY = """
import asyncio
import warnings

from onward import Context, run, workflow

warnings.simplefilter("ignore")


async def look() -> int:
    return 1


@workflow
async def flow(ctx: Context) -> None:
    try:
        async with asyncio.timeout(3600), asyncio.TaskGroup() as group:
            group.create_task(ctx.signal("never"))
            group.create_task(ctx.step(look, effect="read"))
    except BaseException:
        print("unwound")
        raise
    finally:
        print("cleaned up")
        await ctx.sleep("1s")


state = run(flow, db="s.db")
print("rests" if state.calls and not state.ended else "ended")
"""


def test_nothing_is_cleaned_up_because_the_process_ends_while_a_workflow_rests(tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(BODY)
    ran = subprocess.run([sys.executable, "flow.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (ran.stdout, ran.stderr) == ("rests\n", "")
