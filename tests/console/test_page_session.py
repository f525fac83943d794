"""The page of one session, and the pages of its events and states: what they show, what they let whom do, how much of a
log they read, and that nothing in it is more than text."""

from __future__ import annotations

import asyncio
import hmac
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch
from urllib.parse import quote

import pytest
import pytest_asyncio

from onward import Agent, App, Limits, ScriptedModel, tool
from onward.core.files import File
from tests.console import shop
from tests.console.shop import HOSTILE, app, calls
from tests.console.visitor import Element, Page, Visitor

pytest.importorskip("fastapi", reason="fastapi is missing: pip install -e '.[api]'")

pytestmark = pytest.mark.asyncio(loop_scope="module")

if TYPE_CHECKING:
    from tests.cloud.servers import Api

GRACE, VERA, TINA = "grace@shop.example", "vera@firm.example", "tina@firm.example"
TURNS = 75
BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\x1b\x07"


@tool(effect="read")
def look(at: str) -> str:
    """Look."""
    return f"seen {at}"


@tool(effect="read", retry=1)
def fall(at: str) -> str:
    """Fail with a word on it."""
    raise ValueError(HOSTILE)


def many(name: str, turns: int, of: Any, allowed: int = 1000) -> Agent:
    """Calls this tool at so many turns."""
    turn = {"text": "On.", "calls": [calls(of.name, at="x")]}
    model = ScriptedModel([*[turn] * turns, {"text": "Done."}])
    return Agent(name, model=model, tools=[of], limits=Limits(turns=allowed))


