"""What these tests look for would be found: a page that does everything wrong is told of by every judge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.console.pages import REPORT, Watch, findings, reported, too_wide

if TYPE_CHECKING:
    from playwright.async_api import Page

    from tests.console.chromium import People

PLACE = "http://wrong.example/"
WRONG = """<!doctype html><html lang="en"><title>Wrong</title><body>
<p style="color: #ccc; background: #fff">Hardly to be read</p><input><button></button>
<div style="width: 3000px">Wide</div><img alt="" src="http://evil.example/pixel.png">
<script>alert(1)</script><script>throw new Error("broken")</script></body></html>"""


async def wrong(page: Page, **headers: str) -> None:
    await page.route(f"{PLACE}*", lambda route: route.fulfill(body=WRONG, content_type="text/html", headers=headers))
    await page.route("http://evil.example/*", lambda route: route.abort())
    await page.goto(PLACE)


async def test_a_wrong_page_is_told_of(page: Page) -> None:
    watch = Watch(page.context, PLACE)
    await wrong(page)
    assert {line.partition(": ")[0] for line in await too_wide(page)} == {PLACE, '<div style="width'}
    found = {line.split(": ")[1] for line in await findings(page)}
    assert {"color-contrast", "label", "button-name"} <= found
    assert sorted(line[:5] for line in watch.wrong) == ["asked", "faile", "spoke"]


async def test_a_page_that_runs_into_its_policy_is_told_of(people: People) -> None:
    context = await people()
    await context.add_init_script(REPORT)
    page = await context.new_page()
    await wrong(page, **{"content-security-policy": "default-src 'none'; script-src 'self'"})
    kept = {line.partition(" ")[0] for line in await reported(page)}
    assert kept == {"style-src-attr", "script-src-elem", "img-src"}
