"""The command line on a deployment: real processes, which know no more than an operator must."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.command import COMMAND, ROOT, Answer, Terminal

if TYPE_CHECKING:
    from tests.cloud.world import World

GRACE = "grace@shop.example"
PERSON = {"kind": "person", "name": GRACE}
KNOWN = (
    "ONWARD_DATABASE",
    "ONWARD_BUCKET",
    "ONWARD_API_URL",
    "FIRESTORE_EMULATOR_HOST",
    "PUBSUB_EMULATOR_HOST",
    "STORAGE_EMULATOR_HOST",
)
"""What an operator is told: where the emulators are, and what has not its usual name here."""

PATIENCE = 60.0


class Operator:
    """Ann's machine. Who decides there is Grace."""

    def __init__(self, world: World, path: Path) -> None:
        told = {name: world.cloud.environment[name] for name in KNOWN}
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ONWARD", "GOOGLE"))}
        who = {"ONWARD_IDENTITY": "ann", "ONWARD_TOKEN": world.cloud.token(GRACE)}
        self.env = kept | told | who | {"PYTHONPATH": str(ROOT / "shared"), "HOME": str(path), "TERM": "xterm"}
        self.path, self.where = path, ("--project", world.cloud.project)

    def run(self, *words: str, **env: str) -> Answer:
        """A command to its end, on the deployment."""
        return self.again([*words, *self.where], **env)

    def again(self, words: list[str], **env: str) -> Answer:
        done = subprocess.run(
            [*COMMAND, *words],
            cwd=self.path,
            env=self.env | env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def well(self, *words: str) -> str:
        """What a command says that did what it was asked for."""
        answer = self.run(*words)
        assert (answer.code, answer.err) == (0, ""), answer
        return answer.out

    def doc(self, *words: str) -> Any:
        return json.loads(self.well(*words, "--json"))

    def docs(self, *commands: str) -> list[Any]:
        """What several say that are given at the same time."""
        with ThreadPoolExecutor(len(commands)) as pool:
            return list(pool.map(lambda command: self.doc(*command.split()), commands))


@pytest.fixture
def operator(world: World, tmp_path: Path) -> Operator:
    return Operator(world, tmp_path)


def test_a_life_from_its_start_to_its_tombstone(world: World, operator: Operator) -> None:
    rested = operator.well("run", "desk.py:refund-desk", "Hello", "--id", "c-life")
    assert rested.startswith("session c-life  refund-desk 1, project local-project\n")
    assert "It goes on by itself" not in rested
    printed = [line.strip().partition("   ")[0] for line in rested.splitlines() if line.startswith("  onward ")]
    assert [line.split()[1] for line in printed] == ["approve", "reject", "run"]
    assert all(" --project local-project" in line for line in printed)
    listed = {doc["id"]: doc for doc in operator.doc("list", "--status", "waiting", "--program", "refund-desk")}
    assert listed["c-life"]["status"] == "waiting"
    assert [doc["next"] for doc in operator.doc("approvals") if doc["session"] == "c-life"] == [printed[:2]]

    paused = operator.well("pause", "c-life", "--reason", "asking legal")
    assert paused.splitlines() == ["paused by unverified ann (session c-life, event 5)", "The session is paused."]
    assert operator.well("resume", "c-life").startswith("resumed by unverified ann")
    approved = operator.again([*shlex.split(printed[0])[1:], "--reason", "She is right."])
    assert approved.out.startswith(f'approved by {GRACE}: refund(order="A-1") (session c-life, event 7)')
    assert approved.code == 0

    events = [json.loads(line) for line in operator.well("events", "c-life", "--follow", "--json").splitlines()]
    assert (events[0]["actor"], events[-1]["kind"]) == (PERSON, "session_completed")
    actors = {event["kind"]: event["actor"] for event in events}
    assert actors["approval_decided"] == PERSON
    assert actors["session_paused"] == actors["session_resumed"] == {"kind": "unverified", "name": "ann"}
    assert [entry["what"] for entry in world.booked("c-life")] == ["refund"]
    ended = operator.well("run", "--id", "c-life")
    assert ended.endswith("\nDone.\n")

    told = operator.docs("effects c-life", "usage --by session", "cost c-life", "verify c-life")
    (effect,), usage, cost, verified = told
    assert (effect["tool"], effect["outcome"]) == ("refund", "done")
    assert any("c-life" in row.values() for row in usage)
    assert (cost["session"], verified["seq"]) == ("c-life", len(events))
    assert operator.well("erase", "c-life", "1", "input", "--reason", "asked for").startswith("erased: input")
    assert operator.doc("verify", "c-life")["seq"] == len(events) + 1
    assert "deleted by unverified ann: asked for" in operator.well("delete", "c-life", "--yes", "--reason", "asked for")
    assert operator.doc("show", "c-life")["status"] == "deleted"
    refused = operator.run("run", "refund-desk", "Hello", "--id", "c-life")
    assert (refused.code, "it was deleted, and an id starts only once" in refused.err) == (4, True)
    assert list(operator.path.glob("*.db")) == []


async def test_g14_a_branch_is_made_by_the_api_and_moved_by_the_functions(world: World, operator: Operator) -> None:
    operator.well("run", "refund-desk", "Hello", "--id", "c-trunk")
    made = operator.well("fork", "c-trunk", "--at", "2", "--effects", "blocked", "--id", "c-branch", "--input", "Wait!")
    lines = [line.strip().partition("   ")[0] for line in made.splitlines() if line.startswith("  onward ")]
    assert lines == [
        "onward run --id c-branch --project local-project",
        "onward compare c-trunk c-branch --project local-project",
    ]
    assert operator.again(shlex.split(lines[0])[1:]).out.endswith("\nDone.\n")
    events = await world.until("c-branch", "session_completed")
    assert events[0].actor.model_dump() == PERSON
    assert "blocked" in [event.body.error.code for event in events if event.kind == "call_refused"]
    assert [doc["id"] for doc in operator.doc("branches", "c-branch")] == ["c-trunk", "c-branch"]
    assert operator.doc("show", "c-trunk")["branches"] == 1
    wrong = operator.run("fork", "c-trunk", "--at", "99")
    assert (wrong.code, "at: 99 is no event of session c-trunk" in wrong.err) == (2, True)
    assert operator.run("fork", "c-trunk", "--app", "desk.py").code == 2
    assert operator.run("fork", "nobody").code == 3
    assert world.booked("c-branch") == []


ANN = {"kind": "unverified", "name": "ann"}
EACH_WAY = {
    "reject c-reject --reason no": ("approval_decided", PERSON),
    "respond c-respond --result 1": ("approval_decided", PERSON),
    "delegate c-delegate ben@shop.example": ("approval_delegated", PERSON),
    'approve c-edit --edit {"order":"B-2"}': ("approval_decided", PERSON),
    "cancel c-cancel": ("closing_began", ANN),
    "send c-send Hurry!": ("input_received", ANN),
}


def test_a_session_goes_from_a_deployment_to_a_file_and_back_as_a_recording(world: World, operator: Operator) -> None:
    operator.well("run", "desk.py:refund-desk", "Hello", "--id", "c-file")
    told = operator.doc("export", "c-file", "--output", "c-file.jsonl")
    head = operator.doc("show", "c-file")
    assert (told["seq"], told["hash"]) == (head["seq"], head["hash"])
    kept = operator.again(["import", "c-file.jsonl", "--json", "--db", "here.db"])
    assert (json.loads(kept.out)["status"], json.loads(kept.out)["hash"]) == ("imported", head["hash"])
    for new in (True, False):
        assert operator.doc("import", "c-file.jsonl", "--id", "c-kept")["new"] is new
    assert operator.doc("verify", "c-kept", "--head", head["hash"])["seq"] == head["seq"]
    assert operator.well("events", "c-kept", "--json") == operator.well("events", "c-file", "--json")
    assert operator.run("send", "c-kept", "more").code == 4
    operator.well("delete", "c-kept", "--yes")
    again = operator.run("import", "c-file.jsonl", "--id", "c-kept")
    assert (again.code, "starts only once" in again.err) == (4, True)


async def test_a_person_decides_in_each_way_and_an_operator_moves_in_each_way(world: World, operator: Operator) -> None:
    sessions = [*(command.split()[1] for command in EACH_WAY), "c-skip"]
    await asyncio.gather(*(world.start(session, "refund-desk") for session in sessions))
    await asyncio.gather(*(world.until(session, "approval_requested") for session in sessions))
    told = await asyncio.to_thread(operator.docs, *EACH_WAY)
    assert [(doc["event"]["kind"], doc["event"]["actor"]) for doc in told] == list(EACH_WAY.values())
    await world.until("c-edit", "session_completed")
    skipped = operator.run("skip", "c-skip", "--result", "1", "--json")
    assert (skipped.code, json.loads(skipped.err)["error"]["code"]) == (4, "unverified")
    late = operator.run("approve", "c-reject", "--json")
    assert (late.code, json.loads(late.err)["error"]["code"]) == (4, "not_open")


def test_a_workflow_is_given_what_it_waits_for_and_counted_by_its_version(operator: Operator) -> None:
    begun = operator.well("run", "payments", "--value", '"A-1"', "--id", "c-paid")
    assert "Waits for the input paid, until " in begun
    assert "onward send c-paid --project" in begun
    wrong = operator.run("send", "c-paid", "--name", "paid", "--value", '{"amount": "five"}')
    assert (wrong.code, "content.amount" in wrong.err) == (2, True)
    (row,) = [row for row in operator.doc("versions", "--program", "payments") if row["version"] == "1"]
    assert (row["waiting"], row["oldest"]["id"], row["stranded"]) == (1, "c-paid", [])
    for _ in range(2):
        sent = operator.doc("send", "c-paid", "--name", "paid", "--value", '{"amount": 5}')
        assert (sent["event"]["kind"], sent["event"]["body"]["name"]) == ("input_received", "paid")
    operator.well("send", "c-paid", "Thanks.")
    ended = operator.run("run", "--id", "c-paid", "--json").docs[-1]
    assert ended["output"] == {"order": "A-1", "paid": [5, 5], "said": "Thanks."}
    assert operator.well("versions", "--program", "payments") == "No sessions.\n"


def test_switches_and_the_doctor(operator: Operator) -> None:
    assert "tenant:nobody is off" in operator.well("off", "tenant:nobody", "--reason", "a test")
    assert "tenant:nobody is off, by unverified ann" in operator.well("off")
    assert "is on again" in operator.well("on", "tenant:nobody")
    looked = operator.run("doctor", "--json")
    told = {check["name"]: check for check in looked.doc["checks"]}
    assert looked.code == (0 if looked.doc["ok"] else 1)
    assert (told["database"]["ok"], told["database"]["project"]) == (True, "local-project")
    assert {"overdue", "parked", "in doubt", "versions", "switches"} < told.keys()


def test_a_person_at_a_terminal_is_asked(world: World, operator: Operator) -> None:
    command = [*COMMAND, "run", "refund-desk", "Hello", "--id", "c-asked", *operator.where]
    terminal = Terminal(command, operator.path, operator.env)
    terminal.sees("Approve? y = yes, n = no, Enter leaves it open: ")
    terminal.types("y\n")
    terminal.sees("Reason (Enter for none): ")
    terminal.types("\n")
    terminal.sees(f"refund by {GRACE}")
    terminal.sees("Done.")
    assert terminal.ends() == 0
    assert [entry["what"] for entry in world.booked("c-asked")] == ["refund"]


def test_g9_who_leaves_stops_nothing(world: World, operator: Operator) -> None:
    command = [*COMMAND, "run", "pack-desk", "Hello", "--id", "c-left", *operator.where]
    with subprocess.Popen(command, cwd=operator.path, env=operator.env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("session c-left")
        process.send_signal(signal.SIGINT)
        said = process.stdout.read()
    assert process.returncode == 130
    assert "Session c-left goes on without you. Follow it again with:\n  onward run --id c-left --project" in said
    assert operator.well("run", "--id", "c-left").endswith("\nDone.\n")
    assert [entry["what"] for entry in world.booked("c-left")] == ["pack"]


def test_g8_without_a_verified_person_nothing_is_decided(operator: Operator) -> None:
    operator.well("run", "refund-desk", "Hello", "--id", "c-who")
    before = operator.doc("show", "c-who")["seq"]
    nowhere = operator.run("approve", "c-who", ONWARD_API_URL="")
    assert (nowhere.code, "ONWARD_API_URL is missing" in nowhere.err) == (2, True)
    forged = operator.env["ONWARD_TOKEN"][:-4] + "AAAA"
    nobody = operator.run("approve", "c-who", ONWARD_TOKEN=forged)
    assert (nobody.code, nobody.err.startswith("onward: unidentified: authorization: the token is not")) == (2, True)
    by_name = operator.run("approve", "c-who", ONWARD_TOKEN="", PATH="/nowhere", ONWARD_IDENTITY=GRACE)
    assert (by_name.code, "who decides is not known" in by_name.err) == (2, True)
    assert operator.doc("show", "c-who")["seq"] == before
    assert forged not in nobody.err + nobody.out


def test_g15_what_is_not_there_is_said_in_one_line(operator: Operator) -> None:
    away = operator.run("list", "--json", FIRESTORE_EMULATOR_HOST="127.0.0.1:1")
    assert (away.code, away.out) == (1, "")
    assert json.loads(away.err)["error"]["code"] == "store_unavailable"
    real = {name: "" for name in KNOWN if name.endswith("_EMULATOR_HOST")}
    denied = operator.run("list", **real, GOOGLE_APPLICATION_CREDENTIALS="/nowhere.json")
    assert (denied.code, denied.out, len(denied.err.splitlines())) == (1, "", 1)
    assert denied.err.startswith("onward: store_denied: Firestore: ")
    assert "gcloud auth application-default login" in denied.err
    missing = operator.run("show", "c-nobody")
    assert (missing.code, missing.err) == (3, "onward: not_found: there is no session c-nobody\n")
    elsewhere = operator.run("run", "pack-desk", "Hello", "--id", "c-elsewhere", ONWARD_DATABASE="another")
    assert (elsewhere.code, "it has the sessions of local-project/" in elsewhere.err) == (4, True)
    program = operator.run("run", "no-desk", "Hello")
    assert (program.code, program.err.startswith("onward: bad_input: there is no program 'no-desk'")) == (2, True)


WHO = """
import asyncio
from onward.config import OperatorSettings, Settings
from onward.runtime.deployed import Deployed

print(asyncio.run(Deployed(OperatorSettings.from_env(Settings.from_env().project)).decider()))
"""


def test_the_settings_that_the_emulators_print_are_all_that_is_needed(world: World, tmp_path: Path) -> None:
    from emulators.__main__ import _words

    if shutil.which("curl") is None:
        pytest.skip("curl is missing, by which the emulators' token is fetched")
    command = " ".join(map(shlex.quote, [*COMMAND, "doctor", "--json"]))
    who = " ".join(map(shlex.quote, [sys.executable, "-c", WHO]))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ONWARD", "GOOGLE"))}
    done = subprocess.run(
        ["sh", "-c", f"{_words(world.cloud, tmp_path)}\n{command}; {who}"],
        cwd=tmp_path,
        env=kept | {"PYTHONPATH": str(ROOT / "shared"), "LEDGER": str(world.ledger)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines()[-1] == "you@example.com", done.stderr
    assert '"database"' in done.stdout
