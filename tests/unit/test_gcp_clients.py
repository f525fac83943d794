"""One client for each event loop, and what fails on the way to one."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
from typing import Any

import pytest

from onward.adapters.gcp.clients import PerLoop
from onward.adapters.gcp.pubsub import PubSubWakes, Topic
from onward.adapters.gcp.reader import Subscription
from onward.adapters.gcp.storage import StorageBlobs
from onward.adapters.gcp.tasks import TaskTimers
from onward.adapters.local.clock import SystemClock
from onward.errors import Retryable
from onward.ports import Wake

KEY = "a" * 32


class Maker:
    """Makes numbers, once it may."""

    def __init__(self) -> None:
        self.made = 0
        self.fails = 0
        self.may = asyncio.Event()

    async def make(self) -> int:
        await self.may.wait()
        if self.fails:
            self.fails -= 1
            raise RuntimeError("not now")
        self.made += 1
        return self.made


async def test_those_who_ask_at_once_share_one() -> None:
    maker = Maker()
    maker.may.set()
    clients = PerLoop(maker.make)
    assert await asyncio.gather(*(clients.get() for _ in range(5))) == [1] * 5
    assert await clients.get() == 1


async def test_who_gives_up_does_not_take_it_from_the_others() -> None:
    maker = Maker()
    clients = PerLoop(maker.make)
    asking = [asyncio.create_task(clients.get()) for _ in range(2)]
    await asyncio.sleep(0)
    asking[0].cancel()
    await asyncio.sleep(0)
    maker.may.set()
    assert await asking[1] == 1
    assert asking[0].cancelled()


async def test_after_a_failure_the_next_tries_again() -> None:
    maker = Maker()
    maker.may.set()
    maker.fails = 1
    clients = PerLoop(maker.make)
    with pytest.raises(RuntimeError, match="not now"):
        await clients.get()
    assert await clients.get() == 1


async def test_each_loop_has_its_own_until_it_is_taken() -> None:
    maker = Maker()
    maker.may.set()
    clients = PerLoop(maker.make)
    assert await clients.get() == 1
    assert await asyncio.to_thread(asyncio.run, clients.get()) == 2
    assert await clients.get() == 1
    assert await clients.take() == 1
    assert await clients.take() is None
    assert await clients.get() == 3


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the machine has for credentials."""
    with contextlib.suppress(ModuleNotFoundError):
        if all(map(importlib.util.find_spec, ("google.pubsub_v1", "google.cloud.tasks_v2", "google.cloud.storage"))):
            import google.auth

            for name in ("PUBSUB_EMULATOR_HOST", "STORAGE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS"):
                monkeypatch.delenv(name, raising=False)

            def give(found: Any) -> None:
                def default(*_: Any, **__: Any) -> Any:
                    if isinstance(found, Exception):
                        raise found
                    return found, "project"

                monkeypatch.setattr(google.auth, "default", default)

            return give
    pytest.skip("google-cloud-pubsub, -tasks or -storage is missing: pip install -e '.[gcp]'")


async def test_a_machine_without_credentials_says_so(credentials: Any) -> None:
    from google.auth.exceptions import DefaultCredentialsError

    credentials(DefaultCredentialsError("nobody is here"))
    topic, subscription = Topic("projects/p/topics/t"), Subscription("projects/p/subscriptions/s")
    timers = TaskTimers("projects/p/locations/l/queues/q", "http://u/", SystemClock(), service_account=None)
    blobs = StorageBlobs("sessions")
    clock = SystemClock()
    for doing in (
        PubSubWakes(topic).publish(Wake(KEY)),
        timers.arm(KEY, clock.now()),
        blobs.get(KEY, "x"),
        subscription.pull(),
        subscription.acknowledge(["x"]),
    ):
        with pytest.raises(Retryable, match="nobody is here"):
            await doing
    await blobs.close()


async def test_with_credentials_each_makes_its_client(credentials: Any) -> None:
    from google.auth.credentials import AnonymousCredentials

    credentials(AnonymousCredentials())
    topic, subscription = Topic("projects/p/topics/t"), Subscription("projects/p/subscriptions/s")
    timers = TaskTimers("projects/p/locations/l/queues/q", "http://u/", SystemClock(), service_account=None)
    publisher: Any = await topic._clients.get()
    subscriber: Any = await subscription._clients.get()
    tasks: Any = await timers._clients.get()
    assert publisher.transport.host == subscriber.transport.host == "pubsub.googleapis.com:443"
    assert tasks.transport.host == "cloudtasks.googleapis.com:443"
    for closing in (topic, subscription, timers):
        await closing.close()
