"""Timers over Cloud Tasks, through Google's own client and a stand-in: T1, tokens, repeats; and Cloud Scheduler."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from onward.adapters.gcp.messages_envelopes import parse_task
from onward.adapters.gcp.tasks import FURTHEST, TaskTimers
from onward.adapters.gcp.trace import traced
from onward.adapters.local.clock import SystemClock
from onward.errors import Retryable
from onward.ports import Errand, Wake
from tests.emulator.sink import Sink

TRACE = f"00-{'ab' * 16}-{'cd' * 8}-01"
KEY = "a" * 32
QUEUE = "projects/p/locations/l/queues/resume"
ACCOUNT, AUDIENCE = "tasks@p.iam.gserviceaccount.com", "https://resume.example.com"


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def tasks() -> Iterator[Any]:
    with contextlib.suppress(ModuleNotFoundError):
        if importlib.util.find_spec("google.cloud.tasks_v2"):
            from emulators.tasks import Tasks

            with Tasks() as tasks:
                tasks.make_queue(QUEUE, min_backoff=0.2, max_backoff=0.8, attempts=5)
                yield tasks
            return
    pytest.skip("google-cloud-tasks is missing: pip install -e '.[gcp]'")


@pytest.fixture
def sink() -> Iterator[Sink]:
    sink = Sink()
    yield sink
    sink.close()


@pytest.fixture
async def timers(tasks: Any, sink: Sink) -> AsyncIterator[TaskTimers]:
    made = TaskTimers(
        QUEUE, sink.url, SystemClock(), service_account=ACCOUNT, audience=AUDIENCE, endpoint=tasks.address, patience=3.0
    )
    yield made
    await made.close()


async def arrived(sink: Sink, many: int = 1) -> list[Any]:
    return await asyncio.to_thread(sink.wait, many)


# --- T1 --------------------------------------------------------------------------------------------------------


async def test_t1_a_timer_is_a_delayed_look_at_or_after_its_time(timers: TaskTimers, sink: Sink) -> None:
    at = now() + timedelta(seconds=0.7)
    with traced(TRACE):
        await timers.arm(KEY, at)
    (arrival,) = await arrived(sink)
    task = parse_task(arrival.headers, arrival.body)
    assert (task.wake, task.wake.delayed) == (Wake(KEY, look=True), True)
    assert arrival.at >= at.timestamp()
    assert arrival.headers["traceparent"] == TRACE
    assert arrival.headers["content-type"] == "application/json"


async def test_t1_a_time_that_has_passed_is_due_at_once(timers: TaskTimers, sink: Sink) -> None:
    await timers.arm(KEY, now() - timedelta(days=40))
    assert parse_task((await arrived(sink))[0].headers, sink.arrivals[0].body).wake.key == KEY


async def test_t1_an_earlier_one_is_not_hidden_by_a_later_one(timers: TaskTimers, tasks: Any, sink: Sink) -> None:
    for days in (20, 10, 25):
        await timers.arm(f"{days:032x}", now() + timedelta(days=days))
    for days in (10, 20, 25):
        tasks.advance(86400 * days - (tasks.now() - time.time()) + 1)
        wake = parse_task((await arrived(sink))[0].headers, sink.arrivals[0].body).wake
        assert wake.key == f"{days:032x}"
        sink.arrivals.clear()


async def test_r14_one_beyond_thirty_days_is_armed_for_as_far_as_can_be(timers: TaskTimers, tasks: Any) -> None:
    await timers.arm(KEY, now() + timedelta(days=400))
    (task,) = tasks.waiting(QUEUE)
    ahead = task.schedule_time - now()
    assert FURTHEST - timedelta(minutes=1) < ahead <= FURTHEST


async def test_t1_a_hundred_at_once_all_come(timers: TaskTimers, sink: Sink) -> None:
    at = now() + timedelta(seconds=0.2)
    keys = {f"{n:032x}" for n in range(100)}
    await asyncio.gather(*(timers.arm(key, at) for key in keys))
    found = await arrived(sink, 100)
    assert {parse_task(arrival.headers, arrival.body).wake.key for arrival in found} == keys


async def test_t1_one_that_is_not_taken_comes_again_with_backoff(timers: TaskTimers, sink: Sink) -> None:
    sink.answers = [500, 503, 429]
    await timers.arm(KEY, now())
    found = await arrived(sink, 4)
    assert [parse_task(arrival.headers, arrival.body).retries for arrival in found] == [0, 1, 2, 3]
    assert found[3].headers["x-cloudtasks-taskpreviousresponse"] == "429"
    gaps = [after.at - before.at for before, after in pairwise(found)]
    assert all(gap >= least for gap, least in zip(gaps, (0.2, 0.4, 0.8), strict=True))


# --- T2 --------------------------------------------------------------------------------------------------------


async def test_t2_an_errand_comes_as_it_is_at_or_after_its_time(timers: TaskTimers, sink: Sink) -> None:
    at, errand = now() + timedelta(seconds=0.3), Errand(KEY, 12, "hooks.example.com", attempt=3)
    await timers.send(errand, at)
    (arrival,) = await arrived(sink)
    assert parse_task(arrival.headers, arrival.body).brings == errand
    assert arrival.at >= at.timestamp()
    assert arrival.headers["authorization"].startswith("Bearer ")


async def test_t2_one_that_is_not_done_comes_again(timers: TaskTimers, sink: Sink) -> None:
    sink.answers = [503]
    await timers.send(Errand(KEY, 12, "hooks"), now())
    first, second = await arrived(sink, 2)
    assert first.body == second.body


async def test_its_token_verifies_and_names_account_and_audience(timers: TaskTimers, tasks: Any, sink: Sink) -> None:
    from google.auth.transport.requests import Request
    from google.oauth2 import id_token

    await timers.arm(KEY, now())
    (arrival,) = await arrived(sink)
    kind, _, token = arrival.headers["authorization"].partition(" ")
    assert kind == "Bearer"

    def verify(audience: str) -> Any:
        return id_token.verify_token(token, Request(), audience=audience, certs_url=f"{tasks.tokens.url}/certs")

    claims = await asyncio.to_thread(verify, AUDIENCE)
    assert (claims["email"], claims["email_verified"]) == (ACCOUNT, True)
    with pytest.raises(ValueError, match="audience"):
        await asyncio.to_thread(verify, "https://other.example.com")
    token = token[:-8] + ("A" * 8 if token[-8:] != "A" * 8 else "B" * 8)
    with pytest.raises(ValueError, match="signature"):
        await asyncio.to_thread(verify, AUDIENCE)


async def test_without_an_account_there_is_no_token(tasks: Any, sink: Sink) -> None:
    timers = TaskTimers(QUEUE, sink.url, SystemClock(), service_account=None, endpoint=tasks.address)
    await timers.arm(KEY, now())
    assert "authorization" not in (await arrived(sink))[0].headers
    await timers.close()


# --- what goes wrong -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["UNAVAILABLE", "INTERNAL", "DEADLINE_EXCEEDED", "ABORTED", "NOT_FOUND"])
async def test_a_passing_fault_is_not_noticed(timers: TaskTimers, tasks: Any, status: str) -> None:
    import grpc

    from emulators.tasks import Fault

    tasks.faults.append(Fault("CreateTask", grpc.StatusCode[status], times=2))
    await timers.arm(KEY, now() + timedelta(days=1))
    assert len(tasks.waiting(QUEUE)) == 1


async def test_where_the_answer_is_lost_there_are_two_and_both_come(timers: TaskTimers, tasks: Any, sink: Sink) -> None:
    from emulators.tasks import Fault

    tasks.faults.append(Fault("CreateTask", after=True))
    await timers.arm(KEY, now())
    found = await arrived(sink, 2)
    assert {parse_task(arrival.headers, arrival.body).wake.key for arrival in found} == {KEY}
    assert len({parse_task(arrival.headers, arrival.body).name for arrival in found}) == 2


async def test_an_outage_is_said(timers: TaskTimers, tasks: Any) -> None:
    import grpc

    from emulators.tasks import Fault

    tasks.faults += [
        Fault("CreateTask", grpc.StatusCode.PERMISSION_DENIED),
        Fault("CreateTask", grpc.StatusCode.UNAVAILABLE, times=1000),
    ]
    for says in ("PermissionDenied", "503"):
        with pytest.raises(Retryable, match=says):
            await timers.arm(KEY, now())
    assert tasks.waiting(QUEUE) == []


async def test_it_works_in_every_loop(timers: TaskTimers, tasks: Any) -> None:
    async def arm() -> None:
        await timers.arm(KEY, now() + timedelta(days=1))
        await timers.close()

    await asyncio.to_thread(asyncio.run, arm())
    await arm()
    await asyncio.to_thread(asyncio.run, arm())
    assert len(tasks.waiting(QUEUE)) == 3


# --- the stand-in ----------------------------------------------------------------------------------------------


@pytest.fixture
def client(tasks: Any) -> Iterator[Any]:
    import grpc
    from google.cloud.tasks_v2 import CloudTasksClient
    from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcTransport

    with grpc.insecure_channel(tasks.address) as channel:
        yield CloudTasksClient(transport=CloudTasksGrpcTransport(channel=channel))


def task(name: str = "", **more: Any) -> dict[str, Any]:
    named = {"name": f"{QUEUE}/tasks/{name}"} if name else {}
    return {"http_request": {"url": "http://127.0.0.1:1/"}, "schedule_time": now() + timedelta(days=1)} | named | more


def test_a_name_stays_taken(tasks: Any, client: Any) -> None:
    from google.api_core.exceptions import AlreadyExists, NotFound

    made = client.create_task(parent=QUEUE, task=task("once"))
    with pytest.raises(AlreadyExists):
        client.create_task(parent=QUEUE, task=task("once"))
    client.delete_task(name=made.name)
    with pytest.raises(AlreadyExists):
        client.create_task(parent=QUEUE, task=task("once"))
    with pytest.raises(NotFound, match="existed recently"):
        client.get_task(name=made.name)
    tasks.advance(25 * 3600)
    client.create_task(parent=QUEUE, task=task("once", schedule_time=None))


def test_what_the_service_refuses(client: Any) -> None:
    from google.api_core.exceptions import InvalidArgument, NotFound

    wrong = (
        {"schedule_time": now() + timedelta(days=31)},
        {"http_request": {"url": "ftp://127.0.0.1/"}},
        {"http_request": {"url": "http://127.0.0.1/", "body": b"x" * 1024 * 1024}},
        {"name": "projects/p/locations/l/queues/other/tasks/t"},
    )
    for more in wrong:
        with pytest.raises(InvalidArgument):
            client.create_task(parent=QUEUE, task=task(**more))
    with pytest.raises(NotFound):
        client.create_task(parent="projects/p/locations/l/queues/other", task=task())


def test_a_paused_queue_delivers_nothing_but_what_is_run(client: Any, sink: Sink) -> None:
    client.pause_queue(name=QUEUE)
    at_once = {"http_request": {"url": sink.url}, "schedule_time": None}
    names = [client.create_task(parent=QUEUE, task=task(**at_once)).name for _ in range(3)]
    client.run_task(name=names[1])
    assert names[1].endswith(sink.wait(1)[0].headers["x-cloudtasks-taskname"])
    client.resume_queue(name=QUEUE)
    assert len({arrival.headers["x-cloudtasks-taskname"] for arrival in sink.wait(3)}) == 3


def test_one_that_fails_too_often_is_given_up(tasks: Any, client: Any, sink: Sink) -> None:
    sink.answers = [500] * 10
    client.create_task(parent=QUEUE, task=task(http_request={"url": sink.url}, schedule_time=None))
    for attempts in range(1, 6):
        sink.wait(attempts)
        tasks.advance(1)
    while tasks.waiting(QUEUE):
        time.sleep(0.01)
    assert len(sink.arrivals) == 5


def test_lists_come_in_pages(client: Any) -> None:
    names = [client.create_task(parent=QUEUE, task=task()).name for _ in range(5)]
    pages = [
        [one.name for one in page.tasks] for page in client.list_tasks(request={"parent": QUEUE, "page_size": 2}).pages
    ]
    assert [len(page) for page in pages] == [2, 2, 1]
    assert sorted(name for page in pages for name in page) == sorted(names)
    client.purge_queue(name=QUEUE)
    assert list(client.list_tasks(parent=QUEUE)) == []


def test_its_clock_can_be_moved_from_outside(tasks: Any, client: Any, sink: Sink) -> None:
    client.create_task(parent=QUEUE, task=task(http_request={"url": sink.url}))
    asked = urllib.request.Request(f"{tasks.tokens.url}/advance?seconds=90000", b"", method="POST")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked) as answer:
        assert json.loads(answer.read()) > time.time() + 89_000
    sink.wait(1)


# --- Cloud Scheduler -------------------------------------------------------------------------------------------


def test_a_job_posts_again_and_again_with_a_token(tasks: Any, sink: Sink) -> None:
    from emulators.scheduler import Scheduler

    sink.answers = [500]
    with Scheduler("sweep", sink.url, every=0.05, service_account=ACCOUNT, tokens=tasks.tokens) as job:
        found = sink.wait(3)
    assert job.statuses[:3] == [500, 204, 204]
    assert {arrival.headers["x-cloudscheduler-jobname"] for arrival in found} == {"sweep"}
    assert all(arrival.headers["authorization"].startswith("Bearer ") for arrival in found)
    came = len(sink.arrivals)
    assert job.run() == 204
    assert len(sink.arrivals) == came + 1
