"""Workflows for the scripted sessions: together they use everything that a workflow can ask for.

Their steps are the tools of the desk, and plain functions; what takes time takes hours of its own, so that what a fault
delays by minutes does not decide what comes first.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from pydantic import BaseModel

from onward import (
    Agent,
    App,
    Call,
    ChildFailed,
    Context,
    Done,
    NotDone,
    NotPerformed,
    ScriptedModel,
    StepFailed,
    TryAgain,
    tool,
    workflow,
)
from tests.faults.desk import (
    QUICK,
    WatchedModel,
    broken,
    close_ticket,
    count_stock,
    declined,
    fail_then_refund,
    find_order,
    flaky,
    happened,
    pay_out,
    performed,
    read_archive,
    refund,
    refund_and_fail,
    refund_who_knows,
    set_address,
    ship,
    ship_quietly,
    turn,
)
from tests.faults.world import World


async def charge(amount: int, *, call: Call) -> dict[str, Any]:
    """Charge a card. A plain function, of which nobody can say whether it was done."""
    return await performed(call.tool, call, amount=amount)


async def credit(amount: int, result: dict[str, Any], *, call: Call) -> dict[str, Any]:
    """Take a charge back."""
    return await performed(call.tool, call, amount=amount, receipt=result["receipt"])


async def notify(text: str, *, call: Call) -> dict[str, Any]:
    """Tell somebody, who can't be told otherwise."""
    return await performed(call.tool, call, text=text)


async def score(item: int, *, call: Call) -> int:
    """Score an item; one of them has none."""
    await World.current.outside.book(call.tool, call.idempotency_key, arguments={"item": item})
    if item == 3:
        raise RuntimeError("connection reset by the test")
    return item * 10


async def charge_later(amount: int, *, call: Call) -> dict[str, Any]:
    """Charge somebody, once the bank is open."""
    if call.attempt == 1:
        raise TryAgain("the bank is closed")
    return await performed(call.tool, call, amount=amount)


async def no_room(order: str) -> None:
    """Say that it was not done."""
    raise NotPerformed("there is no room")


@tool(effect="irreversible")
async def release(order: str, result: dict[str, Any], *, call: Call) -> dict[str, Any]:
    """Take a reservation back."""
    return await performed("release", call, order=order, receipt=result["receipt"])


@release.reconcile
async def released(call: Call) -> Done[Any] | NotDone:
    return happened(call)


@tool(effect="compensatable", undo=release)
async def hold(order: str, *, call: Call) -> dict[str, Any]:
    """Reserve an item."""
    return await performed("hold", call, order=order)


@hold.reconcile
async def held(call: Call) -> Done[Any] | NotDone:
    return happened(call)


class Payment(BaseModel):
    """What is waited for."""

    amount: int


# --- steps -------------------------------------------------------------------------------------------------------


@workflow
async def clerk(ctx: Context) -> Any:
    """A step of each class, of tools and of plain functions, well and not."""
    found = [
        await ctx.step(find_order, "7"),
        await ctx.step(count_stock, "lamp"),
        await ctx.step(set_address, "7", "Elm"),
    ]
    found += [await ctx.step(charge, 5), await ctx.step(refund, "7", amount=30), await ctx.step(hold, "7")]
    found += [await ctx.step(flaky, "7", times=1), await ctx.step(score, 1, effect="read", retry=QUICK)]
    found.append(await ctx.step(charge, 6, effect="compensatable", undo=credit, name="charge-more"))
    for bad in (broken, declined):
        try:
            await ctx.step(bad, "7")
        except StepFailed as exc:
            found.append(exc.code)
    return found


@workflow
async def doubter(ctx: Context) -> Any:
    """Steps that nobody knows the outcome of, beside each other; one is told by the world outside, one is asked."""
    return await asyncio.gather(
        ctx.step(refund_and_fail, "7"),
        ctx.step(fail_then_refund, "7"),
        ctx.step(refund_who_knows, "7"),
        ctx.step(ship_quietly, "7"),
        ctx.step(read_archive, pages=20),
    )


# --- branches ----------------------------------------------------------------------------------------------------


@workflow
async def branches(ctx: Context) -> Any:
    """Branches of every kind, one within another, with steps that can't be repeated in each."""

    async def one() -> Any:
        await ctx.sleep("1h")
        return [await ctx.step(refund, "1", 1), await ctx.step(find_order, "1")]

    async def other(order: str) -> Any:
        await asyncio.sleep(1800)
        return await asyncio.gather(ctx.step(refund, order, 2), ctx.step(set_address, order, "Oak"), one())

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(other(order)) for order in ("2", "3")]
        tasks.append(group.create_task(one()))
        tasks.append(group.create_task(ctx.step(charge, 3)))
    mapped = await ctx.map([1, 2, 4], lambda item: ctx.step(score, item, effect="read"), concurrency=2)
    return [[task.result() for task in tasks], mapped]


@workflow
async def fans(ctx: Context) -> Any:
    """Many at once: with failures that are tolerated and ones that are not, and the first that does well."""

    def scored(item: int) -> Any:
        return ctx.step(score, item, effect="idempotent", retry=QUICK)

    async def late(item: int) -> Any:
        await ctx.sleep(timedelta(hours=3 * item))
        await ctx.step(charge, item)
        return item

    settled = await ctx.map_settled([1, 2, 3, 4], scored, concurrency=2, tolerate=1)
    first = await ctx.first([3, 2, 4], late)
    try:
        await ctx.map([2, 3], scored)
    except StepFailed as exc:
        return [[each.value for each in settled], first, exc.code]


# --- waits -------------------------------------------------------------------------------------------------------


