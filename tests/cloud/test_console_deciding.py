"""The pages on which people decide and repair, as they are served on SQLite and under the functions framework."""

from __future__ import annotations

import pytest

from tests.cloud.servers import Api
from tests.console.visitor import Visitor

GRACE, ANN = "grace@shop.example", "ann@shop.example"


@pytest.fixture
def grace(api: Api) -> Visitor:
    return Visitor(api, GRACE)


async def test_an_approval_is_decided_in_the_inbox_or_changed_on_its_page(api: Api, grace: Visitor) -> None:
    await api.asking("p-1", "inbox")
    inbox = await grace.get("/approvals?tool=refund&program=refund-desk&tenant=inbox")
    sent = await grace.send(inbox, inbox.form("/approvals/p-1/"), "approved", reason="Broken.")
    assert "Approved." in (await grace.follow(sent)).text
    await api.until("p-1", "session_completed", "inbox")
    decision = await api.asking("p-2")
    page = await grace.get(f"/approvals/p-2/{decision['call']}")
    review = await grace.send(page, page.form(button="review"), "review", **{"value/order": "A-2"})
    assert '"A-1""A-2"' in review.text
    told = await grace.follow(await grace.send(review, review.form(button="review"), "approved"))
    assert "Approved by grace@shop.example" in told.text
    events = await api.until("p-2", "call_completed")
    assert [event.body.result for event in events if event.kind == "call_completed"] == ["refunded A-2"]
    late = await grace.send(page, page.form(button="approved"), "rejected")
    assert (late.status, "Approved by grace@shop.example" in late.text) == (409, True)


async def test_a_link_leads_to_the_approval_until_it_is_used(api: Api, grace: Visitor) -> None:
    call = (await api.asking("p-3"))["call"]
    link = (await api.ask("POST", "sessions/p-3/links", {"call": call}, ANN)).doc["path"]
    page = await grace.get(link)
    sent = await grace.send(page, page.form("/link/", "approved"), "rejected", reason="Not ours.")
    assert (await grace.follow(sent)).status == 200
    over = await grace.get(link)
    assert (over.status, "rejected by grace@shop.example" in over.text) == (410, True)


async def test_a_paused_session_is_resumed_and_the_ledger_is_read(api: Api, grace: Visitor) -> None:
    await api.asking("p-4")
    assert (await api.ask("POST", "sessions/p-4/pause", {"reason": "asking legal"})).status == 200
    page = await grace.get("/attention?session=p-4")
    assert "asking legal" in page.text
    (form,) = [each for each in page.root.all("form", method="post") if each.all("button", value="resume")]
    assert (await grace.follow(await grace.send(page, form, "resume"))).status == 200
    await api.until("p-4", "session_resumed")
    page = await grace.get("/effects?tool=refund&program=refund-desk&since=1h")
    assert "p-4" in page.text
