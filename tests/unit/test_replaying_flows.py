"""Logs of workflows, decided again by the code of today: the same, or the very event, and who would go on with it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from onward import BadInput, Context, NotPerformed, workflow
from onward.core.divergence import Divergence, Same, Unclear, Verdict
from onward.core.recording import Recording
from onward.core.replaying import replay
from tests.unit.flows import KEY, Flow
from tests.unit.play import OPERATOR


async def first(n: int) -> int:
    return n


async def second(n: int) -> int:
    return n


async def back(n: int) -> None:
    raise NotPerformed("it is kept")


def called(body: Any, **more: Any) -> Any:
    return workflow(name="flow", **more)(body)


def step(ctx: Context, function: Callable[..., Any], n: int, **more: Any) -> Any:
    return ctx.step(function, n, effect="read", **more)


async def old(ctx: Context) -> Any:
    a = await step(ctx, first, 1)
    await ctx.sleep("1h")
    return [a, await step(ctx, second, 2), await ctx.signal("word", str)]


async def recording(play: Flow) -> Recording:
    return await play.runner.parts.loader.recording(await play.head())


async def begun(body: Any = old) -> Flow:
    play = Flow(called(body))
    await play.start()
    await play.wait(3600)
    return play


async def under(body: Any, of: Any = old) -> Verdict:
    """What today's body makes of the log of a session of `of` that waits."""
    return decided(await recording(await begun(of)), body)


def decided(log: Recording, body: Any, rests: bool = True) -> Verdict:
    flow = called(body)
    return replay(log, {("flow", "1"): flow}, rests=rests)


async def test_the_same_code_decides_the_same() -> None:
    assert await under(old) == Same(8, 6)


async def test_the_first_of_a_log_is_decided_as_all_of_it() -> None:
    log = await recording(await begun())
    for at, number in enumerate(log.commits[1:], start=1):
        part = Recording(log.events[: number - 1], log.commits[:at], "")
        assert isinstance(decided(part, old, rests=False), Same)


async def test_other_arguments_are_found_and_would_park_who_waits() -> None:
    async def new(ctx: Context) -> Any:
        return [await step(ctx, first, 7)]

    found = await under(new)
    assert isinstance(found, Divergence)
    assert (found.seq, found.goes_on) == (2, False)
    assert "arguments.0.n was 1, today 7" in found.line
    assert "it would be parked: the log (event 2) has first under the name 'first'" in found.line
    assert found.doc()["goes_on"] is False
    assert found.doc()["why_not"] in found.line


async def test_another_name_is_found() -> None:
    async def new(ctx: Context) -> Any:
        return [await step(ctx, first, 1, name="one")]

    found = await under(new)
    assert isinstance(found, Divergence)
    assert 'operations.0.name was "first", today "one"' in found.line
    assert "the workflow ended without it" not in found.line, "it has asked for another before its end"


async def test_a_step_put_in_is_a_difference_with_which_sessions_go_on() -> None:
    async def new(ctx: Context) -> Any:
        a = await step(ctx, first, 1)
        await step(ctx, second, 0, name="inserted")
        await ctx.sleep("1h")
        return [a, await step(ctx, second, 2), await ctx.signal("word", str)]

    found = await under(new)
    assert isinstance(found, Divergence)
    assert (found.seq, found.goes_on, found.why_not) == (4, True, "")
    assert found.line.endswith("; it goes on from the log's end")


async def test_steps_in_another_order_are_a_difference_with_which_sessions_go_on() -> None:
    async def new(ctx: Context) -> Any:
        b = await step(ctx, second, 2)
        await ctx.sleep("1h")
        return [await step(ctx, first, 1), b, await ctx.signal("word", str)]

    found = await under(new)
    assert isinstance(found, Divergence)
    assert (found.seq, found.goes_on) == (2, True)


async def test_a_step_that_is_gone_is_found_and_would_park_at_the_end() -> None:
    async def new(ctx: Context) -> Any:
        await ctx.sleep("1h")
        return await step(ctx, second, 2)

    found = await under(new)
    assert isinstance(found, Divergence)
    assert (found.seq, found.goes_on) == (2, False)
    assert "the workflow ended without it" in found.why_not


async def test_code_that_raises_is_found() -> None:
    async def new(ctx: Context) -> Any:
        raise LookupError("no")

    found = await under(new)
    assert isinstance(found, Divergence)
    assert (found.seq, found.got["kind"], found.goes_on) == (2, "session_failed", False)
    assert "the workflow failed (LookupError: no) without it" in found.why_not


async def test_what_is_not_done_any_more_at_the_end_is_found() -> None:
    async def new(ctx: Context) -> Any:
        a = await step(ctx, first, 1)
        await ctx.sleep("1h")
        return [a, await step(ctx, second, 2)]

    found = await under(new)
    assert isinstance(found, Divergence)
    assert (found.seq, found.expected["kind"], found.got["kind"]) == (8, "calls_proposed", "session_completed")
    assert not found.goes_on


