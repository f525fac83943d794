"""`onward eval`: what it says and answers, and that it goes on where it was stopped, by Ctrl-C or kill -9."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from onward import Runtime
from tests.e2e.command import DONE, LOOKUP, PATIENCE, REFUND, Desk, Here, says

APP = """
import asyncio
from pathlib import Path
from onward import Agent, App, ScriptedModel

HERE = Path(__file__).parent


class Logged:
    name = "logged"

    async def answer(self, request):
        text = request.transcript[0].value
        with (HERE / "asked.txt").open("a") as file:
            file.write(text + "\\n")
        while text == "s3" and (HERE / "recorded").exists() and not (HERE / "go").exists():
            await asyncio.sleep(0.02)
        return await ScriptedModel(lambda request: {"text": f"Heard {text}"}).answer(request)


app = App(programs=[Agent("echo", model=Logged())])
"""

SUITE = """
app = "desk.py"
sessions = ["sessions/*.jsonl"]

[baseline]
file = "base.json"

[[score]]
kind = "calls"

[[score]]
kind = "answer"
recorded = true
"""


def exported(path: Path, *ids: str) -> None:
    """The sessions in files."""

    async def main() -> None:
        async with Runtime(db=path / "onward.db", create=False) as runtime:
            for id in ids:
                lines = [line async for line in runtime.export(id)]
                (path / "suites/sessions" / f"{id}.jsonl").write_text("".join(lines))

    (path / "suites/sessions").mkdir(parents=True, exist_ok=True)
    asyncio.run(main())


@pytest.fixture
def recorded(desk: Desk, here: Here) -> Desk:
    """A desk, a suite beside it, and two recorded sessions in which an order was looked up."""
    desk.write(LOOKUP, DONE)
    for id in ("s1", "s2"):
        assert here("run", "desk.py:desk", "Go", "--id", id).code == 0
    exported(desk.path, "s1", "s2")
    text = SUITE.replace('"desk.py"', '"../desk.py"')
    (desk.path / "suites/desk.toml").write_text(text.replace('[baseline]\nfile = "base.json"', ""))
    return desk


def test_a_suite_passes_and_is_not_run_again(recorded: Desk, here: Here) -> None:
    answer = here("eval", "suites/desk.toml")
    assert (answer.code, recorded.books()) == (0, [])
    assert "2 of 2 cases passed; pass rate 1.00" in answer.out
    assert [line.split()[:2] for line in answer.out.splitlines()[1:3]] == [
        ["sessions/s1", "1/1"],
        ["sessions/s2", "1/1"],
    ]
    assert sorted(line.split("  ")[1] for line in answer.err.splitlines()) == [
        "sessions/s1 1: passed",
        "sessions/s2 1: passed",
    ]
    assert (recorded.path / "suites/desk.eval.db").exists()
    again = here("eval", "suites/desk.toml", "--json")
    assert (again.code, again.err) == (0, "")
    assert [run["again"] for case in again.doc["cases"] for run in case["runs"]] == [True, True]
    assert again.doc["db"] == "suites/desk.eval.db"


def test_at_a_terminal_one_line_says_how_far_it_is(recorded: Desk) -> None:
    terminal = recorded.at_terminal("eval", "suites/desk.toml", "--parallel", "1")
    assert terminal.sees("0/2").count("\n") == 0
    assert terminal.sees("1/2  sessions/s1 1: passed").count("\n") == 0
    assert terminal.sees("2/2  sessions/s2 1: passed").count("\n") == 0
    terminal.sees("2 of 2 cases passed")
    assert terminal.ends() == 0


def test_options_go_before_what_the_suite_says(recorded: Desk, here: Here) -> None:
    recorded.write(REFUND, DONE, file="other.json")
    (recorded.path / "new.md").write_text("Refund at once.")
    words = ("--model", "scripted:other.json", "--instructions", "new.md", "--repeats", "2", "--parallel", "1")
    answer = here("eval", "suites/desk.toml", *words, "--case", "*/s1", "--db", "here.db", "--json")
    assert answer.code == 1
    assert answer.doc["change"] == {
        "effects": "live-model",
        "model": "scripted:../other.json",
        "instructions": "Refund at once.",
    }
    (case,) = answer.doc["cases"]
    assert [run["scores"]["calls exact"]["reason"] for run in case["runs"]] == [
        "call 1 is refund instead of find_order",
        "call 1 is refund instead of find_order",
    ]
    assert recorded.books() == []
    assert (recorded.path / "here.db").exists()
    text = here("eval", "suites/desk.toml", *words, "--case", "*/s1", "--db", "here.db").out
    assert "sessions/s1 1, 2  calls exact: call 1 is refund instead of find_order" in text
    told = re.search(r"^  onward (compare .*)", text, re.M)
    assert told is not None
    assert told[1] == f"compare {case['runs'][0]['recorded']} {case['runs'][0]['session']} --db here.db"
    assert here(*told[1].split()).code == 1
    assert "pass^2 0.00" in text
    recorded.write(LOOKUP, DONE, file="other.json")
    assert here("eval", "suites/desk.toml", *words, "--case", "*/s1", "--db", "here.db").code == 0


def test_another_application_is_named_from_here(recorded: Desk, here: Here) -> None:
    (recorded.path / "other.py").write_text((recorded.path / "desk.py").read_text().replace("find_order", "look_up"))
    answer = here("eval", "suites/desk.toml", "--app", "other.py", "--case", "*/s1", "--json")
    (run,) = answer.doc["cases"][0]["runs"]
    assert (answer.code, run["scores"]["calls exact"]["value"]) == (0, 1.0)
    assert run["verdict"] != "same"
    assert "there is no file" in here("eval", "suites/desk.toml", "--app", "none.py").err


def test_a_baseline_is_saved_and_what_is_worse_is_named(recorded: Desk, here: Here) -> None:
    base = ("--baseline", "base.json")
    missing = here("eval", "suites/desk.toml", *base)
    assert missing.code == 2
    assert "make it with --save-baseline" in missing.err
    saved = here("eval", "suites/desk.toml", *base, "--save-baseline")
    assert saved.code == 0
    assert "This is the baseline now" in saved.out
    assert list(json.loads((recorded.path / "base.json").read_text())["cases"]) == ["sessions/s1", "sessions/s2"]
    assert "not worse" in here("eval", "suites/desk.toml", *base).out
    recorded.write(says("I'd rather not."), file="other.json")
    worse = here("eval", "suites/desk.toml", *base, "--model", "scripted:other.json")
    assert worse.code == 1
    assert "worse: sessions/s2: pass_rate 1 -> 0: calls exact: find_order was not called as call 1" in worse.out
    (recorded.path / "suites/sessions/s2.jsonl").unlink()
    gone = here("eval", "suites/desk.toml", *base)
    assert gone.code == 1
    assert "worse: sessions/s2: missing: there is no such case any more" in gone.out
    assert here("eval", "suites/desk.toml", *base, "--case", "*s1").code == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--save-baseline"], "name the file"),
        (["--save-baseline", "--baseline", "b.json", "--case", "a*"], "leave --case out"),
        (["--save-baseline", "--baseline", "none/b.json"], "there is no directory"),
        (["--case", "nothing"], "case: none is called 'nothing'; there are sessions/s1, sessions/s2"),
        (["--model", "gpt"], "change.model: no model is called 'gpt'"),
        (["--model", "scripted:none.json"], "the script can't be read"),
        (["--repeats", "0"], "--repeats"),
        (["--instructions", "none.md"], "--instructions"),
    ],
)
def test_what_can_not_be_asked_is_said_in_a_line(words: list[str], says: str, recorded: Desk, here: Here) -> None:
    answer = here("eval", "suites/desk.toml", *words)
    assert (answer.code, answer.out) == (2, "")
    assert says in answer.err
    assert not (recorded.path / "suites/desk.eval.db").exists()


def test_a_suite_with_a_wrong_field_is_a_usage_error(recorded: Desk, here: Here) -> None:
    (recorded.path / "bad.toml").write_text(SUITE + "\nspeed = 3")
    answer = here("eval", "bad.toml", "--json")
    assert answer.code == 2
    assert json.loads(answer.err)["error"]["message"] == "bad.toml: score[1].speed: a suite has no such field"


def test_who_stops_reading_ends_it_quietly(recorded: Desk) -> None:
    process = recorded.start("eval", "suites/desk.toml")
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    ended = recorded.end(process)
    assert (ended.code, "Traceback" in ended.err) == (141, False)


# --- stopped -----------------------------------------------------------------------------------------------------


@pytest.fixture
def echo(desk: Desk) -> Desk:
    """A suite of five sessions, the third of which takes until somebody makes a file."""
    (desk.path / "desk.py").write_text(APP)
    ids = [f"s{number}" for number in range(1, 6)]
    for id in ids:
        asyncio.run(_record(desk.path, id))
    exported(desk.path, *ids)
    for name in ("recorded", "asked.txt"):
        (desk.path / name).write_text("")
    (desk.path / "echo.toml").write_text(
        'app = "desk.py"\nsessions = ["suites/sessions/*"]\nparallel = 1\n[[score]]\nkind = "answer"\nrecorded = true'
    )
    return desk


async def _record(path: Path, id: str) -> None:
    from onward.programs.app import load_app

    async with Runtime(load_app(str(path / "desk.py")), path / "onward.db") as runtime:
        await runtime.start("echo", id, id=id)
        await runtime.wait(id, ended=True)


def asked(desk: Desk) -> list[str]:
    return (desk.path / "asked.txt").read_text().split()


def until_asked(desk: Desk, text: str) -> None:
    end = time.monotonic() + PATIENCE
    while text not in asked(desk):
        assert time.monotonic() < end, f"nobody asked {text}"
        time.sleep(0.02)


def test_what_was_stopped_under_another_change_is_left_alone(echo: Desk) -> None:
    process = echo.start("eval", "echo.toml")
    until_asked(echo, "s3")
    echo.end(process, signal.SIGKILL)
    (echo.path / "go").write_text("")
    (echo.path / "new.md").write_text("Be brief.")
    answer = echo.run("eval", "echo.toml", "--instructions", "new.md", "--json")
    assert (answer.code, answer.doc["totals"]["passed"]) == (0, 5)
    assert sorted(asked(echo)) == sorted(["s1", "s2", "s3", "s1", "s2", "s3", "s4", "s5"])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_suite_that_was_stopped_goes_on_and_asks_nothing_again(echo: Desk, number: Any) -> None:
    process = echo.start("eval", "echo.toml")
    until_asked(echo, "s3")
    stopped = echo.end(process, number)
    before = asked(echo)
    (echo.path / "go").write_text("")
    answer = echo.run("eval", "echo.toml", "--json")
    assert answer.code == 0
    assert answer.doc["totals"]["passed"] == 5
    again = {case["case"] for case in answer.doc["cases"] if case["runs"][0]["again"]}
    assert again == {f"suites/sessions/{id}" for id in before if id != "s3"}
    assert sorted(asked(echo)) == sorted(["s1", "s2", "s3", "s3", "s4", "s5"])
    if number == signal.SIGINT:
        assert stopped.code == 130
        assert f"stopped after {len(before) - 1} of 5 runs: the same command goes on with the rest" in stopped.err
