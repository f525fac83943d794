"""`onward compare`: two sessions beside each other, by their ids or their files."""

from __future__ import annotations

import pytest

from tests.e2e.command import DONE, LOOKUP, REFUND, Desk, Here, says

APP = "desk.py:desk"


@pytest.fixture
def session(desk: Desk, here: Here) -> str:
    """One that looked up an order, refunded it after it was approved, and said so."""
    desk.write(LOOKUP, REFUND, DONE)
    here("run", APP, "Refund A-1", "--id", "s1")
    here("approve", "s1")
    assert here("run", APP, "--id", "s1").code == 0
    return "s1"


def test_a_branch_that_does_the_same_is_the_same(here: Here, session: str) -> None:
    here("fork", session, "--at", "3", "--id", "b1", "--app", "desk.py")
    found = here("compare", session, "b1")
    assert found.code == 0
    lines = found.out.splitlines()
    assert lines[0] == "same"
    assert "A  s1 (completed)" in lines[2]
    assert "B  b1 (completed, branch of s1 at 3)" in lines[2]
    assert all(len(line) <= 120 for line in lines)
    doc = here("compare", session, "b1", "--json").doc
    assert (doc["code"], doc["same"], doc["verdict"], doc["first"]) == ("same", True, "same", None)
    assert doc["b"]["totals"]["tokens"] == 0


def test_what_was_changed_is_where_they_part(desk: Desk, here: Here, session: str) -> None:
    desk.write(LOOKUP, says("Nothing is done."), file="other.json")
    words = ("--effects", "live-model", "--model", "scripted:other.json", "--app", "desk.py")
    here("fork", session, "--at", "3", "--id", "b1", *words)
    found = here("compare", session, "b1")
    assert found.code == 1
    assert found.out.startswith("B makes one call fewer: refund(")
    doc = here("compare", session, "b1", "--json").doc
    assert doc["code"] == "calls_differ"
    assert doc["first"]["a"]["turn"] == 2
    assert doc["first"]["b"] is None
    assert doc["turns"][1]["differences"][0]["tool"] == "refund"


def test_files_are_compared_without_a_database(desk: Desk, here: Here, session: str) -> None:
    here("fork", session, "--at", "3", "--id", "b1", "--effects", "blocked", "--app", "desk.py")
    for id in (session, "b1"):
        assert here("export", id, "--output", f"{id}.jsonl").code == 0
    by_id = here("compare", session, "b1")
    assert by_id.code == 1
    assert here("compare", "s1.jsonl", "b1").out == by_id.out
    (desk.path / "onward.db").unlink()
    assert here("compare", "s1.jsonl", "b1.jsonl").out == by_id.out
    assert here("compare", "s1.jsonl", "s1.jsonl").code == 0
    assert not (desk.path / "onward.db").exists()


def test_of_many_turns_only_those_that_differ_are_shown_and_their_neighbours(desk: Desk, here: Here) -> None:
    turns = [LOOKUP] * 9
    desk.write(*turns, DONE)
    here("run", APP, "Refund A-1", "--id", "s1")
    desk.write(*turns, says("Nothing."))
    here("run", APP, "Refund A-1", "--id", "s2")
    found = here("compare", "s1", "s2")
    assert found.out.startswith("same calls, another answer\n")
    assert "8 turns alike" in found.out
    assert "turns alike" not in here("compare", "s1", "s2", "--all").out


@pytest.mark.parametrize(
    ("a", "b", "code", "told"),
    [
        ("s1", "nobody", 3, "not_found: there is no session nobody"),
        ("nobody", "s1", 3, "not_found: there is no session nobody"),
        ("desk.py", "s1", 2, "bad_input: desk.py: "),
        ("s1", "a/b", 2, "bad_input: id: 'a/b'"),
        ("x" * 5000, "s1", 2, "bad_input: id: 'xxx"),
    ],
)
def test_what_can_not_be_compared_is_said(here: Here, session: str, a: str, b: str, code: int, told: str) -> None:
    found = here("compare", a, b)
    assert found.code == code
    assert told in found.err


def test_of_what_was_erased_nothing_is_told(desk: Desk, here: Here, session: str) -> None:
    here("fork", session, "--at", "4", "--id", "b1", "--app", "desk.py")
    for id in (session, "b1"):
        assert here("export", id, "--without-private", "--output", f"{id}.jsonl").code == 0
    own = here("compare", session, "s1.jsonl")
    assert own.code == 0
    assert own.out.startswith("same, as far as can be told: ")
    assert "(erased)" in own.out
    for other in (session, "b1"):
        found = here("compare", other, "b1.jsonl")
        assert found.code == 0, found.out
        assert "one turn of A left out: in B only as a summary, or erased" in found.out
