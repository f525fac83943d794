"""Scores of runs, by hand-made ones."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from inspect import isawaitable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from onward.core.events import Usage
from onward.core.payload import Erased
from onward.core.turns import Answer as Said
from onward.core.turns import Call, Totals, Trajectory, Turn
from onward.errors import BadInput
from onward.evals import Answer, Arguments, Calls, Forbidden, Function, Judge, Required, Run, Score, Wanted, Within
from onward.evals.judges import TOLD
from onward.evals.scores import Help, Scorer

FIND: dict[str, Any] = {"order": "A-17"}
PAY: dict[str, Any] = {"order": "A-17", "amount": "35.00"}


def turn(number: int, *calls: tuple[str, Any], inherited: bool = False, text: str = "") -> Turn:
    made = tuple(
        Call(f"{number * 10}.{at}", number * 10, tool, written, written, "done", inherited=inherited)
        for at, (tool, written) in enumerate(calls)
    )
    return Turn(number, answer=Said(number * 10, text, "m"), calls=made, inherited=inherited)


def did(*turns: Turn, output: Any = None, status: Any = "completed", totals: Totals | None = None) -> Trajectory:
    return Trajectory("s", "default", "desk", "1", status, turns, totals or Totals(), 99, output)


def run(made: Sequence[tuple[str, Any]], recorded: Sequence[tuple[str, Any]] = (), **more: Any) -> Run:
    return Run("case", 1, did(turn(1, *made), **more), did(turn(1, *recorded)))


async def nobody(model: str, told: str, shown: str) -> Any:
    raise AssertionError("nobody is to be asked")


async def scored(scorer: Scorer, run: Run, help: Help | None = None) -> Score:
    found = scorer.score(run, help or Help(Path(), nobody))
    return await found if isawaitable(found) else found


# --- calls -----------------------------------------------------------------------------------------------------

A, B, C = ("find", FIND), ("refund", PAY), ("tell", {})
B2 = ("refund", {**PAY, "amount": "30.00"})


@pytest.mark.parametrize(
    ("match", "made", "recorded", "value"),
    [
        ("exact", [A, B], [A, B], 1),
        ("exact", [], [], 1),
        ("exact", [A, B2], [A, B], 0),
        ("exact", [A], [A, B], 0),
        ("exact", [A, B, C], [A, B], 0),
        ("exact", [B, A], [A, B], 0),
        ("in_order", [A, C, B], [A, B], 1),
        ("in_order", [B, A], [A, B], 0),
        ("in_order", [A], [A, A], 0),
        ("in_order", [C], [], 1),
        ("any_order", [B, C, A], [A, B], 1),
        ("any_order", [A, B], [A, B, B], 0),
        ("any_order", [A, B2], [A, B], 0),
        ("precision", [A, B, C, C], [A, B], 0.5),
        ("precision", [A, A], [A], 0.5),
        ("precision", [], [A], 0),
        ("precision", [], [], 1),
        ("recall", [A], [A, B], 0.5),
        ("recall", [A, A], [A, B], 0.5),
        ("recall", [C], [], 1),
        ("recall", [], [A], 0),
    ],
)
async def test_calls_against_the_recorded_session(match: Any, made: Any, recorded: Any, value: float) -> None:
    score = await scored(Calls(match=match), run(made, recorded))
    assert score.value == value
    assert bool(score.reason) == (value < 1)


async def test_calls_without_arguments_are_tools() -> None:
    assert (await scored(Calls(arguments=False), run([A, B2], [A, B]))).value == 1
    assert (await scored(Calls(), run([A, B2], [A, B]))).reason == "call 2 is refund with other arguments"


async def test_calls_against_a_list_that_says_some_arguments() -> None:
    wanted = ("find", Wanted(tool="refund", arguments=PAY))
    assert (await scored(Calls(calls=wanted), run([A, B]))).value == 1
    assert (await scored(Calls(calls=wanted), run([A, B2]))).value == 0
    assert (await scored(Calls(calls=wanted, arguments=False), run([A, B2]))).value == 1


async def test_each_call_is_good_for_one_that_is_wanted_and_the_choosy_choose_first() -> None:
    wanted = ("refund", Wanted(tool="refund", arguments=PAY))
    assert (await scored(Calls(match="any_order", calls=wanted), run([B, B2]))).value == 1
    assert (await scored(Calls(match="recall", calls=wanted), run([B]))).value == 0.5


async def test_what_was_before_the_run_is_neither_its_own_nor_wanted_of_it() -> None:
    branch = Run("case", 1, did(turn(-1, A, inherited=True), turn(2, B)), did(turn(1, A), turn(2, B)), after=15)
    assert (await scored(Calls(), branch)).value == 1
    assert (await scored(Forbidden(tools=("find",)), branch)).value == 1
    assert (await scored(Required(tools=("find",)), branch)).value == 0


async def test_erased_arguments_are_no_ground_for_a_score() -> None:
    with pytest.raises(BadInput, match=r"arguments of find .* were erased"):
        await scored(Calls(), run([A], [("find", Erased())]))


async def test_required_tools_are_a_share_and_forbidden_ones_a_no() -> None:
    assert await scored(Required(tools=("find", "tell")), run([A, B])) == Score(0.5, "not called: tell")
    assert (await scored(Forbidden(tools=("tell",)), run([A, B]))).value == 1
    assert "refund(order='A-17', amount='35.00')" in (await scored(Forbidden(tools=("refund",)), run([A, B]))).reason


CALLS = st.lists(st.sampled_from([A, B, B2, C]), max_size=6)


@given(made=CALLS, recorded=CALLS)
def test_what_is_stricter_holds_less_often(made: list[Any], recorded: list[Any]) -> None:
    def value(match: Any) -> float:
        found = Calls(match=match).score(run(made, recorded), Help(Path(), nobody))
        return found.value

    exact, in_order, any_order = value("exact"), value("in_order"), value("any_order")
    precision, recall = value("precision"), value("recall")
    assert exact == (made == recorded)
    assert exact <= in_order <= any_order == (recall == 1)
    assert 0 <= precision <= 1
    assert (precision == recall == 1) == (sorted(map(repr, made)) == sorted(map(repr, recorded)))
    assert recall * len(recorded) == pytest.approx(precision * len(made))


# --- arguments -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("check", "value"),
    [
        ({"path": "amount", "at_most": 50}, 1),
        ({"path": "amount", "at_most": 34.99}, 0),
        ({"path": "amount", "at_least": 35, "at_most": 35}, 1),
        ({"path": "amount", "equals": "35.00"}, 1),
        ({"path": "amount", "equals": 35}, 0),
        ({"path": "order", "regex": "^A-"}, 1),
        ({"path": "order", "regex": "^B-"}, 0),
        ({"path": "order", "one_of": ["B-1", "A-17"]}, 1),
        ({"path": "order", "at_most": 3}, 0),
        ({"path": "order.id", "equals": 1}, 0),
        ({"equals": PAY}, 1),
    ],
)
async def test_an_argument_is_checked(check: Any, value: float) -> None:
    score = await scored(Arguments(tool="refund", **check), run([A, B]))
    assert score.value == value
    assert bool(score.reason) == (value < 1)


async def test_arguments_of_every_call_and_of_some() -> None:
    made = run([B, B2, A])
    low = {"tool": "refund", "path": "amount", "at_most": 30}
    assert (await scored(Arguments.model_validate(low), made)).value == 0.5
    assert (await scored(Arguments.model_validate(low | {"of": "some"}), made)).value == 1
    assert (await scored(Arguments.model_validate(low), run([A]))).value == 1
    assert await scored(Arguments.model_validate(low | {"of": "some"}), run([A])) == Score(0.0, "refund was not called")


async def test_true_is_not_one_and_null_is_a_value() -> None:
    flags = run([("set", {"on": True, "until": None, "lines": [{"n": 2}]})])
    assert (await scored(Arguments(tool="set", path="on", equals=1), flags)).value == 0
    assert (await scored(Arguments(tool="set", path="on", at_least=1), flags)).value == 0
    assert (await scored(Arguments(tool="set", path="until", equals=None), flags)).value == 1
    assert (await scored(Arguments(tool="set", path="lines.0.n", equals=2), flags)).value == 1
    assert (await scored(Arguments(tool="set", path="lines.1.n", equals=2), flags)).value == 0


@pytest.mark.parametrize(
    ("kind", "fields", "says"),
    [
        (Arguments, {"tool": "refund"}, "write equals"),
        (Arguments, {"tool": "refund", "regex": "("}, "is none"),
        (Arguments, {"regex": "a"}, "tool"),
        (Answer, {}, "write equals"),
        (Answer, {"regex": "["}, "is none"),
        (Answer, {"fits": {"type": "nothing"}}, "no JSON Schema"),
        (Within, {}, "write cost, tokens"),
        (Calls, {"match": "nearly"}, "match"),
        (Calls, {"threshold": 1.1}, "threshold"),
        (Required, {"tools": []}, "tools"),
        (Function, {"function": "polite"}, "names none"),
        (Judge, {"model": "m", "question": " "}, "empty"),
        (Judge, {"model": "m", "question": "Is it?", "rubric": "x"}, "rubric"),
    ],
)
def test_a_score_that_can_say_nothing_is_none(kind: type[Scorer], fields: Any, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        kind.model_validate(fields)


# --- answers ---------------------------------------------------------------------------------------------------

ORDER = {"order": "A-17", "refund": {"amount": 35, "paid": True}, "notes": ["a", "b"]}


@pytest.mark.parametrize(
    ("check", "output", "value"),
    [
        ({"equals": "Done."}, "Done.", 1),
        ({"equals": "Done."}, " Done.\n", 1),
        ({"equals": "Done."}, "done.", 0),
        ({"equals": "5"}, 5, 0),
        ({"equals": ORDER}, ORDER, 1),
        ({"equals": {"a": 1}}, '```json\n{"a": 1}\n```', 1),
        ({"regex": r"\d+ euros"}, "You get 35 euros.", 1),
        ({"regex": "pounds"}, "You get 35 euros.", 0),
        ({"path": "refund.amount", "equals": 35}, ORDER, 1),
        ({"path": "refund.total", "equals": 35}, ORDER, 0),
        ({"path": "notes.1", "regex": "b"}, ORDER, 1),
        ({"contains": {"refund": {"paid": True}}}, ORDER, 1),
        ({"contains": {"refund": {"paid": 1}}}, ORDER, 0),
        ({"contains": {"refund": {"by": "ann"}}}, ORDER, 0),
        ({"contains": {"a": 1}}, "not JSON", 0),
        ({"fits": {"type": "object", "required": ["order"]}}, ORDER, 1),
        ({"fits": {"type": "object", "required": ["customer"]}}, '{"order": 1}', 0),
        ({"equals": "x"}, None, 0),
    ],
)
async def test_an_answer_is_checked(check: Any, output: Any, value: float) -> None:
    score = await scored(Answer(**check), run([], output=output))
    assert score.value == value
    assert bool(score.reason) == (value < 1)


async def test_an_answer_is_the_recorded_one() -> None:
    pair = Run("case", 1, did(output="Yes"), did(output="Yes"))
    assert (await scored(Answer(recorded=True), pair)).value == 1
    other = Run("case", 1, did(output={"a": 1, "b": 2}), did(output={"a": 1, "b": 3}))
    assert (await scored(Answer(recorded=True), other)).value == 0
    assert (await scored(Answer(recorded=True, path="a"), other)).value == 1


async def test_the_answer_of_a_conversation_is_what_was_said_last() -> None:
    talk = Run("case", 1, did(turn(1, text="Hello"), turn(2, text="Bye"), status="open"), did())
    assert (await scored(Answer(equals="Bye"), talk)).value == 1


# --- what a run takes ------------------------------------------------------------------------------------------


async def test_a_run_is_within_limits() -> None:
    totals = Totals(turns=2, calls=3, tokens=150, usage=Usage(input_tokens=150), usd=Decimal("0.002"), seconds=1.5)
    took = run([], totals=totals)
    assert (await scored(Within(turns=2, calls=3, tokens=150, cost=0.002, seconds=1.5), took)).value == 1
    score = await scored(Within(turns=1, calls=2, tokens=150), took)
    assert (score.value, score.reason) == (0, "turns: 2, and 1 at most; calls: 3, and 2 at most")


async def test_a_cost_that_is_not_known_is_not_within_any() -> None:
    score = await scored(Within(cost=1.0), run([], totals=Totals(usd=None)))
    assert (score.value, "no price is known" in score.reason) == (0, True)


# --- functions -------------------------------------------------------------------------------------------------

SCORERS = """
from onward.evals import Score

