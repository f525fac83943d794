"""The engine on real messages: wakes and events over Pub/Sub, timers over Cloud Tasks, large values in Cloud Storage.

Only the store is in memory. What arrives by push or as a task is advanced; nothing else moves a session.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import pytest

from emulators.pubsub import PubSub
from onward import Agent, App, ScriptedModel, sleep, tool
from onward.adapters.gcp.messages import SessionEvent, Told, parse_session_message, session_event
from onward.adapters.gcp.messages_envelopes import parse_push, parse_task
from onward.adapters.gcp.pubsub import PubSubFeed, PubSubWakes, Topic
from onward.adapters.gcp.reader import EventReader, Subscription
from onward.adapters.gcp.storage import StorageBlobs
from onward.adapters.gcp.tasks import TaskTimers
from onward.adapters.local.clock import SystemClock
from onward.adapters.local.memory import MemoryBackend
from onward.core.events import Actor
from onward.core.ids import session_key
from onward.core.signals import Signal, filed_as
from onward.engine.gateway import Start
from onward.errors import Retryable
from onward.ports import Wake
from onward.wiring import Parts, assemble
from tests.emulator.sink import Arrival, Sink

DONE = "session_completed"


@tool(effect="read")
async def look_up(order: int) -> str:
    """Look up an order."""
    return "x" * 100_000


def app() -> App:
    turns = [
        {"calls": [{"tool": "look_up", "arguments": {"order": 7}}]},
        {"calls": [{"tool": "sleep", "arguments": {"wait": "1s"}}]},
        {"text": "Done."},
    ]
    return App(programs=[Agent("desk", model=ScriptedModel(turns), tools=[look_up, sleep])])


class Queue:
    """Wakes and timers, as the engine wants them."""

    def __init__(self, wakes: PubSubWakes, timers: TaskTimers) -> None:
        self._wakes, self._timers = wakes, timers

    async def publish(self, wake: Wake) -> None:
        await self._wakes.publish(wake)

    async def arm(self, key: str, at: datetime) -> None:
        await self._timers.arm(key, at)


class World:
    """One process of the engine, and the services around it."""

    def __init__(self, project: str, pubsub: PubSub, tasks: Any, storage: Any) -> None:
        self.loop = asyncio.get_running_loop()
        self.push, self.resume = Sink(self.on_push), Sink(self.on_task)
        queue = f"{project}/locations/l/queues/resume"
        pubsub.make_subscription(f"{project}/subscriptions/advance", f"{project}/topics/sessions", push=self.push.url)
        pubsub.make_subscription(f"{project}/subscriptions/follow", f"{project}/topics/events")
        tasks.make_queue(queue)
        storage.make_bucket("sessions")
        clock = SystemClock()
        self.topics = [Topic(f"{project}/topics/{name}", endpoint=pubsub.address) for name in ("sessions", "events")]
        self.timers = TaskTimers(queue, self.resume.url, clock, service_account=None, endpoint=tasks.address)
        self.blobs = StorageBlobs("sessions", endpoint=storage.url)
        self.source = Subscription(f"{project}/subscriptions/follow", endpoint=pubsub.address, wait=2.0)
        backend: Any = MemoryBackend(clock)
        backend.blobs, backend.feed = self.blobs, PubSubFeed(self.topics[1])
        backend.queue = Queue(PubSubWakes(self.topics[0]), self.timers)
        self.parts: Parts = assemble(backend, clock, app())
        self.parts.renewer.start()

    def on_push(self, headers: dict[str, str], body: bytes) -> int:
        said = parse_session_message(parse_push(headers, body))
        return self._do(self._tell(said) if isinstance(said, Told) else self._advance(said))

    def on_task(self, headers: dict[str, str], body: bytes) -> int:
        return self._do(self._advance(parse_task(headers, body).wake))

    async def _advance(self, wake: Any) -> None:
        await self.parts.engine.advance(wake)

    async def _tell(self, told: Told) -> None:
        sender = Actor(kind="external")
        signal = Signal(filed_as(sender, told.kind, told.key), told.kind, told.body, sender)
        await self.parts.gateway.file(told.storage_key, signal)

    def _do(self, doing: Any) -> int:
        try:
            asyncio.run_coroutine_threadsafe(doing, self.loop).result(30)
            return 204
        except Retryable:
            return 503

    async def close(self) -> None:
        await asyncio.gather(asyncio.to_thread(self.push.close), asyncio.to_thread(self.resume.close))
        await self.parts.close()
        for closing in (*self.topics, self.timers, self.source, self.blobs):
            await closing.close()

    async def start(self, id: str) -> None:
        await self.parts.gateway.start(Start(id, "desk", "1", "Order 7?"), Actor(kind="person", name="ann"))

    async def fetch(self, tenant: str, session: str, after: int) -> list[SessionEvent]:
        key = session_key(tenant, session)
        head, commits = await self.parts.backend.store.read(key), await self.parts.backend.store.commits(key, after)
        assert head is not None
        events = [event for commit in commits for event in self.parts.loader.events(commit)]
        return [session_event(head, event) for event in events if event.seq > after]


@pytest.fixture
async def world(pubsub: PubSub, project: str) -> AsyncIterator[World]:
    for package in ("google.cloud.tasks_v2", "google.cloud.storage"):
        pytest.importorskip(package, reason=f"{package} is missing: pip install -e '.[gcp]'")
    from emulators.storage import Storage
    from emulators.tasks import Tasks

    with Tasks() as tasks, Storage() as storage:
        world = World(project, pubsub, tasks, storage)
        yield world
        await world.close()


async def test_sessions_are_moved_by_messages_alone_and_followed_to_their_end(world: World) -> None:
    ids = {f"order-{n}" for n in range(5)}
    world.push.answers = [500, 503]  # these two come again
    for id in ids:
        await world.start(id)
    applied: dict[str, list[SessionEvent]] = {}

    async def position(tenant: str, session: str) -> int:
        return len(applied.get(session, []))

    async for event in EventReader(world.source, position=position, fetch=world.fetch).events():
        applied.setdefault(event.session, []).append(event)
        if {id for id, events in applied.items() if events[-1].kind == DONE} == ids:
            break
    for id, events in applied.items():
        log = await world.fetch("default", id, 0)
        assert [(event.seq, event.kind, event.body) for event in events] == [
            (event.seq, event.kind, event.body) for event in log
        ]
        commits = await world.parts.backend.store.commits(session_key("default", id))
        assert any(part.encoding == "blob" for commit in commits for r in commit.records for part in r.private.values())
    keys = {session_key("default", id) for id in ids}
    timers = await asyncio.to_thread(world.resume.wait, lambda tasks: keys_of(tasks) >= keys)
    assert keys_of(timers) == keys
    assert {task.status for task in timers} == {204}


def keys_of(tasks: list[Arrival]) -> set[str]:
    return {parse_task(task.headers, task.body).wake.key for task in tasks}


async def test_a_signal_that_anybody_publishes_reaches_its_session(world: World, pubsub: PubSub, project: str) -> None:
    said = b'{"version": 1, "session": "order-1", "kind": "cancel", "body": {"reason": "a mistake"}}'
    pubsub.publish(f"{project}/topics/sessions", base64.b64encode(said).decode())
    (arrival, *_) = await asyncio.to_thread(world.push.wait, 1)
    assert arrival.status == 204
    inbox = await world.parts.backend.store.pending(session_key("default", "order-1"))
    assert [(signal.kind, signal.sender.kind) for signal in inbox.signals] == [("cancel", "external")]
