"""The server: who may ask, and what becomes of a request."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from emulators.gemini.answers import STATUS, chunks, error, response
from emulators.gemini.rules import refusal
from emulators.gemini.script import Turn
from emulators.gemini.wire import camel
from emulators.serving import Reply, Served

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


class Emulator(Served):
    """Gemini, served: plays `turns`, one for each request that it accepts. `requests` are all that came. Any `gemini-`
    model is known; `key` opens it, as an API key or as the access token that its `/token` gives out."""

    def __init__(self, turns: Iterable[Turn | Mapping[str, Any]] = (), *, key: str = KEY, port: int = 0) -> None:
        self.key = key
        self.requests: list[Request] = []
        self._turns: list[Turn] = []
        self._played = 0
        self._lock = threading.Lock()
        self.play(*turns)
        super().__init__(port)

    def play(self, *turns: Turn | Mapping[str, Any]) -> None:
        """Put turns at the end of the script. Raises ScriptError."""
        self._turns += [turn if isinstance(turn, Turn) else Turn.read(turn) for turn in turns]

    def handle(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
        if path == "/token":
            token = {"access_token": self.key, "expires_in": 3600, "token_type": "Bearer"}
            return _answer(200, json.dumps(token))
        request = Request(path, headers, _parsed(body))
        with self._lock:
            self.requests.append(request)
        reply = self._reply(method, request)
        request.status = reply.status
        return reply

    def _reply(self, method: str, request: Request) -> Reply:
        found = _PATH.fullmatch(urlsplit(request.path).path)
        if found is None or method != "POST":
            return _refused(404, "Requested entity was not found.")
        model, asked = found["model"] or found["vmodel"], found["method"] or found["vmethod"]
        refused = self._unknown(request, vertex=found["vmodel"] is not None) or _not_there(model, asked)
        problem = None if refused else refusal(model, request.body)
        if refused or problem:
            return refused or _refused(400, problem or "")
        turn = self._next()
        if turn is None:
            return _refused(400, f"the emulator's script has {len(self._turns)} turns, and all of them were played")
        streamed = asked == "streamGenerateContent"
        if streamed and parse_qs(urlsplit(request.path).query).get("alt") != ["sse"]:
            return _refused(400, "the emulator streams with alt=sse only")
        return _played(turn, model, request.body, streamed)

    def _unknown(self, request: Request, vertex: bool) -> Reply | None:
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


def _refused(code: int, message: str, retry: float | None = None, header: float | None = None) -> Reply:
    headers = {} if header is None else {"Retry-After": f"{header:g}"}
    return _answer(code, json.dumps(error(code, message, retry)), **headers)


def _answer(status: int, text: str, kind: str = "application/json", **headers: str) -> Reply:
    return Reply(status, text.encode(), {"Content-Type": kind, **headers}, STATUS.get(status))


def _not_there(model: str, method: str) -> Reply | None:
    if model.startswith("gemini-") and method in ("generateContent", "streamGenerateContent"):
        return None
    return _refused(404, f"models/{model} is not found for API version v1, or is not supported for {method}.")


def _played(turn: Turn, model: str, request: Any, streamed: bool) -> Reply:
    if turn.error is not None:
        said = {"message": "the script says so", "retry": None, "header": None, **turn.error}
        reply = _refused(**said)
    elif turn.body is not None:
        reply = _answer(200, turn.body)
    elif streamed:
        events = [f"data: {json.dumps(chunk)}\r\n\r\n" for chunk in chunks(turn, model, request)]
        reply = _answer(200, "".join(events), "text/event-stream")
    else:
        reply = _answer(200, json.dumps(response(turn, model, request)))
    return replace(reply, cut=turn.cut, delay=turn.delay)
