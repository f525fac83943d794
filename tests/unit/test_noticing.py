"""What is noticed while a workflow's body runs: each thing a replay would not do again, with its line, and no more."""

import asyncio
import base64
import concurrent.futures
import cProfile
import dataclasses
import datetime
import gc
import json
import linecache
import logging
import os
import pathlib
import random
import secrets
import socket
import subprocess
import sys
import threading
import time
import traceback
import uuid
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, date, timedelta
from decimal import Decimal
from random import choice
from time import perf_counter as ticks
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import BaseModel, Field, TypeAdapter

from onward import App, Context, workflow
from onward.core.events import Actor
from onward.engine.gateway import Start
from onward.errors import BadInput, Refused
from onward.programs.noticing import Notice, noticing
from onward.programs.running import Run
from onward.programs.workflow import in_check_mode
from onward.testing.runner import Runner

NULL = pathlib.Path(os.devnull)


class Stamp(datetime.datetime):
    """A subclass, as some libraries have."""


class Parcel(BaseModel):
    id: uuid.UUID = Field(default_factory=uuid.uuid4)


@dataclasses.dataclass
class Crate:
    id: uuid.UUID = dataclasses.field(default_factory=uuid.uuid4)


def noticed(body: Callable[[], Any]) -> list[Notice]:
    """What is noticed of a body that may also fail, as one does that is refused a connection."""
    with noticing() as notices, suppress(OSError):
        body()
    return notices


def library(source: str, module: str = "lib", folder: str = "site-packages") -> dict[str, Any]:
    """The names of an installed package of one module."""
    names: dict[str, Any] = {"__name__": module}
    exec(compile(source, f"/venv/lib/{folder}/{module}.py", "exec"), names)
    return names


def a_thread() -> None:
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()


def a_pool() -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(int)


def a_connection() -> None:
    with socket.socket() as line:
        line.connect_ex(("127.0.0.1", 1))


SEEN: dict[str, tuple[Callable[[], Any], str, str]] = {
    "time": (lambda: time.time(), "time.time", "ctx.now()"),
    "time_ns": (lambda: time.time_ns(), "time.time_ns", "ctx.now()"),
    "monotonic": (lambda: time.monotonic(), "time.monotonic", "ctx.now()"),
    "another name": (lambda: ticks(), "time.perf_counter", "ctx.now()"),
    "now": (lambda: datetime.datetime.now(UTC), "datetime.now", "ctx.now()"),
    "today and now": (lambda: datetime.datetime.today(), "datetime.today", "ctx.now()"),  # noqa: DTZ002
    "today": (lambda: date.today(), "date.today", "ctx.now()"),  # noqa: DTZ011
    "subclass": (lambda: Stamp.now(), "Stamp.now", "ctx.now()"),
    "sleep": (lambda: time.sleep(0), "time.sleep", "ctx.sleep()"),
    "random": (lambda: random.random(), "random.random", "ctx.random"),
    "randint": (lambda: random.randint(1, 3), "random.randint", "ctx.random"),
    "choice": (lambda: choice([1, 2]), "random.choice", "ctx.random"),
    "shuffle": (lambda: random.shuffle([1, 2]), "random.shuffle", "ctx.random"),
    "unseeded": (lambda: random.Random().random(), "random.Random without a seed", "ctx.random"),
    "seeded by chance": (lambda: random.Random(1).seed(), "random.Random without a seed", "ctx.random"),
    "the system's": (lambda: random.SystemRandom().random(), "random.SystemRandom.random", "ctx.random"),
    "urandom": (lambda: os.urandom(3), "os.urandom", "ctx.random"),
    "token": (lambda: secrets.token_hex(3), "secrets.token_hex", "a step"),
    "secret choice": (lambda: secrets.choice([1, 2]), "secrets.choice", "a step"),
    "below": (lambda: secrets.randbelow(3), "secrets.randbelow", "a step"),
    "uuid4": (lambda: uuid.uuid4(), "uuid.uuid4", "ctx.uuid()"),
    "uuid1": (lambda: uuid.uuid1(), "uuid.uuid1", "ctx.uuid()"),
    "environ": (lambda: os.environ["PATH"], "os.environ", "a step"),
    "environ.get": (lambda: os.environ.get("NO_SUCH"), "os.environ", "a step"),
    "in environ": (lambda: "NO_SUCH" in os.environ, "os.environ", "a step"),
    "all of environ": (lambda: dict(os.environ), "os.environ", "a step"),
    "getenv": (lambda: os.getenv("NO_SUCH"), "os.getenv", "a step"),
    "user folder": (lambda: os.path.expanduser("~"), "os.environ", "a step"),  # noqa: PTH111
    "socket": (lambda: socket.socket().close(), "socket.socket", "a step"),
    "dialling": (lambda: socket.create_connection(("127.0.0.1", 1)), "socket.create_connection", "a step"),
    "looking up": (lambda: socket.getaddrinfo("127.0.0.1", 1), "socket.getaddrinfo", "a step"),
    "open": (lambda: open(NULL).close(), "open", "a step"),  # noqa: PTH123
    "os.open": (lambda: os.close(os.open(NULL, os.O_RDONLY)), "os.open", "a step"),
    "path": (lambda: NULL.read_text(), "open", "a step"),
    "process": (lambda: subprocess.run(["true"]), "subprocess.Popen", "a step"),
    "a model's default": (lambda: Parcel(), "uuid.uuid4", "ctx.uuid()"),
    "a dataclass's default": (lambda: Crate(), "uuid.uuid4", "ctx.uuid()"),
}


