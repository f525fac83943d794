"""Deciding: the inbox, and the page of one approval."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from onward import Agent, App, Approval, ScriptedModel, tool
from onward.core.links import Link, link_path
from onward.surfaces.console.approval import COUNTED
from tests.console.house import ANN, GRACE, House, house, opened
from tests.console.shop import HOSTILE
from tests.console.visitor import Page

__all__ = ["house"]
VERA, OTTO, ANNA, TINA = (f"{name}@firm.example" for name in ("vera", "otto", "anna", "tina"))

SENT: list[dict[str, Any]] = []
_ASKED = "approval_requested"


@tool(effect="irreversible", approval=Approval())
def send(text: str, more: dict[str, Any], n: float) -> str:
    """Send a text."""
    SENT.append({"text": text, "more": more, "n": n})
    return "sent"


@tool(effect="irreversible", approval=Approval(timeout="100ms"))
def hurry(text: str, more: dict[str, Any], n: float) -> str:
    """Send a text, if somebody says so at once."""
    return send(text, more, n)


def cards(page: Page) -> list[str]:
    """The sessions that have a card."""
    links = [each.attributes["href"] for each in page.root.all("a", data_key="e")]
    return [re.fullmatch(r"/approvals/([^/]+)/.*", link)[1] for link in links]  # type: ignore[index]


# --- the inbox -------------------------------------------------------------------------------------------------


async def test_the_inbox_shows_exactly_what_is_asked_and_what_is_known_of_it(house: House) -> None:
    await house.asking("d-1")
    page = await house.visitor().get("/approvals")
    assert page.status == 200
    rows = {row.one("th").text: row.one("td").text for row in page.root.one("article").one("table").all("tr")}
    assert rows["amount"] == '"89.00"'
    assert rows["to"] == '{"holder": "Maria Keller", "iban": "DE021203000000", "bank": null}'
    said = page.root.one("article").text
    for words in (
        "every refund is looked at",
        "Refund an order. The money is gone then.",
        "irreversible: can't be undone",
        "any approver",
        "then it is denied",
        "It arrived broken, so you get your money back.",
        "Hi",
        "Coffee grinder",
        "Time left1 d, until",
    ):
        assert words in said, words


async def test_the_inbox_is_filtered_and_shows_an_approver_what_is_for_them(house: House) -> None:
    await house.asking("d-1")
    await house.asking("d-2", "treasury")
    await house.asking("d-3", tenant="acme")
    grace = house.visitor()
    assert cards(await grace.get("/approvals")) == ["d-1", "d-2"]
    assert cards(await grace.get("/approvals?for=all")) == ["d-1", "d-2", "d-3"]
    assert cards(await grace.get("/approvals?program=treasury")) == ["d-2"]
    assert cards(await grace.get("/approvals?tool=refund&tenant=acme&for=all")) == ["d-3"]
    assert cards(await grace.get("/approvals?tool=nothing")) == []
    anna = house.visitor(ANNA)
    assert cards(await anna.get("/approvals")) == ["d-1", "d-2"]
    everybodys = await anna.get("/approvals?for=all")
    assert cards(everybodys) == ["d-1", "d-2", "d-3"]
    assert "anna@firm.example may not decide refund: list:finance, tina@firm.example may" in everybodys.text
    looks = await house.visitor(VERA).get("/approvals")
    assert cards(looks) == ["d-1", "d-2"]
    assert looks.root.all("form", method="post") == []


async def test_a_page_of_the_inbox_leads_to_the_next(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onward.surfaces.console.approvals.FEW", 2)
    for at in range(3):
        await house.asking(f"d-{at}", "treasury")
    first = await house.visitor().get("/approvals?tool=transfer")
    (more,) = [each for each in first.root.all("a") if each.text == "Newer ones"]
    second = await house.visitor().get(more.attributes["href"])
    assert (cards(first), cards(second)) == (["d-0", "d-1"], ["d-2"])


async def test_a_page_of_the_inbox_reads_no_log_but_from_the_question_on(house: House) -> None:
    for at in range(3):
        await house.asking(f"d-{at}")
    await house.visitor().get("/approvals")
    house.api.counts.clear()
    assert len(cards(await house.visitor().get("/approvals?for=all"))) == 3
    assert dict(house.api.counts) == {"commits": 3}  # what asked names what the rules go by


async def test_a_decision_in_the_inbox_leads_back_there_and_a_form_sent_twice_decides_once(house: House) -> None:
    await house.asking("d-1")
    grace = house.visitor()
    page = await grace.get("/approvals?tool=refund&for=all")
    form = page.form("/approvals/", "approved")
    sent = [await grace.send(page, form, "approved", reason="Broken.") for _ in range(2)]
    assert [each.location for each in sent] == ["/approvals?tool=refund&for=all&told=approved"] * 2
    assert "Approved." in (await grace.follow(sent[0])).text
    await house.rests("d-1", "completed")
    assert (await house.kinds("d-1")).count("approval_decided") == 1
    assert [book["arguments"]["amount"] for book in house.books] == ["89.00"]


async def test_several_are_decided_each_on_its_own_and_what_is_refused_is_said(house: House) -> None:
    for at in (1, 2, 3):
        await house.asking(f"d-{at}")
    grace, ann = house.visitor(), house.visitor(ANN)
    page = await grace.get("/approvals")
    picks = {each.attributes["name"]: each.attributes["value"] for each in page.root.all("input", data_key="x")}
    assert len(picks) == 3
    other = await ann.get("/approvals")
    assert (await ann.send(other, other.form("/approvals/d-2"), "rejected", reason="Not this one.")).status == 303
    batch = page.root.one("form", id="batch")
    answer = await grace.send(page, batch, "approved", **picks)
    assert answer.status == 409
    assert answer.root.one(id="outcomes").text == "2 taken, 1 not"
    (no,) = [each.text for each in answer.root.all("li") if "not taken" in each.text]
    assert no.startswith("d-2, call")
    again = await grace.send(page, batch, "approved", **picks)
    assert again.root.one(id="outcomes").text == "2 taken, 1 not"
    for id in ("d-1", "d-3"):
        await house.rests(id, "completed")
    await house.rests("d-2", "completed")
    assert sorted(book["session"] for book in house.books) == ["d-1", "d-3"]


async def test_several_that_are_all_taken_are_counted(house: House) -> None:
    for at in (1, 2):
        await house.asking(f"d-{at}")
    grace = house.visitor()
    page = await grace.get("/approvals")
    picks = {each.attributes["name"]: each.attributes["value"] for each in page.root.all("input", data_key="x")}
    told = await grace.follow(await grace.send(page, page.root.one("form", id="batch"), "rejected", **picks))
    assert "2 rejected." in told.text
    nothing = await grace.send(page, page.root.one("form", id="batch"), "approved")
    assert (nothing.status, "Nothing is picked" in nothing.text) == (400, True)
    assert house.books == []


# --- one approval ----------------------------------------------------------------------------------------------


async def test_two_decide_at_once_one_wins_and_the_other_is_told_who_did(house: House) -> None:
    path = await house.asking("d-1")
    visitors = [house.visitor(GRACE), house.visitor(ANN)]
    pages = [await each.get(path) for each in visitors]
    answers = await asyncio.gather(
        *(
            visitor.send(page, page.form(button="approved"), verdict, reason=f"{visitor.who} says so")
            for visitor, page, verdict in zip(visitors, pages, ("approved", "rejected"), strict=True)
        )
    )
    assert sorted(answer.status for answer in answers) == [303, 409]
    (lost,) = [answer for answer in answers if answer.status == 409]
    winner, verdict = (GRACE, "Approved") if answers[0].status == 303 else (ANN, "Rejected")
    stands = lost.root.one("section", class_="note").text
    assert stands.startswith(f"{verdict} by {winner}")
    assert f"because: {winner} says so" in stands
    assert lost.root.one("section", class_="note").all("time")
    assert lost.root.all("form", method="post") == []
    assert (await house.kinds("d-1")).count("approval_decided") == 1


async def test_arguments_are_edited_seen_and_performed_exactly(house: House) -> None:
    path = await house.asking("d-1")
    grace = house.visitor()
    page = await grace.get(path)
    form = page.form(button="review")
    shown = page.fields(form)
    assert (shown["value/amount"], shown["value/to/holder"], shown["how/note"]) == ("89.00", "Maria Keller", "null")
    edit = {"value/amount": "50.10", "value/letter": "true", "how/note": "given", "value/note": "Sorry,\r\nMaria"}
    edit |= {"how/parts": "given", "value/parts": '["lid", "jar"]', "value/cause": "2"}
    review = await grace.send(page, form, "review", **edit)
    assert review.status == 200
    changed = [[cell.text for cell in row.children if not isinstance(cell, str)] for row in _changes(review)]
    assert changed == [
        ["amount", '"89.00"', '"50.10"'],
        ["cause", '"broken"', '"regret"'],
        ["letter", "false", "true"],
        ["parts", "null", '["lid", "jar"]'],
        ["note", "null", '"Sorry,\\nMaria"'],
    ]
    assert "approval_decided" not in await house.kinds("d-1")
    sent = await grace.send(review, review.form(button="review"), "approved")
    assert sent.location.endswith("told=edited")
    again = await grace.send(review, review.form(button="review"), "approved")
    assert again.location == sent.location
    await house.rests("d-1", "completed")
    (book,) = house.books
    assert book["arguments"] | {"order": ""} == {
        "order": "",
        "amount": "50.10",
        "cause": "regret",
        "to": {"holder": "Maria Keller", "iban": "DE021203000000", "bank": None},
        "letter": True,
        "parts": ["lid", "jar"],
        "note": "Sorry,\nMaria",
    }
    assert (await house.kinds("d-1")).count("approval_decided") == 1


def _changes(page: Page) -> list[Any]:
    (section,) = [each for each in page.root.all("section") if each.attributes.get("aria-labelledby") == "changes"]
    return section.one("tbody").all("tr")


async def test_what_was_not_shown_as_a_change_is_not_approved(house: House) -> None:
    grace = house.visitor()
    page = await grace.get(await house.asking("d-1"))
    review = await grace.send(page, page.form(button="review"), "review", **{"value/amount": "50"})
    more = await grace.send(review, review.form(button="review"), "approved", **{"value/amount": "5"})
    assert more.status == 200
    assert _changes(more)[0].text.endswith('"5"')
    unread = await grace.send(
        review, review.form(button="review"), "approved", **{"value/letter": "maybe", "how/note": "?"}
    )
    assert unread.status == 200
    same = await grace.send(page, page.form(button="review"), "review")
    assert "You changed nothing." in same.text
    assert "approval_decided" not in await house.kinds("d-1")


async def test_what_the_schema_or_the_program_refuses_stands_beside_its_field_and_stays_filled_in(house: House) -> None:
    grace = house.visitor()
    page = await grace.get(await house.asking("d-1"))
    wrong = {"value/amount": "many", "value/to/iban": "none", "value/parts": "[", "how/parts": "given"}
    review = await grace.send(page, page.form(button="review"), "review", **wrong)
    assert review.status == 400
    beside = {
        each.attributes["id"]: each.text
        for each in review.root.all()
        if each.attributes.get("id", "").endswith("-error")
    }
    assert set(beside) == {"f-/amount-error", "f-/parts-error"}
    assert review.fields(review.form(button="review"))["value/amount"] == "many"
    by_schema = await grace.send(page, page.form(button="review"), "review", **{"value/to/iban": "none"})
    assert "f-/to/iban-error" in by_schema.html
    large = await grace.send(page, page.form(button="review"), "review", **{"value/amount": "600"})
    refused = await grace.send(large, large.form(button="review"), "approved")
    assert (refused.status, "it is open again" in refused.text) == (409, True)
    assert refused.fields(refused.form(button="review"))["value/amount"] == "600"
    assert house.books == []


async def test_a_call_is_answered_or_passed_on_or_rejected(house: House) -> None:
    grace, ann = house.visitor(), house.visitor(ANN)
    page = await grace.get(await house.asking("d-1"))
    empty = await grace.send(page, page.form(button="responded"), "responded", json="1", result="{")
    assert (empty.status, "result: it is no JSON" in empty.text) == (400, True)
    sent = await grace.send(page, page.form(button="responded"), "responded", json="1", result='{"paid": "by hand"}')
    await house.rests("d-1", "completed")
    assert "Answered by grace@shop.example" in (await grace.follow(sent)).text
    page = await grace.get(await house.asking("d-2"))
    passed = await grace.follow(await grace.send(page, page.form(button="delegated"), "delegated", to=ANN))
    assert "Passed on." in passed.text
    assert passed.form(button="approved")
    page = await ann.get(passed.url)
    told = await ann.follow(await ann.send(page, page.form(button="approved"), "rejected", reason="Too much."))
    assert "Rejected by ann@shop.example" in told.text
    assert "because: Too much." in told.text
    assert house.books == []


async def test_two_people_approve_and_one_of_them_only_once(house: House) -> None:
    path = await house.asking("d-1", "treasury")
    grace, ann = house.visitor(), house.visitor(ANN)
    page = await grace.get(path)
    told = await grace.follow(await grace.send(page, page.form(button="approved"), "approved"))
    assert "1 of 2: grace@shop.example" in told.text
    assert told.root.one("p", role="status", class_="note").text == COUNTED
    fields = page.fields(page.form(button="approved")) | {"verdict": "approved", "reason": "Really."}
    again = await grace.post(path, fields)
    assert (again.status, "has approved it; 1 more must" in again.text) == (409, True)
    assert cards(await grace.get("/approvals")) == []
    page = await ann.get(path)
    assert (await ann.send(page, page.form(button="approved"), "approved")).status == 303
    await house.rests("d-1", "completed")


async def test_an_address_can_not_say_that_somebody_has_decided(house: House) -> None:
    path = await house.asking("d-1")
    open = await house.visitor().get(f"{path}&told=approved")
    assert open.root.all("p", role="status", class_="note") == []
    ann = house.visitor(ANN)
    assert (await ann.send(open, (await ann.get(path)).form(button="rejected"), "rejected")).status == 303
    over = await house.visitor().get(f"{path}&told=approved")
    assert over.root.all("p", role="status", class_="note") == []
    assert "Rejected." in (await ann.get(f"{path}&told=rejected")).text


async def test_what_came_meanwhile_is_said(house: House) -> None:
    grace, ann = house.visitor(), house.visitor(ANN)
    page = await grace.get(await house.asking("d-1"))
    assert (await house.api.ask("POST", "sessions/d-1/cancel", {"reason": "closed shop"}, ANN)).status == 200
    late = await grace.send(page, page.form(button="approved"), "approved")
    assert (late.status, "cancel asked for by ann@shop.example: closed shop" in late.text) == (409, True)
    page = await grace.get(await house.asking("d-2"))
    mine = await ann.get(page.url)
    large = await ann.send(mine, mine.form(button="review"), "review", **{"value/amount": "40"})
    assert (await ann.send(large, large.form(button="review"), "approved")).status == 303
    late = await grace.send(page, page.form(button="approved"), "approved")
    stands = late.root.one("section", class_="note").text
    assert late.status == 409
    assert stands.startswith("Approved by ann@shop.example")
    assert '"amount": "40"' in stands
    assert [book["session"] for book in house.books] == ["d-2"]


async def test_what_nobody_decided_in_time_is_not_decided_any_more(tmp_path: Path) -> None:
    arguments = {"text": "late", "more": {}, "n": 0}
    turns = [{"calls": [{"tool": "hurry", "arguments": arguments}]}, {"text": "Done."}]
    app = App(programs=[Agent("hasty", model=ScriptedModel(turns), instructions="Send.", tools=[hurry])])
    async with opened(tmp_path, app) as house:
        await house.api.begun("d-1", "hasty")
        asked = next(event for event in await house.api.until("d-1", "approval_expired") if event.kind == _ASKED)
        grace = house.visitor()
        page = await grace.get(f"/approvals/d-1/{asked.body.call}")
        assert "Nobody decided in time: denied" in page.text
        token = (await grace.get("/")).root.all("input", name_="token")[0].attributes["value"]
        fields = {"verdict": "approved", "digest": asked.body.digest, "key": "k", "token": token}
        late = await grace.post(page.url, fields)
        assert (late.status, "Nobody decided in time: denied" in late.text) == (409, True)
    assert "late" not in [each["text"] for each in SENT]


async def test_who_may_not_decide_is_told_and_decides_nothing(house: House) -> None:
    path = await house.asking("d-1")
    grace = house.visitor()
    page = await grace.get(path)
    fields = page.fields(page.form(button="approved")) | {"verdict": "approved"}
    forged = await grace.post(path, fields | {"token": "0" * 64})
    others = await house.visitor(ANN).post(path, fields)
    assert [each.status for each in (forged, others)] == [403, 403]
    for who in (VERA, OTTO):
        looks = await house.visitor(who).get(path)
        assert looks.root.all("form", method="post") == []
        token = (await house.visitor(who).get("/")).root.all("input", name_="token")
        if token:
            no = await house.visitor(who).post(path, fields | {"token": token[0].attributes["value"]})
            assert (no.status, "is no approver" in no.text) == (403, True)
    assert (await house.visitor(TINA).get(path)).status == 404
    assert (await grace.get("/approvals/d-1/9.0")).status == 404
    assert (await grace.get("/approvals/d-1/%F0%9F%98%80")).status == 404
    assert (await grace.get("/approvals/nobody/3.0")).status == 404
    for less in ("verdict", "digest", "key"):
        assert (await grace.post(path, {**fields, less: ""})).status == 400
    stale = await grace.post(path, fields | {"digest": "0" * 64})
    assert (stale.status, "the open approval is for the call with digest" in stale.text) == (409, True)
    assert "approval_decided" not in await house.kinds("d-1")


async def test_the_rules_of_approvals_hold_in_the_console(house: House) -> None:
    path = await house.asking("d-1", tenant="acme", who=TINA)
    tina, frank = house.visitor(TINA), house.visitor("frank@firm.example")
    page = await tina.get(path)
    no = await tina.send(page, page.form(button="approved"), "approved")
    assert (no.status, "is approved by somebody else than whoever asked for it" in no.text) == (403, True)
    page = await frank.get(path)
    assert (await frank.send(page, page.form(button="approved"), "approved")).status == 303
    await house.rests("d-1", "completed", "acme")


# --- links -----------------------------------------------------------------------------------------------------


async def test_a_link_opens_one_approval_until_somebody_decides(house: House) -> None:
    path = await house.asking("d-1")
    call = path.split("/")[-1].partition("?")[0]
    made = (await house.api.ask("POST", "sessions/d-1/links", {"call": call})).doc["path"]
    grace, ann = house.visitor(), house.visitor(ANN)
    page = await ann.get(made)
    for _ in range(2):
        assert (await grace.get(made)).status == 200
    review = await ann.send(page, page.form(button="review"), "review", **{"value/amount": "50"})
    assert _changes(review)[0].text.endswith('"50"')
    sent = await ann.send(page, page.form(button="approved"), "approved")
    assert sent.location.startswith("/approvals/d-1/")
    assert (await ann.send(page, page.form(button="approved"), "approved")).location == sent.location
    over = await grace.get(made)
    assert (over.status, "approved by ann@shop.example" in over.text) == (410, True)
    assert "Approved by ann@shop.example" in (await grace.get(over.root.all("a")[-2].attributes["href"])).text
    late = await grace.post(made, page.fields(page.form(button="approved")) | {"verdict": "rejected", "token": ""})
    assert late.status == 403
    mine = (await grace.get("/approvals?for=all")).root.all("input", name_="token")
    assert mine == []
    assert (await grace.get(f"{made[:-3]}abc")).status == 404
    assert (await house.visitor(TINA).get(made)).status == 404
    assert (await house.kinds("d-1")).count("approval_decided") == 1


async def test_a_link_that_is_over_is_no_way_to_decide(house: House) -> None:
    path = await house.asking("d-1")
    grace = house.visitor()
    page = await grace.get(path)
    fields = page.fields(page.form(button="approved")) | {"verdict": "approved"}
    parts, call = house.api.service.parts, path.split("/")[-1].partition("?")[0]
    over = parts.clock.now() - timedelta(seconds=1)
    link = link_path(parts.backend.secret, Link("default", "d-1", call, fields["digest"], over))
    opened = await grace.get(link)
    assert (opened.status, "that is over" in opened.text) == (410, True)
    for verdict in ("approved", "review"):
        assert (await grace.post(link, fields | {"verdict": verdict})).status == 410
    changed = link_path(parts.backend.secret, Link("default", "d-1", call, "0" * 64, over + timedelta(hours=1)))
    assert "What is asked has changed" in (await grace.get(changed)).text
    assert "approval_decided" not in await house.kinds("d-1")


# --- hostile content -------------------------------------------------------------------------------------------


async def test_whatever_a_model_or_a_tool_writes_is_text(house: House) -> None:
    path = await house.asking("d-1", "stranger", input=HOSTILE)
    grace = house.visitor()
    for page in (await grace.get("/approvals"), await grace.get(path)):
        assert page.status == 200
        assert page.root.all("h1")[0].text != "Owned"
        assert [each.name for each in page.root.all() if each.name in ("img", "svg", "style", "iframe", "base")] == []
        scripts = [each.attributes["src"].partition("?")[0] for each in page.root.all("script")]
        assert scripts == ["/static/console.js", "/static/approvals.js"]
        assert not any(each.attributes.get("href", "").startswith("javascript") for each in page.root.all())
        assert [each for each in page.root.all() for name in each.attributes if name.startswith("on")] == []
        assert not set(page.html) & set("\u202e\u202c\u2066\u2069\x1b\x07\ufffe\x00")
        assert "\\u202egnp.exe" in page.html
        assert "characters in all: see the event" in page.text
        assert len(page.html) < 100_000
    page = await grace.get(path)
    form = page.form(button="review")
    assert page.fields(form)["value/text"].startswith('"<')
    same = await grace.send(page, form, "review")
    assert "You changed nothing." in same.text


async def test_an_argument_is_shown_whole_however_long_it_is_and_changed_exactly(tmp_path: Path) -> None:
    arguments = {"text": "x" * 200_000 + "END", "more": {"odd\u202ename": ["</textarea>", "\u200b"]}, "n": 1.0}
    turns = [{"calls": [{"tool": "send", "arguments": arguments}]}, {"text": "Done."}]
    app = App(programs=[Agent("sender", model=ScriptedModel(turns), instructions="Send.", tools=[send])])
    async with opened(tmp_path, app) as house:
        grace = house.visitor()
        page = await grace.get(await house.asking("d-1", "sender"))
        assert "x" * 200_000 + "END" in page.html
        assert "all 200,005 characters" in page.text
        form = page.form(button="review")
        shown = page.fields(form)
        assert shown["value/more"].count("\\u") == 2
        review = await grace.send(page, form, "review", **{"value/text": shown["value/text"] + "!"})
        assert [row.one("th").text for row in _changes(review)] == ["text"]
        assert (await grace.send(review, review.form(button="review"), "approved")).status == 303
        await house.rests("d-1", "completed")
    assert [arguments | {"text": arguments["text"] + "!"}] == SENT


async def test_g8_a_link_is_good_for_one_decision_also_of_two_at_once(house: House) -> None:
    """A transfer takes two people; by one link one of them decides, whoever is first, and never both."""
    path = await house.asking("d-1", "treasury")
    call = path.split("/")[3].split("?")[0]
    made = (await house.api.ask("POST", "sessions/d-1/links", {"call": call})).doc["path"]
    by = f"links/{made.rpartition('/')[2]}/decisions"
    both = await asyncio.gather(*(house.api.ask("POST", by, {"verdict": "approved"}, who) for who in (GRACE, ANN)))
    assert sorted(each.status for each in both) in ([200, 409], [200, 410])
    assert {each.doc["code"] for each in both if each.status != 200} == {"link_used"}
    assert (await house.kinds("d-1")).count("approval_decided") == 1
    again = (await house.api.ask("POST", "sessions/d-1/links", {"call": call})).doc["path"]
    other = {200: ANN, 409: GRACE, 410: GRACE}[both[0].status]
    second = await house.api.ask("POST", f"links/{again.rpartition('/')[2]}/decisions", {"verdict": "approved"}, other)
    assert second.status == 200
    await house.rests("d-1", "completed")


async def test_what_was_erased_is_not_asked_for(house: House) -> None:
    path = await house.asking("d-1")
    for seq, name in ((6, "arguments"), (7, "arguments")):
        await house.erase("d-1", seq, name)
    grace = house.visitor()
    page = await grace.get(path)
    assert (page.status, "(erased)" in page.text) == (200, True)
    assert "(erased)" in (await grace.get("/approvals")).text
    assert not any(name.startswith("value") for form in page.root.all("form") for name in page.fields(form))
    assert (await grace.send(page, page.form(button="rejected"), "rejected")).status == 303
    assert "(erased)" in (await grace.get(path)).text
