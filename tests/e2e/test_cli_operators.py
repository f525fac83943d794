"""What operators do on the command line, and what they are shown."""

from __future__ import annotations

import sqlite3
import subprocess
from contextlib import closing
from typing import Any

import pytest

from onward.adapters.local.clock import SystemClock
from onward.adapters.local.sqlite import SqliteBackend
from tests.e2e.command import DONE, LOOKUP, REFUND, Answer, Desk, Here, says

APP = "desk.py:desk"


def waiting(here: Here, id: str = "s1") -> str:
    """A session that waits for an approval; the digest of what it asks."""
    assert here("run", APP, "Go", "--id", id).code == 0
    (asked,) = [doc for doc in here("approvals", "--json").doc if doc["session"] == id]
    return str(asked["digest"])


def completed(desk: Desk, here: Here, *ids: str) -> None:
    desk.write(DONE)
    for id in ids:
        assert here("run", APP, "Go", "--id", id).code == 0
    desk.write(LOOKUP, REFUND, DONE)


def ids(answer: Answer) -> list[str]:
    assert answer.code == 0, answer.err
    return [doc["id"] for doc in answer.doc]


# --- lists -----------------------------------------------------------------------------------------------------


def test_list_takes_every_filter(desk: Desk, here: Here) -> None:
    completed(desk, here, "done")
    waiting(here, "asks")
    questions: dict[tuple[str, ...], list[str]] = {
        (): ["asks", "done"],
        ("--program", "desk", "--version", "1", "--tenant", "default"): ["asks", "done"],
        ("--status", "completed", "--status", "waiting"): ["asks", "done"],
        ("--status", "completed"): ["done"],
        ("--program", "strict"): [],
        ("--version", "2"): [],
        ("--tenant", "acme"): [],
        ("--label", "team=blue"): [],
        ("--older", "1h"): [],
        ("--newer", "1h"): ["asks", "done"],
        ("--children-of", "asks"): [],
        ("--limit", "1"): ["asks"],
        ("--attention",): [],
    }
    assert {words: ids(here("list", *words, "--json")) for words in questions} == questions


@pytest.mark.parametrize("wrong", [("--label", "team"), ("--label", "=x"), ("--older", "soon"), ("--limit", "0")])
def test_a_filter_that_is_none_is_said_so(desk: Desk, here: Here, wrong: tuple[str, str]) -> None:
    completed(desk, here, "s1")
    answer = here("list", *wrong)
    assert (answer.code, answer.out) == (2, "")
    assert wrong[0] in answer.err


# --- deciding --------------------------------------------------------------------------------------------------


def test_an_edited_call_is_made_as_it_was_edited(desk: Desk, here: Here) -> None:
    digest = waiting(here)
    told = here("approve", "s1", "--digest", digest[:12], "--edit", '{"amount": 60}', "--reason", "less")
    assert told.code == 0, told.err
    assert 'with {"order_id": "A-1", "amount": 60}' in told.out
    assert here("run", APP, "--id", "s1").code == 0
    assert desk.books() == ["refund A-1 60"]


def test_an_edit_that_does_not_fit_is_refused_by_the_fields_name(desk: Desk, here: Here) -> None:
    waiting(here)
    wrong = here("approve", "s1", "--edit", '{"amount": "much"}')
    assert wrong.code == 2
    assert "amount" in wrong.err
    assert wrong.err.count("\n") == 1
    for words in (("--edit", "[1]"), ("--edit", "{"), ("--all", "--edit", "{}"), ("--edit", "{}", "--editor")):
        assert here("approve", "s1", *words).code == 2
    assert here("show", "s1", "--json").doc["status"] == "waiting"
    assert desk.books() == []


