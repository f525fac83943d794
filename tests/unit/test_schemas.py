"""Schemas that somebody else wrote: they are applied as they are written, and reach nothing, hold up nobody and break
nothing."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from onward.core.schemas import check_schema, errors_of
from onward.errors import BadInput
from onward.surfaces.console.page import FIELDS
from onward.surfaces.console.schema_form import MOST, drawn
from onward.surfaces.console.schema_read import complaints


@pytest.fixture
def elsewhere() -> Iterator[socket.socket]:
    """A server that notes who comes, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "URL"},
        {"properties": {"a": {"$ref": "URL"}}},
        {"additionalProperties": {"$dynamicRef": "URL"}},
        {"$id": "URL", "$ref": "other"},
    ],
)
def test_nothing_is_fetched_for_a_schema(schema: dict[str, Any], elsewhere: socket.socket) -> None:
    url = f"http://127.0.0.1:{elsewhere.getsockname()[1]}/x"
    given = json.loads(json.dumps(schema).replace("URL", url))
    assert errors_of({"a": 1}, given) == []
    with pytest.raises(BlockingIOError):
        elsewhere.accept()


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"$ref": "#/nowhere"}, {}),
        ({"$ref": "#"}, {}),
        ({"$ref": 5}, {}),
        ({"type": "strng"}, {}),
        ({"minimum": "a"}, 3),
        ({"multipleOf": 0}, 3),
        ({"items": 5}, [1]),
        ({"oneOf": "ab"}, 1),
        ({"anyOf": {"a": 1}}, "x"),
        ({"type": ["string", "integer"], "anyOf": [True]}, "a"),
        ({"anyOf": [{"type": ["string", "integer"]}, {"type": "boolean"}]}, "a"),
        ({"type": "object", "properties": {"a": {"maxLength": "x"}}, "required": True}, {"a": "s"}),
        ({"type": "object", "properties": 5}, {"a": 1}),
        ({"pattern": "("}, "a"),
        ({"pattern": "(?!x)a"}, "a"),
    ],
)
def test_one_that_can_not_be_applied_stands_in_nobodys_way(schema: Any, value: Any) -> None:
    check_schema(value, schema, "arguments")
    assert complaints(schema, drawn(schema, value), value) == {}


def test_what_it_says_before_it_can_not_be_applied_counts() -> None:
    schema = {"required": ["b"], "properties": {"a": {"$ref": "#/nowhere"}}}
    with pytest.raises(BadInput, match="arguments: 'b' is a required property"):
        check_schema({"a": 1}, schema, "arguments")


def test_a_pattern_is_that_of_the_program_and_takes_no_longer_than_the_text_is_long() -> None:
    names = {"properties": {"name": {"pattern": r"^\p{Lu}\p{L}+$"}}}
    check_schema({"name": "Émile"}, names, "arguments")
    with pytest.raises(BadInput, match=r"arguments\.name: it does not match"):
        check_schema({"name": "emile"}, names, "arguments")
    with pytest.raises(BadInput, match="does not match"):  # an engine that goes back is not done before the sun is out
        check_schema("a" * 60 + "!", {"pattern": "^(a+)+$"}, "arguments")


def test_a_pattern_of_names_is_one_too() -> None:
    schema = {"patternProperties": {"^(x+)+$": {"type": "integer"}}, "additionalProperties": {"type": "string"}}
    check_schema({"xx": 1, "x" * 60 + "!": "a"}, schema, "arguments")
    with pytest.raises(BadInput, match=r"arguments\.xx"):
        check_schema({"xx": "a"}, schema, "arguments")
    with pytest.raises(BadInput, match=r"arguments: .*'y' was unexpected"):
        check_schema({"xx": 1, "y": 1}, {**schema, "additionalProperties": False}, "arguments")


def test_more_choices_than_anybody_looks_through_are_asked_for_as_json() -> None:
    assert drawn({"enum": list(range(MOST))}, 7).kind == "choice"
    assert drawn({"enum": list(range(20_000))}, 15_000).kind == "json"


def test_the_largest_form_that_is_drawn_can_be_sent() -> None:
    names = [f"n{n}" for n in range(MOST - 1)]
    field = drawn({"type": "object", "properties": {name: {"type": "string"} for name in names}}, {})
    assert field.kind == "group"
    asked = sum((each.kind != "group") + bool(each.states) for each in field.all())
    beside = len(("token", "key", "digest", "arguments", "reason", "verdict", "list"))
    assert asked + beside <= FIELDS
