"""What sessions of workflows did, told and compared by the names of what they asked for."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from onward import Context, workflow
from onward.core.comparing import Comparison, compare, doc
from onward.core.portable import read
from onward.core.recording import Recording
from onward.core.trajectory import trajectory
from onward.core.turns import Trajectory
from onward.core.turns import doc as trajectory_doc
from onward.engine.gateway import Start
from tests.fixtures.make import LOGS
from tests.unit.flows import Flow
from tests.unit.forking import Forks
from tests.unit.play import ANN, BEN, OPERATOR

CHARGED: list[int] = []


async def find(order: str) -> dict[str, Any]:
    return {"order": order, "price": 5}


async def charge(amount: int) -> str:
    CHARGED.append(amount)
    return f"charged {amount}"


async def dispatch(order: str) -> str:
    return f"{order} is on its way"


@workflow
async def parcel(ctx: Context, order: str) -> str:
    return await ctx.step(dispatch, order, effect="read")


def flow(
    amount: int = 0, charged: Any = charge, extra: bool = False, swapped: bool = False, asks: str = "Charge?"
) -> Any:
    @workflow(name="flow")
    async def body(ctx: Context, order: str) -> Any:
        async def one() -> Any:
            found = await ctx.step(find, order, effect="read")
            decision = await ctx.approval(asks, timeout="1h")
            paid = await ctx.step(charged, amount or found["price"], effect="idempotent", name="charge")
            return paid, decision.approved

        async def two() -> Any:
            return await ctx.signal("address", str)

        jobs = [two(), one()] if swapped else [one(), two()]
        found = await asyncio.gather(*jobs)
        if extra:
            await ctx.step(find, "more", effect="read")
        await ctx.start(parcel, order)
        return sorted(map(str, found))

    return body


async def did(body: Any, order: str = "7", *, by: Any = ANN, verdict: str = "approved", address: str = "N") -> Any:
    """A session of this workflow, played to its end."""
    play = Flow(body, parcel)
    await play.start(order, "flow")
    await play.signal("input", {"content": address, "name": "address"})
    (call,) = [call for call in (await play.runner.state("s1")).calls.values() if call.status == "asked"]
    body = {"call": call.id, "digest": call.digest, "verdict": verdict}
    await play.runner.parts.gateway.signal((await play.head()).key, "decision", body, by, "d")
    await play.settle()
    return trajectory(await play.runner.parts.loader.recording(await play.head()))


def test_each_turn_is_one_thing_that_was_asked_for_and_what_it_came_to() -> None:
    told = told_by("flow_of_all")
    assert told.by_name
    calls = {call.name: call for call in told.calls}
    assert [turn.calls[0].name for turn in told.turns if turn.calls][:4] == ["cost", "pay", "reserve", "map[0]/weigh"]
    assert (calls["cost"].attempts, calls["cost"].result) == (2, 80)
    assert calls["address"].result == "North Street", "what was said, and not where"
    assert calls["approval"].result["by"] == ["ann@x"]
    assert calls["sleep"].seconds == calls["arrived/sleep"].seconds * 6 == 3600.0
    assert calls["reader"].child == "s:29.0"
    assert [said.value for turn in told.turns for said in turn.said] == [{"id": "dear"}, "to the left"]
    assert told.totals.calls == len(told.calls)
    assert told.totals.turns == told.totals.tokens == 0
    assert [turn["number"] for turn in trajectory_doc(told)["turns"]] == list(range(1, len(told.turns) + 1))


def test_time_is_told_once() -> None:
    events = recorded("flow_of_all").events
    assert told_by("flow_of_all").totals.seconds == (events[-1].at - events[0].at).total_seconds()


def told_by(name: str) -> Trajectory:
    return trajectory(recorded(name))


def recorded(name: str) -> Recording:
    with Path(LOGS / f"{name}.jsonl").open(encoding="utf-8") as lines:
        return read(lines).recording()


@pytest.mark.parametrize("name", [file.stem for file in LOGS.glob("*flow*.jsonl")])
def test_a_session_is_the_same_as_itself(name: str) -> None:
    assert compare(told_by(name), told_by(name)).verdict == "same"


def test_g14_a_branch_from_the_record_is_the_same() -> None:
    found = compare(told_by("flow_left"), told_by("branch_of_flow"))
    assert (found.code, found.verdict) == ("same", "same")
    assert [(pair.a and pair.a.number, pair.b and pair.b.number) for pair in found.pairs] == [
        (n, n) for n in range(1, 10)
    ]


async def found(other: Any, **more: Any) -> Comparison:
    return compare(await did(flow()), await did(other, **more))


async def test_the_same_is_the_same_in_whichever_order_and_whoever_was_started() -> None:
    assert (await found(flow())).verdict == "same"
    assert (await found(flow(swapped=True))).verdict == "same"


AT = "diverges at operation "


@pytest.mark.parametrize(
    ("other", "more", "verdict"),
    [
        (flow(amount=9), {}, AT + "5: one/charge(amount=9) instead of one/charge(amount=5)"),
        (flow(extra=True), {}, 'B makes one call more: find(order="more")'),
        (flow(), {"address": "S"}, AT + '3: two/address: "S" instead of "N"'),
        (flow(), {"verdict": "rejected"}, AT + '4: one/approval: verdict="rejected" instead of verdict="approved"'),
        (flow(), {"by": BEN}, AT + '4: one/approval: by[0]="ben@x" instead of by[0]="ann@x"'),
        (flow(asks="Pay?"), {}, AT + '4: one/approval(question="Pay?") instead of one/approval(question="Charge?")'),
        (flow(), {"order": "8"}, AT + '1: B was told "8" instead of "7"'),
    ],
)  # fmt: skip
async def test_the_first_that_differs_is_named(other: Any, more: dict[str, Any], verdict: str) -> None:
    if "order" in more:
        more = {key: value for key, value in more.items() if key != "order"}
        result = compare(await did(flow()), await did(other, "8", **more))
    else:
        result = await found(other, **more)
    assert result.verdict == verdict
    said = doc(result)
    assert said["by_name"]
    named = [each["name"] for turn in said["turns"] for each in turn["differences"] if each["kind"] != "input"]
    assert all(named)


async def test_a_result_that_differs_is_said_by_its_name_and_where() -> None:
    async def found_other(order: str) -> dict[str, Any]:
        return {"order": order, "price": 6}

    @workflow(name="flow")
    async def other(ctx: Context, order: str) -> Any:
        return await ctx.step(found_other, order, effect="read", name="find")

    @workflow(name="flow")
    async def one(ctx: Context, order: str) -> Any:
        return await ctx.step(find, order, effect="read")

    plays = [Flow(one), Flow(other)]
    sides = []
    for play in plays:
        await play.start("7")
        sides.append(trajectory(await play.runner.parts.loader.recording(await play.head())))
    result = compare(*sides)
    assert result.code == "results_differ"
    (pair,) = [pair for pair in result.pairs if pair.differences]
    (difference,) = pair.differences
    assert (difference.name, difference.path, difference.a, difference.b) == ("find", "price", 5, 6)


async def test_each_fresh_start_is_compared_with_its_own() -> None:
    def rounds(last: int) -> Any:
        @workflow(name="flow")
        async def body(ctx: Context, n: int) -> Any:
            await ctx.step(charge, 10 * n if n == last else n, effect="read")
            return ctx.continue_as(n + 1) if n < 3 else n

        return body

    sides = []
    for last in (0, 2):
        play = Flow(rounds(last))
        await play.start(1)
        sides.append(trajectory(await play.runner.parts.loader.recording(await play.head())))
    result = compare(*sides)
    assert result.verdict == "diverges at operation 4: charge(amount=20) instead of charge(amount=2)"


async def test_of_a_branch_what_was_inherited_is_compared_by_what_it_came_to() -> None:
    play = Forks(flow(), parcel)
    start = Start.of(play.app.choose("flow"), "s", version=None, limits=None, input="7")
    await play.runner.parts.gateway.start(start, ANN)
    await play.signal("input", {"content": "N", "name": "address"})
    await play.decide("approved")
    first = next(event.seq for event in await play.events() if event.kind == "call_completed")
    assert (await play.state()).ended == "completed"
    await play.fork(first + 1, "b", edits={first: {"order": "7", "price": 6}})
    one, other = [trajectory(await play.runner.parts.loader.recording(await play.head(id))) for id in ("s", "b")]
    result = compare(one, other)
    (difference,) = result.pairs[1].differences
    assert (result.first, difference.path, difference.a, difference.b) == (result.pairs[1], "price", 5, 6)
    assert result.pairs[1].shared
    charge = [each.text for pair in result.pairs for each in pair.differences if each.name == "one/charge"]
    assert charge[0] == "one/charge(amount=6) instead of one/charge(amount=5)"
    assert charge[1].startswith("one/charge: blocked instead of")


async def test_what_was_erased_is_neither_the_same_nor_different() -> None:
    play = Flow(flow(), parcel)
    await play.start("7", "flow")
    done = next(event.seq for event in await play.events() if event.kind == "call_completed")
    whole = trajectory(await play.runner.parts.loader.recording(await play.head()))
    await play.runner.parts.eraser.erase((await play.head()).key, done, "result", OPERATOR, "asked to")
    erased = trajectory(await play.runner.parts.loader.recording(await play.head()))
    assert compare(whole, erased).verdict == "same, as far as can be told: one value was erased"
