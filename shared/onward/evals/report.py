"""What came of a suite: runs, the cases that they are of, and all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import comb
from typing import Any

from onward.evals.compared import Comparison
from onward.evals.reading import Spending

NOTHING = Spending(0.0, 0, 0, 0, 0.0)


@dataclass(frozen=True, slots=True)
class Graded:
    """What one score said of a run, and whether that is enough."""

    value: float
    passed: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RunResult:
    """One run. `error` is why it came to no end that could count; `session` is its branch in the eval store of
    `recorded`, and `again` says that it was there from before. `verdict` says in a line what it did otherwise than the
    recorded session; `judged` is what its judges took."""

    case: str
    repeat: int
    session: str | None = None
    recorded: str | None = None
    again: bool = False
    error: str | None = None
    scores: Mapping[str, Graded] = field(default_factory=dict)
    verdict: str | None = None
    spent: Spending = NOTHING
    judged: Spending = NOTHING

    @property
    def passed(self) -> bool:
        """Whether it came to an end, and every score is high enough."""
        return self.error is None and all(score.passed for score in self.scores.values())

    @property
    def reasons(self) -> list[str]:
        """Why it did not pass."""
        if self.error is not None:
            return [self.error]
        return [_reason(name, score) for name, score in self.scores.items() if not score.passed]


def _reason(name: str, score: Graded) -> str:
    return f"{name}: {score.reason}" if score.reason else f"{name}: {score.value:.2f}"


def _value(run: RunResult, name: str) -> float:
    return run.scores[name].value if name in run.scores else 0.0


@dataclass(frozen=True, slots=True)
class CaseResult:
    """A case: all of its runs. What it cost and took is that of one run, on average."""

    name: str
    runs: tuple[RunResult, ...]

    @property
    def passed(self) -> bool:
        """Whether every run passed."""
        return all(run.passed for run in self.runs)

    @property
    def passes(self) -> int:
        """How many of its runs passed."""
        return sum(run.passed for run in self.runs)

    @property
    def pass_rate(self) -> float:
        """The share of its runs that passed."""
        return self.passes / len(self.runs)

    @property
    def scores(self) -> dict[str, float]:
        """Each score's mean; a run that came to no end has none, which counts as 0."""
        names = dict.fromkeys(name for run in self.runs for name in run.scores)
        return {name: mean(_value(run, name) for run in self.runs) for name in names}

    @property
    def cost(self) -> float | None:
        """USD for a run; None where the cost of one is not known."""
        costs = [run.spent.cost for run in self.runs if run.spent.cost is not None]
        return mean(costs) if len(costs) == len(self.runs) else None

    @property
    def tokens(self) -> float:
        return mean(run.spent.tokens for run in self.runs)

    @property
    def turns(self) -> float:
        return mean(run.spent.turns for run in self.runs)

    @property
    def seconds(self) -> float:
        return mean(run.spent.seconds for run in self.runs)


@dataclass(frozen=True, slots=True)
class Report:
    """A suite's results. `compared` says what is worse and better than the baseline, if there is one."""

    suite: str
    change: Mapping[str, Any]
    cases: tuple[CaseResult, ...]
    compared: Comparison | None = None

    @property
    def ok(self) -> bool:
        """Whether every case passed; with a baseline, whether none is worse."""
        return self.compared.ok if self.compared is not None else all(case.passed for case in self.cases)

    @property
    def runs(self) -> Iterator[RunResult]:
        """Every run."""
        return (run for case in self.cases for run in case.runs)

    @property
    def pass_rate(self) -> float:
        """The mean of the cases'."""
        return mean(case.pass_rate for case in self.cases)

    @property
    def scores(self) -> dict[str, float]:
        """Each score's mean over the cases that have it."""
        names = dict.fromkeys(name for case in self.cases for name in case.scores)
        return {name: mean(case.scores[name] for case in self.cases if name in case.scores) for name in names}

    @property
    def repeats(self) -> int:
        """How many runs each case has at least."""
        return min((len(case.runs) for case in self.cases), default=0)

    def pass_hat(self, k: int) -> float:
        """pass^k: how likely it is that `k` runs of a case all pass, as the runs that there are tell."""
        told = [case for case in self.cases if len(case.runs) >= k]
        return mean(comb(case.passes, k) / comb(len(case.runs), k) for case in told)

    @property
    def cost(self) -> float | None:
        """USD for all runs, without judges; None where that of one is not known."""
        return total(run.spent.cost for run in self.runs)

    @property
    def judged_cost(self) -> float | None:
        """USD for all judges."""
        return total(run.judged.cost for run in self.runs)

    @property
    def tokens(self) -> int:
        """Of all runs, without judges."""
        return sum(run.spent.tokens for run in self.runs)


def mean(values: Iterable[float]) -> float:
    """0 of none."""
    found = list(values)
    return sum(found) / len(found) if found else 0.0


def total(values: Iterable[float | None]) -> float | None:
    """The sum; None where one is not known."""
    found = list(values)
    known = [value for value in found if value is not None]
    return sum(known) if len(known) == len(found) else None


# --- documents -------------------------------------------------------------------------------------------------


def report_doc(report: Report) -> dict[str, Any]:
    """The report for programs."""
    return {
        "suite": report.suite,
        "change": dict(report.change),
        "ok": report.ok,
        "cases": [_case_doc(case) for case in report.cases],
        "totals": {
            "cases": len(report.cases),
            "passed": sum(case.passed for case in report.cases),
            "pass_rate": _rounded(report.pass_rate),
            "pass_hat": {str(k): _rounded(report.pass_hat(k)) for k in range(1, report.repeats + 1)},
            "scores": {name: _rounded(value) for name, value in report.scores.items()},
            "cost": report.cost,
            "judges_cost": report.judged_cost,
            "tokens": report.tokens,
        },
        "baseline": None if report.compared is None else report.compared.doc(),
    }


def _case_doc(case: CaseResult) -> dict[str, Any]:
    return {
        "case": case.name,
        "passed": case.passed,
        "pass_rate": _rounded(case.pass_rate),
        "scores": {name: _rounded(value) for name, value in case.scores.items()},
        "cost": case.cost,
        "tokens": case.tokens,
        "turns": case.turns,
        "seconds": round(case.seconds, 3),
        "runs": [_run_doc(run) for run in case.runs],
    }


def _run_doc(run: RunResult) -> dict[str, Any]:
    scores = {
        name: {"value": _rounded(score.value), "passed": score.passed, "reason": score.reason}
        for name, score in run.scores.items()
    }
    return {
        "repeat": run.repeat,
        "session": run.session,
        "recorded": run.recorded,
        "again": run.again,
        "passed": run.passed,
        "error": run.error,
        "verdict": run.verdict,
        "scores": scores,
        "cost": run.spent.cost,
        "tokens": run.spent.tokens,
        "turns": run.spent.turns,
        "calls": run.spent.calls,
        "seconds": round(run.spent.seconds, 3),
        "judges": {"cost": run.judged.cost, "tokens": run.judged.tokens},
    }


def _rounded(value: float) -> float:
    return round(value, 6)
