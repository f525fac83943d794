"""Ends of workflows that are none of the usual: what a body raises, and what can't be taken back by other code."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from pydantic import BaseModel

from onward import Context, workflow
from onward.core.state import State
from tests.unit.flows import DONE, Flow, nothing_done  # noqa: F401


class Person(BaseModel):
    age: int


class Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError("it can't be said")


def flow(body: Any, **more: Any) -> Any:
    return workflow(name="flow", **more)(body)


async def ended_with(error: BaseException) -> State:
    async def body(ctx: Context) -> None:
        raise error

    return await Flow(flow(body)).start()


@pytest.mark.parametrize("error", [Unprintable(), SystemExit(3), ValueError("half \ud800 of a pair")])
async def test_g13_what_can_not_be_said_or_would_end_the_process_fails_the_session(error: BaseException) -> None:
    state = await ended_with(error)
    assert (state.ended, state.step_failures) == ("failed", 0)
    assert state.error is not None
    assert state.error.message.startswith(type(error).__name__)


async def test_what_a_session_fails_with_repeats_no_input_that_did_not_fit() -> None:
    async def body(ctx: Context) -> None:
        Person.model_validate({"age": "a secret"})

    state = await Flow(flow(body)).start()
    assert state.error is not None
    assert "a secret" not in state.error.message
    assert "age: Input should be a valid integer" in state.error.message


async def test_g13_a_task_that_would_end_the_process_ends_the_session() -> None:
    async def leaves() -> None:
        raise SystemExit(3)

    async def body(ctx: Context) -> None:
        import asyncio

        await asyncio.gather(leaves(), ctx.sleep("1h"))

    assert (await Flow(flow(body)).start()).ended == "failed"


@pytest.mark.filterwarnings("ignore::onward.WorkflowCaution")
async def test_a_body_that_never_waits_is_not_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(ctx: Context) -> None:
        import asyncio

        try:
            await asyncio.gather(ctx.sleep("1h"), _turning())
        finally:
            await ctx.sleep("1m")

    monkeypatch.setattr("onward.programs.loop.MOST", 1000)
    state = await Flow(flow(body)).start()
    assert state.step_failures == 1
    gc.collect()  # nothing of it is closed only now, where its clean-up would be heard


async def _turning() -> None:
    import asyncio

    while True:
        await asyncio.sleep(0)


# --- other code, and what is to be taken back ---------------------------------------------------------------------


async def book(n: int) -> int:
    DONE.append(n)
    return n


async def unbook(n: int) -> None:
    DONE.append(-n)


def booked(ctx: Context, n: int) -> Any:
    return ctx.step(book, n, undo=unbook)


async def old(ctx: Context) -> None:
    await booked(ctx, 1)
    await booked(ctx, 2)
    await ctx.sleep("9d")


async def other_arguments(ctx: Context) -> None:
    await booked(ctx, 1)
    await booked(ctx, 3)
    await ctx.sleep("9d")


async def one_less(ctx: Context) -> None:
    await booked(ctx, 1)
    await ctx.sleep("9d")


@pytest.mark.parametrize("new", [other_arguments, one_less])
async def test_a_cancel_takes_back_nothing_halfway_where_the_code_is_other_code(new: Any) -> None:
    play = Flow(flow(old))
    await play.start()
    state = await Flow(flow(new), runner=play.runner).signal("cancel", {})
    assert (state.ended, state.parked and state.parked.code, DONE) == (None, "nondeterministic", [1, 2])
    state = await Flow(flow(old), runner=play.runner).signal("resume", {})
    assert (state.ended, DONE) == ("cancelled", [1, 2, -2, -1])


async def test_a_cancel_is_not_held_up_by_waits_that_other_code_does_not_ask_for() -> None:
    async def waited(ctx: Context) -> None:
        await ctx.sleep("1h")
        await booked(ctx, 1)
        await ctx.sleep("9d")

    play = Flow(flow(waited))
    await play.start()
    await play.wait(3600)
    state = await Flow(flow(one_less), runner=play.runner).signal("cancel", {})
    assert (state.ended, DONE) == ("cancelled", [1, -1])
