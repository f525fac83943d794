"""Many of a workflow's things at once, in virtual time: a thousand children, a thousand sessions that wait, two hundred
items, ten thousand steps."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from onward import App, Context, workflow
from onward.core.events import Actor
from onward.core.head import MOST_WAITS, Head
from onward.core.ids import session_key
from onward.core.log import verify
from onward.core.signals import Signal
from onward.core.state import State
from onward.engine.gateway import Start
from onward.engine.load import Loader
from onward.ports import Query, Wake
from onward.testing.runner import AutoClock, Runner
from onward.wiring import Policy
from tests.faults.places import Memory
from tests.faults.test_crowds import Place, settle_all

MANY = 1000
FEWER = 200
"""Where each of them is on a disk, or elsewhere: a thousand work there too, and take a minute."""

ITEMS = 200
AT_ONCE = 10
LONG = 10_000 if os.environ.get("EMULATORS") == "required" else 2_000
ANN = Actor(kind="person", name="ann@example.com")


async def square(number: int) -> int:
    return number * number


@workflow
async def child(ctx: Context, number: int) -> int:
    return number


@workflow
async def parent(ctx: Context, count: int) -> int:
    return sum(await ctx.map(range(count), lambda number: ctx.run(child, number)))


@workflow
async def waiting(ctx: Context, number: int) -> int:
    return number + await ctx.signal("add", int)


@workflow
async def items(ctx: Context, concurrency: int | None) -> int:
    found = await ctx.map(range(ITEMS), lambda n: ctx.step(square, n, effect="read"), concurrency=concurrency)
    return sum(found)


@workflow
async def steps(ctx: Context, count: int) -> int:
    total = 0
    for number in range(count):
        total += await ctx.step(square, number, effect="read")
    return total


APP = App([parent, child, waiting, items, steps])


@pytest.fixture
def count(place: Place) -> int:
    return MANY if place is Memory else FEWER


class Many:
    """A runner of this application on some place."""

    def __init__(self, place: Place, **policy: Any) -> None:
        clock = AutoClock()
        self._here = place(clock)
        self.runner = Runner(APP, backend=self._here.open(), clock=clock, policy=Policy(**policy))
        self.store = self.runner.backend.store

    async def start(self, id: str, program: Any, input: Any) -> None:
        await self.runner.parts.gateway.start(Start.of(program, id, version=None, limits=None, input=input), ANN)

    async def settle(self) -> None:
        await settle_all(self.runner)

    async def head(self, id: str) -> Head:
        head = await self.store.read(session_key("default", id))
        assert head is not None
        return head

    async def state(self, id: str) -> State:
        return await self.runner.state(id)

    async def close(self) -> None:
        await self._here.close()


async def test_a_thousand_children_of_one_workflow(place: Place, count: int) -> None:
    """Each is started once and heard once; the head stays small while it waits for them all."""
    many = Many(place)
    await many.start("family", parent, count)
    while (head := await many.head("family")).status != "waiting":
        assert await many.runner.deliver()
    open = len((await many.state("family")).calls)
    assert (len(head.waits), head.unlisted) == (MOST_WAITS, open - MOST_WAITS)
    await many.settle()
    state, heads = await many.state("family"), await many.store.list(Query(limit=10_000))
    commits = await many.store.commits(session_key("default", "family"))
    head = await many.head("family")
    await many.close()
    assert (state.ended, state.output, state.children) == ("completed", sum(range(count)), {})
    assert Counter((each.program, each.status) for each in heads) == {
        ("child", "completed"): count,
        ("parent", "completed"): 1,
    }
    kinds = Counter(record.kind for commit in commits for record in commit.records)
    assert (kinds["child_started"], kinds["child_ended"]) == (count, count)
    assert verify(commits, head.hash) == (head.seq, head.hash)


async def test_a_thousand_sessions_that_wait_for_a_signal_go_on_each_with_its_own(place: Place, count: int) -> None:
    many = Many(place)
    for number in range(count):
        await many.start(f"w{number}", waiting, number)
    await many.settle()
    resting = await many.store.list(Query(wait="input", limit=10_000))
    for number in range(count):
        key = session_key("default", f"w{number}")
        await many.store.file(key, Signal("s", "input", {"content": 1000 * number, "name": "add"}, ANN))
        await many.runner.backend.queue.publish(Wake(key, look=True))
    await many.settle()
    heads = await many.store.list(Query(limit=10_000))
    states = [await many.state(f"w{number}") for number in range(0, count, 50)]
    await many.close()
    assert len(resting) == count
    assert Counter(head.status for head in heads) == {"completed": count}
    assert [state.output for state in states] == [1001 * number for number in range(0, count, 50)]


async def test_two_hundred_items_at_once_and_some_at_a_time(place: Place) -> None:
    many = Many(place)
    await many.start("all", items, None)
    await many.start("some", items, AT_ONCE)
    await many.settle()
    found = [await many.state(id) for id in ("all", "some")]
    commits = await many.store.commits(session_key("default", "some"))
    await many.close()
    total = sum(number * number for number in range(ITEMS))
    assert [(state.ended, state.output) for state in found] == [("completed", total)] * 2
    assert most_open(many, commits) == AT_ONCE


def most_open(many: Many, commits: Any) -> int:
    """Calls that were open at the same time."""
    events = [event for commit in commits for event in many.runner.parts.loader.events(commit)]
    open, most = 0, 0
    for event in events:
        open += len(event.body.calls) if event.kind == "calls_proposed" else -(event.kind == "call_completed")
        most = max(most, open)
    return most


async def test_ten_thousand_steps_in_one_session() -> None:
    """One after another; then its log is read from its beginning, and led through by a body made anew."""
    many = Many(Memory, steps_per_wake=LONG)
    await many.start("long", steps, LONG)
    await many.settle()
    head = await many.head("long")
    commits = await many.store.commits(head.key)
    assert (head.status, head.spent.calls) == ("completed", LONG)
    assert verify(commits, head.hash) == (head.seq, head.hash)
    state = await Loader(many.store, many.runner.backend.blobs).load(replace(head, fold=None))
    assert state.output == sum(number * number for number in range(LONG))
    run = steps._new(state)
    run.advance(state)
    assert run.main is not None
    assert run.main.result() == state.output
