"""Suites, on a real SQLite file: what runs do, what they leave alone, and what becomes of those that can't be."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from onward import Agent, App, Approval, BadInput, Runtime, ScriptedModel, tool
from onward.core.model import ModelRequest
from onward.errors import ModelRefused
from onward.evals import Answer, Calls, Case, Change, Function, Judge, Required, Within, report_doc
from tests.e2e.suites import Shop, find_order, paid


@pytest.fixture
async def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path)
    await shop.record("A-1", "A-2")
    return shop


async def test_what_is_not_changed_is_done_again_and_reaches_nothing(shop: Shop) -> None:
    before = (shop.path / "onward.db").read_bytes()
    report = await shop.evaluate(scores=[Calls(), Answer(recorded=True), Within(tokens=90, turns=3, calls=2)])
    assert report.ok
    assert [(case.name, case.pass_rate) for case in report.cases] == [("A-1", 1.0), ("A-2", 1.0)]
    assert (shop.asked["shop"], report.tokens) == (6, 180)
    assert (shop.path / "onward.db").read_bytes() == before
    assert json.loads(json.dumps(report_doc(report)))["totals"]["passed"] == 2


async def test_other_instructions_are_found_out_by_what_they_change(shop: Shop) -> None:
    report = await shop.evaluate(change=Change(instructions="Be strict."), scores=[Calls(), Answer(recorded=True)])
    (one, _) = report.cases
    assert one.scores == {"calls exact": 0.0, "answer": 1.0}
    assert one.runs[0].reasons == ["calls exact: call 2 is refund with other arguments"]
    assert "30.00" in str(one.runs[0].verdict)
    async with Runtime(db=shop.path / "suite.eval.db", create=False) as runtime:
        (blocked,) = [
            event.body async for event in runtime.events(one.runs[0].session or "") if event.kind == "call_refused"
        ]
    assert blocked.error.code == "blocked"


async def test_another_model_is_asked_by_name(shop: Shop) -> None:
    hasty = ScriptedModel(lambda request: {"text": "No."}, name="hasty")
    scores = [Required(tools=("refund",)), Answer(equals="No.")]
    report = await shop.evaluate(change=Change(model="hasty"), models={"hasty": hasty}, scores=scores)
    assert report.scores == {"requires refund": 0.0, "answer": 1.0}
    assert shop.asked["shop"] == 0


async def test_another_application_is_what_runs(shop: Shop) -> None:
    app = shop.app(tools=[find_order])
    report = await shop.evaluate(app=app, effects="blocked", scores=[Calls(match="recall")])
    assert report.scores == {"calls recall": 1.0}
    assert shop.asked["shop"] == 6


async def test_recorded_answers_need_no_model(tmp_path: Path) -> None:
    shop, name = Shop(tmp_path), "a-model-of-the-cloud"
    await shop.record("A-1", app=shop.app(model=ScriptedModel(shop.answers, name=name)))
    report = await shop.evaluate(app=shop.app(model=name), effects="recorded")
    assert (report.ok, report.tokens, report.cost, shop.asked["shop"]) == (True, 0, 0.0, 0)


async def test_what_was_run_is_not_run_again_and_another_change_is_another_run(shop: Shop) -> None:
    await shop.evaluate()
    report = await shop.evaluate(scores=[Answer(equals="It is done.")], parallel=1)
    assert all(run.again for run in report.runs)
    assert shop.asked["shop"] == 6
    await shop.evaluate(repeats=2)
    assert shop.asked["shop"] == 12
    await shop.evaluate(app=shop.app(instructions="Be kinder."))
    assert shop.asked["shop"] == 18
    await shop.evaluate(at=2, only="A-1")
    assert shop.asked["shop"] == 18 + 2


async def test_a_run_from_the_middle_is_scored_by_what_it_did_itself(shop: Shop) -> None:
    report = await shop.evaluate(at=2, change=Change(instructions="Be strict."), scores=[Calls(match="precision")])
    assert report.scores == {"calls precision": 0.0}


async def test_repeats_that_differ_are_told_apart_by_pass_hat(shop: Shop) -> None:
    flips = iter([True, False] * 10)

    def flaky(request: ModelRequest) -> dict[str, Any]:
        return {"text": "It is done." if next(flips) else "I don't know."}

    report = await shop.evaluate(
        app=shop.app(model=ScriptedModel(flaky)), repeats=2, parallel=1, scores=[Answer(recorded=True)]
    )
    assert (report.pass_rate, report.pass_hat(1), report.pass_hat(2), report.ok) == (0.5, 0.5, 0.0, False)


async def test_a_case_has_its_own_scores_and_repeats(shop: Shop) -> None:
    own = Case(name="A-2", repeats=2, scores=(Answer(equals="Nothing was done."),))
    report = await shop.evaluate(cases=[own])
    assert [(case.name, case.passes, len(case.runs)) for case in report.cases] == [("A-1", 1, 1), ("A-2", 0, 2)]


async def test_a_function_that_raises_is_a_failed_score(shop: Shop) -> None:
    def exits(*_: Any) -> Any:
        raise SystemExit(3)

    fails = Function(name="fails", function=lambda run, recorded, case: run.nothing)
    report = await shop.evaluate(only="A-1", scores=[fails, Function(name="exits", function=exits), Calls()])
    (run,) = report.runs
    assert run.error is None
    assert run.reasons == [
        "fails: AttributeError: 'Trajectory' object has no attribute 'nothing'",
        "exits: SystemExit: 3",
    ]


async def test_what_people_decided_is_in_the_record_and_nobody_is_asked(tmp_path: Path) -> None:
    shop = Shop(tmp_path)

    @tool(effect="irreversible", approval=Approval())
    def refund(order: str, amount: Decimal) -> str:
        """Refund an order."""
        return f"refunded {amount}"

    app = shop.app(tools=[find_order, refund])
    async with Runtime(app, tmp_path / "onward.db", identity="ann") as runtime:
        await runtime.start("shop", "A-1", id="A-1")
        await runtime.wait("A-1")
        await runtime.decide("A-1", "approved", arguments={"order": "A-1", "amount": "20.00"})
        await runtime.wait("A-1", ended=True)
        await shop.export(runtime, "A-1")
    report = await shop.evaluate(app=app, scores=[Calls(), Answer(recorded=True)])
    assert report.ok
    assert [run.verdict for run in report.runs] == ["same"]
    strict = await shop.evaluate(app=app, change=Change(instructions="Be strict."))
    assert [(run.error, run.passed) for run in strict.runs] == [(None, False)]


async def test_files_of_like_names_are_cases_of_their_own(shop: Shop) -> None:
    (shop.path / "A").mkdir()
    (shop.path / "A/1.jsonl").write_bytes((shop.path / "A-1.jsonl").read_bytes())
    report = await shop.evaluate(sessions=["A-1.jsonl", "A/*.jsonl"])
    assert [case.name for case in report.cases] == ["A-1", "A/1"]
    assert len({run.session for run in report.runs}) == 2
    assert report.ok


# --- judges ----------------------------------------------------------------------------------------------------


def judge(text: str) -> ScriptedModel:
    return ScriptedModel(lambda request: {"text": text}, name="judge")


KIND = Judge(name="kind", model="judge", question="Is it kind?", threshold=0.6)


async def test_a_judge_is_asked_once_in_a_session_of_its_own(shop: Shop) -> None:
    seen = list[ModelRequest]()

    def says(request: ModelRequest) -> dict[str, Any]:
        seen.append(request)
        return {"text": '{"score": 0.7, "reason": "Kind enough."}'}

    models = {"judge": ScriptedModel(says, name="judge")}
    for _ in range(2):
        report = await shop.evaluate(models=models, scores=[KIND])
        (score,) = report.cases[0].runs[0].scores.values()
        assert (score.value, score.passed, score.reason) == (0.7, True, "Kind enough.")
        assert [run.judged.tokens for run in report.runs] == [30, 30]
    assert len(seen) == 2
    assert "Is it kind?" in seen[0].instructions


async def test_a_judge_without_a_verdict_is_a_failed_score(shop: Shop) -> None:
    report = await shop.evaluate(only="A-1", models={"judge": judge("I like it.")}, scores=[KIND])
    (run,) = report.runs
    assert run.error is None
    assert "the judge gave no verdict: 4 answers could not be taken" in run.reasons[0]


# --- what can't be run -----------------------------------------------------------------------------------------


async def test_a_file_that_is_damaged_or_none_is_a_failed_case(shop: Shop) -> None:
    text = (shop.path / "A-1.jsonl").read_text()
    (shop.path / "A-1.jsonl").write_text(text.replace("A-1", "A-9", 1))
    (shop.path / "B-1.jsonl").write_text("hello")
    report = await shop.evaluate(repeats=2)
    errors = {case.name: {str(run.error).partition(":")[0] for run in case.runs} for case in report.cases}
    assert errors == {"A-1": {"corrupt_log"}, "A-2": {"None"}, "B-1": {"bad_input"}}
    assert [case.passes for case in report.cases] == [0, 2, 0]


async def test_a_session_of_another_application_is_a_failed_case(shop: Shop) -> None:
    other = App(programs=[Agent("desk", model=ScriptedModel([{"text": "Hi"}]))])
    report = await shop.evaluate(app=other, only="A-1")
    (run,) = report.runs
    assert "version '1' of program 'shop' is not deployed here" in str(run.error)


async def test_a_model_that_refuses_is_a_failed_case_until_it_does_not(shop: Shop) -> None:
    class Closed:
        name = "closed"
        shut = True

        async def answer(self, request: ModelRequest) -> Any:
            if self.shut:
                raise ModelRefused("no key was given")
            return await ScriptedModel(shop.answers).answer(request)

    model = Closed()
    report = await shop.evaluate(app=shop.app(model=model), only="A-1")
    assert [run.error for run in report.runs] == ["needs attention: model_refused: no key was given"]
    model.shut = False
    assert (await shop.evaluate(app=shop.app(model=model), only="A-1")).ok


async def test_what_a_model_came_to_itself_is_not_tried_again(shop: Shop) -> None:
    asked = list[int]()

    def says(request: ModelRequest) -> dict[str, Any]:
        asked.append(1)
        return {"text": "no JSON"}

    app = shop.app(model=ScriptedModel(says), output_type=int, output_retries=1)
    for _ in range(2):
        report = await shop.evaluate(app=app, only="A-1")
        assert "output_invalid" in str(next(report.runs).error)
    assert len(asked) == 2


async def test_a_run_that_takes_too_long_is_a_failed_one_and_goes_on_the_next_time(shop: Shop) -> None:
    import asyncio

    class Slow:
        name = "slow"
        wait = 30.0

        async def answer(self, request: ModelRequest) -> Any:
            await asyncio.sleep(self.wait)
            return await ScriptedModel(shop.answers).answer(request)

    model = Slow()
    report = await shop.evaluate(app=shop.app(model=model), only="A-1", timeout=0.2)
    assert [run.error for run in report.runs] == ["it came to no end within 0.2"]
    model.wait = 0.0
    assert (await shop.evaluate(app=shop.app(model=model), only="A-1")).ok


async def test_what_was_erased_can_not_be_run_again(shop: Shop) -> None:
    async with Runtime(db=shop.path / "onward.db", create=False) as runtime:
        await shop.export(runtime, "A-1", private=False)
    report = await shop.evaluate(only="A-1")
    assert [run.error for run in report.runs] == [
        "bad_input: what it was told in event 1 was erased, so it can't be run again"
    ]


async def test_a_conversation_is_told_what_it_was_told(tmp_path: Path) -> None:
    shop = Shop(tmp_path)

    def talks(request: ModelRequest) -> dict[str, Any]:
        return {"text": ", ".join(entry.value for entry in request.transcript if entry.kind == "input")}

    app = shop.app(model=ScriptedModel(talks), conversation=True)
    await shop.record("A-1", app=app, inputs=("please", "thanks"))
    report = await shop.evaluate(app=app, scores=[Answer(equals="A-1, please, thanks")])
    assert report.ok


async def test_what_is_wrong_with_a_suite_is_said_before_anything_is_run(shop: Shop) -> None:
    for fields, says in (
        ({"change": Change(model="none")}, "change.model: no model is called 'none'"),
        ({"scores": []}, "score: there is none"),
        ({"scores": [KIND]}, "score 'kind': model: none is called 'judge'"),
        ({"scores": [Function(function="mine.py:f")]}, "function: there is no Python file"),
        ({"sessions": ["none/*"]}, r"sessions\[0\]: there is no file"),
        ({"prices": "none.json"}, "prices: .* can't be read"),
        ({"change": Change(instructions_file="none.md")}, "change.instructions_file: "),
        ({"baseline": {"file": "none.json"}}, "baseline: .* make it with --save-baseline"),
    ):
        with pytest.raises(BadInput, match=says):
            await shop.evaluate(**fields)
    assert not (shop.path / "suite.eval.db").exists()
    assert (shop.asked, paid) == ({}, [])
