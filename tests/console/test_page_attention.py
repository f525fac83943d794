"""Repairing: what needs attention and is in doubt, each thing to do about it, and the ledger of effects."""

from __future__ import annotations

import asyncio

from onward import Limits
from tests.console.house import ANN, GRACE, House, house
from tests.console.shop import HOSTILE
from tests.console.visitor import Element, Page

__all__ = ["house"]
VERA, OTTO = "vera@firm.example", "otto@firm.example"


async def doubted(house: House, id: str) -> None:
    """Start a session whose payment is in doubt."""
    await house.api.begun(id, "cashier")
    await house.api.until(id, "call_in_doubt")
    await house.rests(id, "waiting")


async def parked(house: House, id: str, **limits: int) -> None:
    """Start a session that reaches a limit."""
    limits = limits or {"turns": 1}
    await house.api.begun(id, "refund-desk", limits=Limits(**limits).model_dump(exclude_none=True))
    await house.rests(id, "needs_attention")


def form(page: Page, do: str, id: str = "", call: str = "") -> Element:
    for each in page.root.all("form", method="post"):
        fields = page.fields(each)
        there = id in each.attributes["action"] and (not call or fields["call"] == call)
        if there and [button.attributes["value"] for button in page.buttons(each)] == [do]:
            return each
    raise AssertionError(f"nothing to {do}")


def offered(page: Page) -> list[str]:
    return [each.attributes["value"] for each in page.root.all("button", name_="do")]


# --- in doubt ----------------------------------------------------------------------------------------------------


async def test_what_is_in_doubt_is_shown_with_all_that_helps_to_find_it_out(house: House) -> None:
    await doubted(house, "a-1")
    page = await house.visitor().get("/attention")
    said = page.root.one("article").text
    (entry,) = (await house.api.ask("GET", "sessions/a-1?include=evidence")).doc["evidence"]
    for words in (
        'order"A-1042"',
        "Effectirreversible",
        entry["key"],
        "the bank hung up before it answered",
        "Attempt 1begun",
        "in doubt",
        "It is not performed again.",
        "It may be performed again, with the same idempotency key",
        "It is recorded as failed and not tried again",
    ):
        assert words in said, words
    assert offered(page) == ["done", "not_done", "failed", "cancel"]
    assert (await house.visitor().get("/attention?session=a-1")).root.one("article").text == said


async def test_what_is_in_doubt_happened_and_is_said_so_once(house: House) -> None:
    await doubted(house, "a-1")
    grace = house.visitor()
    page = await grace.get("/attention?program=cashier")
    wrong = await grace.send(page, form(page, "done"), "done", result="{", json="1", reason="Seen at the bank.")
    assert (wrong.status, "result: it is no JSON" in wrong.text) == (400, True)
    assert wrong.fields(form(wrong, "done"))["reason"] == "Seen at the bank."
    filled = {"result": '{"paid": true}', "json": "1", "reason": "Seen at the bank."}
    sent = [await grace.send(page, form(page, "done"), "done", **filled) for _ in range(2)]
    assert [each.location for each in sent] == ["/attention?told=done"] * 2
    assert "Recorded: it happened." in (await grace.follow(sent[0])).text
    await house.rests("a-1", "completed")
    assert (await house.kinds("a-1")).count("call_completed") == 1
    late = await house.visitor(ANN).get("/attention?session=a-1")
    assert (offered(late), "It is over." in late.text) == ([], True)
    ledger = (await grace.get("/effects?tool=pay")).root.one("tbody").text
    for words in ("done, was in doubt", "grace@shop.example", '{"paid": true}'):
        assert words in ledger, words


async def test_what_did_not_happen_may_be_performed_again_and_what_failed_not(house: House) -> None:
    await doubted(house, "a-1")
    grace, ann = house.visitor(), house.visitor(ANN)
    page = await grace.get("/attention")
    hers = await ann.get("/attention")
    assert (await grace.send(page, form(page, "not_done"), "not_done")).status == 303
    async with asyncio.timeout(20):
        while "Attempt 2begun" not in (page := await grace.get("/attention")).text or "failed" not in offered(page):
            await asyncio.sleep(0.02)
    assert (await grace.send(page, form(page, "failed"), "failed", reason="The bank says no.")).status == 303
    await house.rests("a-1", "completed")
    late = await ann.send(hers, form(hers, "done"), "done")
    assert (late.status, "Not done:" in late.text) == (409, True)
    assert len(house.books) == 2
    assert (await house.kinds("a-1")).count("call_failed") == 1


# --- parked and paused -------------------------------------------------------------------------------------------


async def test_a_session_at_its_limit_goes_on_under_a_higher_one(house: House) -> None:
    await parked(house, "a-1")
    grace = house.visitor()
    page = await grace.get("/attention")
    assert offered(page) == ["retry", "finish", "cancel"]
    retry = form(page, "retry")
    assert page.fields(retry)["turns"] == "2"
    for wrong in ("many", "-1", "0"):
        no = await grace.send(page, retry, "retry", turns=wrong)
        assert (no.status, no.fields(form(no, "retry"))["turns"]) == (400, wrong)
    sent = [await grace.send(page, retry, "retry", turns="40") for _ in range(2)]
    assert [each.status for each in sent] == [303, 303]
    await house.rests("a-1", "waiting")
    assert (await house.kinds("a-1")).count("limits_changed") == 1
    assert (await house.api.ask("GET", "sessions/a-1")).doc["limits"]["turns"] == 40


