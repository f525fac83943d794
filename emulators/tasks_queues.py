"""Queues and their tasks: what may be created, when each is due, and what becomes of it after an attempt."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
from google.cloud.tasks_v2 import HttpMethod, Queue, RetryConfig, Task

FURTHEST = 30 * 86400
NAME_STAYS_TAKEN = 24 * 3600
"""Seconds after a task is done or deleted, as long as the service says at most."""

LARGEST = 1024 * 1024
DEFAULTS = {"min_backoff": 0.1, "max_backoff": 3600.0, "max_doublings": 16, "max_attempts": 100}


class Refusal(Exception):
    """The service says no: a gRPC status, and why."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(slots=True)
class Entry:
    """A task, when it is due next, and whether it is just being delivered."""

    task: Task
    due: float
    running: bool = False
    last_status: int | None = None


@dataclass(slots=True)
class Queues:
    """All queues. `now` is the service's time, in seconds. Every method raises Refusal."""

    now: Callable[[], float]
    queues: dict[str, Queue] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)
    _taken_until: dict[str, float] = field(default_factory=dict)
    _count: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    # --- queues ------------------------------------------------------------------------------------------------

    def make_queue(self, queue: Queue) -> Queue:
        if queue.name in self.queues:
            raise Refusal(grpc.StatusCode.ALREADY_EXISTS, "Queue already exists")
        self.queues[queue.name] = queue
        return self.set_state(queue.name, Queue.State.RUNNING)

    def queue(self, name: str) -> Queue:
        if name not in self.queues:
            raise Refusal(grpc.StatusCode.NOT_FOUND, "Requested entity was not found.")
        return self.queues[name]

    def set_state(self, name: str, state: Any) -> Queue:
        self.queue(name).state = state
        return self.queue(name)

    def drop_queue(self, name: str) -> None:
        self.purge(name)
        del self.queues[name]

    def purge(self, name: str) -> Queue:
        for entry in self.of(name):
            self._end(entry)
        return self.queue(name)

    def of(self, queue: str) -> list[Entry]:
        """A queue's tasks, in the order of their names."""
        self.queue(queue)
        return [entry for name, entry in sorted(self.entries.items()) if _queue_of(name) == queue]

    # --- tasks -------------------------------------------------------------------------------------------------

    def create(self, parent: str, asked: Task) -> Task:
        self.queue(parent)
        task, now = Task(asked), self.now()
        _check(task, now)
        task.name = task.name or f"{parent}/tasks/{next(self._count):020d}"
        if _queue_of(task.name) != parent:
            raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "The queue name from request does not match the task's.")
        if task.name in self.entries or self._taken_until.get(task.name, 0.0) > now:
            raise Refusal(grpc.StatusCode.ALREADY_EXISTS, "Requested entity already exists")
        due = max(_seconds(task.schedule_time) or now, now)
        task.schedule_time, task.create_time = _time(due), _time(now)
        task.http_request.http_method = HttpMethod(task.http_request.http_method or HttpMethod.POST)
        self.entries[task.name] = Entry(task, due)
        return task

    def get(self, name: str) -> Entry:
        if name not in self.entries:
            recently = self._taken_until.get(name, 0.0) > self.now()
            why = "The task no longer exists, though a task with this name existed recently." if recently else ""
            raise Refusal(grpc.StatusCode.NOT_FOUND, why or "Requested entity was not found.")
        return self.entries[name]

    def delete(self, name: str) -> None:
        self._end(self.get(name))

    def run(self, name: str) -> Task:
        """Make it due now, even in a queue that is paused."""
        entry = self.get(name)
        entry.due = 0.0
        return entry.task

    def _end(self, entry: Entry) -> None:
        self.entries.pop(entry.task.name, None)
        self._taken_until[entry.task.name] = self.now() + NAME_STAYS_TAKEN

    # --- delivery ----------------------------------------------------------------------------------------------

    def take_due(self) -> list[Entry]:
        """What is to be delivered now; each is under way until `attempted`."""
        waiting = sorted(self.entries.values(), key=lambda entry: entry.due)
        due = [entry for entry in waiting if entry.due <= self.now() and self._may(entry)]
        for entry in due:
            entry.running = True
            entry.task.dispatch_count += 1
        return due

    def next_due(self) -> float | None:
        """When something is due next."""
        return min((entry.due for entry in self.entries.values() if self._may(entry)), default=None)

    def _may(self, entry: Entry) -> bool:
        queue = self.queues[_queue_of(entry.task.name)]
        return not entry.running and (queue.state == Queue.State.RUNNING or entry.due == 0.0)

    def attempted(self, entry: Entry, status: int | None) -> None:
        """An attempt ended with this status, or without an answer. It is done, or due again, or given up."""
        entry.running, entry.last_status = False, status
        entry.task.response_count += status is not None
        if entry.task.name not in self.entries:
            return
        config = self.queues[_queue_of(entry.task.name)].retry_config
        most = config.max_attempts or DEFAULTS["max_attempts"]
        if (status is not None and 200 <= status < 300) or 0 < most <= entry.task.dispatch_count:
            return self._end(entry)
        entry.due = self.now() + backoff(config, entry.task.dispatch_count)
        entry.task.schedule_time = _time(entry.due)


def backoff(config: RetryConfig, attempts: int) -> float:
    """Seconds until the attempt after this many: doubling, then growing by the same, and never above the most."""
    least = _span(config.min_backoff) or DEFAULTS["min_backoff"]
    most = _span(config.max_backoff) or DEFAULTS["max_backoff"]
    doublings = config.max_doublings or int(DEFAULTS["max_doublings"])
    grown = least * 2.0 ** min(attempts - 1, doublings) * max(1, attempts - doublings)
    return min(most, grown)


def _check(task: Task, now: float) -> None:
    request, wrong = task.http_request, grpc.StatusCode.INVALID_ARGUMENT
    if not request.url.startswith(("http://", "https://")):
        raise Refusal(wrong, "HttpRequest.url is required, and must start with 'http://' or 'https://'.")
    if len(Task.serialize(task)) > LARGEST:
        raise Refusal(wrong, "Task size too large")
    if (_seconds(task.schedule_time) or now) - now > FURTHEST:
        raise Refusal(wrong, "The Task.scheduleTime must be at most 30 days in the future.")


def _queue_of(task: str) -> str:
    return task.rpartition("/tasks/")[0]


def _seconds(at: datetime | None) -> float | None:
    return at.timestamp() if at else None


def _span(span: timedelta | None) -> float:
    return span.total_seconds() if span else 0.0


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
