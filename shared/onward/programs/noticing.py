"""Check mode: what a workflow's body does that a replay would not do again in the same way, with the line that does it.

Nothing is patched and nothing is forbidden: Python's own profiling hook tells of each call while the body runs. It does
not tell of calls that C code makes (`map(time.time, ...)`, pydantic's `default_factory=time.time`), nor of a generator
that was made elsewhere without a seed.
"""

from __future__ import annotations

import gc
import linecache
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from onward.errors import Refused

NOW, SLEEP, RANDOM, UUID, STEP = "ctx.now()", "ctx.sleep()", "ctx.random", "ctx.uuid()", "a step"
_CLOCKS = ("time", "monotonic", "perf_counter", "process_time", "thread_time", "clock_gettime")

# By module and name, so that nothing is imported to look for it. Functions written in C:
_BUILT_IN = {
    **{("time", name + suffix): (f"time.{name}{suffix}", NOW) for name in _CLOCKS for suffix in ("", "_ns")},
    ("time", "sleep"): ("time.sleep", SLEEP),
    (os.name, "urandom"): ("os.urandom", RANDOM),
    (os.name, "getrandom"): ("os.getrandom", RANDOM),
    (os.name, "open"): ("os.open", STEP),
    **{(module, "open"): ("open", STEP) for module in ("io", "_io")},
    ("_socket", "gethostname"): ("socket.gethostname", STEP),
    ("_socket", "gethostbyname"): ("socket.gethostbyname", STEP),
    ("_thread", "start_new_thread"): ("_thread.start_new_thread", STEP),
}
# Functions written in Python:
_WRITTEN = {
    **{("uuid", name): (f"uuid.{name}", UUID) for name in ("uuid1", "uuid4", "uuid6", "uuid7")},
    **{("secrets", f"token_{kind}"): (f"secrets.token_{kind}", STEP) for kind in ("bytes", "hex", "urlsafe")},
    ("secrets", "randbelow"): ("secrets.randbelow", STEP),
    ("os", "getenv"): ("os.getenv", STEP),
    ("os", "getenvb"): ("os.getenvb", STEP),
    **{("os", f"_Environ.{name}"): ("os.environ", STEP) for name in ("__getitem__", "__iter__", "__len__", "copy")},
    ("threading", "Thread.start"): ("threading.Thread.start", STEP),
    ("concurrent.futures.thread", "ThreadPoolExecutor.submit"): ("ThreadPoolExecutor.submit", STEP),
    ("concurrent.futures.process", "ProcessPoolExecutor.submit"): ("ProcessPoolExecutor.submit", STEP),
    ("asyncio.threads", "to_thread"): ("asyncio.to_thread", STEP),
    ("multiprocessing.process", "BaseProcess.start"): ("multiprocessing.Process.start", STEP),
    ("subprocess", "Popen.__init__"): ("subprocess.Popen", STEP),
    ("socket", "socket.__init__"): ("socket.socket", STEP),
    ("socket", "create_connection"): ("socket.create_connection", STEP),
    ("socket", "getaddrinfo"): ("socket.getaddrinfo", STEP),
}
_MODULES = frozenset(module for module, _ in _WRITTEN) | {"random"}

# What these look up for themselves decides nothing in a workflow: when a line was logged, where a module lies on the
# disk, how the source in a traceback reads.
_HARMLESS = (
    "_pytest",
    "asyncio",
    "hypothesis",
    "importlib",
    "linecache",
    "logging",
    "loguru",
    "onward",
    "opentelemetry",
    "pydantic.plugin",
    "structlog",
)
_GENERATED = ("<frozen ", "<string>", "<attrs generated")
_ONWARD = str(Path(__file__).parent.parent) + os.sep
_STANDARD = str(Path(os.__file__).parent) + os.sep
_INSTALLED = frozenset({"site-packages", "dist-packages"})

Watched = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Notice:
    """What was called, what to use instead, and the line (`text`) of the user's code that did it."""

    what: str
    instead: str
    file: str
    line: int
    text: str

    def __str__(self) -> str:
        said = f"{self.file}:{self.line}: {self.what} is not repeatable, and a workflow's body is replayed"
        return f"{said}: use {self.instead}" + (f" ({self.text})" if self.text else "")


