"""What commands answer: exit codes, JSON, one-line errors. `desk.run` starts a process, `here` is in this one."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest

from tests.e2e.command import DONE, LOOKUP, ROOT, Desk, Here, says

APP = "desk.py:desk"


def files(desk: Desk) -> set[str]:
    return {file.name for file in desk.path.iterdir() if file.suffix not in (".pyc",) and file.name != "__pycache__"}


# --- exit codes ------------------------------------------------------------------------------------------------


def test_each_exit_code_comes_from_the_process(desk: Desk) -> None:
    desk.write(DONE)
    assert desk.run("run", APP, "Go", "--id", "s1").code == 0
    desk.write()
    parked = desk.run("run", APP, "Go", "--id", "s2")
    assert parked.code == 1
    assert "onward retry s2" in parked.out
    assert "Traceback" not in parked.err
    usage = desk.run("run", APP)
    assert (usage.code, usage.out) == (2, "")
    assert usage.err.count("\n") == 1
    assert "INPUT is missing" in usage.err
    assert desk.run("show", "nobody").code == 3
    refused = desk.run("run", APP, "Something else", "--id", "s1")
    assert refused.code == 4
    assert "it was started with another input" in refused.err
    assert refused.err.count("\n") == 1


def test_a_session_that_was_cancelled_is_a_1(here: Here) -> None:
    assert here("run", APP, "Go", "--id", "s1").code == 0
    cancelled = here("cancel", "s1", "--reason", "Never mind.")
    assert cancelled.code == 0
    assert "The session is cancelled." in cancelled.out
    again = here("run", APP, "--id", "s1")
    assert again.code == 1
    assert "cancelled  Never mind." in again.out
    assert here("cancel", "s1").code == 4
    assert here("approve", "s1").code == 4


# --- bad input -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("run", "nothing.py", "Go"), "there is no file nothing.py"),
        (("run", "desk.py", "Go"), "which program? This application has desk, strict, far"),
        (("run", "desk.py:nobody", "Go"), "no application or program named 'nobody'"),
        (("run", APP), "INPUT is missing"),
        (("run", APP, "Go", "--id", "a b"), "id: 'a b'"),
        (("run", APP, "Go", "--model", "scripted:none.json"), "the script can't be read"),
        (("run", APP, "Go", "--model", "gpt"), "--model: no model is called 'gpt'"),
        (("run", "desk.py:far", "Go"), "run it with --model scripted:FILE, or give the agent a Model object as model="),
        (("run", APP, "a\udcff"), "it is not valid UTF-8"),
        (("worker", "desk.py"), "agent far: no model is called"),
        (("worker", APP), "a worker runs the whole application"),
        (("events", "s1", "--after", "-1"), "--after"),
        (("list", "--status", "fine"), "--status"),
        (("resolve", "s1"), "say one of --done, --not-done, --failed"),
        (("resolve", "s1", "--done", "--failed"), "say one of"),
        (("resolve", "s1", "--failed", "--result", "1"), "--result goes with --done"),
        (("resolve", "s1", "--done", "--result", "{"), "it is not JSON"),
        (("retry", "s1", "--time", "soon"), "'soon' is no span of time"),
        (("retry", "s1", "--turns", "0"), "--turns"),
        (("bogus",), "No such command 'bogus'"),
        (("list", "--db", "desk.py"), "is not a database"),
        (("list", "--db", "."), "is a directory"),
    ],
)
def test_a_mistake_is_one_clear_error_and_changes_nothing(
    desk: Desk, here: Here, words: tuple[str, ...], says: str
) -> None:
    before = files(desk)
    answer = here(*words)
    assert (answer.code, answer.out) == (2, "")
    assert says in answer.err
    assert "Traceback" not in answer.err
    assert files(desk) == before
    told = json.loads(here(*words, "--json").err)["error"]
    assert told["exit"] == 2
    assert says in told["message"]


def test_standard_input_that_is_no_text_is_refused(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"Gr\xfc")))
    answer = here("run", APP, "-")
    assert answer.code == 2
    assert "not valid UTF-8" in answer.err


@pytest.mark.parametrize("command", [("list",), ("approvals",), ("list", "--attention")])
def test_looking_makes_no_database(desk: Desk, here: Here, command: tuple[str, ...]) -> None:
    answer = here(*command)
    assert answer.code == 3
    assert "there is no database" in answer.err
    assert not (desk.path / "onward.db").exists()


def test_a_session_that_is_there_is_not_another_programs(here: Here) -> None:
    here("run", APP, "Go", "--id", "s1")
    other = here("run", "desk.py:strict", "--id", "s1")
    assert other.code == 4
    assert "it runs program 'desk', not 'strict'" in other.err


# --- decisions -------------------------------------------------------------------------------------------------


def test_of_several_open_approvals_the_call_must_be_named(desk: Desk, here: Here) -> None:
    two = says("", refund={"order_id": "A-1", "amount": 89})
    two["calls"].append({"tool": "refund", "arguments": {"order_id": "A-2", "amount": 60}})
    desk.write(two, DONE)
    here("run", APP, "Go", "--id", "s1")
    unclear = here("approve", "s1")
    assert unclear.code == 2
    assert "--call 3.0 for refund(" in unclear.err
    assert "--call 3.1 for refund(" in unclear.err
    approve, reject = [command for command in here("approvals").commands if "3.1" in command]
    assert approve[:4] == ["approve", "s1", "--call", "3.1"]
    assert reject[0] == "reject"
    assert here(*approve).code == 0
    assert here("reject", "s1").code == 0
    assert here("approvals").out == "No approval is open.\n"
    assert here("run", APP, "--id", "s1").code == 0
    assert desk.books() == ["refund A-2 60"]


def test_a_digest_of_another_call_is_refused_with_what_stands(here: Here) -> None:
    here("run", APP, "Go", "--id", "s1")
    wrong = here("approve", "s1", "--digest", "0123456789ab", "--json")
    told = json.loads(wrong.err)["error"]
    assert wrong.code == 4
    assert told["code"] == "wrong_digest"
    assert "refund(" in told["stands"]


def test_a_second_decision_is_refused_with_what_stands(here: Here) -> None:
    here("run", APP, "Go", "--id", "s1")
    first = here("approve", "s1", "--json")
    assert first.code == 0
    assert first.doc["decided"]
    assert first.doc["event"]["actor"] == {"kind": "person", "name": "ann"}
    second = here("reject", "s1")
    assert second.code == 4
    assert "approved by ann (event 8)" in second.err


def test_a_limit_that_was_reached_is_raised_by_the_command_that_is_shown(here: Here) -> None:
    parked = here("run", "desk.py:strict", "Go", "--id", "s1")
    assert parked.code == 1
    assert "limit on turns reached" in parked.out
    retry = next(command for command in here("list", "--attention").commands if command[0] == "retry")
    assert retry == ["retry", "s1", "--turns", "2"]
    assert here(*retry).code == 0
    assert "Waits for a person to decide" in here("run", "desk.py:strict", "--id", "s1").out
    assert here(*retry).code == 4


def test_a_call_that_goes_on_outside_is_completed_by_hand(desk: Desk, here: Here) -> None:
    desk.write(says("", outside={}), DONE)
    rested = here("run", APP, "Go", "--id", "s1")
    assert rested.code == 0
    assert "which goes on outside, until" in rested.out
    assert here("resolve", "s1", "--done", "--result", '{"paid": true}').code == 0
    assert '{"paid": true}' in here("run", APP, "--id", "s1").out


def test_what_failed_without_saying_whether_it_happened_waits_for_a_person(desk: Desk, here: Here) -> None:
    desk.write(says("", explode={}), DONE)
    doubted = here("run", APP, "Go", "--id", "s1")
    assert doubted.code == 1
    assert "which may have happened: ValueError: boom" in doubted.out
    assert here("resolve", "s1", "--failed", "--reason", "It did not.").code == 0
    assert here("resolve", "s1", "--failed", "--call", "9.9").code == 4
    assert here("run", APP, "--id", "s1").code == 0


def test_an_input_is_given_to_a_session(here: Here) -> None:
    here("run", APP, "Go", "--id", "s1")
    sent = here("send", "s1", "One more thing.")
    assert sent.code == 0
    assert "input by ann" in sent.out
    assert "One more thing." in here("events", "s1").out


# --- looking ---------------------------------------------------------------------------------------------------


def test_every_answer_has_a_form_for_programs(here: Here) -> None:
    ran = here("run", APP, "Go", "--id", "s1", "--json")
    assert ran.code == 0
    opened, *told, rested = ran.docs
    assert opened["new"]
    assert opened["id"] == "s1"
    assert [doc["seq"] for doc in told] == list(range(1, 8))
    assert rested["status"] == "waiting"
    assert rested["again"] == "onward run desk.py:desk --id s1"
    assert rested["next"][0].startswith("onward approve s1 --digest ")
    assert [head["id"] for head in here("list", "--json").doc] == ["s1"]
    assert here("list", "--attention", "--json").doc == []
    shown = here("show", "s1", "--json").doc
    assert (shown["input"], shown["output"], shown["waits"][0]["kind"]) == ("Go", None, "approval")
    (asked,) = here("approvals", "--json").doc
    assert asked["arguments"] == {"amount": 89.0, "order_id": "A-1"}
    assert asked["next"] == rested["next"]
    assert here("events", "s1", "--after", "2", "--json").docs == told[2:]
    verified = here("verify", "s1", "--json").doc
    assert verified == {"session": "s1", "verified": True, "seq": 7, "hash": shown["hash"]}


def test_a_log_is_verified_against_a_hash_kept_elsewhere(here: Here) -> None:
    here("run", APP, "Go", "--id", "s1")
    kept = here("show", "s1", "--json").doc["hash"]
    assert here("verify", "s1", "--head", kept).out.startswith("whole: 7 events")
    wrong = here("verify", "s1", "--head", "f" * 64)
    assert wrong.code == 1
    assert "corrupt_log" in wrong.err


def test_lists_are_aligned_and_say_what_is_waited_for(desk: Desk, here: Here) -> None:
    here("run", APP, "Go", "--id", "a-long-name-for-a-session")
    desk.write(DONE)
    here("run", APP, "Go", "--id", "b")
    header, first, second = here("list").out.splitlines()
    assert first.startswith("b ")
    assert "completed" in first
    assert second.startswith("a-long-name-for-a-session  ")
    assert "waiting: approval" in second
    assert first.index("desk 1") == second.index("desk 1") == header.index("PROGRAM")
    assert here("list", "--status", "waiting").out.count("desk 1") == 1
    assert "older ones" in here("list", "--limit", "1").out


def test_huge_texts_are_cut_for_people_and_whole_for_programs(desk: Desk, here: Here) -> None:
    long = "wörter " * 20_000
    desk.write({"text": long, "calls": [{"tool": "find_order", "arguments": {"order_id": long}}]}, DONE)
    ran = here("run", APP, long, "--id", "s1")
    assert ran.code == 0
    assert len(ran.out) < 8000
    whole = {doc["kind"]: doc["body"] for doc in here("events", "s1", "--json").docs}
    assert whole["session_started"]["input"] == long
    assert whole["model_answered"]["answer"]["text"] in (long, "It is on its way.")
    assert whole["calls_proposed"]["arguments"] == [{"order_id": long}]


def test_what_a_terminal_would_obey_is_shown_and_not_sent(desk: Desk, here: Here) -> None:
    nasty = "A\x1b[2J\u202e\r\x07B"
    desk.write(says(nasty, refund={"order_id": nasty, "amount": 89}), DONE)
    out = here("run", APP, nasty, "--id", "s1").out
    out += here("show", "s1").out + here("events", "s1").out + here("approvals").out
    assert not any(char in out for char in "\x1b\u202e\r\x07")
    assert "\\x1b[2J\\u202e" in out


def test_what_tools_print_does_not_spoil_the_form_for_programs(desk: Desk, here: Here) -> None:
    desk.write(LOOKUP, DONE)
    app = desk.path / "desk.py"
    app.write_text("print('loading')\n" + app.read_text().replace('return {"id"', 'print("looking")\n    return {"id"'))
    ran = here("run", APP, "Go", "--json")
    assert ran.docs[-1]["output"] == "It is on its way."
    assert "loading" in ran.err
    assert "looking" in ran.err


def test_the_environment_names_database_and_application(
    desk: Desk, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONWARD_DB", "other.db")
    assert here("run", APP, "Go", "--id", "s1").out.rstrip().endswith("onward run desk.py:desk --id s1 --db other.db")
    monkeypatch.setenv("ONWARD_APP", "desk.py")
    assert "onward worker desk.py --db other.db" in here("approve", "s1").out
    assert here("run", "--id", "s1").code == 0


def test_a_version_that_is_not_there_parks_the_session_and_it_goes_on_when_it_is_back(desk: Desk, here: Here) -> None:
    here("run", APP, "Go", "--id", "s1")
    here("approve", "s1")
    app = desk.path / "desk.py"
    old = app.read_text()
    app.write_text(old.replace('"desk", model', '"desk", version="2", model'))
    parked = here("run", APP, "--id", "s1")
    assert parked.code == 1
    assert "version '1' of program 'desk' is not deployed here" in parked.out
    app.write_text(old)
    assert here("run", APP, "--id", "s1").code == 0


def test_help_names_every_command_and_loads_little(here: Here) -> None:
    text = here("--help").out
    commands = ["run", "worker", "dev", "list", "show", "events", "verify", "approvals"]
    commands += ["approve", "reject", "respond", "delegate", "resolve", "skip"]
    commands += ["send", "pause", "resume", "retry", "finish", "cancel", "fork", "branches", "compare"]
    commands += ["export", "import", "effects", "usage", "cost", "eval", "replay", "versions", "doctor"]
    commands += ["off", "on", "restored", "delete", "erase", "completion"]
    assert [line.split()[0] for line in text.partition("Commands:")[2].splitlines() if line.strip()] == commands
    for command in commands:
        assert here(command, "--help").code == 0


def test_help_loads_little() -> None:
    code = (
        "import sys; from onward.surfaces.cli import _answer; _answer(['--help'], False);"
        "sys.exit(bool({'pydantic', 'sqlite3', 'asyncio'} & set(sys.modules)))"
    )
    env = {"PYTHONPATH": str(ROOT / "shared")}
    assert subprocess.run([sys.executable, "-c", code], env=env, check=False, stdout=subprocess.DEVNULL).returncode == 0
