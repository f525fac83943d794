"""Inputs that a workflow waits for by their names."""

from __future__ import annotations

import pytest

from tests.e2e.command import Desk, Here

APP = "waits.py"
FILE = """
from onward import App
from tests.waiting import Amount, waiting

app = App(programs=[waiting(("paid", Amount), ("note", str), (None, None))])
"""


STARTS = """
from onward import App, Context, workflow
from tests.waiting import Amount


@workflow
async def sums(ctx: Context, sum: Amount) -> int:
    return sum.amount


@workflow
async def bare(ctx: Context) -> str:
    return "done"


app = App(programs=[sums, bare])
"""


@pytest.fixture
def waits(desk: Desk, here: Here) -> Here:
    (desk.path / APP).write_text(FILE)
    ran = here("run", APP, "Go", "--id", "s1")
    assert ran.code == 0
    assert "Waits for the input paid" in ran.out
    return here


def test_a_session_says_which_input_it_waits_for_and_takes_it(waits: Here) -> None:
    assert "waiting: input paid" in waits("list").out
    assert "onward send s1 --name paid --value JSON" in waits("show", "s1").out
    sent = waits("send", "s1", "--name", "paid", "--value", '{"amount": 5}')
    assert (sent.code, "input paid by ann" in sent.out) == (0, True)
    assert waits("send", "s1", "Fine.", "--name", "note").code == 0
    done = waits("run", APP, "--id", "s1")
    assert "Waits for an input" in done.out
    assert "paid, by ann" in done.out
    assert waits("send", "s1", "--value", "null").code == 0
    ended = waits("run", APP, "--id", "s1", "--json").docs[-1]
    assert (ended["status"], ended["output"]) == ("completed", [{"amount": 5}, "Fine.", None])


def test_g15_what_is_not_of_the_form_that_is_waited_for_is_refused_at_once(waits: Here) -> None:
    before = waits("events", "s1", "--json").out
    wrong = waits("send", "s1", "five", "--name", "paid")
    assert (wrong.code, wrong.err.startswith("onward: bad_input: content: it is not of type")) == (2, True)
    assert waits("send", "s1", "--name", "paid", "--value", '{"amount": "5"}').err.startswith(
        "onward: bad_input: content.amount: "
    )
    assert waits("events", "s1", "--json").out == before


def test_what_came_early_and_does_not_fit_is_passed_over_and_said(desk: Desk, here: Here) -> None:
    (desk.path / APP).write_text(FILE)
    here("run", APP, "Go", "--id", "s1")
    here("send", "s1", "--name", "note", "--value", "5")
    here("send", "s1", "--name", "paid", "--value", '{"amount": 5}')
    assert "input passed over: input: Input should be a valid string [session s1]" in here("run", APP, "--id", "s1").err


def test_an_agent_takes_no_name(desk: Desk, here: Here) -> None:
    here("run", "desk.py:desk", "Go", "--id", "s2")
    refused = here("send", "s2", "Hi", "--name", "paid")
    assert (refused.code, "no_names" in refused.err) == (4, True)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--value", "5", "text"), "--value goes without TEXT and --file"),
        (("--value", "{"), "it is not JSON"),
        ((), "say TEXT, --value, --file or --name"),
        (("text", "--name", ""), "name: "),
    ],
)
def test_a_mistake_is_one_clear_error(waits: Here, words: tuple[str, ...], says: str) -> None:
    told = waits("send", "s1", *words)
    assert told.code == 2
    assert says in told.err


def test_a_name_alone_says_that_something_has_happened(waits: Here) -> None:
    assert waits("send", "s1", "--name", "later").code == 0
    (sent,) = [doc for doc in waits("events", "s1", "--json").docs if doc["kind"] == "input_received"]
    assert (sent["body"]["name"], sent["body"]["content"]) == ("later", None)


def test_a_workflow_is_started_with_a_value_or_without_an_input(waits: Here, desk: Desk) -> None:
    (desk.path / "starts.py").write_text(STARTS)
    assert waits("run", "starts.py:sums", "--value", '{"amount": 5}', "--json").docs[-1]["output"] == 5
    assert waits("run", "starts.py:sums", '{"amount": 6}', "--json").docs[-1]["output"] == 6
    assert waits("run", "starts.py:bare", "--json").docs[-1]["output"] == "done"
    assert waits("run", "starts.py:bare", "--value", "null", "--json").docs[-1]["output"] == "done"
    for words, says in (
        ((), "INPUT is missing: a new session starts with one, and sums takes one"),
        (("--value", '{"amount": "x"}'), "input.amount: "),
        (("six",), "input: Input should be an object; and what is written is no JSON"),
        (("--value", "5", "6"), "--value goes without INPUT and --file"),
        (("--value", "5", "--value", "6"), "it is there twice"),
    ):
        told = waits("run", "starts.py:sums", *words)
        assert (told.code, says in told.err) == (2, True), told.err
