"""What holds a session back, and what lifts it: a person's pause, a switch, a missing version, a parked step."""

from __future__ import annotations

import asyncio
from typing import Any

from onward import Agent, App, Approval, Call, NotDone, ScriptedModel, tool
from onward.core.ids import session_key
from onward.core.switches import Switch
from onward.engine.sweep import sweep
from onward.ports import Wake
from tests.unit.play import BEN, OPERATOR, Play, Watching, call

KEY = session_key("default", "s")


def desk(tools: Any) -> Agent:
    return Agent("desk", model=ScriptedModel([{"calls": [call("pay", amount=4)]}, {"text": "done"}]), tools=tools)


def paying(**options: Any) -> tuple[Agent, list[int]]:
    """An agent that pays once, and what was paid."""
    paid: list[int] = []

    @tool(effect="irreversible", **options)
    async def pay(amount: int) -> int:
        """Pay."""
        paid.append(amount)
        return amount

    return desk([pay]), paid


async def turn(play: Play, scope: str, *, off: bool) -> None:
    """An operator turns a switch, and every process has seen it."""
    switch = Switch(scope=scope, by=OPERATOR, reason="it burns", at=play.runner.clock.now())
    await play.runner.backend.switches.turn(switch, off)
    play.runner.clock.advance(60)


async def swept(play: Play) -> None:
    """The sweep looks for what may go on, and that is looked at."""
    backend = play.runner.backend
    await sweep(backend.store, backend.queue, play.app, backend.switches)
    await play.settle()


async def notes(play: Play) -> list[str]:
    """What operators are told."""
    return [wait.note for wait in (await play.head()).waits if wait.kind == "operator"]


async def test_g13_a_version_that_is_back_does_not_lift_a_persons_pause() -> None:
    one, paid = paying()
    play = Play(one)
    play.runner.parts = play.runner.process(App([Agent("other", model=ScriptedModel([]))]))
    await play.start()
    await play.pass_time(3600)
    assert (await play.head()).status == "needs_attention"
    await play.signal("pause", {"reason": "do not run this"}, OPERATOR)
    play.runner.parts = play.runner.process(play.app)
    await swept(play)
    assert ((await play.head()).status, paid) == ("paused", [])
    await play.resume()
    assert ((await play.check()).ended, paid) == ("completed", [4])


async def test_g13_a_switch_that_is_on_again_does_not_lift_a_persons_pause() -> None:
    one, paid = paying(approval=Approval())
    play = Play(one)
    await play.start()
    await turn(play, "all", off=True)
    await play.decide("approved")
    assert await notes(play) == ["switched_off: all was switched off by olga@x: it burns"]
    await play.signal("pause", {"reason": "whatever the switch says"}, OPERATOR)
    await turn(play, "all", off=False)
    await swept(play)
    assert ((await play.head()).status, paid) == ("paused", [])
    assert await notes(play) == ["paused: whatever the switch says"]
    await play.resume()
    assert ((await play.check()).ended, paid) == ("completed", [4])


async def test_g6_a_switch_that_is_on_again_does_not_lift_what_needs_attention() -> None:
    """While it was off, the first attempt turned out to be done after all: so it was performed twice."""
    late = asyncio.Event()
    made: list[int] = []

    @tool(effect="irreversible", timeout="50ms")
    async def pay(amount: int, *, call: Call) -> int:
        """Pay."""
        if call.attempt == 1:
            await late.wait()
        made.append(call.attempt)
        return amount

    @pay.reconcile
    async def paid(call: Call) -> NotDone:
        return NotDone()

    play = Play(desk([pay]))
    await play.start(settle=False)
    while not made:
        assert await play.runner.deliver()
    await turn(play, "all", off=True)
    await play.settle()
    assert (await play.head()).status == "paused"
    late.set()
    while not (await play.runner.backend.store.pending(KEY)).signals:
        await asyncio.sleep(0.001)
    await play.settle()
    await turn(play, "all", off=False)
    await play.runner.backend.queue.publish(Wake(KEY, look=True))
    await play.settle()
    head = await play.head()
    assert (head.status, head.error and head.error.code, made) == ("needs_attention", "performed_twice", [2, 1])
    assert (await play.check()).switch is None


async def test_g13_a_session_is_not_handed_over_to_a_program_that_is_off() -> None:
    """What it is handed over to is held back at once, not after one more turn."""
    there = Watching(ScriptedModel([{"text": "not said"}, {"text": "from back"}], name="back"))
    back = Agent("back", model=there)
    first = ScriptedModel([{"calls": [call("transfer_to_back")]}, {"text": "not said"}])
    play = Play(Agent("desk", model=first, handovers=[back.as_handover(approval=Approval())]))
    await play.start()
    await turn(play, "program:back", off=True)
    await play.decide("approved", BEN)
    assert ((await play.head()).status, there.requests) == ("paused", [])
    await turn(play, "program:back", off=False)
    await swept(play)
    assert ((await play.check()).output, len(there.requests)) == ("from back", 1)
