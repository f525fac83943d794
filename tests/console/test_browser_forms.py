"""Forms: they do what they say once, for whoever was given them, with scripts and without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.console.site import Site

if TYPE_CHECKING:
    from playwright.async_api import Page

    from tests.console.chromium import People

EVIL = "http://evil.example/"


async def fill_start(page: Page, site: Site, id: str, program: str = "front-desk", **more: Any) -> None:
    """Fill in the form that starts a session."""
    await page.goto(f"{site.url}/")
    await page.get_by_text("Start a session").click()
    form = page.locator("form[action='/sessions']")
    await form.get_by_label("Program").select_option(program)
    await form.locator("[name=input]").fill(more.get("input", "Hello"))
    await form.get_by_label("Id", exact=True).fill(id)


async def said_by_form(page: Page, site: Site) -> dict[str, str]:
    """What the form that starts a session sends besides what is filled in."""
    await page.goto(f"{site.url}/")
    form = page.locator("form[action='/sessions']")
    return {name: await form.locator(f"[name={name}]").input_value() for name in ("token", "key")}


async def is_there(site: Site, id: str) -> bool:
    return (await site.ask("GET", f"sessions/{id}")).status == 200


@pytest.mark.parametrize("scripts", [True, False])
async def test_a_session_is_started_with_scripts_and_without(site: Site, people: People, scripts: bool) -> None:
    page, id = await (await people(java_script_enabled=scripts)).new_page(), f"f-start-{scripts}"
    await fill_start(page, site, id)
    await page.get_by_role("button", name="Start").click()
    await page.wait_for_url(f"**/sessions/{id}*")
    started = (await site.log(id))[0]
    assert (started["actor"], started["body"]["input"]) == ({"kind": "person", "name": "ann"}, "Hello")
    await page.goto(f"{site.url}/")
    await page.get_by_role("link", name=id).click()
    await page.wait_for_url(f"**/sessions/{id}*")


async def test_a_double_click_starts_one_session(site: Site, page: Page) -> None:
    await fill_start(page, site, "")
    before = len((await site.ask("GET", "sessions")).doc["sessions"])
    await page.get_by_role("button", name="Start").dblclick()
    await page.wait_for_url("**/sessions/*")
    assert len((await site.ask("GET", "sessions")).doc["sessions"]) == before + 1


async def test_a_form_sent_twice_starts_one_session(site: Site, page: Page) -> None:
    form = await said_by_form(page, site) | {"program": "front-desk", "input": "Hello"}
    answers = [await page.request.post(f"{site.url}/sessions", form=form, max_redirects=0) for _ in range(2)]
    assert [answer.status for answer in answers] == [303, 303]
    assert len({answer.headers["location"] for answer in answers}) == 1


async def test_what_is_wrong_is_said_beside_what_was_filled_in(site: Site, page: Page) -> None:
    await fill_start(page, site, "f-wrong", input="{no json")
    form = page.locator("form[action='/sessions']")
    await form.get_by_label("the input is JSON").check()
    await form.get_by_role("button", name="Start").click()
    assert "input: it is no JSON" in await page.get_by_role("alert").inner_text()
    assert await form.locator("[name=input]").input_value() == "{no json"
    assert not await is_there(site, "f-wrong")
    await form.locator("[name=input]").fill('{"is": "json"}')
    await form.get_by_role("button", name="Start").click()
    await page.wait_for_url("**/sessions/f-wrong*")
    assert (await site.log("f-wrong"))[0]["body"]["input"] == {"is": "json"}


# --- forms that were not given to who sends them ---------------------------------------------------------------


async def test_a_form_on_another_sites_page_does_nothing(site: Site, page: Page) -> None:
    given = await said_by_form(page, site)  # even one that knows what ann's own forms say
    fields = given | {"program": "front-desk", "input": "Hello", "id": "f-evil"}
    inputs = "".join(f'<input name="{name}" value="{value}">' for name, value in fields.items())
    html = f'<form method="post" action="{site.url}/sessions">{inputs}<button>Win</button></form>'
    await page.route(f"{EVIL}*", lambda route: route.fulfill(body=html, content_type="text/html"))
    await page.goto(EVIL)
    async with page.expect_navigation() as sent:
        await page.get_by_role("button", name="Win").click()
    answer = await sent.value
    assert (answer.request.method, answer.status) == ("POST", 403)
    assert "wrong_origin" in await page.content()
    assert not await is_there(site, "f-evil")


@pytest.mark.parametrize("token", ["", "none", "ben"])
async def test_a_form_without_the_visitors_own_token_does_nothing(site: Site, page: Page, token: str) -> None:
    given = await said_by_form(page, site)
    if token == "ben":
        another = site.beside("ben").start()
        token = (await said_by_form(page, another))["token"]
        another.stop()
    fields = {"key": given["key"], "token": token, "program": "front-desk", "input": "Hello", "id": "f-token"}
    answer = await page.request.post(f"{site.url}/sessions", form=fields, max_redirects=0)
    assert answer.status == 403
    assert "load the page again" in await answer.text()
    assert not await is_there(site, "f-token")


async def test_what_is_no_form_is_refused(site: Site, page: Page) -> None:
    given = await said_by_form(page, site) | {"program": "front-desk", "input": "Hello", "id": "f-json"}
    assert (await page.request.post(f"{site.url}/sessions", data=given)).status == 415
    assert (await page.request.post(f"{site.url}/sessions", multipart=given)).status == 415
    assert (await page.request.post(f"{site.url}/sessions", form=given | {"input": "x" * 2_000_000})).status == 413
    assert not await is_there(site, "f-json")
