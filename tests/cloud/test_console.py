"""The console as it is served on the cloud: by the `api` function, under the functions framework, from Firestore."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cloud import servers
from tests.cloud.servers import Api
from tests.console.chromium import browser, people
from tests.console.pages import rows, until_shown, until_state
from tests.console.proxy import wire

if TYPE_CHECKING:
    from playwright.async_api import Page

    from tests.cloud.world import World
    from tests.console.chromium import People

__all__ = ["browser", "people"]
pytestmark = pytest.mark.asyncio(loop_scope="session")
GRACE, VERA = "grace@shop.example", "vera@firm.example"


async def visit(people: People, api: Api, who: str) -> Page:
    """A browser from which requests come with the identity of this person."""
    headers = {"Authorization": f"Bearer {api.token(who)}"}
    return await (await people(extra_http_headers=headers)).new_page()


async def test_g9_a_session_is_watched_through_a_connection_that_was_cut(world: World, people: People) -> None:
    api = servers.under_the_framework(world)
    page = await visit(people, api, GRACE)
    decision = await api.asking("c-watch")
    async with wire(api.url) as line:
        await page.goto(f"{line.url}/sessions/c-watch")
        asked = (await api.until("c-watch", "approval_requested"))[-1].seq
        await until_shown(page, asked)
        await until_state(page, "live")
        assert line.cut() > 0
        assert (await api.ask("POST", "sessions/c-watch/decisions", decision)).status == 200
        log = await api.until("c-watch", "session_completed")
        await until_state(page, "reconnecting")
        assert await rows(page) == list(range(1, asked + 1))
        line.mend()
        await until_shown(page, log[-1].seq)
        assert await rows(page) == [event.seq for event in log]
        await until_state(page, "ended")


async def test_g8_an_approval_is_decided_by_who_may_as_who_they_are(world: World, people: People) -> None:
    api = servers.under_the_framework(world)
    decision = await api.asking("c-approve")
    path = f"{api.url.rstrip('/')}/approvals/c-approve/{decision['call']}"
    watches = await visit(people, api, VERA)
    await watches.goto(path)
    await watches.get_by_text("You don't decide this").wait_for()
    assert await watches.get_by_role("button", name="Approve").count() == 0
    page = await visit(people, api, GRACE)
    await page.goto(path)
    await page.get_by_role("button", name="Approve", exact=True).click()
    await page.get_by_text(f"Approved by {GRACE}").first.wait_for()
    log = await api.until("c-approve", "session_completed")
    assert [event.actor.name for event in log if event.kind == "approval_decided"] == [GRACE]
    assert [entry["what"] for entry in world.booked("c-approve")] == ["refund"]


async def test_nobody_is_shown_anything_who_is_not_known(world: World, people: People) -> None:
    page = await (await people()).new_page()
    for path in ("", "approvals", "attention", "health", "sessions/c-approve"):
        answer = await page.goto(f"{world.cloud.functions['api'].url}{path}")
        assert answer is not None
        assert answer.status == 401
        assert "refund" not in await page.content()
