"""Health and cost, and the switches; the list of sessions, and starting one."""

from __future__ import annotations

import pytest

from tests.console.house import ANN, GRACE, House, house
from tests.console.shop import HOSTILE
from tests.console.visitor import Page

__all__ = ["house"]
VERA, OTTO, ANNA, ADA = "vera@firm.example", "otto@firm.example", "anna@firm.example", "ada@firm.example"
TINA = "tina@firm.example"


def rows(page: Page) -> list[str]:
    """Every session in the list."""
    (list,) = page.root.all("section", data_part="list")
    return [row.one("th").one("a").text for row in list.all("tr") if row.all("th", scope="row")]


# --- health ------------------------------------------------------------------------------------------------------


async def test_the_page_tells_what_rests_what_is_late_and_what_was_used(house: House) -> None:
    await house.asking("h-1")
    page = await house.visitor().get("/health?by=tenant&days=1")
    assert (page.status, "All is well" in page.text) == (200, True)
    assert "1 for an approval" in page.text
    assert "refund-desk" in page.root.one("section", aria_labelledby="versions").text
    (row,) = page.root.one("section", aria_labelledby="usage").one("tbody").all("tr")
    assert row.text.startswith("default1")
    for wrong in ("by=session", "days=2"):
        assert (await house.visitor().get(f"/health?{wrong}")).status == 400


async def test_what_is_of_all_tenants_is_told_to_those_who_see_them_all(house: House) -> None:
    await house.asking("h-1", tenant="acme")
    page = await house.visitor(VERA).get("/health")
    assert "those see who may look at every tenant" in page.text
    assert [section.attributes["aria-labelledby"] for section in page.root.all("section")] == ["usage"]
    assert "Nothing." in page.text
    assert page.root.all("form", method="post") == []


async def test_an_admin_holds_a_program_back_and_lets_it_go_on(house: House) -> None:
    grace = house.visitor()
    page = await grace.get("/health")
    off = {"scope": "program", "name": "refund-desk", "turn": "off", "reason": f"it burns {HOSTILE}"}
    sent = [await grace.send(page, page.form("/health"), **off) for _ in range(2)]
    assert [each.location for each in sent] == ["/health?told=off#switches", "/health?told=same#switches"]
    there = await grace.follow(sent[0])
    assert "program:refund-desk is off" in there.text
    assert "within ten seconds nothing new is begun" in there.text
    await house.api.begun("h-1", "refund-desk")
    await house.rests("h-1", "paused")
    (on,) = [form for form in there.root.all("form", method="post") if "Let program:refund-desk go on" in form.text]
    assert (await grace.send(there, on, turn="on")).location == "/health?told=on#switches"
    assert "is off" not in (await grace.get("/health")).root.one("section", aria_labelledby="switches").text


async def test_a_switch_takes_an_admin_and_a_name(house: House) -> None:
    grace, ada = house.visitor(), house.visitor(ADA)
    page = await grace.get("/health")
    nameless = await grace.send(page, page.form("/health"), scope="tenant", turn="off", reason="why")
    assert (nameless.status, "scope tenant" in nameless.root.one("div", role="alert").text) == (400, True)
    hers = await ada.get("/health")
    values = [each.attributes["value"] for each in hers.root.all("input", name_="scope")]
    assert values == ["tenant"]
    wide = await ada.send(hers, hers.form("/health"), scope="all", turn="off", reason="why")
    assert wide.status == 403
    assert (await house.api.ask("GET", "switches")).doc["off"] == []


# --- sessions ----------------------------------------------------------------------------------------------------


async def test_sessions_are_listed_and_filtered(house: House) -> None:
    await house.asking("l-1")
    await house.api.begun("l-2", "cashier")
    await house.rests("l-2", "waiting")
    grace = house.visitor()
    assert set(rows(await grace.get("/"))) == {"l-1", "l-2"}
    assert rows(await grace.get("/?program=cashier")) == ["l-2"]
    assert rows(await grace.get("/?status=completed")) == []
    assert rows(await grace.get("/?tenant=acme")) == []
    assert (await grace.get("/?id=l-2")).location == "/sessions/l-2"
    for wrong in ("status=happy", "label=x", "tenant=%20", "cursor=x", "id=%20"):
        assert (await grace.get(f"/?{wrong}")).status == 400, wrong


async def test_what_needs_the_visitor_is_found_among_all(house: House) -> None:
    for each in ("l-1", "l-2"):
        await house.asking(each)
    await house.api.begun("l-3", "cashier")
    await house.api.until("l-3", "call_in_doubt")
    await house.rests("l-3", "waiting")
    assert rows(await house.visitor().get("/?mine=1")) == ["l-1", "l-2", "l-3"]
    assert rows(await house.visitor(ANNA).get("/?mine=1")) == ["l-1", "l-2"]
    assert rows(await house.visitor(OTTO).get("/?mine=1")) == ["l-3"]
    assert rows(await house.visitor(VERA).get("/?mine=1")) == []
    assert rows(await house.visitor().get("/?mine=1&status=running")) == []


async def test_what_the_rules_leave_to_others_needs_others(house: House) -> None:
    await house.asking("l-1", tenant="acme")
    assert rows(await house.visitor(ANNA).get("/?mine=1&tenant=acme")) == []
    assert rows(await house.visitor(TINA).get("/?mine=1&tenant=acme")) == ["l-1"]


async def test_a_session_is_started_once_however_often_the_form_is_sent(house: House) -> None:
    grace = house.visitor()
    page = await grace.get("/")
    said = {"program": "refund-desk", "input": "My grinder came broken."}
    first, again = [await grace.send(page, page.form("/sessions"), **said) for _ in range(2)]
    assert first.location == again.location
    assert len(rows(await grace.get("/"))) == 1


@pytest.mark.parametrize(
    ("more", "status", "alert"),
    [
        ({"program": "nothing"}, 400, "there is no program 'nothing'"),
        ({"json": "1", "input": "{"}, 400, "input: it is no JSON"),
        ({"id": "a b"}, 400, "id: "),
        ({"tenant": "a b"}, 400, "tenant"),
        ({"input": "x" * 1_100_000}, 413, ""),
    ],
)
async def test_a_start_that_is_wrong_is_shown_again_and_starts_nothing(
    house: House, more: dict[str, str], status: int, alert: str
) -> None:
    grace = house.visitor()
    page = await grace.get("/")
    wrong = await grace.send(page, page.form("/sessions"), **{"program": "refund-desk", "input": HOSTILE} | more)
    assert (wrong.status, alert in wrong.text) == (status, True)
    assert rows(await grace.get("/")) == []


async def test_a_form_is_taken_only_from_whom_it_was_given_to(house: House) -> None:
    grace, ann = house.visitor(GRACE), house.visitor(ANN)
    page = await grace.get("/")
    said = {"program": "refund-desk", "input": "Hi"}
    for token in ((await ann.get("/")).fields((await ann.get("/")).form("/sessions"))["token"], "", None):
        refused = await grace.send(page, page.form("/sessions"), token=token, **said)
        assert (refused.status, "wrong_form" in refused.text) == (403, True)
    viewer = await house.visitor(VERA).get("/")
    assert viewer.root.all("form", method="post") == []
    assert rows(await grace.get("/")) == []
