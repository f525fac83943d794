"""Suites: recorded sessions that are run again with a change, and scored.

Everything happens in a file of its own. No call reaches the world there: calls are answered from the record.
"""

from onward.evals.answers import Answer
from onward.evals.baseline import Baseline
from onward.evals.calls import Arguments, Calls, Forbidden, Required, Wanted
from onward.evals.functions import Function
from onward.evals.judges import Judge
from onward.evals.report import CaseResult, Graded, Report, RunResult, report_doc
from onward.evals.running import Progress, database, run_suite
from onward.evals.scores import Run, Score, Scorer
from onward.evals.spending import Within
from onward.evals.suite import Against, Case, Change, Suite, Tolerance

__all__ = [
    "Against",
    "Answer",
    "Arguments",
    "Baseline",
    "Calls",
    "Case",
    "CaseResult",
    "Change",
    "Forbidden",
    "Function",
    "Graded",
    "Judge",
    "Progress",
    "Report",
    "Required",
    "Run",
    "RunResult",
    "Score",
    "Scorer",
    "Suite",
    "Tolerance",
    "Wanted",
    "Within",
    "database",
    "report_doc",
    "run_suite",
]
