"""Many who follow (G9): each gets exactly the log, however many there are, and however often connections are lost."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from onward import App
from onward.core.program import Decision, Performer, Program, Rest
from onward.core.state import OpenCall, State
from tests.benchmarks import bench_follow
from tests.cloud import servers
from tests.cloud.http_client import Frame
from tests.cloud.servers import Api

FOLLOWERS = 500
INPUTS = 10
SEED = 20


class Listener(Program):
    """Takes whatever is said to it, and rests."""

    name, version, follows = "listener", "1", False

    def decide(self, state: State) -> Decision:
        return Rest()

    def performer(self, call: OpenCall, state: State) -> Performer | None:
        return None


@asynccontextmanager
async def listening(folder: Path) -> AsyncIterator[Api]:
    async with servers.on_sqlite(folder, app=App(programs=[Listener()])) as api:
        yield api


async def test_g9_five_hundred_followers_get_exactly_the_log_though_connections_are_lost(tmp_path: Path) -> None:
    async with listening(tmp_path) as api:
        await crowd(api, FOLLOWERS)


async def test_g10_the_store_is_asked_twice_for_each_commit_however_many_follow(tmp_path: Path) -> None:
    """The counts that `make bench` prints; it raises where a reader misses an event."""
    found = await bench_follow.followed(tmp_path, sessions=2, readers=30, every=0.01, times=20)
    assert (found["reads"], found["idle"]) == (2, 0)


async def crowd(api: Api, followers: int) -> None:
    await api.begun("crowd", program="listener")
    chance = random.Random(SEED)
    readers = [asyncio.create_task(follow(api, random.Random(chance.random()))) for _ in range(followers)]
    async with api.sessions() as sessions:
        for number in range(INPUTS):
            await sessions.send("crowd", f"{number}: {'long ' * chance.randrange(200)}")
        await sessions.cancel("crowd")
    found = await asyncio.gather(*readers)
    log = (await api.ask("GET", "sessions/crowd/events")).doc["events"]
    assert [event["seq"] for event in log] == list(range(1, len(log) + 1))
    assert len(log) > INPUTS
    for got in found:
        assert [(frame.id, frame.data) for frame in got] == [(str(event["seq"]), event) for event in log]


async def follow(api: Api, chance: random.Random) -> list[Frame]:
    """All events that one gets whose connection is lost now and then, and who comes again with what they had last."""
    got: list[Frame] = []
    while True:
        live = await api.live("sessions/crowd/events", last=got[-1].id if got else None)
        most = chance.choice([0, 1, 2, 5, None, None]) if len(got) < INPUTS else None
        got += [] if most == 0 else await live.events(most)
        live.close()
        if got and got[-1].name == "end":
            return got[:-1]
