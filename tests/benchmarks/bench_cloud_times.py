"""How long it takes from a message to its event in the log, and from the start of a process to its first answer."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from emulators.cloud import SESSIONS, Cloud
from emulators.functions import Function
from onward.adapters.gcp.firestore_client import Client
from onward.adapters.gcp.firestore_documents import commit_path
from onward.config import CloudSettings
from onward.core.ids import session_key
from onward.surfaces.http.caller import Caller
from onward.wiring import cloud as parts_of
from tests.benchmarks.bench_cloud_load import APP, WAKES, Connection, pushed, start_of

PATIENCE = 30.0
LOOKS = 0.02
"""Seconds between two looks whether an event is there. Its time is the commit's: it does not depend on this."""

_numbers = itertools.count(1)
Send = Callable[[bytes], Any]


async def straight(cloud: Cloud, data: bytes) -> None:
    await _post(cloud.functions["advance"], data)


async def through(cloud: Cloud, data: bytes) -> None:
    """Publish it: the emulator pushes it to the function."""
    await asyncio.to_thread(cloud.pubsub.publish, cloud.topic(SESSIONS), base64.b64encode(data).decode())


WAYS = {"publish": through, "post": straight}


def delays(cloud: Cloud, way: str, count: int) -> tuple[list[float], list[float]]:
    """Seconds from sending to the commit of its event: of so many starts, and of as many inputs."""
    return asyncio.run(_delays(cloud, way, count))


async def _delays(cloud: Cloud, way: str, count: int) -> tuple[list[float], list[float]]:
    client, starts, inputs = Client(cloud.project, emulator=cloud.firestore.address), list[float](), list[float]()
    for number in range(count):
        session = f"{way}-{time.time_ns()}-{number}"
        starts.append(await _delay(cloud, way, client, session, start_of(session, "outside", 1), 1))
        at_rest = await _rests(cloud, session)
        said = {"version": 1, "session": session, "kind": "input", "body": {"content": "Hello"}}
        inputs.append(await _delay(cloud, way, client, session, json.dumps(said).encode(), at_rest + 1))
    await client.close()
    return starts, inputs


async def _delay(cloud: Cloud, way: str, client: Client, session: str, data: bytes, seq: int) -> float:
    path, began = commit_path(session_key("default", session), seq), time.time()
    await WAYS[way](cloud, data)
    async with asyncio.timeout(PATIENCE):
        while not (found := await client.get([path])).documents:
            await asyncio.sleep(LOOKS)
    return found.documents[0].created.timestamp() - began


async def _rests(cloud: Cloud, session: str) -> int:
    """The session's last event, once it waits."""
    parts = parts_of(CloudSettings.from_env(cloud.environment))
    head = await parts.backend.wait_for(
        session_key("default", session), lambda head: head.status == "waiting", PATIENCE
    )
    await parts.close()
    assert head is not None, cloud.functions["advance"].said()
    return head.seq


class Start(NamedTuple):
    """Seconds from the start of a process until it listens, and until it has answered its first message; and how many
    modules are loaded then."""

    listening: float
    answered: float
    modules: int


def cold(cloud: Cloud, folder: Path) -> Start:
    """Start `advance` anew; its first message starts a session and makes its first step."""
    session = f"cold-{time.time_ns()}"
    function, began = Function("advance", folder / "cold.log"), time.perf_counter()
    try:
        function.start(cloud.environment | {"ONWARD_APP": APP, "ONWARD_SESSIONS_TOPIC": WAKES})
        listening = time.perf_counter() - began
        asyncio.run(_post(function, start_of(session, "modules", 2)))
        answered = time.perf_counter() - began
        asyncio.run(_post(function, json.dumps({"version": 1, "session": session}).encode()))
        return Start(listening, answered, asyncio.run(_modules(cloud, session)))
    finally:
        function.close()


async def _post(function: Function, data: bytes) -> None:
    """Post a message to the function as a push does, without Pub/Sub."""
    connection = Connection(urlsplit(function.url).port or 0)
    status = await connection.post(pushed(data, str(next(_numbers))))
    connection.close()
    assert status == 204, function.said()


async def _modules(cloud: Cloud, session: str) -> int:
    """What the second step found: by then the first one was answered."""
    parts = parts_of(CloudSettings.from_env(cloud.environment))
    try:
        key = session_key("default", session)
        await parts.backend.wait_for(key, lambda head: head.ended, PATIENCE)
        events = [event async for event in Caller(parts, "bench").events(session)]
        return max(int(event.body.result) for event in events if event.kind == "call_completed")
    finally:
        await parts.close()
