"""An agent on Gemini, end to end: over restarts, through approvals and failures, a request for each answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from emulators.gemini import Emulator
from onward import Agent, App, Approval, Gemini, Runtime, tool
from onward.core.events import Actor
from onward.core.files import File
from onward.engine.gateway import Start
from onward.testing.runner import Runner
from onward.wiring import local_model

Make = Callable[..., Gemini]
ANA = Actor(kind="person", name="ana")
FIND: dict[str, Any] = {"name": "find", "args": {"order": "o1"}, "id": "c1"}
PAY: dict[str, Any] = {"name": "pay", "args": {"amount": 80}}


@tool(effect="read")
def find(order: str) -> dict[str, Any]:
    """Find an order."""
    return {"order": order, "amount": 80}


@tool(effect="irreversible", approval=Approval())
def pay(amount: int) -> str:
    """Pay."""
    return f"paid {amount}"


@tool(effect="read")
def scan() -> File:
    """Scan."""
    return File(data=b"png", media_type="image/png", name="scan.png")


def desk(model: Any, **options: Any) -> App:
    return App(programs=[Agent("desk", model=model, tools=[find, pay, scan], **options)])


async def started(app: App) -> Runner:
    runner = Runner(app)
    await runner.parts.gateway.start(Start("s", "desk", "1", input="refund o1"), ANA)
    return runner


async def test_signatures_outlive_the_process_and_the_approval(
    emulator: Emulator, gemini: Make, tmp_path: Path
) -> None:
    emulator.play(
        {"thought": "Look it up.", "calls": [FIND, {"name": "find", "args": {"order": "o2"}}]},
        {"calls": [PAY]},
        {"text": "Refunded."},
    )
    db = tmp_path / "onward.db"
    async with Runtime(desk(gemini()), db, identity="ana") as runtime:
        await runtime.start("desk", "refund o1", id="s")
        assert [wait.kind for wait in (await runtime.wait("s")).waits] == ["approval"]
    async with Runtime(desk(gemini()), db, identity="ben") as runtime:
        ((_, wait),) = await runtime.approvals()
        await runtime.decide("s", "approved", digest=wait.digest)
        head = await runtime.wait("s", ended=True)
    assert head.status == "completed"
    assert [request.status for request in emulator.requests] == [200, 200, 200]
    _, found, results, paid, receipt = emulator.requests[2].body["contents"]
    assert found == emulator.requests[1].body["contents"][1]
    assert [bool(part.get("thoughtSignature")) for part in (*found["parts"], *paid["parts"])] == [0, 1, 0, 1]
    assert [part["functionResponse"]["response"]["output"]["order"] for part in results["parts"]] == ["o1", "o2"]
    assert receipt["parts"][0]["functionResponse"]["response"] == {"output": "paid 80"}


async def test_what_goes_wrong_in_between_is_tried_again_as_a_step(emulator: Emulator, gemini: Make) -> None:
    emulator.play(
        {"error": {"code": 429, "retry": 30}},
        {"calls": [FIND]},
        {"error": {"code": 503}},
        {"text": "Half of", "cut": 30},
        {"empty": "parts", "finish": "MALFORMED_FUNCTION_CALL", "usage": {"prompt": 70, "candidates": 1}},
        {"text": "Found."},
    )
    runner = await started(desk(gemini()))
    began = runner.clock.now()
    await runner.finish()
    state = await runner.state("s")
    assert (state.ended, state.output) == ("completed", "Found.")
    assert runner.clock.now() - began >= timedelta(seconds=30)
    assert len(emulator.requests) == 6
    assert [state.spent.turns, state.spent.tokens > 70] == [6, True]


async def test_bad_answers_are_not_asked_for_without_end(emulator: Emulator, gemini: Make) -> None:
    emulator.play(*[{"empty": "parts"}] * 9)
    runner = await started(desk(gemini()))
    await runner.finish()
    state = await runner.state("s")
    assert state.parked is not None
    assert state.parked.code == "bad_answer"
    assert len(emulator.requests) == 5


@pytest.mark.parametrize(
    ("turn", "code"),
    [
        ({"blocked": "SAFETY"}, "model_blocked"),
        ({"error": {"code": 400, "message": "The input token count (9) exceeds the maximum"}}, "prompt_too_long"),
        ({"error": {"code": 403}}, "model_refused"),
    ],
)
async def test_a_refusal_parks_with_its_code(emulator: Emulator, gemini: Make, turn: dict[str, Any], code: str) -> None:
    emulator.play(turn, {"text": "Now."})
    runner = await started(desk(gemini()))
    await runner.finish()
    state = await runner.state("s")
    assert state.parked is not None
    assert state.parked.code == code
    assert len(emulator.requests) == 1


async def test_calls_that_are_refused_go_back_in_their_place(emulator: Emulator, gemini: Make) -> None:
    emulator.play(
        {"calls": [{"name": "fnd", "args": {}}, FIND, {"name": "find", "args": {"order": [1]}}]}, {"text": "Done."}
    )
    runner = await started(desk(gemini()))
    await runner.finish()
    assert (await runner.state("s")).output == "Done."
    responses = [part["functionResponse"] for part in emulator.requests[1].body["contents"][2]["parts"]]
    assert [(one["name"], *one["response"]) for one in responses] == [
        ("fnd", "error"),
        ("find", "output"),
        ("find", "error"),
    ]


async def test_a_file_that_a_tool_gives_reaches_the_model(emulator: Emulator, gemini: Make, tmp_path: Path) -> None:
    emulator.play({"calls": [{"name": "scan"}]}, {"text": "A cat."})
    async with Runtime(desk(gemini()), tmp_path / "onward.db") as runtime:
        await runtime.start("desk", "what is it?", id="s")
        assert (await runtime.wait("s", ended=True)).status == "completed"
    (part,) = emulator.requests[1].body["contents"][2]["parts"]
    assert part["functionResponse"]["parts"] == [{"inlineData": {"mimeType": "image/png", "data": "cG5n"}}]


async def test_a_name_is_a_model_where_the_environment_has_the_key(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", emulator.key)
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", emulator.url)
    emulator.play({"text": "Hi."})
    app = desk("gemini-3-flash").resolved(lambda name: local_model(name, tmp_path))
    runner = await started(app)
    await runner.finish()
    assert (await runner.state("s")).output == "Hi."
    model = app.choose().model  # type: ignore[attr-defined]
    assert isinstance(model, Gemini)
    await model.close()


async def test_the_log_holds_no_key(emulator: Emulator, gemini: Make, tmp_path: Path) -> None:
    emulator.key = key = "AIza-canary-4711"
    emulator.play({"error": {"code": 400, "message": f"{key} is no good"}})
    async with Runtime(desk(gemini()), tmp_path / "onward.db") as runtime:
        await runtime.start("desk", "hello", id="s")
        await runtime.wait("s")
        state = json.dumps([event.model_dump(mode="json") async for event in runtime.events("s")])
    assert "*** is no good" in state
    stored = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
    assert b"*** is no good" in stored
    assert key.encode() not in stored
