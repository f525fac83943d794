"""All of Google Cloud that sessions need, as one backend: Firestore, Cloud Storage, Pub/Sub and Cloud Tasks."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from datetime import datetime

from onward.adapters.gcp.diagnosis import MANY, diagnose
from onward.adapters.gcp.firestore import FirestoreStore
from onward.adapters.gcp.firestore_client import Client
from onward.adapters.gcp.firestore_incarnations import FirestoreIncarnations
from onward.adapters.gcp.firestore_lists import Overdue
from onward.adapters.gcp.firestore_sweeps import FirestoreSweeps
from onward.adapters.gcp.firestore_switches import FirestoreSwitches
from onward.adapters.gcp.pubsub import PubSubFeed, PubSubWakes, Topic
from onward.adapters.gcp.storage import StorageBlobs
from onward.adapters.gcp.tasks import TaskTimers
from onward.config import CloudPlace, CloudSettings
from onward.core.head import Head
from onward.errors import UsageError
from onward.ports import Clock, Diagnosis, Errand, SessionStore, Timers, Wake

FIRST_LOOK, LAST_LOOK = 0.1, 1.0
"""Seconds between two looks at a head that somebody waits for: fewer at first."""


class CloudQueue:
    """How wakes go out: at once as messages, later as tasks."""

    def __init__(self, wakes: PubSubWakes, timers: Timers) -> None:
        self._wakes = wakes
        self._timers = timers

    async def publish(self, wake: Wake) -> None:
        """Publish a wake. Raises Retryable."""
        await self._wakes.publish(wake)

    async def arm(self, key: str, at: datetime) -> None:
        """Arm a timer. Raises Retryable."""
        await self._timers.arm(key, at)

    async def send(self, errand: Errand, at: datetime) -> None:
        """Send an errand. Raises Retryable."""
        await self._timers.send(errand, at)


class NoTimers:
    """The Timers port of a process that moves no session: it knows no queue, and has no use for one."""

    async def arm(self, key: str, at: datetime) -> None:
        """Raises UsageError."""
        raise UsageError("timers are armed by the functions of a deployment, and by nobody else")

    async def send(self, errand: Errand, at: datetime) -> None:
        """Raises UsageError."""
        raise UsageError("errands are sent by the functions of a deployment, and by nobody else")

    async def close(self) -> None:
        return None


class CloudBackend:
    """Sessions in one project. Nothing is loaded or reached before it is needed, and each event loop has connections of
    its own. `watch` puts something between the store and its user. With the settings of the functions it has all that
    moving a session takes; with others, timers and the secret of completion tokens are missing."""

    def __init__(
        self, settings: CloudPlace, clock: Clock, watch: Callable[[SessionStore], SessionStore] | None = None
    ) -> None:
        self._clock, self._place = clock, settings
        client = Client(settings.project, settings.database, settings.firestore_emulator)
        self._client = client
        store = FirestoreStore(client, clock, settings.lease)
        self.store: SessionStore = watch(store) if watch else store
        self.switches = FirestoreSwitches(client)
        self.incarnations = FirestoreIncarnations(client)
        self.sweeps = FirestoreSweeps(client)
        self.blobs = StorageBlobs(settings.bucket, project=settings.project, endpoint=_url(settings.storage_emulator))
        self._sessions = Topic(settings.sessions_topic_path, endpoint=settings.pubsub_emulator)
        self._events = Topic(settings.events_topic_path, endpoint=settings.pubsub_emulator)
        self._timers = _timers(settings, clock) if isinstance(settings, CloudSettings) else NoTimers()
        self.queue = CloudQueue(PubSubWakes(self._sessions), self._timers)
        self.feed = PubSubFeed(self._events)
        # One that nobody knows accepts no token.
        self.secret = settings.secret if isinstance(settings, CloudSettings) else secrets.token_bytes(32)

    async def wait_for(self, key: str, test: Callable[[Head], bool], timeout: float) -> Head | None:
        """The session's head once it passes the test; None where `timeout` seconds pass without."""
        end, pause = self._clock.monotonic() + timeout, FIRST_LOOK
        while True:
            head = await self.store.read(key)
            if head is not None and test(head):
                return head
            if self._clock.monotonic() + pause >= end:
                return None
            await self._clock.sleep(pause)
            pause = min(LAST_LOOK, pause * 1.5)

    async def wait_for_commit(self, key: str, after_seq: int, timeout: float) -> bool:
        """Whether the session goes past this seq within `timeout` seconds."""
        return await self.wait_for(key, lambda head: head.seq > after_seq, timeout) is not None

    async def diagnose(self) -> Diagnosis:
        """Whether the database answers, what nobody has looked at in time, and what is in use."""
        overdue = Overdue(self._client, self._clock.now(), self._place.lease, MANY)
        return await diagnose(self.store, self._place, overdue)

    async def close(self) -> None:
        """Close the connections of the running event loop."""
        closing = (self._sessions, self._events, self._timers, self.blobs, self.store)
        await asyncio.gather(*(part.close() for part in closing))


def _timers(settings: CloudSettings, clock: Clock) -> TaskTimers:
    return TaskTimers(
        settings.queue_path,
        settings.resume_url,
        clock,
        service_account=settings.service_account,
        endpoint=settings.tasks_emulator,
    )


def _url(host: str | None) -> str | None:
    return f"http://{host}" if host and "://" not in host else host
