"""What children may spend of their parent's limits: never more than is left, and what is left is not refused (G11)."""

from __future__ import annotations

from typing import Any

import pytest

from onward import Agent, Approval, Limits, Pending, ScriptedModel, tool
from onward.core.ids import session_key
from tests.unit.play import OPERATOR, Play, call

TOKENS = 100_000
TURN = 30
"""Tokens that a turn of a scripted model costs."""


def kid(name: str, *turns: Any, **options: Any) -> Agent:
    return Agent(name, model=ScriptedModel(turns or [{"text": name}]), limits=None, **options)


def boss(*tools: Any, calls: tuple[str, ...], limits: Limits | None = None, **options: Any) -> Agent:
    """An agent that asks each of these children at once."""
    turns = [{"calls": [call(name, input="why?") for name in calls]}, {"text": "done"}]
    given = {"limits": limits or Limits(tokens=TOKENS), **options}
    return Agent("boss", model=ScriptedModel(turns), tools=tools, **given)


async def allotted(play: Play) -> list[int]:
    return [body.allotted.tokens for body in await play.bodies("child_started")]


async def test_g11_children_that_start_together_share_what_is_left() -> None:
    play = Play(boss(kid("one"), kid("two"), calls=("one", "two")))
    await play.start()
    assert await allotted(play) == [(TOKENS - TURN) // 2] * 2
    state = await play.check()
    assert (state.ended, state.spent.tokens) == ("completed", 4 * TURN)


async def test_g11_a_child_waits_where_others_have_been_allotted_all() -> None:
    """What they don't spend comes back when they end; nobody has to raise a limit for that."""

    @tool(effect="read")
    async def nap() -> Pending:
        """Nap."""
        return Pending(timeout="1h", ends="done")

    first = kid("one", {"calls": [call("nap")]}, {"text": "one"}, tools=[nap])
    play = Play(boss(first, kid("two").as_tool(approval=Approval()), calls=("one", "two")))
    await play.start()
    await play.decide("approved")
    head = await play.head()
    assert (head.status, await allotted(play)) == ("waiting", [TOKENS - TURN])
    await play.pass_time(7200)
    assert await allotted(play) == [TOKENS - TURN, TOKENS - 3 * TURN]
    state = await play.check()
    assert (state.ended, state.spent.tokens) == ("completed", 5 * TURN)


async def test_g11_an_attempt_that_died_before_a_child_started_has_spent_nothing_of_its_budget() -> None:
    """A child starts only after it is in the log."""
    play = Play(boss(kid("one"), calls=("one",)))
    await play.start(settle=False)
    await play.runner.deliver()
    assert (await play.kinds())[-1] == "calls_proposed"
    await play.runner.backend.store.claim(session_key("default", "s"), "dead")
    play.runner.clock.advance(200)
    await play.pass_time(3600)
    [lost] = await play.bodies("attempts_lost")
    assert (lost.count, lost.tokens) == (1, 0)
    assert await allotted(play) == [TOKENS - TURN]
    assert (await play.check()).ended == "completed"


@pytest.mark.parametrize("raised", [None, 1_000_000.0])
async def test_g11_no_child_starts_when_its_parents_time_is_over(raised: float | None) -> None:
    limits = Limits(time=600)
    play = Play(boss(kid("one").as_tool(approval=Approval(timeout="48h")), calls=("one",), limits=limits))
    await play.start()
    play.runner.clock.advance(20 * 3600)
    await play.decide("approved")
    head = await play.head()
    assert (head.status, head.error and head.error.code) == ("needs_attention", "limit_reached")
    assert "child_started" not in await play.kinds()
    assert await play.runner.backend.store.read(session_key("default", "s:3.0")) is None
    if raised:
        await play.signal("resume", {"limits": {"time": raised}}, OPERATOR)
        assert (await play.check()).ended == "completed"
