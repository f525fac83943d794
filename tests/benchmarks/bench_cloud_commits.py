"""What a commit of a step costs, by the way in which Firestore is asked: two documents, one on a condition."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, NamedTuple
from unittest import mock

from emulators.cloud import Cloud

AT_ONCE = 32
BODY = "x" * 500

Commit = Callable[[str, int, Any], Awaitable[Any]]
"""Session, number of the commit, and what the one before answered for the head: what this one answered for it."""


class Cost(NamedTuple):
    """Milliseconds of this process's processor, all threads, for one commit; and commits in a second."""

    ms: float
    rate: float


def head(number: int) -> dict[str, Any]:
    return {"seq": number, "owner": "bench", "held": False, "fold": BODY}


def _made(cloud: Cloud) -> Any:
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import firestore

    with mock.patch.dict(os.environ, {"FIRESTORE_EMULATOR_HOST": cloud.firestore.address}):
        return firestore.AsyncClient(project=cloud.project, credentials=AnonymousCredentials())


@asynccontextmanager
async def high(cloud: Cloud) -> Any:
    """The client that the package offers first: documents, references and batches."""
    client = _made(cloud)

    async def commit(session: str, number: int, before: Any) -> Any:
        at, batch = client.collection("high").document(session), client.batch()
        if before is None:
            batch.create(at, head(number))
        else:
            batch.update(at, head(number), option=client.write_option(last_update_time=before))
        batch.create(at.collection("commits").document(f"{number:012}"), {"commit": BODY})
        return (await batch.commit())[0].update_time

    yield commit
    await client._firestore_api.transport.close()


@asynccontextmanager
async def onward(cloud: Cloud) -> Any:
    """What Onward's store asks through: the generated client, given plain protobuf."""
    from onward.adapters.gcp.firestore_client import Client
    from onward.adapters.gcp.firestore_wire import MISSING, Write

    client = Client(cloud.project, emulator=cloud.firestore.address)

    async def commit(session: str, number: int, before: Any) -> Any:
        event = Write(f"onward/{session}/commits/{number:012}", {"commit": BODY}, expects=MISSING)
        written = await client.commit([Write(f"onward/{session}", head(number), expects=before or MISSING), event])
        return written[0].version

    yield commit
    await client.close()


@asynccontextmanager
async def bare(cloud: Cloud) -> Any:
    """The same protobuf through gRPC alone: the least that Python can do."""
    import grpc
    from google.cloud.firestore_v1 import types

    from onward.adapters.gcp.firestore_wire import MISSING, Write, fill_write, written_of

    asked, answered = types.CommitRequest.pb(), types.CommitResponse.pb()
    database = f"projects/{cloud.project}/databases/(default)"
    root, said = f"{database}/documents/", (("authorization", "Bearer owner"),)
    channel = grpc.aio.insecure_channel(cloud.firestore.address)
    send = channel.unary_unary("/google.firestore.v1.Firestore/Commit", asked.SerializeToString, answered.FromString)

    async def commit(session: str, number: int, before: Any) -> Any:
        request = asked(database=database)
        fill_write(request, Write(f"bare/{session}", head(number), expects=before or MISSING), root)
        fill_write(request, Write(f"bare/{session}/commits/{number:012}", {"commit": BODY}, expects=MISSING), root)
        return written_of((await send(request, metadata=said, timeout=10.0)).write_results[0]).version

    yield commit
    await channel.close()


WAYS: Mapping[str, Callable[[Cloud], AbstractAsyncContextManager[Commit]]] = {
    "onward": onward,
    "high": high,
    "bare": bare,
}

NAMES = {"onward": "Onward's way", "high": "the high-level client", "bare": "bare gRPC"}


def cost(cloud: Cloud, way: str, name: str, count: int) -> Cost:
    """Of `count` commits by each of so many sessions at once."""
    return asyncio.run(_cost(cloud, way, name, count))


async def _cost(cloud: Cloud, way: str, name: str, count: int) -> Cost:
    async with WAYS[way](cloud) as commit:
        await _chain(commit, f"{name}-first", 20)
        began, used = time.perf_counter(), time.process_time()
        await asyncio.gather(*(_chain(commit, f"{name}-{number}", count) for number in range(AT_ONCE)))
        every = AT_ONCE * count
        return Cost((time.process_time() - used) * 1000 / every, every / (time.perf_counter() - began))


async def _chain(commit: Commit, session: str, count: int) -> None:
    before = None
    for number in range(count):
        before = await commit(session, number, before)
