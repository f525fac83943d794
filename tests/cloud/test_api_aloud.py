"""What a model says before it has answered (G4): followers on this machine hear it, and nothing depends on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from onward import Agent, App
from onward.core.model import ModelAnswer, ModelRequest, Provisional
from onward.errors import ModelBlocked
from tests.cloud import http_client, servers
from tests.cloud.http_client import Frame
from tests.cloud.servers import Api


class Talker:
    """A model that says what a test has it say, when it has it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.said: asyncio.Queue[str | Exception | None] = asyncio.Queue()
        self.asked = asyncio.Event()

    async def answer(self, request: ModelRequest) -> ModelAnswer:
        return await self.speak(request, lambda piece: None)

    async def speak(self, request: ModelRequest, say: Callable[[str], None]) -> ModelAnswer:
        self.asked.set()
        text = ""
        while (piece := await self.said.get()) is not None:
            if isinstance(piece, Exception):
                raise piece
            text += piece
            say(piece)
            await asyncio.sleep(0.001)
        return ModelAnswer(text)

    def says(self, *pieces: str | Exception | None) -> None:
        """These pieces; None ends the answer, and an error breaks it off."""
        for piece in pieces:
            self.said.put_nowait(piece)


class Talk:
    """A session whose models a test speaks for: the second one is asked where the first one fails."""

    def __init__(self, api: Api, first: Talker, second: Talker) -> None:
        self.api, self.first, self.second = api, first, second

    async def begun(self) -> None:
        assert (await self.api.ask("POST", "sessions", {"id": "t", "program": "guide", "input": "Hi"})).status == 201
        await asyncio.wait_for(self.first.asked.wait(), 10)

    async def follow(self, **how: Any) -> AsyncIterator[Frame]:
        return (await self.api.live("sessions/t/events", **how)).frames()

    async def log(self) -> list[Any]:
        return list((await self.api.ask("GET", "sessions/t/events")).doc["events"])


@asynccontextmanager
async def talking(folder: Path) -> AsyncIterator[Talk]:
    first, second = Talker("first"), Talker("second")
    guide = Agent("guide", model=[first, second])
    async with servers.on_sqlite(folder, app=App(programs=[guide])) as api:
        api.service.parts.performing.listen(api.service.hub.hear)
        yield Talk(api, first, second)


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Talk]:
    async with talking(tmp_path) as talk:
        yield talk


async def until(frames: AsyncIterator[Frame], found: Callable[[Frame], Any]) -> list[Frame]:
    """The frames with data up to one that passes the test."""
    got = []
    async with asyncio.timeout(http_client.PATIENCE):
        async for frame in frames:
            if frame.data is not None:
                got.append(frame)
                if found(frame):
                    return got
    raise AssertionError(f"the stream ended: {got}")


def text(expected: str) -> Callable[[Frame], bool]:
    return lambda frame: frame.name == "provisional" and frame.data["text"] == expected


def ended(frame: Frame) -> bool:
    return frame.name == "end"


def events(frames: list[Frame]) -> list[Any]:
    return [frame.data for frame in frames if frame.name == "message"]


# --- what is heard -----------------------------------------------------------------------------------------------


async def test_g4_what_a_model_says_is_heard_before_it_is_committed_and_is_in_no_log(talk: Talk) -> None:
    await talk.begun()
    frames = await talk.follow()
    talk.first.says("Hel")
    first = await until(frames, text("Hel"))
    talk.first.says("lo")
    then = await until(frames, text("Hello"))
    assert "model_answered" not in [event["kind"] for event in await talk.log()]
    talk.first.says(None)
    rest = await until(frames, ended)
    log = await talk.log()
    (answered,) = [event for event in log if event["kind"] == "model_answered"]
    heard = [frame for frame in [*first, *then, *rest] if frame.name == "provisional"]
    assert [frame.data for frame in heard] == [
        {"seq": answered["seq"], "attempt": 1, "text": "Hel"},
        {"seq": answered["seq"], "attempt": 1, "text": "Hello"},
    ]
    assert [frame.id for frame in heard] == [None, None]
    assert answered["body"]["answer"]["text"] == "Hello"
    assert events([*first, *then, *rest]) == log
    assert [event["seq"] for event in log] == list(range(1, len(log) + 1))


