"""A branch, as somebody makes it by hand: with and without scripts, and by the keyboard alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.console.site import Site

if TYPE_CHECKING:
    from tests.console.chromium import People


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
async def test_a_branch_is_made_from_an_event_seen_as_it_goes_on_and_found_in_its_family(
    site: Site, people: People, scripts: bool
) -> None:
    id = f"f-trunk-{scripts}".lower()
    await site.asking(id)
    page = await (await people(java_script_enabled=scripts)).new_page()
    await page.goto(f"{site.url}/sessions/{id}")
    await page.locator("#e3").get_by_role("link", name="fork after event 3").click()
    await page.get_by_role("radio", name="blocked: every call").check()
    await page.get_by_label("Instructions").fill("Be brief.")
    await page.get_by_label("Id", exact=True).fill(f"{id}-b")
    await page.get_by_role("button", name="Make the branch").click()
    await page.wait_for_url(f"**/sessions/{id}-b?*")
    await site.until(f"{id}-b", "call_refused")
    await page.goto(f"{site.url}/sessions/{id}-b")
    said = await page.locator("#talk").inner_text()
    assert "inherited" in said
    assert "blocked" in said
    assert "instructions" in await page.get_by_role("region", name="Facts").inner_text()
    await page.get_by_role("link", name="all of the family").click()
    row = page.get_by_role("row", name=f"{id}-b")
    assert await row.get_by_text("(this one)").count() == 1
    await row.get_by_role("link", name=f"{id} at event 3").click()
    await page.wait_for_url(f"**/sessions/{id}/events/3?*")
    assert site.books(f"{id}-b") == []


async def test_the_form_is_filled_in_by_the_keyboard_alone(site: Site, people: People) -> None:
    await site.asking("f-keys")
    page = await (await people()).new_page()
    await page.goto(f"{site.url}/sessions/f-keys/fork?seq=2")
    field = page.get_by_label("After event")
    await field.focus()
    await page.keyboard.press("Tab")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowDown")
    assert await page.get_by_role("radio", name="blocked: every call").is_checked()
    await page.get_by_label("Id", exact=True).fill("f-keys-b")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/sessions/f-keys-b?*")
    answer = await site.ask("GET", "sessions/f-keys-b")
    assert (answer.doc["effects"], answer.doc["origin"]["seq"]) == ("blocked", 2)
