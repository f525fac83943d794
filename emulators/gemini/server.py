"""The server: who may ask, and what becomes of a request."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from emulators.gemini.answers import STATUS, chunks, error, response
from emulators.gemini.rules import refusal
from emulators.gemini.script import Turn
from emulators.gemini.wire import camel

KEY = "test-key"
_PATH = re.compile(
    r"/(?:v1|v1beta)/models/(?P<model>[^/:]+):(?P<method>\w+)"
    r"|/v1beta1/(?:projects/[^/]+/locations/[^/]+/)?publishers/google/models/(?P<vmodel>[^/:]+):(?P<vmethod>\w+)"
)


@dataclass(slots=True)
class Request:
    """What was asked, as it came but for the spelling of names, and the status that it was answered with."""

    path: str
    headers: dict[str, str]
    body: Any
    status: int = 0


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    body: bytes
    kind: str = "application/json"
    headers: Mapping[str, str] | None = None
    cut: int | None = None
    delay: float = 0.0


class Emulator:
    """Listens on this machine at `url` from its making until it is closed, and plays `turns`, one for each request
    that it accepts. `requests` are all that came. Any `gemini-` model is known; `key` opens it, as an API key or as
    the access token that its `/token` gives out."""

    def __init__(self, turns: Iterable[Turn | Mapping[str, Any]] = (), *, key: str = KEY, port: int = 0) -> None:
        self.key = key
        self.requests: list[Request] = []
        self._turns: list[Turn] = []
        self._played = 0
        self._lock = threading.Lock()
        self.play(*turns)
        self._server = _Server(("127.0.0.1", port), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def __enter__(self) -> Emulator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def play(self, *turns: Turn | Mapping[str, Any]) -> None:
        """Put turns at the end of the script. Raises ScriptError."""
        self._turns += [turn if isinstance(turn, Turn) else Turn.read(turn) for turn in turns]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def wait(self) -> None:
        """Until it is closed, or a key interrupts."""
        self._thread.join()

    def handle(self, path: str, headers: dict[str, str], raw: bytes) -> _Reply:
        """Answer one request."""
        if path == "/token":
            token = {"access_token": self.key, "expires_in": 3600, "token_type": "Bearer"}
            return _Reply(200, json.dumps(token).encode())
        request = Request(path, headers, _parsed(raw))
        with self._lock:
            self.requests.append(request)
        reply = self._reply(request)
        request.status = reply.status
        return reply

    def _reply(self, request: Request) -> _Reply:
        found = _PATH.fullmatch(urlsplit(request.path).path)
        if found is None:
            return _refused(404, "Requested entity was not found.")
        model, method = found["model"] or found["vmodel"], found["method"] or found["vmethod"]
        refused = self._unknown(request, vertex=found["vmodel"] is not None) or _not_there(model, method)
        problem = None if refused else refusal(model, request.body)
        if refused or problem:
            return refused or _refused(400, problem or "")
        turn = self._next()
        if turn is None:
            return _refused(400, f"the emulator's script has {len(self._turns)} turns, and all of them were played")
        streamed = method == "streamGenerateContent"
        if streamed and parse_qs(urlsplit(request.path).query).get("alt") != ["sse"]:
            return _refused(400, "the emulator streams with alt=sse only")
        return _played(turn, model, request.body, streamed)

    def _unknown(self, request: Request, vertex: bool) -> _Reply | None:
        """Who asks has to be known: the service words each way of not being it differently."""
        given = request.headers.get("x-goog-api-key")
        bearer = request.headers.get("authorization")
        if self.key in (given, (bearer or "").removeprefix("Bearer ")):
            return None
        if vertex:
            return _refused(401, "Request had invalid authentication credentials.")
        if given is None:
            return _refused(403, "Method doesn't allow unregistered callers. Please use API Key or other form of API")
        return _refused(400, "API key not valid. Please pass a valid API key.")

    def _next(self) -> Turn | None:
        with self._lock:
            if self._played == len(self._turns):
                return None
            self._played += 1
            return self._turns[self._played - 1]


def _parsed(raw: bytes) -> Any:
    try:
        return camel(json.loads(raw))
    except ValueError:
        return None


def _refused(code: int, message: str, retry: float | None = None, header: float | None = None) -> _Reply:
    headers = {} if header is None else {"Retry-After": f"{header:g}"}
    return _Reply(code, json.dumps(error(code, message, retry)).encode(), headers=headers)


def _not_there(model: str, method: str) -> _Reply | None:
    if model.startswith("gemini-") and method in ("generateContent", "streamGenerateContent"):
        return None
    return _refused(404, f"models/{model} is not found for API version v1, or is not supported for {method}.")


def _played(turn: Turn, model: str, request: Any, streamed: bool) -> _Reply:
    if turn.error is not None:
        said = {"message": "the script says so", "retry": None, "header": None, **turn.error}
        reply = _refused(**said)
    elif turn.body is not None:
        reply = _Reply(200, turn.body.encode())
    elif streamed:
        events = [f"data: {json.dumps(chunk)}\r\n\r\n" for chunk in chunks(turn, model, request)]
        reply = _Reply(200, "".join(events).encode(), "text/event-stream")
    else:
        reply = _Reply(200, json.dumps(response(turn, model, request)).encode())
    return _Reply(reply.status, reply.body, reply.kind, reply.headers, turn.cut, turn.delay)


# --- HTTP ------------------------------------------------------------------------------------------------------


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


def _handler(emulator: Emulator) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            self._send(emulator.handle(self.path, headers, raw))

        def _send(self, reply: _Reply) -> None:
            if reply.delay:
                time.sleep(reply.delay)
            self.send_response(reply.status, STATUS.get(reply.status))
            self.send_header("Content-Type", reply.kind)
            self.send_header("Content-Length", str(len(reply.body)))
            for name, value in (reply.headers or {}).items():
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
