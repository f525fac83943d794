"""One customer's message, from its arrival to its end, through an approval and a crash in the worst place.

`make demo` runs it: real processes, a real kill -9, no account, no network, no key press. `ASK=1 make demo` lets you
decide about the refund. A line with a tick was checked just before it was printed. The exit code is 0 only if every
check held: the shop's ledger has exactly the one refund (none, if you said no), the session is complete, and its log
verifies. Everything is kept in build/demo, which each run makes anew.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

import shop
from onward import OnwardError, Refused, Runtime, ScriptedModel
from onward.config import Settings
from onward.core.events import Event
from refund_desk import LIMIT, app

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parents[1] / "build" / "demo"
DB = FOLDER / "onward.db"
shop.FILE = FOLDER / "shop.db"

SESSION = "refund-1042"
CUSTOMER = "maria.keller@example.com"
APPROVER = "grace@shop.example"
REASON = "The photo she sent shows the crack."
ORDER, AMOUNT = "A-1042", Decimal("89.00")
MESSAGE = (
    f"Hello, the coffee grinder of my order {ORDER} arrived broken: the lid is cracked. "
    "Could I have my money back for it, please? Maria Keller"
)

PATIENCE = 15.0
"""Seconds that one thing may take before the demo gives up on it."""


class Failed(Exception):
    """The demo did not show what it is there to show."""


# --- the worker: what this file is when it is started with --worker --------------------------------------------


async def work(script: str, until: str) -> None:
    """Advance whatever is due until the session rests, or until it has ended. Left alone, it gives up after a while."""
    model = ScriptedModel.from_file(HERE / script)
    async with asyncio.timeout(3 * PATIENCE), Runtime(app.with_model(model), DB) as runtime:
        await runtime.wait(SESSION, ended=until == "end")


class Worker:
    """A worker process, seen from outside. What it logs goes to a file."""

    def __init__(self, number: int, *options: str) -> None:
        self.name = f"worker {number}"
        self._log = FOLDER / f"worker-{number}.log"
        with self._log.open("w") as log:
            command = [sys.executable, __file__, "--worker", *options]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    @property
    def id(self) -> int:
        return self._process.pid

    @property
    def gone(self) -> bool:
        return self._process.poll() is not None

    def kill(self) -> bool:
        """Kill it as `kill -9` does: it can't say or write anything more. Whether that is how it ended."""
        self._process.kill()
        return self._process.wait() == -signal.SIGKILL

    def ends(self) -> bool:
        """Wait until it ends by itself; whether it did, and without an error."""
        try:
            return self._process.wait(PATIENCE) == 0
        except subprocess.TimeoutExpired:
            return False

    def failed(self, what: str) -> Failed:
        """What to say of a worker that did not do its part, with the end of its log."""
        how = f"ended with exit code {self._process.returncode}" if self.gone else "has not done it in time"
        last = self._log.read_text(errors="replace").splitlines()[-5:]
        return Failed("\n".join([f"{self.name.capitalize()} was to {what}, and {how}.", *last]))


# --- what is printed -------------------------------------------------------------------------------------------