@pytest.mark.parametrize("case", SEEN)
def test_it_is_noticed_once_with_what_to_use_instead(case: str) -> None:
    body, what, instead = SEEN[case]
    notices = noticed(body)
    assert [(notice.what, notice.instead) for notice in notices] == [(what, instead)]
    assert (notices[0].file, notices[0].line) == (__file__, body.__code__.co_firstlineno)
    assert notices[0].text == linecache.getline(__file__, notices[0].line).strip()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (a_thread, ["threading.Thread.start"]),
        (a_pool, ["ThreadPoolExecutor.submit"]),
        (a_connection, ["socket.socket", "socket.connect_ex"]),
    ],
)
def test_threads_and_sockets_are_noticed_where_they_are_used(body: Callable[[], Any], expected: list[str]) -> None:
    assert [notice.what for notice in noticed(body)] == expected


def test_a_notice_is_one_line_to_be_read() -> None:
    notice = Notice("time.time", "ctx.now()", "/app/orders.py", 12, "started = time.time()")
    assert str(notice) == (
        "/app/orders.py:12: time.time is not repeatable, and a workflow's body is replayed: "
        "use ctx.now() (started = time.time())"
    )


def test_each_line_is_named_once_and_other_lines_too() -> None:
    def body() -> None:
        for _ in range(3):
            time.time()
        time.time()
        uuid.uuid4(), time.time()

    first = body.__code__.co_firstlineno
    found = [(notice.what, notice.line - first) for notice in noticed(body)]
    assert found == [("time.time", 2), ("time.time", 3), ("uuid.uuid4", 4), ("time.time", 4)]


def test_code_without_source_is_noticed_without_its_text() -> None:
    def body() -> None:
        exec(compile("import time\ntime.time()", "/app/gone.py", "exec"), {})

    (notice,) = noticed(body)
    assert (notice.file, notice.line, notice.text) == ("/app/gone.py", 2, "")
    assert str(notice).endswith("use ctx.now()")


