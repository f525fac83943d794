"""What sessions owe each other: a duty that can't be paid is told, and one that is paid twice is paid once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import pytest

from onward import Agent, Approval, Pending, ScriptedModel, tool
from onward.core import files
from onward.core.events import Event
from onward.core.head import Head
from onward.core.ids import session_key
from onward.engine import duties
from onward.engine.duties import Duties
from onward.errors import Refused, StoreUnavailable
from tests.unit.play import OPERATOR, Play, call

KEY = session_key("default", "s")
CHILD = "s:3.0"
DAY = 86400.0


class Dead(BaseException):
    """The process is killed."""


def kid(*turns: Any, **options: Any) -> Agent:
    return Agent("kid", model=ScriptedModel(turns or [{"text": "one"}]), **options)


def boss(*tools: Any, also: tuple[dict[str, Any], ...] = ()) -> Agent:
    """An agent that has its first tool do something, and the others what `also` says, all at once."""
    turns = [{"calls": [call("kid", input="secret"), *also]}, {"text": "done"}]
    return Agent("boss", model=ScriptedModel(turns), tools=tools)


# --- a duty that can't be paid ---------------------------------------------------------------------------------


async def test_g5_an_output_that_its_parent_can_not_take_is_told_as_a_failure() -> None:
    answer = '{"x": {"$file": {"media_type": "text/plain", "data": "not base64!"}}}'
    play = Play(boss(kid({"text": answer}, output_type=dict[str, Any])))
    await play.start()
    [told] = await play.bodies("child_ended")
    assert (told.status, told.error.code) == ("failed", "output_unusable")
    assert (await play.check()).output == "done"
    assert (await play.head(CHILD)).owed == 0


async def test_g5_an_output_too_large_for_a_file_is_told_as_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duties, "LARGE", 100)
    monkeypatch.setattr(files, "LARGEST", 50)
    play = Play(boss(kid({"text": "x" * 200})))
    await play.start()
    [told] = await play.bodies("child_ended")
    assert (told.status, told.error.code) == ("failed", "output_unusable")
    assert (await play.check()).output == "done"


async def test_g5_a_child_whose_input_was_erased_while_people_thought_about_it_has_failed() -> None:
    play = Play(boss(kid().as_tool(approval=Approval())))
    await play.start()
    await play.runner.parts.eraser.erase(KEY, 3, "arguments", OPERATOR, "asked to")
    await play.decide("approved")
    [failed] = await play.bodies("call_failed")
    assert failed.error.code == "arguments_erased"
    assert "child_started" not in await play.kinds()
    assert (await play.check()).output == "done"


OWED = [("s", "child_started", "input"), (CHILD, "session_completed", "output")]


@pytest.mark.parametrize(("debtor", "kind", "field"), OWED, ids=["input", "output"])
async def test_g5_what_is_owed_is_not_erased_before_it_is_paid(
    debtor: str, kind: str, field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the other session would wait for what nobody can tell it any more."""
    play = Play(boss(kid()))
    pay = Duties.pay

    async def away(self: Duties, head: Head, events: Sequence[Event]) -> None:
        if head.id == debtor and any(event.kind == kind for event in events):
            raise StoreUnavailable("away")
        await pay(self, head, events)

    monkeypatch.setattr(Duties, "pay", away)
    await play.start(settle=False)
    while not await owes(play, debtor):
        assert await play.runner.deliver()
    [owed] = [event for event in await play.events(debtor) if event.kind == kind]
    with pytest.raises(Refused, match="somebody is still to hear"):
        await play.runner.parts.eraser.erase(session_key("default", debtor), owed.seq, field, OPERATOR, "asked to")
    monkeypatch.setattr(Duties, "pay", pay)
    await play.pass_time(DAY)
    [told] = await play.bodies("child_ended")
    assert (told.status, told.output) == ("completed", "one")
    assert (await play.check()).output == "done"


async def owes(play: Play, id: str) -> bool:
    head = await play.runner.backend.store.read(session_key("default", id))
    return head is not None and bool(head.owed)


# --- paying again ----------------------------------------------------------------------------------------------


