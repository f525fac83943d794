"""A workflow at rest, in memory and dropped from it: clean-up that runs when nothing is over, and reaches nothing.

Every warning is an error here, and so is what Python would print of a coroutine that nobody waits for.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from onward import App, Context, workflow
from onward.programs import workflow as workflows
from onward.programs.workflow import Workflow
from onward.testing import Send, play
from tests.unit.flows import ANN, KEY, Flow, Runner, Start

pytestmark = pytest.mark.filterwarnings("error", "ignore::onward.WorkflowCaution")

SAID: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_said() -> Iterator[None]:
    SAID.clear()
    yield
    gc.collect()  # what is still to be said is said of this test


async def note(what: str) -> str:
    return what


async def at_rest(flow: Workflow[Any, Any]) -> Flow:
    """A session of it that waits for `go`."""
    play = Flow(flow)
    state = await play.start()
    assert state.ended is None
    assert [
        call.operation.signal for call in state.calls.values() if call.operation and call.operation.kind == "signal"
    ]
    return play


async def gone_on(play: Flow) -> list[str]:
    """What it asked for in all, having been sent what it waits for."""
    state = await play.send(None, "go")
    assert state.ended == "completed", state.parked
    return await play.names()


@contextlib.contextmanager
def opened(what: str) -> Iterator[None]:
    SAID.append(f"opened {what}")
    try:
        yield
    finally:
        SAID.append(f"closed {what}")


async def cleaning(ctx: Context) -> None:
    try:
        with opened("file"):
            await ctx.signal("go")
    except Exception as exc:
        SAID.append(f"except {exc}")
    finally:
        SAID.append("finally")


# --- at rest ---------------------------------------------------------------------------------------------------


async def test_no_clean_up_runs_because_a_session_rests() -> None:
    play = await at_rest(workflow(cleaning))
    await play.send("not this", "other")
    await play.wait(3600.0)
    assert SAID == ["opened file"]
    assert await gone_on(play) == ["go"]
    assert SAID == ["opened file", "closed file", "finally"]


async def test_what_is_dropped_cleans_up_and_goes_on_from_its_log() -> None:
    flow = workflow(cleaning)
    play = await at_rest(flow)
    before = len(await play.events())
    flow.drop()
    assert SAID == ["opened file", "closed file", "finally"], "an `except Exception` is passed by"
    await play.settle()
    assert len(await play.events()) == before
    assert await gone_on(play) == ["go"]
    assert SAID == ["opened file", "closed file", "finally"] * 2


async def test_the_one_that_was_not_used_for_longest_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workflows, "AT_HAND", 2)
    flow = workflow(cleaning)
    runner = Runner(App([flow]))
    for id in ("s1", "s2", "s3"):
        await runner.parts.gateway.start(Start.of(flow, id, version=None, limits=None, input=None), ANN)
        await runner.settle()
    assert SAID.count("finally") == 1
    await runner.parts.gateway.signal(KEY, "input", {"content": 1, "name": "go"}, ANN, "k")
    await runner.settle()
    assert (await runner.state("s1")).ended == "completed"
    assert SAID.count("finally") == 3, "another was dropped for it, and it has ended"
    flow.drop()


# --- what it asks for on its way -------------------------------------------------------------------------------


async def sleep(ctx: Context) -> None:
    await asyncio.sleep(60)


async def ask(ctx: Context) -> None:
    await ctx.step(note, "closed")


async def wait_on(ctx: Context) -> None:
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def begin(ctx: Context) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(ask(ctx))


async def choose(ctx: Context) -> None:
    assert all([ctx.random.random(), ctx.uuid(), ctx.now(), ctx.session])
    ctx.patched("new")
    await ctx.sleep(1)


async def give_up(ctx: Context) -> None:
    raise ValueError("it can't be closed")


@pytest.mark.parametrize("clean_up", [sleep, ask, wait_on, begin, choose, give_up])
async def test_what_it_asks_for_on_its_way_is_refused(clean_up: Callable[[Context], Any]) -> None:
    @workflow
    async def flow(ctx: Context) -> None:
        try:
            await ctx.signal("go")
        except GeneratorExit:
            SAID.append("dropped")
            await clean_up(ctx)
            SAID.append("not refused")
            raise

    play = await at_rest(flow)
    flow.drop()
    assert SAID == ["dropped"]
    assert await gone_on(play) == ["go"]


async def test_it_logs_nothing_on_its_way(caplog: pytest.LogCaptureFixture) -> None:
    @workflow
    async def flow(ctx: Context) -> None:
        try:
            await ctx.signal("go")
        finally:
            ctx.log.info("closed")

    with caplog.at_level(logging.INFO, "onward.workflow"):
        play = await at_rest(flow)
        flow.drop()
        assert not caplog.messages
        await gone_on(play)
    assert caplog.messages == ["closed"]


async def test_g13_what_catches_everything_and_goes_on_holds_nobody_up(caplog: pytest.LogCaptureFixture) -> None:
    tries = 0

    @workflow
    async def flow(ctx: Context) -> None:
        nonlocal tries
        while True:
            try:
                return await ctx.signal("go")
            except BaseException:
                tries += 1

    play = await at_rest(flow)
    with only_said_of_the_coroutine():
        flow.drop()
    assert 100 < tries < 10_000
    assert caplog.messages == ["a workflow does not let itself be closed"]
    assert await gone_on(play) == ["go"]


@contextlib.contextmanager
def only_said_of_the_coroutine() -> Iterator[None]:
    """Python says of one that ignored its end that it did, once nobody has it any more."""
    said: list[Any] = []
    hook, sys.unraisablehook = sys.unraisablehook, said.append
    try:
        yield
    finally:
        sys.unraisablehook = hook
    assert {str(each.exc_value) for each in said} <= {"coroutine ignored GeneratorExit"}


# --- nothing is printed ----------------------------------------------------------------------------------------


async def in_a_timeout(ctx: Context) -> None:
    async with asyncio.timeout(3600), asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(50))
        group.create_task(ask(ctx))
        await ctx.signal("go")


async def in_branches(ctx: Context) -> None:
    await asyncio.gather(asyncio.wait_for(ctx.signal("go"), 3600), ctx.step(note, "a"), branch(ctx))


async def branch(ctx: Context) -> None:
    await ctx.step(note, "b")


async def in_a_fan(ctx: Context) -> None:
    await ctx.map([1, 2], lambda number: ctx.signal("go", name=f"go-{number}") if number == 1 else branch(ctx))


async def one_by_one(ctx: Context) -> None:
    steps = [ctx.step(note, "a"), ctx.sleep(1), branch(ctx)]
    kept = {"later": (ctx.map([1], lambda number: ctx.sleep(number)),)}
    await ctx.signal("go")
    for step in [*steps, *kept["later"]]:
        await step


async def out_of_hand(ctx: Context) -> None:
    await ctx.signal("go")
    for step in [branch(ctx) for _ in range(3)]:
        await step


async def from_a_generator(ctx: Context) -> None:
    async for what in generated(ctx):
        SAID.append(what)


async def generated(ctx: Context) -> AsyncIterator[str]:
    try:
        yield "first"
        await ctx.signal("go")
        yield "second"
    finally:
        await ctx.step(note, "generated")


BODIES = [in_a_timeout, in_branches, in_a_fan, one_by_one, out_of_hand, from_a_generator]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("how", ["dropped", "garbage"])
async def test_nothing_is_said_of_what_waits(body: Callable[[Context], Any], how: str) -> None:
    play = await at_rest(workflow(body))
    program: Any = play.app.choose()
    if how == "dropped":
        program.drop()
    else:
        program._runs = type(program._runs)()
    gc.collect()
    await play.send(None, "go")
    state = await play.finish(100)
    names = await play.names()
    assert state.ended == "completed"
    assert len(set(names)) == len(names)


async def test_nothing_is_said_of_what_is_garbage_while_no_task_runs() -> None:
    play = await at_rest(workflow(in_a_timeout))
    program: Any = play.app.choose()
    program._runs = type(program._runs)()
    collected = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(lambda: collected.set_result(gc.collect()))
    assert await collected


@pytest.mark.parametrize("body", BODIES)
def test_each_decision_from_the_beginning_comes_to_the_same(body: Callable[[Context], Any]) -> None:
    program, go = workflow(body), [Send(name="go")]
    again, once = play(program, signals=go), play(program, signals=go, always_replay=False)
    assert (again.status, once.status) == ("completed", "completed")
    assert [each.name for each in again.performed] == [each.name for each in once.performed]


async def test_a_generator_that_is_left_is_closed_as_by_any_loop() -> None:
    @workflow
    async def flow(ctx: Context) -> None:
        async for _ in generated(ctx):
            break
        await ctx.signal("go")

    play = await at_rest(flow)
    assert await play.names() == ["go", "close:generated/note"]
    assert await gone_on(play) == ["go", "close:generated/note"]


def test_nothing_is_said_at_the_end_of_a_process() -> None:
    code = """
import asyncio
from onward import Context, workflow
from tests.unit.flows import Flow

async def note() -> None: ...

@workflow
async def flow(ctx: Context) -> None:
    steps = [ctx.step(note) for _ in range(3)]
    async with asyncio.timeout(3600), asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(50))
        try:
            await ctx.signal("go")
        finally:
            print("closed")
            await ctx.step(note)

asyncio.run(Flow(flow).start())
"""
    done = subprocess.run([sys.executable, "-W", "ignore::UserWarning", "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
