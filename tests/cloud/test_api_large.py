"""A log of large events is handed out in pieces that go well into memory, and whole."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from onward import Agent, App, ScriptedModel
from onward.surfaces.http import events, following
from tests.cloud import servers
from tests.cloud.servers import Api

SAID = 300_000
"""Characters of each input."""


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """Somebody has said a lot, five times."""
    desk = Agent("desk", model=ScriptedModel([{"text": "Go on."}] * 9), conversation=True)
    async with servers.on_sqlite(tmp_path, app=App(programs=[desk])) as api:
        await api.begun("g-1", program="desk")
        for at in range(5):
            content = str(at) * SAID
            assert (await api.ask("POST", "sessions/g-1/inputs", {"content": content})).status in (200, 202)
        await api.until("g-1", "input_received")
        yield api


async def test_a_page_of_large_events_ends_before_its_limit(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = (await api.ask("GET", "sessions/g-1/events")).doc
    assert not whole["more"]
    monkeypatch.setattr(events, "FULL", 2 * SAID)
    after, more, found = 0, True, []
    while more:
        page = (await api.ask("GET", f"sessions/g-1/events?after={after}")).doc
        assert sum(len(str(event)) for event in page["events"]) < 4 * SAID
        after, more, found = page["after"], page["more"], found + page["events"]
    assert found == whole["events"][: len(found)]
    assert sum(event["kind"] == "input_received" for event in found) == 5


async def test_g9_a_reader_from_far_back_takes_a_piece_at_a_time_and_gets_the_whole_log(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "KEPT", SAID)
    async with api.sessions() as sessions:
        head = await sessions.get("g-1")
    with api.service.hub.watching(head) as watch:
        piece = await watch.since(0)
        assert SAID <= sum(len(told.frame) for told in piece) < 2 * SAID
    log = (await api.ask("GET", "sessions/g-1/events")).doc["events"]
    stream = await api.live("sessions/g-1/events")
    assert [frame.data for frame in await stream.events(len(log))] == log
    stream.close()
