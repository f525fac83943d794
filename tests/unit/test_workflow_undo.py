"""What a workflow did is taken back where it fails, is cancelled, or runs out of time."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from onward import BadInput, Call, Context, NotPerformed, Retry, StepFailed, TryAgain, tool, workflow
from tests.unit.flows import Flow

DONE: list[Any] = []
BROKEN: set[str] = set()


@pytest.fixture(autouse=True)
def _nothing_done() -> None:
    DONE.clear()
    BROKEN.clear()


class Booking(BaseModel):
    id: str


async def book(what: str, nights: int = 1) -> Booking:
    DONE.append(f"book {what}")
    return Booking(id=what.upper())


async def unbook(what: str, nights: int, result: Booking, *, call: Call) -> None:
    assert isinstance(result, Booking)
    if what in BROKEN:
        raise NotPerformed(f"{what} can't be unbooked")
    DONE.append(f"unbook {what} {nights} {result.id}")


def booked(ctx: Context, what: str) -> Any:
    return ctx.step(book, what, undo=unbook)


async def no_cars() -> None:
    raise NotPerformed("no cars")


@workflow
async def trip(ctx: Context) -> str:
    await booked(ctx, "hotel")
    await booked(ctx, "flight")
    await ctx.step(no_cars)
    return "booked"


@workflow
async def waiting(ctx: Context) -> str:
    await booked(ctx, "hotel")
    await booked(ctx, "flight")
    await ctx.sleep("9d")
    return "booked"


UNBOOKED = ["unbook flight 1 FLIGHT", "unbook hotel 1 HOTEL"]


async def test_the_newest_is_taken_back_first_and_then_it_has_failed() -> None:
    play = Flow(trip)
    state = await play.start()
    assert (state.ended, state.error and state.error.message) == ("failed", "no_cars: no cars")
    assert ["book hotel", "book flight", *UNBOOKED] == DONE
    assert (await play.names())[-2:] == ["undo:book#2", "undo:book"]


async def test_nothing_is_taken_back_of_what_completed() -> None:
    @workflow
    async def fine(ctx: Context) -> str:
        await booked(ctx, "hotel")
        return "booked"

    assert (await Flow(fine).start()).ended == "completed"
    assert DONE == ["book hotel"]


async def test_a_failure_that_was_caught_takes_nothing_back() -> None:
    @workflow
    async def careful(ctx: Context) -> str:
        await booked(ctx, "hotel")
        try:
            await ctx.step(no_cars)
        except Exception:
            return "by train"
        return "by car"

    assert (await Flow(careful).start()).output == "by train"
    assert DONE == ["book hotel"]


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_cancel_takes_everything_back(restarted: bool) -> None:
    play = Flow(waiting)
    await play.start()
    if restarted:
        play = Flow(waiting, runner=play.runner)
    state = await play.signal("cancel", {"reason": "changed my mind"})
    assert (state.ended, state.calls, state.timers) == ("cancelled", {}, {})
    assert DONE[2:] == UNBOOKED


async def test_a_deadline_takes_everything_back() -> None:
    play = Flow(workflow(name="waiting", deadline="1d")(waiting._function))
    await play.start()
    state = await play.finish()
    assert (state.ended, state.error and state.error.code, DONE[2:]) == ("failed", "deadline_passed", UNBOOKED)


async def test_an_undo_that_fails_parks_and_is_made_again_when_somebody_says_so() -> None:
    BROKEN.add("flight")
    play = Flow(trip)
    state = await play.start()
    assert state.parked is not None
    assert state.parked.code == "undo_failed"
    assert "what book#2 did could not be taken back: not_performed: flight can't be" in state.parked.message
    assert DONE == ["book hotel", "book flight"]
    state = await play.signal("resume", {})
    assert state.parked is not None
    BROKEN.clear()
    state = await play.signal("resume", {})
    assert (state.ended, DONE[2:]) == ("failed", UNBOOKED)


async def test_an_undo_that_fails_can_be_passed_by() -> None:
    BROKEN.add("flight")
    play = Flow(waiting)
    await play.start()
    state = await play.signal("cancel", {})
    assert state.parked is not None
    (call,) = state.calls.values()
    await play.signal("skip", {"call": call.id, "result": None, "reason": "by hand"})
    state = await play.signal("resume", {})
    assert (state.ended, DONE[2:]) == ("cancelled", UNBOOKED[1:])


async def test_g6_what_is_in_doubt_is_settled_before_anything_is_taken_back() -> None:
    async def pay(amount: int) -> str:
        DONE.append("pay")
        raise OSError("connection lost")

    async def unpay(amount: int, result: Any) -> None:
        DONE.append(f"unpay {amount} {result}")

    @workflow
    async def paying(ctx: Context) -> None:
        await booked(ctx, "hotel")
        await ctx.step(pay, 5, undo=unpay)

    play = Flow(paying)
    state = await play.start()
    (call,) = state.calls.values()
    assert call.status == "person"
    state = await play.signal("cancel", {})
    assert (state.ended, DONE) == (None, ["book hotel", "pay"])
    state = await play.signal("outcome", {"call": call.id, "status": "done", "result": "receipt"})
    assert (state.ended, DONE[2:]) == ("cancelled", ["unpay 5 receipt", "unbook hotel 1 HOTEL"])


async def test_a_tool_names_its_own_undo() -> None:
    @tool
    async def release(room: str) -> None:
        """Release a room."""
        DONE.append(f"release {room}")

    @tool(effect="compensatable", undo=release)
    async def reserve(room: str) -> str:
        """Reserve a room."""
        DONE.append(f"reserve {room}")
        return room

    @workflow
    async def hotel(ctx: Context) -> None:
        await ctx.step(reserve, "12")
        raise ValueError("no")

    state = await Flow(hotel).start()
    assert (state.ended, DONE) == ("failed", ["reserve 12", "release 12"])


async def test_what_may_be_repeated_takes_an_undo_only_where_it_is_said_to_be_compensatable() -> None:
    @tool(effect="idempotent", retry=5)
    async def reserve(room: str) -> str:
        """Reserve a room."""
        DONE.append(f"reserve {room}")
        return f"{room} is held"

    async def release(result: str) -> None:
        DONE.append(f"released: {result}")

    @workflow
    async def hotel(ctx: Context) -> None:
        with pytest.raises(BadInput, match="step reserve: undo= is for effect='compensatable', and this one is idemp"):
            await ctx.step(reserve, "12", undo=release)
        await ctx.step(reserve, "12", undo=release, effect="compensatable")
        raise ValueError("no")

    state = await Flow(hotel).start()
    assert (state.ended, DONE) == ("failed", ["reserve 12", "released: 12 is held"])


async def test_what_a_child_did_is_taken_back_by_the_child() -> None:
    @workflow
    async def parent(ctx: Context) -> None:
        await ctx.run(waiting)

    play = Flow(parent, waiting)
    await play.start(program="parent")
    state = await play.signal("cancel", {})
    assert (state.ended, DONE[2:]) == ("cancelled", UNBOOKED)


async def test_an_undo_that_wants_what_nobody_has_is_refused_before_the_step_is_made() -> None:
    async def undo(other: str) -> None: ...

    @workflow
    async def wrong(ctx: Context) -> str:
        with pytest.raises(BadInput) as caught:
            await ctx.step(book, "hotel", undo=undo)
        return str(caught.value)

    state = await Flow(wrong).start()
    assert "its undo undo wants other, which is no parameter of the step, and not 'result'" in state.output
    assert DONE == []


async def test_a_step_that_completes_after_it_was_left_is_taken_back_too() -> None:
    import asyncio

    @workflow
    async def hasty(ctx: Context) -> None:
        paying = asyncio.create_task(ctx.step(book, "hotel", undo=unbook))
        await ctx.step(no_cars, effect="read", retry=1)
        await paying

    state = await Flow(hasty).start()
    booked_and_not = [done for done in DONE if "hotel" in done]
    assert state.ended == "failed"
    assert booked_and_not in ([], ["book hotel", "unbook hotel 1 HOTEL"])


async def room(number: int) -> str:
    return f"room {number}"


async def test_an_undo_that_is_made_again_is_not_taken_for_that_of_a_step_of_the_same_name() -> None:
    cancelled = list[int]()

    @tool(effect="idempotent", retry=Retry(attempts=1))
    async def give_back(number: int) -> str:
        """Give it back."""
        cancelled.append(number)
        if cancelled == [2, 1]:
            raise ValueError("the desk is closed")
        return "given back"

    @workflow
    async def trip(ctx: Context) -> None:
        await ctx.step(room, 1, undo=give_back)
        await ctx.step(room, 2, undo=give_back)
        raise RuntimeError("no flight")

    flow = Flow(trip)
    await flow.start()
    parked = (await flow.finish()).parked
    assert parked is not None
    assert parked.code == "undo_failed"
    await flow.signal("resume", {})
    assert (await flow.finish()).ended == "failed"
    assert cancelled == [2, 1, 1]


@workflow
async def idle(ctx: Context) -> None:
    await ctx.signal("paid")


async def test_g12_a_cancel_waits_for_the_program_where_something_may_be_taken_back() -> None:
    play = Flow(waiting)
    await play.start()
    after = Flow(idle, runner=play.runner)
    state = await after.signal("cancel", {"reason": "enough"})
    assert (state.ended, DONE[2:]) == (None, [])
    parked = (await after.wait(3600)).parked
    assert parked is not None
    assert parked.code == "unknown_version"
    back = Flow(waiting, runner=play.runner)
    await back.signal("resume", {})
    assert ((await back.finish()).ended, DONE[2:]) == ("cancelled", UNBOOKED)


async def test_a_cancel_needs_no_program_where_nothing_was_done() -> None:
    play = Flow(idle)
    await play.start()
    after = Flow(waiting, runner=play.runner)
    assert (await after.signal("cancel", {"reason": "enough"})).ended == "cancelled"


async def book_later(what: str, *, call: Call) -> Booking:
    DONE.append(f"attempt {call.attempt} under {call.idempotency_key[:4]}")
    if call.attempt < 3:
        raise TryAgain("the hotel is out of reach")
    return await book(what)


async def test_what_says_that_nothing_was_done_is_tried_again_and_taken_back_once_it_was() -> None:
    @workflow
    async def persistent(ctx: Context) -> None:
        await ctx.step(book_later, "hotel", undo=unbook_by_name, retry=3)
        await ctx.step(no_cars)

    play = Flow(persistent)
    await play.start()
    state = await play.finish()
    assert (state.ended, state.error and state.error.code) == ("failed", "not_performed")
    key = DONE[0][-4:]
    tried = [f"attempt {number} under {key}" for number in (1, 2, 3)]
    assert [*tried, "book hotel", "unbook hotel HOTEL"] == DONE


async def unbook_by_name(what: str, result: Booking) -> None:
    DONE.append(f"unbook {what} {result.id}")


async def test_what_was_tried_in_vain_is_not_taken_back() -> None:
    @workflow
    async def persistent(ctx: Context) -> str:
        with pytest.raises(StepFailed, match="the hotel is out of reach"):
            await ctx.step(book_later, "hotel", undo=unbook_by_name, retry=Retry(attempts=2))
        await ctx.step(no_cars)
        return "never"

    play = Flow(persistent)
    await play.start()
    assert (await play.finish()).ended == "failed"
    assert len(DONE) == 2


async def test_the_undo_is_tried_again_where_it_says_that_nothing_was_done() -> None:
    async def unbook_later(what: str, *, call: Call) -> None:
        if call.attempt < 3:
            raise TryAgain("the hotel is out of reach")
        DONE.append(f"unbook {what} at attempt {call.attempt}")

    @workflow
    async def persistent(ctx: Context) -> None:
        await ctx.step(book, "hotel", undo=unbook_later)
        await ctx.step(no_cars)

    play = Flow(persistent)
    await play.start()
    assert (await play.finish()).ended == "failed"
    assert DONE == ["book hotel", "unbook hotel at attempt 3"]
