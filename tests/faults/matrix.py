"""The fault matrix: every scripted session, interrupted at every call to the outside, in every way.

First an undisturbed run counts and names the calls; then each call meets each fault that fits it, in a run of its own.
A process does nothing between two calls, so what happens before one happens after the one before it too: the longer
faults are made before a call only where that is an effect, or a commit that may be late. A long session's faults are
spread over its calls (`ENOUGH`), many more in `.ci/run`; FAULTS=all plays every one. On Firestore:
`matrix_on_firestore`.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from zlib import crc32

from onward.core.head import Head
from onward.core.lease import TTL
from onward.testing import faults
from onward.testing.faults import Delayed, Doubled, Plan, Process, Redelivered, Reordered
from onward.testing.runner import AutoClock
from onward.wiring import Policy
from tests.faults import scenarios_of_flows  # noqa: F401 - it registers its sessions
from tests.faults.invariants import Run, differences
from tests.faults.places import Memory, Sqlite
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.faults.world import World
from tests.ledger import Ledger

PATIENCE = 30.0
"""Real seconds after which a run hangs."""

SHM = Path("/dev/shm")
WHOLE = os.environ.get("EMULATORS") == "required"
EVERY = os.environ.get("FAULTS") == "all"
ENOUGH = 280 if WHOLE else 25
"""Runs of one session, in memory, where not all are played."""

SAMPLED = frozenset({1, 9})
"""Which occurrences of a fault at a kind of call are played on SQLite."""

_runs = itertools.count(1)


@dataclass(frozen=True)
class Kind:
    """A fault: what happens at the call (`make`, which may use the world), and at which calls it makes sense.

    `sweeping` lets a sweep look after what got lost; `late` redelivers what a dead process took after its lease only.
    """

    name: str
    make: Callable[[], faults.Fault]
    fits: Callable[[str], bool] = lambda name: True
    late: bool = False
    sweeping: bool = False
    error: bool = False

    def where_it_fits(self) -> faults.Fault:
        """The fault, but for a call that it does not fit: where a sweep looks after things, time passes otherwise, and
        the same number may be another call's."""
        make = self.make()

        async def fault(process: Process, name: str, act: faults.Act) -> Any:
            return await (make(process, name, act) if self.fits(name) else act())

        return fault


def _is_message(name: str) -> bool:
    return name in ("wakes.publish", "timers.arm")


def _is_effect(name: str) -> bool:
    return name.startswith(("model.", "tool."))


def _is_commit(name: str) -> bool:
    return name in faults.COMMITS


_READS = (
    "store.read",
    "store.pending",
    "store.commits",
    "store.list",
    "store.overdue",
    "blobs.get",
    "incarnations.read",
)


def _writes(name: str) -> bool:
    return name not in _READS


async def _visit(process: Process) -> None:
    await World.current.visit(process)


async def _dawdle(process: Process) -> None:
    World.current.clock.advance(TTL - 2)


async def _overtake(process: Process) -> None:
    await World.current.overtake(process)


async def _freeze(process: Process) -> None:
    World.current.clock.advance(400.0)
    await World.current.overtake(process)


async def _stop(process: Process) -> None:
    await World.current.stop(process)


KINDS = (
    Kind("killed before", lambda: faults.kill_before),
    Kind("killed after", lambda: faults.kill_after, _writes),
    Kind("killed after, found after the lease", lambda: faults.kill_after, _writes, late=True),
    Kind("error before", lambda: faults.error_before, error=True),
    Kind("error after", lambda: faults.error_after, _writes, error=True),
    Kind("applied late", lambda: faults.applied_late(1), _is_commit),
    Kind("applied later", lambda: faults.applied_late(2), _is_commit),
    Kind("slow before", lambda: faults.meanwhile_before(_dawdle), lambda name: name == "store.append"),
    Kind("slow after", lambda: faults.meanwhile_after(_dawdle), _is_commit),
    Kind("delivered twice", lambda: faults.twice, _is_message),
    Kind("lost, with the sweep", lambda: faults.lost, _is_message, sweeping=True),
    Kind("visited before", lambda: faults.meanwhile_before(_visit), _is_effect),
    Kind("visited after", lambda: faults.meanwhile_after(_visit)),
    Kind("visited, then killed", lambda: faults.meanwhile_then_kill(_visit)),
    Kind(
        "paused before", lambda: faults.meanwhile_before(_overtake), lambda name: _is_effect(name) or _is_commit(name)
    ),
    Kind("paused after", lambda: faults.meanwhile_after(_overtake)),
    Kind("frozen after", lambda: faults.meanwhile_after(_freeze), lambda name: name == "tool.invoke"),
    Kind("asked to stop before", lambda: faults.meanwhile_before(_stop), _is_effect),
    Kind("asked to stop after", lambda: faults.meanwhile_after(_stop)),
)

