"""Webhooks of a worker on one file, in real time: beside its sessions, and whoever sent the errands."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from onward import App, BadInput, Runtime, Webhook
from onward.adapters.local.clock import SystemClock
from onward.adapters.local.sqlite import SqliteBackend
from onward.ports import Errand
from onward.wiring import Policy
from tests.emulator.sink import Sink
from tests.unit.told import SECRET, a_desk


def app(*urls: str) -> App:
    hooks = [
        Webhook(url, secret="HOOKS", allow_private=True, name=f"hook{number}", on=["ended"])
        for number, url in enumerate(urls)
    ]
    return App(programs=[a_desk({"text": "done"})], webhooks=hooks, secrets={"HOOKS": SECRET})


@asynccontextmanager
async def file(path: Path) -> AsyncIterator[SqliteBackend]:
    backend = SqliteBackend.open(path, SystemClock())
    yield backend
    await backend.close()


async def until(test: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not test():
            await asyncio.sleep(0.005)


async def test_a_worker_tells_webhooks(tmp_path: Path) -> None:
    with Sink() as sink:
        async with Runtime(app(sink.url), tmp_path / "onward.db") as runtime:
            head = await runtime.start(input="hi")
            await runtime.wait(head.id, ended=True)
            await until(lambda: sink.arrivals)
        assert len(sink.arrivals) == 1


async def test_one_that_hangs_holds_up_neither_sessions_nor_others(tmp_path: Path) -> None:
    leave = threading.Event()

    def hang(headers: dict[str, str], body: bytes) -> int:
        leave.wait(20)
        return 204

    with Sink(hang) as hanging, Sink() as sink:
        async with Runtime(app(hanging.url, sink.url), tmp_path / "onward.db") as runtime:
            for number in range(6):
                head = await runtime.start(input=number)
                assert (await runtime.wait(head.id, ended=True)).status == "completed"
            await until(lambda: len(sink.arrivals) == 6)
            assert hanging.arrivals == []
        leave.set()


async def test_g5_what_another_process_left_is_told_by_the_next(tmp_path: Path) -> None:
    """Nothing in memory says so: it is found in the file."""
    path = tmp_path / "onward.db"
    with Sink() as sink:
        async with Runtime(app(), path) as plain:
            head = await plain.start(input="hi")
            head = await plain.wait(head.id, ended=True)
        errand = Errand(head.key, head.seq, "hook0")
        async with file(path) as other:
            await other.queue.send(errand, SystemClock().now())
        async with Runtime(app(sink.url), path), file(path) as other:
            await until(lambda: len(sink.arrivals) == 1)
            await other.queue.send(replace(errand, attempt=2), SystemClock().now())
            await until(lambda: len(sink.arrivals) == 2)
        assert sink.arrivals[0].body == sink.arrivals[1].body


async def test_who_does_not_work_tells_nobody(tmp_path: Path) -> None:
    path = tmp_path / "onward.db"
    with Sink() as sink:
        async with Runtime(app(sink.url), path, work=False) as runtime, file(path) as other:
            await runtime.start(input="hi")
            await other.queue.send(Errand("a" * 32, 1, "hook0"), SystemClock().now() - timedelta(seconds=1))
            assert await other.queue.take_errands(10) == [Errand("a" * 32, 1, "hook0")]
        assert sink.arrivals == []


async def test_t2_two_processes_take_each_errand_once(tmp_path: Path) -> None:
    path, past = tmp_path / "onward.db", SystemClock().now() - timedelta(seconds=1)
    errands = {Errand("a" * 32, seq, "hook0") for seq in range(1, 41)}
    async with file(path) as one, file(path) as other:
        await asyncio.gather(*(one.queue.send(errand, past) for errand in errands))
        taken = await asyncio.gather(*(queue.take_errands(7) for queue in (one.queue, other.queue) * 4))
    found = [errand for some in taken for errand in some]
    assert len(found) == len(errands)
    assert set(found) == errands


@pytest.mark.parametrize("policy", [None, Policy(steps_per_wake=10)])
async def test_where_people_decide_is_told_by_the_environment(
    policy: Policy | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONWARD_CONSOLE_URL", "https://console.example.com/")
    with Sink() as sink:
        hook = Webhook(sink.url, secret="HOOKS", allow_private=True)
        asking = App(programs=[a_desk()], webhooks=[hook], secrets={"HOOKS": SECRET})
        async with Runtime(asking, tmp_path / "onward.db", policy=policy) as runtime:
            await runtime.start(input="hi")
            await until(lambda: sink.arrivals)
        assert json.loads(sink.arrivals[0].body)["data"]["url"].startswith("https://console.example.com/link/")
        monkeypatch.setenv("ONWARD_CONSOLE_URL", "console")
        with pytest.raises(BadInput, match="ONWARD_CONSOLE_URL is wrong: 'console'; it is the URL of the console"):
            await Runtime(asking, tmp_path / "onward.db").__aenter__()


@pytest.mark.parametrize("fails", [1, 3])
async def test_a_file_that_can_not_be_read_for_a_while_ends_no_courier(
    tmp_path: Path, fails: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from onward.adapters.local import worker
    from onward.errors import StoreUnavailable

    monkeypatch.setattr(worker, "AGAIN", worker.Retry(first=0.001))
    with Sink() as sink:
        async with Runtime(app(sink.url), tmp_path / "onward.db") as runtime:
            take, left = runtime.parts.queue.take_errands, fails

            async def fail(limit: int = 1) -> Any:
                nonlocal left
                left -= 1
                if left >= 0:
                    raise StoreUnavailable("the disk is full")
                return await take(limit)

            monkeypatch.setattr(runtime.parts.queue, "take_errands", fail)
            head = await runtime.start(input="hi")
            await runtime.wait(head.id, ended=True)
            await until(lambda: sink.arrivals)
            assert left < 0
