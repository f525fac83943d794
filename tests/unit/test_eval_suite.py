"""Suite files, and what is wrong with some; results beside a baseline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from onward.errors import BadInput
from onward.evals import Baseline, CaseResult, Graded, Report, RunResult, Suite, Tolerance, report_doc
from onward.evals.baseline import compare
from onward.evals.cases import find
from onward.evals.reading import Spending

WHOLE = """
app = "desk.py"
sessions = ["sessions/*.jsonl"]
effects = "recorded"
at = 3
repeats = 2
parallel = 8
timeout = "30s"
prices = "prices.json"

[change]
model = "gemini-2.5-flash"
instructions_file = "new.md"

[baseline]
file = "base.json"
tolerance = {score = 0.1, pass_rate = 0.2, cost = 0.5}

[[score]]
kind = "calls"
match = "in_order"
calls = ["find_order", {tool = "refund", arguments = {amount = 3}}]

[[score]]
kind = "within"
tokens = 500

[[case]]
name = "sessions/large*"
at = 1
repeats = 5

[[case.score]]
kind = "calls"
match = "in_order"
threshold = 0.5

[[case.score]]
kind = "forbidden"
tools = ["refund"]
"""


def suite(directory: Path, text: str = WHOLE) -> Suite:
    path = directory / "desk.toml"
    path.write_text(text)
    return Suite.load(path)


def test_a_suite_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "new.md").write_text("Be brief.")
    found = suite(tmp_path)
    assert (found.name, found.directory, found.seconds, found.instructions()) == ("desk", tmp_path, 30, "Be brief.")
    assert [score.title for score in found.scores] == ["calls in_order", "within 500 tokens"]
    assert found.for_case("sessions/small")[:2] == (3, 2)


def test_a_case_has_its_own_where_it_says_so(tmp_path: Path) -> None:
    at, repeats, scores = suite(tmp_path).for_case("sessions/large-1")
    assert (at, repeats) == (1, 5)
    assert [(score.title, score.threshold) for score in scores] == [
        ("calls in_order", 0.5),
        ("within 500 tokens", 1.0),
        ("forbids refund", 1.0),
    ]


SHORT = 'app = "desk.py"\nsessions = ["*.jsonl"]\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sessions = [", "this is no TOML"),
        ('app = "desk.py"', "sessions: Field required"),
        ("sessions = []", "sessions: "),
        (SHORT + "speed = 3", "speed: a suite has no such field"),
        (SHORT + 'directory = "x"', "directory: a suite has no such field"),
        (SHORT + "scores = []", "scores: a suite has no such field"),
        (SHORT + 'effects = "live"', "effects: "),
        (SHORT + "repeats = 0", "repeats: "),
        (SHORT + 'repeats = "2"', "repeats: "),
        (SHORT + "parallel = 100", "parallel: "),
        (SHORT + "at = 0", "at: "),
        (SHORT + 'timeout = "soon"', "timeout: "),
        (SHORT + '[change]\nmodl = "x"', "change.modl: a suite has no such field"),
        (SHORT + '[change]\ninstructions = "a"\ninstructions_file = "b"', "change: instructions and"),
        (SHORT + '[[score]]\nkind = "speed"', "score[0]: "),
        (SHORT + '[[score]]\ntools = ["a"]', "score[0]: "),
        (SHORT + '[[score]]\nkind = "calls"\nthreshold = 2', "score[0].threshold: "),
        (SHORT + '[[score]]\nkind = "calls"\ncals = []', "score[0].cals: a suite has no such field"),
        (SHORT + '[[score]]\nkind = "arguments"\ntool = "a"', "score[0]: write equals"),
        (SHORT + '[[score]]\nkind = "calls"\n[[score]]\nkind = "calls"', "score[1].name: there are two scores"),
        (SHORT + "[[case]]\nrepeats = 2", "case[0].name: Field required"),
        (SHORT + '[[case]]\nname = "a"\n[[case.score]]\nkind = "forbidden"', "case[0].score[0].tools: Field required"),
        (SHORT + '[[case]]\nname = "a"\nscores = []', "case[0].scores: a suite has no such field"),
        (SHORT + "[baseline]\ntolerance = 3", "baseline."),
        (SHORT + '[baseline]\nfile = "b"\ntolerance = {score = -1}', "baseline.tolerance.score: "),
    ],
)
def test_what_is_wrong_with_a_suite_is_named(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        suite(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'desk.toml'}: {says}")


def test_a_suite_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="can't be read: No such file"):
        Suite.load(tmp_path / "none.toml")


@pytest.mark.parametrize(("text", "says"), [(None, "can't be read"), (" \n", "is empty")])
def test_instructions_that_are_not_there(text: str | None, says: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "new.md").write_text(text)
    with pytest.raises(BadInput, match=f"change.instructions_file: .*{says}"):
        suite(tmp_path).instructions()


def test_cases_are_files_and_named_after_them(tmp_path: Path) -> None:
    (tmp_path / "sessions").mkdir()
    (tmp_path / "suites").mkdir()
    for name in ("b", "a", "c.txt"):
        (tmp_path / "sessions" / (name if "." in name else f"{name}.jsonl")).write_text("")
    beside = Suite(sessions=("../sessions/*.jsonl", str(tmp_path / "sessions/a.*")), directory=tmp_path / "suites")
    assert [name for name, _ in find(beside)] == ["../sessions/a", "../sessions/b"]
    assert [name for name, _ in find(beside, "*/b")] == ["../sessions/b"]
    with pytest.raises(BadInput, match=r"case: none is called 'z'; there are \.\./sessions/a, \.\./sessions/b"):
        list(find(beside, "z"))
    with pytest.raises(BadInput, match=r"sessions\[0\]: there is no file x/\*"):
        list(find(Suite(sessions=("x/*",), directory=tmp_path)))


# --- baselines -------------------------------------------------------------------------------------------------


def run(case: str, *values: float, repeat: int = 1, cost: float | None = 0.01, error: str | None = None) -> RunResult:
    scores = {f"s{at}": Graded(value, value >= 0.5, "so") for at, value in enumerate(values)}
    return RunResult(case, repeat, "x", error=error, scores=scores, spent=Spending(cost, 10, 1, 1, 0.5))


def report(*runs: RunResult) -> Report:
    names = dict.fromkeys(each.case for each in runs)
    return Report("desk", {}, tuple(CaseResult(n, tuple(run for run in runs if run.case == n)) for n in names))


def test_repeats_are_a_rate_and_passing_them_all_is_another() -> None:
    found = report(run("a", 1.0), run("a", 0.0, repeat=2), run("b", 1.0), run("b", 1.0, repeat=2))
    assert [case.pass_rate for case in found.cases] == [0.5, 1.0]
    assert (found.pass_rate, found.pass_hat(1), found.pass_hat(2)) == (0.75, 0.75, 0.5)
    assert not found.ok
    assert report_doc(found)["totals"]["pass_hat"] == {"1": 0.75, "2": 0.5}


def test_pass_hat_is_told_from_all_runs() -> None:
    found = report(*(run("a", float(at < 3), repeat=at) for at in range(4)))
    assert found.pass_hat(2) == pytest.approx(3 / 6)
    assert found.pass_hat(4) == 0


def test_a_run_that_came_to_no_end_counts_as_nothing() -> None:
    (case,) = report(run("a", 1.0), run("a", repeat=2, error="it broke")).cases
    assert (case.scores, case.pass_rate) == ({"s0": 0.5}, 0.5)
    assert case.runs[1].reasons == ["it broke"]


def test_a_cost_that_is_not_known_is_not_nothing() -> None:
    found = report(run("a", 1.0, cost=None), run("a", 1.0, repeat=2))
    assert (found.cost, found.cases[0].cost) == (None, None)
    assert json.loads(json.dumps(report_doc(found)))["totals"]["cost"] is None


STRICT = Tolerance(cost=0)


def worse(now: Report, then: Report, tolerance: Tolerance = STRICT, **more: Any) -> list[tuple[str, str]]:
    return [(each.case, each.what) for each in compare(now, Baseline.of(then), tolerance, **more).worse]


def test_the_same_is_not_worse(tmp_path: Path) -> None:
    then = report(run("a", 1 / 3), run("a", 2 / 3, repeat=2), run("b", 1.0, cost=1e-9))
    Baseline.of(then).save(tmp_path / "base.json")
    kept = Baseline.load(tmp_path / "base.json")
    assert compare(then, kept, STRICT).worse == compare(then, kept, STRICT).better == ()
    assert kept == Baseline.of(then)


def test_a_baseline_is_a_stable_text(tmp_path: Path) -> None:
    for name, order in (("one", "ab"), ("two", "ba")):
        Baseline.of(report(*(run(case, 1.0) for case in order))).save(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert [file.name for file in sorted(tmp_path.iterdir())] == ["one", "two"]


def test_each_case_that_is_worse_is_named_with_what_is_worse() -> None:
    then = report(run("a", 1.0), run("b", 1.0, 0.9), run("c", 1.0))
    now = report(run("a", 0.4), run("b", 1.0, 0.7), run("c", 1.0, cost=0.02))
    assert worse(now, then) == [("a", "pass_rate"), ("a", "s0"), ("b", "s1"), ("c", "cost")]
    found = compare(now, Baseline.of(then), STRICT)
    assert (found.ok, found.worse[0].why) == (False, "s0: so")
    assert worse(now, then, Tolerance(score=0.6, pass_rate=1, cost=1)) == []


def test_better_is_told_and_fine() -> None:
    found = compare(report(run("a", 1.0, cost=0.005)), Baseline.of(report(run("a", 0.4))), STRICT)
    assert found.ok
    assert [each.what for each in found.better] == ["pass_rate", "s0", "cost"]


def test_what_is_missing_is_worse_unless_only_some_were_run() -> None:
    then, now = report(run("a", 1.0), run("b", 1.0)), report(run("a", 1.0))
    assert worse(now, then) == [("b", "missing")]
    assert worse(now, then, whole=False) == []
    assert worse(report(run("a")), report(run("a", 0.9))) == [("a", "s0")]
    assert worse(report(run("a", 1.0, cost=None)), report(run("a", 1.0))) == [("a", "cost")]


def test_a_new_case_is_to_pass() -> None:
    then = report(run("a", 1.0))
    assert worse(report(run("a", 1.0), run("b", 1.0)), then) == []
    assert worse(report(run("a", 1.0), run("b", 0.0)), then) == [("b", "new")]


@pytest.mark.parametrize("text", ["", "[]", '{"suite": "a"}', '{"suite": "a", "cases": {"a": {"pass_rate": 2}}}'])
def test_what_is_no_baseline_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "base.json").write_text(text)
    with pytest.raises(BadInput, match=r"baseline: .*base\.json is none"):
        Baseline.load(tmp_path / "base.json")
    with pytest.raises(BadInput, match="make it with --save-baseline"):
        Baseline.load(tmp_path / "other.json")
    with pytest.raises(BadInput, match="can't be written"):
        Baseline.of(report(run("a", 1.0))).save(tmp_path / "none" / "base.json")
