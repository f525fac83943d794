"""Branches of a workflow that go on beside each other (R9), and what is interrupted."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from onward import Context, StepFailed, workflow
from tests.unit.flows import Flow, read

DONE: list[Any] = []


class Gate:
    """Slow steps wait at it until it is opened."""

    open = asyncio.Event()


GATE = Gate()


@pytest.fixture(autouse=True)
def _nothing_done() -> None:
    DONE.clear()
    GATE.open = asyncio.Event()


async def slow(n: int) -> int:
    DONE.append(f"slow {n} began")
    await GATE.open.wait()
    DONE.append(f"slow {n}")
    return n


async def quick(n: int) -> int:
    DONE.append(f"quick {n}")
    return n


async def open_gate() -> None:
    GATE.open.set()


async def never() -> None:
    DONE.append("began")
    try:
        await asyncio.sleep(3600)
    finally:
        DONE.append("interrupted")


async def test_r9_a_branch_goes_on_while_a_slow_call_of_another_is_under_way() -> None:
    async def steady(ctx: Context) -> list[int]:
        found = [await read(ctx, quick, n) for n in range(5)]
        await read(ctx, open_gate)
        return found

    @workflow
    async def flow(ctx: Context) -> list[Any]:
        return [*await asyncio.gather(read(ctx, slow, 1), steady(ctx))]

    play = Flow(flow)
    state = await play.start()
    assert state.output == [1, [0, 1, 2, 3, 4]]
    assert ["slow 1 began", *(f"quick {n}" for n in range(5)), "slow 1"] == DONE
    completed = await play.bodies("call_completed")
    assert [body.result for body in completed][:5] == [0, 1, 2, 3, 4]


async def test_a_step_under_way_is_interrupted_when_its_time_is_up() -> None:
    @workflow
    async def flow(ctx: Context) -> str:
        try:
            async with asyncio.timeout(0.3):
                await read(ctx, never)
        except TimeoutError:
            return "late"
        return "?"

    play = Flow(flow, clock=_clock())
    state = await play.start()
    await asyncio.sleep(0)
    assert (state.output, DONE) == ("late", ["began", "interrupted"])
    (left,) = await play.bodies("call_refused")
    assert left.error.code == "left"
    assert state.spent.calls == 0


def _clock() -> Any:
    from onward.adapters.local.clock import SystemClock

    return SystemClock()


async def test_the_first_failure_of_a_group_interrupts_the_others() -> None:
    async def fails() -> None:
        raise ValueError("no")

    @workflow
    async def flow(ctx: Context) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(read(ctx, never))
            group.create_task(read(ctx, fails))

    state = await Flow(flow).start()
    await asyncio.sleep(0)
    assert (state.ended, DONE) == ("failed", ["began", "interrupted"])
    assert state.error is not None
    assert "ExceptionGroup" in state.error.message or "no" in state.error.message


async def test_g6_an_irreversible_call_of_a_branch_waits_for_the_calls_under_way_and_is_made_alone() -> None:
    async def pay() -> str:
        DONE.append("paid")
        return "paid"

    async def paying(ctx: Context) -> str:
        await read(ctx, quick, 1)
        return await ctx.step(pay)

    async def opening(ctx: Context) -> None:
        await read(ctx, quick, 2)
        await read(ctx, open_gate)

    @workflow
    async def flow(ctx: Context) -> list[Any]:
        return [*await asyncio.gather(read(ctx, slow, 1), paying(ctx), opening(ctx))]

    play = Flow(flow)
    state = await play.start()
    assert state.output == [1, "paid", None]
    assert DONE[-1] == "paid"


async def test_a_workflow_that_ends_lets_go_of_what_is_under_way() -> None:
    @workflow
    async def flow(ctx: Context) -> int:
        behind = asyncio.create_task(read(ctx, never))
        found = await read(ctx, quick, 1)
        assert not behind.done()
        return found  # type: ignore[no-any-return]

    state = await Flow(flow).start()
    await asyncio.sleep(0)
    assert (state.output, sorted(DONE)) == (1, ["began", "interrupted", "quick 1"])


async def test_a_failure_in_one_branch_can_be_caught_while_another_goes_on() -> None:
    async def fails() -> None:
        raise ValueError("no")

    @workflow
    async def flow(ctx: Context) -> list[Any]:
        async def careful() -> str:
            try:
                await read(ctx, fails)
            except StepFailed as exc:
                return exc.code
            return "?"

        return [*await asyncio.gather(careful(), read(ctx, quick, 1))]

    assert (await Flow(flow).start()).output == ["tool_error", 1]
