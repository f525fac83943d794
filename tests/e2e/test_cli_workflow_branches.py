"""Branches of workflows on the command line: another decision, another version; compared by name, and replayed."""

from __future__ import annotations

import pytest

from tests.e2e.command import Desk, Here

SHOP = """
from onward import App, Context, workflow


async def price(item: str) -> int:
    return len(item)


async def send(item: str) -> str:
    return f"{item} is on its way"


@workflow(version="VERSION")
async def order(ctx: Context, item: str) -> str:
    cost = await ctx.step(price, item, effect="read")
    decision = await ctx.approval(f"Send it for {cost}?")
    if not decision.approved:
        return f"not sent: {decision.reason}"
    return await ctx.step(SEND, item, effect="idempotent", name="send")


app = App(programs=[order])
"""


@pytest.fixture
def ordered(desk: Desk, here: Here) -> Here:
    """A session of a workflow that was approved and is done."""
    (desk.path / "shop.py").write_text(SHOP.replace("VERSION", "1").replace("SEND", "send"))
    (desk.path / "next.py").write_text(SHOP.replace("VERSION", "2").replace("SEND", "price"))
    assert here("run", "shop.py", "lamp", "--id", "s1").code == 0
    assert here("approve", "s1").code == 0
    assert here("run", "shop.py", "--id", "s1").code == 0
    return here


def event_of(here: Here, kind: str) -> str:
    return next(str(each["seq"]) for each in here("events", "s1", "--json").docs if each["kind"] == kind)


def test_another_decision_leads_elsewhere_and_is_where_they_part(ordered: Here) -> None:
    at = event_of(ordered, "approval_decided")
    edit = f'{at}={{"verdict": "rejected", "reason": "too dear"}}'
    forked = ordered("fork", "s1", "--edit", edit, "--id", "b1", "--app", "shop.py")
    assert "not sent: too dear" in forked.out
    compared = ordered("compare", "s1", "b1")
    assert compared.code == 1
    assert compared.out.startswith(
        'diverges at operation 3: approval: verdict="rejected", reason="too dear" instead of'
    )
    assert "\nOPERATION" in compared.out
    assert "tokens" not in compared.out
    wrong = ordered("fork", "s1", "--edit", f"{at}=true", "--id", "b2")
    assert wrong.code == 2
    assert "is the decision on a question" in wrong.err


def test_g14_a_branch_from_the_record_is_the_same(ordered: Here) -> None:
    ordered("fork", "s1", "--at", "1", "--id", "b1", "--app", "shop.py")
    compared = ordered("compare", "s1", "b1")
    assert (compared.code, compared.out.splitlines()[0]) == (0, "same")
    assert "lamp is on its way" in compared.out


def test_g12_a_branch_runs_on_the_version_that_it_is_given(ordered: Here) -> None:
    at = event_of(ordered, "approval_decided")
    unknown = ordered("fork", "s1", "--at", at, "--version", "2", "--id", "b1", "--app", "shop.py")
    assert (unknown.code, "has no version '2' of program 'order'" in unknown.err) == (2, True)
    forked = ordered("fork", "s1", "--at", at, "--version", "2", "--effects", "live", "--id", "b1", "--app", "next.py")
    assert forked.code == 0
    shown = ordered("show", "b1", "--json").doc
    assert (shown["version"], shown["status"]) == ("2", "completed")


def test_a_replay_says_whom_a_deploy_would_break(desk: Desk, ordered: Here) -> None:
    assert ordered("replay", "s1", "--app", "shop.py").code == 0
    code = SHOP.replace("VERSION", "1").replace("SEND", "send")
    (desk.path / "next.py").write_text(code.replace("step(price, item,", "step(price, item + item,"))
    broken = ordered("replay", "s1", "--app", "next.py")
    assert (broken.code, "; it would be parked: the log (event 2) has price" in broken.out) == (1, True)
    (desk.path / "more.py").write_text(code.replace("    decision =", '    await ctx.sleep("1s")\n    decision ='))
    other = ordered("replay", "s1", "--app", "more.py", "--json").doc["replays"][0]
    assert (other["verdict"], other["goes_on"], other["why_not"]) == ("differs", True, "")
