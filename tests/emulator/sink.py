"""Where pushes, tasks and jobs arrive: an HTTP server that keeps what it is sent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from emulators.serving import Reply, Served

PATIENCE = 30.0
"""Seconds until a test gives up on what should come."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request, when it came, and the status that it was answered with."""

    headers: dict[str, str]
    body: bytes
    at: float
    status: int


class Sink(Served):
    """Listens at `url` until it is closed. `answers` are the statuses of the next requests; after those it is what
    `act` makes of headers and body."""

    def __init__(self, act: Callable[[dict[str, str], bytes], int] = lambda headers, body: 204) -> None:
        self.answers: list[int] = []
        self._act = act
        self.arrivals: list[Arrival] = []
        self._news = threading.Condition()
        super().__init__()

    def handle(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
        return Reply(self.take(headers, body))

    def take(self, headers: dict[str, str], body: bytes) -> int:
        with self._news:
            answer = self.answers.pop(0) if self.answers else None
        status = answer or self._act(headers, body)
        with self._news:
            self.arrivals.append(Arrival(headers, body, time.time(), status))
            self._news.notify_all()
            return status

    def wait(self, enough: Callable[[list[Arrival]], bool] | int) -> list[Arrival]:
        """What arrived, once it is enough: so many requests, or what the function says."""
        test = enough if callable(enough) else lambda arrivals: len(arrivals) >= enough
        with self._news:
            assert self._news.wait_for(lambda: test(self.arrivals), PATIENCE), f"too little arrived: {self.arrivals}"
            return list(self.arrivals)
