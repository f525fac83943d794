"""Whatever becomes of messages, a subscriber applies exactly the log, in order (R12)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from onward.adapters.gcp.messages import Message, SessionEvent, event_message
from onward.adapters.gcp.reader import Delivered, EventReader
from onward.errors import NotFound

HASH = "0" * 64


def event(session: str, seq: int, large: bool = False) -> SessionEvent:
    body = {"text": "x" * (20_000 if large else 1), "n": seq}
    at, actor = "2026-01-01T00:00:00.000Z", {"kind": "engine", "name": ""}
    return SessionEvent("default", session, "desk", seq, "input_received", 1, at, actor, body, HASH)


@dataclass
class Topic:
    """A subscription in which messages wait until they are acknowledged."""

    waiting: dict[str, Message] = field(default_factory=dict)
    turn: st.DataObject | None = None

    def publish(self, one: SessionEvent) -> None:
        data, attributes = event_message(one)
        receipt = f"r{len(self.waiting)}-{one.id}-{id(one)}"
        while receipt in self.waiting:
            receipt += "x"
        self.waiting[receipt] = Message(receipt, data, attributes)

    async def pull(self) -> Sequence[Delivered]:
        assert self.turn is not None
        all_waiting = sorted(self.waiting)
        chosen = self.turn.draw(st.lists(st.sampled_from(all_waiting), max_size=6)) if all_waiting else []
        return [Delivered(self.waiting[receipt], receipt) for receipt in chosen]

    async def pull_all(self) -> Sequence[Delivered]:
        return [Delivered(message, receipt) for receipt, message in self.waiting.items()]

    async def acknowledge(self, receipts: Sequence[str]) -> None:
        for receipt in receipts:
            self.waiting.pop(receipt, None)


@dataclass
class Subscriber:
    """Applies events, and remembers in the same moment how far it is."""

    logs: dict[str, list[SessionEvent]]
    page: int
    applied: dict[str, list[SessionEvent]] = field(default_factory=dict)

    async def position(self, tenant: str, session: str) -> int:
        return len(self.applied.get(session, []))

    async def fetch(self, tenant: str, session: str, after: int) -> Sequence[SessionEvent]:
        return self.logs[session][after : after + self.page]

    def apply(self, one: SessionEvent) -> None:
        self.applied.setdefault(one.session, []).append(one)


@settings(max_examples=3 * settings().max_examples, deadline=None)
@given(data=st.data())
def test_repeats_losses_and_disorder_leave_the_log_in_order(data: st.DataObject) -> None:
    lengths = data.draw(st.lists(st.integers(1, 12), min_size=1, max_size=3))
    large = data.draw(st.sets(st.integers(1, 12)))
    logs = {
        f"s{n}": [event(f"s{n}", seq, seq in large) for seq in range(1, many + 1)] for n, many in enumerate(lengths)
    }
    topic = Topic(turn=data)
    heard = {}
    for session, log in logs.items():
        sent = data.draw(st.lists(st.sampled_from(log), max_size=20))
        heard[session] = max((one.seq for one in sent), default=0)
        for one in sent:
            topic.publish(one)
    subscriber = Subscriber(logs, page=data.draw(st.integers(1, 20)))
    asyncio.run(_read(topic, subscriber, data))
    for session, log in logs.items():
        applied = subscriber.applied.get(session, [])
        assert applied == log[: len(applied)]
        assert len(applied) >= heard[session]
    assert topic.waiting == {}


async def _read(topic: Topic, subscriber: Subscriber, data: st.DataObject) -> None:
    """Several lives of a reader, each ended in the middle of anything but the last."""
    for _ in range(data.draw(st.integers(0, 3))):
        reader = EventReader(topic, position=subscriber.position, fetch=subscriber.fetch, sessions=2)
        left = data.draw(st.integers(0, 8))
        for _ in range(data.draw(st.integers(1, 4))):
            async for one in reader.batch():
                subscriber.apply(one)
                left -= 1
                if left < 0:
                    break
            if left < 0:
                break
    topic.pull = topic.pull_all  # type: ignore[method-assign]
    reader = EventReader(topic, position=subscriber.position, fetch=subscriber.fetch, sessions=1)
    async for one in reader.batch():
        subscriber.apply(one)


async def test_a_session_that_was_deleted_is_let_go() -> None:
    topic = Topic()
    topic.publish(event("gone", 3))
    topic.publish(event("here", 1))

    async def fetch(tenant: str, session: str, after: int) -> Sequence[SessionEvent]:
        raise NotFound("it was deleted")

    topic.pull = topic.pull_all  # type: ignore[method-assign]
    reader = EventReader(topic, position=Subscriber({}, 1).position, fetch=fetch)
    assert [one.id async for one in reader.batch()] == ["here:1"]
    assert topic.waiting == {}


async def test_what_is_none_of_ours_is_let_go_and_counted_and_what_is_newer_stays() -> None:
    topic = Topic()
    topic.publish(event("here", 1))
    topic.waiting |= {"bad": Message("1", b"hello"), "newer": Message("2", b'{"version": 2}')}
    topic.pull = topic.pull_all  # type: ignore[method-assign]
    subscriber = Subscriber({}, 1)
    reader = EventReader(topic, position=subscriber.position, fetch=subscriber.fetch)
    assert [one.id async for one in reader.batch()] == ["here:1"]
    assert set(topic.waiting) == {"newer"}
    assert reader.refused == 1


async def test_an_event_is_acknowledged_only_after_it_was_applied() -> None:
    topic = Topic()
    topic.publish(event("here", 1))
    topic.pull = topic.pull_all  # type: ignore[method-assign]
    subscriber = Subscriber({}, 1)
    reader = EventReader(topic, position=subscriber.position, fetch=subscriber.fetch)
    batch = reader.batch()
    await anext(batch)
    await batch.aclose()  # type: ignore[attr-defined]
    assert len(topic.waiting) == 1
    assert [one.id async for one in reader.batch()] == ["here:1"]
    assert topic.waiting == {}


async def test_what_was_applied_before_is_only_acknowledged() -> None:
    topic = Topic()
    log = [event("here", seq) for seq in (1, 2, 3)]
    for one in (*log, *log):
        topic.publish(one)
    topic.pull = topic.pull_all  # type: ignore[method-assign]
    subscriber = Subscriber({}, 1)  # whose log can't be asked
    reader = EventReader(topic, position=subscriber.position, fetch=subscriber.fetch)
    assert [one.seq async for one in reader.batch()] == [1, 2, 3]
    topic.publish(log[1])
    assert [one.seq async for one in reader.batch()] == []
    assert topic.waiting == {}


async def test_what_can_not_be_applied_yet_comes_again() -> None:
    topic = Topic()
    topic.publish(event("here", 2))
    topic.pull = topic.pull_all  # type: ignore[method-assign]
    logs: dict[str, list[SessionEvent]] = {"here": []}
    subscriber = Subscriber(logs, 10)
    reader = EventReader(topic, position=subscriber.position, fetch=subscriber.fetch)
    assert [one.seq async for one in reader.batch()] == []
    assert len(topic.waiting) == 1
    logs["here"] += [event("here", 1), event("here", 2)]
    assert [one.seq async for one in reader.batch()] == [1, 2]
    assert topic.waiting == {}


async def test_who_begins_again_goes_on_where_it_is() -> None:
    topic = Topic()
    for seq in (1, 2):
        topic.publish(event("here", seq))
    topic.pull = topic.pull_all  # type: ignore[method-assign]
    subscriber = Subscriber({}, 1)
    reader = EventReader(topic, position=subscriber.position, fetch=subscriber.fetch)
    for seq in (1, 2):
        reading = reader.events()
        one = await anext(reading)
        subscriber.apply(one)
        await reading.aclose()  # type: ignore[attr-defined]
        assert one.seq == seq
