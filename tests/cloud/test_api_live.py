"""Live events (G9): readers come and go, get exactly the log, and cost the store nothing more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from onward.errors import StoreUnavailable
from onward.surfaces.http import following
from onward.surfaces.http.following import Pace
from tests.cloud import servers
from tests.cloud.http_client import Frame
from tests.cloud.servers import Api

if TYPE_CHECKING:
    from tests.cloud.world import World

READERS = 20


@pytest.fixture
async def local(tmp_path: Path) -> AsyncIterator[Api]:
    async with servers.on_sqlite(tmp_path) as api:
        yield api


def seqs(frames: list[Frame]) -> list[int]:
    return [frame.data["seq"] for frame in frames if frame.name == "message"]


async def log_of(api: Api, session: str) -> list[Any]:
    return [page for page in (await api.ask("GET", f"sessions/{session}/events")).doc["events"]]


# --- exactly the log ---------------------------------------------------------------------------------------------


async def test_g9_a_reader_dropped_at_every_event_gets_exactly_the_log(api: Api) -> None:
    decision = await api.asking("l-drop")
    begun = len(await log_of(api, "l-drop"))
    readers = [asyncio.create_task(dropped(api, "l-drop", at)) for at in range(begun + 5)]
    await asyncio.sleep(0.2)
    assert (await api.ask("POST", "sessions/l-drop/decisions", decision)).status == 200
    frames = await asyncio.gather(*readers)
    log = await log_of(api, "l-drop")
    assert log[-1]["kind"] == "session_completed"
    assert len(log) >= begun + 4
    for got in frames:
        assert [frame.data for frame in got[:-1]] == log
        assert [frame.id for frame in got[:-1]] == [str(event["seq"]) for event in log]
        assert (got[-1].name, got[-1].data) == ("end", {"status": "completed", "seq": len(log)})


async def dropped(api: Api, session: str, at: int) -> list[Frame]:
    """What a reader gets whose connection is lost behind so many events, and who comes again."""
    first = await api.live(f"sessions/{session}/events")
    got = await first.events(at) if at else []
    first.close()
    if got and got[-1].name == "end":
        return got
    again = await api.live(f"sessions/{session}/events?after=0", last=got[-1].id if got else None)
    assert (again.status, again.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    return got + await again.events()


async def test_g9_a_reader_that_comes_after_the_end_gets_the_whole_log_and_the_end(api: Api) -> None:
    await api.asking("l-late")
    await api.ask("POST", "sessions/l-late/cancel")
    await api.until("l-late", "session_cancelled")
    log = await log_of(api, "l-late")
    late = await (await api.live("sessions/l-late/events")).events()
    assert [frame.data for frame in late[:-1]] == log
    assert (late[-1].name, late[-1].data["status"]) == ("end", "cancelled")
    behind = await (await api.live("sessions/l-late/events?after=2")).events()
    assert seqs(behind) == list(range(3, len(log) + 1))
    assert (await api.live("sessions/l-late/events", last="end")).status == 204
    assert (await api.live("sessions/l-late/events", last="soon")).status == 400
    assert (await api.live("sessions/l-late/events", last="9" * 20)).status == 400
    beyond = await (await api.live("sessions/l-late/events", last="999999")).events()
    assert [(frame.name, frame.data["seq"]) for frame in beyond] == [("end", log[-1]["seq"])]
    assert (await api.live("sessions/l-never/events")).status == 404


async def test_g4_what_is_streamed_is_in_the_log_already(api: Api) -> None:
    decision = await api.asking("l-first")
    stream = await api.live("sessions/l-first/events")
    frames, told = stream.frames(), asyncio.create_task(api.ask("POST", "sessions/l-first/decisions", decision))
    async for frame in frames:
        if frame.name == "end":
            break
        if frame.data is not None:
            page = await api.ask("GET", f"sessions/l-first/events?after={frame.data['seq'] - 1}&limit=1")
            assert page.doc["events"] == [frame.data]
    assert (await told).status == 200


# --- readers and each other --------------------------------------------------------------------------------------


async def test_g9_one_who_stalls_slows_nobody_and_misses_nothing(local: Api) -> None:
    await local.asking("l-slow")
    stalled = await local.live("sessions/l-slow/events", room=4096)
    quick = asyncio.create_task((await local.live("sessions/l-slow/events")).events())
    for number in range(20):
        told = await local.ask("POST", "sessions/l-slow/inputs", {"content": f"{number} " + "long " * 80_000})
        assert told.status == 200
    await local.ask("POST", "sessions/l-slow/cancel")
    all_of_it = await quick
    before = local.counts["commits"]
    late = await stalled.events()
    assert [frame.data for frame in late] == [frame.data for frame in all_of_it]
    assert local.counts["commits"] > before  # from the log: nobody has kept so much for it


@pytest.mark.parametrize("on", ["sqlite", "firestore"])
async def test_g10_what_is_asked_of_the_store_does_not_grow_with_readers(
    on: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """A watched session is waited for once; what is new is read once; one that nobody watches costs nothing."""
    world: World | None = request.getfixturevalue("world") if on == "firestore" else None
    async with servers.on_firestore(world) if world else servers.on_sqlite(tmp_path) as api:
        id = f"l-many-{on}"
        await api.asking(id)
        last, waits = len(await log_of(api, id)), Waits(api)
        streams = [await api.live(f"sessions/{id}/events?after={last}") for _ in range(READERS)]
        readers = [asyncio.create_task(stream.events(1)) for stream in streams]
        await waits.until(1)
        looks = Looks(api)
        async with world.sessions() if world else api.sessions() as sessions:
            await sessions.send(id, "News")
        told = await asyncio.gather(*readers)
        assert [seqs(frames) for frames in told] == [[last + 1]] * READERS
        assert waits.most == 1
        assert waits.read == 1
        assert not world or api.counts["read"] <= looks.pauses + 2  # each wait looks once before it pauses
        for stream in streams:
            stream.close()
        await waits.until(0)
        api.counts.clear()
        async with world.sessions() if world else api.sessions() as sessions:
            await sessions.send(id, "Heard by nobody")
        assert (waits.now, waits.read) == (0, 1)
        assert not world or not api.counts


class Looks:
    """How often this API's process paused between two looks, of which each is a read."""

    def __init__(self, api: Api) -> None:
        self.pauses = 0
        clock = api.service.parts.clock
        sleep = clock.sleep

        async def paused(seconds: float) -> None:
            self.pauses += 1
            await sleep(seconds)

        api.counts.clear()
        backend: Any = api.service.parts.backend
        backend._clock = SimpleNamespace(now=clock.now, monotonic=clock.monotonic, sleep=paused)


