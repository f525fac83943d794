"""Whom a model is heard by, and when it is asked to speak at all (G4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from onward import Agent, Compaction, ScriptedModel, tool
from onward.core.model import ModelAnswer, ModelRequest, Provisional
from onward.engine.speaking import Speech
from tests.unit.play import Play, call


class Heard(ScriptedModel):
    """Notes how it is asked."""

    def __init__(self, *turns: Any) -> None:
        super().__init__(turns)
        self.asked: list[str] = []

    async def answer(self, request: ModelRequest) -> ModelAnswer:
        self.asked.append("answer")
        return await super().answer(request)

    async def speak(self, request: ModelRequest, say: Callable[[str], None]) -> ModelAnswer:
        self.asked.append("speak")
        return await super().speak(request, say)


class Silent:
    """A model that can't be heard."""

    name = "silent"

    async def answer(self, request: ModelRequest) -> ModelAnswer:
        return ModelAnswer("Hello")


async def test_it_is_asked_to_speak_only_where_somebody_listens() -> None:
    model, told = Heard({"text": ["Hel", "lo"]}), list[Provisional]()
    play = Play(Agent("guide", model=model))
    await play.start(id="a")
    play.runner.parts.performing.listen(told.append)
    await play.start(id="b")
    assert model.asked == ["answer", "speak"]
    assert [said.text for said in told] == ["Hel", "Hello"]
    assert (await play.state("a")).output == (await play.state("b")).output == "Hello"


async def test_a_model_that_cannot_be_heard_answers_all_the_same() -> None:
    told: list[Provisional] = []
    play = Play(Agent("guide", model=Silent()))
    play.runner.parts.performing.listen(told.append)
    await play.start()
    assert ((await play.state()).output, told) == ("Hello", [])


@tool(effect="read")
async def look(order: str) -> str:
    """Look."""
    return "x" * 3000


async def test_a_summary_is_said_to_nobody() -> None:
    turns, by = [{"calls": [call("look", order="A")]}] * 2 + [{"text": "Done"}], Heard(*[{"text": "They looked."}] * 9)
    agent = Agent("guide", model=ScriptedModel(turns), tools=[look], compaction=Compaction(at=600, keep=1, by=by))
    play, told = Play(agent), list[Provisional]()
    play.runner.parts.performing.listen(told.append)
    await play.start()
    assert {made.summary for made in await play.bodies("transcript_compacted")} == {"They looked."}
    assert set(by.asked) == {"answer"}
    assert "They looked." not in [said.text for said in told]


def test_what_is_said_when_all_is_over_is_told_to_nobody() -> None:
    told: list[Provisional] = []
    with Speech(told.append, "k", 3, 1) as speech:
        speech.say("Hello")
    speech.say(" again")
    assert told == [Provisional("k", 3, 1, "Hello")]


def fail(speech: Speech, pieces: tuple[str, ...], failed: BaseException) -> None:
    with speech:
        for piece in pieces:
            speech.say(piece)
        raise failed


@pytest.mark.parametrize("failed", [ValueError("no"), KeyboardInterrupt()])
def test_what_came_to_nothing_is_taken_back_if_anything_was_said(failed: BaseException) -> None:
    told: list[Provisional] = []
    for pieces in ((), ("Hello",)):
        with pytest.raises(type(failed)):
            fail(Speech(told.append, "k", 3, 2), pieces, failed)
    assert [said.text for said in told] == ["Hello", ""]
