"""Two sessions side by side in the console: where they part, and what differs, for whoever may see both."""

from __future__ import annotations

from typing import Any

import pytest

from onward import Agent, App, Call, Context, ScriptedModel, tool, workflow
from tests.console.house import House, opened
from tests.console.shop import HOSTILE, book, calls


@tool(effect="irreversible")
def pay(amount: int, *, call: Call) -> str:
    """Pay."""
    book("pay", call)
    return f"paid {amount}"


@tool(effect="read")
def look(x: str) -> str:
    """Look."""
    return f"seen {x}"


TURNS: list[Any] = [
    {"text": "I look.", "calls": [calls("look", x=HOSTILE)]},
    *[{"calls": [calls("look", x=f"{number}")]} for number in range(8)],
    {"calls": [calls("pay", amount=5)]},
    {"text": "It is paid."},
]


@workflow
async def order(ctx: Context, item: str) -> str:
    """Look, and pay."""
    seen = await ctx.step(look, item, name="first-look")
    return f"{seen}, {await ctx.step(pay, 5)}"


APP = App(programs=[order, Agent("desk", model=ScriptedModel(TURNS), tools=[pay, look], conversation=True)])


@pytest.fixture
async def house(tmp_path: Any) -> Any:
    async with opened(tmp_path, APP) as made:
        yield made


async def _paid(house: House, id: str) -> int:
    """One that has paid; the event with its payment's proposal."""
    body = {"id": id, "program": "desk", "input": "My grinder\nis broken."}
    assert (await house.api.ask("POST", "sessions", body)).status == 201
    await house.rests(id, "waiting")
    kinds = await house.kinds(id)
    return len(kinds) - kinds[::-1].index("calls_proposed")


async def _forked(house: House, of: str, id: str, at: int, effects: str) -> None:
    body = {"id": id, "at": at, "effects": effects}
    assert (await house.api.ask("POST", f"sessions/{of}/fork", body)).status == 201
    await house.rests(id, "waiting")


async def test_where_two_sessions_part_is_marked_and_linked(house: House) -> None:
    at = await _paid(house, "c-1")
    await _forked(house, "c-1", "c-2", at - 1, "blocked")
    page = await house.visitor().get("/sessions/c-1/compare/c-2?tenant=default")
    assert page.status == 200
    verdict = 'diverges at turn 10: pay: blocked instead of "paid 5"'
    assert page.root.one("p", data_part="verdict").text == verdict
    assert page.root.one("a", href="#first").text == "Where they part"
    parted = page.root.one("tr", id="first")
    assert parted.one("th").text == "10 They part here"
    cells = {each.attributes["data-name"]: each.text for each in parted.all("td")}
    assert cells["A"].startswith('pay(amount=5) = "paid 5"')
    assert cells["B"].startswith("pay(amount=5) blocked")
    assert cells["What differs"] == 'pay: blocked instead of "paid 5"'
    links = [each.attributes["href"] for each in parted.all("a")]
    assert links[0].startswith("/sessions/c-1/events/")
    for link in links:
        assert (await house.visitor().get(link)).status == 200


async def test_of_turns_that_are_alike_only_some_are_shown_unless_all_are_wanted(house: House) -> None:
    at = await _paid(house, "c-3")
    await _forked(house, "c-3", "c-4", at - 1, "blocked")
    page = await house.visitor().get("/sessions/c-3/compare/c-4?tenant=default")
    assert "8 turns alike" in page.text
    every = await house.visitor().get(next(a for a in page.root.all("a") if a.text == "Every turn").attributes["href"])
    assert "turns alike" not in every.text
    assert len(every.root.one("table", class_="compared").all("th", scope="row")) == 11
    assert every.root.all("h1", id="forged") == []
    back = next(a for a in page.root.all("a") if a.text == "The other way round").attributes["href"]
    other = await house.visitor().get(back)
    assert 'pay: "paid 5" instead of blocked' in other.text


async def test_a_branch_that_did_the_same_is_the_same(house: House) -> None:
    await _paid(house, "c-5")
    await _forked(house, "c-5", "c-6", 1, "recorded")
    page = await house.visitor().get("/sessions/c-5/compare/c-6?tenant=default")
    assert page.root.one("p", data_part="verdict").text == "same"
    assert page.root.all("a", href="#first") == page.root.all("tr", id="first") == []
    assert "11 turns alike" in page.text


async def test_workflows_are_shown_by_the_names_of_what_they_asked_for(house: House) -> None:
    body = {"id": "w-1", "program": "order", "input": "lamp"}
    assert (await house.api.ask("POST", "sessions", body)).status == 201
    await house.rests("w-1", "completed")
    kinds = await house.kinds("w-1")
    at = kinds.index("call_completed") + 1
    edits = [{"seq": at, "value": "seen otherwise"}]
    fork = {"id": "w-2", "at": at, "effects": "blocked", "edits": edits}
    assert (await house.api.ask("POST", "sessions/w-1/fork", fork)).status == 201
    await house.rests("w-2", "failed")
    page = await house.visitor().get("/sessions/w-1/compare/w-2?tenant=default")
    assert page.root.one("p", data_part="verdict").text == (
        'diverges at operation 2: first-look: "seen otherwise" instead of "seen lamp"'
    )
    parted = page.root.one("tr", id="first")
    assert parted.one("th").attributes["data-name"] == "Operation"
    cells = {each.attributes["data-name"]: each.text for each in parted.all("td")}
    assert cells["A"].startswith("first-look")
    assert "inherited" in cells["B"]


async def test_what_is_not_there_or_not_for_the_visitor_is_not_found(house: House) -> None:
    await _paid(house, "c-7")
    visitor, stranger = house.visitor(), house.visitor("tina@firm.example")
    assert (await visitor.get("/sessions/c-7/compare/nobody?tenant=default")).status == 404
    assert (await visitor.get("/sessions/nobody/compare/c-7?tenant=default")).status == 404
    assert (await stranger.get("/sessions/c-7/compare/c-7?tenant=default")).status == 404
    assert (await house.visitor("vera@firm.example").get("/sessions/c-7/compare/c-7?tenant=default")).status == 200