def polite(run, recorded, case):
    return run.output.endswith("please")

def share(run, recorded, case):
    return len(run.calls) / len(recorded.calls)

async def why(run, recorded, case):
    return Score(0.25, f"{case} is so-so")

def odd(run, recorded, case):
    return "yes"

def much(run, recorded, case):
    return float("nan")

LIMIT = 3
"""


async def test_functions_of_a_file_score(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(SCORERS)
    help, made = Help(tmp_path, nobody), run([A], [A, B], output="Wait, please")
    assert await scored(Function(function="mine.py:polite"), made, help) == Score(1.0)
    assert (await scored(Function(function="mine.py:share"), made, help)).value == 0.5
    assert await scored(Function(function="mine.py:why"), made, help) == Score(0.25, "case is so-so")
    for name in ("odd", "much"):
        with pytest.raises(BadInput, match="a score is true or false"):
            await scored(Function(function=f"mine.py:{name}"), made, help)
    for name in ("LIMIT", "nobody"):
        with pytest.raises(BadInput, match=f"no function '{name}'"):
            Function(function=f"mine.py:{name}").found(tmp_path)
    with pytest.raises(BadInput, match="there is no Python file"):
        Function(function="yours.py:polite").found(tmp_path)
    (tmp_path / "broken.py").write_text("import nowhere")
    with pytest.raises(BadInput, match=r"broken.py can't be loaded: ModuleNotFoundError"):
        Function(function="broken.py:polite").found(tmp_path)


async def test_a_function_itself_scores() -> None:
    assert (await scored(Function(function=lambda run, recorded, case: 0), run([]))).value == 0


# --- judges ----------------------------------------------------------------------------------------------------


async def test_a_judge_is_shown_what_was_done_and_answers_once() -> None:
    asked = list[tuple[str, str, str]]()

    async def ask(model: str, told: str, shown: str) -> Any:
        asked.append((model, told, shown))
        return {"score": 0.8, "reason": "Kind."}

    judge = Judge(model="m", question="Is it kind?", reference=True)
    score = await scored(judge, Run("c", 1, did(turn(1, A), output="Hi"), did(output="Hello")), Help(Path(), ask))
    assert score == Score(0.8, "Kind.")
    ((model, told, shown),) = asked
    assert (model, told) == ("m", TOLD.format(question="Is it kind?"))
    assert '"answer":"Hi"' in shown
    assert '"an_earlier_answer":"Hello"' in shown
    assert '"tool":"find"' in shown


async def test_a_verdict_of_another_form_is_none() -> None:
    async def ask(model: str, told: str, shown: str) -> Any:
        return {"score": 3, "reason": "Great"}

    with pytest.raises(ValidationError):
        await scored(Judge(model="m", question="Is it?"), run([]), Help(Path(), ask))