TRAVELS: dict[str, Callable[[Any], Any]] = {
    "every message doubled": Doubled,
    "every message late": lambda queue: Delayed(queue, 20.0),
    "newest message first": Reordered,
    "every acknowledgement lost once": Redelivered,
}


@dataclass
class Matrix:
    """What was run so far: (place, session) to its calls, and how often a call met a fault at each place."""

    calls: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    met: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    places: Counter[str] = field(default_factory=Counter)

    @property
    def runs(self) -> int:
        return self.places.total()

    def add(self, report: Report) -> None:
        self.calls[report.place, report.scenario] = report.calls
        self.met.update({(report.place, *pair): count for pair, count in report.met.items()})
        self.places[report.place] += report.runs

    def has_all(self, place: str) -> bool:
        """Whether each session had its part there."""
        return SCENARIOS.keys() == {session for other, session in self.calls if other == place}

    def missing(self, *places: str) -> list[str]:
        """Calls that some session makes there and that never met a fault at any of these places, with the fault."""
        made = {name for (place, _), names in self.calls.items() if place in places for name in names}
        pairs = [(name, kind.name) for name in sorted(made) for kind in KINDS if kind.fits(name)]
        return [f"{name}: {kind}" for name, kind in pairs if not any(self.met[place, name, kind] for place in places)]

    def __str__(self) -> str:
        sessions = {session for _, session in self.calls}
        calls = sum(map(len, self.calls.values()))
        names = len({name for names in self.calls.values() for name in names})
        where = ", ".join(f"{runs} on {place}" for place, runs in self.places.items())
        return (
            f"fault matrix: {calls} calls ({names} kinds of calls) x {len(KINDS)} faults x {len(sessions)} sessions: "
            f"{self.runs} runs ({where})"
        )


@dataclass
class Report:
    """What came of one session's part of the matrix."""

    place: str
    scenario: str
    calls: list[str]
    runs: int = 0
    met: Counter[tuple[str, str]] = field(default_factory=Counter)
    complaints: list[str] = field(default_factory=list)

    def count(self, call: str, kind: str, complaints: list[str]) -> None:
        self.runs += 1
        self.met[call, kind] += 1
        self.complaints += [f"{self.scenario}: {kind} at {call}: {complaint}" for complaint in complaints]


MATRIX = Matrix()


async def play(
    scenario: Scenario,
    ledger: Ledger,
    plan: Plan | None = None,
    *,
    place: Callable[[AutoClock], Any] = Memory,
    cache: int = 1000,
    **options: Any,
) -> Run:
    """One run of a scenario, to its end."""
    policy = Policy(scenario.steps_per_wake, cache=cache)
    name = f"{scenario.name}/{os.getpid()}/{next(_runs)}"
    world = World(scenario.app, ledger, name, plan, place=place, policy=policy, **options)
    try:
        await scenario.play(world)
        await world.rest(24 * 400)
        return await _left_behind(world)
    finally:
        await world.close()
        ledger.forget(name)


async def _left_behind(world: World) -> Run:
    head = await world.head()
    assert head is not None
    run = await _left_of(world, head)
    others = {other.id: await _left_of(world, other) for other in await world.heads() if other.key != head.key}
    named = _names(run.events)
    for id in sorted(others, key=len):  # a child's id is longer than its parent's
        named |= _names(others[id].events, named.get(id, id))
    return replace(
        run,
        ledger=world.outside.ledger.entries(world.outside.run),
        early=world.feed.early,
        needless=world.outside.needless,
        calls=world.plan.calls,
        others={named.get(id, id): other for id, other in others.items()},
    )


def _names(events: Sequence[Any], parent: str = "") -> dict[str, str]:
    """What each child's session is called here: by its number, or the name under which a workflow has it."""
    calls: dict[str, str] = {}
    named: dict[str, str] = {}
    generation = 0
    for event in events:
        generation += event.kind == "session_continued"
        if event.kind == "calls_proposed":
            own = {f"{event.seq}.{at}": f"{generation}/{op.name}" for at, op in enumerate(event.body.operations)}
            calls |= own
        elif event.kind == "child_started":
            number = calls.get(event.body.call, str(len(named)))
            named[event.body.session] = f"{parent} child {number}".strip()
    return named