@workflow
async def waits(ctx: Context) -> Any:
    """People, inputs and time; in two branches, and what is late is the next one's."""
    began = ctx.now()

    async def payments() -> Any:
        first = await ctx.signal("paid", Payment, timeout="2h")
        try:
            await ctx.signal("paid", Payment, timeout="3h")
        except TimeoutError:
            await ctx.step(notify, "no second payment")
        return [first.amount, (await ctx.signal("paid", Payment)).amount]

    async def people() -> Any:
        asked = await ctx.approval("Go on?", evidence={"order": "7"}, timeout="20h")
        paid = await ctx.step(pay_out, "7", 30)
        nobody = await ctx.approval("And now?", timeout="30h")
        return [asked.approved, list(asked.by), paid, nobody.expired, await ctx.step(close_ticket, "7")]

    said = await ctx.input(str)
    both = await asyncio.gather(payments(), people())
    await ctx.sleep_until(began + timedelta(hours=100))
    return [said, both]


@workflow
async def timeouts(ctx: Context) -> Any:
    """What takes too long is left: a wait, a sleep, a child, what goes on outside."""
    came: list[Any] = []
    try:
        async with asyncio.timeout(3600):
            await asyncio.gather(ctx.sleep("9h"), ctx.signal("never"), ctx.run(sleeper, 9), ctx.step(ship, "7"))
    except TimeoutError:
        came.append(await ctx.step(refund, "7", 1))
    try:
        await asyncio.wait_for(ctx.approval("In time?"), 3600)
    except TimeoutError:
        came.append("nobody")
    try:
        await ctx.poll(find_order, "7", until=lambda found: False, every="1h", timeout="150m")
    except TimeoutError:
        came.append("never so")
    return came


# --- other sessions ----------------------------------------------------------------------------------------------


@workflow
async def sleeper(ctx: Context, hours: int) -> int:
    """Sleep, and charge for it."""
    await ctx.sleep(timedelta(hours=hours))
    await ctx.step(charge, hours, effect="compensatable", undo=credit)
    return hours


@workflow
async def failing(ctx: Context, order: str) -> None:
    """Do something, and fail."""
    await ctx.step(charge, 7, effect="compensatable", undo=credit)
    await ctx.step(no_room, order)


def says(*turns: dict[str, Any]) -> WatchedModel:
    """A model that plays these turns, for whatever session asks."""
    return WatchedModel(ScriptedModel([*turns, {"text": "done"}]), None)


_HELPER = Agent("helper", model=says(turn(("refund", {"order": "7", "amount": 3}))), tools=[refund])


@workflow
async def parent(ctx: Context) -> Any:
    """Children of both kinds, waited for and not, and one that fails."""
    await ctx.start(sleeper, 5)
    found = await asyncio.gather(ctx.run(sleeper, 1), ctx.run(sleeper, 2), ctx.run(_HELPER, "refund it"))
    try:
        await ctx.run(failing, "7")
    except ChildFailed as exc:
        found.append(exc.code)
    return found


_LEADER = Agent("leader", model=says(turn(("sleeper", {"input": 2}))), tools=[sleeper.as_tool()])


# --- from the beginning again, and back --------------------------------------------------------------------------


@workflow
async def nightly(ctx: Context, night: int) -> Any:
    """Start afresh each night; what is said early is kept."""
    said = await ctx.signal("paid", Payment, timeout="12h") if night else None
    new = ctx.patched("noted")
    await ctx.step(charge, ctx.random.randrange(10**9), name=f"charge-{night}")
    await ctx.step(notify, f"{ctx.uuid()}", name=f"notify-{night}")
    ctx.log.info("night %d", night)
    if night < 2:
        return ctx.continue_as(night + 1)
    return [said and said.amount, new, await ctx.input(int)]


@workflow
async def trip(ctx: Context) -> Any:
    """Book in two branches, and fail then."""

    async def booked(amount: int) -> None:
        await ctx.step(charge, amount, effect="compensatable", undo=credit)
        await ctx.step(hold, str(amount))

    await asyncio.gather(booked(1), booked(2))
    await ctx.sleep("2h")
    await ctx.step(no_room, "7")


async def credit_at_last(amount: int, *, call: Call) -> dict[str, Any]:
    """Take a charge back, which works when somebody has had a look."""
    if not await World.current.recorded("session_resumed"):
        raise NotPerformed("the account is closed")
    return await performed(call.tool, call, amount=amount)


@workflow
async def stuck_trip(ctx: Context) -> Any:
    """An undo fails, and is made again once an operator says so."""
    await ctx.step(hold, "7")
    await ctx.step(charge_later, 1, undo=credit_at_last, retry=QUICK)
    raise ValueError("it can't go on")


@workflow(deadline="6h")
async def hurried(ctx: Context) -> Any:
    """Run out of time with something done, with a child under way, and with something that nobody knows."""
    await ctx.step(hold, "7")
    await asyncio.gather(ctx.run(sleeper, 9), ctx.step(ship, "7"), ctx.step(charge, 9), ctx.sleep("9h"))


@workflow
async def patient(ctx: Context) -> Any:
    """Wait for what does not come, with something done."""
    await ctx.step(charge, 1, effect="compensatable", undo=credit)
    await asyncio.gather(ctx.step(pay_out, "7", 30), ctx.run(sleeper, 9), ctx.signal("paid"), ctx.step(hold, "8"))


FLOWS = App([
    clerk, doubter, branches, fans, waits, timeouts, sleeper, failing, parent, nightly, trip, stuck_trip, hurried,
    patient, _HELPER, _LEADER,
])  # fmt: skip
