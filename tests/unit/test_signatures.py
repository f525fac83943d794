"""Fifty signatures, there and back: what a model is shown, sends, is told, and what the function gets."""

import functools
import inspect
import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from onward.core.canonical import canonical
from onward.core.outcomes import Call
from onward.errors import BadInput
from onward.programs.tools import Tool, tool
from tests.unit.signatures import CASES, Case

every = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def caught(case: Case) -> tuple[Tool[..., Any], list[dict[str, Any]]]:
    """The case's function as a tool, and what it is called with."""
    seen: list[dict[str, Any]] = []

    @functools.wraps(case.function)
    def blocking(**given: Any) -> None:
        seen.append(given)

    @functools.wraps(case.function)
    async def awaited(**given: Any) -> None:
        seen.append(given)

    return tool(awaited if inspect.iscoroutinefunction(case.function) else blocking), seen


def a_call(tool: Tool[..., Any], arguments: Any) -> Call:
    return Call("s1", "3.0", tool.name, arguments, attempt=1, idempotency_key="s1/3.0")


def test_there_are_fifty() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 50


@every
def test_the_schema_is_json_schema_2020_12(case: Case) -> None:
    schema = caught(case)[0].spec.parameters
    Draft202012Validator.check_schema(schema)
    assert json.loads(canonical(schema)) == schema
    assert "call" not in schema["properties"]


@every
async def test_what_a_model_sends_arrives_as_python_values(case: Case) -> None:
    tool, seen = caught(case)
    Draft202012Validator(tool.spec.parameters).validate(case.sent)
    _, recorded = tool.form.settle(case.sent)
    result = tool.invoke(a_call(tool, json.loads(canonical(recorded))))
    if inspect.isawaitable(result):
        await result
    given = {name: value for name, value in seen[0].items() if name != tool.form.call}
    assert given == case.got
    assert {name: type(value) for name, value in given.items()} == {n: type(v) for n, v in case.got.items()}


@every
def test_recorded_arguments_read_back_equal(case: Case) -> None:
    form = caught(case)[0].form
    value, recorded = form.settle(case.sent)
    again, recorded_again = form.settle(json.loads(canonical(recorded)))
    assert again == value
    assert canonical(recorded_again) == canonical(recorded)
    Draft202012Validator(form.schema).validate(recorded)


@every
def test_a_wrong_argument_is_named(case: Case) -> None:
    form, (field, change) = caught(case)[0].form, case.wrong
    with pytest.raises(BadInput) as refusal:
        form.settle({**case.sent, **change})
    assert str(refusal.value).startswith(f"{form.tool}: {field}")


@every
def test_one_argument_too_many_is_named(case: Case) -> None:
    with pytest.raises(BadInput, match=": unheard_of: there is no such parameter"):
        caught(case)[0].form.settle({**case.sent, "unheard_of": 1})


def test_what_the_docs_of_a_function_say_of_a_parameter_is_in_its_schema() -> None:
    shown = {case.name: caught(case)[0].spec for case in CASES}
    assert shown["get_weather"].parameters["properties"]["city"]["description"] == "The name of the city."
    assert shown["create_refund"].parameters["properties"]["amount"]["description"] == "A positive integer in cents."
    assert shown["group_by"].parameters["properties"]["by"]["description"] == "Columns to group by."
    assert shown["web_search"].parameters["properties"]["query"]["description"] == "what to search for"
    assert shown["create_refund"].description.endswith("not yet refunded.")
