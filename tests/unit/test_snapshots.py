"""Snapshots that can't be read are no loss."""

from __future__ import annotations

from typing import Any

from onward import Agent, ScriptedModel
from onward.engine.load import Cache
from onward.errors import CorruptLog
from tests.unit.play import Play


class Damaged:
    """Blobs of which a snapshot is no text any more."""

    def __init__(self, real: Any) -> None:
        self._real, self.asked = real, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def get(self, key: str, name: str) -> Any:
        if name.startswith("snapshots/"):
            self.asked += 1
            raise CorruptLog(f"{name} is no text")
        return await self._real.get(key, name)


async def test_g1_a_snapshot_that_is_no_text_any_more_is_passed_over() -> None:
    play = Play(Agent("desk", model=ScriptedModel([{"text": "x" * 9000}] * 12), conversation=True))
    await play.start()
    for number in range(9):
        await play.send(f"more {number}")
    loader, damaged = play.runner.parts.loader, Damaged(play.runner.backend.blobs)
    loader._blobs, loader.cache = damaged, Cache(0)
    before = (await play.head()).seq
    await play.send("again")
    head = await play.head()
    assert damaged.asked > 0
    assert (head.status, head.seq > before, head.error) == ("waiting", True, None)
