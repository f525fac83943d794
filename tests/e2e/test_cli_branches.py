"""`onward fork` and `onward branches`: what they make, what they say, and what they refuse."""

from __future__ import annotations

import pytest

from tests.e2e.command import DONE, LOOKUP, REFUND, Desk, Here, says

APP = "desk.py:desk"


@pytest.fixture
def session(desk: Desk, here: Here) -> str:
    """One that looked up an order, refunded it after it was approved, and said so, in twelve events."""
    desk.write(LOOKUP, REFUND, DONE)
    here("run", APP, "Refund A-1", "--id", "s1")
    here("approve", "s1")
    assert here("run", APP, "--id", "s1").code == 0
    assert desk.books() == ["refund A-1 89"]
    return "s1"


def kinds(here: Here, id: str) -> list[str]:
    return [event["kind"] for event in here("events", id, "--json").docs]


# --- making one ------------------------------------------------------------------------------------------------


def test_a_branch_is_made_told_and_run_on_and_repeats_nothing(desk: Desk, here: Here, session: str) -> None:
    made = here("fork", session, "--at", "7", "--id", "b1")
    assert made.code == 0
    assert "s1 at event 7" in made.out
    assert "refund (call 6.0), " not in made.out
    assert "the approval of refund (call 6.0) (not inherited)" in made.out
    assert "recorded: calls and models are answered from the record" in made.out
    assert [command[0] for command in made.commands] == ["run", "compare"]
    run, compare = made.commands
    assert run == ["run", "APP", "--id", "b1"]
    assert compare == ["compare", "s1", "b1"]
    ran = here("run", APP, "--id", "b1")
    assert ran.code == 0
    assert "goes on from 4 inherited entries, the last an answer: " in ran.out
    assert "(from the record of s1)" in ran.out
    assert ran.out.endswith("\nIt is on its way.\n")
    assert desk.books() == ["refund A-1 89"]


def test_with_an_application_it_is_run_on_at_once(desk: Desk, here: Here, session: str) -> None:
    answer = here("fork", session, "--at", "3", "--app", "desk.py")
    assert answer.code == 0
    assert 'result     find_order (from the record of s1): {"amount": "89.00", "id": "A-1"}' in answer.out
    assert "It is on its way." in answer.out
    assert answer.commands[-1][:2] == ["compare", "s1"]
    assert desk.books() == ["refund A-1 89"]


def test_every_change_is_the_branchs_own_and_told(desk: Desk, here: Here, session: str) -> None:
    (desk.path / "calm.txt").write_text("Be calm.\n")
    desk.write(LOOKUP, says("Nothing is done."), file="other.json")
    words = ("fork", session, "--at", "3", "--id", "b1", "--effects", "blocked", "--model", "scripted:other.json")
    words += ("--instructions", "calm.txt", "--input", "Wait!", "--edit", "3=[]")
    refused = here(*words)
    assert (refused.code, refused.out) == (2, "")
    assert "edit: event 3 (calls_proposed) has no value to change" in refused.err
    made = here(*words[:-1], '1="Refund A-2"', "--json").doc
    assert made["id"] == "b1"
    assert made["origin"]["session"] == "s1"
    assert made["origin"]["seq"] == 3
    assert (made["family"], made["effects"]) == ("s1", "blocked")
    assert (made["model"], made["instructions"], made["edited"]) == ("scripted:other.json", True, [1])
    assert made["not_inherited"] == [{"what": "call", "name": "3.0", "tool": "find_order"}]
    assert made["next"][0] == "onward run APP --id b1"
    ran = here("run", APP, "--id", "b1")
    assert ran.out.endswith("\nNothing is done.\n")
    assert "changed: model scripted:other.json, instructions, event 1" in ran.out
    assert "not inherited: find_order (call 3.0)" in ran.out


def test_a_branch_with_edits_leaves_after_the_last_of_them(desk: Desk, here: Here, session: str) -> None:
    made = here("fork", session, "--edit", '4={"order":"A-2"}', "--edit", '1="Refund A-2"', "--json").doc
    assert (made["origin"]["seq"], made["edited"]) == (4, [1, 4])


