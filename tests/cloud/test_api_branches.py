"""Branches by the API: who may make one, what it is, and that the same asked again makes no other."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.cloud.servers import Api

TINA, FRANK, GRACE, VERA = "tina@firm.example", "frank@firm.example", "grace@shop.example", "vera@firm.example"


async def _done(api: Api, id: str, tenant: str = "default") -> None:
    """A session that has refunded A-1: 1 started, 2 answered, 3 proposed, 4 asked, 5 decided, 6 and 7 performed."""
    decision = await api.asking(id, tenant)
    assert (await api.ask("POST", f"sessions/{id}/decisions?tenant={tenant}", decision)).status == 200
    await api.until(id, "session_completed", tenant)


def _refunds(api: Api, *ids: str) -> list[str]:
    return [entry["session"] for entry in api.noted() if entry["what"] == "refund" and entry["session"] in ids]


async def test_a_branch_goes_on_by_the_record_and_repeats_nothing(api: Api) -> None:
    await _done(api, "b-one")
    before = (await api.ask("GET", "sessions/b-one")).doc
    body = {"id": "b-one-1", "at": 4}
    made = await api.ask("POST", "sessions/b-one/fork", body)
    assert (made.status, made.doc["new"]) == (201, True)
    assert (made.doc["origin"]["session"], made.doc["origin"]["seq"]) == ("b-one", 4)
    assert (made.doc["family"], made.doc["effects"]) == ("b-one", "recorded")
    events = await api.until("b-one-1", "session_completed")
    assert events[0].actor.name == GRACE
    assert [event.body.by for event in events if event.kind == "call_completed"] == ["record"]
    again = await api.ask("POST", "sessions/b-one/fork", body)
    assert (again.status, again.doc["new"]) == (200, False)
    assert (await api.ask("POST", "sessions/b-one/fork", body | {"at": 3})).said == (409, "exists")
    assert (await api.ask("POST", "sessions/b-one/fork", body | {"exists": "reject"})).said == (409, "exists")
    assert (await api.ask("GET", "sessions/b-one")).doc == before
    assert _refunds(api, "b-one", "b-one-1") == ["b-one"]


async def test_what_is_changed_is_in_the_branch_alone(api: Api) -> None:
    await _done(api, "b-own")
    body = {
        "id": "b-own-1",
        "at": 2,
        "effects": "blocked",
        "instructions": "Be brief.",
        "input": {"hurry": True},
        "edits": [{"seq": 1, "value": "Hello"}],
    }
    assert (await api.ask("POST", "sessions/b-own/fork", body)).status == 201
    events = await api.until("b-own-1", "session_completed")
    forked = events[1].body
    assert (forked.instructions, forked.edited, forked.not_inherited) == ("Be brief.", [1], [])
    (refused,) = [event.body.error.code for event in events if event.kind == "call_refused"]
    assert refused == "blocked"
    assert _refunds(api, "b-own-1") == []


async def test_g14_a_live_branch_asks_and_whoever_asked_for_its_parent_does_not_approve(api: Api) -> None:
    """By the table, in acme nobody approves what they asked for; and a branch was asked for by those before it, too."""
    await api.asking("b-live", "acme", who=TINA)
    body = {"id": "b-live-1", "at": 2, "effects": "live"}
    assert (await api.ask("POST", "sessions/b-live/fork?tenant=acme", body, FRANK)).status == 201
    events = await api.until("b-live-1", "approval_requested", "acme")
    asked = next(event.body for event in events if event.kind == "approval_requested")
    decision = {"call": asked.call, "digest": asked.digest, "verdict": "approved"}
    shown = (await api.ask("GET", "approvals?tenant=acme&limit=200", who=FRANK)).doc["approvals"]
    assert {each["session"]: each["origin"] and each["origin"]["session"] for each in shown}["b-live-1"] == "b-live"
    path = "sessions/b-live-1/decisions?tenant=acme"
    for who in (TINA, FRANK):
        assert (await api.ask("POST", path, decision, who)).said == (403, "requester"), who
    assert (await api.ask("POST", path, decision, "freda@firm.example")).status == 200
    await api.until("b-live-1", "session_completed", "acme")
    assert _refunds(api, "b-live", "b-live-1") == ["b-live-1"]


async def test_g8_where_it_is_gone_who_asked_for_the_parent_nobody_approves(api: Api) -> None:
    await api.asking("b-left", "acme", who=TINA)
    assert (
        await api.ask("POST", "sessions/b-left/fork?tenant=acme", {"id": "b-left-1", "at": 2, "effects": "live"})
    ).doc
    await api.until("b-left-1", "approval_requested", "acme")
    await api.ask("POST", "sessions/b-left/cancel?tenant=acme")
    await api.until("b-left", "session_cancelled", "acme")
    async with asyncio.timeout(20):
        while (await api.ask("DELETE", "sessions/b-left?tenant=acme")).status != 200:
            await asyncio.sleep(0.05)
    (wait,) = (await api.ask("GET", "sessions/b-left-1?tenant=acme")).doc["waits"]
    decision = {"call": wait["call"], "digest": wait["digest"], "verdict": "approved"}
    path = "sessions/b-left-1/decisions?tenant=acme"
    told = await api.ask("POST", path, decision, "freda@firm.example")
    assert told.said == (403, "requester")
    assert "b-left is gone" in told.doc["detail"]
    assert (await api.ask("POST", path, decision | {"verdict": "rejected"}, "freda@firm.example")).status == 200


async def test_a_family_is_listed_from_each_of_its_members(api: Api) -> None:
    await _done(api, "b-fam")
    for session, id in (("b-fam", "b-fam-1"), ("b-fam", "b-fam-2"), ("b-fam-1", "b-fam-3")):
        assert (await api.ask("POST", f"sessions/{session}/fork", {"id": id, "at": 3})).status == 201
        await api.until(id, "session_completed")
    for id in ("b-fam", "b-fam-1", "b-fam-2", "b-fam-3"):
        family = (await api.ask("GET", f"sessions/{id}/branches", who=VERA)).doc
        assert family["family"] == "b-fam"
        assert [each["id"] for each in family["sessions"]] == ["b-fam", "b-fam-1", "b-fam-2", "b-fam-3"]
    assert [each["origin"]["session"] for each in family["sessions"][1:]] == ["b-fam", "b-fam", "b-fam-1"]
    for id in ("b-fam", "b-fam-2"):
        assert (await api.ask("DELETE", f"sessions/{id}")).status == 200
    left = (await api.ask("GET", "sessions/b-fam-3/branches")).doc["sessions"]
    assert [(each["id"], each["status"]) for each in left] == [
        ("b-fam", "deleted"),
        ("b-fam-1", "completed"),
        ("b-fam-3", "completed"),
    ]
    gone = await api.ask("POST", "sessions/b-fam/fork", {"id": "b-fam-4"})
    assert gone.said == (404, "not_found")
    assert (await api.ask("GET", "sessions/b-none/branches")).said == (404, "not_found")


async def test_the_same_key_is_the_same_branch_where_the_session_goes_on_meanwhile_too(api: Api) -> None:
    await api.asking("b-key")
    one, two = await asyncio.gather(*(_keyed(api, "b-key", {}) for _ in range(2)))
    assert one.doc["id"] == two.doc["id"]
    assert sorted([one.status, two.status]) == [200, 201]
    await api.ask("POST", "sessions/b-key/cancel")
    await api.until("b-key", "session_cancelled")
    late = await _keyed(api, "b-key", {})
    assert (late.status, late.doc["id"]) == (200, one.doc["id"])
    assert (await _keyed(api, "b-key", {"effects": "live"})).said == (409, "exists")
    assert (await _keyed(api, "b-key", {}, who="ada@firm.example")).status == 201


async def _keyed(api: Api, id: str, body: dict[str, Any], who: str = GRACE) -> Any:
    return await api.ask("POST", f"sessions/{id}/fork", body, who, Idempotency_Key="k-1")


async def test_g15_bad_input_names_its_field_and_makes_nothing(api: Api) -> None:
    await api.asking("b-bad")
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"at": 99}, "at: 99 is no event of session b-bad"),
        ({"at": 0}, "at"),
        ({"effects": "some"}, "effects"),
        ({"model": ""}, "model"),
        ({"model": " "}, "model: it is empty"),
        ({"instructions": " "}, "instructions: they are empty"),
        ({"edits": [{"seq": 3, "value": 1}]}, "edit: event 3 (calls_proposed) has no value"),
        ({"edits": [{"seq": 77, "value": 1}]}, "at: 77 is no event of session b-bad"),
        ({"edits": [{"seq": 1, "value": 1}, {"seq": 1, "value": 2}]}, "edits: an event is there twice"),
        ({"edits": [{"seq": 1}]}, "edits"),
        ({"colour": "red"}, "colour"),
        ({"id": "a b"}, "id"),
    ]
    for body, says in wrong:
        answer = await api.ask("POST", "sessions/b-bad/fork", body)
        assert answer.said == (400, "bad_input"), body
        assert says in answer.doc["detail"], answer
    assert len((await api.ask("GET", "sessions/b-bad/branches")).doc["sessions"]) == 1
    assert (await api.ask("POST", "sessions/b-none/fork", {})).said == (404, "not_found")


async def test_a_branch_begins_on_the_version_that_is_named(api: Api) -> None:
    await _done(api, "b-version")
    body = {"id": "b-version-1", "at": 2, "effects": "blocked", "version": "never deployed"}
    made = await api.ask("POST", "sessions/b-version/fork", body)
    assert (made.status, made.doc["version"]) == (201, "never deployed")
    assert (await api.ask("POST", "sessions/b-version-1/cancel", {"reason": "it was to see"})).status < 300
    assert (await api.ask("POST", "sessions/b-version/fork", body | {"id": "b-version-2", "version": ""})).status == 400
