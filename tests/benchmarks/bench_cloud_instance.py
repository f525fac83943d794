"""Inside an instance that is measured: its requests to Google's services are counted and timed, and its processor time
is sampled. Nothing of the product is changed: what is wrapped is how gRPC sends.

The wakes that it has published are told to the benchmark besides, over a socket, and so is the end of a session; what
was noted is asked for over another one.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

EVERY = 0.005
"""Seconds of processor time between two samples."""

PLACES = (
    (f"{Path(__file__).parent}{os.sep}bench_cloud", "bench"),
    ("/shared/onward/", "onward"),
    ("/functions/main.py", "onward"),
    ("/tests/benchmarks/", "onward"),
    ("/site-packages/google/", "client"),
    ("/site-packages/grpc/", "client"),
    ("/site-packages/proto/", "client"),
    ("/site-packages/functions_framework/", "server"),
    ("/site-packages/starlette/", "server"),
    ("/site-packages/uvicorn", "server"),
    ("/site-packages/gunicorn/", "server"),
)
"""Whose work the code in a file is. What is in none of these works for who called it."""

LOOP = frozenset({"Handle._run", "BaseEventLoop._run_once"})
"""Where the event loop itself begins, which works for nobody."""


class Notes:
    """What one instance did since it was last asked."""

    def __init__(self, relay: int) -> None:
        self._relay, self._socket = ("127.0.0.1", relay), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._places: dict[CodeType, str | None] = {}
        self._since = {"process": 0.0, "main": 0.0}
        self.clear()

    def clear(self) -> None:
        self.requests: Counter[str] = Counter()
        self.seconds: Counter[str] = Counter()
        self.samples: Counter[str] = Counter()
        self.steps = 0
        self._since = _processor()

    def taken(self) -> dict[str, Any]:
        """All of it, as JSON; and it begins anew."""
        now, since = _processor(), self._since
        processor = {name: now[name] - since[name] for name in now}
        said = {"requests": self.requests, "seconds": self.seconds, "samples": self.samples}
        try:
            return {**said, "steps": self.steps, "processor": processor, "process": os.getpid()}
        finally:
            self.clear()

    # --- requests ----------------------------------------------------------------------------------------------

    def noting(self, send: Callable[..., Any]) -> Callable[..., Any]:
        """What sends a request, as a method of one that gRPC has for each kind of them; noted from now on."""

        def sent(to: Any, request: Any, *args: Any, **named: Any) -> Any:
            name, began = to._method.decode().rpartition("/")[2], time.perf_counter()
            call = send(to, request, *args, **named)
            call.add_done_callback(lambda _: self._done(name, request, time.perf_counter() - began))
            return call

        return sent

    def _done(self, name: str, request: Any, seconds: float) -> None:
        self.requests[name] += 1
        self.seconds[name] += seconds
        if name == "Publish":
            for message in type(request).pb(request).messages:
                self._published(message)

    def _published(self, message: Any) -> None:
        kind = message.attributes.get("kind")
        self.steps += kind == "call_completed"
        if message.attributes["class"] == "wake":
            self._socket.sendto(b"w" + message.data, self._relay)
        elif kind == "session_completed":
            self._socket.sendto(b"e" + message.attributes["session"].encode(), self._relay)

    # --- samples -----------------------------------------------------------------------------------------------

    def sample(self, number: int, frame: FrameType | None) -> None:
        """Whom the main thread works for, at a signal that comes after so much processor time of the process."""
        at = frame
        if at is not None and at.f_code.co_name == "select":
            return  # it waits: another thread used that time
        while at is not None and (place := self._place(at)) is None:
            at = at.f_back
        self.samples[place if at is not None else "loop"] += 1

    def _place(self, frame: FrameType) -> str | None:
        code = frame.f_code
        if code not in self._places:
            found = (place for start, place in PLACES if start in code.co_filename)
            self._places[code] = next(found, None)
        return self._places[code] or (_called_back(frame) if code.co_qualname in LOOP else None)


def _called_back(frame: FrameType) -> str:
    """gRPC's compiled code has no frames: it is known by what the event loop calls."""
    callback = getattr(frame.f_locals.get("self"), "_callback", None)
    return "client" if str(getattr(callback, "__module__", None) or "").startswith("grpc") else "loop"


def _processor() -> dict[str, float]:
    """Seconds of processor time: of all threads, and of the main one, where the system tells them apart."""
    if not hasattr(time, "pthread_getcpuclockid"):
        return {"process": time.process_time(), "main": time.process_time()}
    clock = time.pthread_getcpuclockid(threading.main_thread().ident or 0)
    return {"process": time.process_time(), "main": time.clock_gettime(clock)}


def _answer(notes: Notes, listening: socket.socket) -> None:
    while True:
        asked, _ = listening.accept()
        with asked:
            every = EVERY if asked.recv(100) == b"sample" else 0.0
            signal.setitimer(signal.ITIMER_PROF, every, every)
            asked.sendall(json.dumps(notes.taken()).encode())


def install(folder: Path, name: str, relay: int) -> None:
    """From the first client that this process makes, in whichever process of the framework's that is."""
    from onward.adapters.gcp.clients import PerLoop

    made = PerLoop._now

    async def first(self: Any) -> Any:
        PerLoop._now = made  # type: ignore[method-assign]
        _begin(folder / name, relay)
        return await made(self)

    PerLoop._now = first  # type: ignore[method-assign]


def _begin(listens_at: Path, relay: int) -> None:
    from grpc.aio import _channel as channels

    notes = Notes(relay)
    for kind in (channels.UnaryUnaryMultiCallable, channels.UnaryStreamMultiCallable):
        kind.__call__ = notes.noting(kind.__call__)
    signal.signal(signal.SIGPROF, notes.sample)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listening.bind(str(listens_at))
    listening.listen()
    threading.Thread(target=_answer, args=(notes, listening), daemon=True).start()


def ask(folder: Path, name: str, sampling: bool = False) -> dict[str, Any]:
    """From outside: what this instance noted since it was last asked. From now on it samples, or not."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.connect(str(folder / name))
        asking.sendall(b"sample" if sampling else b"count")
        parts = iter(lambda: asking.recv(65536), b"")
        found: dict[str, Any] = json.loads(b"".join(parts))
        return found
