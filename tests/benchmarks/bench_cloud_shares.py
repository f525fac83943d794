"""Whose work a step is: the emulators', Google's client's, the HTTP server's, Onward's.

Processor time of processes is read from /proc. That of an instance is its main thread's, divided as the samples are
that were taken in it, and its other threads', which are gRPC's. Where there is no /proc nothing is said.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from emulators.cloud import Cloud
from tests.benchmarks.bench_cloud_load import Instances, Run

PROCESSES = Path("/proc")
NAMES = {
    "firestore": "Firestore's emulator",
    "pubsub": "Pub/Sub's emulator",
    "client": "Google's client",
    "onward": "Onward",
    "server": "HTTP server",
    "loop": "event loop",
}


def readable() -> bool:
    return (PROCESSES / "self" / "stat").exists()


def processor(port: str) -> float:
    """Seconds of processor time so far of the processes whose command names this port."""
    return sum(map(_seconds, filter(lambda process: _names(process, port), PROCESSES.glob("[0-9]*"))))


def _names(process: Path, port: str) -> bool:
    try:
        return f"--port={port}".encode() in (process / "cmdline").read_bytes()
    except OSError:
        return False  # it has ended meanwhile


def _seconds(process: Path) -> float:
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Shares:
    """Milliseconds of processor for one step by whose they are, and those of the benchmark, which are in none of them.
    `waiting` is the part of a step's time in which a request to a service is under way."""

    ms: Mapping[str, float]
    bench: float
    waiting: float
    run: Run

    @property
    def whole(self) -> float:
        return sum(self.ms.values())


def measured(cloud: Cloud, made: Instances, *, sessions: int, at_once: int, length: int) -> Shares:
    """Of one instance, with a run of its own."""
    ports = {"firestore": cloud.firestore.address, "pubsub": cloud.pubsub.address}
    before = {name: processor(address.rpartition(":")[2]) for name, address in ports.items()}
    own = time.process_time()
    run = made.run(1, sessions=sessions, at_once=at_once, length=length, sampling=True)
    own = time.process_time() - own
    seconds = {name: processor(address.rpartition(":")[2]) - before[name] for name, address in ports.items()}
    ms = {name: 1000 * value / run.steps for name, value in (seconds | divided(run)).items()}
    return Shares(ms, 1000 * own / run.steps, sum(run.waited.values()) / (run.seconds * at_once), run)


def divided(run: Run) -> dict[str, float]:
    """Seconds of the instance's processor, by whose work they were."""
    (note,) = run.notes
    used, samples = note["processor"], Counter(note["samples"])
    whole = samples.total() or 1
    found = {name: used["main"] * samples[name] / whole for name in ("client", "onward", "server", "loop")}
    found["client"] += used["process"] - used["main"]
    return found
