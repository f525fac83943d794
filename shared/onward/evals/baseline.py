"""What a suite's results are compared with: those of an earlier time, in a file that shows well what changed in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from onward.core.events import Value
from onward.errors import BadInput
from onward.evals.compared import Comparison, Difference
from onward.evals.report import CaseResult, Report
from onward.evals.suite import Tolerance

ROUNDED, ROUNDED_COST = 6e-5, 6e-9
"""What rounding may make of a number that is kept: less is no difference."""


class Kept(Value):
    """A case in the baseline."""

    pass_rate: float = Field(ge=0, le=1)
    scores: dict[str, float]
    cost: float | None = None


class Baseline(Value):
    """What the cases once came to, by name."""

    baseline: Literal[1] = 1
    suite: str
    cases: dict[str, Kept]

    @classmethod
    def of(cls, report: Report) -> Baseline:
        """What this report comes to."""
        return cls(suite=report.suite, cases={case.name: _kept(case) for case in report.cases})

    @classmethod
    def load(cls, path: Path) -> Baseline:
        """Raises BadInput, which names the file."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as exc:
            how = "" if path.exists() else "; make it with --save-baseline"
            raise BadInput(f"baseline: {path} can't be read: {exc.strerror or exc}{how}") from exc
        except ValidationError as exc:
            first = exc.errors(include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise BadInput(f"baseline: {path} is none: {place and place + ': '}{first['msg']}") from exc

    def save(self, path: Path) -> None:
        """Write it, whole or not at all. Raises BadInput."""
        text = json.dumps(self.model_dump(mode="json"), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        beside = path.with_name(f"{path.name}.new")
        try:
            beside.write_text(text, encoding="utf-8")
            beside.replace(path)
        except OSError as exc:
            raise BadInput(f"baseline: {path} can't be written: {exc.strerror or exc}") from exc


def _kept(case: CaseResult) -> Kept:
    scores = {name: round(value, 4) for name, value in case.scores.items()}
    return Kept(
        pass_rate=round(case.pass_rate, 4), scores=scores, cost=None if case.cost is None else round(case.cost, 8)
    )


def compare(report: Report, baseline: Baseline, tolerance: Tolerance, *, whole: bool = True) -> Comparison:
    """What is worse than in the baseline, by more than is tolerated, and what is better. A case that is missing is
    worse, where the suite was run `whole`; a new one, if it did not pass."""
    cases = {case.name: case for case in report.cases}
    worse, better = list[Difference](), list[Difference]()
    for name, kept in baseline.cases.items():
        if name in cases:
            _sort(list(_differences(cases[name], kept, tolerance)), worse, better)
        elif whole:
            worse.append(Difference(name, "missing", kept.pass_rate, None, "there is no such case any more"))
    new = [case for name, case in cases.items() if name not in baseline.cases]
    worse += [Difference(case.name, "new", None, case.pass_rate, _why(case)) for case in new if not case.passed]
    return Comparison(tuple(worse), tuple(better), tuple(case.name for case in new))


def _sort(found: Sequence[tuple[bool, Difference]], worse: list[Difference], better: list[Difference]) -> None:
    for is_worse, difference in found:
        (worse if is_worse else better).append(difference)


def _differences(case: CaseResult, kept: Kept, tolerance: Tolerance) -> Iterator[tuple[bool, Difference]]:
    """What is another by more than is tolerated, and whether for the worse."""
    found = [("pass_rate", kept.pass_rate, case.pass_rate, tolerance.pass_rate)]
    now = case.scores
    found += [(name, was, now.get(name, 0.0), tolerance.score) for name, was in kept.scores.items()]
    for what, was, is_now, most in found:
        if abs(was - is_now) > most + ROUNDED:
            yield is_now < was, Difference(case.name, what, was, is_now, _why(case, what) if is_now < was else "")
    if kept.cost is not None and case.cost is None:
        yield True, Difference(case.name, "cost", kept.cost, None, "the cost is not known any more")
    elif kept.cost is not None and case.cost is not None:
        yield from _cost(case, kept.cost, case.cost, tolerance.cost)


def _cost(case: CaseResult, was: float, now: float, share: float) -> Iterator[tuple[bool, Difference]]:
    if abs(now - was) > was * share + ROUNDED_COST:
        yield now > was, Difference(case.name, "cost", was, now)


def _why(case: CaseResult, score: str | None = None) -> str:
    """What was said against it, or by one score of its own."""
    said = [run.scores[score].reason for run in case.runs if score in run.scores] if score is not None else []
    reasons = said or [reason for run in case.runs for reason in run.reasons]
    return "; ".join(dict.fromkeys(reason for reason in reasons if reason))
