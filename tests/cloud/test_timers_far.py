"""A timer further ahead than Cloud Tasks takes a task for (R14), through the functions as they are deployed."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from emulators.cloud import SESSIONS, Cloud
from emulators.cloud_sdk import Missing
from onward.config import CloudSettings
from onward.core.head import Head
from onward.core.ids import session_key
from onward.engine.load import Loader
from onward.wiring import Parts, cloud

PATIENCE = 40.0
KEY = session_key("default", "s-far")
MONTH = timedelta(days=30)
"""The furthest that the service takes a task for."""

MINUTE = timedelta(minutes=1)


class World:
    """A cloud of its own, in which it can be so many days later."""

    def __init__(self, folder: Path) -> None:
        self._days = folder / "days"
        self._be_later(0)
        app = str(Path(__file__).with_name("later.py"))
        self.cloud = Cloud(app, folder=folder / "cloud", settings={"DAYS": str(self._days)}, sweep_every=3600)
        self.parts: Parts = cloud(CloudSettings.from_env(self.cloud.environment))

    def pass_days(self, days: float) -> None:
        """Let them pass, for the functions, the database and the tasks."""
        self._be_later(float(self._days.read_text()) + days)
        self.cloud.tasks.advance(days * 86400)

    def _be_later(self, days: float) -> None:
        """At one stroke, for somebody may be reading."""
        written = self._days.with_suffix(".new")
        written.write_text(str(days))
        written.replace(self._days)

    async def start(self, **body: Any) -> None:
        said = {"version": 1, "session": "s-far", "kind": "start", "body": {"program": "desk", "input": "Hi"} | body}
        data = base64.b64encode(json.dumps(said).encode()).decode()
        await asyncio.to_thread(self.cloud.pubsub.publish, self.cloud.topic(SESSIONS), data)

    def tasks(self) -> list[datetime]:
        """When the tasks that wait are due."""
        return sorted(task.schedule_time for task in self.cloud.tasks.waiting(self.cloud.queue))

    async def until(self, test: Callable[[Head], bool]) -> Head:
        """The session's head, once it passes this test."""
        return await self._until(lambda head: head is not None and test(head))

    async def armed(self, test: Callable[[list[datetime]], bool]) -> list[datetime]:
        """The tasks, once they pass this test."""
        await self._until(lambda head: test(self.tasks()))
        return self.tasks()

    async def _until(self, test: Callable[[Head | None], bool]) -> Any:
        end = time.monotonic() + PATIENCE
        while True:
            head = await self.parts.backend.store.read(KEY)
            if test(head):
                return head
            said = "\n".join(function.said() for function in self.cloud.functions.values())
            assert time.monotonic() < end, f"{head}\n{self.tasks()}\n{said}"
            await asyncio.sleep(0.1)

    async def events(self) -> list[Any]:
        return [event for commit in await self.parts.backend.store.commits(KEY) for event in Loader.events(commit)]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    try:
        made = World(tmp_path)
    except Missing as exc:
        pytest.skip(str(exc))
    yield made
    made.cloud.close()


async def test_r14_a_timer_of_31_days(world: World) -> None:
    """The first task comes as late as a task may, finds that it is too early, and arms the next; that one starts it."""
    began = datetime.now(UTC)
    due = began + timedelta(days=31)
    await world.start(not_before=due.isoformat())
    waiting = await world.until(lambda head: head.wake_at is not None and head.status == "scheduled")
    (first,) = await world.armed(lambda tasks: len(tasks) == 1)
    assert MONTH - 120 * MINUTE < first - began < MONTH

    world.pass_days(30)
    (second,) = await world.armed(lambda tasks: len(tasks) == 1 and tasks != [first])
    early = await world.until(lambda head: True)
    assert abs(second - due) < timedelta(seconds=1)
    assert (early.seq, early.wake_at) == (waiting.seq, waiting.wake_at)

    world.pass_days(1)
    ended = await world.until(lambda head: head.ended)
    events = await world.events()
    await world.parts.close()
    assert ended.status == "completed"
    assert [event.kind for event in events] == ["session_started", "timer_fired", "model_answered", "session_completed"]
    assert timedelta() <= events[1].at - due < 5 * MINUTE
    assert world.cloud.tasks.calls.count("CreateTask") == 2
