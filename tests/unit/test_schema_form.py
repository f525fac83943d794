"""A form drawn from a schema: what it gives back is what was there, or exactly what was filled in."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onward.core.canonical import canonical
from onward.surfaces.console.schema_form import MISSING, Field, drawn
from onward.surfaces.console.schema_read import again, changes, complaints, exact_json, read


def said(field: Field) -> dict[str, str]:
    """What a browser says for a form that nobody has touched: lines end in one way, and a small field has but one."""
    found = {}
    for each in field.all():
        if each.states:
            found[each.how] = each.state
        if each.kind != "group" and (each.kind != "tick" or each.text == "true"):
            lines = each.text.replace("\r\n", "\n").replace("\r", "\n")
            found[each.name] = lines if each.kind in ("long", "json") else lines.replace("\n", "")
    return found


def shape(field: Field) -> list[Any]:
    return [field.kind, field.path, field.states, [shape(each) for each in field.fields]]


# --- small schemas, and values of them ---------------------------------------------------------------------------

TEXTS = st.text(st.sampled_from("ab \n\r\t\"'<>&~/é\u202e\u200b\U0001f600"), max_size=12)
SCALARS: list[tuple[dict[str, Any], st.SearchStrategy[Any]]] = [
    ({"type": "string"}, TEXTS),
    ({"type": "boolean"}, st.booleans()),
    ({"type": "integer"}, st.integers(-(10**20), 10**20)),
    ({"type": "number"}, st.floats(allow_nan=False, allow_infinity=False) | st.integers(-5, 5)),
    ({"enum": ["a", 1, True, None, "1"]}, st.sampled_from(["a", 1, True, None, "1"])),
    ({"anyOf": [{"type": "number"}, {"type": "string"}]}, st.sampled_from(["1.50", "2", 3, 0.1, "many"])),
    ({"type": "array", "items": {"type": "string"}}, st.lists(TEXTS, max_size=3)),
    ({}, st.none() | st.booleans() | TEXTS | st.dictionaries(TEXTS, st.integers(), max_size=2)),
]
Typed = tuple[dict[str, Any], st.SearchStrategy[Any]]


def _nullable(typed: Typed) -> Typed:
    schema, values = typed
    return {"anyOf": [schema, {"type": "null"}]}, values | st.none()


@st.composite
def _objects(draw: st.DrawFn, parts: st.SearchStrategy[Typed]) -> Typed:
    found = draw(st.dictionaries(st.sampled_from(["a", "b/c", "d~e", "f g", "how"]), parts, max_size=4))
    required = [name for name in found if draw(st.booleans())]
    schema = {"type": "object", "properties": {name: each[0] for name, each in found.items()}, "required": required}
    needed = {name: found[name][1] for name in required}
    rest = {name: each[1] for name, each in found.items() if name not in required}
    return schema, st.fixed_dictionaries(needed, optional=rest)


TYPED = st.recursive(st.sampled_from(SCALARS), lambda parts: parts.map(_nullable) | _objects(parts), max_leaves=6)
OBJECTS = _objects(TYPED)


@given(OBJECTS.flatmap(lambda typed: st.tuples(st.just(typed[0]), typed[1])))
@settings(max_examples=100)
def test_a_form_that_nobody_touched_says_what_was_there(pair: tuple[Any, Any]) -> None:
    schema, value = pair
    field = drawn(schema, value)
    found, errors = read(field, said(field))
    assert errors == {}
    assert canonical(found) == canonical(value)
    assert changes(value, found) == []


@given(OBJECTS.flatmap(lambda typed: st.tuples(st.just(typed[0]), typed[1], typed[1])))
@settings(max_examples=100)
def test_a_form_that_is_filled_in_says_exactly_that(found: tuple[Any, Any, Any]) -> None:
    schema, before, after = found
    field, wanted = drawn(schema, before), drawn(schema, after)
    if shape(field) != shape(wanted):
        return
    value, errors = read(field, said(wanted))
    if errors:  # what is filled in is not marked as given, or was a text where a number is asked for
        assert value != after
        return
    assert _plain(value) == _plain(after)
    assert canonical(read(field, said(again(field, said(wanted), {})))[0]) == canonical(value)


def _plain(value: Any) -> Any:
    """A number that may be written as a text is one, however it was."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return canonical(value) if isinstance(value, bool) else str(value)


# --- one by one --------------------------------------------------------------------------------------------------

ADDRESS = {"type": "object", "properties": {"street": {"type": "string"}}, "required": ["street"]}
SCHEMA = {
    "$defs": {"Address": ADDRESS},
    "type": "object",
    "properties": {
        "amount": {"anyOf": [{"type": "number", "maximum": 500}, {"type": "string"}], "description": "In euros."},
        "count": {"type": "integer", "minimum": 1},
        "weight": {"type": "number"},
        "note": {"anyOf": [{"type": "string", "maxLength": 9}, {"type": "null"}], "default": None},
        "to": {"allOf": [{"$ref": "#/$defs/Address"}]},
        "back": {"anyOf": [{"$ref": "#/$defs/Address"}, {"type": "null"}]},
        "kind": {"enum": ["a", "b"]},
        "fast": {"type": "boolean"},
    },
    "required": ["amount", "count", "weight", "to", "kind", "fast"],
}
VALUE = {
    "amount": "80.00",
    "count": 1,
    "weight": 1.0,
    "note": None,
    "to": {"street": "Elm"},
    "back": None,
    "kind": "a",
    "fast": False,
}


def filled(**more: str) -> tuple[Any, dict[str, str]]:
    field = drawn(SCHEMA, VALUE)
    value, errors = read(field, said(field) | {name.replace("__", "/"): text for name, text in more.items()})
    return value, errors or complaints(SCHEMA, field, value)


