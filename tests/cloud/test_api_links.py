"""Approval links: good for one approval and one decision, and for nothing without an identity and a role."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from tests.cloud.http_client import Answer
from tests.cloud.servers import Api

VERA, ANNA, ANN, GRACE = "vera@firm.example", "anna@firm.example", "ann@shop.example", "grace@shop.example"
TINA, NOBODY = "tina@firm.example", "nobody@else.example"


async def _linked(api: Api, id: str, decision: dict[str, Any], tenant: str = "default", **more: Any) -> dict[str, Any]:
    made = await api.ask("POST", f"sessions/{id}/links?tenant={tenant}", {"call": decision["call"]} | more)
    assert made.status == 201
    found: dict[str, Any] = made.doc
    return found | {"token": found["path"].removeprefix("/link/")}


async def _opened(api: Api, link: dict[str, Any], who: str = GRACE) -> Answer:
    return await api.ask("GET", f"links/{link['token']}", who=who)


async def _decided(api: Api, link: dict[str, Any], doc: Any = None, who: str = GRACE, **headers: str) -> Answer:
    return await api.ask("POST", f"links/{link['token']}/decisions", doc or {"verdict": "approved"}, who, **headers)


async def test_a_link_opens_its_approval_as_often_as_one_likes_and_decides_it_once(api: Api) -> None:
    decision = await api.asking("l-once")
    link, other = await _linked(api, "l-once", decision), await _linked(api, "l-once", decision, ttl=60)
    assert link["url"] == f"{api.url.rstrip('/')}{link['path']}"
    assert datetime.fromisoformat(other["expires_at"]) < datetime.fromisoformat(link["expires_at"])
    for _ in range(3):
        shown = (await _opened(api, link)).doc
        assert (shown["session"], shown["call"], shown["digest"]) == ("l-once", decision["call"], decision["digest"])
    assert link["expires_at"] == shown["expires_at"]
    told = [await _decided(api, link, {"verdict": "rejected", "reason": "No."}) for _ in range(2)]
    assert (told[0].doc["event"]["kind"], told[0].doc) == ("approval_decided", told[1].doc)
    for used in (link, other):
        answer = await _opened(api, used, ANN)
        assert answer.said == (410, "link_used")
        assert answer.doc["stands"].startswith(f"rejected by {GRACE} at 20")
    assert (await _decided(api, link)).said == (410, "link_used")
    assert (await _decided(api, other, who=ANN)).said == (410, "link_used")
    events = await api.until("l-once", "session_completed")
    assert [event.kind for event in events].count("approval_decided") == 1


async def test_g8_a_link_grants_nothing(api: Api) -> None:
    decision = await api.asking("l-roles", tenant="acme", who=TINA)
    link = await _linked(api, "l-roles", decision, "acme")
    assert (await _opened(api, link, NOBODY)).said == (403, "no_role")
    assert (await _opened(api, link, VERA)).said == (404, "not_found")
    assert (await _decided(api, link, who=VERA)).said == (404, "not_found")
    assert (await _opened(api, link, ANNA)).status == 200
    assert (await _decided(api, link, who=ANNA)).said == (403, "not_approver")
    assert (await _decided(api, link, who=TINA)).said == (403, "requester")
    assert (await _decided(api, link, {"verdict": "approved", "by": "boss"})).said == (400, "bad_input")
    assert (await api.send("GET", f"/v1/links/{link['token']}", b"", None, {})).status == 401
    here = await _linked(api, "l-here", await api.asking("l-here"))
    assert (await _opened(api, here, VERA)).status == 200
    assert (await _decided(api, here, who=VERA)).said == (403, "not_allowed")
    assert (await _opened(api, here)).status == 200


async def test_a_link_is_none_once_it_was_changed_or_is_over(api: Api) -> None:
    decision = await api.asking("l-over")
    link, short = await _linked(api, "l-over", decision), await _linked(api, "l-over", decision, ttl=1)
    token = link["token"]
    for forged in (token[:-2], f"{token}A", token.replace("1.", "2.", 1), "x", "%00", "1." + "A" * 3000):
        assert (await _opened(api, {"token": forged})).said == (404, "link_forged"), forged
        assert (await _decided(api, {"token": forged})).said == (404, "link_forged"), forged
    await asyncio.sleep(1.1)
    assert (await _opened(api, short)).said == (410, "link_expired")
    assert (await _decided(api, short)).said == (410, "link_expired")
    assert (await _opened(api, link)).status == 200


async def test_a_link_to_what_is_not_asked_any_more_says_so(api: Api) -> None:
    decision = await api.asking("l-closed")
    link = await _linked(api, "l-closed", decision)
    skipped = {"call": decision["call"], "result": "by hand"}
    assert (await api.ask("POST", "sessions/l-closed/skip", skipped)).status == 200
    assert (await _opened(api, link)).said == (410, "link_closed")
    assert (await _decided(api, link)).said == (410, "link_closed")
    refused = await api.ask("POST", "sessions/l-closed/links", {"call": decision["call"]})
    assert refused.said == (409, "not_open")
    assert (await api.ask("POST", "sessions/none/links", {"call": "3.0"})).said == (404, "not_found")
    for wrong in ({}, {"call": "3.0", "ttl": 0}, {"call": "3.0", "ttl": 2_592_001}, {"call": "3.0", "digest": "x"}):
        assert (await api.ask("POST", "sessions/l-closed/links", wrong)).said == (400, "bad_input")


async def test_a_link_that_was_passed_on_is_used_up_and_a_new_one_is_not(api: Api) -> None:
    decision = await api.asking("l-passed")
    link = await _linked(api, "l-passed", decision)
    passed = await _decided(api, link, {"verdict": "delegated", "to": ANN}, idempotency_key="once")
    assert passed.doc["event"]["kind"] == "approval_delegated"
    assert (await _opened(api, link)).doc["stands"].startswith(f"delegated by {GRACE}")
    anew = await _linked(api, "l-passed", decision)
    assert (await _opened(api, anew, ANN)).status == 200
    edited = {"verdict": "approved", "arguments": {"order": "A-2"}}
    assert (await _decided(api, anew, edited, ANN)).doc["event"]["kind"] == "approval_decided"
    assert (await _opened(api, anew)).doc["stands"].startswith(f"approved by {ANN}")
