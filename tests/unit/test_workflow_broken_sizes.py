"""However much a workflow asks for at once, each commit is one that a store takes (R19)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import create_model

from onward import Context
from onward.core.log import COMMIT_BYTES, Commit
from tests.unit.flows import KEY, Flow, flow

MANY = 450


def size(commit: Commit) -> int:
    """Bytes of what lies in the commit itself, with what is around each part of an event."""
    cells = [part for record in commit.records for part in (record.body, *record.private.values())]
    return sum(len(part.text or "") + 250 for part in cells) + 150 * len(commit.records)


async def largest(play: Flow) -> int:
    return max(size(commit) for commit in await play.runner.backend.store.commits(KEY))


async def test_r19_many_approvals_are_asked_for_and_given_up_in_several_commits() -> None:
    async def body(ctx: Context) -> None:
        await ctx.map(range(MANY), lambda n: ctx.approval("May we?", evidence=n, timeout="1d"))

    play = Flow(flow(body))
    state = await play.start()
    assert len(state.calls) == MANY
    state = await play.signal("cancel", {})
    assert (state.ended, state.calls) == ("cancelled", {})
    assert await largest(play) < COMMIT_BYTES


async def test_r19_waits_with_large_schemas_are_written_in_several_commits() -> None:
    fields: dict[str, Any] = {f"a_field_of_the_form_{n}": (int, ...) for n in range(60)}
    form = create_model("Form", **fields)

    async def body(ctx: Context) -> None:
        await ctx.map(range(MANY), lambda n: ctx.signal(f"form-{n}", form, timeout="1d"))

    play = Flow(flow(body))
    state = await play.start()
    assert len(state.calls) == MANY
    assert await largest(play) < COMMIT_BYTES
    assert (await play.finish()).ended == "failed"


async def test_r19_a_body_that_catches_up_with_many_times_that_are_past_does_so_in_several_commits() -> None:
    async def body(ctx: Context) -> int:
        past = ctx.now() - timedelta(days=1)
        for _ in range(MANY):
            await ctx.sleep_until(past)
        return MANY

    play = Flow(flow(body))
    assert (await play.start()).output == MANY
    assert await largest(play) < COMMIT_BYTES


@pytest.mark.parametrize("many", [1, 199, 201])
async def test_what_is_asked_for_in_several_commits_is_asked_for_once(many: int) -> None:
    async def body(ctx: Context) -> None:
        await ctx.map(range(many), lambda n: ctx.sleep("1h"))

    play = Flow(flow(body))
    await play.start()
    assert await play.names() == [f"map[{n}]/sleep" for n in range(many)]
    assert (await play.finish()).ended == "completed"
