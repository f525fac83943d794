"""Where pushes, tasks and jobs arrive: an HTTP server that keeps what it is sent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PATIENCE = 30.0
"""Seconds until a test gives up on what should come."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request, when it came, and the status that it was answered with."""

    headers: dict[str, str]
    body: bytes
    at: float
    status: int


class Sink:
    """Listens at `url` until it is closed. `answers` are the statuses of the next requests; after those it is what
    `act` makes of headers and body."""

    def __init__(self, act: Callable[[dict[str, str], bytes], int] = lambda headers, body: 204) -> None:
        self.answers: list[int] = []
        self._act = act
        self.arrivals: list[Arrival] = []
        self._news = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

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


def _handler(sink: Sink) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status = sink.take({name.lower(): value for name, value in self.headers.items()}, body)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_PUT = _any

        def log_message(self, format: str, *args: object) -> None:
            """What arrived is kept instead."""

    return Handler
