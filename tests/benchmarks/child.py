"""A process of its own for what is measured from a start: `child.py WHAT DB [N [PROGRAM]]`. Prints a line of JSON."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from typing import Any

BEGAN = time.perf_counter()


async def hello(db: str, _: int, program: str) -> dict[str, float]:
    """One durable step in a fresh process and store."""
    from onward import App, Runtime
    from tests.benchmarks.programs import Chain

    async with Runtime(App(programs=[Chain()]), db) as runtime:
        await runtime.start("chain", 1, id="hello")
        await runtime.wait("hello")
    return {"seconds": time.perf_counter() - BEGAN}


def made_of(step: Any, program: str) -> Any:
    """A program of such steps: a workflow, or one that only decides."""
    if program == "flow":
        from tests.benchmarks.flows import chain_of

        return chain_of(step)
    from tests.benchmarks.programs import Chain

    return Chain(of=step)


async def die(db: str, steps: int, program: str) -> dict[str, float]:
    """Make so many steps, then be killed inside the next one."""
    from onward import App, Runtime, tool
    from onward.wiring import Policy
    from tests.benchmarks.programs import RESULT

    @tool(effect="read", name="step")
    async def deadly(number: int) -> str:
        """A step that ends its process at the given number."""
        if number == steps:
            os.kill(os.getpid(), signal.SIGKILL)
        return RESULT

    app = App(programs=[made_of(deadly, program)])
    async with Runtime(app, db, policy=Policy(steps_per_wake=100_000)) as runtime:
        await runtime.start(program, steps + 10, id="long")
        await runtime.wait("long")
    return {}


async def resume(db: str, steps: int, program: str) -> dict[str, float]:
    """Take the session up again: seconds to the next step, with and without process start and imports."""
    from onward import App, Runtime, tool
    from tests.benchmarks.programs import RESULT

    made: list[int] = []
    first: list[float] = []

    @tool(effect="read", name="step")
    async def noted(number: int) -> str:
        """A step that notes when it ran."""
        first.append(time.perf_counter())
        made.append(number)
        return RESULT

    app = App(programs=[made_of(noted, program)])
    import onward.adapters.local.sqlite  # noqa: F401 - imports are not part of what is measured

    started = time.perf_counter()
    async with Runtime(app, db) as runtime:
        await runtime.wait("long")
    return {
        "seconds": first[0] - started,
        "with_process": first[0] - BEGAN,
        "again": sum(number < steps for number in made),
    }


if __name__ == "__main__":
    what = {"hello": hello, "die": die, "resume": resume}[sys.argv[1]]
    db, count, program = (*sys.argv[2:], *("", "0", "chain")[len(sys.argv) - 2 :])
    print(json.dumps(asyncio.run(what(db, int(count), program))))
