"""The workflows that the documentation shows are played, offline and in virtual time."""

from __future__ import annotations

from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from onward.core.events import Actor
from onward.testing import Approve, Options, Send, play
from tests.docs.test_gallery import EXAMPLES, example
from tests.unit.play import ANN, OPERATOR, Play

WORKFLOWS = EXAMPLES / "workflows"
LONGEST = 80
MANAGER, DIRECTOR = (Actor(kind="person", name=f"{who}@example.com") for who in ("manager", "director"))


def played(name: str) -> tuple[Any, Play]:
    """An example, and its application in virtual time."""
    module = example(f"workflows/{name}")
    return module, Play(app=module.app)


async def names(play: Play, kind: str = "call_completed", id: str = "s") -> list[str]:
    """The operations that events of this kind are about, in the order of the log."""
    events = await play.events(id)
    asked: dict[str, str] = {}
    for event in events:
        body: Any = event.body
        for at, operation in enumerate(body.operations or () if event.kind == "calls_proposed" else ()):
            asked[f"{event.seq}.{at}"] = operation.name
    return [asked[event.body.call] for event in events if event.kind == kind]  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", sorted(WORKFLOWS.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_is_short_and_has_an_application(path: Path) -> None:
    assert len(path.read_text().splitlines()) < LONGEST
    assert example(f"workflows/{path.stem}").app.names


ORDER = {"id": "A-17", "item": "lamp", "count": 2}


async def test_an_order_that_is_paid_is_sent_once() -> None:
    orders, play = played("orders")
    await play.start(ORDER)
    assert (orders.STOCK, orders.MAILS) == ({"lamp": 3}, ["Please pay 80.00"])
    await play.signal("input", {"content": {"reference": "R-1", "amount": "80.00"}, "name": "paid"})
    assert (await play.check()).output == "parcel of A-17"
    assert list(orders.PARCELS.values()) == ["parcel of A-17"]


async def test_an_order_that_nobody_pays_gives_its_stock_back() -> None:
    orders, play = played("orders")
    await play.start(ORDER)
    await play.pass_time(3601)
    state = await play.check()
    assert state.ended == "failed"
    assert state.error is not None
    assert state.error.code == "timed_out"
    assert (orders.STOCK, orders.PARCELS) == ({"lamp": 5}, {})


async def test_an_order_that_is_cancelled_gives_its_stock_back() -> None:
    orders, play = played("orders")
    await play.start(ORDER)
    await play.signal("cancel", {"reason": "not any more"}, OPERATOR)
    assert (await play.check()).ended == "cancelled"
    assert orders.STOCK == {"lamp": 5}


async def test_a_book_that_somebody_agrees_on_is_bought_and_one_that_never_arrives_is_called_off() -> None:
    _, play = played("purchase")
    await play.start("Emma")
    await play.decide("approved", ANN)
    await play.signal("input", {"content": None, "name": "arrived"})
    assert (await play.check()).output == "Emma is on the shelf"
    _, play = played("purchase")
    await play.start("Dune")
    await play.runner.finish(within=31 * 24 * 3600)
    assert (await play.check()).ended == "failed"
    assert await names(play) == ["ask_shop", "buy", "undo:buy"]


EXPENSE = {"what": "a desk", "amount": "180.00"}


async def test_an_expense_goes_to_the_director_after_a_day() -> None:
    module, play = played("expense")
    await play.start(EXPENSE)
    await play.runner.finish(within=24 * 3600)
    await play.decide("approved", DIRECTOR)
    assert (await play.check()).output == "paid 180.00"
    assert module.PAID == ["180.00 for a desk"]


async def test_an_expense_that_the_manager_rejects_goes_to_nobody_else() -> None:
    module, play = played("expense")
    await play.start(EXPENSE)
    await play.decide("rejected", MANAGER, reason="we have desks")
    assert (await play.check()).output == "not paid: we have desks"
    assert module.PAID == []


async def test_nobody_is_no() -> None:
    _, play = played("expense")
    await play.start(EXPENSE)
    await play.pass_time(49 * 3600)
    assert (await play.check()).output == "not paid: nobody decided"


