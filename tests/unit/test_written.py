"""What is written in a command, as the input that a program takes."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from pydantic import BaseModel

from onward import Agent, Context, workflow
from onward.errors import BadInput
from onward.surfaces.deployed import _started
from onward.surfaces.written import taken


class Sum(BaseModel):
    amount: int
    on: date = date(2026, 1, 1)


@workflow
async def pays(ctx: Context, sum: Sum) -> int:
    return sum.amount


@workflow
async def says(ctx: Context, text: str) -> str:
    return text


@workflow
async def counts(ctx: Context, items: list[int] | None = None) -> int:
    return len(items or ())


@workflow
async def begins(ctx: Context, day: date) -> str:
    return day.isoformat()


@workflow
async def bare(ctx: Context) -> None: ...


@pytest.mark.parametrize(
    ("program", "written", "given"),
    [
        (pays, '{"amount": 5}', {"amount": 5}),
        (pays, {"amount": 5}, {"amount": 5}),
        (says, '{"amount": 5}', '{"amount": 5}'),
        (counts, "[1, 2]", [1, 2]),
        (counts, "null", None),
        (begins, "2026-11-21", "2026-11-21"),
        (Agent("desk", model="gemini-2.5-flash", instructions="."), '{"amount": 5}', '{"amount": 5}'),
    ],
)
def test_a_text_is_given_where_one_is_taken_and_else_the_json_of_it(program: Any, written: Any, given: Any) -> None:
    assert taken(program, written) == given


@pytest.mark.parametrize(
    ("program", "written", "says"),
    [
        (pays, '{"amount": "much"}', "input.amount: Input should be a valid integer"),
        (pays, '"5"', "input: Input should be an object"),
        (pays, '{"amount": 5', "input: Input should be an object; and what is written is no JSON"),
        (pays, ["a file"], "input: Input should be an object"),
        (bare, "5", "input: workflow bare takes none"),
    ],
)
def test_g15_what_is_not_taken_is_refused_by_the_field(program: Any, written: Any, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        taken(program, written)


class Deployment:
    """Sessions of a deployment that takes no text."""

    def __init__(self) -> None:
        self.given = list[Any]()

    async def start(self, program: str, input: Any, *, id: str) -> tuple[str, bool]:
        self.given.append(input)
        if program not in ("pays", "says"):
            raise BadInput(f"there is no program {program!r}")
        if isinstance(input, str):
            raise BadInput("input: Input should be an object")
        return id, True


async def test_a_deployment_that_takes_no_text_is_given_the_json_of_it() -> None:
    there: Any = Deployment()
    assert await _started(there, "pays", '{"amount": 5}', "s1") == ("s1", True)
    assert there.given == ['{"amount": 5}', {"amount": 5}]
    for program, written, says in (("pays", "five", "is no JSON"), ("other", '{"amount": 5}', "there is no program")):
        with pytest.raises(BadInput, match=says):
            await _started(there, program, written, "s2")
    assert len(there.given) == 4