@contextmanager
def noticing() -> Iterator[list[Notice]]:
    """Notice, in this thread and until the end of the `with`, each call to a clock, chance, the environment, threads,
    processes, sockets and files that user code makes itself or through a library; once for each line.

    User code is what lies neither in onward, nor in the standard library, nor among installed packages. What was
    profiling before is put back. Raises Refused if a profiler written in C is on, which can't be put back.
    """
    before, notices = sys.getprofile(), list[Notice]()
    if before is not None and not callable(before):
        raise Refused("check mode needs the profiling hook, and a profiler has it: turn that off for this run")
    sys.setprofile(_hook(notices))
    try:
        yield notices
    finally:
        sys.setprofile(before)


def _hook(notices: list[Notice]) -> Callable[[FrameType, str, Any], None]:
    seen = set[tuple[str, str, int]]()

    def hook(frame: FrameType, event: str, arg: Any) -> None:
        if event == "call":
            watched, caller = _written(frame), frame.f_back
        elif event == "c_call":
            watched, caller = _built_in(arg), frame
        else:
            return
        user = _user(caller) if watched is not None else None
        if watched is None or user is None:
            return
        place = (watched[0], user.f_code.co_filename, user.f_lineno)
        if place not in seen:
            seen.add(place)
            notices.append(_notice(watched, user))

    return hook


def _notice(watched: Watched, user: FrameType) -> Notice:
    file, line = user.f_code.co_filename, user.f_lineno
    return Notice(*watched, file, line, linecache.getline(file, line, user.f_globals).strip())


# ---------------------------------------------------------------- what is called


def _built_in(function: Any) -> Watched | None:
    """What this function of C is, if it is watched."""
    owner, name = getattr(function, "__self__", None), function.__name__
    if type(owner) is ModuleType:
        return _BUILT_IN.get((owner.__name__, name))
    if isinstance(owner, type):
        at_now = issubclass(owner, date) and name in ("now", "utcnow", "today")
        return (f"{owner.__name__}.{name}", NOW) if at_now else None
    if owner is not None and owner is _of("random", "_inst"):
        return f"random.{name}", RANDOM
    if name in ("connect", "connect_ex") and isinstance(owner, _of("_socket", "socket") or ()):
        return f"socket.{name}", STEP
    return None


def _written(frame: FrameType) -> Watched | None:
    """What the function of this frame is, if it is watched."""
    module = frame.f_globals.get("__name__")
    if module not in _MODULES:
        return None
    if module == "random":
        return _chance(frame)
    return _WRITTEN.get((module, frame.f_code.co_qualname))


def _chance(frame: FrameType) -> Watched | None:
    """A method of the generators that nobody can seed alike, or the making of one without a seed."""
    name, given = frame.f_code.co_name, frame.f_locals
    generator = given.get("self")
    if generator is None:
        return None
    if generator is _of("random", "_inst"):
        return f"random.{name}", RANDOM
    if isinstance(generator, _of("random", "SystemRandom")):
        return _system(generator, name) if name not in ("__init__", "seed") else None
    seeds = {"__init__": "x", "seed": "a"}
    if name in seeds and given.get(seeds[name]) is None:
        return "random.Random without a seed", RANDOM
    return None


def _system(generator: Any, name: str) -> Watched:
    if generator is _of("secrets", "_sysrand"):
        return f"secrets.{name}", STEP
    return f"random.SystemRandom.{name}", RANDOM


def _of(module: str, name: str) -> Any:
    """What a module has under this name; None while nobody has imported it."""
    return getattr(sys.modules.get(module), name, None)


# ---------------------------------------------------------------- who called


def _user(frame: FrameType | None) -> FrameType | None:
    """The nearest frame of user code from here outwards. None if none asked for it: the call is part of another that
    is watched, or serves a library's own ends, or a module's first import, or what Python calls anywhere: a finalizer,
    or who hears of garbage."""
    found: FrameType | None = None
    told = [getattr(each, "__code__", None) for each in gc.callbacks]
    while frame is not None:
        if frame.f_code.co_name == "__del__" or frame.f_code in told:
            return None
        if _is_users(frame.f_code.co_filename):
            found = found or frame
        elif found is None and _written(frame) is not None:
            return None
        elif library := _harmless(str(frame.f_globals.get("__name__"))):
            return None if library == "importlib" else found
        frame = frame.f_back
    return found


@cache
def _is_users(file: str) -> bool:
    if file.startswith((*_GENERATED, _ONWARD, _STANDARD)):
        return False
    return _INSTALLED.isdisjoint(Path(file).parts)


@cache
def _harmless(module: str) -> str:
    """Which of the harmless ones this module is part of, or nothing."""
    return next((name for name in _HARMLESS if module == name or module.startswith(f"{name}.")), "")