async def _left_of(world: World, head: Head) -> Run:
    published = None if world.place.embedded else frozenset(world.feed.published[head.key])
    return Run(head, await world.commits(head.id), await world.events(head.id), published)


def undisturbed(scenario: Scenario, calm: Run) -> list[str]:
    """What is wrong with the run that all others are compared with."""
    ended = [] if calm.head.status == scenario.ends else [f"{scenario.name}: it is {calm.head.status} undisturbed"]
    return [*ended, *differences(calm, calm)]


def plays(calls: Sequence[str], certain: frozenset[str] = frozenset()) -> Iterator[tuple[int, Kind]]:
    """Every call (from 1) with every fault that fits it; calls that are certain to succeed meet no error."""
    for at, name in enumerate(calls, start=1):
        for kind in KINDS:
            if kind.fits(name) and not (name in certain and kind.error):
                yield at, kind


async def disturbed(scenario: Scenario, ledger: Ledger, calm: Run, at: int, kind: Kind, **options: Any) -> list[str]:
    """The complaints about one run whose `at`-th call meets this fault."""
    plan = Plan({at: kind.where_it_fits()})
    try:
        async with asyncio.timeout(PATIENCE):
            run = await play(scenario, ledger, plan, late=kind.late, sweeping=kind.sweeping, **options)
    except Exception as exc:
        return [f"{type(exc).__name__}: {exc}"]
    return differences(run, calm, scenario.ignore, lossy=kind.sweeping)


# --- in memory: every call, every fault ------------------------------------------------------------------------


def whole(name: str, address: str) -> Report:
    """One session's whole part of the matrix, in memory. Runs in a process of its own, beside others."""
    with quiet(), Ledger.at(address) as ledger:
        return asyncio.run(_whole(SCENARIOS[name], ledger))


async def _whole(scenario: Scenario, ledger: Ledger) -> Report:
    calm = await play(scenario, ledger)
    report = Report("memory", scenario.name, list(calm.calls), complaints=undisturbed(scenario, calm))
    for at, kind in chosen(report.calls):
        report.count(calm.calls[at - 1], kind.name, await disturbed(scenario, ledger, calm, at, kind))
    return report


RARE = frozenset({"blobs.forget", "store.clear", "store.delete", "store.erase"})
"""Calls that few sessions make: where not all is played, these are all the same."""


def chosen(calls: Sequence[str]) -> list[tuple[int, Kind]]:
    """All, or about as many as are enough, with every kind of fault and every call among them."""
    pairs = list(plays(calls))
    every = 1 if EVERY else 1 + len(pairs) // ENOUGH
    return [(at, kind) for at, kind in pairs if (at + KINDS.index(kind)) % every == 0 or calls[at - 1] in RARE]


# --- on SQLite: every kind of call, every fault ----------------------------------------------------------------


def sampled(part: int, parts: int, address: str) -> list[Report]:
    """Every fault at every kind of call, each in the first session that has it, and then in some others: this part."""
    with quiet(), Ledger.at(address) as ledger, tempfile.TemporaryDirectory(dir=SHM if SHM.is_dir() else None) as place:
        return asyncio.run(_sampled(part, parts, ledger, Path(place)))


async def _sampled(part: int, parts: int, ledger: Ledger, directory: Path) -> list[Report]:
    reports, seen = [], Counter[tuple[str, str]]()
    for scenario in SCENARIOS.values():
        calm = await play(scenario, ledger, place=_file(directory))
        report = Report("SQLite", scenario.name, list(calm.calls), complaints=undisturbed(scenario, calm))
        for at, kind in plays(report.calls, Sqlite.certain):
            call = calm.calls[at - 1]
            seen[call, kind.name] += 1
            one = f"{call}, {kind.name}, {seen[call, kind.name]}"
            if seen[call, kind.name] in SAMPLED and crc32(one.encode()) % parts == part:
                place = _file(directory, known=not kind.late)
                report.count(call, kind.name, await disturbed(scenario, ledger, calm, at, kind, place=place))
        reports.append(report)
    return reports


def _file(directory: Path, known: bool = True) -> Callable[[AutoClock], Any]:
    """A new file for each run."""
    path = directory / f"{next(_runs)}"
    path.mkdir()
    return lambda clock: Sqlite(path / "onward.db", clock, known)


@contextmanager
def quiet() -> Iterator[None]:
    """The engine warns of every fault it meets; thousands of them are no news."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