async def test_a_parked_session_is_finished_or_cancelled_or_given_a_value(house: House) -> None:
    for id in ("a-1", "a-2"):
        await parked(house, id)
    grace = house.visitor()
    page = await grace.get("/attention")
    assert (await grace.send(page, form(page, "finish", "a-1"), "finish", output="By hand.")).status == 303
    assert (await grace.send(page, form(page, "cancel", "a-2"), "cancel", reason="Enough.")).status == 303
    await house.rests("a-2", "cancelled")
    done = (await house.api.ask("GET", "sessions/a-1?include=output")).doc
    assert (done["status"], done["output"]) == ("completed", "By hand.")
    assert "Nothing needs attention." in (await grace.get("/attention")).text


async def test_a_paused_session_is_resumed(house: House) -> None:
    await house.asking("a-1")
    assert (await house.api.ask("POST", "sessions/a-1/pause", {"reason": "asking legal"})).status == 200
    grace = house.visitor()
    assert offered(await grace.get("/attention")) == []
    page = await grace.get("/attention?paused=1")
    assert "asking legal" in page.text
    assert offered(page) == ["resume", "finish", "cancel"]
    sent = await grace.send(page, form(page, "resume"), "resume")
    assert sent.location == "/attention?paused=1&told=resume"
    await house.rests("a-1", "waiting")


# --- who may -----------------------------------------------------------------------------------------------------


async def test_only_an_operator_moves_a_session(house: House) -> None:
    await doubted(house, "a-1")
    grace = house.visitor()
    page = await grace.get("/attention")
    looks = await house.visitor(VERA).get("/attention")
    assert (offered(looks), "An operator of default can move it; you are none." in looks.text) == ([], True)
    assert offered(await house.visitor(OTTO).get("/attention")) == ["done", "not_done", "failed", "cancel"]
    action = form(page, "cancel").attributes["action"]
    token = page.fields(form(page, "cancel"))["token"]
    before = await house.kinds("a-1")
    fields = {"do": "cancel", "call": "", "key": "k", "token": token}
    assert (await house.visitor(VERA).post(action, fields)).status == 403
    assert (await grace.post(action, fields | {"token": "x"})).status == 403
    assert (await grace.post(action, fields | {"do": "sing"})).status == 400
    assert (await grace.post(action, fields | {"key": ""})).status == 400
    assert (await grace.post("/attention/a-2?tenant=default", fields)).status == 404
    assert (await grace.post("/attention/a-1?tenant=acme", fields)).status == 404
    assert await house.kinds("a-1") == before


async def test_a_call_that_a_person_is_asked_about_takes_an_approver_to_skip(house: House) -> None:
    path = await house.asking("a-1")
    call = path.split("/")[-1].partition("?")[0]
    otto = house.visitor(OTTO)
    before = await house.kinds("a-1")
    page = await otto.get("/")
    token = page.root.all("input", name_="token")[0].attributes["value"]
    fields = {"do": "skip", "call": call, "key": "k", "token": token, "result": "by hand"}
    no = await otto.post("/attention/a-1?tenant=default", fields)
    assert (no.status, "is no approver" in no.text) == (403, True)
    assert await house.kinds("a-1") == before
    grace = house.visitor()
    mine = (await grace.get("/")).root.all("input", name_="token")[0].attributes["value"]
    assert (await grace.post("/attention/a-1?tenant=default", fields | {"token": mine})).status == 303
    await house.rests("a-1", "completed")
    assert house.books == []


# --- the ledger --------------------------------------------------------------------------------------------------


async def test_the_ledger_says_what_was_done_by_whose_leave(house: House) -> None:
    grace = house.visitor(GRACE)
    page = await grace.get(await house.asking("e-1"))
    await grace.send(page, page.form(button="approved"), "approved")
    await house.rests("e-1", "completed")
    ledger = await grace.get("/effects")
    (row,) = ledger.root.one("tbody").all("tr")
    said = {cell.attributes["data-name"]: cell.text for cell in row.children if not isinstance(cell, str)}
    assert (said["Session"], said["Outcome"], said["By"], said["Result"]) == (
        "e-1 default",
        "done",
        GRACE,
        '"refunded 89.00"',
    )
    assert said["Call"].startswith("refund {")
    assert "irreversible, key " in said["Call"]
    reads = await grace.get("/effects?reads=1&since=1h&program=refund-desk&tenant=default")
    assert len(reads.root.one("tbody").all("tr")) == 2
    for nothing in ("tool=none", "program=none", "tenant=acme"):
        assert (await grace.get(f"/effects?{nothing}")).root.all("tbody") == []
    assert (await grace.get("/effects?since=ever")).status == 400
    assert (await grace.get("/effects?cursor=x")).status == 400
    assert (await house.visitor(VERA).get("/effects?tenant=acme")).status == 404


async def test_whatever_is_written_in_them_is_text(house: House) -> None:
    grace = house.visitor()
    page = await grace.get(await house.asking("e-1", "stranger", input=HOSTILE))
    await grace.send(page, page.form(button="responded"), "responded", result=HOSTILE, reason=HOSTILE[:300])
    await house.api.ask("POST", "sessions/e-1/pause", {"reason": HOSTILE[:500]})
    for path in ("/effects?reads=1", "/attention?session=e-1", "/attention?paused=1"):
        page = await grace.get(path)
        assert page.status == 200
        assert [each.name for each in page.root.all() if each.name in ("img", "svg", "style", "iframe", "base")] == []
        assert [each for each in page.root.all() for name in each.attributes if name.startswith("on")] == []
        assert not set(page.html) & set("\u202e\u202c\u2066\u2069\x1b\x07\ufffe\x00")
