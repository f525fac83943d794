"""Taking back what a workflow did: attempts that people have had it make again."""

from __future__ import annotations

from onward import Context, Retry, tool, workflow
from tests.unit.flows import Flow


async def book(room: int) -> str:
    return f"room {room}"


async def test_an_undo_that_is_made_again_is_not_taken_for_that_of_a_step_of_the_same_name() -> None:
    cancelled = list[int]()

    @tool(effect="idempotent", retry=Retry(attempts=1))
    async def give_back(room: int) -> str:
        """Give it back."""
        cancelled.append(room)
        if cancelled == [2, 1]:
            raise ValueError("the desk is closed")
        return "given back"

    @workflow
    async def trip(ctx: Context) -> None:
        await ctx.step(book, 1, undo=give_back)
        await ctx.step(book, 2, undo=give_back)
        raise RuntimeError("no flight")

    flow = Flow(trip)
    await flow.start()
    parked = (await flow.finish()).parked
    assert parked is not None
    assert parked.code == "undo_failed"
    await flow.signal("resume", {})
    assert (await flow.finish()).ended == "failed"
    assert cancelled == [2, 1, 1]