async def test_g5_a_child_that_was_deleted_meanwhile_is_not_started_again() -> None:
    """The holder died after it had paid, so the child's start is paid for once more: what became of it stands."""
    play = Play(boss(kid()))
    store, queue = play.runner.backend.store, play.runner.backend.queue
    release = store.release
    store.release = killing(release, lambda lease, head=None: lease.head.id == "s" and head is not None)
    await play.start(settle=False)
    with pytest.raises(Dead):
        await play.settle()
    store.release = release
    queue.redeliver()
    while not await over(play, CHILD):
        assert await play.runner.deliver()
    assert (await play.head()).owed
    await play.runner.parts.deleter.delete(session_key("default", CHILD), OPERATOR.name, "retention")
    await play.pass_time(DAY)
    [told] = await play.bodies("child_ended")
    assert (told.status, told.output) == ("completed", "one")
    assert (await play.check()).output == "done"
    assert (await play.head(CHILD)).status == "deleted"


def killing(act: Any, when: Callable[..., bool]) -> Any:
    """The same call, but that the process is killed there in these cases."""

    async def dies(*args: Any) -> Any:
        if when(*args):
            raise Dead
        return await act(*args)

    return dies


async def over(play: Play, id: str) -> bool:
    head = await play.runner.backend.store.read(session_key("default", id))
    return head is not None and head.ended and not head.owed


async def test_g13_a_duty_that_kills_who_pays_it_parks_the_session_and_a_cancel_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    play = Play(boss(kid()))
    pay = Duties.pay
    monkeypatch.setattr(Duties, "pay", killing(pay, lambda duties, head, events: head.id == "s"))
    await play.start(settle=False)
    await live_and_die(play, "needs_attention")
    head = await play.head()
    assert head.error is not None
    assert "ended their process" in head.error.message
    assert head.owed
    await play.signal("cancel", {"reason": "no longer needed"}, settle=False)
    await live_and_die(play, "cancelled")
    monkeypatch.setattr(Duties, "pay", pay)
    await play.pass_time(DAY)
    assert ((await play.head()).owed, (await play.head(CHILD)).status) == (0, "cancelled")


async def live_and_die(play: Play, status: str) -> None:
    """Each process dies when it is to pay, and another comes, until the session has this status."""
    for _ in range(30):
        play.runner.parts = play.runner.process(play.app)
        with suppress(Dead):
            while (await play.head()).status != status and await step(play):
                pass
        if (await play.head()).status == status:
            return
        play.runner.backend.queue.redeliver()
    raise AssertionError(f"processes die and die, and it is {(await play.head()).status}")


async def step(play: Play) -> bool:
    """Whether there was something to deliver, now or later."""
    if await play.runner.deliver():
        return True
    due = play.runner.backend.queue.next_due()
    if due is not None:
        play.runner.clock.advance_to(due)
    return due is not None


# --- children that nobody waits for ----------------------------------------------------------------------------


def sleeper() -> tuple[Agent, list[int]]:
    """A child that sleeps for an hour and pays then; and what was paid."""
    paid: list[int] = []

    @tool(effect="read")
    async def nap() -> Pending:
        """Nap."""
        return Pending(timeout="1h", ends="done")

    @tool(effect="irreversible")
    async def pay(amount: int) -> int:
        """Pay."""
        paid.append(amount)
        return amount

    turns = [{"calls": [call("nap")]}, {"calls": [call("pay", amount=7)]}, {"text": "one"}]
    return kid(*turns, tools=[nap, pay]), paid


@tool(effect="irreversible", approval=Approval())
async def ask(x: int) -> int:
    """Ask."""
    return x


@tool(effect="irreversible")
async def unsure(x: int) -> int:
    """Fail in the middle."""
    raise ConnectionError("who knows")


async def test_g13_a_session_that_is_cancelled_by_its_head_alone_cancels_its_children() -> None:
    """Nobody can read its log, so its children are found by their parent."""
    child, paid = sleeper()
    play = Play(boss(child, ask, also=(call("ask", x=1),)))
    await play.start()
    for death in range(5):
        await play.runner.backend.store.claim(KEY, f"dead {death}")
        play.runner.clock.advance(200)
    await play.signal("cancel", {"reason": "stop all"})
    await play.pass_time(DAY)
    assert ((await play.head()).status, (await play.head(CHILD)).status, paid) == ("cancelled", "cancelled", [])


async def test_a_cancel_reaches_the_children_before_a_doubt_is_settled() -> None:
    child, paid = sleeper()
    play = Play(boss(child, unsure, also=(call("unsure", x=1),)))
    await play.start()
    await play.signal("cancel", {"reason": "stop all"})
    await play.pass_time(DAY)
    assert "operator" in [wait.kind for wait in (await play.head()).waits]
    assert ((await play.head(CHILD)).status, paid) == ("cancelled", [])
