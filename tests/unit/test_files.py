"""Files in inputs and results: the log refers to them, their bytes lie beside it, and go with what is erased."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward import Agent, App, File, ScriptedModel, tool
from onward.core import files
from onward.core.events import Actor
from onward.core.files import digests_in, file_in, filled, stash
from onward.core.ids import session_key
from onward.engine.gateway import Start
from onward.errors import BadInput
from onward.testing.runner import Runner

ANN = Actor(kind="person", name="ann")
KEY = session_key("default", "s1")
PLAN = File(data=b"a plan", media_type="application/pdf", name="plan.pdf")


def nested(leaf: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))


@given(nested(st.none() | st.integers() | st.text() | st.builds(File, data=st.binary(), media_type=st.just("a/b"))))
async def test_files_come_back_from_wherever_they_stand(value: Any) -> None:
    taken: files.Stash = {}
    bare = stash(value, taken)
    assert digests_in(bare) == set(taken)
    assert stash(bare, {}) == bare, "a reference is left as it is"

    async def fetch(digest: str) -> str | None:
        return taken.get(digest)

    again: files.Stash = {}
    assert stash(await filled(bare, fetch), again) == bare
    assert again == taken


def test_a_name_tells_the_type() -> None:
    assert File.named("plan.pdf", b"x").media_type == "application/pdf"
    with pytest.raises(BadInput, match="its ending says no media type"):
        File.named("plan", b"x")


@pytest.mark.parametrize(
    ("mark", "complaint"),
    [
        ({"data": "####", "media_type": "a/b"}, "needs a media_type"),
        ({"data": "eA=="}, "needs a media_type"),
        ({"data": base64.b64encode(b"x" * (files.LARGEST + 1)).decode(), "media_type": "a/b"}, "at most"),
    ],
)
def test_g15_what_is_no_file_is_refused(mark: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint):
        stash([{"$file": mark}], {})


@pytest.mark.parametrize("mark", [{}, {"digest": 1}, {"digest": ""}, {"digest": "../etc", "media_type": "a/b"}])
def test_g15_a_reference_names_a_file_or_is_refused(mark: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="no digest of a file"):
        stash({"$file": mark}, {})


@pytest.mark.parametrize("value", [{"$file": 1}, {"$file": {}, "more": 1}])
def test_what_only_looks_like_a_file_is_data(value: Any) -> None:
    assert stash(value, {}) == value
    assert file_in(value) is None
    assert digests_in(value) == set()


def desk(*turns: Any, tools: Any = ()) -> Runner:
    return Runner(App([Agent("desk", model=ScriptedModel([*turns, {"text": "done"}]), tools=tools)]))


async def start(runner: Runner, input: Any) -> None:
    await runner.parts.gateway.start(Start("s1", "desk", "1", input), ANN)
    await runner.settle()


async def test_g3_a_files_bytes_go_with_the_field_that_is_erased() -> None:
    runner = desk()
    await start(runner, ["look", PLAN])
    [digest] = digests_in((await runner.state("s1")).input)
    assert await runner.backend.blobs.get(KEY, f"files/{digest}")
    await runner.parts.eraser.erase(KEY, 1, "input", ANN, "asked to")
    assert await runner.backend.blobs.get(KEY, f"files/{digest}") is None


async def test_the_same_start_with_the_same_file_is_the_same_session() -> None:
    runner = desk()
    await start(runner, PLAN)
    head, _ = await runner.parts.gateway.start(Start("s1", "desk", "1", PLAN), ANN)
    assert head.id == "s1"


async def test_a_result_too_large_to_keep_is_recorded_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """The effect has happened, and is not to be doubted for its picture."""

    @tool(effect="irreversible")
    async def photograph() -> File:
        """Take a picture."""
        return File(data=b"large", media_type="image/png", name="picture.png")

    monkeypatch.setattr(files, "LARGEST", 4)
    runner = desk({"calls": [{"tool": "photograph"}]}, tools=[photograph])
    await start(runner, "go")
    state = await runner.state("s1")
    [result] = [entry for entry in state.transcript if entry.kind == "result"]
    assert state.ended == "completed"
    assert result.value == {"not_recorded": "file picture.png: 5 bytes; at most 4 are taken"}