APP = App(
    programs=[*app.programs.values(), many("long", TURNS, look), many("short", 3, look, 2), many("fails", 1, fall)]
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the shop writes what its tools did, too."""
    made = tmp_path_factory.mktemp("sessions")
    with patch.object(shop, "HERE", made):
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(folder: Path) -> AsyncIterator[Api]:
    from tests.cloud.servers import on_sqlite
    from tests.console import shop

    shop.HERE = folder
    async with on_sqlite(folder, app=APP) as api:
        yield api


def at(id: str, *more: str, **query: Any) -> str:
    told = "".join(f"&{name}={value}" for name, value in query.items())
    return f"/sessions/{'/'.join((quote(id, safe=''), *more))}?tenant=default{told}"


def seqs(page: Page, list: str = "events") -> list[str]:
    return [row.attributes["id"] for row in page.root.one("ol", id=list).all("li") if "id" in row.attributes]


def part(page: Page, name: str) -> Element:
    return page.root.one("section", data_part=name)


def offered(page: Page) -> set[str]:
    return {form.attributes["action"].partition("?")[0].rpartition("/")[2] for form in page.root.all("form")}


async def rests(api: Api, id: str, status: str = "waiting") -> dict[str, Any]:
    """The session, once it is so."""
    async with asyncio.timeout(20):
        while True:
            doc: dict[str, Any] = (await api.ask("GET", f"sessions/{id}")).doc
            if doc["status"] == status and (doc["waits"] or status != "waiting"):
                return doc
            await asyncio.sleep(0.02)


# --- what is shown ---------------------------------------------------------------------------------------------


async def test_from_wherever_one_goes_on_one_gets_exactly_what_is_missing(api: Api) -> None:
    await api.asking("s-rows")
    me = Visitor(api, GRACE)
    whole = await me.get(at("s-rows"))
    events, talk = seqs(whole), seqs(whole, "talk")
    assert events == [f"e{seq}" for seq in range(1, len(events) + 1)]
    for after in range(len(events) + 1):
        rows = await me.get(at("s-rows", "rows", after=after))
        assert seqs(rows) == events[after:]
        assert seqs(rows, "talk") == [id for id in talk if int(id[1:].partition("-")[0]) > after]
        for row in rows.root.one("ol", id="events").all("li"):
            assert row.text == whole.root.one("li", id=row.attributes["id"]).text


async def test_of_a_long_session_a_page_shows_and_reads_the_newest_and_the_rest_page_by_page(api: Api) -> None:
    await api.begun("s-long", "long")
    head = await rests(api, "s-long", "completed")
    me, read = Visitor(api, GRACE), counted(api)
    page = await me.get(at("s-long"))
    assert len(seqs(page)) == 200
    assert max(read) <= 200
    assert sum(read) <= 200 + 20
    found, older = seqs(page), page.root.one("a", id="older").attributes["href"]
    while not page.root.one("a", id="older").parent.attributes.keys() & {"hidden"}:  # type: ignore[union-attr]
        page = await me.get(older)
        found, older = seqs(page) + found, page.root.one("a", id="older").attributes["href"]
        assert "data-events" not in page.root.one("main").attributes
    assert found == [f"e{seq}" for seq in range(1, head["seq"] + 1)]
    new, after = list[str](), 0
    while after < head["seq"]:
        rows = await me.get(at("s-long", "rows", after=after))
        new += seqs(rows)
        after = int(rows.root.one("ol", id="events").attributes["data-last"])
        assert bool(rows.root.one("ol", id="events").attributes["data-more"]) == (after < head["seq"])
    assert new == found


def counted(api: Api) -> list[int]:
    """How many commits each reading of a log brings."""
    store: Any = api.service.parts.backend.store
    inner, read = store.commits, list[int]()

    async def commits(*given: Any, **named: Any) -> Any:
        found = await inner(*given, **named)
        read.append(len(found))
        return found

    store.commits = commits
    return read


async def test_calls_from_before_a_part_of_the_log_keep_their_names(api: Api) -> None:
    decision = await api.asking("s-names")
    await api.ask("POST", "sessions/s-names/decisions", decision)
    events = await api.until("s-names", "session_completed")
    decided = next(event.seq for event in events if event.kind == "approval_decided")
    rows = await Visitor(api, GRACE).get(at("s-names", "rows", after=decided - 1))
    assert rows.root.one("li", id=f"e{decided}").text.count("refund by grace") == 1
    assert f"result of refund {decision['call']}" in rows.root.one("ol", id="talk").text


def _links(page: Page) -> list[str]:
    return [link.attributes["href"] for link in (*part(page, "facts").all("a"), *part(page, "waits").all("a"))]


async def test_parents_and_children_lead_to_each_other(api: Api) -> None:
    await api.begun("s-boss", "manager")
    wait = next(wait for wait in (await rests(api, "s-boss"))["waits"] if wait["kind"] == "child")
    me = Visitor(api, GRACE)
    async with asyncio.timeout(20):
        while _links(await me.get(at("s-boss"))).count(at(wait["session"])) != 2:  # among the facts, and the waits
            await asyncio.sleep(0.05)
    child = await me.get(at(wait["session"]))
    assert child.root.one("a", id="parent").attributes["href"] == at("s-boss")


async def test_files_are_handed_out_by_the_api(api: Api) -> None:
    said = File(data=b"%PDF", media_type="application/pdf", name='<b>"bill".pdf').model_dump(mode="json")
    await api.begun("s-files", "front-desk", input={"see": [said]})
    page = await Visitor(api, GRACE).get(at("s-files", "events", "1"))
    (link,) = [link for link in page.root.all("a") if "download" in link.attributes]
    assert link.text == '<b>"bill".pdf'
    assert link.attributes["href"] == f"/v1{at('s-files', 'files', said['$file']['digest'])}"


# --- what is no longer there -------------------------------------------------------------------------------------


async def test_of_a_deleted_session_the_tombstone_is_shown(api: Api) -> None:
    await api.begun("s-gone", "front-desk")
    assert (await api.ask("POST", "sessions/s-gone/cancel")).status == 200
    await rests(api, "s-gone", "cancelled")
    deleted = await api.ask("DELETE", "sessions/s-gone")
    assert deleted.status == 200, deleted
    me = Visitor(api, GRACE)
    page = await me.get(at("s-gone"))
    assert (page.status, offered(page)) == (200, set())
    assert f"deleted by {GRACE}" in part(page, "facts").text
    assert page.root.all("ol", id="events") == []
    assert (await me.get(at("s-gone", "events", "1"))).status == 410
    assert seqs(await me.get(at("s-gone", "rows", after=0))) == []


async def test_what_was_erased_is_on_no_page(api: Api) -> None:
    await api.begun("s-erased", "front-desk", input="Maria lives in Kiel")
    await rests(api, "s-erased")
    me, pages = Visitor(api, GRACE), [at("s-erased"), at("s-erased", "events", "1"), at("s-erased", "state")]
    pages += [at("s-erased", "state", seq=1), at("s-erased", "rows", after=0)]
    assert ["Kiel" in (await me.get(path)).html for path in pages] == [True] * 5
    async with asyncio.timeout(20):
        while (await api.ask("POST", "sessions/s-erased/erase", {"seq": 1, "field": "input"})).status == 409:
            await asyncio.sleep(0.05)
    assert ["Kiel" in (await me.get(path)).html for path in pages] == [False] * 5
    assert "(erased)" in (await me.get(pages[0])).root.one("li", id="m1-0").text


async def test_where_the_log_can_not_be_read_the_head_is_shown_and_what_can_be_done(api: Api, folder: Path) -> None:
    await api.begun("s-torn", "front-desk")
    await rests(api, "s-torn")
    with sqlite3.connect(folder / "api.db") as database:
        changed = database.execute("UPDATE commits SET doc = replace(doc, 'Answer 1.', 'Forged 1.')").rowcount
    assert changed
    me = Visitor(api, GRACE)
    page = await me.get(at("s-torn"))
    assert page.status == 200
    assert "The log can't be read" in part(page, "facts").one(role="alert").text
    assert offered(page) == {"cancel"}
    assert "Forged" not in page.html
    assert (await me.get(at("s-torn", "events", "2"))).status == 500


# --- what can be done ------------------------------------------------------------------------------------------


async def test_who_only_looks_is_offered_nothing_and_can_do_nothing(api: Api) -> None:
    await api.asking("s-looks")
    vera = Visitor(api, VERA)
    page = await vera.get(at("s-looks"))
    assert (page.status, offered(page)) == (200, set())
    token = hmac.digest(api.service.parts.backend.secret, f"console form/{VERA}".encode(), "sha256").hex()
    refused = await vera.post(at("s-looks", "pause"), {"key": "k", "token": token})
    assert (refused.status, f"{VERA} is no operator" in refused.root.one(class_="alert").text) == (403, True)
    assert (await Visitor(api, TINA).get(at("s-looks"))).status == 404
    assert (await api.ask("GET", "sessions/s-looks")).doc["status"] == "waiting"


async def test_a_form_of_somebody_else_does_nothing(api: Api) -> None:
    await api.asking("s-token")
    me = Visitor(api, GRACE)
    page = await me.get(at("s-token"))
    for token in ("", "0" * 64):
        answer = await me.send(page, page.form("/sessions/s-token/cancel"), token=token)
        assert (answer.status, "wrong_form" in answer.text) == (403, True)
    theirs = await Visitor(api, "mallory@shop.example").send(page, page.form("/sessions/s-token/cancel"))
    assert theirs.status == 403
    assert (await api.ask("GET", "sessions/s-token")).doc["status"] == "waiting"


async def test_a_form_that_is_sent_twice_does_it_once(api: Api) -> None:
    await api.begun("s-twice", "front-desk")
    await rests(api, "s-twice")
    me = Visitor(api, GRACE)
    page = await me.get(at("s-twice"))
    form = page.form("/sessions/s-twice/input")
    assert [(await me.send(page, form, content="Hello")).status for _ in range(3)] == [303] * 3
    events = (await api.ask("GET", "sessions/s-twice/events")).doc["events"]
    assert [event["body"]["content"] for event in events if event["kind"] == "input_received"] == ["Hello"]


async def test_what_is_refused_is_said_beside_the_form_with_what_was_filled_in(api: Api) -> None:
    await api.asking("s-no")
    me = Visitor(api, GRACE)
    early = await me.get(at("s-no"))
    await me.send(early, early.form("/sessions/s-no/pause"))
    again = await me.send(early, early.form("/sessions/s-no/pause"), key="another", reason="<b>why</b>")
    assert (again.status, "paused" in again.root.one(class_="alert").text) == (409, True)
    assert again.root.one("main").attributes["data-page"] == at("s-no")
    broken = await me.send(early, early.form("/sessions/s-no/input"), content="{<b>", json="1", key="a-third")
    assert (broken.status, broken.root.one("textarea", id="input").text) == (400, "{<b>")
    empty = await me.send(early, early.form("/sessions/s-no/input"), content="  ", key="a-fourth")
    assert (empty.status, empty.root.one(class_="alert").text) == (400, "content: it is empty")
    nothing = await me.post(at("s-no", "nonsense"), {"token": early.fields(early.form())["token"]})
    assert nothing.status == 404


async def test_only_what_makes_sense_is_offered(api: Api) -> None:
    await api.asking("s-asks")
    me, told = Visitor(api, GRACE), {"reason": ""}
    assert offered(await me.get(at("s-asks"))) == {"input", "pause", "finish", "cancel"}
    assert (await api.ask("POST", "sessions/s-asks/pause", told)).status == 200
    assert offered(await me.get(at("s-asks"))) == {"input", "resume", "finish", "cancel"}
    assert (await api.ask("POST", "sessions/s-asks/finish", told)).status == 200
    assert offered(await me.get(at("s-asks"))) == set()


async def test_a_session_that_is_to_end_is_offered_nothing_however_late_one_looks(api: Api) -> None:
    await api.begun("s-ends", "cashier")
    await rests(api, "s-ends")
    me = Visitor(api, GRACE)
    attention = [link.attributes["href"] for link in part(await me.get(at("s-ends")), "waits").all("a")]
    assert attention == ["/attention?tenant=default&session=s-ends"]
    assert (await api.ask("POST", "sessions/s-ends/cancel", {"reason": "stop"})).doc["event"]["kind"] == "closing_began"
    head = await rests(api, "s-ends")
    for page in (await me.get(at("s-ends")), await me.get(at("s-ends", "rows", after=head["seq"]))):
        assert offered(page) == set()


async def test_one_that_reached_a_limit_goes_on_under_twice_of_it(api: Api) -> None:
    await api.begun("s-limit", "short")
    await rests(api, "s-limit", "needs_attention")
    me = Visitor(api, GRACE)
    page = await me.get(at("s-limit"))
    assert offered(page) == {"input", "retry", "finish", "cancel"}
    form = page.form("/sessions/s-limit/retry")
    assert (page.fields(form)["turns"], page.fields(form)["tokens"]) == ("4", "")
    wrong = await me.send(page, form, tokens="many")
    assert (wrong.status, wrong.fields(wrong.form("/sessions/s-limit/retry"))["tokens"]) == (400, "many")
    assert (await me.send(page, form)).status == 303
    assert (await rests(api, "s-limit", "completed"))["limits"]["turns"] == 4


# --- what a model, a tool or a person writes ---------------------------------------------------------------------


async def test_nothing_that_anybody_writes_is_more_than_text(api: Api) -> None:
    long = HOSTILE + "A" * 200_000
    labels = {"note": HOSTILE[:200]}
    await api.begun("s-evil", "stranger", input={HOSTILE: [long]}, labels=labels)
    await rests(api, "s-evil")
    for path, body in (("pause", {"reason": HOSTILE}), ("resume", {}), ("inputs", {"content": long})):
        assert (await api.ask("POST", f"sessions/s-evil/{path}", body)).status == 200
    (wait,) = [wait for wait in (await rests(api, "s-evil"))["waits"] if wait["kind"] == "approval"]
    refused = {"call": wait["call"], "digest": wait["digest"], "verdict": "rejected", "reason": HOSTILE}
    assert (await api.ask("POST", "sessions/s-evil/decisions", refused)).status == 200
    finish = await api.ask("POST", "sessions/s-evil/finish", {"output": long, "reason": HOSTILE})
    assert finish.status == 200, finish
    await check_every_page(api, "s-evil", 3_000_000)


async def test_nothing_that_a_failing_tool_says_is_more_than_text(api: Api) -> None:
    await api.begun("s-falls", "fails")
    await rests(api, "s-falls", "completed")
    await check_every_page(api, "s-falls", 100_000)


async def check_every_page(api: Api, id: str, most: int) -> None:
    me = Visitor(api, GRACE)
    last = (await api.ask("GET", f"sessions/{id}")).doc["seq"]
    pages = [at(id), at(id, "rows", after=0), at(id, "state"), at(id, before=last)]
    pages += [at(id, "events", str(seq)) for seq in range(1, last + 1)]
    for path in pages:
        page = await me.get(path)
        assert page.status == 200, path
        assert len(page.html) < most
        check_harmless(page)


def check_harmless(page: Page) -> None:
    assert not set(page.html) & set(BIDI)
    assert {script.attributes["src"].partition("?")[0] for script in page.root.all("script")} <= {
        "/static/console.js",
        "/static/live.js",
    }
    assert [each for each in page.root.all("h1") if each.attributes.get("id") == "forged"] == []
    for each in page.root.all():
        assert each.name not in ("img", "style", "base", "iframe", "object")
        assert not any(name.startswith("on") or name == "style" for name in each.attributes), each.attributes
        for place in (each.attributes.get("href", ""), each.attributes.get("action", "/")):
            assert not place or place.startswith(("/", "#")), place
