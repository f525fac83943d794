"""The page of one session, as it is served on SQLite and under the functions framework."""

from __future__ import annotations

import json

from tests.cloud.servers import Api
from tests.console.visitor import Element, Visitor

GRACE = "grace@shop.example"


def seqs(tree: Element) -> list[int]:
    return [int(row.attributes["id"][1:]) for row in tree.one("ol", id="events").all("li") if "id" in row.attributes]


async def test_a_session_is_seen_from_its_start_to_its_end(api: Api) -> None:
    decision = await api.asking("v-life", labels={"team": "blue"})
    me = Visitor(api, GRACE)
    page = await me.get("/sessions/v-life?tenant=default")
    tree = page.root
    facts = tree.one("section", data_part="facts").text
    assert [word in facts for word in ("waiting", "refund-desk", "team", "default")] == [True] * 4
    (link,) = tree.one("section", data_part="waits").all("a")
    assert link.attributes["href"] == f"/approvals/v-life/{decision['call']}?tenant=default"
    assert tree.one("main").attributes["data-events"] == "/v1/sessions/v-life/events?tenant=default"
    last = seqs(tree)[-1]
    assert seqs(tree) == list(range(1, last + 1))
    assert tree.one("ol", id="events").attributes["data-last"] == str(last)
    assert (await api.ask("POST", "sessions/v-life/decisions", decision | {"reason": "Broken."})).status == 200
    events = await api.until("v-life", "session_completed")
    new = (await me.get(f"{tree.one('main').attributes['data-rows']}&after={last}")).root
    assert seqs(new) == list(range(last + 1, events[-1].seq + 1))
    assert new.one("ol", id="events").attributes["data-more"] == ""
    whole = (await me.get("/sessions/v-life?tenant=default")).root
    assert seqs(whole) == [event.seq for event in events]
    assert "Done." in whole.one("section", data_part="facts").text
    assert "data-events" not in whole.one("main").attributes
    bars = [row.text for row in whole.one("ol", class_="bars").all("li")]
    assert any("refund" in bar and f"approved by {GRACE}: Broken." in bar for bar in bars)
    talk = [said.text for said in whole.one("ol", id="talk").all("li")]
    assert "Hi" in talk[0]
    assert any("result of" in said and "refunded A-1" in said for said in talk)


async def test_every_event_and_every_state_has_a_page(api: Api) -> None:
    await api.asking("c-each")
    me, documents = Visitor(api, GRACE), (await api.ask("GET", "sessions/c-each/events")).doc["events"]
    for document in documents:
        page = (await me.get(f"/sessions/c-each/events/{document['seq']}?tenant=default")).root
        assert json.loads(page.one("pre").raw) == document
        state = (await me.get(f"/sessions/c-each/state?tenant=default&seq={document['seq']}")).root
        assert json.loads(state.one("pre").raw)["at"] == document["seq"]
    last = documents[-1]["seq"]
    head = (await api.ask("GET", "sessions/c-each")).doc
    assert head["hash"] in (await me.get(f"/sessions/c-each/events/{last}")).html
    assert (await me.get(f"/sessions/c-each/events/{last + 1}")).status == 404
    assert (await me.get(f"/sessions/c-each/state?seq={last + 1}")).status == 400
    assert (await me.get("/sessions/c-each/events/x")).status == 400


async def test_a_session_is_moved_by_the_forms_of_its_page(api: Api) -> None:
    await api.asking("c-moves")
    me, at = Visitor(api, GRACE), "/sessions/c-moves?tenant=default"
    for name, more, kind in (
        ("input", {"content": '{"hurry": 1}', "json": "1"}, "input_received"),
        ("pause", {"reason": "asking legal"}, "session_paused"),
        ("resume", {}, "session_resumed"),
        ("finish", {"output": "by hand"}, "session_completed"),
    ):
        page = await me.get(at)
        done = await me.send(page, page.form(f"/sessions/c-moves/{name}"), **more)
        assert (done.status, done.location) == (303, f"/sessions/c-moves?tenant=default&done={name}")
        assert (await me.get(done.location)).root.one(role="status", class_="note").text
        assert kind in [event.kind for event in await api.until("c-moves", kind)]
    tree = (await me.get(at)).root
    assert tree.one("section", data_part="moves").all("form") == []
    assert tree.one("section", data_part="say").all("form") == []
    assert "by hand" in tree.one("section", data_part="facts").text
