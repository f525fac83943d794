"""`onward replay`, and exported sessions as tests: the same, or the first event that is decided otherwise."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.e2e.command import DONE, LOOKUP, REFUND, Desk, Here, says

APP = "desk.py:desk"
REPLAY = ("replay", "--app", APP)


@pytest.fixture
def session(desk: Desk, here: Here) -> str:
    """One that looked up an order, refunded it after it was approved, and said so."""
    desk.write(LOOKUP, REFUND, DONE)
    here("run", APP, "Refund A-1", "--id", "s1")
    here("approve", "s1")
    assert here("run", APP, "--id", "s1").code == 0
    return "s1"


def changed(desk: Desk) -> None:
    """More is asked about, from now on."""
    code = (desk.path / "desk.py").read_text()
    (desk.path / "strict.py").write_text(code.replace("args.amount > 50", "args.amount > 500"))


def test_a_session_is_the_same_by_its_id_and_by_its_file(desk: Desk, here: Here, session: str) -> None:
    found = here(*REPLAY, session)
    assert found.code == 0
    assert found.out.startswith("same  s1  ")
    here("export", session, "--output", "s1.jsonl")
    (desk.path / "onward.db").unlink()
    (desk.path / "turns.json").unlink()
    again = here(*REPLAY, "s1.jsonl")
    assert (again.code, again.out) == (0, found.out.replace("s1", "s1.jsonl"))
    assert not (desk.path / "onward.db").exists()


def test_a_changed_program_is_found_at_the_event(desk: Desk, here: Here, session: str) -> None:
    changed(desk)
    found = here("replay", session, "--app", "strict.py")
    assert found.code == 1
    assert found.out.startswith("differs  s1  event 6 (calls_proposed) is decided differently: calls.0.rule was")
    doc = here("replay", session, "--app", "strict.py", "--json").doc
    (one,) = doc["replays"]
    assert (doc["same"], one["verdict"], one["seq"], one["name"]) == (False, "differs", 6, "s1")
    assert one["expected"]["calls"][0]["rule"] == "more than 50"
    assert one["got"]["calls"][0]["rule"] is None


def test_many_files_are_replayed_each_in_its_line(desk: Desk, here: Here, session: str) -> None:
    (desk.path / "sessions").mkdir()
    for name in ("a", "b", "c"):
        here("export", session, "--output", f"sessions/{name}.jsonl")
    text = (desk.path / "sessions/b.jsonl").read_text()
    (desk.path / "sessions/b.jsonl").write_text(text.replace("Refund A-1", "Refund A-2"))
    (desk.path / "sessions/d.jsonl").write_text("no export\n")
    (desk.path / "sessions/e.jsonl").write_bytes(b"\xff\n")
    for words in (("sessions",), ("sessions/*.jsonl",), tuple(f"sessions/{name}.jsonl" for name in "abcde")):
        found = here(*REPLAY, *words)
        lines = found.out.splitlines()
        assert found.code == 1
        assert [line.split()[0] for line in lines[:-1]] == ["same", "unreadable", "same", "unreadable", "unreadable"]
        assert lines[-1] == "2 of 5 are the same"
    assert "unreadable  sessions/d.jsonl  file: it does not begin as an export" in found.out
    assert [row["verdict"] for row in here(*REPLAY, "sessions", "--json").doc["replays"]][1] == "unreadable"


def test_it_is_run_again_where_models_are_to_be_asked(desk: Desk, here: Here, session: str) -> None:
    booked = desk.books()
    found = here(*REPLAY, session, "--effects", "live-model")
    assert (found.code, found.out.splitlines()) == (0, ["same  s1  same"])
    desk.write(LOOKUP, says("Nothing is done."))
    here("export", session, "--output", "s1.jsonl")
    found = here(*REPLAY, "s1.jsonl", "--effects", "live-model")
    assert found.code == 1
    assert found.out.startswith("differs  s1.jsonl  B makes one call fewer: refund(")
    desk.write(LOOKUP)
    stopped = here(*REPLAY, "s1.jsonl", "--effects", "live-model")
    assert stopped.code == 1
    assert "; it stopped: model_refused: the script of" in stopped.out
    assert desk.books() == booked, "no call was made"


def test_a_session_with_an_erased_input_is_unclear_and_keeps_no_other_from_its_run(desk: Desk, here: Here) -> None:
    desk.write(says("Hm."), says("Well."))
    code = (desk.path / "desk.py").read_text()
    (desk.path / "talk.py").write_text(code.replace('Agent("desk"', 'Agent("desk", conversation=True', 1))
    for id in ("s1", "s2"):
        here("run", "talk.py:desk", "Hello", "--id", id)
        here("send", id, "Hello again")
        here("run", "talk.py:desk", "--id", id)
    events = here("events", "s1", "--json").docs
    seq = next(event["seq"] for event in events if event["kind"] == "input_received")
    assert here("erase", "s1", str(seq), "content", "--reason", "asked to").code == 0
    found = here("replay", "s1", "s2", "--app", "talk.py", "--effects", "live-model")
    assert found.code == 1
    assert f"unclear  s1  session recorded can't be run again: its input of event {seq} was erased" in found.out
    assert "same  s2  same" in found.out


def test_a_model_that_is_only_a_name_is_named_before_anything_is_run(desk: Desk, here: Here, session: str) -> None:
    app = desk.path / "far.py"
    app.write_text((desk.path / "desk.py").read_text().replace("scripted:turns.json", "some-model"))
    found = here("replay", session, "--app", "far.py", "--effects", "live-model")
    assert found.code == 2
    assert "no model is called 'some-model'" in found.err


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ((), 2, "ID|FILE"),
        (("nothing.jsonl",), 2, "there is no file nothing.jsonl"),
        (("none/*.jsonl",), 2, "there is no file none/*.jsonl"),
        (("empty",), 2, "there is no file empty/*.jsonl"),
        (("***x",), 2, "there is no file ***x"),
        (("x" * 5000,), 2, "id: 'xxx"),
        (("nobody",), 3, "there is no session nobody"),
        (("s1", "--app", "other.py"), 2, "there is no program 'desk'"),
        (("s1", "--effects", "live"), 2, "live"),
    ],
)
def test_what_is_not_there_is_said_in_a_line(
    desk: Desk, here: Here, session: str, words: tuple[str, ...], code: int, says: str
) -> None:
    (desk.path / "empty").mkdir()
    other = "from onward import Agent, App\napp = App(programs=[Agent('other', model='m')])\n"
    (desk.path / "other.py").write_text(other)
    found = here("replay", *(() if "--app" in words else ("--app", APP)), *words)
    assert found.code == code
    assert says in found.err


def test_a_session_of_another_application_keeps_no_other_from_its_replay(desk: Desk, here: Here, session: str) -> None:
    (desk.path / "other.py").write_text(
        "from onward import Agent, App, ScriptedModel\n"
        "app = App(programs=[Agent('other', model=ScriptedModel([{'text': 'hi'}]))])\n"
    )
    assert here("run", "other.py", "hello", "--id", "o1").code == 0
    found = here("replay", "o1", session, "--app", APP, "--json")
    assert found.code == 1
    assert [each["verdict"] for each in found.doc["replays"]] == ["unclear", "same"]
    assert "there is no program 'other'" in found.doc["replays"][0]["line"]


def test_what_comes_through_a_pipe_is_replayed(desk: Desk, here: Here, session: str) -> None:
    pipe, text = desk.path / "pipe", here("export", session).out
    os.mkfifo(pipe)
    writes = threading.Thread(target=pipe.write_text, args=(text,))
    writes.start()
    found = here("replay", str(pipe), "--app", APP)
    writes.join()
    assert (found.code, found.out.startswith("same")) == (0, True)


# --- as tests ----------------------------------------------------------------------------------------------------


def _pytested(path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--no-header", *words]
    return subprocess.run(command, cwd=path, capture_output=True, text=True)


TEST = 'from onward.testing.replaying import onward_replay\ntest_sessions = onward_replay("{}", app="{}")\n'


def test_each_file_is_a_test_of_its_own(desk: Desk, here: Here, session: str) -> None:
    (desk.path / "tests/sessions").mkdir(parents=True)
    changed(desk)
    for name in ("refund", "refund again"):
        here("export", session, "--output", f"tests/sessions/{name}.jsonl")
    (desk.path / "tests/test_good.py").write_text(TEST.format("tests/sessions/*.jsonl", "desk.py"))
    (desk.path / "tests/test_strict.py").write_text(TEST.format("tests/sessions/refund.jsonl", "strict.py"))
    (desk.path / "tests/test_none.py").write_text(TEST.format("nowhere/*.jsonl", "desk.py"))
    found = _pytested(desk.path, "-v", "tests/test_good.py", "tests/test_strict.py")
    assert found.returncode == 1
    assert "test_good.py::test_sessions[refund again.jsonl] PASSED" in found.stdout
    assert "test_strict.py::test_sessions[refund.jsonl] FAILED" in found.stdout
    assert "\nrefund.jsonl: event 6 (calls_proposed) is decided differently: calls.0.rule was" in found.stdout
    assert "Traceback" not in found.stdout
    assert "onward_replay(" not in found.stdout
    found = _pytested(desk.path / "tests", "test_good.py", "test_none.py")
    assert "there is no file nowhere/*.jsonl here, nor above test_none.py" in found.stdout
    assert _pytested(desk.path / "tests", "test_good.py").returncode == 0, "run from below, files are found too"