async def test_two_photos_may_fail() -> None:
    _, play = played("photos")
    photos = [f"{name}.jpg" for name in "abcdef"] + ["broken-1.jpg", "broken-2.jpg"]
    await play.start(photos)
    await play.pass_time(60)
    output = (await play.check()).output
    assert output["small"] == {f"{name}.jpg": f"{name}-small.jpg" for name in "abcdef"}
    assert sorted(output["failed"]) == ["broken-1.jpg", "broken-2.jpg"]
    assert max(open_after_each(await play.events())) == 5


def open_after_each(events: list[Any]) -> list[int]:
    """How many calls were open after each event."""
    open, counts = 0, []
    for event in events:
        open += len(event.body.calls) if event.kind == "calls_proposed" else 0
        open -= event.kind in ("call_completed", "call_failed", "call_refused")
        counts.append(open)
    return counts


async def test_a_third_photo_that_fails_ends_the_rest() -> None:
    _, play = played("photos")
    await play.start([f"broken-{number}.jpg" for number in range(4)])
    await play.pass_time(60)
    state = await play.check()
    assert state.ended == "failed"
    assert state.error is not None
    assert "this is no picture" in state.error.message


async def test_a_job_is_looked_at_until_it_is_done() -> None:
    module, play = played("transcript")
    began = play.runner.clock.now()
    await play.start("talk.mp3")
    await play.pass_time(120)
    assert (await play.check()).output == "Good morning."
    assert list(module.JOBS.values()) == [4]
    ended = (await play.events())[-1].at
    assert timedelta(seconds=90) <= ended - began < timedelta(seconds=91)


async def test_a_trip_with_a_car_is_booked() -> None:
    module, play = played("trip")
    await play.start({"city": "Oslo", "day": "2026-12-24"})
    assert (await play.check()).output == module.BOOKED
    assert len(module.BOOKED) == 3


async def test_a_trip_without_a_car_is_taken_back_the_newest_first() -> None:
    module, play = played("trip")
    await play.start({"city": "Rome", "day": "2026-12-24"})
    assert (await play.check()).ended == "failed"
    assert await names(play) == ["book_flight", "book_hotel", "undo:book_hotel", "undo:book_flight"]
    assert module.BOOKED == []


async def test_an_agent_has_a_workflow_and_the_workflow_an_agent() -> None:
    module, play = played("claims")
    await play.start("My lamp is broken")
    (child,) = [wait.session for wait in (await play.head()).waits]
    assert module.PAID == []
    await play.decide("approved", ANN, id=str(child))
    assert (await play.check()).output == "I am sorry about the lamp. Your 180.00 are on their way."
    assert module.PAID == ["180.00 for A-17"]


CRASHED: dict[str, tuple[Any, Options]] = {
    "orders": (ORDER, {"signals": [Send({"reference": "R-1", "amount": "80.00"}, name="paid")]}),
    "trip": ({"city": "Rome", "day": "2026-12-24"}, {}),
    "claims": ("My lamp is broken", {"approvals": Approve()}),
}


@pytest.mark.parametrize("name", CRASHED)
def test_an_example_comes_to_the_same_wherever_it_crashes(name: str) -> None:
    input, options = CRASHED[name]
    module = example(f"workflows/{name}")
    began = {name: deepcopy(value) for name, value in vars(module).items() if name.isupper()}

    def as_before() -> None:
        for name, value in began.items():
            world = vars(module)[name]
            world.clear()
            (world.extend if isinstance(world, list) else world.update)(deepcopy(value))

    play(module.app.choose(), input, app=module.app, crashes="everywhere", before=as_before, **options)


async def test_each_night_starts_afresh_in_the_same_session() -> None:
    module, play = played("nightly")
    await play.start(None)
    copied = []
    for night in (1, 2):
        await play.runner.finish(within=24 * 3600)
        state = await play.check()
        assert (state.generation, len(state.transcript)) == (night, 1)
        copied.append(len(module.COPIED))
    await play.runner.finish(within=24 * 3600)
    assert copied == [200, 400]
    assert module.ROWS == module.COPIED
    assert (await play.check()).output == 450
