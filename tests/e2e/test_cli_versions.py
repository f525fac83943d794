"""What still runs on which version: how many, how they are, the oldest, and what can be taken away (G12)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.command import Desk, Here

VERSIONS = """
from onward import App
from tests.waiting import Amount, waiting

app = App(programs=[VERSIONS])
"""


def write(desk: Desk, *versions: str) -> None:
    """An application with these versions of one workflow."""
    programs = ", ".join(f'waiting(("paid", Amount), version="{version}")' for version in versions)
    other = "#" * int(versions[0])  # Python takes a file of the same length and second for the same
    (desk.path / "w.py").write_text(VERSIONS.replace("VERSIONS", programs) + other)


@pytest.fixture
def running(desk: Desk, here: Here) -> Here:
    """Two sessions of version 1 that wait, one of version 2 that is paused, one that has ended."""
    for version, ids in (("1", ("s1", "s2")), ("2", ("s3", "s4"))):
        write(desk, version)
        for id in ids:
            assert here("run", "w.py", "x", "--id", id).code == 0
    here("pause", "s3")
    here("cancel", "s4")
    return here


def test_g12_each_version_is_counted_by_status_with_its_oldest_session(running: Here) -> None:
    first, second = running("versions", "--json").doc
    statuses = ("scheduled", "running", "waiting", "needs_attention", "paused")
    assert [first[name] for name in ("program", "version", "sessions", *statuses)] == ["waiting", "1", 2, 0, 0, 2, 0, 0]
    assert [second[name] for name in ("version", "sessions", *statuses)] == ["2", 1, 0, 0, 0, 0, 1]
    assert (first["oldest"]["id"], first["stranded"], "registered" in first) == ("s1", [], False)
    header, *rows = running("versions").out.splitlines()
    assert header.split()[:4] == ["PROGRAM", "VERSION", "SESSIONS", "SCHEDULED"]
    assert [row.split()[:3] for row in rows] == [["waiting", "1", "2"], ["waiting", "2", "1"]]
    assert "s1, " in rows[0]


def test_g12_an_application_is_compared_and_what_nobody_needs_is_named(running: Here, desk: Desk) -> None:
    write(desk, "0", "2", "3")
    answer = running("versions", "w.py")
    assert answer.code == 0
    ends = [row.split()[1:3] + row.split()[-1:] for row in answer.out.splitlines()[1:5]]
    assert ends == [["1", "2", "missing"], ["0", "0", "needed"], ["2", "1", "registered"], ["3", "0", "newest"]]
    assert "waiting 1 is not in w.py: put it back until its sessions have ended." in answer.out
    docs = running("versions", "w.py", "--json").doc
    told = [(doc["version"], doc["sessions"], doc["registered"], doc["newest"]) for doc in docs]
    assert told == [("1", 2, False, False), ("0", 0, True, False), ("2", 1, True, False), ("3", 0, True, True)]


def test_g12_sessions_that_stopped_for_want_of_their_version_are_pointed_out_with_what_moves_them(
    running: Here, desk: Desk
) -> None:
    write(desk, "2")
    running("send", "s1", "--name", "paid", "--value", '{"amount": 5}')
    assert running("run", "w.py", "--id", "s1").code == 1
    told = running("versions").out
    assert "1 session of waiting 1 stopped because it was not there." in told
    assert "onward retry s1 " in told
    (doc, _) = running("versions", "--json").doc
    assert (doc["needs_attention"], doc["stranded"], doc["next"]) == (1, ["s1"], ["onward retry s1"])
    write(desk, "1", "2")
    assert running("run", "w.py", "--id", "s1").code == 0
    assert "stopped" not in running("versions").out


def test_of_many_that_stopped_a_few_are_named_and_where_the_others_are(
    here: Here, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onward.surfaces.versions.NAMED", 1)
    write(desk, "1")
    ids = ["m1", "m2", "m3"]
    for id in ids:
        here("run", "w.py", "x", "--id", id)
        here("send", id, "--name", "paid", "--value", '{"amount": 5}')
    write(desk, "2")
    for id in ids:
        here("run", "w.py", "--id", id)
    told = here("versions").out
    assert told.count("onward retry m") == 1
    assert "onward list --attention --program waiting --version 1   the other 2" in told
    assert here("list", "--attention", "--program", "waiting", "--version", "1").out.count("onward retry m") == 3
    assert len(here("versions", "--json").doc[0]["next"]) == 3


def test_one_program_can_be_asked_for_and_nothing_is_said_where_there_is_none(running: Here) -> None:
    assert running("versions", "--program", "other").out == "No sessions.\n"
    assert running("versions", "--program", "waiting", "--json").doc[0]["sessions"] == 2
    assert running("versions", "nowhere.py").code == 2


def test_looking_at_versions_makes_no_database(tmp_path: Path, here: Here) -> None:
    missing = str(tmp_path / "none.db")
    assert here("versions", "--db", missing).code == here("list", "--db", missing).code
    assert not Path(missing).exists()
