"""What holds of every page: it can be used by everybody, on any screen, and lets nothing in from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.console.pages import REPORT, Watch, findings, reported, too_wide
from tests.console.site import Site

if TYPE_CHECKING:
    from tests.console.chromium import People

PAGES: Mapping[str, str] = {
    "sessions": "/",
    "sessions, filtered": "/?status=waiting&program=refund-desk",
    "a session that asks": "/sessions/p-asks",
    "a session in doubt": "/sessions/p-doubt",
    "a session with a child": "/sessions/p-boss",
    "a session that talks": "/sessions/p-talk",
    "a session that was cancelled": "/sessions/p-gone",
    "a session of a workflow": "/sessions/p-flow",
    "a session of a stranger's": "/sessions/p-strange",
    "an event": "/sessions/p-asks/events/4",
    "a state": "/sessions/p-asks/state?seq=4",
    "a branch": "/sessions/p-branch",
    "a family": "/sessions/p-branch/branches",
    "two sessions compared": "/sessions/p-asks/compare/p-branch",
    "what forks": "/sessions/p-asks/fork?seq=2",
    "approvals": "/approvals?for=all",
    "an approval": "/approvals/p-asks/6.0",
    "an approval that takes two": "/approvals/p-two/3.0",
    "a question of a workflow": "/approvals/p-flow/7.1",
    "an approval of a stranger's": "/approvals/p-strange/7.0",
    "an approval that is settled": "/approvals/p-done/6.0",
    "what needs attention": "/attention",
    "effects": "/effects?reads=1",
    "health": "/health",
    "no page": "/nothing",
    "no session": "/approvals/nobody/1.0",
}
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True, "device_scale_factor": 2}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(site: Site) -> Site:
    """A shop that is in the middle of everything."""
    for id in ("p-asks", "p-done"):
        wait = await site.asking(id)
    decision = {"call": wait["call"], "digest": wait["digest"], "verdict": "rejected", "reason": "No photo."}
    assert (await site.ask("POST", "sessions/p-done/decisions", decision)).status == 200
    await site.asking("p-two", "treasury")
    await site.asking("p-strange", "stranger")
    await site.begun("p-flow", "replacement", "A-1042")
    await site.until_waiting("p-flow", "approval")
    await site.begun("p-doubt", "cashier")
    await site.until_waiting("p-doubt", "operator")
    await site.begun("p-boss", "manager")
    await site.until_waiting("p-boss", "child")
    await site.begun("p-talk", "front-desk")
    await site.until_waiting("p-talk", "input")
    await site.begun("p-gone", "front-desk")
    assert (await site.ask("POST", "sessions/p-gone/cancel", {"reason": "no longer wanted"})).status == 200
    assert (await site.ask("POST", "sessions/p-asks/fork", {"id": "p-branch", "at": 7})).status == 201
    return site


@pytest.mark.parametrize("colours", ["light", "dark"])
async def test_axe_finds_nothing_serious_on_any_page(shop: Site, people: People, colours: str) -> None:
    context = await people(color_scheme=colours, bypass_csp=True)
    page, found = await context.new_page(), list[str]()
    for path in PAGES.values():
        await page.goto(shop.url + path)
        found += await findings(page)
    assert found == []


async def test_axe_finds_nothing_serious_where_forms_are_refused_or_looked_over(shop: Site, people: People) -> None:
    page, found = await (await people(bypass_csp=True)).new_page(), list[str]()
    await page.goto(f"{shop.url}/approvals/p-asks/6.0")
    await page.get_by_text("Change it, and approve that").click()
    for amount in ("9000", "40"):
        await page.get_by_label("amount").fill(amount)
        async with page.expect_navigation():
            await page.get_by_role("button", name="Show what changes").first.click()
        found += await findings(page)
    assert await page.get_by_role("region", name="What you change").count() == 1
    await page.goto(f"{shop.url}/")
    await page.get_by_text("Start a session").click()
    await page.get_by_label("the input is JSON").check()
    await page.get_by_role("button", name="Start", exact=True).click()
    await page.get_by_role("alert").wait_for()
    assert found + await findings(page) == []


async def test_on_a_phone_no_page_is_wider_than_the_screen_and_fingers_hit_what_they_mean(
    shop: Site, people: People
) -> None:
    page, found = await (await people(**PHONE, bypass_csp=True)).new_page(), list[str]()
    for path in PAGES.values():
        await page.goto(shop.url + path)
        found += await too_wide(page)
        found += await findings(page, only="target-size")
    assert found == []


async def test_a_policy_keeps_everything_out_of_every_page_and_no_page_runs_into_it(shop: Site, people: People) -> None:
    context = await people()
    await context.add_init_script(REPORT)
    watch, page = Watch(context, shop.url), await context.new_page()
    for path in PAGES.values():
        answer = await page.goto(shop.url + path)
        assert answer is not None
        assert_strict(await answer.header_value("content-security-policy"))
        assert await answer.header_value("x-content-type-options") == "nosniff"
        assert await answer.header_value("cache-control") == "no-store"
        assert await reported(page) == []
    assert watch.wrong == []


def assert_strict(policy: str | None) -> None:
    rules = dict(rule.strip().split(" ", 1) for rule in (policy or "").split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["form-action"] == "'self'"
    assert rules["base-uri"] == rules["frame-ancestors"] == "'none'"
    assert set(rules.values()) == {"'none'", "'self'"}  # nothing inline, no eval, no other host, no data
