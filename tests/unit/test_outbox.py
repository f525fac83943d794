"""What subscribers are sent: once more after a death, and not at every visit."""

from __future__ import annotations

from collections.abc import Sequence

from onward import Agent, ScriptedModel
from onward.core.events import Event
from onward.core.head import Head
from onward.core.ids import session_key
from onward.ports import Wake
from tests.unit.play import Play

KEY = session_key("default", "s")


async def test_g5_a_visit_that_finds_nothing_to_do_publishes_the_rest_once() -> None:
    play = Play(Agent("desk", model=ScriptedModel([{"text": "Hello"}, {"text": "again"}]), conversation=True))
    sent: list[int] = []
    outbox = play.runner.parts.engine.outbox
    real = outbox.feed

    class Feed:
        async def publish(self, head: Head, events: Sequence[Event]) -> None:
            sent.extend(event.seq for event in events)
            await real.publish(head, events)

    outbox.feed = Feed()
    await play.start()
    rest = (await play.head()).seq
    assert sent[-1] == rest
    for _ in range(3):
        await play.runner.parts.engine.advance(Wake(KEY, look=True))
    assert sent.count(rest) == 2  # a wake that knows better did not come, so once more, and then it is known
    assert (await play.head()).published == rest
