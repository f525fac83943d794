"""`onward eval`: a suite with what the command line says instead, its progress, and its results for people."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onward.errors import BadInput
from onward.evals.baseline import Baseline
from onward.evals.compared import Comparison, Difference
from onward.evals.report import CaseResult, Report, RunResult, report_doc
from onward.evals.running import Progress, database, run_suite
from onward.evals.suite import Against, Suite, text_of
from onward.surfaces.answers import FAILED
from onward.surfaces.interrupts import Interrupts, interrupts
from onward.surfaces.output import Output
from onward.surfaces.text import Paper, brief, columns, cut, safe, table

SCRIPTED = "scripted:"
TITLE = 16
"""Characters of a score's name that head its column."""
MOST_SCORES = 4
"""Scores that have a column each."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says."""

    app: str | None = None
    model: str | None = None
    instructions: Path | None = None
    repeats: int | None = None
    parallel: int | None = None
    only: str = "*"
    db: Path | None = None
    baseline: Path | None = None
    save_baseline: bool = False


async def evaluate(file: Path, asked: Asked, output: Output) -> int:
    """Run a suite, and answer the exit code. Raises BadInput."""
    suite = _overridden(Suite.load(file), asked)
    saved_at = _saved_at(suite, asked)
    progress = _Progress(output)
    with interrupts() as stop:
        run = suite.changed(baseline=None) if saved_at else suite
        report = await _until_asked(stop, run_suite(run, db=asked.db, only=asked.only, observe=progress.take))
    progress.end()
    if report is None:
        progress.say(f"{progress.told}: the same command goes on with the rest")
        return stop.code
    if saved_at is not None:
        Baseline.of(report).save(saved_at)
    _tell(report, suite, asked.db or database(suite), saved_at, output)
    return 0 if report.ok or saved_at else FAILED