def test_a_live_branch_asks_before_what_cannot_be_repeated(desk: Desk, here: Here, session: str) -> None:
    desk.write(LOOKUP, says("", pay={"seconds": 0}), DONE)
    answer = here("fork", session, "--at", "4", "--effects", "live", "--app", APP, "--id", "b1")
    assert answer.code == 0
    assert "Waits for a person to decide:" in answer.out
    assert "pay" not in desk.books()
    assert "session b1, a branch of s1 at event 4, which may have done this already" in here("approvals").out


def test_the_same_again_is_the_same_branch(here: Here, session: str) -> None:
    first = here("fork", session, "--at", "4", "--id", "b1", "--json").doc
    again = here("fork", session, "--at", "4", "--id", "b1", "--json").doc
    assert again["hash"] == first["hash"]
    other = here("fork", session, "--at", "5", "--id", "b1")
    assert other.code == 4
    assert "session b1 exists" in other.err


def test_a_branch_can_be_made_where_a_session_stands_and_waits(desk: Desk, here: Here) -> None:
    desk.write(REFUND, DONE)
    assert here("run", APP, "Refund A-1", "--id", "s1").code == 0
    waits = here("show", "s1", "--json").doc["seq"]
    made = here("fork", "s1", "--effects", "blocked", "--app", APP)
    assert made.code == 0
    assert "the approval of refund (call 3.0) (not inherited)" in made.out
    assert "It is on its way." in made.out
    parent = here("show", "s1", "--json").doc
    assert (parent["seq"], parent["status"]) == (waits, "waiting")
    assert desk.books() == []


# --- what is shown of one --------------------------------------------------------------------------------------


def test_lists_and_what_is_shown_say_where_a_branch_comes_from(here: Here, session: str) -> None:
    here("fork", session, "--at", "5", "--id", "b1")
    assert "branch of s1 at event 5" in here("list").out
    shown = here("show", "b1")
    assert "of s1 at event 5" in shown.out
    assert "recorded: calls" in shown.out
    doc = here("show", "b1", "--json").doc
    assert (doc["origin"]["seq"], doc["family"], doc["effects"]) == (5, "s1", "recorded")
    assert "origin" not in here("show", "s1", "--json").doc


def test_a_call_without_a_record_is_told_as_blocked(desk: Desk, here: Here, session: str) -> None:
    desk.write(LOOKUP, says("", pay={"seconds": 0}), DONE)
    answer = here("fork", session, "--at", "4", "--effects", "live-model", "--app", APP, "--id", "b1")
    assert answer.code == 0
    assert "blocked    pay: the record of session s1 has no pay with these arguments" in answer.out
    assert "call_refused" in kinds(here, "b1")


def test_g14_what_is_from_the_record_is_neither_done_nor_spent(here: Here, session: str) -> None:
    here("fork", session, "--at", "2", "--app", APP, "--id", "b1")
    done = {doc["tool"]: doc for doc in here("effects", "b1", "--all", "--json").doc}
    assert {(doc["outcome"], doc["record"]) for doc in done.values()} == {
        ("recorded", "s1/3.0"),
        ("recorded", "s1/6.0"),
    }
    assert [doc["attempts"] for doc in done.values()] == [[], []]
    assert "recorded" in here("effects").out
    (used,) = [row for row in here("usage", "--by", "session", "--json").doc if row["session"] == "b1"]
    assert (used["turns"], used["calls"], used["tokens"]) == (0, 0, 0)
    assert here("cost", "b1", "--json").doc["models"] == []
    assert here("approvals", "--json").doc == []


def test_a_branch_of_a_long_session_is_shown_and_counted_like_any_other(desk: Desk, here: Here) -> None:
    desk.write(DONE, DONE)
    here("run", APP, "Look. " * 20_000, "--id", "s1")
    assert here("fork", "s1", "--at", "2", "--app", APP, "--id", "b1", "--input", "And now?").code == 0
    for words in (("cost", "b1"), ("show", "b1"), ("show", "b1", "--at", "3"), ("effects", "b1"), ("verify", "b1")):
        assert here(*words).code == 0, words


# --- families --------------------------------------------------------------------------------------------------


