"""Answers of a wanted type: read, refused, asked for again, and given back typed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field, field_validator
from typing_extensions import TypedDict

from onward import Agent, App, BadInput, Runtime, ScriptedModel
from onward.core.model import ModelAnswer, ModelRequest
from onward.core.payload import Erased
from onward.core.state import State, changed
from onward.programs.output import OutputType, unfenced
from tests.unit.play import OPERATOR, Play, Watching, call


class Order(BaseModel):
    number: str
    amount: Decimal = Field(gt=0)
    due: date | None = None


GOOD = '{"number": "A1", "amount": "12.50", "due": "2026-03-01"}'
VALUE = {"number": "A1", "amount": "12.50", "due": "2026-03-01"}
BAD = '{"number": 7}'


def agent(*texts: Any, **options: Any) -> Agent:
    turns = [text if isinstance(text, dict) else {"text": text} for text in texts]
    return Agent("reader", **{"model": Watching(ScriptedModel(turns)), "output_type": Order, **options})


# --- reading ---------------------------------------------------------------------------------------------------


@dataclass
class Point:
    x: int
    y: int = 0


class Name(TypedDict):
    first: str


@pytest.mark.parametrize(
    ("kind", "text", "value", "typed"),
    [
        (Order, GOOD, VALUE, Order(number="A1", amount=Decimal("12.50"), due=date(2026, 3, 1))),
        (Point, '{"x": 3}', {"x": 3, "y": 0}, Point(3)),
        (Name, '{"first": "Ann"}', {"first": "Ann"}, {"first": "Ann"}),
        (list[int], "[1, 2]", [1, 2], [1, 2]),
        (int | None, "null", None, None),
        (str, '"plain"', "plain", "plain"),
        (dict[str, Point], '{"a": {"x": 1}}', {"a": {"x": 1, "y": 0}}, {"a": Point(1)}),
    ],
)
def test_a_text_is_read_and_comes_back_typed(kind: Any, text: str, value: Any, typed: Any) -> None:
    output = OutputType(kind, "agent reader")
    assert output.read(text) == value
    assert output.typed(value) == typed
    assert json.dumps(output.schema)


@pytest.mark.parametrize("text", ["[1]", "```json\n[1]\n```", "\n ```\n[1]```  \n", "```JSON\n[1]\n\n```", " [1] "])
def test_a_fence_around_it_is_no_harm(text: str) -> None:
    assert OutputType(list[int], "agent").read(text) == [1]


def test_only_a_fence_around_all_of_it_is_taken_off() -> None:
    assert unfenced('{"a": "```json\\nx\\n```"}') == '{"a": "```json\\nx\\n```"}'


def picky(value: Any) -> Any:
    raise RuntimeError("a bug")


class Picky(BaseModel):
    name: str

    check = field_validator("name")(picky)


@pytest.mark.parametrize(
    ("kind", "text", "says"),
    [
        (Order, "Sure! Here it is", "the answer is not JSON"),
        (Order, "", "the answer is not JSON"),
        (Order, "[" * 5000, "the answer is not JSON"),
        (Order, "[]", "the answer: Input should be an object"),
        (Order, BAD, "number: Input should be a valid string; amount: Field required"),
        (Order, '{"number": "A", "amount": "-1"}', "amount: Input should be greater than 0"),
        (list[int], '["5"]', "0: Input should be a valid integer"),
        (list[int], str(["x"] * 9).replace("'", '"'), "and 4 more"),
        (float, "NaN", "the answer holds what JSON can't"),
        (Picky, '{"name": "x"}', "the answer can't be checked: RuntimeError"),
    ],
)
def test_what_does_not_fit_is_told_without_what_was_said(kind: Any, text: str, says: str) -> None:
    with pytest.raises(BadInput) as refused:
        OutputType(kind, "agent reader").read(text)
    assert says in str(refused.value)


class Plain:
    pass


def test_a_type_without_a_schema_is_refused_when_it_is_declared() -> None:
    with pytest.raises(BadInput, match=r"agent reader: output_type <class .*Plain'> has no JSON Schema: Unable"):
        Agent("reader", model="m", output_type=Plain)


# --- in a session ----------------------------------------------------------------------------------------------


async def test_the_output_is_the_json_of_the_value_and_the_agent_gives_it_typed() -> None:
    one = agent(f"```json\n{GOOD}\n```")
    play = Play(one)
    await play.start()
    state = await play.check()
    assert state.output == VALUE
    assert one.output(state) == Order(number="A1", amount=Decimal("12.50"), due=date(2026, 3, 1))
    assert one.model.requests[0].output_schema == OutputType(Order, "").schema  # type: ignore[union-attr]


async def test_a_wrong_answer_is_refused_and_the_model_is_told_why() -> None:
    one = agent(BAD, "no", GOOD)
    play = Play(one)
    await play.start()
    state = await play.check()
    assert state.output == VALUE
    refused = await play.bodies("answer_refused")
    assert [body.error["code"] for body in refused] == ["output_invalid"] * 2
    kind, told = one.model.said(1)[-1]  # type: ignore[union-attr]
    assert kind == "notice"
    assert "amount: Field required" in told["message"]


async def test_an_answer_with_calls_is_not_the_output() -> None:
    play = Play(agent({"text": "let me see", "calls": [call("nothing")]}, GOOD))
    await play.start()
    assert (await play.check()).output == VALUE
    assert not await play.bodies("answer_refused")


async def test_after_so_many_refusals_the_session_is_parked_and_can_be_finished_with_a_value() -> None:
    play = Play(agent(*["no"] * 9, output_retries=2))
    await play.start()
    state = await play.check()
    assert state.parked is not None
    assert state.parked.code == "output_invalid"
    assert "3 answers could not be taken" in state.parked.message
    assert len(await play.bodies("model_answered")) == 3
    await play.signal("finish", {"output": VALUE}, OPERATOR)
    assert (await play.check()).output == VALUE


async def test_resumed_it_gets_as_many_tries_again() -> None:
    play = Play(agent("no", "no", GOOD, output_retries=1))
    await play.start()
    assert (await play.state()).parked is not None
    await play.resume()
    assert (await play.check()).output == VALUE


async def test_without_retries_the_first_wrong_answer_parks() -> None:
    play = Play(agent("no", output_retries=0))
    await play.start()
    assert (await play.state()).parked is not None


async def test_in_a_conversation_each_final_answer_is_checked_and_an_input_starts_the_count_again() -> None:
    one = agent(GOOD, "no", "no", GOOD, conversation=True, output_retries=2)
    play = Play(one)
    await play.start()
    await play.send("another")
    state = await play.check()
    assert (state.ended, state.parked, state.refusals) == (None, None, 2)
    await play.signal("finish", {}, OPERATOR)
    assert one.output(await play.check()) == Order(number="A1", amount=Decimal("12.50"), due=date(2026, 3, 1))


async def test_a_large_output_is_fetched_and_then_typed(tmp_path: Path) -> None:
    one = Agent("reader", model=ScriptedModel([{"text": json.dumps(["x" * 700_000])}]), output_type=list[str])
    async with Runtime(App(programs=[one]), tmp_path / "db") as runtime:
        await runtime.start("reader", "read", id="s")
        await runtime.wait("s", ended=True)
    async with Runtime(App(programs=[one]), tmp_path / "db") as runtime:  # which wrote nothing of it itself
        state = await runtime.state("s")
        with pytest.raises(BadInput, match=r"lies elsewhere: fetch it with Runtime.value"):
            one.output(state)
        assert one.typed(await runtime.value("s", state.output)) == ["x" * 700_000]


def ended(**fields: Any) -> State:
    return changed(State(session="s"), **{"ended": "completed", **fields})


def test_only_a_completed_session_has_an_output() -> None:
    one = agent(GOOD)
    for state, says in (
        (ended(ended=None), "has no output: it is not at its end"),
        (ended(ended="failed"), "has no output: it is failed"),
        (ended(output=Erased()), "was erased"),
        (ended(output="no JSON"), "the answer is not JSON"),
        (ended(output={"number": 3}), "the output is not of the output_type: number"),
    ):
        with pytest.raises(BadInput, match=says):
            one.output(state)
    assert Agent("plain", model="m").output(ended(output="hello")) == "hello"


class Cut:
    """A model whose first answer was cut where it was as long as it may be."""

    name = "cut"

    async def answer(self, request: ModelRequest) -> ModelAnswer:
        told = [entry.value["code"] for entry in request.transcript if entry.kind == "notice"]
        return ModelAnswer(text="short") if told == ["answer_cut"] else ModelAnswer(text="long and lo", finish="length")


async def test_an_answer_that_was_cut_is_not_taken_for_the_whole() -> None:
    play = Play(Agent("a", model=Cut()))
    await play.start()
    state = await play.check()
    assert (state.ended, state.output, state.refusals) == ("completed", "short", 1)
