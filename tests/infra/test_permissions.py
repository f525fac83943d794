"""Each function is granted what it was seen to ask for, and no more."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.infra.permissions import FILE, RESOURCES, Unknown, derived, resources_of, text

GIVEN = json.loads(FILE.read_text())


def test_the_grants_are_what_the_functions_ask_for(played: Any) -> None:
    world, _ = played
    found = text(derived(world.recorded(), resources_of(world.cloud)))
    assert found == FILE.read_text(), "run: make permissions, and look at what became of it"


def test_everything_that_can_be_asked_of_the_api_was(played: Any) -> None:
    _, api = played
    assert api.left_out() == []


def test_what_appends_can_delete_nothing_and_only_the_api_lists_the_bucket() -> None:
    for name in ("advance", "resume", "sweep"):
        assert [every for resource in RESOURCES for every in GIVEN[name][resource] if every.endswith(".delete")] == []
    assert [name for name in GIVEN if "storage.objects.list" in GIVEN[name]["bucket"]] == ["api"]


def test_a_wake_and_a_timer_may_move_a_session_as_far() -> None:
    assert GIVEN["advance"] == GIVEN["resume"]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (("Firestore.BatchGetDocuments transaction", "db"), "which permissions Google wants"),
        (("Firestore.Commit delete", "db"), "which permissions Google wants"),
        (("Firestore.Commit create", "another"), "none of: db"),
    ],
    ids=["call", "write", "resource"],
)
def test_what_is_unknown_is_refused(call: tuple[str, str], said: str) -> None:
    with pytest.raises(Unknown, match=said):
        derived({"advance": [call]}, {"db": "database"})
