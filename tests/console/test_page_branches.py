"""Branches in the console: the form that makes one, what its page says of where it comes from, and the family."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from onward import Agent, App, Approval, Call, ScriptedModel, tool
from tests.console.house import GRACE, House, opened
from tests.console.shop import HOSTILE, book, calls
from tests.console.visitor import Page

VERA = "vera@firm.example"


@tool(effect="irreversible", approval=Approval(timeout="1h"))
def pay(amount: int, *, call: Call) -> str:
    """Pay."""
    book("pay", call)
    return f"paid {amount}"


TURNS = [{"text": "I pay it back.", "calls": [calls("pay", amount=5)]}, {"text": "It is paid."}]
APP = App(
    programs=[
        Agent("desk", model=ScriptedModel(TURNS), instructions="Help\r\nthe customer.", tools=[pay]),
        Agent("stranger", model=ScriptedModel([{"text": HOSTILE}, {"text": HOSTILE}]), tools=[]),
    ]
)


@pytest.fixture
async def house(tmp_path: Any) -> Any:
    async with opened(tmp_path, APP) as made:
        yield made


async def _paid(house: House, id: str) -> None:
    """1 started, 2 answered, 3 proposed, 4 asked, 5 decided, 6 begun, 7 done, 8 answered, 9 completed."""
    decision = await house.api.asking(id, program="desk", input="My grinder\nis broken.")
    assert (await house.api.ask("POST", f"sessions/{id}/decisions", decision)).status == 200
    await house.rests(id, "completed")


async def _form(house: House, id: str, seq: int, who: str = GRACE) -> Page:
    return await house.visitor(who).get(f"/sessions/{id}/fork?tenant=default&seq={seq}")


def _facts(page: Page) -> dict[str, str]:
    facts = page.root.one("section", data_part="facts")
    return dict(zip([each.text for each in facts.all("dt")], [each.text for each in facts.all("dd")], strict=True))


async def _forked(house: House, of: str, seq: int, **filled: Any) -> Page:
    page = await _form(house, of, seq)
    return await house.visitor().send(page, page.form(f"/sessions/{of}/fork"), **filled)


async def test_a_branch_is_made_from_an_event_and_its_page_says_what_it_is(house: House) -> None:
    await _paid(house, "k-1")
    me = house.visitor()
    offered = await me.get("/sessions/k-1?tenant=default")
    links = [each.attributes["href"] for each in offered.root.all("a", class_="fork")]
    assert "/sessions/k-1/fork?tenant=default&seq=4" in links
    assert "/sessions/k-1/fork?tenant=default&seq=2" in links
    event = await me.get("/sessions/k-1/events/4?tenant=default")
    assert "/sessions/k-1/fork?tenant=default&seq=4" in {
        each.attributes["href"] for each in event.root.all("a") if each.text == "Fork from here"
    }
    told = await _forked(house, "k-1", 4, id="k-1a")
    page = await me.follow(told)
    assert "The branch is made" in page.text
    await house.rests("k-1a", "completed")
    page = await me.get("/sessions/k-1a?tenant=default")
    assert page.root.one("a", id="origin").text == "k-1"
    facts = _facts(page)
    assert facts["Branch of"] == "k-1 after event 4"
    assert facts["Effects"].startswith("recorded calls and models are answered from the record")
    assert facts["Not inherited"] == "the approval of pay (call 3.0)"
    talk = [each.text for each in page.root.one("ol", id="talk").all("li")]
    assert talk[0].startswith("input inherited, event 1 of k-1 My grinder is broken.")
    assert talk[1].startswith("scripted inherited, event 2 of k-1 I pay it back.")
    assert any("from the record of k-1" in each and "paid 5" in each for each in talk)
    assert [each.attributes["class"].split()[-1] for each in page.root.one("ol", id="talk").all("li")].count(
        "inherited"
    ) == 3
    assert [entry["session"] for entry in house.books] == ["k-1"]
    parent = await me.get("/sessions/k-1?tenant=default")
    assert _facts(parent)["Branches"] == "k-1a after event 4, all of the family"


async def test_what_is_filled_in_is_the_branchs_own_and_what_is_left_as_it_was_is_no_change(house: House) -> None:
    await _paid(house, "k-2")
    page = await _form(house, "k-2", 1)
    fields = page.fields(page.form("/sessions/k-2/fork"))
    assert (fields["edit"], fields["instructions"]) == ("My grinder\nis broken.", "Help\r\nthe customer.")
    assert (fields["at"], fields["effects"]) == ("1", "recorded")
    same = await house.visitor().send(page, page.form("/sessions/k-2/fork"), id="k-2a")
    assert same.status == 303
    async with house.api.sessions() as sessions:
        began = await sessions.beginning("k-2a")
        assert (began.forked.edited, began.forked.instructions, began.forked.model, began.told) == (
            [],
            None,
            None,
            False,
        )
    mine = {"edit": "It is whole.", "instructions": "Be brief.", "input": '{"hurry": true}', "json": "1"}
    told = await _forked(house, "k-2", 1, id="k-2b", effects="blocked", model="other", **mine)
    assert told.status == 303, told.text
    async with house.api.sessions() as sessions:
        began = await sessions.beginning("k-2b")
        assert (began.forked.edited, began.forked.instructions, began.forked.model) == ([1], "Be brief.", "other")
        events = [event async for event in sessions.events("k-2b")]
    assert events[2].body.content == {"hurry": True}
    told = await _forked(house, "k-2", 2, id="k-2c", edit='{"text": "No.", "calls": []}')
    await house.rests("k-2c", "completed")
    page = await house.visitor().get("/sessions/k-2c?tenant=default")
    assert _facts(page)["Changed"] == "event 2"
    again = await _form(house, "k-2b", 3)
    assert again.fields(again.form("/sessions/k-2b/fork"))["instructions"] == "Be brief."


async def test_a_form_sent_twice_makes_one_branch(house: House) -> None:
    await _paid(house, "k-3")
    page = await _form(house, "k-3", 4)
    form = page.form("/sessions/k-3/fork")
    sent = await asyncio.gather(*(house.visitor().send(page, form) for _ in range(2)))
    assert {each.status for each in sent} == {303}
    assert len({each.location for each in sent}) == 1
    assert len((await house.api.ask("GET", "sessions/k-3/branches")).doc["sessions"]) == 2


async def test_what_is_wrong_is_said_beside_the_form_with_what_was_filled_in(house: House) -> None:
    await _paid(house, "k-4")
    wrong = [
        ({"at": "99"}, "at: 99 is no event of session k-4, which has 1 to 9"),
        ({"at": "x"}, "at: 'x' is no number"),
        ({"id": "a b"}, "id: 'a b'"),
        ({"id": "k-4"}, "session k-4 exists"),
        ({"effects": "some"}, "effects: 'some' is none of"),
        ({"edit": "{"}, "edit: "),
        ({"edit": '{"text": 3}'}, "edit: event 2 is a model's answer"),
        ({"at": "1", "edit": '{"text": "No."}'}, "edit: there is no event 2 before the branch"),
        ({"instructions": " "}, "instructions: they are empty"),
        ({"input": "{", "json": "1"}, "input: it is no JSON"),
    ]
    for filled, says in wrong:
        told = await _forked(house, "k-4", 2, **({"model": "kept"} | filled))
        assert told.status in (400, 409), (filled, told.text)
        assert says in told.root.one("div", role="alert").text, filled
        shown = told.fields(told.form("/sessions/k-4/fork"))
        kept = {name: text for name, text in filled.items() if name != "effects"}
        assert {name: shown.get(name) for name in kept} == kept
        assert shown["model"] == "kept"
    assert len((await house.api.ask("GET", "sessions/k-4/branches")).doc["sessions"]) == 1


async def test_who_only_looks_is_offered_no_fork_and_can_make_none(house: House) -> None:
    await _paid(house, "k-5")
    page = await house.visitor(VERA).get("/sessions/k-5?tenant=default")
    assert page.root.all("a", class_="fork") == []
    assert (await _form(house, "k-5", 4, VERA)).status == 403
    vera = house.visitor(VERA)
    tokens = [form.attributes["value"] for form in page.root.all("input", type="hidden")]
    said = {"token": (tokens or [""])[0], "at": "4", "effects": "live", "key": "k"}
    assert (await vera.post("/sessions/k-5/fork?tenant=default", said)).status == 403
    assert (await vera.get("/sessions/k-5/branches?tenant=default")).status == 200
    assert (await house.visitor("tina@firm.example").get("/sessions/k-5/branches?tenant=default")).status == 404
    stolen = await house.visitor().post("/sessions/k-5/fork?tenant=default", said | {"token": "x"})
    assert stolen.status == 403
    assert len((await house.api.ask("GET", "sessions/k-5/branches")).doc["sessions"]) == 1


async def test_a_family_is_a_table_that_leads_to_each_member(house: House) -> None:
    await _paid(house, "k-6")
    alone = await house.visitor().get("/sessions/k-6/branches?tenant=default")
    assert "It has no branches" in alone.text
    for session, id, seq in (("k-6", "k-6a", 4), ("k-6a", "k-6b", 2), ("k-6", "k-6c", 8)):
        await _forked(house, session, seq, id=id)
        await house.rests(id, "completed")
    page = await house.visitor().get("/sessions/k-6b/branches?tenant=default")
    rows = [row.text for row in page.root.one("tbody").all("tr")]
    assert [row.replace("│", "").split()[0:2] for row in rows] == [
        ["k-6", "completed"],
        ["├─", "k-6a"],
        ["└─", "k-6b"],
        ["└─", "k-6c"],
    ]
    assert "(this one)" in rows[2]
    links = [each.attributes["href"] for each in page.root.one("tbody").all("a")]
    assert "/sessions/k-6a/compare/k-6b?tenant=default" in links
    assert "/sessions/k-6a/events/3?tenant=default" in links
    assert (await house.visitor().get("/sessions/k-6a/compare/k-6b?tenant=default")).status == 200
    for id in ("k-6", "k-6a"):
        assert (await house.api.ask("DELETE", f"sessions/{id}")).status == 200
    left = await house.visitor().get("/sessions/k-6b/branches?tenant=default")
    assert [row.text.count("deleted") for row in left.root.one("tbody").all("tr")] == [1, 1, 0, 0]
    page = await house.visitor().get("/sessions/k-6b?tenant=default")
    assert (page.status, page.root.one("a", id="origin").text == "k-6a") == (200, True)
    gone = await _form(house, "k-6", 1)
    assert gone.status in (404, 410)


async def test_what_a_branch_has_taken_over_is_no_more_than_text_and_gone_where_it_is_erased(house: House) -> None:
    await house.api.begun("k-7", "stranger", input=HOSTILE)
    await house.rests("k-7", "completed")
    told = await _forked(house, "k-7", 2, id="k-7a", input=HOSTILE.replace("\x00", ""))
    assert told.status == 303
    await house.rests("k-7a", "completed")
    pages = ["/sessions/k-7a", "/sessions/k-7a/branches", "/sessions/k-7a/events/2", "/sessions/k-7a/state"]
    for path in (*pages, "/sessions/k-7a/fork"):
        page = await house.visitor().get(f"{path}?tenant=default")
        assert page.status == 200
        assert page.root.all(id="forged") == []
        assert len(page.root.all("script")) <= 2
    await house.erase("k-7a", 2, "base")
    page = await house.visitor().get("/sessions/k-7a?tenant=default")
    assert "(erased)" in page.root.one("ol", id="talk").all("li")[0].text
    assert (await house.visitor().get("/sessions/k-7a/fork?tenant=default&seq=2")).status == 200


async def test_who_is_asked_by_a_live_branch_is_told_that_it_is_one(house: House) -> None:
    await _paid(house, "k-9")
    await _forked(house, "k-9", 2, id="k-9a", effects="live")
    await house.api.until("k-9a", "approval_requested")
    await house.rests("k-9a", "waiting")
    for path in ("/approvals?for=all", "/approvals/k-9a/3.0?tenant=default"):
        page = await house.visitor().get(path)
        assert "it is a branch of k-9, which may have done this already" in page.text, path


async def test_a_long_conversation_is_inherited_from_a_blob_and_shown_from_its_end(house: House) -> None:
    await house.api.begun("k-8", "desk", input="Look. " * 20_000)
    await house.api.until("k-8", "approval_requested")
    told = await _forked(house, "k-8", 2, id="k-8a")
    assert told.status == 303
    page = await house.visitor().get("/sessions/k-8a?tenant=default")
    talk = [each.text for each in page.root.one("ol", id="talk").all("li")]
    assert 'inherited, event 1 of k-8 "Look. Look.' in talk[0]
    assert "I pay it back." in talk[1]
