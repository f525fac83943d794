"""Suites of workflows: what is deployed next, held against recorded sessions."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from onward import App, Context, Runtime, StepFailed, workflow
from onward.evals import Answer, Calls, Forbidden, Report, Required, Suite, run_suite

CHARGED: list[int] = []


@pytest.fixture(autouse=True)
def _nothing_done() -> None:
    CHARGED.clear()


async def price(order: str) -> int:
    return len(order)


async def charge(amount: int) -> str:
    CHARGED.append(amount)
    return f"charged {amount}"


async def warn(order: str) -> None:
    raise AssertionError("nothing is done in a suite")


@workflow
async def shop(ctx: Context, order: str) -> dict[str, Any]:
    amount = await ctx.step(price, order, effect="read")
    word = await ctx.signal("word", str)
    await ctx.sleep("1s")
    paid = await ctx.step(charge, amount)
    return {"paid": paid, "word": word, "chance": ctx.random.random(), "id": str(ctx.uuid())}


@workflow(name="shop")
async def doubled(ctx: Context, order: str) -> dict[str, Any]:
    amount = await ctx.step(price, order, effect="read")
    word = await ctx.signal("word", str)
    await ctx.sleep("1s")
    try:
        return {"paid": await ctx.step(charge, amount * 2), "word": word}
    except StepFailed as exc:
        return {"paid": exc.code, "word": word}


@workflow(name="shop")
async def warning(ctx: Context, order: str) -> dict[str, Any]:
    with suppress(StepFailed):
        await ctx.step(warn, order, effect="read")
    return {}


@pytest.fixture
async def recorded(tmp_path: Path) -> Path:
    async with Runtime(App(programs=[shop]), tmp_path / "onward.db") as runtime:
        for id in ("A-1", "A-22"):
            await runtime.start("shop", id, id=id)
            await runtime.wait(id)
            await runtime.send(id, f"word of {id}", name="word")
            await runtime.wait(id, ended=True)
            (tmp_path / f"{id}.jsonl").write_text("".join([line async for line in runtime.export(id)]))
    assert CHARGED == [3, 4]
    return tmp_path


async def evaluated(path: Path, program: Any, *scores: Any) -> Report:
    app = App(programs=[program])
    suite = Suite(sessions=["*.jsonl"], scores=list(scores), directory=path, effects="recorded")
    return await run_suite(suite, app=app)


async def test_what_is_not_changed_is_the_same_and_pays_nothing(recorded: Path) -> None:
    report = await evaluated(recorded, shop, Calls(), Answer(recorded=True), Answer(path="word", regex="word of A"))
    assert report.ok, [run.reasons for run in report.runs]
    assert {run.verdict for run in report.runs} == {"same"}
    assert CHARGED == [3, 4]


async def test_what_is_changed_is_found_in_its_calls_and_is_another_run(recorded: Path) -> None:
    assert (await evaluated(recorded, shop, Calls())).ok
    report = await evaluated(recorded, doubled, Calls(), Required(tools=("charge",)))
    assert report.scores == {"calls exact": 0.0, "requires charge": 1.0}
    verdicts = [str(run.verdict) for run in report.runs]
    assert verdicts[0].startswith("diverges at operation 5: charge(amount=6) instead of charge(amount=3)")
    report = await evaluated(recorded, warning, Forbidden(tools=("warn",)))
    assert report.scores == {"forbids warn": 0.0}
    assert CHARGED == [3, 4]