async def test_g9_who_comes_again_in_the_middle_misses_no_event_and_hears_it_all(talk: Talk) -> None:
    await talk.begun()
    live = await talk.api.live("sessions/t/events")
    talk.first.says("Good ", "mor")
    before = await until(live.frames(), text("Good mor"))
    live.close()
    last = [frame.id for frame in before if frame.id is not None][-1:]
    again = await talk.follow(last=last[0] if last else None)
    assert (await anext(again)).retry  # it is there
    talk.first.says("ning")
    heard = await until(again, text("Good morning"))
    talk.first.says(None)
    after = await until(again, ended)
    assert events([*before, *heard, *after]) == await talk.log()
    late = await until(await talk.follow(), ended)
    assert [frame.name for frame in late] == ["message"] * (len(late) - 1) + ["end"]


async def test_g4_an_attempt_that_fails_takes_back_what_it_said(talk: Talk) -> None:
    await talk.begun()
    frames = await talk.follow()
    talk.first.says("Well, ")
    await until(frames, text("Well, "))
    talk.first.says(ModelBlocked("not that"))
    took_back = (await until(frames, text("")))[-1].data
    await asyncio.wait_for(talk.second.asked.wait(), 10)
    talk.second.says("Hello")
    second = (await until(frames, text("Hello")))[-1].data
    talk.second.says(None)
    await until(frames, ended)
    failed, answered = [event for event in await talk.log() if event["kind"].startswith("model_")]
    assert (took_back["seq"], took_back["attempt"]) == (failed["seq"], 1)
    assert second["seq"] == answered["seq"] > failed["seq"]
    assert (failed["body"]["error"]["code"], answered["body"]["answer"]["text"]) == ("model_blocked", "Hello")


async def test_many_pieces_are_told_together_at_most_ten_times_a_second(talk: Talk) -> None:
    await talk.begun()
    frames, began = await talk.follow(), asyncio.get_running_loop().time()
    talk.first.says(*["a"] * 200)
    told = await until(frames, text("a" * 200))
    heard = [frame for frame in told if frame.name == "provisional"]
    assert len(heard) <= 10 * (asyncio.get_running_loop().time() - began) + 2
    talk.first.says(None)
    await until(frames, ended)


async def test_what_is_no_text_that_can_be_sent_ends_no_stream(talk: Talk) -> None:
    await talk.begun()
    frames = await talk.follow()
    talk.first.says("\ud83d")
    await until(frames, text("?"))
    talk.first.says("\ude00</script>\n\ndata: 1", ModelBlocked("no"))
    await until(frames, lambda frame: frame.name == "provisional" and not frame.data["text"])
    talk.second.says("Hello", None)
    assert (await until(frames, ended))[-1].data["status"] == "completed"


# --- what is not -------------------------------------------------------------------------------------------------


async def test_nothing_is_kept_for_a_session_that_nobody_watches(talk: Talk) -> None:
    await talk.begun()
    talk.first.says("Hel", "lo", None)
    await talk.api.until("t", "session_completed")
    assert talk.api.service.hub._watches == {}
    late = await until(await talk.follow(), ended)
    assert events(late) == await talk.log()


async def test_a_listener_that_fails_fails_no_step(talk: Talk, caplog: pytest.LogCaptureFixture) -> None:
    told: list[Provisional] = []

    def hear(said: Provisional) -> None:
        told.append(said)
        raise RuntimeError("no ears")

    talk.api.service.parts.performing.listen(hear)
    await talk.begun()
    talk.first.says("Hel", "lo", None)
    await talk.api.until("t", "session_completed")
    assert [said.text for said in told] == ["Hel"]
    assert [record.action for record in caplog.records if hasattr(record, "action")] == ["not_heard"]
    (answered,) = [event for event in await talk.log() if event["kind"] == "model_answered"]
    assert answered["body"]["answer"]["text"] == "Hello"