async def _until_asked(stop: Interrupts, work: Any) -> Report | None:
    """The report; None where somebody asked to stop before it was there."""
    running, asked = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({running, asked}, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            return None
        report: Report = running.result()
        return report
    finally:
        asked.cancel()


# --- what is said instead --------------------------------------------------------------------------------------


def _overridden(suite: Suite, asked: Asked) -> Suite:
    """The suite with what the command line says; files are named from where it is said."""
    change = suite.change.model_dump(exclude_unset=True)
    if asked.model is not None:
        change["model"] = _from_here(asked.model, suite.directory)
    if asked.instructions is not None:
        change.pop("instructions_file", None)
        change["instructions"] = text_of(asked.instructions, "--instructions")
    fields: dict[str, Any] = {"change": change}
    if asked.app is not None:
        fields["app"] = _app_from_here(asked.app, suite.directory)
    fields |= {name: value for name in ("repeats", "parallel") if (value := getattr(asked, name)) is not None}
    if asked.repeats is not None:
        fields["cases"] = [_without_repeats(case.model_dump(exclude_unset=True)) for case in suite.cases]
    if asked.baseline is not None:
        before = suite.baseline.model_dump(exclude_unset=True) if suite.baseline else {}
        fields["baseline"] = before | {"file": str(asked.baseline.absolute())}
    return suite.changed(**fields)


def _without_repeats(case: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in case.items() if name != "repeats"}


def _app_from_here(app: str, directory: Path) -> str:
    """An application's name, its file named from the suite."""
    file, colon, attribute = app.partition(":")
    return f"{_seen(file, directory) if file.endswith('.py') else file}{colon}{attribute}"


def _seen(file: str, directory: Path) -> str:
    return Path(os.path.relpath(file, directory)).as_posix()


def _from_here(model: str, directory: Path) -> str:
    """A model's name, its script named from the suite."""
    if not model.startswith(SCRIPTED):
        return model
    return SCRIPTED + _seen(model.removeprefix(SCRIPTED), directory)


def _saved_at(suite: Suite, asked: Asked) -> Path | None:
    if not asked.save_baseline:
        return None
    if asked.only != "*":
        raise BadInput("--save-baseline: a baseline is of all cases: leave --case out")
    if suite.baseline is None:
        raise BadInput("--save-baseline: name the file: --baseline FILE, or [baseline] file in the suite")
    path = suite.file(suite.baseline.file)
    if not path.parent.is_dir():
        raise BadInput(f"--save-baseline: there is no directory {path.parent}")
    return path


# --- progress --------------------------------------------------------------------------------------------------


class _Progress:
    """What is said on standard error meanwhile: on a terminal one line, which changes; else a line for each run."""

    def __init__(self, output: Output) -> None:
        self._terminal = sys.stderr.isatty()
        self._silent = output.json and not self._terminal
        self.told = "stopped before a run was done"

    def take(self, progress: Progress) -> None:
        """It goes on."""
        self.told = f"stopped after {progress.done} of {progress.total} runs"
        text = f"{progress.done}/{progress.total}  {_done(progress.result)}"
        if self._terminal:
            sys.stderr.write(f"\r\x1b[K{cut(text, 78)}")
        elif not self._silent and progress.result is not None:
            sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def end(self) -> None:
        """Clear the line that changed."""
        if self._terminal:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def say(self, text: str) -> None:
        sys.stderr.write(f"onward: {text}\n")


def _done(run: RunResult | None) -> str:
    if run is None:
        return "..."
    how = "passed" if run.passed else "failed"
    return f"{safe(run.case)} {run.repeat}: {how}{' before' if run.again else ''}"


# --- results ---------------------------------------------------------------------------------------------------


def _tell(report: Report, suite: Suite, db: Path, saved_at: Path | None, output: Output) -> None:
    if output.json:
        return output.doc(report_doc(report) | {"db": str(db), "saved_baseline": saved_at and str(saved_at)})
    output.lines(_cases_table(report, output.paper))
    output.lines(_failures(report, db, output.paper))
    output.lines(["", *_totals(report)])
    output.lines(_verdict(report, suite, saved_at, output.paper))


def _cases_table(report: Report, paper: Paper) -> list[str]:
    scores = list(report.scores)
    if len(scores) > MOST_SCORES or not _fits(report, scores, paper):
        head = ("CASE", "PASSED", "SCORE", "USD", "TOKENS", "TURNS", "")
        return table(head, [_row(case, [_mean(case)], paper) for case in report.cases], paper)
    titles = [cut(safe(name).upper(), TITLE) for name in scores]
    rows = [_row(case, [_number(case.scores.get(name)) for name in scores], paper) for case in report.cases]
    return table(("CASE", "PASSED", *titles, "USD", "TOKENS", "TURNS", ""), rows, paper)


def _fits(report: Report, scores: list[str], paper: Paper) -> bool:
    names = max(columns(safe(case.name)) for case in report.cases)
    return names + sum(min(TITLE, columns(name)) + 2 for name in scores) + 50 <= paper.width


def _row(case: CaseResult, scores: list[str], paper: Paper) -> tuple[str, ...]:
    passed = f"{case.passes}/{len(case.runs)}"
    verdict = paper.tint("pass", "good") if case.passed else paper.tint("FAIL", "bad")
    return (safe(case.name), passed, *scores, _usd(case.cost), f"{case.tokens:,.0f}", f"{case.turns:g}"[:5], verdict)


def _mean(case: CaseResult) -> str:
    found = list(case.scores.values())
    return _number(sum(found) / len(found) if found else None)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _usd(cost: float | None) -> str:
    return "unknown" if cost is None else f"{cost:.6f}"


def _failures(report: Report, db: Path, paper: Paper) -> Iterator[str]:
    failed = [run for run in report.runs if not run.passed]
    if failed:
        yield ""
    repeats = dict[tuple[str, str], list[int]]()
    for run in failed:
        repeats.setdefault((run.case, "; ".join(run.reasons)), []).append(run.repeat)
    for (case, why), numbers in repeats.items():
        yield f"{safe(case)} {', '.join(map(str, numbers))}  {brief(safe(why), max(60, paper.width))}"
    shown = next((run for run in failed if run.session is not None), None)
    if shown is not None:
        yield f"  onward compare {shown.recorded} {shown.session} --db {db}"


def _totals(report: Report) -> Iterator[str]:
    passed = sum(case.passed for case in report.cases)
    rates = f"pass rate {report.pass_rate:.2f}"
    if report.repeats > 1:
        rates += f", pass^{report.repeats} {report.pass_hat(report.repeats):.2f}"
    yield f"{passed} of {_many(len(report.cases), 'case')} passed; {rates}"
    if report.scores:
        yield f"Scores: {', '.join(f'{safe(name)} {value:.2f}' for name, value in report.scores.items())}"
    judges = f", and judges {_usd(report.judged_cost)} USD" if any(run.judged.turns for run in report.runs) else ""
    yield f"{_usd(report.cost)} USD, {report.tokens:,} tokens{judges}"
    again = sum(run.again for run in report.runs)
    if again:
        yield f"{_many(again, 'run')} of {sum(1 for _ in report.runs)} were made before and are not made again"


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _verdict(report: Report, suite: Suite, saved_at: Path | None, paper: Paper) -> Iterator[str]:
    if saved_at is not None:
        yield f"This is the baseline now: {saved_at}"
    elif report.compared is not None and suite.baseline is not None:
        yield from _against(report.compared, suite.baseline, paper)


def _against(compared: Comparison, baseline: Against, paper: Paper) -> Iterator[str]:
    verdict = paper.tint("not worse", "good") if compared.ok else paper.tint("WORSE", "bad")
    yield f"Baseline {baseline.file}: {verdict}"
    for title, found in (("worse", compared.worse), ("better", compared.better)):
        yield from (f"  {title}: {_difference(each, paper)}" for each in found)
    if compared.new:
        yield f"  new: {', '.join(map(safe, compared.new))}"


def _difference(each: Difference, paper: Paper) -> str:
    numbers = "" if each.what in ("missing", "new") else f" {_value(each.was)} -> {_value(each.now)}"
    why = f": {safe(each.why)}" if each.why else ""
    return brief(f"{safe(each.case)}: {safe(each.what)}{numbers}{why}", max(60, paper.width))


def _value(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
