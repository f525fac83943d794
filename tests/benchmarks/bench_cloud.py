"""`make bench-cloud`: speed and cost of a step on the emulators, with instances of `advance` as a deployment has them.

Prints a table and writes bench-results/cloud.json. `bench_cloud.py NAME ...` measures only rows whose names begin so;
`--quick` does all of it once and briefly.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from emulators import cloud_sdk  # noqa: E402
from emulators.cloud import Cloud  # noqa: E402
from tests.benchmarks import bench_cloud_commits as commits  # noqa: E402
from tests.benchmarks import bench_cloud_shares as shares  # noqa: E402
from tests.benchmarks import bench_cloud_times as times  # noqa: E402
from tests.benchmarks.bench_cloud_load import APP, EVENTS, MANY, WAKES, Instances, Run, instances, make_topics  # noqa: E402
from tests.benchmarks.bench_follow import followed  # noqa: E402

SPACE = ROOT / "bench-results"
LENGTH = 30
"""Steps of a session: few enough that its fold stays in its head."""

HOW = """Emulators of Firestore and Pub/Sub, and functions behind Google's functions framework, all on this machine.
Wakes are published to the emulator, and posted by the benchmark to the instances in turn: the emulator itself pushes
two at a time, a tenth of a second late. A step is one recorded result. Requests are counted where gRPC sends them.
Processor time of emulators is read from /proc; that of an instance is divided by samples of its main thread, and its
other threads are the client's.
"""
Row = dict[str, Any]


class Amount(NamedTuple):
    """How much is measured: rounds, sessions in turn, commits of a chain, messages, starts."""

    rounds: int = 3
    sessions: int = 4
    commits: int = 100
    messages: int = 20
    starts: int = 7


READERS = 100
"""Who follow one session."""

QUICK = Amount(rounds=1, sessions=2, commits=20, messages=5, starts=2)


def row_of(found: Sequence[float]) -> Row:
    return {"median": statistics.median(found), "min": min(found), "max": max(found), "n": len(found)}


class Bench:
    """Measures, and prints as it goes. Each group of rows has emulators of its own: they keep whatever was written, and
    with time do little else."""

    def __init__(self, amount: Amount) -> None:
        self.amount = amount
        self.results: dict[str, Row] = {}
        self._open = ExitStack()

    def close(self) -> None:
        self._open.close()

    def _begin(self) -> None:
        self.close()
        self.cloud = self._open.enter_context(Cloud(APP, sweep_every=3600))
        make_topics(self.cloud)
        self._made: Instances | None = None

    def _instances(self, per_wake: int) -> Instances:
        """Two, which have seen some load before any of it is measured."""
        if self._made is None:
            self._made = self._open.enter_context(instances(self.cloud, 2, per_wake))
            self._made.run(2, sessions=32, at_once=32, length=LENGTH)
        return self._made

    def _sessions(self, at_once: int) -> int:
        """How many are played in one round."""
        return max(4, at_once * self.amount.sessions // (2 if at_once > 8 else 1))

    # --- steps -------------------------------------------------------------------------------------------------

    def steps(self, at_once: int, count: int, per_wake: int, name: str) -> None:
        sessions, made = self._sessions(at_once), self._instances(per_wake)
        runs = [made.run(count, sessions=sessions, at_once=at_once, length=LENGTH) for _ in range(self.amount.rounds)]
        requests = statistics.median(sum(run.requests.values()) / run.steps for run in runs)
        row = row_of([run.rate for run in runs])
        row |= {"requests": requests, "by_method": _by_method(runs[-1])}
        label = f"{at_once} session{'s' if at_once > 1 else ''} at once, {count} instance{'s' if count > 1 else ''}"
        one = self.results.get(name.replace(f"x{count}", "x1"), row)
        more = f"{requests:5.2f} requests a step" + (f"   {row['median'] / one['median']:.2f} of one" * (count > 1))
        self.show(name, f"steps: {label}{_many(per_wake)}", "steps/s", row, more)

    # --- shares ------------------------------------------------------------------------------------------------

    def shares(self, at_once: int, per_wake: int, name: str) -> None:
        if not shares.readable():
            return print(f"{name}: not here: it needs /proc")
        asked = {"sessions": self._sessions(at_once), "at_once": at_once, "length": LENGTH}
        found = [shares.measured(self.cloud, self._instances(per_wake), **asked) for _ in range(self.amount.rounds)]
        row = row_of([one.whole for one in found])
        row["ms"] = {part: statistics.median(one.ms[part] for one in found) for part in shares.NAMES}
        row["bench_ms"] = statistics.median(one.bench for one in found)
        row["waiting"] = statistics.median(one.waiting for one in found)
        self.show(name, f"processor of a step: {at_once} at once, 1 instance{_many(per_wake)}", "ms", row)
        whole = sum(row["ms"].values())
        for part, ms in row["ms"].items():
            print(f"    {shares.NAMES[part]:22} {ms:8.2f} ms {ms / whole:7.0%}")
        if at_once == 1:
            print(f"    {row['waiting']:.0%} of a step's time it waits for an answer of a service")

    # --- messages, starts, commits -----------------------------------------------------------------------------

    def messages(self, name: str) -> None:
        times.delays(self.cloud, "post", 2)
        for way, said in (("publish", "published, pushed by the emulator"), ("post", "posted to the function")):
            starts, inputs = times.delays(self.cloud, way, self.amount.messages)
            for what, seconds in (("start", starts), ("input", inputs)):
                row = row_of([1000 * second for second in seconds])
                row["p90"] = _p90(seconds)
                label = f"from {what} to its event: {said}"
                self.show(f"{name}_{way}_{what}", label, "ms", row, f"p90 {row['p90']:.4g}")

    def starts(self, name: str) -> None:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            found = [times.cold(self.cloud, Path(folder)) for _ in range(self.amount.starts)]
        self.show(
            f"{name}_listens", "start of advance: until it listens", "s", row_of([one.listening for one in found])
        )
        row = row_of([one.answered for one in found]) | {"goal": "<= 1", "modules": found[-1].modules}
        more = f"<= 1   {found[-1].modules} modules"
        self.show(f"{name}_answers", "start of advance: until it has answered, a step made", "s", row, more)

    def commits(self, name: str) -> None:
        found: dict[str, list[commits.Cost]] = {way: [] for way in commits.WAYS}
        for way in found:
            commits.cost(self.cloud, way, "first", self.amount.commits)
        for number in range(self.amount.rounds):
            for way, costs in found.items():
                costs.append(commits.cost(self.cloud, way, f"{way}-{number}", self.amount.commits))
        ours = statistics.median(cost.ms for cost in found["onward"])
        for way, costs in found.items():
            row = row_of([cost.ms for cost in costs]) | {"rate": statistics.median(cost.rate for cost in costs)}
            more = f"{row['rate']:5.0f} commits/s   {row['median'] / ours:.2f} of Onward's"
            self.show(f"{name}_{way}", f"processor of a commit, 32 at once: {commits.NAMES[way]}", "ms", row, more)

    def follow(self, name: str) -> None:
        """On Firestore a watched session is read once a second, so that is what a reader waits for."""
        environment = self.cloud.environment | {"ONWARD_SESSIONS_TOPIC": WAKES, "ONWARD_EVENTS_TOPIC": EVENTS}
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            play = partial(followed, Path(folder), 1, every=0.73, times=4 * self.amount.messages, cloud=environment)
            found = {readers: asyncio.run(play(readers)) for readers in (1, READERS)}
        for readers, figures in found.items():
            row = row_of([figures["median"]]) | figures
            more = f"p99 {row['p99']:.4g}   {row['idle']:.3g} reads/s while nothing happens"
            self.show(f"{name}_{readers}", f"from commit to reader: {readers} of one session", "ms", row, more)

    # --- the run -----------------------------------------------------------------------------------------------

    def rows(self) -> Iterator[tuple[str, str, Callable[[str], None]]]:
        """What can be measured: group, name, and how."""
        for per_wake, kind in ((1, ""), (MANY, "many_")):
            for at_once in (1, 8, 32):
                group = f"{kind}{at_once if self.amount.rounds > 1 else ''}"
                for count in (1, 2):
                    yield group, f"steps_{kind}{at_once}x{count}", partial(self.steps, at_once, count, per_wake)
                if at_once != 8:
                    yield group, f"shares_{kind}{at_once}", partial(self.shares, at_once, per_wake)
        others = (("event", self.messages), ("cold", self.starts), ("commit", self.commits), ("follow", self.follow))
        for name, measure in others:
            yield "others", name, measure

    def run(self, wanted: Sequence[str]) -> None:
        begun = None
        for group, name, measure in self.rows():
            if not wanted or any(name.startswith(prefix) for prefix in wanted):
                if group != begun:
                    self._begin()
                    begun = group
                measure(name)

    def show(self, name: str, label: str, unit: str, row: Row, more: str = "") -> None:
        self.results[name] = {**row, "unit": unit}
        spread = f"({row['min']:.4g} - {row['max']:.4g}, n={row['n']})"
        print(f"{label:66} {row['median']:8.4g} {unit:8} {spread:26} {more}".rstrip(), flush=True)


def _p90(seconds: Sequence[float]) -> float:
    return 1000 * statistics.quantiles(seconds, n=10, method="inclusive")[-1]


def _many(per_wake: int) -> str:
    return "" if per_wake == 1 else ", many steps per wake"


def _by_method(run: Run) -> dict[str, float]:
    return {name: count / run.steps for name, count in sorted(run.requests.items())}


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Speed and cost of a step on the emulators.")
    parser.add_argument("--quick", action="store_true", help="once and briefly")
    parser.add_argument("names", nargs="*", help="rows whose names begin so; all if none is given")
    asked = parser.parse_args(arguments)
    print(f"onward on {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n{HOW}")
    bench = Bench(QUICK if asked.quick else Amount())
    try:
        with closing(bench):
            bench.run(asked.names)
    except (cloud_sdk.Missing, cloud_sdk.Failed) as exc:
        print(exc, file=sys.stderr)
        return 1
    finally:
        if bench.results:
            _write(bench.results)
    return 0


def _write(results: dict[str, Row]) -> None:
    SPACE.mkdir(exist_ok=True)
    stamp = datetime.now(UTC).isoformat(timespec="seconds")
    (SPACE / "cloud.json").write_text(json.dumps({"at": stamp, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