def test_each_value_is_asked_for_in_its_way() -> None:
    field = drawn(SCHEMA, VALUE)
    found = {each.place: (each.kind, each.text, each.state, each.required) for each in field.fields}
    assert found == {
        "/amount": ("decimal", "80.00", "given", True),
        "/count": ("whole", "1", "given", True),
        "/weight": ("number", "1.0", "given", True),
        "/note": ("text", "", "null", False),
        "/to": ("group", "", "given", True),
        "/back": ("group", "", "null", False),
        "/kind": ("choice", "0", "given", True),
        "/fast": ("tick", "false", "given", True),
    }
    (amount,) = [each for each in field.fields if each.label == "amount"]
    assert (amount.help, amount.hints) == ("In euros.", ("at most 500",))


def test_numbers_lose_nothing() -> None:
    assert filled(value__amount="50.10")[0]["amount"] == "50.10"
    assert filled(value__amount="99999999999999999999.01")[0]["amount"] == "99999999999999999999.01"
    assert repr(filled(value__weight="1.50")[0]["weight"]) == "1.5"
    assert filled(value__weight="7")[0]["weight"] == 7
    assert "more digits than a number keeps" in filled(value__weight="0.12345678901234567890")[1]["value/weight"]
    for wrong in ("50,10", "1e", "", "NaN", "Infinity", "١٢", "0x10", "1" * 5000):
        assert "value/count" in filled(value__count=wrong)[1], wrong
    for wrong in ("50,10", "NaN", "1e999", "--1"):
        assert "value/weight" in filled(value__weight=wrong)[1], wrong


def test_a_choice_is_taken_for_what_it_is() -> None:
    schema = {"type": "object", "properties": {"a": {"enum": ["1", 1, True, 1.5, None]}}, "required": ["a"]}
    field = drawn(schema, {"a": True})
    assert field.fields[0].text == "2"
    found = [canonical(read(field, {"value/a": str(at)})[0]["a"]) for at in range(5)]
    assert found == ['"1"', "1", "true", "1.5", "null"]


def test_what_may_be_left_out_is_given_or_left_out_or_null() -> None:
    assert filled(how__note="given", value__note="Hi")[0]["note"] == "Hi"
    assert filled(how__note="given")[0]["note"] == ""
    assert "note" not in filled(how__note="left")[0]
    assert filled(value__note="Hi")[1] == {"value/note": "it is filled in, but not marked as given"}
    assert filled(value__back__street="Oak")[1] == {"value/back": "it is filled in, but not marked as given"}
    assert filled(how__back="given", value__back__street="Oak")[0]["back"] == {"street": "Oak"}
    assert filled(how__count="left")[0]["count"] == 1
    assert filled(how__note="?", value__note="Hi")[1] != {}


def test_what_the_schema_says_stands_beside_the_field_that_it_is_about() -> None:
    assert set(filled(value__count="0")[1]) == {"value/count"}
    assert set(filled(how__note="given", value__note="far too long a note")[1]) == {"value/note"}
    assert set(filled(value__kind="7")[1]) == {"value/kind"}
    field = drawn(SCHEMA, {"amount": 1})
    assert set(complaints(SCHEMA, field, {"amount": 1, "to": {}})) == {
        "value/count",
        "value/weight",
        "value/to/street",
        "value/kind",
        "value/fast",
    }
    assert complaints(None, field, {"anything": 1}) == {}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (None, {"a": 1}),
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/none"}}}, {"a": [1]}),
        ({"type": "object", "properties": {"a": {"$ref": "https://evil.example/x"}}}, {"a": "x"}),
        ({"type": "object", "properties": {"a": {"$ref": "#"}}}, {"a": {"a": {"a": {"a": {"a": {"a": {"b": 1}}}}}}}),
        ({"$ref": "#"}, {"a": 1}),
        ({"type": "object", "properties": {str(at): {"type": "string"} for at in range(400)}}, {"7": "x"}),
        ({"type": "object", "properties": {"a": {"type": "string"}}}, {"a": 5, "more": {"b": 1}}),
        ({"type": "object", "properties": {"a": {"anyOf": [{"type": "string"}, {"type": "array"}]}}}, {"a": ["x"]}),
        ({"type": "object", "properties": {"a": True}}, {"a": "\u202e"}),
    ],
)
def test_what_can_not_be_drawn_is_asked_for_as_json(schema: Any, value: Any) -> None:
    field = drawn(schema, value)
    assert any(each.kind == "json" for each in field.all())
    assert canonical(read(field, said(field))[0]) == canonical(value)
    assert not any(char in each.text for each in field.all() for char in "\u202e\u200b")


def test_json_is_taken_as_it_is_written_or_not_at_all() -> None:
    assert exact_json('{"a": [1, 1.5, "x", null]}') == {"a": [1, 1.5, "x", None]}
    for wrong in (
        "",
        "{",
        "NaN",
        '{"a": 1, "a": 2}',
        "1.00000000000000000001",
        "[" * 100_000,
        "1e999",
        "[" * 300 + "]" * 300,
        '"\\ud800"',
    ):
        with pytest.raises(ValueError, match=r"."):
            exact_json(wrong)


def test_what_is_changed_is_told_value_by_value() -> None:
    before, after = {"a": {"b": 1, "c": [1]}, "d": True}, {"a": {"b": 2, "c": [1, 2]}, "e": None, "d": 1}
    found = [(change.name, change.before, change.after) for change in changes(before, after)]
    assert found == [("a.b", 1, 2), ("a.c", [1], [1, 2]), ("d", True, 1), ("e", MISSING, None)]
    assert changes(1.0, 1) != []
