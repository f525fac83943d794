"""Running a suite: in a store of its own, where nothing reaches the world but models, and which keeps what was done."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from onward.core.canonical import digest
from onward.core.comparing import compare as differs
from onward.core.head import Head, Wait
from onward.core.trajectory import trajectory
from onward.core.turns import Trajectory
from onward.errors import BadInput, OnwardError
from onward.evals.baseline import compare
from onward.evals.cases import Recorded, load
from onward.evals.facts import run_id
from onward.evals.inquest import Inquest
from onward.evals.plan import Plan
from onward.evals.reading import spending
from onward.evals.report import CaseResult, Graded, Report, RunResult
from onward.evals.resuming import taken_up
from onward.evals.scores import Help, Run, Scorer
from onward.evals.standins import Given
from onward.evals.suite import Suite
from onward.programs.app import App
from onward.runtime import Runtime
from onward.runtime.rerun import rerun
from onward.wiring import Policy

TENANT = "default"
"""Whose the runs are in an eval store, whoever's the recorded sessions were."""

HAIR = 1e-9
"""What a sum of fractions may lack of a threshold."""


@dataclass(frozen=True, slots=True)
class Progress:
    """So many runs are done; the newest is `result`, or None where they have just begun."""

    done: int
    total: int
    result: RunResult | None = None


Observe = Callable[[Progress], None]


def database(suite: Suite) -> Path:
    """Where a suite's runs are kept, if nobody says so."""
    return suite.file(f"{suite.name}.eval.db")


async def run_suite(
    suite: Suite,
    *,
    app: App | None = None,
    models: Given | None = None,
    db: Path | str | None = None,
    only: str = "*",
    observe: Observe | None = None,
) -> Report:
    """Run a suite, score what its runs did, and compare that with its baseline, if it has one.

    `app` is the application instead of the one that the suite names, `models` are models by the names that suite and
    application have for them. Sessions are run in the file `db`, beside the suite by default: what was done there
    before is not done again, so that a run that was stopped goes on. `only` is a glob of cases; `observe` hears of the
    beginning, and of each run that is done. A case that can't be run is one that failed. Raises
    BadInput for a suite that can't be.
    """
    plan = Plan.of(suite, app, models, only)
    async with Runtime(plan.bench, db or database(suite), policy=Policy(handover=0), only=()) as runtime:
        cases = await _Sitting(plan, runtime, observe or _nobody).cases()
    report = Report(suite.name, plan.change(), tuple(cases))
    if plan.baseline is None or suite.baseline is None:
        return report
    return replace(report, compared=compare(report, plan.baseline, suite.baseline.tolerance, whole=plan.whole))


def _nobody(progress: Progress) -> None:
    """Nobody looks on."""


@dataclass(frozen=True, slots=True)
class _Case:
    """A case whose session is in the store, as `id`."""

    recorded: Recorded
    id: str
    at: int | None
    scores: tuple[Scorer, ...]
    did: Trajectory


