"""A transcript as Gemini is shown it: whatever its order, one that the service takes."""

from __future__ import annotations

import base64
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.gemini.rules import refusal
from emulators.gemini.wire import camel, signature
from onward.adapters.gcp.gemini_contents import GO_ON, contents_of, generation
from onward.core.events import Failure
from onward.core.payload import Blob, Erased
from onward.core.state import Entry

MODELS = ("gemini-3-flash", "gemini-3-pro", "gemini-2.5-flash", "gemini-flash-latest")
DATA = base64.b64encode(b"data").decode()


def wire(value: Any) -> Any:
    """As it goes over the wire."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {key: wire(item) for key, item in value.items()}
    return [wire(item) for item in value] if isinstance(value, list) else value


def shown(transcript: list[Entry], model: str = MODELS[0]) -> list[dict[str, Any]]:
    contents: list[dict[str, Any]] = camel(wire(contents_of(transcript, model)))
    return contents


def texts(transcript: list[Entry], model: str = MODELS[0]) -> list[list[str]]:
    return [[part.get("text") for part in content["parts"]] for content in shown(transcript, model)]


def own(model: str, text: str, calls: list[dict[str, Any]]) -> dict[str, Any]:
    """An answer's content, as the client gives it."""
    parts: list[dict[str, Any]] = [{"text": "Hm.", "thought": True}, *([{"text": text}] if text else [])]
    parts += [{"function_call": {"name": call["name"], "args": call["arguments"]}} for call in calls]
    signed = next((part for part in parts if "function_call" in part), None)
    if signed is not None and "2.5" not in model:
        signed["thought_signature"] = signature(model, camel(signed))
    return {"role": "model", "parts": parts}


def file(media_type: str, **fields: Any) -> dict[str, Any]:
    return {"$file": {"media_type": media_type, "name": "", "data": DATA, **fields}}


def result(value: Any, call: str | None, seq: int = 5, **fields: Any) -> Entry:
    return Entry(kind="result", seq=seq, value=value, call=call, tool="find", **fields)


# --- any transcript --------------------------------------------------------------------------------------------

kinds = st.sampled_from(["image/png", "text/csv", "application/zip", "image/gif", "application/pdf", "audio/ogg"])
files = st.builds(file, kinds, data=st.sampled_from([DATA, "", None]), name=st.sampled_from(["", "a.x"]))
plain = st.one_of(st.text(max_size=5), st.integers(), st.none(), st.booleans(), files)
values = st.one_of(plain, st.lists(plain, max_size=3), st.dictionaries(st.text(max_size=3), plain, max_size=2))
payloads = st.one_of(values, st.just(Erased()), st.just(Blob(digest="d", size=9, preview="p")))


@st.composite
def answered(draw: st.DrawFn, model: str, at: int) -> list[Entry]:
    """An answer with calls, and a result for each of them, numbered as its call is."""
    names = draw(st.lists(st.sampled_from(["find", "pay"]), max_size=3))
    calls = [{"name": name, "arguments": {"n": f"{at}.{index}"}} for index, name in enumerate(names)]
    text = draw(st.sampled_from(["", "Let me see."]))
    author = draw(st.sampled_from([*MODELS, "scripted", None]))
    content = own(author, text, calls) if author in MODELS else None
    value = {"text": text, "calls": calls}
    asked = Entry(kind="answer", seq=at, value=value, content=content, model=author)
    results = [
        Entry(
            kind="result",
            seq=at + 2 + index,
            value=f"{at}.{index}",
            call=f"{at + 1}.{index}",
            failed=draw(st.booleans()),
        )
        for index in range(len(names))
    ]
    return [asked, *results]


@st.composite
def transcripts(draw: st.DrawFn, model: str) -> list[Entry]:
    """What may stand in a log: turns of a model with everything else between them."""
    entries: list[Entry] = []
    for at in itertools.count(1, 10):
        kind = draw(st.sampled_from(["input", "notice", "summary", "answer", "answer", "end"]))
        if kind == "end" or at > 80:
            return entries
        one = Entry(kind="input", seq=at, value=draw(payloads)).model_copy(update={"kind": kind})
        entries += draw(answered(model, at)) if kind == "answer" else [one]
    return entries


@given(st.data(), st.sampled_from(MODELS))
def test_every_transcript_is_taken_in_any_order(data: st.DataObject, model: str) -> None:
    entries = data.draw(transcripts(model))
    mixed = data.draw(st.permutations(entries))
    assert refusal(model, {"contents": shown(entries, model)}) is None
    contents = shown(mixed, model)
    assert refusal(model, {"contents": contents}) is None
    for asked, answer in itertools.pairwise(contents):
        calls = [part["functionCall"] for part in asked["parts"] if "functionCall" in part]
        given = [part["functionResponse"]["response"] for part in answer["parts"] if "functionResponse" in part]
        assert not calls or [call["args"]["n"] for call in calls] == [next(iter(one.values())) for one in given]


