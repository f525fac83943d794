"""The real client of Google's, heard while it answers: the same answers and failures, their text as it comes (G4)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from emulators.gemini import Emulator
from onward import Agent, App, Gemini, Runtime
from onward.core.model import ModelAnswer, Provisional, Speaking
from onward.errors import BadAnswer, ModelBlocked, ModelUnavailable, RateLimited
from tests.emulator.test_gemini import HELLO, Make, entry, request, result

ANSWERS: list[dict[str, Any]] = [
    {"text": "Hello there"},
    {"thought": "Greet them well.", "text": "Hello there", "usage": {"prompt": 50, "cached": 30, "thoughts": 8}},
    {"text": "Let me see.", "calls": [{"name": "find", "args": {"id": "o1"}, "id": "x7"}, {"name": "now"}]},
    {"calls": [{"name": "find", "args": {"id": "o1"}}]},
    {"text": "It was cu", "finish": "MAX_TOKENS"},
]


async def heard(model: Gemini, *transcript: Any) -> tuple[ModelAnswer, list[str]]:
    said: list[str] = []
    answer = await model.speak(request(*transcript), said.append)
    return answer, [piece for piece in said if piece]


@pytest.mark.parametrize("turn", ANSWERS)
async def test_it_is_the_answer_that_would_have_come_whole(emulator: Emulator, gemini: Make, turn: Any) -> None:
    emulator.play(turn, turn)
    model = gemini()
    assert isinstance(model, Speaking)
    whole, (spoken, said) = await model.answer(request()), await heard(model)
    assert (spoken.text, spoken.calls, spoken.finish) == (whole.text, whole.calls, whole.finish)
    assert spoken.usage == whole.usage
    assert "".join(said) == spoken.text
    assert len(said) == (2 if spoken.text else 0)
    assert [asked.body for asked in emulator.requests[1:]] == [emulator.requests[0].body]
    assert emulator.requests[1].path.startswith("/v1/models/gemini-3-flash:streamGenerateContent")


async def test_what_it_wrote_goes_back_with_its_signatures(emulator: Emulator, gemini: Make) -> None:
    emulator.play(ANSWERS[2], ANSWERS[1], {"text": "Bye"})
    model = gemini()
    called, _ = await heard(model)
    history = [HELLO, entry(called, 2), result([1], 4, "3.0"), result(5, 5, "3.1")]
    spoken, _ = await heard(model, *history)
    signed = [bool(part.get("thought_signature")) for part in spoken.content["parts"]]
    assert signed == [False, False, True]
    assert [part["text"] for part in spoken.content["parts"]] == ["Greet them well.", "Hello there", ""]
    await heard(model, *history, entry(spoken, 6))
    assert [asked.status for asked in emulator.requests] == [200] * 3
    assert emulator.requests[2].body["contents"][3]["parts"][2]["thoughtSignature"]


@pytest.mark.parametrize(
    ("turn", "kind"),
    [
        ({"error": {"code": 429, "retry": 7}}, RateLimited),
        ({"error": {"code": 503}}, ModelUnavailable),
        ({"blocked": "SAFETY"}, ModelBlocked),
        ({"text": "How to", "finish": "SAFETY"}, ModelBlocked),
        ({"empty": "candidates"}, BadAnswer),
        ({"empty": "parts"}, BadAnswer),
        ({"text": "Hm", "finish": "MALFORMED_FUNCTION_CALL"}, BadAnswer),
        ({"text": "Hello there", "cut": 60}, ModelUnavailable),
        ({"text": "Hello there", "cut": 150}, ModelUnavailable),
        ({"text": "Hello there", "cut": -1}, ModelUnavailable),
        ({"text": "Hello there", "finish": ""}, ModelUnavailable),
    ],
)
async def test_it_fails_as_one_that_comes_whole(emulator: Emulator, gemini: Make, turn: Any, kind: Any) -> None:
    emulator.play(turn)
    with pytest.raises(kind) as caught:
        await heard(gemini())
    assert emulator.key not in str(caught.value)
    assert len(emulator.requests) == 1


async def test_one_that_is_waited_for_no_longer_is_let_go(emulator: Emulator, gemini: Make) -> None:
    emulator.play({"text": "Hello", "delay": 2})
    model = gemini()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(heard(model), 0.1)
    emulator.play({"text": "Hello"})
    assert (await heard(model))[0].text == "Hello"


async def test_g4_an_agent_is_heard_and_its_log_has_the_answer_alone(
    emulator: Emulator, gemini: Make, tmp_path: Path
) -> None:
    emulator.play({"text": "Hello there"})
    guide, said = Agent("guide", model=gemini()), list[Provisional]()
    async with Runtime(App(programs=[guide]), tmp_path / "onward.db") as runtime:
        runtime.parts.performing.listen(said.append)
        head = await runtime.start("guide", "Hi")
        await runtime.wait(head.id)
        events = [event async for event in runtime.events(head.id)]
    (answered,) = [event for event in events if event.kind == "model_answered"]
    assert [(one.key, one.seq, one.attempt) for one in said] == [(head.key, answered.seq, 1)] * 2
    assert [one.text for one in said] == ["Hello ", "Hello there"]
