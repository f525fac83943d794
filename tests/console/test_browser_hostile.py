"""What a model or a tool writes is text, wherever it stands: it starts nothing, loads nothing, and changes no page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.console.pages import REPORT, Watch, reported
from tests.console.site import Site

if TYPE_CHECKING:
    from playwright.async_api import Page

    from tests.console.chromium import People

STRUCTURE = """(which) => [...document.querySelectorAll(which)].map((each) => {
  const names = [...each.attributes].map((attribute) => attribute.name).sort();
  return `${each.tagName} ${names.join(" ")}`;
})"""
"""These elements of a page, with the names of their attributes."""

FOREIGN = (
    "#forged, img, iframe, object, embed, base, style, [style], [srcdoc], meta[http-equiv], script:not([src]), "
    "[onload], [onerror], [onclick], [href^='javascript:' i], [src^='data:'], [href*='evil.example'], "
    "[src*='evil.example'], [action*='evil.example']"
)
"""What no page of the console has."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def strange(site: Site) -> dict[str, str]:
    """Two sessions that differ in what was written alone, by whether it is hostile; the call that each asks about."""
    asked = {id: await site.asking(f"h-{id}", "stranger", input=f"Be {id}.") for id in ("hostile", "tame")}
    assert asked["hostile"]["call"] == asked["tame"]["call"]
    return {id: wait["call"] for id, wait in asked.items()}


PATHS = {
    "the session": (
        "/sessions/h-{id}",
        "html > *, head > *, body > *, main > *",
    ),  # how long a text is decides the rest
    "an event": ("/sessions/h-{id}/events/4", "*"),
    "the state": ("/sessions/h-{id}/state?seq=7", "*"),
    "the approval": ("/approvals/h-{id}/{call}", "*:not(#edit-form *)"),  # what fits no field is edited as JSON
}
"""Pages, and which of their elements are the same whatever was written."""


@pytest.mark.parametrize(("path", "which"), PATHS.values(), ids=PATHS)
async def test_what_a_model_wrote_changes_nothing_of_a_page(
    site: Site, people: People, strange: dict[str, str], path: str, which: str
) -> None:
    found = {}
    for id, call in strange.items():
        context = await people()
        await context.add_init_script(REPORT)
        watch, page = Watch(context, site.url), await context.new_page()
        answer = await page.goto(site.url + path.format(id=id, call=call))
        assert answer is not None
        assert answer.status == 200
        await settled(page)
        found[id] = await page.evaluate(STRUCTURE, which)
        assert await page.locator(FOREIGN).count() == 0
        assert watch.wrong == await reported(page) == []
    assert found["hostile"] == found["tame"]


async def settled(page: Page) -> None:
    """Wait until the page says that it is live, if it is."""
    if await page.locator("#live").count():
        await page.locator("#live[data-state=live]").wait_for()


@pytest.mark.parametrize("path", ["/", "/approvals", "/attention", "/effects?reads=1"])
async def test_a_list_shows_it_as_text(site: Site, people: People, strange: dict[str, str], path: str) -> None:
    context = await people()
    await context.add_init_script(REPORT)
    watch, page = Watch(context, site.url), await context.new_page()
    await page.goto(site.url + path)
    await page.wait_for_load_state("networkidle")
    assert await page.locator(FOREIGN).count() == 0
    assert "owned" not in await page.title()
    assert watch.wrong == await reported(page) == []


async def test_it_comes_live_as_text_too(site: Site, people: People, strange: dict[str, str]) -> None:
    context = await people()
    await context.add_init_script(REPORT)
    watch, page = Watch(context, site.url), await context.new_page()
    await site.begun("h-live", "front-desk")
    await site.until_waiting("h-live", "input")
    await page.goto(f"{site.url}/sessions/h-live")
    hostile = (await site.log("h-hostile"))[1]["body"]["answer"]["text"]
    await site.ask("POST", "sessions/h-live/inputs", {"content": hostile})
    told = await site.until("h-live", "input_received")
    await page.locator(f"#e{told['seq']}").wait_for()
    assert await page.locator(FOREIGN).count() == 0
    assert watch.wrong == await reported(page) == []


async def test_what_turns_text_around_is_seen(site: Site, page: Page, strange: dict[str, str]) -> None:
    await page.goto(f"{site.url}/approvals/h-hostile/{strange['hostile']}")
    text = await page.locator("main").text_content() or ""
    assert "\\u202e" in text
    assert not {"\u202e", "\u2066", "\x1b", "\x07"} & set(text)
