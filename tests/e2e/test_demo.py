"""The demo, played whole: once as it is, and with everything that could go wrong in it.

Each play is a copy of functions/agents in a folder of its own, so that plays disturb neither each other nor the clone.
They wait more than they work, and are all started together.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from onward import App, Runtime, ScriptedModel
from onward.core.events import Actor, Event
from onward.core.state import State
from onward.engine.gateway import Start
from onward.programs.app import load_target
from onward.testing.runner import Runner

CLONE = Path(__file__).resolve().parents[2]
LONGEST = 60.0
"""Seconds that a play may take."""

KINDS = [
    "session_started", "model_answered", "calls_proposed", "call_completed", "model_answered", "calls_proposed",
    "approval_requested", "approval_decided", "call_started", "call_in_doubt", "call_completed", "model_answered",
    "session_completed",
]  # fmt: skip


@dataclass
class Play:
    """A copy of the demo, and what came of it."""

    folder: Path
    code: int = -1
    output: str = ""
    took: float = 0.0
    before: set[Path] = field(default_factory=set)
    watch: Timer = field(init=False)

    @property
    def db(self) -> Path:
        return self.folder / "build" / "demo" / "onward.db"

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.folder / "functions" / "agents" / file
        text = path.read_text()
        assert text.count(old) == 1, f"{file} should have {old!r} once"
        path.write_text(text.replace(old, new))

    def start(self, terminal: int | None = None, **env: str) -> subprocess.Popen[bytes]:
        """The demo, as `make demo` starts it; in a process group of its own, as a shell would."""
        command = [sys.executable, str(self.folder / "functions" / "agents" / "demo.py")]
        environ = {key: value for key, value in os.environ.items() if key not in ("ASK", "NO_COLOR", "ONWARD_IDENTITY")}
        environ |= {"PYTHONPATH": str(CLONE / "shared"), "TERM": "xterm", "PYTHONIOENCODING": "utf-8", **env}
        stdin, out = (terminal, terminal) if terminal is not None else (subprocess.DEVNULL, subprocess.PIPE)
        process = subprocess.Popen(
            command, cwd=self.folder, env=environ, stdin=stdin, stdout=out, stderr=out, start_new_session=True
        )
        self.watch = Timer(LONGEST, process.kill)
        self.watch.start()
        return process

    def ended(self, process: subprocess.Popen[bytes], began: float) -> Play:
        out, err = process.communicate()
        self.watch.cancel()
        self.code, self.output = process.returncode, ((out or b"") + (err or b"")).decode()
        self.took = time.monotonic() - began
        return self

    def ledger(self) -> list[tuple[str, int, str]]:
        with closing(sqlite3.connect(self.folder / "build" / "demo" / "shop.db")) as db:
            return db.execute("SELECT order_id, cents, key FROM ledger").fetchall()

    async def log(self) -> list[Event]:
        async with Runtime(db=self.db, create=False) as runtime:
            return [event async for event in runtime.events("refund-1042")]

    def left_behind(self) -> list[int]:
        """Processes that the demo started and that are still there."""
        return [pid for pid in map(int, re.findall(r"process (\d+)", self.output)) if _lives(pid)]


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until(there: Callable[[], Any], what: str) -> None:
    end = time.monotonic() + LONGEST
    while not there():
        assert time.monotonic() < end, f"{what} did not come"
        time.sleep(0.02)


# --- the plays -------------------------------------------------------------------------------------------------


def as_it_is(play: Play) -> Play:
    began = time.monotonic()
    return play.ended(play.start(), began)


def twice(play: Play) -> Play:
    return as_it_is(as_it_is(play))


def booked_by_somebody_else_too(play: Play) -> Play:
    """Somebody books the same refund again, under the same key: the shop lets them."""
    process, began = play.start(), time.monotonic()
    wait_until(lambda: _tables(play) and play.ledger(), "a booking")
    with closing(sqlite3.connect(play.folder / "build" / "demo" / "shop.db", timeout=10)) as db:
        columns = "order_id, cents, key, booked_at"
        db.execute(f"INSERT INTO ledger ({columns}) SELECT {columns} FROM ledger")
        db.commit()
    return play.ended(process, began)


def _tables(play: Play) -> bool:
    shop = play.folder / "build" / "demo" / "shop.db"
    if not shop.exists():
        return False
    with closing(sqlite3.connect(shop)) as db:
        return bool(db.execute("SELECT 1 FROM sqlite_master WHERE name = 'ledger'").fetchone())


def wrongly_reconciled(play: Play) -> Play:
    """The tool says that the refund did not happen, so it is made again."""
    play.edit("refund_desk.py", "return Done(receipt) if receipt else NotDone()", "return NotDone()")
    return as_it_is(play)


def other_amount(play: Play) -> Play:
    play.edit("refund_desk.json", '"89.00"', '"80.00"')
    return as_it_is(play)


def hung(play: Play) -> Play:
    """The shop never answers the first question."""
    play.edit("shop.py", '    """The order with this number."""\n', "    time.sleep(1000)\n")
    play.edit("demo.py", "PATIENCE = 15.0", "PATIENCE = 4.0")
    return as_it_is(play)


def interrupted(play: Play) -> Play:
    """Ctrl-C in the long wait, for the demo and its workers alike."""
    process, began = play.start(), time.monotonic()
    assert process.stdout is not None
    seen = b""
    while b"Worker 3 starts" not in seen and (chunk := os.read(process.stdout.fileno(), 4096)):
        seen += chunk
    os.killpg(process.pid, signal.SIGINT)
    play.ended(process, began)
    play.output = seen.decode() + play.output
    return play


def at_terminal(answers: Sequence[bytes], play: Play) -> Play:
    """Somebody sits at a terminal, and gives these answers to what they are asked."""
    ours, theirs = os.openpty()
    began = time.monotonic()
    process = play.start(theirs, ASK="1", ONWARD_IDENTITY="ada@shop.example")
    os.close(theirs)
    seen, given = "", 0
    for chunk in _chunks(ours):
        seen += chunk
        if given < min(seen.count(QUESTION), len(answers)):
            os.write(ours, answers[given])
            given += 1
    os.close(ours)
    play.ended(process, began)
    play.output = seen.replace("\r\n", "\n")
    return play


def _chunks(terminal: int) -> Iterator[str]:
    while True:
        try:
            chunk = os.read(terminal, 4096)
        except OSError:  # the other side has hung up
            return
        if not chunk:
            return
        yield chunk.decode(errors="replace")


QUESTION = "as ada@shop.example? y or n: "
PLAYS: dict[str, Callable[[Play], Play]] = {
    "twice": twice,
    "doubled": booked_by_somebody_else_too,
    "wrongly reconciled": wrongly_reconciled,
    "other amount": other_amount,
    "hung": hung,
    "interrupted": interrupted,
    "approved": partial(at_terminal, (b"maybe\n", b"\n", b"Y\n")),
    "rejected": partial(at_terminal, (b"n\n",)),
    "left": partial(at_terminal, (b"\x04",)),
}


@pytest.fixture(scope="module")
def plays(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Play]]]:
    def play(name: str, how: Callable[[Play], Play]) -> Play:
        folder = tmp_path_factory.mktemp(name.replace(" ", "-"))
        shutil.copytree(
            CLONE / "functions" / "agents",
            folder / "functions" / "agents",
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        return how(Play(folder, before=set(folder.rglob("*"))))

    with ThreadPoolExecutor(len(PLAYS)) as pool:
        yield {name: pool.submit(play, name, how) for name, how in PLAYS.items()}


Plays = dict[str, Future[Play]]


# --- the play as it is -----------------------------------------------------------------------------------------


async def test_it_refunds_once_and_does_so_again_in_the_next_run(plays: Plays) -> None:
    play = plays["twice"].result()
    assert play.code == 0, play.output
    assert play.ledger() == [("A-1042", 8900, "refund-1042/6.0")]
    log = await play.log()
    assert [event.kind for event in log] == KINDS
    decided, settled = log[7], log[10]
    assert (decided.actor.kind, decided.actor.name) == ("person", "grace@shop.example")
    assert getattr(settled.body, "by", "") == "reconcile"
    assert play.left_behind() == []
    assert play.took < 40


def test_its_page_is_plain_and_fits(plays: Plays) -> None:
    output = plays["twice"].result().output
    assert "\033" not in output
    assert max(map(len, output.splitlines())) <= 100
    assert output.count("✓") == 8
    assert "✗" not in output


def test_it_writes_nothing_outside_build(plays: Plays) -> None:
    play = plays["twice"].result()
    new = {path.relative_to(play.folder) for path in set(play.folder.rglob("*")) - play.before}
    assert {path.parts[0] for path in new if "__pycache__" not in path.parts} == {"build"}


# --- the play gone wrong ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["doubled", "wrongly reconciled"])
def test_a_second_refund_in_the_ledger_fails_it(plays: Plays, name: str) -> None:
    play = plays[name].result()
    assert len(play.ledger()) == 2
    assert play.code == 1, play.output
    assert "✗" in play.output


def test_another_amount_fails_it(plays: Plays) -> None:
    play = plays["other amount"].result()
    assert play.code == 1, play.output
    assert "The ledger should show one refund, EUR 89.00 for A-1042" in play.output


def test_a_worker_that_hangs_fails_it_in_time(plays: Plays) -> None:
    play = plays["hung"].result()
    assert play.code == 1
    assert "Worker 1 was to bring about call_completed" in play.output
    assert play.took < 20
    assert play.left_behind() == []


def test_ctrl_c_leaves_no_process(plays: Plays) -> None:
    play = plays["interrupted"].result()
    assert play.code == 130, play.output
    assert "No process was left behind" in play.output
    assert "Traceback" not in play.output
    assert play.left_behind() == []


# --- with somebody at the terminal -----------------------------------------------------------------------------


async def test_ask_shows_the_exact_call_and_takes_only_yes_or_no(plays: Plays) -> None:
    play = plays["approved"].result()
    assert play.code == 0, play.output
    assert 'refund(amount="89.00", order_id="A-1042")' in play.output
    assert '"maybe" is neither' in play.output
    assert play.output.count("Do you approve it") == 3
    assert (await play.log())[7].actor.name == "ada@shop.example"
    assert len(play.ledger()) == 1


async def test_a_no_is_a_no(plays: Plays) -> None:
    play = plays["rejected"].result()
    assert play.code == 0, play.output
    assert play.ledger() == []
    assert [event.kind for event in await play.log()] == [*KINDS[:8], "model_answered", "session_completed"]


async def test_without_an_answer_the_session_goes_on_waiting(plays: Plays) -> None:
    play = plays["left"].result()
    assert play.code == 1
    assert "Nobody decided" in play.output
    assert (await play.log())[-1].kind == "approval_requested"


# --- the agent by itself ---------------------------------------------------------------------------------------


DESK = CLONE / "functions" / "agents" / "refund_desk.py"


def test_it_runs_as_its_docstring_says(plays: Plays) -> None:
    folder = plays["left"].result().folder
    command = [sys.executable, "-c", "from onward.surfaces.cli import main; main()", "run"]
    ran = subprocess.run(
        [*command, "functions/agents/refund_desk.py", "My grinder is broken.", "--id", "s"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(CLONE / "shared")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert "a refund above EUR 50" in ran.stdout
    assert "onward approve s" in ran.stdout


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> App:
    """The refund desk, with a shop of its own."""
    app = load_target(str(DESK)).app
    monkeypatch.setattr("shop.FILE", tmp_path / "shop.db")
    monkeypatch.setattr("shop.CONFIRMS_AFTER", 0.0)
    return app


async def refunding(desk: App, amount: str, order: str = "A-1042") -> State:
    """The state of a session whose model asks for this refund at once."""
    call = {"tool": "refund", "arguments": {"order_id": order, "amount": amount}}
    runner = Runner(desk.with_model(ScriptedModel([{"calls": [call]}, {"text": "Done."}])))
    person = Actor(kind="person", name="tom")
    await runner.parts.gateway.start(Start("s", "refund-desk", "1", input="Please"), person)
    await runner.settle()
    return await runner.state("s")


async def test_up_to_the_limit_it_refunds_by_itself(desk: App) -> None:
    state = await refunding(desk, "50.00")
    assert state.ended == "completed"
    assert [line.amount for line in sys.modules["shop"].ledger()] == [Decimal("50.00")]


async def test_above_the_limit_it_asks(desk: App) -> None:
    state = await refunding(desk, "50.01")
    assert [call.status for call in state.calls.values()] == ["asked"]
    assert sys.modules["shop"].ledger() == []


@pytest.mark.parametrize(
    ("amount", "order"), [("19.00", "A-1037"), ("5.00", "A-9999"), ("-5.00", "A-1042"), ("0.001", "A-1042")]
)
async def test_what_was_not_paid_is_not_paid_back(desk: App, amount: str, order: str) -> None:
    state = await refunding(desk, amount, order)
    assert state.ended == "completed"
    assert [entry.failed for entry in state.transcript if entry.kind == "result"] == [True]
    assert sys.modules["shop"].ledger() == []