def test_the_editor_gives_the_whole_arguments(desk: Desk) -> None:
    assert desk.run("run", APP, "Go", "--id", "s1").code == 0
    script = desk.path / "editor.sh"
    script.write_text('#!/bin/sh\nsed -i "s/89/70/" "$1"\n')
    script.chmod(0o755)
    untouched = desk.run("approve", "s1", "--editor", env={"EDITOR": "true", "VISUAL": ""})
    assert (untouched.code, "nothing was changed" in untouched.err) == (2, True)
    told = desk.run("approve", "s1", "--editor", env={"EDITOR": str(script), "VISUAL": ""})
    assert told.code == 0, told.err
    assert desk.run("run", APP, "--id", "s1").code == 0
    assert desk.books() == ["refund A-1 70"]


def test_everything_that_is_asked_is_approved_in_one_go(desk: Desk, here: Here) -> None:
    both = {"calls": [{"tool": "refund", "arguments": {"order_id": f"A-{n}", "amount": 80 + n}} for n in (1, 2)]}
    desk.write(both, DONE)
    assert here("run", APP, "Go", "--id", "s1").code == 0
    told = here("approve", "s1", "--all", "--reason", "fine", "--json")
    assert [doc["event"]["body"]["verdict"] for doc in told.doc] == ["approved", "approved"]
    assert here("run", APP, "--id", "s1").code == 0
    assert desk.books() == ["refund A-1 81", "refund A-2 82"]
    again = here("approve", "s1", "--all")
    assert (again.code, "asks ann nothing" in again.err) == (4, True)


def test_a_person_answers_in_the_tools_place(desk: Desk, here: Here) -> None:
    waiting(here)
    assert here("respond", "s1").code == 2
    told = here("respond", "s1", "--result", '"by voucher"', "--reason", "quicker")
    assert "answered by ann" in told.out
    assert here("run", APP, "--id", "s1").code == 0
    assert desk.books() == []
    (entry,) = here("effects", "s1", "--json").doc
    assert (entry["outcome"], entry["receipt"], entry["approvals"][0]["by"]["name"]) == (
        "answered",
        "by voucher",
        "ann",
    )