async def test_another_undo_is_found_where_it_is_asked_for() -> None:
    def failing(undo: Any) -> Any:
        async def body(ctx: Context) -> None:
            await ctx.step(first, 1, undo=undo)
            raise ValueError("no")

        return body

    found = await under(failing(second), failing(back))
    assert isinstance(found, Divergence)
    assert found.expected["operations"][0]["kind"] == "undo"
    assert 'tool was "back", today "second"' in found.line
    assert isinstance(await under(failing(back), failing(back)), Same)


async def test_what_is_left_is_held_against_the_record() -> None:
    async def leaving(ctx: Context) -> Any:
        try:
            async with asyncio.timeout(60):
                await ctx.signal("word")
        except TimeoutError:
            return await ctx.signal("other")

    async def staying(ctx: Context) -> Any:
        waits = [ctx.sleep("60s", name="timer"), ctx.signal("word")]
        await asyncio.wait([asyncio.ensure_future(each) for each in waits], return_when=asyncio.FIRST_COMPLETED)
        return await ctx.signal("other")

    play = await begun(leaving)
    assert isinstance(decided(await recording(play), leaving), Same)
    assert "call_refused" in [event.kind for event in await play.events()]
    found = decided(await recording(play), staying)
    assert isinstance(found, Divergence)


# --- patches -----------------------------------------------------------------------------------------------------


async def patched(ctx: Context) -> Any:
    a = await step(ctx, second if ctx.patched("second") else first, 1)
    await ctx.sleep("1h")
    return [a, await step(ctx, second, 2, name="second-2"), await ctx.signal("word", str), ctx.patched("second")]


async def unpatched(ctx: Context) -> Any:
    a = await step(ctx, first, 1)
    await ctx.sleep("1h")
    return [a, await step(ctx, second, 2, name="second-2"), await ctx.signal("word", str)]


async def test_g12_patched_code_decides_old_logs_as_they_were_and_new_ones() -> None:
    assert isinstance(await under(patched, unpatched), Same)
    assert isinstance(await under(patched, patched), Same)
    found = await under(unpatched, patched)
    assert isinstance(found, Divergence)
    assert found.seq == 2


async def test_g12_each_fresh_start_has_patches_of_its_own() -> None:
    async def rounds(ctx: Context, n: int, new: bool) -> Any:
        await step(ctx, second if new else first, n)
        return ctx.continue_as(n + 1) if n < 2 else await ctx.signal("word")

    async def before(ctx: Context, n: int) -> Any:
        return await rounds(ctx, n, n > 1 and ctx.patched("new"))

    async def after(ctx: Context, n: int) -> Any:
        return await rounds(ctx, n, ctx.patched("new"))

    play = Flow(called(before))
    await play.start(1)
    assert await play.names() == ["first", "patch:new", "second", "word"]
    assert isinstance(decided(await recording(play), after), Same)


# --- logs of code that did not fit ---------------------------------------------------------------------------------


async def wrong(ctx: Context) -> Any:
    return [await step(ctx, first, 9)]


async def broken() -> Flow:
    play = Flow(called(wrong), runner=(await begun()).runner)
    assert (await play.send("hello", "word")).parked is not None
    return play


async def test_a_session_that_is_parked_is_told_apart_by_whether_it_would_go_on() -> None:
    log = await recording(await broken())
    mended, same = decided(log, old), decided(log, wrong)
    assert isinstance(mended, Divergence)
    assert isinstance(same, Divergence)
    assert (mended.expected["kind"], mended.goes_on) == ("session_parked", True)
    assert (same.seq, same.goes_on) == (2, False)


async def test_a_mistake_that_was_mended_makes_no_difference() -> None:
    play = Flow(called(old), runner=(await broken()).runner)
    state = await play.signal("resume", {})
    assert state.output == [1, 2, "hello"]
    assert isinstance(decided(await recording(play), old), Same)


async def test_an_erased_result_leaves_open_what_follows() -> None:
    play = await begun()
    await play.runner.parts.eraser.erase(KEY, 3, "result", OPERATOR, "asked to")
    found = decided(await recording(play), old)
    assert isinstance(found, Unclear)
    assert found.erased == (3,)


async def test_a_version_that_is_gone_is_named() -> None:
    log = await recording(await begun())
    with pytest.raises(BadInput, match="there is no program 'flow' of version '1'; the application has flow 2"):
        replay(log, {("flow", "2"): called(old, version="2")})


async def test_a_replay_leaves_alone_who_runs_and_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    runs = []

    async def telling(ctx: Context) -> Any:
        runs.append(1)
        ctx.log.info("begun")
        return await ctx.signal("word", str)

    flow = called(telling)
    play = Flow(flow)
    await play.start()
    said = len(caplog.records)
    assert isinstance(replay(await recording(play), play.app.programs, rests=True), Same)
    assert (len(runs), len(caplog.records)) == (2, said)
    assert (await play.send("yes", "word")).output == "yes"
    assert len(runs) == 2, "the run that was at hand went on"
