"""Signatures to forms and back: what a model may send, what is recorded, what the function is given."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator, AliasChoices, BaseModel, Field, SecretStr

from onward.core.canonical import canonical
from onward.core.files import File, Stash, file_in, stash
from onward.core.outcomes import Call, Pending
from onward.errors import BadInput
from onward.programs.schema import Form, Results, form_of


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Line(BaseModel):
    sku: str
    amount: Decimal
    colour: Colour = Colour.RED


@dataclass
class Point:
    x: int
    y: float = 0.5


def everything(  # noqa: PLR0913 - one of everything
    amount: Decimal,
    day: date,
    at: datetime,
    lines: list[Line],
    where: Point,
    either: int | str | None = None,
    labels: dict[str, bool] = {},  # noqa: B006 - a mutable default is copied, and this shows it
    *,
    call: Call,
    note: Annotated[str, Field(max_length=40)] = "none",
    span: timedelta = timedelta(minutes=1),
    mode: Literal["fast", "slow"] = "fast",
    tags: frozenset[str] = frozenset(),
) -> None:
    """Take one of everything."""


EVERYTHING = form_of(everything, "everything")
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
lines = st.builds(
    Line, sku=texts, amount=st.decimals(allow_nan=False, allow_infinity=False), colour=st.sampled_from(Colour)
)
typed = st.fixed_dictionaries(
    {
        "amount": st.decimals(allow_nan=False, allow_infinity=False),
        "day": st.dates(),
        "at": st.datetimes(timezones=st.just(UTC)),
        "lines": st.lists(lines, max_size=3),
        "where": st.builds(Point, x=st.integers(), y=st.floats(allow_nan=False, allow_infinity=False)),
    },
    optional={
        "either": st.one_of(st.none(), st.integers(), texts),
        "labels": st.dictionaries(texts, st.booleans(), max_size=3),
        "note": texts,
        "span": st.timedeltas(timedelta(0), timedelta(days=1000)),
        "mode": st.sampled_from(["fast", "slow"]),
        "tags": st.frozensets(texts, max_size=4),
    },
)


def as_json(values: dict[str, Any]) -> Any:
    """What a model would send for these values."""
    from pydantic_core import to_json

    return json.loads(to_json(values))


@given(typed)
def test_arguments_are_the_same_values_after_any_number_of_trips_through_json(values: dict[str, Any]) -> None:
    value, recorded = EVERYTHING.settle(as_json(values))
    for name, expected in values.items():
        assert getattr(value, name) == expected
        assert type(getattr(value, name)) is type(expected)
    again, recorded_again = EVERYTHING.settle(json.loads(canonical(recorded)))
    assert again == value
    assert canonical(recorded_again) == canonical(recorded)


@given(typed)
def test_what_is_recorded_says_every_parameter(values: dict[str, Any]) -> None:
    _, recorded = EVERYTHING.settle(as_json(values))
    assert set(recorded) == set(EVERYTHING.parameters)
    if "mode" not in values:
        assert recorded["mode"] == "fast"


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=10,
)


@given(json_values)
def test_whatever_a_model_sends_is_taken_or_refused(arguments: Any) -> None:
    with suppress(BadInput):
        EVERYTHING.settle(arguments)
        canonical(EVERYTHING.settle(arguments)[1])


# --- what a model is shown -------------------------------------------------------------------------------------


def test_the_schema_names_the_parameters_and_nothing_else() -> None:
    def find(order_id: str, limit: Annotated[int, Field(ge=1, description="how many")] = 10, *, call: Call) -> None: ...

    assert form_of(find, "find").schema == {
        "type": "object",
        "additionalProperties": False,
        "required": ["order_id"],
        "properties": {
            "order_id": {"type": "string"},
            "limit": {"type": "integer", "minimum": 1, "default": 10, "description": "how many"},
        },
    }


def test_annotations_written_as_text_are_resolved() -> None:
    def find(line: "Line", *, call: "Call | None" = None) -> None: ...

    form = form_of(find, "find")
    assert (form.parameters, form.call) == (("line",), "call")
    assert "Line" in form.schema["$defs"]


def test_a_tool_without_parameters_takes_an_empty_object_or_none() -> None:
    def now() -> None: ...

    form = form_of(now, "now")
    assert form.settle({})[1] == {} == form.settle(None)[1]


def test_an_alias_is_the_name_a_model_uses() -> None:
    def find(order_id: Annotated[str, Field(alias="orderId")]) -> None: ...

    form = form_of(find, "find")
    value, recorded = form.settle({"orderId": "o1"})
    assert list(form.schema["properties"]) == ["orderId"] == list(recorded)
    assert form.keywords(value, call=None) == {"order_id": "o1"}  # type: ignore[arg-type]


def test_parameters_may_have_the_names_of_model_methods() -> None:
    def odd(copy: int, json: int, model_dump: int, model_extra: int, schema: int = 5) -> None: ...

    form = form_of(odd, "odd")
    value, recorded = form.settle({"copy": 1, "json": 2, "model_dump": 3, "model_extra": 4})
    assert recorded == {"copy": 1, "json": 2, "model_dump": 3, "model_extra": 4, "schema": 5}
    assert form.keywords(value, call=None) == recorded  # type: ignore[arg-type]


def test_what_a_parameter_says_itself_goes_before_its_docstring() -> None:
    def find(
        order: Annotated[str, Field(description="by Field")],
        customer: Annotated[str, "by the annotation"],
        line: Line,
        limit: Annotated[int, Field(alias="atMost")] = 3,
        plain: int = 0,
    ) -> None: ...

    told = dict.fromkeys(("order", "customer", "line", "limit"), "by the docstring")
    shown = form_of(find, "find", told).schema["properties"]
    assert {name: schema.get("description") for name, schema in shown.items()} == {
        "order": "by Field",
        "customer": "by the annotation",
        "line": "by the docstring",
        "atMost": "by the docstring",
        "plain": None,
    }
    assert shown["line"]["$ref"] == "#/$defs/Line"


def test_bytes_are_base64_both_ways() -> None:
    def keep(data: bytes = b"\xff") -> None: ...

    form = form_of(keep, "keep")
    assert form.schema["properties"]["data"]["default"] == "_w=="
    value, recorded = form.settle({"data": "/+8="})
    assert (value.__dict__["data"], recorded) == (b"\xff\xef", {"data": "_-8="})
    assert results(bytes).dump(b"\xff") == results(dict[str, bytes]).dump({"a": b"\xff"})["a"] == "_w=="


# --- what is refused when a model calls ------------------------------------------------------------------------


def refused(form: Form, arguments: Any) -> str:
    with pytest.raises(BadInput) as exc:
        form.settle(arguments)
    return str(exc.value)


def refund(order_id: str, amount: Annotated[Decimal, Field(gt=0)]) -> None:
    """Refund."""


REFUND = form_of(refund, "refund")


def test_each_wrong_field_is_named() -> None:
    message = refused(REFUND, {"order_id": 7, "amount": -1})
    assert message == "refund: order_id: Input should be a valid string; amount: Input should be greater than 0"


def test_an_unknown_parameter_is_answered_with_the_known_ones() -> None:
    message = refused(REFUND, {"order_id": "o1", "amount": 3, "currency": "EUR"})
    assert message == "refund: currency: there is no such parameter; there are: order_id, amount"


class Exact(BaseModel, extra="forbid"):
    sku: str = ""
    amount: int = 0


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel, extra="forbid"):
    kind: Literal["dog"]
    lives: int = 1


def order(
    amount: int = 0,
    colour: Colour = Colour.RED,
    mode: Literal["fast", "slow"] = "fast",
    lines: list[Exact] = [],  # noqa: B006 - it is copied
    pair: tuple[int, Exact] = (0, Exact()),
    tagged: Annotated[Cat | Dog, Field(discriminator="kind")] = Dog(kind="dog"),  # noqa: B008 - it is frozen
) -> None: ...


ORDER = form_of(order, "order")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"amuont": 1}, "amuont: there is no such parameter; did you mean amount?"),
        ({"Amount": 1}, "Amount: there is no such parameter; did you mean amount?"),
        ({"color": "red"}, "color: there is no such parameter; did you mean colour?"),
        ({"colour": "blu"}, "colour: Input should be 'red' or 'blue'; did you mean 'blue'?"),
        ({"colour": "RED"}, "colour: Input should be 'red' or 'blue'; did you mean 'red'?"),
        ({"colour": "4111"}, "colour: Input should be 'red' or 'blue'"),
        ({"mode": "fest"}, "mode: Input should be 'fast' or 'slow'; did you mean 'fast'?"),
        ({"lines": [{"sku": "a", "amuont": 1}]}, "lines.0.amuont: there is no such field; did you mean amount?"),
        ({"lines": [{"sku": "a", "note": 1}]}, "lines.0.note: there is no such field; there are: sku, amount"),
        ({"pair": [1, {"amuont": 1}]}, "pair.1.amuont: there is no such field; did you mean amount?"),
        ({"tagged": {"kind": "dg"}}, "tagged: 'kind' must be one of 'cat', 'dog'; did you mean 'dog'?"),
        ({"tagged": {"kind": "dog", "lifes": 1}}, "tagged.dog.lifes: there is no such field"),
    ],
)
def test_a_name_that_is_nearly_right_is_answered_with_the_right_one(arguments: Any, says: str) -> None:
    assert refused(ORDER, arguments) == f"order: {says}"


@pytest.mark.parametrize("arguments", ["o1", ["o1", 3], 3, True])
def test_arguments_are_an_object(arguments: Any) -> None:
    assert refused(REFUND, arguments) == "refund: the arguments must be an object with the tool's parameters"


def test_only_the_first_errors_are_told() -> None:
    message = refused(EVERYTHING, {str(index): 1 for index in range(30)})
    assert message.endswith("and 30 more")


def test_refusals_never_repeat_the_values() -> None:
    assert "4111" not in refused(REFUND, {"order_id": {"card": "4111"}, "amount": "4111-1111"})


@pytest.mark.parametrize("value", ["inf", "-Infinity", "NaN"])
def test_numbers_that_json_cannot_hold_are_refused(value: str) -> None:
    def scale(by: float) -> None: ...

    assert "JSON" in refused(form_of(scale, "scale"), {"by": value})


def test_arguments_that_would_change_when_read_back_are_refused() -> None:
    def double(value: Annotated[int, AfterValidator(lambda value: value * 2)]) -> None: ...

    form = form_of(double, "double")
    assert form.settle({"value": 0})[1] == {"value": 0}
    assert "change when they are recorded" in refused(form, {"value": 3})


def test_a_validator_that_breaks_is_a_refusal_and_not_a_crash() -> None:
    def find(value: Annotated[int, AfterValidator({}.__getitem__)]) -> None: ...

    assert refused(form_of(find, "find"), {"value": 3}) == "find: the arguments can't be checked: KeyError"


def test_sets_are_recorded_in_the_same_order_in_every_process() -> None:
    code = (
        "from onward.programs.schema import form_of\n"
        "def f(tags: set[str], deep: dict[str, list[frozenset[str]]]): ...\n"
        "print(form_of(f, 'f').settle({'tags': list('hgfedcba'), 'deep': {'x': [list('dcba')]}})[1])"
    )

    def recorded(seed: str) -> str:
        env = {**os.environ, "PYTHONHASHSEED": seed}
        return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout

    assert recorded("1") == recorded("2") == recorded("3")


# --- what is refused when a tool is declared -------------------------------------------------------------------


def untyped(order) -> None: ...  # type: ignore[no-untyped-def]
def many(*orders: str) -> None: ...
def keywords(**orders: str) -> None: ...
def positional(order: str, /) -> None: ...
def private(_order: str) -> None: ...
def config(model_config: str) -> None: ...
def callback(done: Callable[[int], int]) -> None: ...
def unknown_type(process: subprocess.Popen) -> None: ...  # type: ignore[type-arg]
def unresolved(order: "NoSuchType") -> None: ...  # type: ignore[name-defined]  # noqa: F821
def wrong_default(count: int = "many") -> None: ...  # type: ignore[assignment]
def two_names(order: Annotated[str, Field(validation_alias="orderId")]) -> None: ...
def many_names(order: Annotated[str, Field(validation_alias=AliasChoices("a", "b"))]) -> None: ...
def no_json_default(size: float = float("nan")) -> None: ...
def secret(key: SecretStr) -> None: ...
def hidden_secret(keys: dict[str, list[SecretStr]]) -> None: ...
def positional_call(call: Call) -> None: ...
def two_calls(*, call: Call, other: Call) -> None: ...


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (untyped, "parameter order has no type annotation"),
        (many, "parameter orders takes any number of arguments"),
        (keywords, "parameter orders takes any number of arguments"),
        (positional, "parameter order is positional-only"),
        (private, "parameter _order can't be shown to a model"),
        (config, "parameter model_config can't be shown to a model"),
        (callback, "parameter done is a .*Callable.* no JSON Schema"),
        (unknown_type, "parameter process is a Popen, which has no JSON Schema$"),
        (unresolved, "'NoSuchType' is not defined"),
        (wrong_default, "parameter count: its default is no int"),
        (two_names, "parameter order has one name to be read by and another to be written by"),
        (many_names, "parameter order has one name to be read by"),
        (no_json_default, "parameter size: its default can't be written as JSON"),
        (secret, "parameter key holds a secret"),
        (hidden_secret, "parameter keys holds a secret"),
        (positional_call, "parameter call takes the Call and must be keyword-only"),
        (two_calls, "parameter other takes the Call, which call takes already"),
    ],
)
def test_what_cannot_be_expressed_is_refused_by_name(function: Callable[..., Any], says: str) -> None:
    with pytest.raises(BadInput, match=rf"^tool pay: .*{says}"):
        form_of(function, "pay")


# --- results ---------------------------------------------------------------------------------------------------


def results(annotation: Any) -> Results:
    def function() -> None: ...

    function.__annotations__["return"] = annotation
    return Results(function, "pay")


def plain() -> Results:
    def function(): ...  # type: ignore[no-untyped-def]

    return Results(function, "pay")


@given(json_values)
def test_json_results_stay_as_they_are(value: Any) -> None:
    assert canonical(plain().dump(value)) == canonical(value) == canonical(results(Any).dump(value))


@pytest.mark.parametrize(
    ("annotation", "value", "written"),
    [
        (Line, Line(sku="a", amount=Decimal("3.50")), {"sku": "a", "amount": "3.50", "colour": "red"}),
        (Point, Point(1), {"x": 1, "y": 0.5}),
        (Line | Pending, Line(sku="a", amount=Decimal(1)), {"sku": "a", "amount": "1", "colour": "red"}),
        (None, None, None),
        (Decimal, Decimal("3.50"), "3.50"),
        (date, date(2026, 1, 2), "2026-01-02"),
        (float, float("inf"), None),
        (str, Decimal("3.50"), "3.50"),
        (Line, {"not": "a line"}, {"not": "a line"}),
    ],
)
def test_results_are_written_by_annotation_or_as_what_they_are(annotation: Any, value: Any, written: Any) -> None:
    assert results(annotation).dump(value) == written


def loop() -> list[Any]:
    items: list[Any] = []
    items.append(items)
    return items


class Shy:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def numbers() -> Iterator[int]:
    yield 1
    raise OSError("the connection broke")


UNWRITABLE = [object(), Shy(), loop(), "\ud800", b"\xff", 10**5000, numbers(), float("nan"), {1: Shy()}]


@pytest.mark.parametrize("value", UNWRITABLE, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("writer", [plain(), results(Any), results(str)], ids=["no annotation", "any", "another"])
def test_g6_any_result_can_be_recorded_after_its_effect(writer: Results, value: Any) -> None:
    written = writer.dump(value)
    assert json.loads(canonical(written).encode()) == written


def test_a_result_that_cannot_be_written_is_told_in_words() -> None:
    assert plain().dump({"socket": Point}) == {"type": "dict", "repr": repr({"socket": Point})}


@pytest.mark.parametrize("annotation", [Any, File | None, None])
def test_a_file_is_written_with_its_bytes(annotation: Any) -> None:
    file = File(data=b"\x00\xff", media_type="image/png", name="a.png")
    written = plain().dump(file) if annotation is None else results(annotation).dump(file)
    assert written["$file"]["data"] == "AP8="
    assert file_in(json.loads(canonical(written))) == file


def test_files_are_found_wherever_they_are_in_a_result() -> None:
    class Report(BaseModel):
        pages: list[File]
        cover: File | None = None

    file, taken = File(data=b"1", media_type="text/plain"), Stash()
    report = Report(pages=[file, File(data=b"2", media_type="text/plain")], cover=file)
    for writer in (results(Report), results(Report | Pending), plain()):
        kept = stash(writer.dump(report), taken)
        assert [set(page["$file"]) for page in kept["pages"]] == [{"media_type", "name", "size", "digest"}] * 2
        assert kept["cover"] == kept["pages"][0]
    assert sorted(taken.values()) == ["MQ==", "Mg=="]


def test_a_result_type_that_can_never_be_written_is_refused() -> None:
    with pytest.raises(BadInput, match="tool pay: its result, a Popen, can't be written as JSON"):
        results(subprocess.Popen)
