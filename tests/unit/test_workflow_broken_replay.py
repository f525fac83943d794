"""What a workflow's body is told is the same whenever it is run again, whatever it does with it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from onward import Context, NotPerformed, workflow
from tests.unit.flows import DONE, Flow, flow, nothing_done, once, read  # noqa: F401


async def counts():  # type: ignore[no-untyped-def]
    return {"n": 1, "of": [1]}


async def again(play: Flow, body: Any) -> Flow:
    """The same session in another process."""
    return Flow(flow(body), runner=play.runner)


async def test_g7_what_a_body_changes_in_a_result_is_not_changed_in_the_log() -> None:
    async def body(ctx: Context) -> Any:
        found = await read(ctx, counts)
        found["n"] += 1
        found["of"].append(2)
        await ctx.sleep("1h")
        return found

    play = Flow(flow(body))
    await play.start()
    assert [each.result for each in await play.bodies("call_completed")] == [{"n": 1, "of": [1]}]
    state = await (await again(play, body)).finish()
    assert state.output == {"n": 2, "of": [1, 2]}


async def test_g1_what_a_person_answers_and_a_child_gives_is_the_bodys_own_copy() -> None:
    @workflow
    async def child(ctx: Context):  # type: ignore[no-untyped-def]
        return {"n": 1}

    async def body(ctx: Context) -> Any:
        said = (await ctx.approval("Which?")).result
        said["n"] += 1
        found = await ctx.run(child)
        found["n"] += 1
        await ctx.sleep("1h")
        return [said, found]

    play = Flow(flow(body), child)
    await play.start(program="flow")
    await play.decide("responded", result={"n": 1})
    state = await Flow(flow(body), child, runner=play.runner).finish()
    assert state.output == [{"n": 2}, {"n": 2}]


# --- what is new, and what was run before ------------------------------------------------------------------------


async def test_a_mark_is_taken_by_every_branch_of_a_new_session_whose_results_come_together() -> None:
    async def body(ctx: Context) -> Any:
        async def branch(n: int) -> bool:
            await read(ctx, once, n)
            return ctx.patched(f"p{n}")

        return await asyncio.gather(branch(1), branch(2), branch(3))

    assert (await Flow(flow(body)).start()).output == [True, True, True]


async def test_what_is_logged_after_results_that_come_together_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async def body(ctx: Context) -> None:
        async def branch(n: int) -> None:
            await read(ctx, once, n)
            ctx.log.warning("done %s", n)

        await asyncio.gather(branch(1), branch(2))
        await ctx.sleep("1h")
        ctx.log.warning("slept")

    play = Flow(flow(body))
    await play.start()
    await (await again(play, body)).finish()
    said = [record.getMessage() for record in caplog.records if record.name == "onward.workflow"]
    assert said == ["done 1", "done 2", "slept"]


async def test_a_mark_that_was_given_just_before_a_failure_stays_given_while_it_is_taken_back() -> None:
    async def undo(n: int) -> None:
        DONE.append(-n)
        if DONE.count(-1) == 1:
            raise NotPerformed("not now")

    async def body(ctx: Context) -> None:
        await ctx.step(once, 1, undo=undo)
        if ctx.patched("strict"):
            raise ValueError("no")
        await ctx.step(once, 2)

    play = Flow(flow(body))
    state = await play.start()
    assert (state.parked and state.parked.code, DONE) == ("undo_failed", [1, -1])
    state = await (await again(play, body)).signal("resume", {})
    assert (state.ended, DONE) == ("failed", [1, -1, -1])


# --- what never comes --------------------------------------------------------------------------------------------


async def test_g5_a_body_that_waits_for_what_nobody_brings_about_is_parked() -> None:
    async def body(ctx: Context) -> None:
        await read(ctx, once, 1)
        await asyncio.Event().wait()

    async def mended(ctx: Context) -> int:
        return await read(ctx, once, 1)  # type: ignore[no-any-return]

    play = Flow(flow(body))
    state = await play.start()
    assert (state.parked and state.parked.code) == "waits_for_nothing"
    state = await (await again(play, mended)).signal("resume", {})
    assert (state.output, DONE) == (1, [1])


async def test_g5_a_body_of_which_the_log_has_only_what_it_does_not_ask_for_is_parked() -> None:
    async def body(ctx: Context) -> None:
        await ctx.signal("paid")

    async def other(ctx: Context) -> None:
        await asyncio.Event().wait()

    play = Flow(flow(body))
    await play.start()
    state = await (await again(play, other)).signal("pause", {})
    state = await (await again(play, other)).signal("resume", {})
    assert (state.parked and state.parked.code) == "nondeterministic"