QUIET: dict[str, Callable[[], Any]] = {
    "given chance": lambda: (random.Random(3).random(), random.Random(3).choice([1, 2]), random.Random(3).gauss(0, 1)),
    "given ids": lambda: (uuid.UUID(int=1), uuid.uuid5(uuid.NAMESPACE_DNS, "x"), Parcel(id=uuid.UUID(int=1))),
    "given times": lambda: (
        datetime.datetime.fromtimestamp(0, UTC),
        date.fromisoformat("2026-01-01"),
        time.gmtime(0),
        datetime.datetime(2026, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")).isoformat(),
    ),
    "time zones": lambda: ZoneInfo.no_cache("Asia/Tokyo"),
    "values": lambda: (json.dumps({"a": 1}), Decimal("1.10") * 2, base64.b64encode(b"x"), sorted("cab")),
    "models": lambda: (TypeAdapter(list[Parcel]).json_schema(), TypeAdapter(dict[str, int]).validate_json("{}")),
    "logs": lambda: logging.getLogger("desk").error("no", exc_info=True),
    "warnings": lambda: warnings.formatwarning("careful", UserWarning, __file__, 1),
    "tracebacks": lambda: traceback.format_stack(),
    "locks": lambda: threading.Lock().acquire(),
    "names": lambda: os.path.join("a", "b"),  # noqa: PTH118
}


@pytest.mark.parametrize("case", QUIET)
def test_what_is_the_same_each_time_is_left_alone(case: str) -> None:
    linecache.clearcache()
    assert noticed(QUIET[case]) == []


def test_what_was_made_elsewhere_with_a_seed_is_left_alone() -> None:
    seeded = random.Random("s1/7")
    assert noticed(lambda: (seeded.random(), seeded.randint(1, 9), seeded.sample(range(9), 3))) == []


def test_a_library_is_noticed_at_the_line_that_calls_it() -> None:
    made = library("import time\ndef stamp():\n    return inner()\ndef inner():\n    return time.time()")
    (notice,) = noticed(lambda: made["stamp"]())
    assert (notice.what, notice.file) == ("time.time", __file__)


@pytest.mark.parametrize("module", ["structlog", "structlog.processors", "opentelemetry.sdk.trace", "pydantic.plugin"])
def test_what_a_library_tells_others_is_left_alone(module: str) -> None:
    made = library("import time\ndef stamp():\n    return time.time()", module)
    assert noticed(lambda: made["stamp"]()) == []


def test_a_library_of_nearly_that_name_is_not() -> None:
    made = library("import time\ndef stamp():\n    return time.time()", "loggings")
    assert [notice.what for notice in noticed(lambda: made["stamp"]())] == ["time.time"]


def test_what_onward_itself_does_for_user_code_is_left_alone() -> None:
    names: dict[str, Any] = {"__name__": "onward.programs.context", "random": random.Random(1)}
    source = "import os, uuid\ndef uid():\n    return uuid.uuid4(), os.environ.get('A'), random.random()"
    file = pathlib.Path(sys.modules["onward.programs.noticing"].__file__ or "").with_name("context.py")
    exec(compile(source, str(file), "exec"), names)
    assert noticed(lambda: names["uid"]()) == []


def test_a_callback_of_the_user_that_onward_calls_is_the_users() -> None:
    names: dict[str, Any] = {"__name__": "onward.programs.context"}
    file = pathlib.Path(sys.modules["onward.programs.noticing"].__file__ or "").with_name("context.py")
    exec(compile("def poll(until):\n    return until()", str(file), "exec"), names)
    until = lambda: time.time() > 0  # noqa: E731
    (notice,) = noticed(lambda: names["poll"](until))
    assert notice.line == until.__code__.co_firstlineno


def on_a_loop(body: Callable[[], Any]) -> list[Notice]:
    loop = asyncio.new_event_loop()
    try:
        with noticing() as notices:
            loop.run_until_complete(body())
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
    return notices


def test_an_event_loop_and_its_timers_are_left_alone() -> None:
    async def body() -> None:
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0))
        await asyncio.wait_for(asyncio.gather(asyncio.sleep(0.001), asyncio.sleep(0)), 5)

    assert on_a_loop(body) == []


def test_coroutines_and_their_tasks_are_noticed_at_their_own_lines() -> None:
    async def branch() -> None:
        await asyncio.sleep(0)
        uuid.uuid4()

    async def body() -> None:
        await asyncio.gather(branch(), branch())
        await asyncio.to_thread(int)

    found = [(notice.what, notice.line) for notice in on_a_loop(body)]
    assert found == [
        ("uuid.uuid4", branch.__code__.co_firstlineno + 2),
        ("asyncio.to_thread", body.__code__.co_firstlineno + 2),
    ]


async def fetch(number: int) -> Parcel:
    time.time()
    return Parcel()


