"""What the benchmarks run as workflows: the same steps as the chain of `programs`, and one that waits."""

from __future__ import annotations

from typing import Any

from onward import App, Context, workflow
from tests.benchmarks.programs import step


def chain_of(step: Any) -> Any:
    """A workflow of as many such steps, one after the other, as its input says."""

    @workflow
    async def flow(ctx: Context, count: int) -> int:
        for number in range(count):
            await ctx.step(step, number)
        return count

    return flow


@workflow
async def outside(ctx: Context) -> str:
    """One that waits for something from outside."""
    return await ctx.signal("go", str)


flow = chain_of(step)
app = App(programs=[flow, outside])
