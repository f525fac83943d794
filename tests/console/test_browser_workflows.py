"""A workflow as somebody follows and moves it in a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.console.pages import findings, until_state
from tests.console.site import Site

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page

    from tests.console.chromium import People


async def begun(site: Site, id: str) -> dict[str, Any]:
    """Start a workflow that waits in two branches, and answer what it asks."""
    await site.begun(id, "replacement", "A-1042")
    return await site.until_waiting(id, "approval")


def doing(page: Page, name: str) -> Locator:
    """What a workflow knows by this name, on its page."""
    return page.get_by_label("Steps and waits").locator("li").filter(has=page.get_by_text(name, exact=True))


async def test_a_workflow_is_followed_on_its_page_while_people_move_it(site: Site, page: Page) -> None:
    await begun(site, "f-1")
    await page.goto(f"{site.url}/sessions/f-1")
    assert "done" in await doing(page, "reserve").inner_text()
    assert "asked" in await doing(page, "approval").inner_text()
    form = page.locator("form[action*='/input']")
    await form.get_by_label("By").fill("the carrier")
    await form.get_by_label("Parcels").fill("1")
    await form.get_by_role("button", name="Send").click()
    await doing(page, "collected").get_by_text("came").wait_for()
    await page.get_by_role("link", name="Look at it and decide").first.click()
    await page.get_by_role("heading", name="Send a new Coffee grinder at once?").wait_for()
    await page.get_by_role("button", name="Approve").click()
    await page.get_by_text("Approved by ann").wait_for()
    await site.until("f-1", "session_completed")
    await page.goto(f"{site.url}/sessions/f-1")
    assert "approved" in await doing(page, "approval").inner_text()
    assert "done" in await doing(page, "send_out").inner_text()
    assert await page.locator(".bars .label").get_by_text("parcel/print_label").count() == 1


async def test_what_a_workflow_does_comes_onto_its_page_by_itself(site: Site, page: Page) -> None:
    wait = await begun(site, "f-2")
    await page.goto(f"{site.url}/sessions/f-2")
    await page.evaluate("() => { window.same = true }")
    await until_state(page, "live")
    said = {"call": wait["call"], "digest": wait["digest"], "verdict": "rejected", "reason": "none left"}
    assert (await site.ask("POST", "sessions/f-2/decisions", said)).status == 200
    await site.until("f-2", "session_failed")
    await doing(page, "undo of reserve").get_by_text("taken back").wait_for()
    assert await page.evaluate("() => window.same")


async def test_axe_finds_nothing_serious_about_a_workflow_in_light_and_dark(site: Site, people: People) -> None:
    await begun(site, "f-3")
    await site.ask("POST", "sessions/f-3/cancel", {"reason": "sold"})
    await site.until("f-3", "session_cancelled")
    await begun(site, "f-4")
    found = list[str]()
    for colours in ("light", "dark"):
        page = await (await people(color_scheme=colours, bypass_csp=True)).new_page()
        for path in ("/sessions/f-3", "/sessions/f-4", "/approvals/f-4/7.1", "/approvals/f-3/7.1"):
            await page.goto(site.url + path)
            found += await findings(page)
    assert found == []
