"""Repairing in the browser (G6): what is in doubt is settled by a person, once, and each way does what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.console.site import Site

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page

    from tests.console.chromium import People


async def doubtful(page: Page, site: Site, id: str) -> Locator:
    """Let a payment end in doubt, and open what needs attention; what stands there about it."""
    await site.begun(id, "cashier")
    await site.until_waiting(id, "operator")
    await page.goto(f"{site.url}/attention")
    card = page.get_by_role("article").filter(has=page.get_by_role("link", name=id, exact=True))
    assert f"{id}/3.0" in await card.inner_text()  # the key to look for at the bank
    assert "the bank hung up before it answered" in await card.inner_text()
    return card


async def settled(card: Locator, how: str, **filled: Any) -> None:
    """Open a way to settle it, fill it in, and press its button."""
    await card.get_by_text(how, exact=True).first.click()
    for name, value in filled.items():
        await card.locator(f"details[open] [name={name}]").fill(value)
    await card.get_by_role("button", name=how).click()
    await card.page.get_by_role("status").first.wait_for()


@pytest.mark.parametrize("scripts", [True, False])
async def test_g6_a_payment_in_doubt_that_happened_is_not_made_again(site: Site, people: People, scripts: bool) -> None:
    page, id = await (await people(java_script_enabled=scripts)).new_page(), f"r-done-{scripts}"
    card = await doubtful(page, site, id)
    await settled(card, "pay happened", result="receipt 7", reason="seen in the bank's list")
    await site.until(id, "session_completed")
    told = next(event for event in await site.log(id) if event["kind"] == "call_completed")
    assert (told["body"]["result"], told["body"]["reason"]) == ("receipt 7", "seen in the bank's list")
    assert told["actor"] == {"kind": "person", "name": "ann"}
    assert len(site.books(id)) == 1
    await page.goto(f"{site.url}/attention")
    assert await page.get_by_role("link", name=id, exact=True).count() == 0


async def test_g6_one_that_did_not_happen_is_made_again_and_may_be_in_doubt_again(site: Site, page: Page) -> None:
    card = await doubtful(page, site, "r-again")
    await settled(card, "pay did not happen")
    await site.until("r-again", "call_in_doubt", 2)
    assert len(site.books("r-again")) == 2


async def test_g6_one_that_failed_for_good_is_told_to_the_program(site: Site, page: Page) -> None:
    card = await doubtful(page, site, "r-failed")
    await settled(card, "pay failed for good", reason="account closed")
    await site.until("r-failed", "session_completed")
    assert "call_failed" in {event["kind"] for event in await site.log("r-failed")}
    assert len(site.books("r-failed")) == 1


async def test_g6_who_settles_it_second_is_told_and_changes_nothing(site: Site, people: People) -> None:
    first, second = await (await people()).new_page(), await (await people()).new_page()
    card = await doubtful(first, site, "r-race")
    await second.goto(first.url)
    late = second.get_by_role("article").filter(has=second.get_by_role("link", name="r-race", exact=True))
    await settled(card, "pay happened", result="receipt 7")
    await site.until("r-race", "session_completed")
    await late.get_by_text("pay did not happen", exact=True).first.click()
    await late.get_by_role("button", name="pay did not happen").click()
    await second.get_by_role("alert").first.wait_for()
    assert len(site.books("r-race")) == 1
    assert [event["kind"] for event in await site.log("r-race")][-1] == "session_completed"


async def test_a_session_is_paused_and_goes_on_from_its_page(site: Site, page: Page) -> None:
    await site.begun("r-pause", "front-desk")
    await site.until_waiting("r-pause", "input")
    await page.goto(f"{site.url}/sessions/r-pause")
    await page.locator("#open-pause").click()
    await page.locator("#do-pause").click()
    await page.locator("main .status.paused").first.wait_for()
    await site.ask("POST", "sessions/r-pause/inputs", {"content": "Are you there?"})
    await page.locator("#open-resume").click()
    assert len([event for event in await site.log("r-pause") if event["kind"] == "model_answered"]) == 1
    await page.locator("#do-resume").click()
    await site.until("r-pause", "model_answered", 2)
    paused = [event["actor"]["name"] for event in await site.log("r-pause") if event["kind"] == "session_paused"]
    assert paused == ["ann"]


async def test_a_switch_stops_what_is_new_until_it_is_turned_on_again(site: Site, page: Page) -> None:
    await page.goto(f"{site.url}/health")
    await page.get_by_text("Switch something off").click()
    form = page.locator("form").filter(has=page.get_by_role("button", name="Switch it off"))
    await form.get_by_label("one program").check()
    await form.locator("[name=name]").fill("parcel-desk")
    await form.locator("[name=reason]").fill("The carrier is down.")
    await form.get_by_role("button", name="Switch it off").click()
    card = page.get_by_role("article", name="program:parcel-desk")
    assert "The carrier is down." in await card.inner_text()
    await site.begun("r-switch", "parcel-desk")
    await site.until("r-switch", "session_paused")
    await card.get_by_role("button", name="go on").click()
    await card.wait_for(state="detached")
    for parcel in (1, 2, 3):
        site.go("r-switch", parcel)
    await site.until("r-switch", "session_completed")
