"""Deciding in the browser (G8): what was shown is what is performed, once, by whoever was first."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tests.console.site import Site

if TYPE_CHECKING:
    from playwright.async_api import Page

    from tests.console.chromium import People

ASKED = {
    "order": "A-1042",
    "amount": "89.00",
    "cause": "broken",
    "to": {"holder": "Maria Keller", "iban": "DE021203000000", "bank": None},
    "letter": False,
    "parts": None,
    "note": None,
}


@pytest.fixture(scope="module")
def ben(site: Site) -> Iterator[Site]:
    """The same sessions, served to another person."""
    another = site.beside("ben").start()
    yield another
    another.stop()


async def asked(page: Page, site: Site, id: str, program: str = "refund-desk") -> str:
    """Start a session that asks, and open the page of its approval; the address."""
    wait = await site.asking(id, program)
    path = f"{site.url}/approvals/{id}/{wait['call']}"
    await page.goto(path)
    return path


async def decisions(site: Site, id: str) -> list[dict[str, Any]]:
    """What was decided in the end, once the session has ended."""
    await site.until(id, "session_completed")
    log = await site.log(id)
    assert "signal_refused" not in {event["kind"] for event in log}
    return [event for event in log if event["kind"] == "approval_decided"]


def performed(site: Site, id: str) -> list[Any]:
    return [entry["arguments"] for entry in site.books(id)]


def button(page: Page, name: str) -> Any:
    return page.get_by_role("button", name=name, exact=True)


async def pressed(page: Page, name: str) -> Any:
    """Press a button that sends a form; what is answered."""
    async with page.expect_navigation() as sent:
        await button(page, name).click()
    return await sent.value


# --- one person ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scripts", [True, False])
async def test_g8_edited_arguments_are_shown_approved_and_performed_exactly(
    site: Site, people: People, scripts: bool
) -> None:
    page, id = await (await people(java_script_enabled=scripts)).new_page(), f"d-edit-{scripts}"
    await asked(page, site, id)
    await page.get_by_text("Change it, and approve that").click()
    await fill_in(page)
    await pressed(page, "Show what changes")
    changed = await page.get_by_role("region", name="What you change").get_by_role("row").all_inner_texts()
    assert sorted(row.split()[0] for row in changed[1:]) == ["amount", "cause", "letter", "note", "parts", "to.bank"]
    assert not performed(site, id)
    await button(page, "Approve with these changes").click()
    await page.get_by_text("Approved, with your changes.").wait_for()
    (decided,) = await decisions(site, id)
    assert decided["actor"]["name"] == "ann"
    bank = ASKED["to"] | {"bank": "Bank of the North"}
    (done,) = performed(site, id)
    assert Decimal(done.pop("amount")) == Decimal("45.50")
    expected = ASKED | {"cause": "late", "to": bank, "letter": True, "parts": ["lid", "mill"], "note": "Sorry!"}
    assert done == {name: value for name, value in expected.items() if name != "amount"}


async def fill_in(page: Page) -> None:
    """Change most of what is asked."""
    form = page.locator("#edit-form")
    await form.get_by_label("amount").fill("45.50")
    await form.locator("[name='value/cause']").select_option(label="late")
    await form.get_by_role("checkbox", name="letter").check()
    for name, value in (("to/bank", "Bank of the North"), ("parts", '["lid", "mill"]'), ("note", "Sorry!")):
        await form.locator(f"[name='value/{name}']").fill(value)
        await form.locator(f"[name='how/{name}']").select_option("given")


async def test_g8_what_the_schema_forbids_is_said_beside_the_field_and_decides_nothing(site: Site, page: Page) -> None:
    await asked(page, site, "d-wrong")
    await page.get_by_text("Change it, and approve that").click()
    form = page.locator("#edit-form")
    await form.locator("[name='value/to/iban']").fill("no iban")
    assert (await pressed(page, "Show what changes")).status == 400
    field = form.locator("[name='value/to/iban']")
    assert await field.input_value() == "no iban"
    assert await field.get_attribute("aria-invalid") == "true"
    described = (await field.get_attribute("aria-describedby") or "").split()
    assert await page.locator(f"[id='{described[-1]}']").inner_text()
    assert await button(page, "Approve with these changes").count() == 0
    assert (await site.ask("GET", "sessions/d-wrong")).doc["waits"][0]["kind"] == "approval"


async def test_a_rejection_tells_the_program_why(site: Site, page: Page) -> None:
    await asked(page, site, "d-reject")
    await page.get_by_label("Reason").first.fill("The photo shows no crack.")
    await button(page, "Reject").click()
    await page.get_by_text("Rejected.").first.wait_for()
    (decided,) = await decisions(site, "d-reject")
    assert (decided["body"]["verdict"], decided["body"]["reason"]) == ("rejected", "The photo shows no crack.")
    assert performed(site, "d-reject") == []


async def test_an_answer_of_ones_own_stands_in_place_of_the_call(site: Site, page: Page) -> None:
    await asked(page, site, "d-answer")
    await page.get_by_text("Answer it yourself").click()
    await page.get_by_role("textbox", name="Result").fill("refunded by hand")
    await button(page, "Answer").click()
    await page.get_by_text("Answered: the program is given your result").wait_for()
    (decided,) = await decisions(site, "d-answer")
    assert (decided["body"]["verdict"], decided["body"]["result"]) == ("responded", "refunded by hand")
    assert performed(site, "d-answer") == []


async def test_g8_a_double_click_decides_once(site: Site, page: Page) -> None:
    await asked(page, site, "d-double")
    await button(page, "Approve").dblclick()
    await page.get_by_text("Approved").first.wait_for()
    assert len(await decisions(site, "d-double")) == len(performed(site, "d-double")) == 1


async def test_g8_going_back_and_deciding_again_changes_nothing(site: Site, page: Page) -> None:
    path = await asked(page, site, "d-back")
    await button(page, "Approve").click()
    await page.get_by_text("Approved").first.wait_for()
    await decisions(site, "d-back")
    await page.go_back()
    assert page.url == path
    if await button(page, "Reject").count():  # the browser shows the page as it was
        await button(page, "Reject").click()
    await page.get_by_text("Approved by ann").first.wait_for()
    assert len(await decisions(site, "d-back")) == len(performed(site, "d-back")) == 1


# --- the keyboard ----------------------------------------------------------------------------------------------


async def test_an_approval_by_keyboard_alone(site: Site, page: Page) -> None:
    await site.asking("d-keys")
    await page.goto(f"{site.url}/approvals?program=refund-desk")
    for _ in range(20):
        await page.keyboard.press("j")
        if "d-keys" in await page.evaluate("() => document.activeElement.innerText"):
            break
    await page.keyboard.press("a")
    assert "d-keys" in await page.evaluate("() => document.activeElement.textContent")
    assert [event["kind"] for event in await site.log("d-keys")][-1] == "approval_requested"  # a key decides nothing
    await page.keyboard.press("Enter")
    await page.get_by_text("Approved.").first.wait_for()
    assert [event["actor"]["name"] for event in await decisions(site, "d-keys")] == ["ann"]


async def test_an_approval_by_tab_and_enter_without_scripts(site: Site, people: People) -> None:
    page = await (await people(java_script_enabled=False)).new_page()
    await asked(page, site, "d-tab")
    for _ in range(60):
        await page.keyboard.press("Tab")
        if await page.locator("button[value=approved]:focus").count():
            break
    assert await page.locator("button[value=approved]:focus-visible").count() == 1
    await page.keyboard.press("Enter")
    await page.get_by_text("Approved").first.wait_for()
    assert len(await decisions(site, "d-tab")) == 1


# --- two people ------------------------------------------------------------------------------------------------


async def test_g8_of_two_who_decide_at_once_one_wins_and_the_other_is_told_who(
    site: Site, ben: Site, people: People
) -> None:
    anns, bens = await (await people()).new_page(), await (await people()).new_page()
    await asked(anns, site, "d-race")
    await bens.goto(anns.url.replace(site.url, ben.url))
    await asyncio.gather(button(anns, "Approve").click(), button(bens, "Reject").click())
    await site.until("d-race", "session_completed")
    log = await site.log("d-race")
    (decided,) = [event for event in log if event["kind"] == "approval_decided"]
    won, lost, words = {
        "ann": (anns, bens, "Approved by ann"),
        "ben": (bens, anns, "Rejected by ben"),
    }[decided["actor"]["name"]]
    await lost.get_by_text("Not taken").first.wait_for()
    await lost.get_by_text(words).first.wait_for()
    await won.get_by_text(words).first.wait_for()
    assert len(performed(site, "d-race")) == (decided["actor"]["name"] == "ann")


async def test_g8_who_comes_late_is_told_who_decided_and_when(site: Site, ben: Site, people: People) -> None:
    anns, bens = await (await people()).new_page(), await (await people()).new_page()
    await asked(anns, site, "d-late")
    await bens.goto(anns.url.replace(site.url, ben.url))
    await bens.get_by_label("Reason").first.fill("I know the customer.")
    await button(bens, "Approve").click()
    await bens.get_by_text("Approved").first.wait_for()
    answer = await pressed(anns, "Reject")
    assert answer.status == 409
    stands = anns.get_by_role("region", name="Approved by ben")
    assert "I know the customer." in await stands.inner_text()
    assert await stands.locator("time").count() == 1
    assert await button(anns, "Approve").count() == 0


async def test_g8_two_must_agree_and_one_alone_does_not_count_twice(site: Site, ben: Site, people: People) -> None:
    anns, bens = await (await people()).new_page(), await (await people()).new_page()
    path = await asked(anns, site, "d-two", "treasury")
    await button(anns, "Approve").click()
    await anns.get_by_text("1 of 2").first.wait_for()
    await anns.goto(path)
    assert await button(anns, "Approve").count() == 0
    assert await button(anns, "Reject").count() == 1
    assert performed(site, "d-two") == []
    await bens.goto(path.replace(site.url, ben.url))
    await button(bens, "Approve").click()
    assert [event["actor"]["name"] for event in await decisions(site, "d-two")] == ["ann", "ben"]
    assert performed(site, "d-two") == [{"amount": 900}]


async def test_a_batch_is_decided_one_by_one_and_what_is_not_taken_is_said(
    site: Site, ben: Site, people: People
) -> None:
    page, other = await (await people()).new_page(), await (await people()).new_page()
    for id in ("d-batch-1", "d-batch-2", "d-batch-3"):
        await site.asking(id)
    await page.goto(f"{site.url}/approvals?program=refund-desk")
    for id in ("d-batch-1", "d-batch-2"):
        await page.get_by_role("checkbox", name=id).check()
    await other.goto(f"{ben.url}/approvals?program=refund-desk")
    await other.get_by_role("button", name="Reject refund in d-batch-2").click()
    await site.until("d-batch-2", "session_completed")
    await button(page, "Approve what is picked").click()
    await page.get_by_text("1 taken, 1 not").wait_for()
    assert "Rejected by ben" in await page.get_by_role("region", name="1 taken").inner_text()
    await site.until("d-batch-1", "session_completed")
    assert [len(performed(site, f"d-batch-{at}")) for at in (1, 2, 3)] == [1, 0, 0]


async def test_g8_an_approval_that_has_expired_is_not_decided_any_more(site: Site, page: Page) -> None:
    await asked(page, site, "d-hasty", "hasty")
    await site.until("d-hasty", "approval_expired")
    if await button(page, "Approve").count():
        await pressed(page, "Approve")
    await page.get_by_text("Nobody decided in time").first.wait_for()
    assert performed(site, "d-hasty") == []


# --- links -----------------------------------------------------------------------------------------------------


async def linked(site: Site, id: str, ttl: int = 3600) -> str:
    """A link that opens the approval that a session asks for; its address."""
    wait = await site.asking(id)
    made = await site.ask("POST", f"sessions/{id}/links", {"call": wait["call"], "ttl": ttl})
    assert made.status == 201, made
    return str(site.url + made.doc["path"])


async def test_g8_a_link_opens_its_approval_is_used_up_by_a_decision_and_says_who_took_it(
    site: Site, page: Page
) -> None:
    link = await linked(site, "d-link")
    for _ in range(3):  # looking uses nothing up
        answer = await page.goto(link)
        assert answer is not None
        assert answer.status == 200
    assert "A-1042" in await page.locator("main").inner_text()
    await button(page, "Approve").click()
    await page.get_by_text("Approved").first.wait_for()
    assert len(await decisions(site, "d-link")) == len(performed(site, "d-link")) == 1
    answer = await page.goto(link)
    assert answer is not None
    assert answer.status == 410
    assert "approved by ann" in await page.get_by_role("alert").inner_text()


async def test_g8_a_link_that_was_forged_or_has_expired_opens_nothing(site: Site, page: Page) -> None:
    link = await linked(site, "d-forged")
    short = await linked(site, "d-short", 1)
    forged = link[:-3] + ("abc" if not link.endswith("abc") else "xyz")
    answer = await page.goto(forged)
    assert answer is not None
    assert answer.status == 404
    assert await page.get_by_role("button").count() == 0
    async with asyncio.timeout(10):
        while (await page.request.get(short)).status == 200:
            await asyncio.sleep(0.1)
    answer = await page.goto(short)
    assert answer is not None
    assert answer.status == 410
    assert "good for a while" in await page.locator("main").inner_text()
    assert performed(site, "d-forged") == performed(site, "d-short") == []
