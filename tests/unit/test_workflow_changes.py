"""Other code over sessions under way: what is found again by its name, what is not, and what is said then (G12)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from onward import App, Context, StepFailed, workflow
from onward.core.state import State
from tests.unit.flows import DONE, Flow, nothing_done  # noqa: F401


async def first(n: int) -> int:
    DONE.append(("first", n))
    return n


async def second(n: int) -> int:
    DONE.append(("second", n))
    return n


async def third(n: int) -> int:
    DONE.append(("third", n))
    return n


def step(ctx: Context, function: Callable[..., Any], n: int) -> Any:
    return ctx.step(function, n, effect="read")


def called(body: Any, **more: Any) -> Any:
    return workflow(name="flow", **more)(body)


async def old(ctx: Context) -> Any:
    a = await step(ctx, first, 1)
    await ctx.sleep("1h")
    b = await step(ctx, second, 2)
    await ctx.sleep("1h")
    return [a, b]


async def begun(body: Any = old, hours: float = 1.5) -> Flow:
    """A session under way: of the old body behind its second step, in its second sleep."""
    play = Flow(called(body))
    await play.start()
    await play.wait(hours * 3600)
    return play


async def deployed(play: Flow, body: Any, **more: Any) -> tuple[Flow, State]:
    """The same session after a deploy of other code under the same version, at its end."""
    after = Flow(called(body, **more), runner=play.runner)
    return after, await after.finish()


async def test_the_same_code_in_another_process_goes_on_and_does_nothing_again() -> None:
    _, state = await deployed(await begun(), old)
    assert (state.output, DONE) == ([1, 2], [("first", 1), ("second", 2)])


async def test_steps_in_another_order_are_found_again() -> None:
    async def reordered(ctx: Context) -> Any:
        b = await step(ctx, second, 2)
        a = await step(ctx, first, 1)
        await ctx.sleep("1h")
        await ctx.sleep("1h")
        return [a, b]

    _, state = await deployed(await begun(), reordered)
    assert (state.output, DONE) == ([1, 2], [("first", 1), ("second", 2)])


async def test_a_step_that_was_inserted_is_made_and_shifts_no_other() -> None:
    async def inserted(ctx: Context) -> Any:
        a = await step(ctx, first, 1)
        new = await step(ctx, third, 3)
        await ctx.sleep("1h")
        b = await step(ctx, second, 2)
        await ctx.sleep("1h")
        return [a, new, b]

    play = await begun()
    asleep = (await play.settle()).timers
    after = Flow(called(inserted), runner=play.runner)
    await after.signal("resume", {})
    assert DONE[2:] == [("third", 3)]
    assert (await after.settle()).timers == asleep
    assert (await after.finish()).output == [1, 3, 2]


async def parked(play: Flow, body: Any) -> tuple[Flow, str]:
    after, state = await deployed(play, body)
    assert state.parked is not None, (state.ended, state.output, state.error)
    assert state.parked.code == "nondeterministic"
    return after, state.parked.message


async def test_a_step_with_other_arguments_parks_and_says_how_to_go_on() -> None:
    async def others(ctx: Context) -> Any:
        a = await step(ctx, first, 7)
        return [a]

    after, says = await parked(await begun(), others)
    assert (
        "the log (event 2) has first under the name 'first', and the workflow asks for first with other arguments"
        in says
    )
    assert "test_workflow_changes.py:" in says
    assert "a = await step(ctx, first, 7)" in says or "return ctx.step(function, n" in says
    assert all(
        way in says
        for way in ("ctx.patched", "deploy the version that the session began on", "fork the session at event 1")
    )
    assert DONE == [("first", 1), ("second", 2)]
    back = Flow(called(old), runner=after.runner)
    await back.signal("resume", {})
    assert (await back.finish()).output == [1, 2]


async def test_a_step_is_known_by_its_name_whatever_its_function_is_called() -> None:
    async def renamed(ctx: Context) -> Any:
        a = await ctx.step(third, 1, effect="read", name="first")
        await ctx.sleep("1h")
        b = await step(ctx, second, 2)
        await ctx.sleep("1h")
        return [a, b]

    _, state = await deployed(await begun(), renamed)
    assert (state.output, DONE) == ([1, 2], [("first", 1), ("second", 2)])


async def test_another_kind_under_a_name_parks() -> None:
    async def other(ctx: Context) -> Any:
        await ctx.sleep("1h", name="first")

    _, says = await parked(await begun(), other)
    assert "has first under the name 'first', and the workflow asks for sleep sleep" in says


async def test_a_step_that_is_not_there_any_more_parks_at_the_end() -> None:
    async def removed(ctx: Context) -> Any:
        await ctx.sleep("1h")
        b = await step(ctx, second, 2)
        await ctx.sleep("1h")
        return b

    _, says = await parked(await begun(), removed)
    assert "has first under the name 'first', and the workflow ended without it" in says


async def test_a_mismatch_in_one_branch_is_no_exception_that_a_body_could_catch() -> None:
    async def catching(ctx: Context) -> Any:
        try:
            await step(ctx, first, 9)
        except (Exception, asyncio.CancelledError):
            DONE.append("caught")

    await parked(await begun(), catching)
    assert "caught" not in DONE


# --- patches ---------------------------------------------------------------------------------------------------


async def patched(ctx: Context) -> Any:
    a = await step(ctx, third if ctx.patched("third") else first, 1)
    await ctx.sleep("1h")
    b = await step(ctx, second, 2)
    await ctx.sleep("1h")
    return [a, b, ctx.patched("third")]


async def test_g12_a_session_that_went_by_goes_on_as_it_began_and_a_new_one_takes_the_patch() -> None:
    _, state = await deployed(await begun(), patched)
    assert (state.output, DONE) == ([1, 2, False], [("first", 1), ("second", 2)])
    DONE.clear()
    _, state = await deployed(await begun(patched), patched)
    assert (state.output, DONE) == ([1, 2, True], [("third", 1), ("second", 2)])


async def test_g12_a_patch_behind_where_a_session_stands_is_taken_and_stays_so() -> None:
    async def later(ctx: Context) -> Any:
        a = await step(ctx, first, 1)
        await ctx.sleep("1h")
        b = await step(ctx, second, 2)
        await ctx.sleep("1h")
        if ctx.patched("more"):
            await step(ctx, third, 3)
            await ctx.sleep("1h")
        return [a, b]

    play = await begun()
    after = Flow(called(later), runner=play.runner)
    await after.wait(3600)
    _, state = await deployed(after, later)
    assert (state.output, DONE[-1]) == ([1, 2], ("third", 3))


async def test_a_patch_right_behind_what_is_open_is_not_taken_for_it() -> None:
    """The session waits in what came after the place of the patch: it went by there."""

    async def instead(ctx: Context) -> Any:
        a = await step(ctx, first, 1)
        if ctx.patched("instead"):
            await step(ctx, third, 3)
            return a
        await ctx.sleep("1h")
        b = await step(ctx, second, 2)
        await ctx.sleep("1h")
        return [a, b]

    _, state = await deployed(await begun(hours=0.5), instead)
    assert state.output == [1, 2]


async def test_g12_a_mark_that_nobody_asks_for_any_more_is_passed_by(caplog: pytest.LogCaptureFixture) -> None:
    async def without(ctx: Context) -> Any:
        a = await step(ctx, third, 1)
        await ctx.sleep("1h")
        b = await step(ctx, second, 2)
        await ctx.sleep("1h")
        ctx.log.warning("slept")
        return [a, b, ctx.patched("another")]

    _, state = await deployed(await begun(patched), without)
    assert (state.output, DONE) == ([1, 2, True], [("third", 1), ("second", 2)])
    assert "slept" in caplog.messages


# --- versions --------------------------------------------------------------------------------------------------


async def test_g12_a_session_stays_on_the_version_that_it_began_on() -> None:
    async def new(ctx: Context) -> str:
        return "new"

    play = await begun()
    after = Flow(called(old), called(new, version="2"), runner=play.runner)
    assert (await after.finish()).output == [1, 2]


async def test_g12_a_version_that_is_gone_parks_and_goes_on_when_it_is_back() -> None:
    async def new(ctx: Context) -> str:
        return "new"

    play = await begun()
    after = Flow(called(new, version="2"), runner=play.runner)
    state = await after.finish()
    assert state.parked is not None
    assert state.parked.code == "unknown_version"
    back = Flow(called(old), called(new, version="2"), runner=play.runner)
    await back.signal("resume", {})
    assert (await back.finish()).output == [1, 2]


# --- at hand and not ---------------------------------------------------------------------------------------------


async def test_a_run_at_hand_is_delivered_each_entry_once() -> None:
    runs = []

    async def counting(ctx: Context) -> int:
        runs.append(1)
        total = 0
        for n in range(20):
            total += await step(ctx, first, n)
        return total

    state = await Flow(called(counting)).start()
    assert (state.output, len(runs)) == (190, 1)


async def test_a_failure_is_the_same_when_it_is_run_again() -> None:
    async def broken() -> None:
        raise ValueError("no")

    async def body(ctx: Context) -> str:
        try:
            await ctx.step(broken, effect="read", retry=1)
        except StepFailed as exc:
            said = str(exc)
        await ctx.sleep("1h")
        return said

    play = await begun(body, hours=0.5)
    _, state = await deployed(play, body)
    assert state.output == "broken: ValueError: no"


async def test_what_is_logged_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async def body(ctx: Context) -> None:
        ctx.log.warning("begun")
        await step(ctx, first, 1)
        ctx.log.warning("first done", extra={"n": 1})
        await ctx.sleep("1h")
        ctx.log.warning("slept")

    play = await begun(body, hours=0.5)
    await deployed(play, body)
    assert [record.getMessage() for record in caplog.records if record.name == "onward.workflow"] == [
        "begun",
        "first done",
        "slept",
    ]


async def test_chance_and_time_are_the_same_when_it_is_run_again() -> None:
    seen = []

    async def body(ctx: Context) -> None:
        async def branch() -> None:
            seen.append((ctx.random.random(), ctx.uuid(), ctx.now()))
            await ctx.sleep("1h")
            seen.append((ctx.random.random(), ctx.uuid(), ctx.now()))

        await asyncio.gather(branch(), branch())

    play = await begun(body, hours=0.5)
    await deployed(play, body)
    assert len(seen) == 6
    assert len(set(seen)) == 4


def test_two_versions_stand_side_by_side() -> None:
    app = App([called(old), called(old, version="2")])
    assert app.choose("flow").version == "2"


async def test_g12_a_body_that_fails_before_what_its_log_has_parks_and_lets_go_of_nothing() -> None:
    async def waits(ctx: Context) -> Any:
        await ctx.step(first, 1, undo=second)
        return await ctx.approval("Go on?")

    async def broken(ctx: Context) -> Any:
        raise LookupError("a mistake")

    play = Flow(called(waits))
    await play.start()
    after = Flow(called(broken), runner=play.runner)
    state = await after.signal("resume", {}) if (await after.settle()).parked else await after.send("hello")
    assert state.parked is not None
    assert state.parked.code == "nondeterministic"
    assert "the workflow failed (LookupError: a mistake) without it" in state.parked.message
    assert [call.status for call in state.calls.values()] == ["asked"]
    back = Flow(called(waits), runner=play.runner)
    await back.signal("resume", {})
    state = await back.decide("approved")
    assert (state.ended, DONE) == ("completed", [("first", 1)])


async def test_a_patch_that_is_taken_right_before_the_end_is_in_the_log() -> None:
    async def body(ctx: Context) -> bool:
        async with asyncio.timeout(30):
            await step(ctx, first, 1)
        return ctx.patched("new")

    play = Flow(called(body))
    assert (await play.start()).output is True
    assert (await play.names())[-1] == "patch:new"