def test_who_it_was_passed_on_to_decides(desk: Desk, here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.write(says("", transfer={"amount": 7}), DONE)
    assert here("run", APP, "Go", "--id", "s1").code == 0
    told = here("delegate", "s1", "dora", "--reason", "ask her")
    assert told.code == 0, told.err
    assert "delegated to dora by ann" in told.out
    (asked,) = here("approvals", "--json").doc
    assert asked["approvers"] == ["ben", "cleo", "dora"]
    assert "asked: ben, cleo, dora" in here("approvals").out
    assert "asked: ben, cleo, dora" in here("run", APP, "--id", "s1").out
    refused = here("approve", "s1")
    assert (refused.code, "dora may decide" in refused.err) == (4, True)
    for name in ("dora", "ben"):
        monkeypatch.setenv("ONWARD_IDENTITY", name)
        assert here("approve", "s1").code == 0
    assert here("run", APP, "--id", "s1").code == 0
    assert desk.books() == ["transfer 7"]


def test_what_everybody_may_decide_can_be_passed_on_and_stays_open_to_all(desk: Desk, here: Here) -> None:
    waiting(here)
    assert here("delegate", "s1", "ben").code == 0
    (asked,) = here("approvals", "--json").doc
    assert asked["approvers"] == []
    assert "asked: ben" not in here("run", APP, "--id", "s1").out
    assert here("approve", "s1").code == 0
    assert here("run", APP, "--id", "s1").code == 0
    assert desk.books() == ["refund A-1 89"]


def test_two_people_must_agree_and_each_sees_who_has(desk: Desk, here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.write(says("", transfer={"amount": 7}), DONE)
    assert "2 people are asked about transfer" in here("run", APP, "Go", "--id", "s1").out
    assert "0 of 2 approved; asked: ann, ben, cleo" in here("approvals").out
    assert here("approve", "s1").code == 0
    assert desk.run("run", APP, "--id", "s1").code == 0
    assert desk.books() == []
    (asked,) = here("approvals", "--json").doc
    assert (asked["needed"], asked["approved_by"], asked["approvers"]) == (2, ["ann"], ["ann", "ben", "cleo"])
    assert "1 of 2 approved, ann; asked: ann, ben, cleo" in here("show", "s1").out
    again = here("approve", "s1", "--all")
    assert (again.code, "asks ann nothing" in again.err) == (4, True)
    monkeypatch.setenv("ONWARD_IDENTITY", "dora")
    assert "may decide, not dora" in here("approve", "s1").err
    monkeypatch.setenv("ONWARD_IDENTITY", "ben")
    assert here("approve", "s1").code == 0
    assert here("run", APP, "--id", "s1").code == 0
    assert desk.books() == ["transfer 7"]
    assert [by["by"]["name"] for by in here("effects", "--json").doc[0]["approvals"]] == ["ann", "ben"]


def test_at_a_terminal_only_those_are_asked_who_may_decide_and_have_not(desk: Desk) -> None:
    desk.write(says("", transfer={"amount": 7}), DONE)
    terminal = desk.at_terminal("run", APP, "Go", "--id", "s1")
    terminal.sees("Approve?")
    terminal.types("y\n")
    terminal.sees("Reason")
    terminal.types("\n")
    terminal.sees("onward approve s1")
    assert terminal.ends() == 0
    assert terminal.seen.count("Approve?") == 1
    other = desk.at_terminal("run", APP, "--id", "s1", env={"ONWARD_IDENTITY": "ben"})
    assert "1 of 2 approved, ann" in other.sees("Approve?")
    other.types("y\n")
    other.sees("Reason")
    other.types("\n")
    other.sees("It is on its way.")
    assert other.ends() == 0
    assert desk.books() == ["transfer 7"]


# --- sessions --------------------------------------------------------------------------------------------------


def test_a_paused_session_rests_until_it_is_resumed(desk: Desk, here: Here) -> None:
    waiting(here)
    assert "paused by ann" in here("pause", "s1", "--reason", "lunch").out
    shown = here("show", "s1")
    assert ["resume", "s1"] in shown.commands
    assert "somebody to let it go on: lunch" in shown.out
    assert here("show", "s1", "--json").doc["status"] == "paused"
    assert ids(here("list", "--attention", "--json")) == []
    assert here("pause", "s1").code == 4
    assert here("approve", "s1").code == 0
    assert here("run", APP, "--id", "s1").code == 0
    assert desk.books() == []
    assert "resumed by ann" in here("resume", "s1").out
    assert here("run", APP, "--id", "s1").code == 0
    assert desk.books() == ["refund A-1 89"]
    assert here("resume", "s1").code == 4


def test_a_call_can_be_skipped_with_a_value_and_a_session_finished_with_one(desk: Desk, here: Here) -> None:
    waiting(here)
    skipped = here("skip", "s1", "--result", '"done by hand"', "--reason", "urgent")
    assert (skipped.code, "skipped by ann" in skipped.out) == (0, True)
    assert here("run", APP, "--id", "s1").code == 0
    assert here("skip", "s1").code == 4
    waiting(here, "s2")
    finished = here("finish", "s2", "--output", '{"sum": 3}', "--reason", "enough")
    assert (finished.code, "finished by ann" in finished.out) == (0, True)
    assert here("show", "s2", "--json").doc["output"] == {"sum": 3}
    assert here("finish", "s2").code == 4
    assert desk.books() == []


def test_files_go_with_an_input(desk: Desk, here: Here) -> None:
    waiting(here)
    (desk.path / "note.txt").write_text("a note")
    (desk.path / "note.zzz").write_text("?")
    sent = here("send", "s1", "See this.", "--file", "note.txt", "--json")
    assert sent.code == 0, sent.err
    text, file = sent.doc["event"]["body"]["content"]
    assert (text, file["$file"]["name"], file["$file"]["media_type"]) == ("See this.", "note.txt", "text/plain")
    assert here("send", "s1").code == 2
    assert here("send", "s1", "--file", "nothing.txt").code == 2
    unknown = here("send", "s1", "--file", "note.zzz")
    assert (unknown.code, "note.zzz" in unknown.err) == (2, True)


def test_a_session_is_followed_through_those_that_it_starts(desk: Desk, here: Here) -> None:
    desk.write_boss(says("", desk={"input": "Refund A-1."}), says("All done."))
    rested = here("run", "desk.py:boss", "Go", "--id", "boss")
    assert rested.code == 0, rested.err
    (child,) = here("list", "--children-of", "boss", "--json").doc
    assert (child["program"], child["status"], child["parent"]) == ("desk", "waiting", "boss")
    assert ["show", child["id"]] in rested.commands
    assert here("show", "boss", "--json").doc["waits"][0]["session"] == child["id"]
    assert here("approve", child["id"]).code == 0
    over = here("run", "desk.py:boss", "--id", "boss")
    assert (over.code, over.out.splitlines()[-1]) == (0, "All done.")
    assert desk.books() == ["refund A-1 89"]
    assert {entry["tool"]: entry["outcome"] for entry in here("effects", "--json").doc} == {
        "refund": "done",
        "desk": "done",
    }


def test_a_session_that_was_cancelled_without_a_look_into_it_waits_for_nothing(desk: Desk, here: Here) -> None:
    desk.write_boss(says("", desk={"input": "Refund A-1."}), says("All done."))
    assert here("run", "desk.py:boss", "Go", "--id", "boss").code == 0
    with closing(sqlite3.connect(desk.path / "onward.db")) as file, file:
        file.execute("UPDATE sessions SET epoch = epoch + 9, boot = '' WHERE program = 'boss'")  # nine died of it
    told = here("cancel", "boss", "--reason", "enough", "--json")
    assert (told.code, told.doc["decided"], told.doc["event"]["kind"]) == (0, True, "session_cancelled")
    shown = here("show", "boss", "--json").doc
    assert (shown["status"], shown["waits"], shown["next"]) == ("cancelled", [], [])
    assert "Waits for" not in here("show", "boss").out
    assert here("run", "desk.py:boss", "--id", "boss").code == 1
    (child,) = here("list", "--children-of", "boss", "--json").doc
    assert here("run", APP, "--id", child["id"]).code == 1
    (child,) = here("list", "--children-of", "boss", "--json").doc
    assert (child["status"], child["waits"]) == ("cancelled", [])
    assert here("approvals", "--json").doc == here("list", "--attention", "--json").doc == []
    assert {entry["outcome"] for entry in here("effects", "--json").doc} == {"left", "not_performed"}


# --- what was -----------------------------------------------------------------------------------------------------


def test_a_session_is_shown_as_it_was(desk: Desk, here: Here) -> None:
    waiting(here)
    doc = here("show", "s1", "--at", "2", "--json").doc
    assert (doc["at"], doc["status"], doc["calls"], doc["event"]["kind"]) == (2, "going on", [], "model_answered")
    assert doc["spent"]["turns"] == 1
    text = here("show", "s1", "--at", "3").out
    assert "3  " in text
    assert "approval_requested" not in text
    beyond = here("show", "s1", "--at", "99")
    assert (beyond.code, "which has 1 to" in beyond.err) == (2, True)


def test_a_call_in_doubt_is_shown_with_all_that_helps(desk: Desk, here: Here) -> None:
    desk.write(says("", explode={}), DONE)
    assert here("run", APP, "Go", "--id", "s1").code == 1
    text = here("show", "s1").out
    for part in ("Call 3.0 is in doubt", "explode()", "irreversible", "s1/3.0", "attempt 1", "boom", "tool says"):
        assert part in text, part
    for said in ("--done", "--not-done", "--failed"):
        assert ["resolve", "s1", "--call", "3.0", said] in here("show", "s1").commands
    (entry,) = here("show", "s1", "--json").doc["evidence"]
    assert (entry["key"], entry["outcome"], len(entry["attempts"])) == ("s1/3.0", "in_doubt", 1)
    assert here("resolve", "s1", "--done", "--result", '"exploded"', "--reason", "I looked").code == 0
    (entry,) = here("effects", "s1", "--json").doc
    assert (entry["outcome"], entry["doubted"], entry["resolved_by"]["name"], entry["reason"]) == (
        "done",
        True,
        "ann",
        "I looked",
    )
    assert "done, was in doubt" in here("effects").out


def test_a_call_in_doubt_that_is_skipped_is_not_listed_as_done(desk: Desk, here: Here) -> None:
    desk.write(says("", explode={}), DONE)
    assert here("run", APP, "Go", "--id", "s1").code == 1
    assert here("skip", "s1", "--result", '"go on"', "--reason", "nobody knows").code == 0
    assert here("run", APP, "--id", "s1").code == 0
    (entry,) = here("effects", "--json").doc
    assert (entry["outcome"], entry["doubted"], entry["reason"]) == ("answered", True, "nobody knows")
    assert (entry["resolved_by"]["name"], [by["outcome"] for by in entry["attempts"]]) == ("ann", ["in_doubt"])
    assert "answered, was in doubt" in here("effects").out
    assert "skipped: ann gave its result" in here("events", "s1").out


def test_effects_are_listed_by_session_tool_program_and_time(desk: Desk, here: Here) -> None:
    waiting(here)
    assert here("approve", "s1", "--reason", "fine").code == 0
    assert here("run", APP, "--id", "s1").code == 0
    (entry,) = here("effects", "--json").doc
    assert (entry["tool"], entry["effect"], entry["key"], entry["receipt"]) == (
        "refund",
        "irreversible",
        "s1/6.0",
        "refunded 89",
    )
    assert [by["reason"] for by in entry["approvals"]] == ["fine"]
    tools = {words: [doc["tool"] for doc in here("effects", *words, "--json").doc] for words in CHOICES}
    assert tools == CHOICES
    text = here("effects").out
    for part in ("s1", "6.0", "refund(", "done", "ann", "refunded 89"):
        assert part in text
    assert here("effects", "nobody").code == 3


CHOICES: dict[tuple[str, ...], list[str]] = {
    ("s1",): ["refund"],
    ("s1", "--all"): ["find_order", "refund"],
    ("--tool", "refund", "--program", "desk", "--since", "7d"): ["refund"],
    ("--tool", "find_order"): [],
    ("--program", "strict"): [],
}


def test_usage_adds_up(desk: Desk, here: Here) -> None:
    assert "No sessions" in _empty(desk, here)
    completed(desk, here, "s1", "s2")
    (row,) = here("usage", "--json").doc
    assert (row["program"], row["sessions"], row["turns"]) == ("desk", 2, 2)
    assert {doc["session"] for doc in here("usage", "--by", "session", "--json").doc} == {"s1", "s2"}
    assert [doc["tenant"] for doc in here("usage", "--by", "tenant", "--since", "1d", "--json").doc] == ["default"]
    assert "(all)" in here("usage", "--by", "session").out


def _empty(desk: Desk, here: Here) -> str:
    """What is said of a database with no session."""
    SqliteBackend.open(desk.path / "empty.db", SystemClock()).database.close()
    return here("usage", "--db", "empty.db").out


# --- switches ------------------------------------------------------------------------------------------------------


def test_what_is_switched_off_rests_and_goes_on(desk: Desk, here: Here) -> None:
    waiting(here)
    off = here("off", "program:desk", "--reason", "it burns")
    assert (off.code, "program:desk is off" in off.out) == (0, True)
    assert ["on", "program:desk"] in off.commands or "onward on program:desk" in off.out
    assert "by operator ann" in here("off", "program:desk").out
    assert here("approve", "s1").code == 0
    assert here("run", APP, "--id", "s1").code == 0
    assert (here("show", "s1", "--json").doc["switch"], desk.books()) == ("program:desk", [])
    assert "program:desk is off, by operator ann" in here("list").out
    assert ["on", "program:desk"] in here("show", "s1").commands
    switched = here("off", "--json").doc
    assert [switch["scope"] for switch in switched["off"]] == ["program:desk"]
    assert here("on", "program:desk").code == 0
    assert "was not off" in here("on", "program:desk").out
    assert "Nothing is switched off" in here("off").out
    assert here("run", APP, "--id", "s1").code == 0
    assert desk.books() == ["refund A-1 89"]


def test_a_scope_that_is_none_changes_nothing(desk: Desk, here: Here) -> None:
    waiting(here)
    wrong = here("off", "desk")
    assert (wrong.code, "scope" in wrong.err) == (2, True)
    assert here("off", "--json").doc == {"off": [], "turns": []}


# --- after a restore -----------------------------------------------------------------------------------------------


def test_a_restored_database_asks_for_a_look_and_retry_is_one(desk: Desk, here: Here) -> None:
    waiting(here)
    assert "none from a backup" in here("doctor").out
    told = here("restored", "--reason", "the disk broke")
    assert (told.code, "in incarnation 2" in told.out, "Restored before" in told.out) == (0, True, False)
    assert "onward list --attention" in told.out
    assert here("approve", "s1").code == 0
    assert here("run", APP, "--id", "s1").code == 1
    assert (ids(here("list", "--attention", "--json")), desk.books()) == (["s1"], [])
    shown = here("show", "s1")
    assert all(part in shown.out for part in ("restored from a backup", "ann, 20", "the disk broke"))
    assert ["retry", "s1"] in shown.commands
    assert ["skip", "s1", "--call", "6.0", "--result", "RESULT"] in shown.commands
    assert "incarnation 2, by operator ann" in here("doctor").out
    assert here("retry", "s1", "--reason", "the bank knows nothing of it").code == 0
    assert here("run", APP, "--id", "s1").code == 0
    assert desk.books() == ["refund A-1 89"]


def test_a_restore_said_twice_is_said_to_be_one_more(desk: Desk, here: Here) -> None:
    waiting(here)
    assert here("restored").code == 0
    again = here("restored", "--json").doc
    assert (again["incarnation"], [each["incarnation"] for each in again["before"]]) == (3, [2])
    assert "Restored before: incarnation 3, by operator ann" in here("restored").out


# --- the end of a session ------------------------------------------------------------------------------------------


def test_a_deleted_session_leaves_a_tombstone_and_no_byte_of_what_it_said(desk: Desk, here: Here) -> None:
    desk.write({"text": "the answer is hush-hush"})
    assert here("run", APP, "tell nobody: " + "hush-hush " * 8000, "--id", "s1").code == 0
    head = here("show", "s1", "--json").doc["hash"]
    gone = here("delete", "s1", "--yes", "--reason", "asked for it", "--json")
    assert (gone.code, gone.doc["status"], gone.doc["hash"]) == (0, "deleted", head)
    for file in desk.path.glob("onward.db*"):
        assert b"hush-hush" not in file.read_bytes(), file
    assert ids(here("list", "--json")) == []
    assert ids(here("list", "--status", "deleted", "--json")) == ["s1"]
    shown = here("show", "s1")
    assert (shown.code, "deleted by ann: asked for it" in shown.out, head in shown.out) == (0, True, True)
    assert here("events", "s1").code == here("verify", "s1").code == here("effects", "s1").code == 3
    again = here("run", APP, "Go", "--id", "s1")
    assert (again.code, "deleted" in again.err) == (4, True)
    assert here("delete", "s1", "--yes").code == 0
    assert here("usage", "--json").doc[0]["turns"] == 1


def test_what_has_not_ended_is_not_deleted(desk: Desk, here: Here) -> None:
    waiting(here)
    refused = here("delete", "s1", "--yes")
    assert (refused.code, "cancel it first" in refused.err) == (4, True)
    assert here("delete", "nobody", "--yes").code == 3
    assert here("show", "s1", "--json").doc["status"] == "waiting"


def test_nobody_is_deleted_without_a_yes(desk: Desk, here: Here) -> None:
    completed(desk, here, "s1")
    unasked = here("delete", "s1")
    assert (unasked.code, "say --yes" in unasked.err) == (2, True)
    terminal = desk.at_terminal("delete", "s1")
    assert "events, inbox" in terminal.sees("Go on?")
    terminal.types("n\n")
    assert terminal.ends() != 0
    assert here("show", "s1", "--json").doc["status"] == "completed"
    terminal = desk.at_terminal("delete", "s1")
    terminal.sees("Go on?")
    terminal.types("y\n")
    terminal.sees("deleted by ann")
    assert terminal.ends() == 0


def test_a_field_is_erased_and_the_log_verifies(desk: Desk, here: Here) -> None:
    completed(desk, here, "s1")
    assert here("erase", "s1", "1", "input", "--reason", "asked for it").code == 0
    assert here("verify", "s1").code == 0
    assert here("events", "s1", "--json").docs[0]["erased"] == ["input"]
    for words in (("1", "nothing"), ("99", "input")):
        missing = here("erase", "s1", *words)
        assert (missing.code, missing.err.count("\n")) == (3, 1)


# --- doctor --------------------------------------------------------------------------------------------------------


def checks(answer: Answer) -> dict[str, Any]:
    return {check["name"]: check for check in answer.doc["checks"]}


def test_where_all_is_well_the_doctor_says_so(desk: Desk, here: Here) -> None:
    completed(desk, here, "s1")
    answer = here("doctor", "desk.py", "--json")
    assert (answer.code, answer.doc["ok"]) == (0, True)
    assert set(checks(answer)) == NAMES
    text = here("doctor")
    assert text.code == 0
    assert text.out.count("ok  ") == len(NAMES)


NAMES = {
    "schema",
    "journal",
    "sync",
    "size",
    "processes",
    "leases",
    "wakes",
    "timers",
    "signals",
    "clock",
    "parked",
    "in doubt",
    "versions",
    "switches",
    "restores",
}


def test_the_doctor_names_what_is_wrong_and_what_to_do(desk: Desk, here: Here) -> None:
    waiting(here, "asks")
    desk.write(says("", explode={}), DONE)
    here("run", APP, "Go", "--id", "doubt")
    here("off", "tenant:default")
    with closing(sqlite3.connect(desk.path / "onward.db", isolation_level=None)) as db:
        db.execute("UPDATE sessions SET held = 1, owner = 'gone', boot = 'another'")
        db.execute("INSERT INTO timers SELECT 1, key FROM sessions LIMIT 1")
        db.execute("INSERT OR REPLACE INTO wakes SELECT key, 1, 0, 0, 1, NULL FROM sessions LIMIT 1")
        filed = (
            "INSERT INTO inbox (key, id, filed_ms, pending, digest, doc) SELECT key, 'x', 1, 1, '', '' FROM sessions"
        )
        db.execute(filed)
        db.execute("UPDATE sessions SET updated_ms = updated_ms + 3600000")
    app = desk.path / "desk.py"
    app.write_text(app.read_text().replace('"desk", model', '"desk", version="2", model'))
    answer = here("doctor", "desk.py", "--json")
    wrong = {name for name, check in checks(answer).items() if not check["ok"]}
    expected = {"leases", "wakes", "timers", "signals", "clock", "in doubt", "versions", "switches"}
    assert (answer.code, wrong) == (1, expected)
    assert all(check.get("next") for name, check in checks(answer).items() if name in wrong)
    assert "desk 1" in checks(answer)["versions"]["text"]
    text = here("doctor", "desk.py").out
    for part in ("onward worker desk.py", "onward list --attention", "onward on tenant:default", "doubt"):
        assert part in text


def test_the_doctor_sees_a_parked_session(desk: Desk, here: Here) -> None:
    desk.write()
    assert here("run", APP, "Go", "--id", "s1").code == 1
    answer = here("doctor", "--json")
    assert (answer.code, checks(answer)["parked"]["sessions_named"]) == (1, ["s1"])


# --- completion ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_can_be_taught_the_commands(here: Here, shell: str) -> None:
    script = here("completion", shell)
    assert script.code == 0
    assert "_ONWARD_COMPLETE" in script.out


def test_bash_takes_the_completion(desk: Desk) -> None:
    script = desk.run("completion", "bash").out
    checked = subprocess.run(["bash", "-n"], input=script.encode(), capture_output=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, b"")