@given(st.data(), st.sampled_from(MODELS))
def test_one_that_lost_entries_and_ids_is_taken_too(data: st.DataObject, model: str) -> None:
    entries = data.draw(transcripts(model))
    kept = [entry for entry in entries if data.draw(st.booleans())]
    bare = [
        entry.model_copy(update={"call": data.draw(st.sampled_from([None, "x", "1.9", entry.call]))}) for entry in kept
    ]
    odd = [
        entry.model_copy(update={"value": data.draw(payloads)}) if entry.kind == "result" else entry for entry in bare
    ]
    assert refusal(model, {"contents": shown(odd, model)}) is None


# --- what it looks like ----------------------------------------------------------------------------------------

ASKED = Entry(
    kind="answer", seq=2, value={"text": "", "calls": [{"name": "find", "arguments": None}] * 2}, model="other"
)


def responses(*results: Entry) -> list[dict[str, Any]]:
    hello = Entry(kind="input", seq=1, value="hello")
    parts = shown([hello, ASKED, *results])[2]["parts"]
    return [part["functionResponse"]["response"] for part in parts]


def test_results_are_placed_by_their_ids_else_in_order() -> None:
    assert responses(result("b", "3.1"), result("a", "3.0")) == [{"output": "a"}, {"output": "b"}]
    assert responses(result("a", None), result("b", None, 6)) == [{"output": "a"}, {"output": "b"}]
    assert responses(result("a", None), result("b", "3.0", 6)) == [{"output": "b"}, {"output": "a"}]


def test_a_call_without_a_result_says_so() -> None:
    assert responses(result("b", "3.1")) == [{"error": "No result of this call is known."}, {"output": "b"}]


def test_a_result_without_its_call_is_told() -> None:
    assert texts([result({"a": 1}, "3.0")]) == [["Result of an earlier call of find:", '{"a": 1}']]


def test_what_was_erased_stays_so() -> None:
    assert responses(result(Erased(), "3.0"), result("b", "3.1"))[0] == {"output": "(erased)"}
    content = own(MODELS[0], "secret", [])
    answer = Entry(kind="answer", seq=2, value=Erased(), content=content, model=MODELS[0])
    assert texts([answer]) == [[GO_ON], ["(erased)"], [GO_ON]]
    gone = Entry(kind="answer", seq=2, value={"text": "kept", "calls": []}, content=Erased(), model=MODELS[0])
    assert texts([gone]) == [[GO_ON], ["kept"], [GO_ON]]


def test_what_the_user_says_in_a_row_is_one_content() -> None:
    said = [
        Entry(kind="summary", seq=1, value="They met."),
        Entry(kind="input", seq=2, value={"a": "ä"}),
        Entry(kind="notice", seq=3, value=Failure(code="bad", message="Not of the shape.")),
        Entry(kind="notice", seq=4, value="Ten turns are left."),
        Entry(kind="input", seq=5, value=""),
    ]
    assert texts(said) == [
        [
            "This stands for the conversation so far:",
            "They met.",
            '{"a": "ä"}',
            "Note: Not of the shape.",
            "Note: Ten turns are left.",
            "(empty)",
        ]
    ]


def test_nothing_said_is_something_to_go_on_with() -> None:
    assert texts([]) == [[GO_ON]]


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        (file("image/png"), [{"inlineData": {"mimeType": "image/png", "data": DATA}}]),
        (["look", file("text/csv", name="a.csv")], [{"text": "look"}, {"text": "File a.csv (text/csv):\ndata"}]),
        (
            file("application/zip", name="a.zip"),
            [{"text": "(file a.zip, application/zip, 4 bytes: no kind that the model can be shown)"}],
        ),
        (file("image/png", data=None), [{"text": "(file without a name, image/png: its bytes are gone)"}]),
        (file("image/png", data=""), [{"text": "(file without a name, image/png: it is empty)"}]),
        (
            {"scan": file("application/pdf", name="s.pdf")},
            [
                {"text": '{"scan": {"file": "s.pdf", "media_type": "application/pdf", "size": 4}}'},
                {"text": "File s.pdf:"},
                {"inlineData": {"mimeType": "application/pdf", "data": DATA}},
            ],
        ),
    ],
)
def test_values_and_files_as_parts(value: Any, parts: list[dict[str, Any]]) -> None:
    assert shown([Entry(kind="input", seq=1, value=value)])[0]["parts"] == parts


def test_arguments_that_are_no_object_are_wrapped_for_another_model() -> None:
    odd = Entry(kind="answer", seq=2, value={"text": "", "calls": [{"name": "find", "arguments": "[1"}]}, model="other")
    assert shown([odd])[1]["parts"][0]["functionCall"] == {"name": "find", "args": {"arguments": "[1"}}


@pytest.mark.parametrize(
    ("name", "number"),
    [("gemini-3-flash", 3), ("gemini-2.5-pro", 2), ("models/gemini-10-pro", 10), ("gemini-flash-latest", None)],
)
def test_the_generation_is_in_the_name(name: str, number: int | None) -> None:
    assert generation(name) == number
