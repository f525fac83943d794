"""The command line as a user has it: real processes, real signals, a real terminal where one is asked for."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-c", "from onward.surfaces.cli import main; main()"]
PATIENCE = 20.0
"""Seconds that anything may take."""

DESK = '''
import time
from pathlib import Path

from onward import Agent, App, Approval, Limits, NotDone, Pending, Retry, tool

BOOKS = Path(__file__).with_name("books.txt")


def book(line):
    with BOOKS.open("a") as books:
        books.write(line + "\\n")


@tool(effect="read")
def find_order(order_id: str) -> dict[str, str]:
    """Find an order."""
    return {"id": order_id, "amount": "89.00"}


@tool(approval=Approval(when=lambda args: args.amount > 50, rule="more than 50"))
def refund(order_id: str, amount: float) -> str:
    """Refund an order."""
    book(f"refund {order_id} {amount:g}")
    return f"refunded {amount:g}"


@tool(approval=Approval(rule="over the limit", people=2, by=["ann", "ben", "cleo"]))
def transfer(amount: int) -> str:
    """Transfer money; two must agree."""
    book(f"transfer {amount}")
    return "transferred"


@tool(effect="idempotent")
async def index(seconds: float) -> str:
    """Take a while; may be repeated."""
    import asyncio

    book("index")
    await asyncio.sleep(seconds)
    return "indexed"


@tool(effect="idempotent")
async def hold() -> str:
    """Take until somebody makes a file; may be repeated."""
    import asyncio

    book("hold")
    while not BOOKS.with_name("go").exists():
        await asyncio.sleep(0.02)
    return "held"


@tool(effect="read")
def stare(seconds: float) -> str:
    """Block a thread."""
    book("stare")
    time.sleep(seconds)
    return "stared"


@tool(timeout="2s")
def pay(seconds: float) -> str:
    """Pay, slowly, once."""
    book("pay")
    time.sleep(seconds)
    return "paid"


@tool(timeout="1s")
def wire() -> str:
    """Pay, and take longer than it lives."""
    book("wire")
    time.sleep(20)
    return "wired"


@tool
def explode() -> str:
    """Fail in a way that says nothing of what happened."""
    raise ValueError("boom")


@tool(effect="read", retry=Retry(attempts=2, first=0.3))
def flaky() -> str:
    """Fail once."""
    book("flaky")
    if BOOKS.read_text().count("flaky") < 2:
        raise OSError("not yet")
    return "there"


@tool
def outside() -> Pending:
    """Hand it to somebody else."""
    return Pending(timeout="1h")


TOOLS = [find_order, refund, transfer, index, hold, stare, pay, wire, explode, flaky, outside]
desk = Agent("desk", model="scripted:turns.json", tools=TOOLS)
strict = Agent("strict", model="scripted:turns.json", tools=TOOLS, limits=Limits(turns=1))
far = Agent("far", model="some-model-of-the-cloud")
boss = Agent("boss", model="scripted:boss.json", tools=[desk])
app = App(programs=[desk, strict, far, boss])
'''

ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def doc(self) -> Any:
        return json.loads(self.out)

    @property
    def docs(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def commands(self) -> list[list[str]]:
        """The commands it told, without their first word."""
        found = re.findall(r"^ {2,4}onward (.+?)(?: {3,}.*)?$", ANSI.sub("", self.out), re.MULTILINE)
        return [line.split() for line in found]


@dataclass
class Desk:
    """A directory with an application, and the processes that were started in it."""

    path: Path
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def write(self, *turns: dict[str, Any], file: str = "turns.json") -> None:
        """What the model says, turn by turn."""
        (self.path / "desk.py").write_text(DESK)
        (self.path / file).write_text(json.dumps({"turns": list(turns)}))
        if not (self.path / "boss.json").exists():
            self.write_boss()

    def write_boss(self, *turns: dict[str, Any]) -> None:
        """What the model of who gives work to the desk says."""
        (self.path / "boss.json").write_text(json.dumps({"turns": list(turns)}))

    @property
    def env(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ONWARD", "NO_COLOR"))}
        return kept | {"PYTHONPATH": str(ROOT / "shared"), "ONWARD_IDENTITY": "ann", "TERM": "xterm", "COLUMNS": "120"}

    def run(self, *words: str, env: dict[str, str] | None = None, input: bytes = b"") -> Answer:
        """Run a command to its end."""
        done = subprocess.run(
            [*COMMAND, *words],
            cwd=self.path,
            env=self.env | (env or {}),
            input=input,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
        return Answer(done.returncode, done.stdout.decode(), done.stderr.decode())

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a command and leave it running."""
        process = subprocess.Popen(
            [*COMMAND, *words],
            cwd=self.path,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.started.append(process)
        return process

    def end(self, process: subprocess.Popen[bytes], number: signal.Signals | None = None) -> Answer:
        """Send it a signal, if one is given, and wait for its end."""
        if number is not None:
            process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE)
        return Answer(process.returncode, (out or b"").decode(), err.decode())

    def books(self) -> list[str]:
        """What the tools have done in the world."""
        file = self.path / "books.txt"
        return file.read_text().splitlines() if file.exists() else []

    def until_booked(self, line: str) -> None:
        self._until(lambda: line in self.books(), f"nobody booked {line!r}")

    def until_filed(self) -> None:
        """Wait until a signal is in an inbox, unread."""
        with closing(sqlite3.connect(self.path / "onward.db")) as db:
            unread = "SELECT count(*) FROM inbox WHERE pending"
            self._until(lambda: db.execute(unread).fetchone()[0] > 0, "nobody filed a signal")

    def _until(self, holds: Callable[[], bool], otherwise: str) -> None:
        end = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < end, otherwise
            time.sleep(0.02)

    def at_terminal(self, *words: str, env: dict[str, str] | None = None) -> Terminal:
        return Terminal([*COMMAND, *words], self.path, self.env | (env or {}))

    def close(self) -> None:
        for process in self.started:
            process.kill()
            process.communicate()