class Waits:
    """How many wait for a session of this API's hub, and how often it was read for them."""

    def __init__(self, api: Api) -> None:
        self.now = self.most = self.read = 0
        backend: Any = api.service.parts.backend
        self._wait, backend.wait_for = backend.wait_for, self._waiting
        self._commits, backend.store.commits = backend.store.commits, self._reading

    async def _waiting(self, key: str, test: Any, timeout: float) -> Any:
        if timeout != following.PATIENCE:
            return await self._wait(key, test, timeout)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            return await self._wait(key, test, timeout)
        finally:
            self.now -= 1

    async def _reading(self, key: str, after: int = 0, limit: int | None = None) -> Any:
        self.read += limit == following.PAGE
        return await self._commits(key, after=after, limit=limit)

    async def until(self, number: int) -> None:
        async with asyncio.timeout(20):
            while self.now != number:
                await asyncio.sleep(0.01)


# --- signs of life -----------------------------------------------------------------------------------------------


async def test_a_silent_stream_shows_that_it_lives_and_ends_in_time(tmp_path: Path) -> None:
    async with servers.on_sqlite(tmp_path, Pace(heartbeat=0.05, lasts=0.3, again=2.5)) as api:
        await api.asking("l-beat")
        log = await log_of(api, "l-beat")
        frames = [frame async for frame in (await api.live("sessions/l-beat/events")).frames()]
        assert seqs([frame for frame in frames if frame.data]) == [event["seq"] for event in log]
        assert (frames[0].retry, frames[-1].retry, frames[-1].comment) == (2500, 2500, "come again")
        assert [frame.comment for frame in frames].count("heartbeat") >= 2
        again = await (await api.live("sessions/l-beat/events", last=str(log[-1]["seq"]))).events()
        assert again == []


async def test_streams_end_with_the_process_and_hold_it_up_no_longer(tmp_path: Path) -> None:
    async with servers.on_sqlite(tmp_path) as api:
        await api.asking("l-stop")
        stream = await api.live("sessions/l-stop/events")
        frames = asyncio.create_task(_all(stream.frames()))
        await asyncio.sleep(0.1)
    assert (await frames)[-1].comment == "come again"


async def _all(frames: AsyncIterator[Frame]) -> list[Frame]:
    return [frame async for frame in frames]


async def test_a_store_that_is_away_for_a_while_ends_no_stream(local: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "AGAIN", 0.01)
    decision = await local.asking("l-away")
    backend: Any = local.service.parts.backend
    wait, failures = backend.wait_for, iter([True] * 3)

    async def away(key: str, test: Any, timeout: float) -> Any:
        if timeout == following.PATIENCE and next(failures, False):
            raise StoreUnavailable("away")
        return await wait(key, test, timeout)

    backend.wait_for = away
    reader = asyncio.create_task((await local.live("sessions/l-away/events")).events())
    await local.ask("POST", "sessions/l-away/decisions", decision)
    frames = await reader
    assert [frame.data for frame in frames[:-1]] == await log_of(local, "l-away")
    assert next(failures, None) is None


async def test_what_was_erased_is_told_to_nobody_who_comes_later(local: Api) -> None:
    await local.asking("l-erased")
    watching = await local.live("sessions/l-erased/events")
    frames = watching.frames()
    said = (await local.ask("POST", "sessions/l-erased/inputs", {"content": "My secret"})).doc["event"]["seq"]
    async for frame in frames:
        if frame.data and frame.data["seq"] == said:
            break
    async with local.sessions() as sessions:
        await sessions.erase("l-erased", said, "content")
    async for frame in frames:
        if frame.data and frame.data["kind"] == "field_erased":
            break
    late = await (await local.live(f"sessions/l-erased/events?after={said - 1}")).events(1)
    assert (late[0].data["body"]["content"], late[0].data["erased"]) == (None, ["content"])