class _Sitting:
    """One go at a suite."""

    def __init__(self, plan: Plan, runtime: Runtime, observe: Observe) -> None:
        self._plan, self._runtime, self._observe = plan, runtime, observe
        self._slots = asyncio.Semaphore(plan.suite.parallel)
        self._reads = asyncio.Semaphore(plan.suite.parallel)
        self._total = sum(plan.suite.for_case(name)[1] for name, _ in plan.cases)
        self._done = 0
        self._began = runtime.parts.clock.now()

    async def cases(self) -> Iterable[CaseResult]:
        """Every case, run."""
        self._observe(Progress(0, self._total))
        return await asyncio.gather(*(self._case(name, path) for name, path in self._plan.cases))

    async def _case(self, name: str, path: Path) -> CaseResult:
        async with self._reads:
            at, repeats, scores = self._plan.suite.for_case(name)
            case = await self._taken_in(name, path, at, scores)
            runs = (self._run(case, name, repeat) for repeat in range(1, repeats + 1))
            return CaseResult(name, tuple(await asyncio.gather(*runs)))

    async def _taken_in(self, name: str, path: Path, at: int | None, scores: tuple[Scorer, ...]) -> _Case | str:
        """The case in the store, or why it can't be had."""
        recorded = await asyncio.to_thread(load, name, path)
        if isinstance(recorded, str):
            return recorded
        try:
            recorded.check(at)
            id = f"{recorded.slug}-{digest(recorded.identity)[:12]}"
            await self._runtime.parts.importer.put(recorded.export, TENANT, id)
            return _Case(recorded, id, at, scores, recorded.trajectory(self._plan.prices))
        except OnwardError as exc:
            return f"{exc.code}: {exc}"

    async def _run(self, case: _Case | str, name: str, repeat: int) -> RunResult:
        async with self._slots:
            result = RunResult(name, repeat, error=case) if isinstance(case, str) else await self._made(case, repeat)
        self._done += 1
        self._observe(Progress(self._done, self._total, result))
        return result

    async def _made(self, case: _Case, repeat: int) -> RunResult:
        facts = [*case.recorded.identity, case.at, *self._plan.facts(case.did.program)]
        branch, name = run_id(case.recorded.slug, facts, repeat), case.recorded.name
        try:
            self._runtime.take(branch)
            again = await taken_up(self._runtime, branch, self._began)
            error = _unfinished(await self._rerun(case, branch))
            return await self._scored(case, branch, RunResult(name, repeat, branch, case.id, again, error))
        except TimeoutError:
            error = f"it came to no end within {self._plan.suite.timeout}"
            return RunResult(name, repeat, branch, case.id, error=error)
        except OnwardError as exc:
            return RunResult(name, repeat, branch, case.id, error=f"{exc.code}: {exc}")

    async def _rerun(self, case: _Case, branch: str) -> Head:
        suite = self._plan.suite
        running = rerun(
            self._runtime,
            case.id,
            branch=branch,
            effects=suite.effects,
            model=suite.change.model,
            instructions=self._plan.instructions,
            at=case.at,
        )
        return await asyncio.wait_for(running, suite.seconds)

    async def _scored(self, case: _Case, branch: str, result: RunResult) -> RunResult:
        recording = await self._runtime.recording(branch)
        did = trajectory(recording, self._plan.prices)
        result = replace(result, spent=spending(did), verdict=differs(case.did, did).verdict)
        if result.error is not None:
            return result
        origin = recording.started.origin
        run = Run(result.case, result.repeat, did, case.did, origin.seq if origin else 1)
        inquest = Inquest(self._runtime, self._plan, branch)
        help = Help(self._plan.suite.directory, inquest.ask)
        scores = {scorer.title: await _graded(scorer, run, help) for scorer in case.scores}
        return replace(result, scores=scores, judged=inquest.spent)


async def _graded(scorer: Scorer, run: Run, help: Help) -> Graded:
    """A score; whatever it raises, somebody's own function perhaps, is a failed one."""
    try:
        found = scorer.score(run, help)
        score = await found if inspect.isawaitable(found) else found
    except (Exception, SystemExit) as exc:
        return Graded(0.0, False, str(exc) if isinstance(exc, BadInput) else f"{type(exc).__name__}: {exc}")
    return Graded(score.value, score.value >= scorer.threshold - HAIR, score.reason)


def _unfinished(head: Head) -> str | None:
    """Why a run came to no end that could count; a conversation is at its end when it waits for more."""
    if head.status == "completed" or (head.status == "waiting" and all(_for_more(wait) for wait in head.waits)):
        return None
    if head.error is not None:
        return f"{head.status.replace('_', ' ')}: {head.error.code}: {head.error.message}"
    waits = ", ".join(sorted({wait.kind for wait in head.waits}))
    return f"it is {head.status.replace('_', ' ')}{f', for {waits}, and nothing will come' if waits else ''}"


def _for_more(wait: Wait) -> bool:
    """Whether a conversation could go on; a workflow is in the middle of something."""
    return wait.kind == "input" and wait.call is None
