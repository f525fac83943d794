"""Watching a session (G9): what is on the page is the log, as it comes, whatever happens to the connection."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.console.pages import Watch, rows, until_shown, until_state
from tests.console.proxy import Wire, wire
from tests.console.site import Site

if TYPE_CHECKING:
    from playwright.async_api import Page


async def shows_the_log(page: Page, site: Site, id: str) -> None:
    """Whether the page shows each event of the log once, and in order, as soon as it shows the last."""
    log = await site.log(id)
    await until_shown(page, log[-1]["seq"])
    assert await rows(page) == [event["seq"] for event in log]


async def opened(page: Page, url: str, id: str) -> None:
    """Open the session's page, and remember in it that it is the same one."""
    await page.goto(f"{url}/sessions/{id}")
    await page.evaluate("() => { window.same = true }")


async def same(page: Page) -> bool:
    return bool(await page.evaluate("() => window.same"))


async def test_g9_a_session_is_started_in_the_browser_and_watched_to_its_end(site: Site, page: Page) -> None:
    await page.goto(site.url)
    await page.get_by_text("Start a session").click()
    form = page.locator("form[action='/sessions']")
    await form.get_by_label("Program").select_option("parcel-desk")
    await form.locator("[name=input]").fill("Where are my parcels?")
    await form.locator("[name=id]").fill("w-live")
    await form.get_by_role("button", name="Start").click()
    await page.wait_for_url("**/sessions/w-live*")
    await page.evaluate("() => { window.same = true }")
    for parcel in (1, 2, 3):
        begun = await site.until("w-live", "calls_proposed", parcel)
        await until_shown(page, begun["seq"])
        site.go("w-live", parcel)
    await site.until("w-live", "session_completed")
    await shows_the_log(page, site, "w-live")
    await page.get_by_text("All three parcels are on their way.").first.wait_for()
    await page.locator("main .status.completed").first.wait_for()
    await until_state(page, "ended")
    assert await same(page)  # nothing was loaded again by hand


async def test_g9_a_connection_cut_in_the_middle_leaves_no_gap_and_no_repeat(site: Site, page: Page) -> None:
    await site.begun("w-cut", "parcel-desk")
    async with wire(site.url) as line:
        await opened(page, line.url, "w-cut")
        await until_shown(page, (await site.until("w-cut", "calls_proposed"))["seq"])
        await until_state(page, "live")
        for parcel in (1, 2):
            await missed(page, site, line, parcel)
        site.go("w-cut", 3)
        await site.until("w-cut", "session_completed")
        await shows_the_log(page, site, "w-cut")
        await until_state(page, "ended")
        assert await same(page)


async def missed(page: Page, site: Site, line: Wire, parcel: int) -> None:
    """Let a part of the session pass while nobody gets through."""
    assert line.cut() > 0
    await until_state(page, "reconnecting")
    site.go("w-cut", parcel)
    last = (await site.until("w-cut", "calls_proposed", parcel + 1))["seq"]
    assert last not in await rows(page)
    line.mend()
    await until_shown(page, last)
    await until_state(page, "live")
    assert await rows(page) == list(range(1, last + 1))


async def test_g9_a_server_that_refuses_for_a_while_is_asked_again(site: Site, page: Page) -> None:
    await site.begun("w-503", "parcel-desk")
    await page.route("**/v1/sessions/w-503/events*", lambda route: route.fulfill(status=503, body="{}"))
    await opened(page, site.url, "w-503")
    await until_state(page, "reconnecting")
    site.go("w-503", 1)
    await site.until("w-503", "calls_proposed", 2)
    await page.unroute("**/v1/sessions/w-503/events*")
    await until_state(page, "live")
    await shows_the_log(page, site, "w-503")
    assert await same(page)


async def test_what_somebody_is_writing_stays_while_the_session_goes_on(site: Site, page: Page) -> None:
    await site.begun("w-type", "front-desk")
    await site.until_waiting("w-type", "input")
    await opened(page, site.url, "w-type")
    await until_state(page, "live")
    box = page.locator("main form textarea[name=content]").first
    await box.fill("Half a sen")
    for number in range(2):
        await site.ask("POST", "sessions/w-type/inputs", {"content": f"Another says {number}"})
        await site.until("w-type", "model_answered", number + 2)
        await shows_the_log(page, site, "w-type")
    assert await box.input_value() == "Half a sen"
    assert await box.evaluate("(each) => each === document.activeElement")
    await box.press_sequentially("tence")
    await page.get_by_role("button", name="Send").first.click()
    said = await site.until("w-type", "input_received", 3)
    assert said["body"]["content"] == "Half a sentence"
    await shows_the_log(page, site, "w-type")


async def test_g4_what_a_model_says_meanwhile_is_marked_and_replaced_by_what_is_recorded(
    site: Site, page: Page
) -> None:
    await site.begun("w-aloud", "speaker")
    await site.until_waiting("w-aloud", "input")
    watch = Watch(page.context, site.url)
    await opened(page, site.url, "w-aloud")
    await until_state(page, "live")
    told = asyncio.create_task(site.ask("POST", "sessions/w-aloud/inputs", {"content": "What do you think?"}))
    meanwhile = page.locator("#provisional")
    await meanwhile.get_by_text("not recorded yet").wait_for()
    await meanwhile.get_by_text("<script>").wait_for()
    assert [event["kind"] for event in await site.log("w-aloud")].count("model_answered") == 1
    assert (await told).status == 200
    await site.until("w-aloud", "model_answered", 2)
    await shows_the_log(page, site, "w-aloud")
    await meanwhile.wait_for(state="hidden")
    assert "That is all." in await page.locator("#talk > .model").last.inner_text()
    assert await page.locator("#forged").count() == 0
    assert watch.wrong == []


async def test_the_list_of_sessions_goes_on_by_itself(site: Site, page: Page) -> None:
    await page.goto(f"{site.url}/?program=parcel-desk")
    await site.begun("w-new", "parcel-desk")
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name="w-new", exact=True))
    await row.get_by_text("running").wait_for()
    for parcel in (1, 2, 3):
        site.go("w-new", parcel)
    await row.get_by_text("completed").wait_for()
