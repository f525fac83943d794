"""Effects of workflows that end in no usual way: something they waited for was cancelled, or they go on outside."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from onward import Context, Pending, StepFailed, tool
from onward.engine.gateway import Start
from onward.ports import Wake
from tests.unit.flows import ANN, DONE, Flow, flow, nothing_done, once  # noqa: F401


async def leaks() -> None:
    """It waits for something that somebody has cancelled."""
    waited = asyncio.get_running_loop().create_future()
    waited.cancel()
    await waited


def leaks_too() -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize("leaking", [leaks, leaks_too])
@pytest.mark.parametrize("beside", [0, 1])
async def test_g13_a_step_that_waited_for_something_cancelled_has_failed(leaking: Any, beside: int) -> None:
    async def body(ctx: Context) -> list[Any]:
        steps = [ctx.step(once, n, effect="read") for n in range(beside)]
        with pytest.raises(StepFailed) as caught:
            await ctx.step(leaking, effect="read", retry=1) if not steps else await asyncio.gather(
                *steps, ctx.step(leaking, effect="read", retry=1)
            )
        return [str(caught.value), *DONE]

    async with asyncio.timeout(20):  # it went on for ever
        state = await Flow(flow(body)).start()
    assert state.output == [f"{leaking.__name__}: RuntimeError: what it waited for was cancelled", *range(beside)]


async def test_g6_an_irreversible_step_that_waited_for_something_cancelled_is_in_doubt() -> None:
    async def body(ctx: Context) -> None:
        await ctx.step(leaks)

    play = Flow(flow(body))
    (call,) = (await play.start()).calls.values()
    assert call.status == "person"
    state = await play.signal("outcome", {"call": call.id, "status": "done", "result": None})
    assert state.ended == "completed"


# --- outside -----------------------------------------------------------------------------------------------------


@tool
async def give_back(n: int, result: str) -> None:
    """Give it back."""
    DONE.append(f"give back {n} {result}")


@tool(effect="compensatable", undo=give_back)
async def order(n: int) -> Any:
    """Order it elsewhere."""
    DONE.append(f"order {n}")
    return Pending(timeout=3600)


async def ordering(ctx: Context) -> None:
    await ctx.step(order, 1)


async def hasty(ctx: Context) -> None:
    async with asyncio.timeout(60):
        await ctx.step(order, 1)


async def ended_by(play: Flow, how: str) -> Any:
    return await (play.signal("cancel", {}) if how == "cancel" else play.wait(61))


@pytest.mark.parametrize(("body", "how", "ended"), [(ordering, "cancel", "cancelled"), (hasty, "time", "failed")])
async def test_g6_what_goes_on_outside_is_waited_for_where_it_would_have_to_be_taken_back(
    body: Any, how: str, ended: str
) -> None:
    play = Flow(flow(body))
    await play.start()
    state = await ended_by(play, how)
    (call,) = state.calls.values()
    assert (state.ended, DONE) == (None, ["order 1"])
    state = await play.signal("outcome", {"call": call.id, "status": "done", "result": "a crate"})
    assert (state.ended, DONE) == (ended, ["order 1", "give back 1 a crate"])


async def test_g6_what_never_came_to_an_end_outside_is_for_a_person_to_say() -> None:
    play = Flow(flow(ordering))
    await play.start()
    await play.signal("cancel", {})
    state = await play.wait(3601)
    (call,) = state.calls.values()
    assert (state.ended, call.status) == (None, "person")
    state = await play.signal("outcome", {"call": call.id, "status": "not_done"})
    assert (state.ended, DONE) == ("cancelled", ["order 1"])


# --- stopping ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("many", [1, 3])
async def test_r5_nothing_is_begun_by_a_process_that_was_asked_to_stop_while_it_wrote_down_what_is_to_be_done(
    many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(ctx: Context) -> None:
        await asyncio.gather(*(ctx.step(once, n, effect="read") for n in range(many)))

    play = Flow(flow(body))
    parts = play.runner.parts
    append = parts.engine.appender.append

    async def stopping(*args: Any, **more: Any) -> Any:
        mark = await append(*args, **more)
        parts.performing.stop()
        return mark

    monkeypatch.setattr(parts.engine.appender, "append", stopping)
    start = Start.of(play.app.choose("flow"), "s1", version=None, limits=None, input=None)
    await parts.gateway.start(start, ANN)
    await parts.engine.advance(Wake.of(await play.head(), look=True))
    assert (DONE, len(await play.names())) == ([], many)
    state = await Flow(flow(body), runner=play.runner).settle()
    assert (state.ended, DONE) == ("completed", list(range(many)))


# --- one of several ------------------------------------------------------------------------------------------------


async def test_g7_what_came_of_a_call_is_kept_where_something_goes_wrong_with_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def body(ctx: Context) -> list[int]:
        return [*await asyncio.gather(*(ctx.step(once, n, effect="read") for n in range(3)))]

    play = Flow(flow(body))
    performing, wrong = play.runner.parts.performing, iter([True])
    one = performing._one

    async def breaks(hold: Any, state: Any, program: Any, effect: Any) -> Any:
        if effect.call.operation.name == "once" and next(wrong, False):
            raise RuntimeError("its arguments can't be read")
        return await one(hold, state, program, effect)

    monkeypatch.setattr(performing, "_one", breaks)
    await play.start()
    state = await play.finish()
    assert (state.output, sorted(DONE)) == ([0, 1, 2], [0, 1, 2])