class Page:
    """Prints the story: at most 100 columns, in colour only on a terminal that wants it."""

    width = 100
    gutter = 11

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._terminal = out.isatty()
        self._colours = self._terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self._plain = "utf" not in (out.encoding or "").lower()
        self._began = time.monotonic()
        self._left = ""

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._began

    def title(self, text: str, below: str = "") -> None:
        self._print(f"\n  {self._painted(text, '1')}")
        for line in textwrap.wrap(below, self.width - 2):
            self._print(f"  {line}")

    def says(self, text: str) -> None:
        """Something that happened, and when."""
        self._marked(self._painted(f"{self.elapsed:7.1f} s ", "2"), text)

    def more(self, text: str) -> None:
        """More of what happened last."""
        self._marked(" " * (self.gutter - 1), text)

    def proven(self, text: str) -> None:
        self._marked(f"{'':8}{self._painted('*' if self._plain else '✓', '1;32')} ", text)

    def wrong(self, text: str) -> None:
        first, *rest = text.splitlines()
        self._marked(f"{'':8}{self._painted('!' if self._plain else '✗', '1;31')} ", first)
        for line in rest:
            self._print(f"{'':{self.gutter}}{line}"[: self.width])

    def table(self, rows: Sequence[Sequence[str]], quiet: Callable[[Sequence[str]], bool] = lambda row: False) -> None:
        """Columns as wide as they must be; what is too long for the page is cut."""
        widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
        for row in rows:
            line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            line = f"    {line}"[: self.width]
            self._print(self._painted(line, "2") if quiet(row) else line)

    def countdown(self, seconds: float) -> None:
        """How long it still takes, where somebody is looking."""
        left = f"{seconds:.0f} s ..." if seconds > 0 else ""
        if self._terminal and left != self._left:
            self._left = left
            self._out.write(f"\r{'':{self.gutter}}{left:20}\r")
            self._out.flush()

    def _marked(self, mark: str, text: str) -> None:
        for line in textwrap.wrap(text, self.width - self.gutter, break_on_hyphens=False) or [""]:
            self._print(f"{mark} {line}")
            mark = " " * (self.gutter - 1)

    def _painted(self, text: str, code: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self._colours else text

    def _print(self, text: str) -> None:
        print(text, file=self._out, flush=True)


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def clock(at: datetime) -> str:
    """The local time of day, to the millisecond."""
    return f"{at.astimezone():%H:%M:%S.%f}"[:-3]


def written(tool: str, arguments: Mapping[str, Any]) -> str:
    """A call, as one would write it."""
    return f"{tool}({', '.join(f'{name}={json.dumps(value)}' for name, value in arguments.items())})"


# --- the play --------------------------------------------------------------------------------------------------


class Demo:
    """The scenes. Between them this process has no file of Onward's open."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.log: list[Event] = []
        self.at = 0
        self.seen: list[tuple[datetime, str]] = []
        self.workers: list[Worker] = []

    def play(self, ask: bool) -> None:
        """The story, and what is left when it is over. Raises Failed."""
        self.page.title(
            "Onward: a refund, an approval, and a crash in the worst place",
            "An agent answers a customer of a small shop. Each of its steps goes to a log, and any process can go on "
            "from there. Only the language model is played, from a script: the processes are real, and so are the "
            "kill -9 and the shop's books. It takes about ten seconds.",
        )
        self.page.title(f"{CUSTOMER} writes", MESSAGE)
        asyncio.run(self.takes_up())
        approved = self.decision(ask)
        asyncio.run(self.crashes() if approved else self.accepts())
        if approved:
            asyncio.run(self.settles())
        asyncio.run(self.sums_up(approved))

    async def takes_up(self) -> None:
        self.page.title("1  A worker takes up the message")
        async with Runtime(app, DB, identity=CUSTOMER, work=False) as runtime:
            await runtime.start(input=MESSAGE, id=SESSION)
            worker = self._worker("refund_desk.json", "rest")
            found = (await self._until("call_completed", runtime, worker)).result
            items = ", ".join(f"{item['name']} EUR {item['price']}" for item in found["items"])
            self.page.says(f"The agent looks up order {found['id']}: {items}.")
            amount = (await self._until("approval_requested", runtime, worker)).arguments["amount"]
            self.page.says(f"It wants to refund EUR {amount}. Above EUR {LIMIT} it has to ask a person.")
            self._ended(worker, "leave the session at rest")
            head = await runtime.get(SESSION)
            self._check(
                f"A session that waits is {head.seq} events in a file: no process, no connection, no polling.",
                head.status == "waiting" and [wait.kind for wait in head.waits] == ["approval"],
            )
            self._check("Nothing was paid: the shop's ledger is empty.", not shop.ledger())

    def decision(self, ask: bool) -> bool:
        """A person's decision about the refund."""
        self.page.title("2  A person decides")
        request = self._last("approval_requested")
        until = f"{request.expires_at.astimezone():%d %b %H:%M}"
        self.page.says(f"What is asked, to the letter: {written(request.tool, request.arguments)}")
        self.page.more(f"Rule: {request.rule}. {request.effect.capitalize()}. No answer by {until} means no.")
        by, reason = (Settings.from_env().identity, "Decided at the terminal.") if ask else (APPROVER, REASON)
        approved = self._answer(by) if ask else True
        asyncio.run(self.decides(by, "approved" if approved else "rejected", reason))
        return approved

    def _answer(self, by: str) -> bool:
        while True:
            try:
                answer = input(f"{'':11}Do you approve it, as {by}? y or n: ").strip().lower()
            except EOFError:
                print()
                raise Failed("Nobody decided. The session goes on waiting, which costs nothing.") from None
            if answer in ("y", "yes", "n", "no"):
                return answer.startswith("y")
            self.page.more(f"{quoted(answer)} is neither: type y to approve, n to reject.")

    async def decides(self, by: str, verdict: Any, reason: str) -> None:
        asked = self._last("approval_requested")
        async with Runtime(db=DB) as runtime:
            outcome = await runtime.decide(SESSION, verdict, call=asked.call, digest=asked.digest, reason=reason, by=by)
            await self._read(runtime)
            self.page.says(f"{by} has {verdict} it: {quoted(reason)}")
            decided: Any = outcome.event
            bound = decided is not None and decided.actor.name == by and decided.body.digest == asked.digest
            self._check("The log has it: who, when, why, and for exactly which arguments.", bound)
            other = "someone.else@shop.example"
            try:
                await runtime.decide(SESSION, "approved", call=asked.call, digest=asked.digest, by=other)
            except Refused as no:
                self.page.proven(f"It counts once. A second decision was refused, because the call is {no.stands}.")
            else:
                raise Failed("A second decision about the same call was accepted.")

    async def crashes(self) -> None:
        self.page.title("3  A crash in the worst place")
        async with Runtime(db=DB) as runtime:
            worker = self._worker("refund_desk.json", "end")
            booked = await self._booked(worker)
            killed = worker.kill()
            self._saw(f"{worker.name} killed")
            await self._read(runtime)
            self.page.says("Worker 2 writes to the log that the refund starts. Then it asks the shop to pay.")
            self.page.says(f"The shop has booked EUR {booked.amount}, and takes a moment to confirm it.")
            self.page.says(f"kill -9 {worker.id}: worker 2 never hears the answer.")
            self._check(
                "The money has moved. The log says that the refund started, and not how it ended.",
                killed and self.log[-1].kind == "call_started",
            )

    async def _booked(self, worker: Worker) -> shop.Receipt:
        """Watch the ledger until the refund is booked, while the worker waits for the shop's answer."""
        end = time.monotonic() + PATIENCE
        while not (booked := shop.ledger()):
            if worker.gone or time.monotonic() > end:
                raise worker.failed("ask the shop for the refund")
            await asyncio.sleep(0.01)
        return booked[0]

    async def settles(self) -> None:
        self.page.title("4  Another worker goes on")
        started = self._last("call_started")
        async with Runtime(db=DB) as runtime:
            worker = self._worker("refund_desk.json", "end")
            self.page.more(
                "The log shows a refund that was started and has no outcome. The shop could still be at work on it "
                f"until {started.not_after.astimezone():%H:%M:%S}, so nobody judges it before then."
            )
            await self._until("call_in_doubt", runtime, worker, due=started.not_after)
            self.page.says("Now the refund is in doubt. Onward neither guesses nor pays again: it asks the shop.")
            settled = await self._until("call_completed", runtime, worker)
            booked = settled.result
            found = f"{booked['reference']}, EUR {booked['amount']}"
            self.page.says(f"The shop finds it in its ledger by the call's key, {booked['key']}: {found}.")
            self._check(
                "Settled by what really happened: no second payment, and nobody had to step in.",
                settled.by == "reconcile" and len(shop.ledger()) == 1,
            )
            await self._answers(runtime, worker)

    async def accepts(self) -> None:
        """What follows a no."""
        self.page.title("3  Another worker goes on")
        async with Runtime(db=DB) as runtime:
            await self._answers(runtime, self._worker("refund_desk_rejected.json", "end"))

    async def _answers(self, runtime: Runtime, worker: Worker) -> None:
        answer = await self._until("session_completed", runtime, worker)
        self.page.says(f"The agent answers: {quoted(answer.output)}")
        self._ended(worker, "end with the session")

    # --- what is left ------------------------------------------------------------------------------------------

    async def sums_up(self, approved: bool) -> None:
        """The log, the ledger, and whether they agree. Raises Failed."""
        async with Runtime(db=DB) as runtime:
            await self._read(runtime)
            self.page.title("The session's log, and between its lines the worker processes")
            self.page.table(list(self._timeline()), quiet=lambda row: not row[0])
            self.page.title("The shop's ledger, which would have booked a second refund just the same")
            booked = shop.ledger()
            self.page.table([("booked", "reference", "order", "amount", "key"), *map(_line, booked)])
            self.page.title("In the end")
            self._check_ledger(booked, approved)
            last, head = await runtime.verify(SESSION)
            whole = self.log[-1].kind == "session_completed" and last == len(self.log)
            self._check(f"The session is complete, and its log of {last} events verifies (hash {head[:12]}).", whole)
        self.page.title("From here")
        self.page.table(
            [
                ("the agent", "functions/agents/refund_desk.py"),
                ("its session", f".venv/bin/onward events {SESSION} --db build/demo/onward.db"),
                ("your decision", "ASK=1 make demo"),
            ]
        )

    def _check_ledger(self, booked: Sequence[shop.Receipt], approved: bool) -> None:
        if not approved:
            self._check("A no is a no: nothing was paid.", not booked)
            return
        if [(line.order_id, line.amount) for line in booked] != [(ORDER, AMOUNT)]:
            raise Failed(f"The ledger should show one refund, EUR {AMOUNT} for {ORDER}. It has {len(booked)} in all.")
        self.page.proven(f"One refund of EUR {AMOUNT}, though the process that paid it died before it could tell.")

    def _timeline(self) -> Iterator[tuple[str, str, str, str]]:
        """The log's events, and between them what happened to the workers."""
        yield ("", "time", "what", "who")
        seen = list(self.seen)
        for event in self.log:
            while seen and seen[0][0] < event.at:
                yield _process(*seen.pop(0))
            what = textwrap.shorten(_told(event, self._tool), 50, placeholder=" ...")
            yield (f"{event.seq:2}", clock(event.at), what, _who(event))
        for at, what in seen:
            yield _process(at, what)

    # --- small tools -------------------------------------------------------------------------------------------

    def _worker(self, script: str, until: str) -> Worker:
        worker = Worker(len(self.workers) + 1, script, until)
        self.workers.append(worker)
        self._saw(f"{worker.name} starts, process {worker.id}")
        self.page.says(f"{worker.name.capitalize()} starts: process {worker.id}.")
        return worker

    def _ended(self, worker: Worker, what: str) -> None:
        if not worker.ends():
            raise worker.failed(what)
        self._saw(f"{worker.name} ends")
        self.page.says(f"{worker.name.capitalize()} has nothing left to do, and ends.")

    def _saw(self, what: str) -> None:
        self.seen.append((datetime.now(UTC), what))

    def _check(self, claim: str, holds: bool) -> None:
        if not holds:
            raise Failed(f"This does not hold: {claim}")
        self.page.proven(claim)

    async def _read(self, runtime: Runtime) -> None:
        async for event in runtime.events(SESSION, after=len(self.log)):
            self.log.append(event)

    async def _until(self, kind: str, runtime: Runtime, worker: Worker, due: datetime | None = None) -> Any:
        """What the next event of this kind says. The worker brings it about, if need be once it is due."""
        wait = (due - datetime.now(UTC)).total_seconds() if due else 0.0
        end = time.monotonic() + PATIENCE + wait
        while True:
            gone = worker.gone
            await self._read(runtime)
            for event in self.log[self.at :]:
                self.at = event.seq
                if event.kind == kind:
                    self.page.countdown(0)
                    return event.body
            if gone or time.monotonic() > end or self.log[-1].kind in ("session_parked", "session_failed"):
                raise worker.failed(f"bring about {kind} after {self.log[-1].kind}")
            self.page.countdown(end - PATIENCE - time.monotonic())
            await asyncio.sleep(0.05)

    def _last(self, kind: str) -> Any:
        return next(event.body for event in reversed(self.log) if event.kind == kind)

    def _tool(self, call: str) -> str:
        """The name of the tool of a call, which is named by the event that proposed it."""
        seq, _, index = call.partition(".")
        proposed: Any = self.log[int(seq) - 1].body
        return str(proposed.calls[int(index)].tool)


def _told(event: Event, tool: Callable[[str], str]) -> str:
    """An event in a few words."""
    body: Any = event.body
    if event.kind == "calls_proposed":
        calls = zip(body.calls, body.arguments, strict=True)
        return f"proposes {', '.join(written(call.tool, arguments) for call, arguments in calls)}"
    words: dict[str, Callable[[], str]] = {
        "session_started": lambda: f"message: {quoted(body.input)}",
        "model_answered": lambda: f"says {quoted(body.answer['text'])}",
        "approval_requested": lambda: f"{body.tool} waits for a person",
        "approval_decided": lambda: f"{tool(body.call)} {body.verdict}: {quoted(body.reason)}",
        "call_started": lambda: f"{tool(body.call)} started, not judged before {body.not_after.astimezone():%H:%M:%S}",
        "call_in_doubt": lambda: f"{tool(body.call)} in doubt",
        "call_completed": lambda: f"{tool(body.call)} done{', says the shop' if body.by == 'reconcile' else ''}",
        "session_completed": lambda: "session completed",
    }
    return words.get(event.kind, lambda: event.kind.replace("_", " "))()


def _who(event: Event) -> str:
    """Who made it happen."""
    actor = event.actor
    if actor.kind == "person":
        return actor.name
    return f"{actor.kind} {actor.name}".strip() if actor.kind != "engine" else "onward"


def _process(at: datetime, what: str) -> tuple[str, str, str, str]:
    return ("", clock(at), f"-- {what}", "")


def _line(booked: shop.Receipt) -> tuple[str, str, str, str, str]:
    return (clock(booked.booked_at), booked.reference, booked.order_id, f"EUR {booked.amount}", booked.key)


# --- running it ------------------------------------------------------------------------------------------------


@contextmanager
def stage() -> Iterator[None]:
    """A new, empty folder, which one demo at a time may have."""
    FOLDER.parent.mkdir(exist_ok=True)
    with FOLDER.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Failed("Another demo is running in this clone: wait for it to end.") from None
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir()
        yield


@contextmanager
def leaving_nobody_behind(workers: Sequence[Worker]) -> Iterator[None]:
    """However it ends, no worker outlives the demo."""
    try:
        yield
    finally:
        for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(name, signal.SIG_IGN)
        for worker in workers:
            worker.kill()


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def main(options: Sequence[str]) -> int:
    """0: every check held. 1: one did not. 130: interrupted."""
    if options[:1] == ["--worker"]:
        asyncio.run(work(*options[1:]))
        return 0
    signal.signal(signal.SIGTERM, interrupted)
    signal.signal(signal.SIGHUP, interrupted)
    for stream in (sys.stdin, sys.stdout):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    page = Page(sys.stdout)
    demo = Demo(page)
    try:
        with stage(), leaving_nobody_behind(demo.workers):
            demo.play(ask=os.environ.get("ASK", "") not in ("", "0"))
    except BrokenPipeError:  # whoever was reading has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (Failed, OnwardError, OSError) as exc:
        page.wrong(str(exc))
        return 1
    except KeyboardInterrupt:
        page.title("Stopped. No process was left behind.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
