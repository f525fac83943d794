"""The scripted model: fixed turns, from Python or a file."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from onward.adapters.local.scripted import ScriptedModel, resolve_model
from onward.core.events import Usage
from onward.core.model import Model, ModelCall, ModelRequest, Speaking
from onward.core.state import Entry
from onward.errors import BadInput, ModelRefused, ModelUnavailable, OnwardError

TURNS: list[Any] = [
    {"text": "Let me see.", "calls": [{"tool": "find", "arguments": {"id": "o1"}}, {"tool": "now"}]},
    {"text": "Done."},
]


def request(answers: int = 0, attempt: int = 1) -> ModelRequest:
    transcript = [Entry(kind="input", seq=1, value="hi")]
    for index in range(answers):
        transcript += [
            Entry(kind="answer", seq=2 + 3 * index, value={}),
            Entry(kind="result", seq=4 + 3 * index, value=1),
        ]
    return ModelRequest("scripted", "", (), tuple(transcript), max_output_tokens=10, attempt=attempt)


async def test_the_turn_is_chosen_by_the_answers_so_far() -> None:
    model: Model = ScriptedModel(TURNS)
    first = await model.answer(request())
    assert (first.text, first.calls) == ("Let me see.", (ModelCall("find", {"id": "o1"}), ModelCall("now", {})))
    assert (await model.answer(request(answers=1))).text == "Done."


async def test_it_keeps_nothing_between_calls() -> None:
    model = ScriptedModel(TURNS)
    last = await model.answer(request(answers=1))
    assert await model.answer(request()) == await ScriptedModel(TURNS).answer(request())
    assert await model.answer(request(answers=1)) == last


async def test_past_the_last_turn_it_refuses() -> None:
    with pytest.raises(ModelRefused, match="has 2 turns and was asked for turn 3: add it"):
        await ScriptedModel(TURNS).answer(request(answers=2))


async def test_faults_come_on_the_first_attempts() -> None:
    model = ScriptedModel([{"text": "Hi", "fails": [{"code": "unavailable", "retry_after": 7}, {"code": "refused"}]}])
    with pytest.raises(ModelUnavailable) as exc:
        await model.answer(request(attempt=1))
    assert exc.value.retry_after == 7
    with pytest.raises(ModelRefused):
        await model.answer(request(attempt=2))
    assert (await model.answer(request(attempt=3))).text == "Hi"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("unavailable", "model_unavailable"),
        ("rate_limited", "rate_limited"),
        ("refused", "model_refused"),
        ("blocked", "model_blocked"),
        ("prompt_too_long", "prompt_too_long"),
        ("bad_answer", "bad_answer"),
    ],
)
async def test_every_kind_of_failure_can_be_played(code: str, kind: str) -> None:
    with pytest.raises(OnwardError) as exc:
        await ScriptedModel([{"text": "Hi", "fails": [{"code": code}]}], name="big").answer(request())
    assert exc.value.code == kind
    assert "turn 1 of big" in str(exc.value)


async def test_one_function_may_play_every_turn() -> None:
    model = ScriptedModel(lambda request: {"text": str(len(request.transcript))})
    assert [(await model.answer(request(answers=count))).text for count in (0, 1, 7)] == ["1", "3", "15"]


async def test_a_turn_may_be_computed_from_the_request() -> None:
    model = ScriptedModel([lambda request: {"text": f"attempt {request.attempt}"}, lambda request: {"words": "x"}])
    assert (await model.answer(request(attempt=4))).text == "attempt 4"
    with pytest.raises(BadInput, match=r"turns\[1\]\.words"):
        await model.answer(request(answers=1))


async def test_it_is_heard_piece_by_piece_and_answers_the_same() -> None:
    model: Speaking = ScriptedModel([{"text": ["Hel", "lo"], "fails": [{"code": "unavailable"}], "pause": 0.001}])
    said: list[str] = []
    assert await model.speak(request(attempt=2), said.append) == await model.answer(request(attempt=2))
    assert (said, (await model.answer(request(attempt=2))).text) == (["Hel", "lo"], "Hello")
    said.clear()
    with pytest.raises(ModelUnavailable):
        await model.speak(request(), said.append)
    assert said == ["Hel"]


async def test_arguments_from_python_become_json() -> None:
    model = ScriptedModel([{"calls": [{"tool": "refund", "arguments": {"amount": Decimal("3.50")}}]}])
    assert (await model.answer(request())).calls[0].arguments == {"amount": "3.50"}


async def test_usage_is_fixed_or_given() -> None:
    model = ScriptedModel([{"text": "a"}, {"text": "b", "usage": {"input_tokens": 5, "output_tokens": 6}}])
    assert (await model.answer(request())).usage.total > 0
    assert (await model.answer(request(answers=1))).usage == Usage(input_tokens=5, output_tokens=6)


@pytest.mark.parametrize(
    ("turn", "says"),
    [
        ({}, r"turns\[0\]: a turn needs text or calls"),
        ({"fails": []}, r"turns\[0\]: a turn needs text or calls"),
        ({"txt": "a"}, r"turns\[0\]\.txt: Extra inputs"),
        ({"text": 3}, r"turns\[0\]\.text: Input should be a valid string"),
        ({"text": ["Hel", 3]}, r"turns\[0\]\.text\[1\]: Input should be a valid string"),
        ({"text": "a", "pause": -1}, r"turns\[0\]\.pause: Input should be greater"),
        ({"calls": [{"name": "find"}]}, r"turns\[0\]\.calls\[0\]\.tool: Field required"),
        ({"calls": [{"tool": "find", "arguments": [1]}]}, r"turns\[0\]\.calls\[0\]\.arguments: Input should be a"),
        ({"text": "", "fails": [{"code": "tired"}]}, r"turns\[0\]\.fails\[0\]\.code: Input should be 'unavailable'"),
        ({"text": "", "usage": {"tokens": 3}}, r"turns\[0\]\.usage\.tokens: Extra inputs"),
        ("hello", r"turns\[0\]: Input should be"),
        ({"text": object()}, r"turns\[0\]: not a JSON value"),
    ],
)
def test_a_wrong_turn_is_refused_by_field(turn: Any, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        ScriptedModel([turn])


async def test_a_file_plays_the_same(tmp_path: Path) -> None:
    (tmp_path / "turns.json").write_text(json.dumps({"turns": TURNS}))
    model = ScriptedModel.from_file(tmp_path / "turns.json")
    assert await model.answer(request()) == await ScriptedModel(TURNS).answer(request())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "the script is not JSON"),
        ("[]", "turns: a script is an object"),
        ("{}", "turns: a script is an object"),
        ('{"turns": {}}', "turns: a script is an object"),
        ('{"turns": [], "model": 1}', "model: a script has no such field"),
        ('{"turns": [{"text": "a"}, {"text": null}]}', r"turns\[1\]\.text: Input should be"),
    ],
)
def test_a_wrong_file_is_refused_by_name_and_field(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "turns.json").write_text(text)
    with pytest.raises(BadInput, match=rf"turns\.json: {says}"):
        ScriptedModel.from_file(tmp_path / "turns.json")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"none\.json: the script can't be read: No such file"):
        ScriptedModel.from_file(tmp_path / "none.json")


def test_a_name_with_the_scheme_is_a_file_beside_the_application(tmp_path: Path) -> None:
    (tmp_path / "turns.json").write_text('{"turns": []}')
    assert isinstance(resolve_model("scripted:turns.json", tmp_path), ScriptedModel)
    assert isinstance(resolve_model(f"scripted:{tmp_path / 'turns.json'}", Path("/")), ScriptedModel)
    assert resolve_model("big-model", tmp_path) is None
    with pytest.raises(BadInput, match=r"none\.json"):
        resolve_model("scripted:none.json", tmp_path)
