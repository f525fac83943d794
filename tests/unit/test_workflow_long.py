"""Workflows with long histories: what one more step asks for does not depend on how many there were."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

from onward import Context, workflow
from onward.programs.running import Run
from onward.wiring import Policy
from tests.unit.flows import KEY, Flow

LARGE = 80_000
"""Characters that lie in a blob."""


async def one(number: int) -> str:
    return f"{number:040d}"


@workflow
async def chain(ctx: Context, count: int) -> int:
    for number in range(count):
        await ctx.step(one, number, effect="read")
    return count


# --- what a step asks for --------------------------------------------------------------------------------------


@contextmanager
def counted() -> Iterator[list[int]]:
    """Instructions of Python that are carried out."""
    found, before = [0], sys.gettrace()

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        found[0] += event == "opcode"
        return trace

    sys.settrace(trace)
    try:
        yield found
    finally:
        sys.settrace(before)


async def steps(play: Flow, count: int) -> None:
    for _ in range(count):
        assert await play.runner.deliver()


async def work(play: Flow, count: int) -> float:
    """Instructions for each of so many steps."""
    with counted() as found:
        await steps(play, count)
    return found[0] / count


async def test_a_warm_step_takes_as_much_after_1900_steps_as_after_600() -> None:
    """Each wake one step; snapshots included, and the store in memory too."""
    play = Flow(chain)
    await play.begin(4000)
    await steps(play, 600)
    early = await work(play, 60)
    await steps(play, 1240)
    late = await work(play, 60)
    assert 0.9 * early < late < 1.1 * early


async def test_each_entry_is_delivered_once_while_the_body_is_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    delivered = Counter[int]()
    deliver = Run._deliver

    def noted(run: Run, entry: Any) -> None:
        delivered[entry.seq] += 1
        deliver(run, entry)

    monkeypatch.setattr(Run, "_deliver", noted)
    play = Flow(chain)
    state = await play.start(300)
    assert state.ended == "completed"
    assert (len(delivered), set(delivered.values())) == (300, {1})


async def test_snapshots_come_to_no_more_than_64_times_the_state(monkeypatch: pytest.MonkeyPatch) -> None:
    play = Flow(chain, policy=Policy(steps_per_wake=10_000))
    blobs, put = Counter[str](), play.runner.backend.blobs.put

    async def counting(key: str, name: str, text: str) -> None:
        blobs[name] += len(text)
        await put(key, name, text)

    monkeypatch.setattr(play.runner.backend.blobs, "put", counting)
    await play.start(1500)
    largest = max(blobs.values())
    assert {name.partition("/")[0] for name in blobs} == {"snapshots"}
    assert sum(blobs.values()) < 66 * largest
    assert len(blobs) < 200


async def test_a_body_is_run_again_from_2000_entries_where_it_was_forgotten() -> None:
    play = Flow(chain, policy=Policy(steps_per_wake=2000))
    await play.begin(2100)
    await play.runner.deliver()
    chain._runs.clear()
    state = await Flow(chain, runner=play.runner).settle()
    assert (state.ended, state.output) == ("completed", 2100)
    assert len(state.transcript) == 2101


# --- large values ----------------------------------------------------------------------------------------------


async def test_g7_large_results_are_the_same_warm_and_cold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is fetched once by a process that has the session at hand, and once more by one that runs it again."""
    made: list[int] = []

    async def large(number: int) -> str:
        made.append(number)
        return f"{number:d}" * LARGE

    @workflow
    async def gather(ctx: Context) -> list[str]:
        found = [await ctx.step(large, number, effect="read") for number in range(8)]
        await ctx.signal("go")
        return [text[:3] for text in found]

    play = Flow(gather)
    fetched = Counter[str]()
    get = play.runner.backend.blobs.get

    async def noted(key: str, name: str) -> str | None:
        fetched[name.partition("/")[0]] += 1
        found: str | None = await get(key, name)
        return found

    monkeypatch.setattr(play.runner.backend.blobs, "get", noted)
    await play.start()
    assert fetched["blobs"] <= 8
    fetched.clear()
    gather._runs.clear()
    cold = Flow(gather, runner=play.runner)
    state = await cold.send(1, "go")
    assert (state.ended, state.output) == ("completed", [f"{number}" * 3 for number in range(8)])
    assert made == list(range(8))
    assert fetched["blobs"] <= 16, "by whoever goes on, and by this test, which looks"


async def test_a_step_is_given_a_large_value_that_another_came_to() -> None:
    async def make() -> str:
        return "x" * LARGE

    async def measure(text: str) -> int:
        return len(text)

    @workflow
    async def pipe(ctx: Context) -> int:
        text = await ctx.step(make, effect="read")
        return await ctx.step(measure, text, effect="read")

    play = Flow(pipe)
    state = await play.start()
    assert (state.ended, state.output) == ("completed", LARGE)
    assert all(len(commit.to_json()) < LARGE for commit in await play.runner.backend.store.commits(KEY))


# --- forgotten -------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::onward.programs.cautions.WorkflowCaution")
async def test_what_waits_when_its_program_is_gone_from_memory_goes_without_a_word() -> None:
    """Python ends what nobody holds any more; what a body has in its `finally` reaches nothing then."""
    heard: list[str] = []

    @workflow
    async def flow(ctx: Context) -> None:
        async def tidy(number: int) -> None:
            try:
                await ctx.signal(f"s{number}")
            finally:
                heard.append("asked")
                await ctx.sleep("1h")
                heard.append("slept")

        await asyncio.gather(ctx.map(range(3), tidy), ctx.first(range(3), tidy))

    play = Flow(flow)
    await play.start()
    del play, flow
    gc.collect()
    assert heard == ["asked"] * 6
