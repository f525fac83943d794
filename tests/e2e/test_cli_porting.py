"""Sessions as files, on the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from onward.core import events as ev
from onward.core.portable import read, write
from tests.e2e.command import DONE, LOOKUP, REFUND, Answer, Desk, Here
from tests.unit.test_portable import AT
from tests.unit.test_portable import desk as of_these

APP = "desk.py:desk"
ELSEWHERE = ("--db", "elsewhere.db")


@pytest.fixture
def file(desk: Desk, here: Here) -> Path:
    """The export of a session that waits for an approval."""
    assert here("run", APP, "Where is my grinder?", "--id", "s1").code == 0
    answer = here("export", "s1", "--output", "s1.jsonl")
    assert answer.code == 0, answer.err
    return desk.path / "s1.jsonl"


def ids(answer: Answer) -> list[tuple[str, str]]:
    assert answer.code == 0, answer.err
    return [(doc["id"], doc["status"]) for doc in answer.doc]


def test_a_session_goes_from_one_database_to_another(file: Path, here: Here) -> None:
    told = here("import", str(file), *ELSEWHERE)
    assert (told.code, told.err) == (0, "")
    assert "imported: session s1, " in told.out
    assert "onward show s1 --db elsewhere.db" in told.out
    assert ids(here("list", "--json", *ELSEWHERE)) == [("s1", "imported")]
    assert ids(here("list", "--status", "imported", "--json", *ELSEWHERE)) == [("s1", "imported")]
    head = here("show", "s1", "--json").doc
    assert here("verify", "s1", "--head", head["hash"], *ELSEWHERE).code == 0
    shown = here("show", "s1", *ELSEWHERE)
    assert (shown.code, "imported" in shown.out) == (0, True)
    assert here("events", "s1", "--json").out == here("events", "s1", "--json", *ELSEWHERE).out
    assert here("approvals", "--json", *ELSEWHERE).doc == []
    assert here("list", "--attention", "--json", *ELSEWHERE).doc == []
    assert here("doctor", *ELSEWHERE).code == 0


def test_an_import_is_told_nothing_and_may_be_forked_and_deleted(file: Path, here: Here) -> None:
    assert here("import", str(file), "--id", "incident", *ELSEWHERE).code == 0
    for words in (("send", "incident", "hello"), ("cancel", "incident"), ("approve", "incident")):
        refused = here(*words, *ELSEWHERE)
        assert refused.code == 4, words
        assert "import" in refused.err
    assert here("fork", "incident", "--at", "2", "--id", "f", *ELSEWHERE).code == 0
    assert here("delete", "incident", "--yes", *ELSEWHERE).code == 0
    again = here("import", str(file), "--id", "incident", *ELSEWHERE)
    assert (again.code, "starts only once" in again.err) == (4, True)


def test_the_same_again_is_found_done(file: Path, here: Here) -> None:
    first, second = (here("import", str(file), "--json", *ELSEWHERE).doc for _ in range(2))
    assert (first.pop("new"), second.pop("new")) == (True, False)
    assert first == second
    taken = here("import", str(file))
    assert (taken.code, "it is waiting, and no import: give another id" in taken.err) == (4, True)


def test_a_pipe_has_the_same_as_a_file(file: Path, here: Here) -> None:
    piped = here("export", "s1")
    assert (piped.code, piped.out.split("\n")[1:-2]) == (0, file.read_text().split("\n")[1:-2])


def test_a_file_that_is_there_is_left_alone(file: Path, here: Here) -> None:
    before = file.read_text()
    refused = here("export", "s1", "--output", str(file))
    assert (refused.code, "--force" in refused.err, file.read_text()) == (2, True, before)
    assert here("export", "s1", "--output", str(file), "--force").code == 0
    assert here("export", "nobody", "--output", "none.jsonl").code == 3
    assert [path.name for path in file.parent.glob("*.jsonl*")] == [file.name]
    assert here("export", "s1", "--output", "no/such/place").code == 2
    assert here("export", "s1", "--output", "x" * 5000).code == 2


def test_private_fields_are_left_out_if_asked(file: Path, here: Here) -> None:
    told = here("export", "s1", "--output", "bare.jsonl", "--without-private", "--json").doc
    assert told["left_out"] == ["*"]
    text = (file.parent / "bare.jsonl").read_text()
    assert "grinder" in file.read_text()
    assert "grinder" not in text
    assert len(read(text.split("\n")[:-1]).erased) == told["erased"] > 0
    named = here("export", "s1", "--erase", "session_started.input")
    assert "grinder" not in named.out
    assert read(named.out.split("\n")[:-1]).erased == ((1, "input"),)
    wrong = here("export", "s1", "--erase", "input")
    assert (wrong.code, "erase: 'input' is no private field" in wrong.err) == (2, True)
    assert here("import", "bare.jsonl", *ELSEWHERE).code == 0
    assert here("verify", "s1", *ELSEWHERE).code == 0


def test_what_was_changed_is_refused_and_its_line_named(file: Path, here: Here) -> None:
    lines = file.read_text().split("\n")
    changed = json.loads(lines[2])
    changed["commit"]["events"][0]["actor"]["name"] = "somebody else"
    file.write_text("\n".join([*lines[:2], json.dumps(changed, separators=(",", ":")), *lines[3:]]))
    refused = here("import", str(file), *ELSEWHERE)
    assert (refused.code, "line 3: " in refused.err) == (1, True)
    assert here("list", "--json", *ELSEWHERE).doc == []
    file.write_bytes(b"\xff\xfe no text")
    assert here("import", str(file), *ELSEWHERE).code == 1
    file.write_text("no export\n")
    assert here("import", str(file), *ELSEWHERE).code == 2
    assert here("import", "none.jsonl", *ELSEWHERE).code == 2


EVIL = "\x1b[31mEVIL\u202e"
FAILURE = ev.Failure(code=EVIL, message=EVIL)
BODIES = (
    ev.SessionStarted(tenant="t", session="s", program=EVIL, version=EVIL, input=EVIL),
    ev.ModelAnswered(model=EVIL, answer={"text": EVIL, "calls": [{"name": EVIL, "arguments": {EVIL: EVIL}}]}, calls=1),
    ev.CallsProposed(calls=[ev.Proposal(tool=EVIL, effect="read", digest="d")], arguments=[{EVIL: EVIL}]),
    ev.CallStarted(call="3.0", attempt=1, not_after=AT),
    ev.CallFailed(call="3.0", attempt=1, error=FAILURE),
    ev.LabelsChanged(set={"a": EVIL}),
    ev.SessionFailed(error=FAILURE),
)


def test_what_a_file_says_moves_no_cursor(desk: Desk, here: Here) -> None:
    """Whoever made it may have called a program or a tool anything."""
    (desk.path / "evil.jsonl").write_text("".join(write(replace(of_these(BODIES), values={}))))
    assert here("import", "evil.jsonl", *ELSEWHERE).code == 0
    looks = ("list", "show s", "events s", "effects s --all", "effects", "usage", "branches s", "verify s", "delete s")
    for words in looks:
        answer = here(*words.split(), *ELSEWHERE)
        assert not set("\x1b\u202e") & set(answer.out + answer.err), words
    lines = (desk.path / "evil.jsonl").read_text().split("\n")
    (desk.path / "evil.jsonl").write_text("\n".join([lines[0], lines[2], *lines[3:]]))
    refused = here("import", "evil.jsonl", *ELSEWHERE)
    assert (refused.code, "\x1b" in refused.err) == (1, False)


def test_a_branch_goes_on_elsewhere_with_its_record(desk: Desk, file: Path, here: Here) -> None:
    desk.write(LOOKUP, REFUND, DONE)
    before = desk.books
    assert here("import", str(file), *ELSEWHERE).code == 0
    forked = here("fork", "s1", "--at", "1", "--id", "f", "--app", APP, *ELSEWHERE)
    assert forked.code in (0, 1), forked.err
    kinds = [json.loads(line)["kind"] for line in here("events", "f", "--json", *ELSEWHERE).out.splitlines()]
    assert kinds[:2] == ["session_started", "session_forked"]
    assert desk.books == before
