"""`make bench`: speed on the embedded store, beside raw SQLite doing the same commits in the same run.

Prints a table and writes bench-results/latest.json. `bench.py NAME ...` runs only rows whose names begin so; with
`--quick` following is measured with a fifth of the readers, and once.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from onward import Runtime  # noqa: E402
from onward.wiring import Policy  # noqa: E402
from tests.benchmarks import bench_branches, bench_follow, bench_workflows, flows  # noqa: E402
from tests.benchmarks.programs import RESULT, app  # noqa: E402

REPEATS = 3
SPACE = ROOT / "bench-results"
PEERS = json.loads((Path(__file__).parent / "peers.json").read_text())
Row = dict[str, Any]


@contextmanager
def fresh() -> Iterator[str]:
    """A database path on the disk of this checkout, never in memory."""
    with tempfile.TemporaryDirectory(dir=SPACE) as folder:
        yield str(Path(folder) / "onward.db")


def median(measure: Callable[[], float], repeats: int = REPEATS) -> Row:
    found = [measure() for _ in range(repeats)]
    return {"median": statistics.median(found), "min": min(found), "max": max(found), "n": repeats}


# --- throughput ------------------------------------------------------------------------------------------------


def sessions_per_second(program: str, input: int, sessions: int, at_once: int, steps_per_wake: int) -> float:
    async def main() -> float:
        with fresh() as db:
            of = flows.app if program == "flow" else app
            async with Runtime(of, db, policy=Policy(steps_per_wake=steps_per_wake)) as runtime:
                began = time.perf_counter()
                room = asyncio.Semaphore(at_once)

                async def one(number: int) -> None:
                    async with room:
                        await runtime.start(program, input, id=f"s{number}")
                        head = await runtime.wait(f"s{number}", ended=True)
                        assert head.status == "completed", head

                await asyncio.gather(*(one(number) for number in range(sessions)))
                return sessions / (time.perf_counter() - began)

    return asyncio.run(main())


def raw_steps() -> float:
    """One synced commit a step, of about what a step stores, through sqlite3 alone."""
    with fresh() as db:
        link = sqlite3.connect(db, isolation_level=None)
        link.execute("PRAGMA journal_mode=WAL")
        link.execute("PRAGMA synchronous=FULL")
        link.execute("CREATE TABLE commits (key TEXT, seq INTEGER, doc TEXT, PRIMARY KEY (key, seq)) WITHOUT ROWID")
        link.execute("CREATE TABLE heads (key TEXT PRIMARY KEY, doc TEXT)")
        link.execute("INSERT INTO heads VALUES ('s', '')")
        doc, began, count = RESULT * 7, time.perf_counter(), 1000
        for seq in range(count):
            link.execute("BEGIN IMMEDIATE")
            link.execute("INSERT INTO commits VALUES ('s', ?, ?)", (seq, doc))
            link.execute("UPDATE heads SET doc = ? WHERE key = 's'", (doc,))
            link.execute("COMMIT")
        rate = count / (time.perf_counter() - began)
        link.close()
        return rate


def sync_mode() -> str:
    """What the store itself commits with, read back inside a commit of its own."""
    names = {0: "OFF", 1: "NORMAL", 2: "FULL", 3: "EXTRA"}

    def read(link: sqlite3.Connection) -> str:
        journal, sync = (link.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous"))
        return f"journal_mode={journal}, synchronous={names[sync]}"

    async def main() -> str:
        with fresh() as db:
            async with Runtime(app, db) as runtime:
                database: Any = runtime.parts.backend
                return str(await database.database.write(read, durable=True))

    return asyncio.run(main())


def steps(sessions: int, at_once: int, per_wake: int, program: str = "chain") -> Row:
    length = 100
    return median(lambda: length * sessions_per_second(program, length, sessions, at_once, per_wake))


def flow(sessions: int, at_once: int, per_wake: int) -> Row:
    return steps(sessions, at_once, per_wake, "flow")


def agents(sessions: int, at_once: int, per_wake: int) -> Row:
    return median(lambda: sessions_per_second("support", 5, sessions, at_once, per_wake))


# --- from a start ----------------------------------------------------------------------------------------------


def child(*args: str, dies: bool = False) -> dict[str, float]:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "child.py"), *args], capture_output=True, env=env, text=True
    )
    if dies:
        assert done.returncode == -9, done.stderr
        return {}
    assert done.returncode == 0, done.stderr
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def resumed(size: int, figure: str, program: str = "chain") -> Row:
    def once() -> float:
        with fresh() as db:
            child("die", db, str(size), program, dies=True)
            began = time.perf_counter()
            found = child("resume", db, str(size), program)
            return (
                {**found, "with_process": time.perf_counter() - began}[figure] if figure == "whole" else found[figure]
            )

    return median(once)


def whole(*command: str) -> float:
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, *command],
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
    )
    return time.perf_counter() - began


def hello() -> Row:
    def once() -> float:
        with fresh() as db:
            return whole(str(Path(__file__).parent / "child.py"), "hello", db)

    return median(once, 5)


def imports() -> Row:
    def once() -> float:
        took = "import time; t = time.perf_counter(); {}; print(time.perf_counter() - t)"
        code = took.format("import onward; onward.Agent, onward.Runtime")
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        return float(done.stdout)

    return median(once, 5)


# --- at rest ---------------------------------------------------------------------------------------------------


def waiting(count: int = 1000) -> dict[str, Row]:
    """Sessions that wait: what each holds in memory, and how long it takes to signal and finish them all."""

    async def main() -> tuple[float, float]:
        with fresh() as db:
            async with Runtime(app, db, policy=Policy(cache=1)) as runtime:
                before = None
                for number in range(count):
                    await runtime.start("outside", 1, id=f"w{number}")
                    if number == count // 2:
                        before = (number, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
                for number in range(count):
                    await runtime.wait(f"w{number}")
                assert before is not None
                grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before[1]
                began = time.perf_counter()
                await asyncio.gather(*(finish(runtime, f"w{number}") for number in range(count)))
                return max(0.0, grown / (count - before[0])), time.perf_counter() - began

    found = [asyncio.run(main()) for _ in range(REPEATS)]
    return {"memory": _row([kib for kib, _ in found]), "signal": _row([seconds for _, seconds in found])}


async def finish(runtime: Runtime, id: str) -> None:
    state = await runtime.state(id)
    (call,) = state.calls
    await runtime.resolve(id, "done", call=call, result="done")
    await runtime.wait(id, ended=True)


def _row(found: list[float]) -> Row:
    return {"median": statistics.median(found), "min": min(found), "max": max(found), "n": len(found)}


def used(db: str) -> int:
    """Bytes of the pages in use, those still in the write-ahead log included."""
    with closing(sqlite3.connect(db)) as link:
        pages, free, size = (
            link.execute(f"PRAGMA {n}").fetchone()[0] for n in ("page_count", "freelist_count", "page_size")
        )
    return (pages - free) * size


def bytes_per_turn(turns: int) -> Row:
    """What the database file grows by, for each turn of an agent that calls a tool in it."""

    async def main() -> float:
        with fresh() as db:
            async with Runtime(app, db, policy=Policy(steps_per_wake=1000)) as runtime:
                empty = used(db)
                await runtime.start("support", turns, id="long")
                await runtime.wait("long", ended=True)
                return (used(db) - empty) / turns

    return median(lambda: asyncio.run(main()), 1)


def installed_size() -> Row:
    """The core and its dependencies in an environment of their own, without pip and setuptools."""
    with tempfile.TemporaryDirectory(dir=SPACE) as folder:
        target = Path(folder) / "site"
        command = [sys.executable, "-m", "pip", "install", "-q", "--no-compile", "--target", str(target), str(ROOT)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            return {"median": None, "note": "needs a package index"}
        size = sum(file.stat().st_size for file in target.rglob("*") if file.is_file())
    return {"median": size / 1e6, "min": size / 1e6, "max": size / 1e6, "n": 1}


# --- the run ---------------------------------------------------------------------------------------------------

MANY = 1000

ROWS: dict[str, tuple[str, str, str | None, Callable[[], Row]]] = {
    "raw": ("raw SQLite, one synced commit a step", "steps/s", None, lambda: median(raw_steps)),
    "steps_sequential": ("durable steps, one session at a time", "steps/s", ">= 1000", lambda: steps(10, 1, 1)),
    "steps_sequential_many": ("... many steps per wake", "steps/s", ">= 1000", lambda: steps(10, 1, MANY)),
    "steps_concurrent": ("durable steps, 32 sessions at once", "steps/s", ">= 3000", lambda: steps(64, 32, 1)),
    "steps_concurrent_many": ("... many steps per wake", "steps/s", ">= 3000", lambda: steps(64, 32, MANY)),
    "agent_sequential": (
        "agent of 5 turns with a call, one at a time",
        "sessions/s",
        ">= 60",
        lambda: agents(60, 1, 1),
    ),
    "agent_sequential_many": ("... many steps per wake", "sessions/s", ">= 60", lambda: agents(60, 1, MANY)),
    "agent_concurrent": ("the same, 32 at once", "sessions/s", ">= 180", lambda: agents(320, 32, 1)),
    "agent_concurrent_many": ("... many steps per wake", "sessions/s", ">= 180", lambda: agents(320, 32, MANY)),
    "resume_100": ("kill -9, then start to next step, 100 steps", "s", "<= 0.02", lambda: resumed(100, "seconds")),
    "resume_1000": ("... 1,000 steps", "s", "<= 0.02", lambda: resumed(1000, "seconds")),
    "resume_5000": ("... 5,000 steps", "s", "<= 0.02", lambda: resumed(5000, "seconds")),
    "resume_process_5000": ("... with process start and imports", "s", "<= 0.5", lambda: resumed(5000, "with_process")),
    "again_1000": ("finished steps run again after kill -9", "steps", "= 0", lambda: resumed(1000, "again")),
    "flow_sequential": ("a workflow's steps, one session at a time", "steps/s", ">= 1000", lambda: flow(10, 1, 1)),
    "flow_sequential_many": ("... many steps per wake", "steps/s", ">= 1000", lambda: flow(10, 1, MANY)),
    "flow_concurrent": ("a workflow's steps, 32 sessions at once", "steps/s", ">= 3000", lambda: flow(64, 32, 1)),
    "flow_concurrent_many": ("... many steps per wake", "steps/s", ">= 3000", lambda: flow(64, 32, MANY)),
    "flow_resume_100": (
        "a workflow: kill -9, then start to next step, 100 steps",
        "s",
        "<= 0.02",
        lambda: resumed(100, "seconds", "flow"),
    ),
    "flow_resume_1000": ("... 1,000 steps", "s", "<= 0.02", lambda: resumed(1000, "seconds", "flow")),
    "flow_resume_5000": ("... 5,000 steps", "s", None, lambda: resumed(5000, "seconds", "flow")),
    "flow_again_1000": (
        "its steps run again after kill -9",
        "steps",
        "= 0",
        lambda: resumed(1000, "again", "flow"),
    ),
    "import": ("import of onward, Agent and Runtime", "s", "<= 0.25", imports),
    "hello": ("hello world: a step in a fresh process and store", "s", "<= 0.6", hello),
    "bytes_10": ("stored bytes per agent turn, 10 turns", "bytes", "constant", lambda: bytes_per_turn(10)),
    "bytes_100": ("... 100 turns", "bytes", "constant", lambda: bytes_per_turn(100)),
    "bytes_500": ("... 500 turns", "bytes", "constant", lambda: bytes_per_turn(500)),
    "installed": ("installed size of the core, with dependencies", "MB", "<= 30", installed_size),
}
WAITING = {
    "memory_1000": ("memory per session that waits", "KiB", "= 0", "memory"),
    "signal_1000": ("1,000 waiting sessions: signal and finish all", "s", "<= 2", "signal"),
}


def main(wanted: list[str], quick: bool = False) -> None:
    SPACE.mkdir(exist_ok=True)
    results: dict[str, Row] = {}
    print(f"onward on {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {sync_mode()}")
    print(f"peers: {PEERS['date']}, {PEERS['machine']}; compare ratios, not days\n")
    for name, (label, unit, goal, measure) in ROWS.items():
        if not wanted or any(name.startswith(prefix) for prefix in wanted):
            show(name, label, unit, goal, measure(), results)
    if not wanted or any(name.startswith(prefix) for name in WAITING for prefix in wanted):
        found = waiting()
        for name, (label, unit, goal, figure) in WAITING.items():
            show(name, label, unit, goal, found[figure], results)
    if not wanted or any(name.startswith(prefix) for name in bench_follow.ROWS for prefix in wanted):
        readers, figures = bench_follow.measured(SPACE, quick)
        for name, (label, unit, goal) in bench_follow.ROWS.items():
            show(name, label.format(readers=readers), unit, goal, figures[name], results)
    if not wanted or any(name.startswith(prefix) for name in bench_branches.ROWS for prefix in wanted):
        measured = bench_branches.measured(SPACE)
        for name, (label, unit, goal) in bench_branches.ROWS.items():
            show(name, label, unit, goal, measured[name], results)
    if not wanted or any(name.startswith(prefix) for name in bench_workflows.ROWS for prefix in wanted):
        measured = bench_workflows.measured(SPACE)
        for name, (label, unit, goal) in bench_workflows.ROWS.items():
            show(name, label, unit, goal, measured[name], results)
    stamp = datetime.now(UTC).isoformat(timespec="seconds")
    (SPACE / "latest.json").write_text(json.dumps({"at": stamp, "results": results}, indent=1) + "\n")


def show(name: str, label: str, unit: str, goal: str | None, row: Row, results: dict[str, Row]) -> None:
    results[name] = {**row, "unit": unit, "goal": goal}
    value = row["median"]
    text = row.get("note", "") if value is None else f"{value:10.4g} {unit:10}"
    spread = f"({row['min']:.4g} - {row['max']:.4g}, n={row['n']})" if value is not None else ""
    raw = results.get("raw", {}).get("median")
    ratio = f"{value / raw:.2f} of raw" if raw and unit == "steps/s" and name != "raw" else ""
    peers = PEERS["rows"].get(name, {})
    best = (max if unit.endswith("/s") else min)(peers.items(), key=lambda item: item[1], default=None)
    peer = f"best peer {best[1]:g} ({best[0]})" if best else ""
    print(f"{label:58} {text:22} {spread:28} {goal or '':10} {ratio:13} {peer}".rstrip(), flush=True)


if __name__ == "__main__":
    main([name for name in sys.argv[1:] if name != "--quick"], "--quick" in sys.argv)