class Terminal:
    """A command on a terminal of its own, and a person at it."""

    def __init__(self, command: list[str], path: Path, env: dict[str, str]) -> None:
        self.seen = ""
        self._mark = 0
        ours, theirs = pty.openpty()
        self._fd = ours
        self._process = subprocess.Popen(
            command, cwd=path, env=env, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)

    def sees(self, text: str) -> str:
        """Wait until this is on the screen, after what was waited for before; all that was written up to it."""
        end = time.monotonic() + PATIENCE
        while text not in ANSI.sub("", self.seen)[self._mark :]:
            assert self._read(end - time.monotonic()), f"{text!r} is not in:\n{self.seen}"
        plain = ANSI.sub("", self.seen)
        start, self._mark = self._mark, plain.index(text, self._mark) + len(text)
        return plain[start : self._mark]

    def _read(self, timeout: float) -> bool:
        if timeout <= 0 or not select.select([self._fd], [], [], timeout)[0]:
            return False
        try:
            data = os.read(self._fd, 65536)
        except OSError:
            return False
        self.seen += data.decode(errors="replace")
        return bool(data)

    def types(self, text: str) -> None:
        time.sleep(0.05)  # what was typed before a question is no answer to it
        os.write(self._fd, text.encode())

    def interrupt(self) -> None:
        self._process.send_signal(signal.SIGINT)

    def ends(self) -> int:
        """Its exit code, with all that it wrote read."""
        end = time.monotonic() + PATIENCE
        while self._read(end - time.monotonic()):
            pass
        code = self._process.wait(PATIENCE)
        os.close(self._fd)
        return code


Here = Callable[..., Answer]
"""Runs a command in this process."""


def says(text: str, **calls: dict[str, Any]) -> dict[str, Any]:
    """A turn of the model: words, and calls by name."""
    return {"text": text, "calls": [{"tool": name, "arguments": given} for name, given in calls.items()]}


LOOKUP = says("Let me look.", find_order={"order_id": "A-1"})
REFUND = says("", refund={"order_id": "A-1", "amount": 89})
DONE = says("It is on its way.")
