"""Whole stories on the command line: real processes on a real file."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from tests.e2e.command import COMMAND, DONE, LOOKUP, Desk, says

APP = "desk.py:desk"


def test_a_session_runs_to_its_end_and_the_output_comes_last(desk: Desk) -> None:
    desk.write(LOOKUP, DONE)
    ran = desk.run("run", APP, "Where is my money?")
    assert (ran.code, ran.err) == (0, "")
    first, *middle, last = ran.out.splitlines()
    assert first.startswith("session ")
    assert last == "It is on its way."
    told = "\n".join(middle)
    for part in ("Where is my money?", "Let me look.", 'find_order(order_id="A-1")', '"amount": "89.00"', "completed"):
        assert part in told
    assert "\x1b" not in ran.out


def test_an_approval_without_a_terminal_rests_and_tells_what_decides_it(desk: Desk) -> None:
    rested = desk.run("run", APP, "Money back!", "--id", "s1", "--db", "my sessions.db")
    assert rested.code == 0
    assert "more than 50" in rested.out
    assert "can't be undone" in rested.out
    assert "89.0" in rested.out
    approve, reject, again = rested.out.replace("'my sessions.db'", "FILE").split("\n  onward ")[1:]
    assert approve.startswith("approve s1 --db FILE --digest ")
    assert reject.startswith("reject s1 --db FILE --digest ")
    assert again.strip() == "run desk.py:desk --id s1 --db FILE"
    assert desk.books() == []

    digest = approve.split()[5]
    approved = desk.run("approve", "s1", "--db", "my sessions.db", "--digest", digest, "--reason", "She is right.")
    assert approved.code == 0
    assert 'approved by ann: refund(order_id="A-1", amount=89.0) (session s1, event 8)' in approved.out
    assert "onward run APP --id s1 --db 'my sessions.db'" in approved.out

    ended = desk.run("run", APP, "--id", "s1", "--db", "my sessions.db")
    assert ended.code == 0
    assert "refund by ann: She is right." in ended.out
    assert ended.out.endswith("\nIt is on its way.\n")
    assert desk.books() == ["refund A-1 89"]


def test_a_person_at_the_terminal_is_asked_and_a_wrong_key_asks_again(desk: Desk) -> None:
    terminal = desk.at_terminal("run", APP, "Money back!", "--id", "s1")
    shown = terminal.sees("Approve? y = yes, n = no, Enter leaves it open: ")
    for part in ('"A-1"', "89.0", "more than 50", "irreversible: can't be undone", "then denied"):
        assert part in shown
    terminal.types("maybe\n")
    terminal.sees("'maybe' is neither y nor n.")
    terminal.sees("Approve?")
    terminal.types("y\n")
    terminal.sees("Reason (Enter for none): ")
    terminal.types("She is right.\n")
    terminal.sees("refund by ann: She is right.")
    terminal.sees("It is on its way.")
    assert terminal.ends() == 0
    assert "\x1b[" in terminal.seen
    assert desk.books() == ["refund A-1 89"]


@pytest.mark.parametrize("key", ["\n", "\x04"])
def test_enter_or_the_end_of_input_leaves_an_approval_open(desk: Desk, key: str) -> None:
    terminal = desk.at_terminal("run", APP, "Money back!", "--id", "s1", env={"NO_COLOR": "1"})
    terminal.sees("Approve?")
    terminal.types(key)
    terminal.sees("left open")
    terminal.sees("onward approve s1 --digest")
    assert terminal.ends() == 0
    assert "\x1b[" not in terminal.seen
    assert desk.books() == []


def test_an_approval_that_is_decided_elsewhere_is_not_asked_any_more(desk: Desk) -> None:
    terminal = desk.at_terminal("run", APP, "Money back!", "--id", "s1")
    terminal.sees("Approve?")
    assert desk.run("reject", "s1", "--reason", "No.", env={"ONWARD_IDENTITY": "bob"}).code == 0
    terminal.sees("refund by bob: No.")
    terminal.sees("It is on its way.")
    assert terminal.ends() == 0
    assert desk.books() == []


def test_a_decision_that_comes_while_another_call_runs_is_taken_up_by_the_run(desk: Desk) -> None:
    desk.write(says("", refund={"order_id": "A-1", "amount": 89}, hold={}), DONE)
    process = desk.start("run", APP, "Go", "--id", "s1")
    desk.until_booked("hold")
    assert desk.run("approvals").out.count("refund  call 3.0") == 1
    approving = desk.start("approve", "s1")
    desk.until_filed()
    (desk.path / "go").touch()
    assert desk.end(approving).code == 0
    ran = desk.end(process)
    assert ran.code == 0
    assert ran.out.endswith("\nIt is on its way.\n")
    assert desk.books() == ["hold", "refund A-1 89"]


def test_ctrl_c_lets_go_and_the_command_it_prints_goes_on(desk: Desk) -> None:
    desk.write(says("", index={"seconds": 30}), DONE, file="slow.json")
    process = desk.start("run", APP, "Go", "--id", "s1", "--db", "x.db", "--model", "scripted:slow.json")
    desk.until_booked("index")
    left = desk.end(process, signal.SIGINT)
    assert left.code == 130
    assert left.commands[-1] == ["run", "desk.py:desk", "--id", "s1", "--db", "x.db", "--model", "scripted:slow.json"]

    desk.write(says("", index={"seconds": 0}), DONE, file="slow.json")
    assert desk.run("show", "s1", "--db", "x.db", "--json").doc["status"] == "running"
    # The recorded call still wants its 30 seconds; what matters is that it is begun again at once.
    again = desk.start(*left.commands[-1])
    end = len(desk.books()) + 1
    while len(desk.books()) < end:
        assert again.poll() is None
    assert desk.end(again, signal.SIGTERM).code == 143


def test_ctrl_c_does_not_wait_for_a_thread_that_may_be_given_up(desk: Desk) -> None:
    desk.write(says("", stare={"seconds": 60}), DONE)
    process = desk.start("run", APP, "Go", "--id", "s1")
    desk.until_booked("stare")
    assert desk.end(process, signal.SIGINT).code == 130


def test_ctrl_c_waits_for_what_may_not_be_interrupted_and_records_it(desk: Desk) -> None:
    desk.write(says("", pay={"seconds": 1.2}), DONE)
    process = desk.start("run", APP, "Go", "--id", "s1")
    desk.until_booked("pay")
    left = desk.end(process, signal.SIGINT)
    assert left.code == 130
    assert "pay was begun and is not interrupted" in left.out
    assert 'pay: "paid"' in left.out
    assert desk.run(*left.commands[-1]).out.endswith("\nIt is on its way.\n")
    assert desk.books() == ["pay"]


def test_a_second_ctrl_c_leaves_at_once(desk: Desk) -> None:
    desk.write(says("", pay={"seconds": 30}), DONE)
    terminal = desk.at_terminal("run", APP, "Go", "--id", "s1")
    desk.until_booked("pay")
    terminal.interrupt()
    terminal.sees("onward run desk.py:desk --id s1")
    terminal.interrupt()
    assert terminal.ends() == 130
    assert desk.run("show", "s1", "--json").doc["status"] == "running"


def test_after_kill_9_the_same_command_goes_on_where_it_was(desk: Desk) -> None:
    desk.write(LOOKUP, says("", index={"seconds": 1.5}), DONE)
    command = ("run", APP, "Go", "--id", "s1")
    process = desk.start(*command)
    desk.until_booked("index")
    assert desk.end(process, signal.SIGKILL).code == -signal.SIGKILL
    ended = desk.run(*command)
    assert ended.code == 0
    assert ended.out.count("find_order:") == 1
    assert ended.out.endswith("\nIt is on its way.\n")
    assert desk.books() == ["index", "index"]


def test_killed_in_the_middle_of_a_payment_it_is_in_doubt_and_a_person_settles_it(desk: Desk) -> None:
    desk.write(says("", wire={}), DONE)
    process = desk.start("run", APP, "Go", "--id", "s1")
    desk.until_booked("wire")
    desk.end(process, signal.SIGKILL)
    doubted = desk.run("run", APP, "--id", "s1")
    assert doubted.code == 1
    assert "wire was begun, and what came of it is not recorded" in doubted.out
    assert "wire: a person must say what happened" in doubted.out
    attention = desk.run("list", "--attention")
    assert ["resolve", "s1", "--call", "3.0", "--done"] in attention.commands
    resolved = desk.run("resolve", "s1", "--done", "--result", '"wired"', "--reason", "The bank says so.")
    assert resolved.code == 0
    assert "resolved by ann: it happened" in resolved.out
    assert desk.run("run", APP, "--id", "s1").code == 0
    assert desk.books() == ["wire"]


def test_a_short_retry_is_no_rest(desk: Desk) -> None:
    desk.write(says("", flaky={}), DONE)
    ran = desk.run("run", APP, "Go")
    assert ran.code == 0
    assert "attempt 1 failed, the next is due" in ran.out
    assert 'flaky: "there"' in ran.out


def test_a_run_advances_no_session_but_its_own(desk: Desk) -> None:
    assert desk.run("run", APP, "One", "--id", "one").code == 0
    assert desk.run("approve", "one").code == 0
    assert desk.run("run", APP, "Two", "--id", "two").code == 0
    assert desk.books() == []
    assert desk.run("show", "one", "--json").doc["status"] == "running"
    assert desk.run("run", APP, "--id", "one").code == 0
    assert desk.books() == ["refund A-1 89"]


def test_a_reader_who_has_seen_enough_ends_the_command_quietly(desk: Desk) -> None:
    desk.write(*[says("", find_order={"order_id": f"{number:4096}"}) for number in range(40)], DONE)
    assert desk.run("run", APP, "Go", "--id", "s1").code == 0
    process = desk.start("events", "s1", "--json")
    assert process.stdout is not None
    process.stdout.read(10)
    process.stdout.close()
    process.stdout = None
    ended = desk.end(process)
    assert (ended.code, ended.err) == (141, "")


@pytest.mark.parametrize(("more", "says"), [((), "onward: no_space: "), (("--json",), '{"error": {"code": "no_space"')])
def test_what_does_not_fit_on_a_disk_is_said_in_a_line(desk: Desk, more: tuple[str, ...], says: str) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("/dev/full is missing: this takes Linux")
    assert desk.run("run", APP, "Go", "--id", "s1").code == 0
    with Path("/dev/full").open("wb") as full:
        words = [*COMMAND, "list", *more]
        ended = subprocess.run(words, cwd=desk.path, env=desk.env, stdout=full, stderr=subprocess.PIPE, check=False)
    told = ended.stderr.decode()
    assert (ended.returncode, told.startswith(says), told.count("\n")) == (1, True, 1)


def test_any_encoding_will_do(desk: Desk) -> None:
    desk.write({"text": "Für Zoë: 100 €, ☕"})
    plain = {"PYTHONIOENCODING": "ascii"}
    ran = desk.run("run", APP, "Grüße", "--id", "s1", env=plain)
    assert (ran.code, ran.err) == (0, "")
    assert "F\\xfcr Zo\\xeb" in ran.out
    assert desk.run("show", "s1", "--json", env=plain).doc["output"] == "Für Zoë: 100 €, ☕"
    read = desk.run("run", APP, "-", "--json", input="Grüße".encode())
    assert read.docs[1]["body"]["input"] == "Grüße"


def test_a_worker_advances_whatever_is_due_until_it_is_asked_to_stop(desk: Desk) -> None:
    assert desk.run("run", APP, "Go", "--id", "s1").code == 0
    worker = desk.start("worker", "desk.py", "--model", "scripted:turns.json")
    other = desk.start("worker", "desk.py", "--model", "scripted:turns.json", "--json")
    follower = desk.start("events", "s1", "--follow", "--json")
    approved = desk.run("approve", "s1")
    assert approved.code == 0
    told = desk.end(follower).docs
    assert [doc["seq"] for doc in told] == list(range(1, 13))
    assert desk.books() == ["refund A-1 89"]
    stopped = [desk.end(process, signal.SIGTERM) for process in (worker, other)]
    assert [answer.code for answer in stopped] == [0, 0]
    assert ("s1  desk 1  completed" in stopped[0].out) != ("completed" in stopped[1].out)
    assert stopped[1].docs[-1]["worker"] == "stopped"


def test_ctrl_c_ends_a_follower_and_changes_nothing(desk: Desk) -> None:
    assert desk.run("run", APP, "Go", "--id", "s1").code == 0
    terminal = desk.at_terminal("events", "s1", "--follow")
    terminal.sees("approval_requested")
    terminal.interrupt()
    assert terminal.ends() == 130
    assert "Traceback" not in terminal.seen
    assert desk.run("show", "s1", "--json").doc["status"] == "waiting"
