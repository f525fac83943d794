"""Waits that a head does not tell of: a head stays small, and nothing that is waited for is forgotten."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from onward import App, Context, Refused, Runtime, workflow
from onward.core.head import MOST_WAITS, from_json, to_json
from onward.surfaces.documents import session_doc
from onward.surfaces.reports import show_lines
from onward.surfaces.text import Paper
from onward.surfaces.timeline import Telling
from onward.surfaces.verbs import Place
from tests.unit.flows import Flow

MANY = 150


@workflow
async def crowd(ctx: Context) -> int:
    """Many inputs, then a person, then a time, at once."""
    asked = [ctx.signal(f"s{number}", int) for number in range(MANY)]
    await asyncio.gather(*asked, ctx.approval("Go on?"), ctx.sleep("1h"))
    return MANY


@workflow
async def questions(ctx: Context) -> int:
    found = await asyncio.gather(*(ctx.approval(f"Number {number}?") for number in range(MANY)))
    return sum(each.approved for each in found)


async def test_a_head_tells_of_a_hundred_and_of_each_kind_and_counts_the_others() -> None:
    play = Flow(crowd)
    await play.start()
    head = await play.head()
    kinds = [wait.kind for wait in head.waits]
    assert (len(kinds), kinds.count("approval"), kinds.count("timer")) == (MOST_WAITS, 1, 1)
    assert kinds == ["input"] * 98 + ["approval", "timer"], "in the order of the calls"
    assert head.unlisted == MANY + 2 - MOST_WAITS
    assert len(to_json(head)) < 20_000


async def test_what_is_counted_is_kept_with_the_head_and_gone_with_the_waits() -> None:
    play = Flow(crowd)
    state = await play.start()
    head = await play.head()
    assert from_json(to_json(head), published=head.published, wake_at=head.wake_at, fold=head.fold) == head
    await play.decide("approved")
    for number in range(MANY):
        state = await play.send(number, f"s{number}")
    head = await play.head()
    assert [wait.kind for wait in head.waits] == ["timer"]
    assert head.unlisted == 0
    state = await play.finish()
    assert (state.ended, state.output) == ("completed", MANY)


async def test_whoever_looks_is_told_that_there_are_more() -> None:
    play = Flow(crowd)
    await play.start()
    head, now = await play.head(), datetime(2026, 1, 5, tzinfo=UTC)
    lines = "\n".join(show_lines(head, [], Telling(), Place("onward.db", True), Paper(100, False), now))
    assert "Waits for 52 more" in lines
    assert session_doc(head)["unlisted"] == 52


async def test_what_the_head_does_not_tell_of_can_be_decided(tmp_path: Path) -> None:
    async with Runtime(App([questions]), tmp_path / "db") as runtime:
        await runtime.start("questions", id="s")
        head = await runtime.wait("s")
        asked = [wait.call for _, wait in await runtime.approvals("s")]
        assert (len(asked), len(head.waits)) == (MANY, MOST_WAITS)
        await runtime.decide("s", "approved", call=asked[-1])
        with pytest.raises(Refused, match="approved"):
            await runtime.decide("s", "rejected", call=asked[-1])
        head = await runtime.wait("s")
        assert head.unlisted == MANY - 1 - MOST_WAITS


async def test_a_session_seems_not_to_rest_while_a_child_that_its_head_does_not_tell_of_is_at_work(
    tmp_path: Path,
) -> None:
    working: list[Any] = []

    async def work(number: int) -> int:
        await asyncio.sleep(0.3)
        working.append(number)
        return number

    @workflow
    async def child(ctx: Context, number: int) -> int:
        if number < MANY - 1:
            return int(await ctx.signal("go", int))
        return int(await ctx.step(work, number, effect="read"))

    @workflow
    async def parent(ctx: Context) -> int:
        return sum(await ctx.map(range(MANY), lambda number: ctx.run(child, number)))

    async with Runtime(App([parent, child]), tmp_path / "db") as runtime:
        await runtime.start("parent", id="s")
        head = await runtime.wait("s")
        assert working == [MANY - 1]
        assert (head.status, head.unlisted) == ("waiting", MANY - 1 - MOST_WAITS)