def test_a_family_is_a_tree_from_each_of_its_members(here: Here, session: str) -> None:
    assert "It has no branches" in here("branches", session).out
    here("fork", session, "--at", "5", "--id", "b2", "--effects", "blocked", "--input", "Wait!")
    here("fork", session, "--at", "3", "--id", "b1")
    here("fork", "b1", "--at", "3", "--id", "b3", "--model", "other")
    for member in ("s1", "b1", "b2", "b3"):
        assert [line.split()[:3] for line in here("branches", member).out.replace(" *", "").splitlines()[1:]] == [
            ["s1", "completed"],
            ["├─", "b1", "3"],
            ["│", "└─", "b3"],
            ["└─", "b2", "5"],
        ], member
    assert "b3 *  3   recorded  running    changed: model other" in here("branches", "b3").out
    assert "5   blocked   running    changed: input" in here("branches", "b3").out
    docs = here("branches", "b2", "--json").doc
    assert [(doc["id"], doc["depth"], doc["changed"]) for doc in docs] == [
        ("s1", 0, []),
        ("b1", 1, []),
        ("b3", 2, ["model other"]),
        ("b2", 1, ["input"]),
    ]
    shown = here("show", session)
    assert "branches  2: onward branches s1" in shown.out
    assert here("show", session, "--json").doc["branches"] == 2


def test_a_deleted_session_is_gone_and_its_branches_are_not(desk: Desk, here: Here, session: str) -> None:
    here("fork", session, "--at", "5", "--id", "b1", "--app", APP)
    here("fork", "b1", "--at", "2", "--id", "b2", "--app", APP)
    erased = here("erase", session, "1", "input")
    assert erased.out.splitlines()[1].endswith("may have it still: b1")
    assert here("erase", "b2", "2", "base", "--json").doc.get("branches") is None
    for id in (session, "b1"):
        assert here("delete", id, "--yes").code == 0
    told = here("branches", "b2").out.splitlines()[1:]
    assert [line.split()[-2:] for line in told[:2]] == [["gone:", "deleted"], ["gone:", "deleted"]]
    assert "b2 *" in told[2]
    assert here("run", APP, "--id", "b2").code == 0
    assert here("branches", session).out.count("gone: deleted") == 2
    assert here("branches", "nobody").code == 3


# --- bad input -------------------------------------------------------------------------------------------------


MISTAKES = [
    (("--at", "99"), 2, "at: 99 is no event of session s1, which has 1 to 12"),
    (("--at", "0"), 2, "--at"),
    (("--edit", "4"), 2, "write SEQ=JSON"),
    (("--edit", "x=1"), 2, "write SEQ=JSON"),
    (("--edit", "1=Hello"), 2, "it is not JSON"),
    (("--edit", "1=1", "--edit", "01=2"), 2, "event 1 is there twice"),
    (("--edit", "0=1"), 2, "at: 0 is no event of session s1"),
    (("--edit", "0=1", "--at", "1"), 2, "edit: there is no event 0"),
    (("--at", "5", "--edit", "9=1"), 2, "edit: there is no event 9 before the branch"),
    (("--edit", '5="x"', "--at", "4"), 2, "edit: there is no event 5"),
    (("--effects", "some"), 2, "--effects"),
    (("--instructions", "empty.txt"), 2, "--instructions: empty.txt is empty"),
    (("--instructions", "none.txt"), 2, "--instructions"),
    (("--instructions", "binary.txt"), 2, "--instructions: binary.txt can't be read as text"),
    (("--model", " "), 2, "model: it is empty"),
    (("--input", "a\udcff"), 2, "not valid UTF-8"),
    (("--id", "a b"), 2, "id: 'a b'"),
    (("--id", "s1"), 4, "session s1 exists"),
    (("--app", "nothing.py"), 2, "there is no file nothing.py"),
    (("--app", "desk.py:strict"), 4, "it runs program 'desk'"),
    (("--app", APP, "--model", "gpt"), 2, "--model: no model is called 'gpt'"),
]


def test_a_mistake_names_the_option_and_makes_nothing(desk: Desk, here: Here, session: str) -> None:
    (desk.path / "empty.txt").write_text(" \n")
    (desk.path / "binary.txt").write_bytes(b"\xff\xfe")
    before = here("list", "--json").doc
    for words, code, error in MISTAKES:
        answer = here("fork", session, *words)
        assert (answer.code, answer.out) == (code, ""), words
        assert error in answer.err, words
        assert "Traceback" not in answer.err, words
    assert here("list", "--json").doc == before


def test_a_session_that_is_not_there_has_no_branches(here: Here, session: str) -> None:
    assert here("fork", "nobody").code == 3
    assert here("fork", "nobody", "--app", APP).code == 3