async def repeatable(ctx: Context, who: str) -> str:
    parcel = await ctx.step(fetch, 1, effect="read")
    ctx.log.info("%s at %s for %s", parcel.id, ctx.now(), who)
    await ctx.sleep(timedelta(days=ctx.random.choice([1, 2])))
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(3))
    await ctx.map([1, 2, 3], lambda number: ctx.step(fetch, number, effect="read"), concurrency=2)
    return str(ctx.uuid())


async def unrepeatable(ctx: Context, who: str) -> str:
    async def branch() -> None:
        await ctx.step(fetch, 1, effect="read")
        random.randint(1, 3)

    Parcel()
    await asyncio.gather(branch())
    await ctx.sleep(timedelta(days=1))
    with suppress(BadInput):
        await asyncio.to_thread(int)
    return f"{who}, {os.environ.get('NO_SUCH')}"


async def decided(function: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is noticed of a session of this workflow in check mode, which goes on all the same."""
    program = in_check_mode(workflow(function))
    found: list[str] = []
    monkeypatch.setattr(Run, "stop", lambda run, code, message: found.extend(message.splitlines()))
    runner = Runner(App([program]))
    await runner.parts.gateway.start(
        Start("s1", program.name, "1", "Ann"), Actor(kind="person", name="ann@example.com")
    )
    await runner.finish()
    assert (await runner.state("s1")).ended == "completed"
    return list(dict.fromkeys(found))


async def test_a_repeatable_workflow_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await decided(repeatable, monkeypatch) == []


@pytest.mark.filterwarnings("ignore::onward.programs.cautions.WorkflowCaution")
async def test_all_that_is_unrepeatable_in_a_workflow_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [line.partition(".py:")[2].partition(": ")[2] for line in await decided(unrepeatable, monkeypatch)]
    says = "is not repeatable, and a workflow's body is replayed: use"
    assert found == [
        f"uuid.uuid4 {says} ctx.uuid() (Parcel())",
        f"random.randint {says} ctx.random (random.randint(1, 3))",
        f"asyncio.to_thread {says} a step (await asyncio.to_thread(int))",
        f"""os.environ {says} a step (return f"{{who}}, {{os.environ.get('NO_SUCH')}}")""",
    ]


def test_the_first_import_of_a_module_is_left_alone(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "import os\ndef load():\n    return os.environ.get('HOME')\nHOME, OTHER = load(), os.environ.get('OTHER')"
    (tmp_path / "noticed_settings.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)

    def body() -> None:
        import noticed_settings  # type: ignore[import-not-found]

        noticed_settings.load()

    assert [notice.line for notice in noticed(body)] == [3], "only the call that comes after"
    sys.modules.pop("noticed_settings")


def test_what_is_told_of_garbage_is_nobodys_doing() -> None:
    told: list[float] = []

    def timed(phase: str, info: dict[str, int]) -> None:
        told.append(time.perf_counter())

    gc.callbacks.append(timed)
    try:
        assert noticed(gc.collect) == []
    finally:
        gc.callbacks.remove(timed)
    assert told


def test_a_finalizer_is_nobodys_doing() -> None:
    class Held:
        def __del__(self) -> None:
            time.time()

    def body() -> None:
        held = Held()
        del held
        gc.collect()

    assert noticed(body) == []


def test_another_thread_is_not_watched() -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()
        go, done = threading.Event(), concurrent.futures.Future[float]()
        pool.submit(lambda: (go.wait(), done.set_result(time.time())))
        assert noticed(lambda: (go.set(), done.result())) == []


def test_nothing_is_noticed_before_and_after() -> None:
    time.time()
    with noticing() as notices:
        pass
    time.time()
    assert notices == []


def test_what_was_profiling_before_is_put_back_whatever_happens() -> None:
    def mine(frame: Any, event: str, arg: Any) -> None:
        pass

    before = sys.getprofile()
    sys.setprofile(mine)
    try:
        with pytest.raises(KeyError), noticing():
            raise KeyError("x")
        assert sys.getprofile() is mine
    finally:
        sys.setprofile(before)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="profilers have a hook of their own from Python 3.12")
def test_a_profiler_that_cannot_be_put_back_is_left_on() -> None:
    profiler = cProfile.Profile()
    profiler.enable()
    try:
        with pytest.raises(Refused, match="a profiler has it"), noticing():
            pass
        assert sys.getprofile() is profiler
    finally:
        profiler.disable()
