"""Wakes and events over Google's own Pub/Sub emulator: W1, W2, F1, and what a publish that fails leaves behind."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from emulators.pubsub import PubSub
from onward.adapters.gcp.messages import SessionEvent, parse_event, parse_session_message, session_event
from onward.adapters.gcp.messages_envelopes import parse_push
from onward.adapters.gcp.pubsub import MOST_MESSAGES, PubSubFeed, PubSubWakes, Topic
from onward.adapters.gcp.reader import EventReader, Subscription
from onward.core import events as ev
from onward.core.events import Actor, Event
from onward.core.head import Head
from onward.errors import Retryable
from onward.ports import Wake
from tests.emulator.sink import Sink

KEY = "a" * 32
TRACE = f"00-{'ab' * 16}-{'cd' * 8}-01"
AT = datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
HEAD = Head(KEY, "shop", "order-7", "desk", "1", "running", 9, "h" * 64, 4, AT, AT)


@pytest.fixture
def sink(pubsub: PubSub, project: str) -> Iterator[Sink]:
    """Where what is published to sessions is pushed to."""
    sink = Sink()
    subscription = f"{project}/subscriptions/advance"
    pubsub.make_subscription(subscription, f"{project}/topics/sessions", push=sink.url)
    yield sink
    pubsub.drop(subscription)
    sink.close()


@pytest.fixture
async def topics(pubsub: PubSub, project: str) -> AsyncIterator[dict[str, Topic]]:
    made = {name: Topic(f"{project}/topics/{name}", endpoint=pubsub.address) for name in ("sessions", "events")}
    yield made
    for topic in made.values():
        await topic.close()


async def wakes_at(sink: Sink, keys: set[str]) -> list[Wake]:
    """The wakes that arrived, once each of these sessions had one that was taken."""

    def wakes(arrivals: Sequence[Any]) -> list[Wake]:
        taken = [arrival for arrival in arrivals if arrival.status == 204]
        found = [parse_session_message(parse_push(arrival.headers, arrival.body)) for arrival in taken]
        return [wake for wake in found if isinstance(wake, Wake)]

    found = await asyncio.to_thread(sink.wait, lambda arrivals: {wake.key for wake in wakes(arrivals)} >= keys)
    return wakes(found)


# --- wakes -----------------------------------------------------------------------------------------------------


async def test_w1_what_was_published_is_pushed_as_it_was(topics: dict[str, Topic], sink: Sink) -> None:
    wakes = PubSubWakes(topics["sessions"])
    sent = [Wake(KEY, look=True, published=7), Wake("b" * 32), Wake("c" * 32, look=True, delayed=True)]
    for wake in sent:
        await wakes.publish(wake)
    found = {wake.key: wake for wake in await wakes_at(sink, {wake.key for wake in sent})}
    assert [found[wake.key] for wake in sent] == sent
    assert found["c" * 32].delayed


async def test_w1_what_was_not_taken_comes_again(topics: dict[str, Topic], sink: Sink) -> None:
    sink.answers = [500, 503]
    await PubSubWakes(topics["sessions"]).publish(Wake(KEY, look=True))
    assert await wakes_at(sink, {KEY}) == [Wake(KEY, look=True)]
    ids = {parse_push(arrival.headers, arrival.body).id for arrival in sink.arrivals}
    assert ([arrival.status for arrival in sink.arrivals], len(ids)) == ([500, 503, 204], 1)


async def test_w1_many_at_once_all_come(topics: dict[str, Topic], sink: Sink) -> None:
    wakes = PubSubWakes(topics["sessions"])
    keys = {f"{n:032x}" for n in range(200)}
    await asyncio.gather(*(wakes.publish(Wake(key)) for key in keys))
    assert {wake.key for wake in await wakes_at(sink, keys)} == keys


async def test_what_anybody_publishes_by_hand_is_a_signal(pubsub: PubSub, project: str, sink: Sink) -> None:
    said = b'{"version": 1, "session": "order-7", "kind": "input", "body": {"content": "Hello"}}'
    id = pubsub.publish(f"{project}/topics/sessions", base64.b64encode(said).decode(), traceparent=TRACE)
    (arrival,) = await asyncio.to_thread(sink.wait, 1)
    told: Any = parse_session_message(parse_push(arrival.headers, arrival.body))
    assert (told.session, told.body, told.key, told.trace) == ("order-7", {"content": "Hello"}, id, TRACE)


async def test_it_works_in_every_loop(topics: dict[str, Topic], sink: Sink) -> None:
    async def publish(key: str) -> None:
        await PubSubWakes(topics["sessions"]).publish(Wake(key))
        await topics["sessions"].close()

    await asyncio.to_thread(asyncio.run, publish("b" * 32))
    await publish(KEY)
    await asyncio.to_thread(asyncio.run, publish("c" * 32))
    await wakes_at(sink, {KEY, "b" * 32, "c" * 32})


# --- events ----------------------------------------------------------------------------------------------------


def events(first: int, last: int) -> list[Event]:
    actor = Actor(kind="person", name="ann")
    return [
        Event(seq=seq, at=AT, actor=actor, body=ev.InputReceived(content="x" * 30, signal=f"s{seq}"))
        for seq in range(first, last + 1)
    ]


@dataclass
class Follower:
    """A subscriber that keeps what it applies, and may ask a log."""

    log: Sequence[Event]
    fetched: int = 0

    def __post_init__(self) -> None:
        self.applied: list[SessionEvent] = []

    async def position(self, tenant: str, session: str) -> int:
        return len(self.applied)

    async def fetch(self, tenant: str, session: str, after: int) -> list[SessionEvent]:
        self.fetched += 1
        return [session_event(HEAD, event) for event in self.log[after:]]

    async def follow(self, subscription: Subscription, until: int) -> None:
        async for event in EventReader(subscription, position=self.position, fetch=self.fetch).events():
            self.applied.append(event)
            if event.seq == until:
                return


@pytest.fixture
async def subscription(pubsub: PubSub, project: str) -> AsyncIterator[Subscription]:
    """A pull subscription to events."""
    name = f"{project}/subscriptions/follow"
    pubsub.make_subscription(name, f"{project}/topics/events")
    made = Subscription(name, endpoint=pubsub.address, wait=2.0)
    yield made
    await made.close()


async def test_f1_every_event_comes_and_is_read_once_and_in_order(
    topics: dict[str, Topic], subscription: Subscription
) -> None:
    feed, log = PubSubFeed(topics["events"]), events(1, 40)
    for first in range(0, 40, 8):
        await feed.publish(HEAD, log[first : first + 8])
        await feed.publish(HEAD, log[first : first + 4])
    follower = Follower(log)
    await follower.follow(subscription, 40)
    assert follower.applied == [session_event(HEAD, event) for event in log]


async def test_f1_what_was_never_published_is_read_from_the_log(
    topics: dict[str, Topic], subscription: Subscription
) -> None:
    log = events(1, 10)
    await PubSubFeed(topics["events"]).publish(HEAD, log[6:])
    follower = Follower(log)
    await follower.follow(subscription, 10)
    assert [event.seq for event in follower.applied] == list(range(1, 11))
    assert follower.fetched > 0


async def test_f1_a_long_commit_is_published_whole(topics: dict[str, Topic], subscription: Subscription) -> None:
    log = events(1, MOST_MESSAGES + 5)
    await PubSubFeed(topics["events"]).publish(HEAD, log)
    found: set[int] = set()
    while len(found) < len(log):
        batch = await subscription.pull()
        assert batch, f"{len(found)} came"
        found |= {parse_event(one.message).seq for one in batch}
        await subscription.acknowledge([one.receipt for one in batch])


async def test_what_is_said_stays_in_the_log_unless_asked_for(
    topics: dict[str, Topic], subscription: Subscription
) -> None:
    for private in (False, True):
        await PubSubFeed(topics["events"], private=private).publish(HEAD, events(1, 1))
        (one,) = await subscription.pull()
        await subscription.acknowledge([one.receipt])
        assert (b"xxx" in one.message.data) is private
        assert one.message.attributes["ce-id"] == "order-7:1"


async def test_an_empty_pull_is_no_error(pubsub: PubSub, project: str, subscription: Subscription) -> None:
    quick = Subscription(f"{project}/subscriptions/follow", endpoint=pubsub.address, wait=0.2)
    assert await quick.pull() == []
    await quick.close()


async def test_a_subscription_that_is_not_there_is_said(pubsub: PubSub, project: str) -> None:
    other = Subscription(f"{project}/subscriptions/other", endpoint=pubsub.address, patience=0.5)
    with pytest.raises(Retryable, match="other"):
        await other.pull()
    await other.close()


# --- a publish that fails --------------------------------------------------------------------------------------


class Way:
    """Lies between a client and the emulator, and fails as it is told: `before` it passes a publish on, or after."""

    def __init__(self, target: str) -> None:
        import grpc

        self.fails: list[tuple[str, bool]] = []
        self.passed = 0
        self._channel = grpc.insecure_channel(target)
        self._threads = ThreadPoolExecutor(2)
        self._server = grpc.server(self._threads)
        method = grpc.unary_unary_rpc_method_handler(self._publish)
        handler = grpc.method_handlers_generic_handler("google.pubsub.v1.Publisher", {"Publish": method})
        self._server.add_generic_rpc_handlers((handler,))
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def _publish(self, request: bytes, context: Any) -> Any:
        import grpc

        status, after = self.fails.pop(0) if self.fails else ("", False)
        if status and not after:
            context.abort(grpc.StatusCode[status], "by the test")
        answer = self._channel.unary_unary("/google.pubsub.v1.Publisher/Publish")(request, timeout=10)
        self.passed += 1
        if status:
            context.abort(grpc.StatusCode[status], "by the test")
        return answer

    def close(self) -> None:
        self._server.stop(None).wait()
        self._threads.shutdown()
        self._channel.close()


@pytest.fixture
def way(pubsub: PubSub) -> Iterator[Way]:
    way = Way(pubsub.address)
    yield way
    way.close()


@pytest.fixture
async def shaky(way: Way, project: str) -> AsyncIterator[PubSubWakes]:
    topic = Topic(f"{project}/topics/sessions", endpoint=way.address, patience=1.5)
    yield PubSubWakes(topic)
    await topic.close()


@pytest.mark.parametrize("status", ["UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "ABORTED", "UNKNOWN"])
@pytest.mark.parametrize("after", [False, True])
async def test_w1_a_passing_fault_loses_nothing(
    way: Way, shaky: PubSubWakes, sink: Sink, status: str, after: bool
) -> None:
    way.fails = [(status, after)]
    await shaky.publish(Wake(KEY, look=True))
    assert way.passed == 1 + after
    assert set(await wakes_at(sink, {KEY})) == {Wake(KEY, look=True)}


async def test_an_outage_is_said_and_what_was_sent_may_come_all_the_same(
    way: Way, shaky: PubSubWakes, sink: Sink
) -> None:
    way.fails = [("UNAVAILABLE", True)] + [("UNAVAILABLE", False)] * 100
    with pytest.raises(Retryable, match="took no message"):
        await shaky.publish(Wake(KEY))
    assert await wakes_at(sink, {KEY}) == [Wake(KEY)]


async def test_a_refusal_is_said_at_once(way: Way, shaky: PubSubWakes) -> None:
    way.fails = [("PERMISSION_DENIED", False)]
    with pytest.raises(Retryable, match="PermissionDenied"):
        await shaky.publish(Wake(KEY))
    assert (way.fails, way.passed) == ([], 0)


async def test_a_topic_that_is_not_there_is_said(pubsub: PubSub, project: str) -> None:
    topic = Topic(f"{project}/topics/other", endpoint=pubsub.address)
    with pytest.raises(Retryable, match="other"):
        await PubSubFeed(topic).publish(replace(HEAD), events(1, 1))
    await topic.close()
