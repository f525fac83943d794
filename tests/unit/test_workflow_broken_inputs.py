"""Inputs of workflows: no validator stops a session, and what was taken for a wait is that wait's for ever."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, field_validator

from onward import BadInput, Context
from onward.core.payload import Erased
from onward.core.state import State, changed
from tests.unit.flows import Flow, flow


class Odd(BaseModel):
    n: int

    @field_validator("n")
    @classmethod
    def _known(cls, n: int) -> int:
        return {1: 10}[n]


async def test_g13_an_early_input_whose_validator_raises_is_passed_over() -> None:
    async def body(ctx: Context) -> int:
        await ctx.sleep("1h")
        return (await ctx.input(Odd)).n

    play = Flow(flow(body))
    await play.start()
    await play.send({"n": 7})
    await play.send({"n": 1})
    state = await play.finish()
    assert (state.output, state.step_failures) == (10, 0)


async def test_g15_a_start_whose_validator_raises_is_refused() -> None:
    async def body(ctx: Context, odd: Odd) -> None: ...

    with pytest.raises(BadInput, match="input: it can't be checked: KeyError"):
        await Flow(flow(body)).start({"n": 7})


async def test_g13_a_result_whose_validator_raises_parks_the_session_and_says_so() -> None:
    async def odd() -> Odd:
        return Odd.model_construct(n=7)

    async def body(ctx: Context) -> None:
        await ctx.step(odd, effect="read")

    state = await Flow(flow(body)).start()
    assert (state.parked and state.parked.code) == "result_unreadable"


async def test_g12_waits_in_another_order_have_the_inputs_that_were_taken_for_them() -> None:
    async def old(ctx: Context) -> Any:
        one = await ctx.signal("paid", name="one")
        two = await ctx.signal("paid", name="two")
        await ctx.sleep("1h")
        return [one, two]

    async def new(ctx: Context) -> Any:
        two = await ctx.signal("paid", name="two")
        one = await ctx.signal("paid", name="one")
        await ctx.sleep("1h")
        return [one, two]

    play = Flow(flow(old))
    await play.start()
    await play.send("a", "paid")
    await play.send("b", "paid")
    assert (await Flow(flow(new), runner=play.runner).finish()).output == ["a", "b"]


async def test_a_result_that_looks_like_an_input_is_a_result() -> None:
    async def odd() -> dict[str, int]:
        return {"event": 5}

    async def last() -> int:
        return 1

    async def old(ctx: Context) -> Any:
        found = await ctx.step(odd, effect="read")
        await ctx.step(last, effect="read")
        await ctx.sleep("1h")
        return found

    async def new(ctx: Context) -> Any:
        await ctx.step(last, effect="read")
        found = await ctx.step(odd, effect="read")
        await ctx.sleep("1h")
        return found

    play = Flow(flow(old))
    await play.start()
    assert (await Flow(flow(new), runner=play.runner).finish()).output == {"event": 5}


async def test_g3_an_input_that_was_taken_and_then_erased_stops_the_body_and_is_no_other_value() -> None:
    async def body(ctx: Context) -> Any:
        said = await ctx.input()
        await ctx.sleep("1h")
        return said

    play = Flow(flow(body))
    await play.start()
    state = await play.send("my name")
    decision = flow(body).decide(_erased(state))
    assert decision.bodies[0].error.code == "input_unreadable"


def _erased(state: State) -> State:
    gone = [changed(each, value=Erased()) if each.kind == "input" else each for each in state.transcript]
    return changed(state, transcript=tuple(gone))


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_large_answer_to_a_question_is_what_was_answered(restarted: bool) -> None:
    async def body(ctx: Context) -> Any:
        found = await ctx.approval("Which?")
        await ctx.sleep("1h")
        again = await ctx.approval("Sure?")
        return [len(found.result), found.approved, list(found.by), again.approved]

    play = Flow(flow(body))
    await play.start()
    await play.decide("responded", result="x" * 100_000)
    after = Flow(flow(body), runner=play.runner) if restarted else play
    after.sent = play.sent
    await after.wait(3600)
    assert (await after.decide("approved")).output == [100_000, False, ["ann@example.com"], True]


async def test_g3_a_large_answer_that_was_erased_stops_the_body() -> None:
    async def body(ctx: Context) -> Any:
        found = await ctx.approval("Which?")
        await ctx.sleep("1h")
        return found.result

    play = Flow(flow(body))
    await play.start()
    state = await play.decide("responded", result="x" * 100_000)
    gone = [changed(each, content=Erased()) if each.content is not None else each for each in state.transcript]
    for each in gone:
        each.__dict__.pop("fetched", None)
    decision = flow(body).decide(changed(state, transcript=tuple(gone)))
    assert decision.bodies[0].error.code == "result_erased"
