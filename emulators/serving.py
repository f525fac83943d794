"""How a stand-in is served: over HTTP, on this machine, from its making until it is closed."""

from __future__ import annotations

import socket
import threading
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

NOTHING = -1


@dataclass(slots=True)
class Reply:
    """What is answered, after `delay` seconds. `reason` stands beside the status, if not the usual words. With `cut`
    only so many bytes of the body are sent before the connection is closed; with NOTHING, none of the answer at all."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    reason: str | None = None
    cut: int | None = None
    delay: float = 0.0


class Served(ABC):
    """Listens at `url`, each request in a thread of its own."""

    def __init__(self, port: int = 0) -> None:
        self._server = _Server(("127.0.0.1", port), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @abstractmethod
    def handle(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
        """Answer one request; the names of headers are in lower case."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def wait(self) -> None:
        """Until it is closed, or a key interrupts."""
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


def _handler(served: Served) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = served.handle(self.command, self.path, headers, body)
            time.sleep(reply.delay)
            self._send(reply)

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _any

        def _send(self, reply: Reply) -> None:
            if reply.cut != NOTHING:
                self.send_response(reply.status, reply.reason)
                for name, value in (reply.headers | {"Content-Length": str(len(reply.body))}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body[: reply.cut])
                self.wfile.flush()
            if reply.cut is not None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)

        def log_message(self, format: str, *args: object) -> None:
            """Requests are recorded instead."""

    return Handler
