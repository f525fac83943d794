"""Values as pages show them: the same value for who reads them back, and nothing in them invisible."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from onward.core import events as ev
from onward.core.events import Actor, Event
from onward.core.payload import Blob, Erased
from onward.surfaces.console.values import as_json, files_in, raw, written

DIGEST = "a" * 64
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)
)


def said(content: Any) -> Event:
    actor = Actor(kind="person", name="ann")
    return Event(
        seq=1, at=datetime(2026, 1, 5, tzinfo=UTC), actor=actor, body=ev.InputReceived(content=content, signal="s")
    )


@given(VALUES)
def test_json_is_the_same_value_and_nothing_in_it_is_invisible(value: Any) -> None:
    text = as_json(value)
    assert json.loads(text) == value
    assert text.replace("\n", "").isprintable()


def test_what_is_nested_too_deep_for_lines_is_shown_in_one() -> None:
    deep: Any = 1
    for _ in range(700):
        deep = [deep]
    assert json.loads(as_json(deep)) == deep


def test_what_lies_elsewhere_is_shown_by_its_beginning_and_its_salt_is_kept() -> None:
    blob = Blob(digest=DIGEST, size=99_000, preview="The begin", salt="secret")
    assert written(blob) == "The begin… (99,000 bytes)"
    assert json.loads(raw(said(blob)))["body"]["content"] == {"beginning": "The begin", "bytes": 99_000}
    assert json.loads(raw(said(Erased())))["erased"] == ["content"]
    assert written(Erased()) == "(erased)"


def test_files_are_found_wherever_they_are_each_once_and_what_only_looks_like_one_is_not() -> None:
    file = {"$file": {"media_type": "text/plain", "name": "a\u202eb", "digest": DIGEST}}
    found = files_in(said([file, {"more": {"deep": file}}, {"$file": "no"}, {"$file": {"digest": "no"}}]))
    assert [(each.digest, each.name, each.media_type) for each in found] == [(DIGEST, "a\\u202eb", "text/plain")]
