"""Who may do what: roles, tenants, and who may decide which call. The table is `roles.toml`."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.cloud.servers import Api

VERA, OTTO, ANNA, ADA = "vera@firm.example", "otto@firm.example", "anna@firm.example", "ada@firm.example"
TINA, FRANK, FREDA, GRACE = "tina@firm.example", "frank@firm.example", "freda@firm.example", "grace@shop.example"
NOBODY = "nobody@else.example"

VIEWER, OPERATOR, APPROVER, ADMIN = {VERA, OTTO, ANNA, ADA}, {OTTO, ADA}, {ANNA, ADA}, {ADA}

START = {"program": "refund-desk", "input": "Hi"}
DECISION = {"call": "9.9", "digest": "0" * 64, "verdict": "approved"}
CALL = {"call": "9.9"}

MAKING = ("sessions", "sessions/ID/fork", "sessions/ID/replay")

MATRIX: list[tuple[str, str, Any, set[str]]] = [
    ("GET", "sessions", None, VIEWER),
    ("GET", "sessions/ID", None, VIEWER),
    ("GET", "sessions/ID/events", None, VIEWER),
    ("GET", "sessions/ID/effects", None, VIEWER),
    ("GET", "approvals", None, VIEWER),
    ("GET", "attention", None, VIEWER),
    ("GET", "effects", None, VIEWER),
    ("GET", "usage", None, VIEWER),
    ("POST", "sessions/ID/links", CALL, VIEWER),
    ("GET", "sessions/ID/branches", None, VIEWER),
    ("GET", "sessions/ID/compare/ID", None, VIEWER),
    ("POST", "sessions/ID/replay", None, VIEWER),
    ("GET", "sessions/ID/export", None, VIEWER),
    ("POST", "sessions", START, OPERATOR),
    ("POST", "imports", {"file": "none"}, OPERATOR),
    ("POST", "sessions/ID/fork", {"effects": "live"}, OPERATOR),
    ("POST", "sessions/ID/inputs", {"content": "Hi"}, OPERATOR),
    ("POST", "sessions/ID/pause", {}, OPERATOR),
    ("POST", "sessions/ID/resume", {}, OPERATOR),
    ("POST", "sessions/ID/retry", {}, OPERATOR),
    ("POST", "sessions/ID/skip", CALL, OPERATOR),
    ("POST", "sessions/ID/resolve", CALL | {"status": "failed"}, OPERATOR),
    ("POST", "sessions/ID/finish", {}, OPERATOR),
    ("POST", "sessions/ID/cancel", {}, OPERATOR),
    ("POST", "sessions/ID/decisions", DECISION, APPROVER),
    ("GET", f"sessions/ID/files/{'0' * 64}", None, VIEWER),
    ("POST", "sessions/ID/erase", {"seq": 9999, "field": "input"}, ADMIN),
]


async def test_each_role_may_do_what_is_its_own_and_nothing_else(api: Api) -> None:
    """Of an ended session nothing moves: whoever may ask is told so, and who may not, that."""
    await api.asking("m-ended")
    await api.ask("POST", "sessions/m-ended/cancel")
    await api.until("m-ended", "session_cancelled")
    for method, path, doc, may in MATRIX:
        people = sorted(VIEWER)
        asked = [api.ask(method, path.replace("ID", "m-ended"), doc, who) for who in people]
        answers = dict(zip(people, await asyncio.gather(*asked), strict=True))
        assert {who for who, answer in answers.items() if answer.status != 403} == may, (method, path, answers)
        absent = {404} if "files/" in path or path.endswith("erase") else set[int]()
        absent = {400} if path == "imports" else absent
        expected = absent or ({200, 201} if method == "GET" or path in MAKING else {409})
        assert {answers[who].status for who in may} <= expected, (method, path, answers)
        refused = {answer.said for who, answer in answers.items() if who not in may}
        assert refused <= {(403, "not_allowed")}
        assert (await api.ask(method, path.replace("ID", "m-ended"), doc, NOBODY)).said == (403, "no_role")


async def test_a_caller_sees_their_tenants_and_no_others(api: Api) -> None:
    for tenant in ("acme", "beta", "gamma"):
        decision = await api.asking("t-one", tenant=tenant)
    for method, path, doc, _ in MATRIX:
        at = path.replace("ID", "t-one") + ("&" if "?" in path else "?")
        assert (await api.ask(method, f"{at}tenant=gamma", doc, TINA)).said == (404, "not_found"), path
        assert (await api.ask(method, f"{at}tenant=never", doc, TINA)).said == (404, "not_found"), path
        assert (await api.ask(method, f"{at}tenant=acme", doc, VERA)).said == (404, "not_found"), path
    same = {"detail": "there is no tenant gamma"}
    hidden = await api.ask("GET", "sessions/t-one?tenant=gamma", who=TINA)
    absent = await api.ask("GET", "sessions/none?tenant=gamma", who=TINA)
    assert hidden.doc == absent.doc | same
    assert (await api.ask("POST", "sessions/t-one/decisions?tenant=gamma", decision, TINA)).status == 404
    listed = (await api.ask("GET", "sessions?limit=1", who=TINA)).doc
    more = (await api.ask("GET", f"sessions?limit=1&cursor={listed['next']}", who=TINA)).doc
    assert [session["tenant"] for session in listed["sessions"] + more["sessions"]] == ["beta", "acme"]
    for path, name in (("approvals", "approvals"), ("attention", "sessions"), ("effects", "effects")):
        found = (await api.ask("GET", path, who=TINA)).doc[name]
        assert {each["tenant"] for each in found} <= {"acme", "beta"}
    used = (await api.ask("GET", "usage?by=tenant", who=TINA)).doc["rows"]
    assert {row["name"] for row in used} == {"acme", "beta"}
    one = (await api.ask("GET", "sessions?tenant=acme", who=TINA)).doc["sessions"]
    assert {session["tenant"] for session in one} == {"acme"}
    (question,) = (await api.ask("GET", "approvals?tenant=gamma")).doc["approvals"]
    assert (question["tenant"], question["arguments"]) == ("gamma", {"order": "A-1"})


async def test_g8_who_may_decide_a_call_is_in_the_table(api: Api) -> None:
    decision = await api.asking("p-refund", tenant="acme", who=TINA)
    path = "sessions/p-refund/decisions?tenant=acme"
    assert (await api.ask("POST", path, decision, ANNA)).said == (403, "not_approver")
    assert (await api.ask("POST", path, decision | {"verdict": "rejected"}, ANNA)).said == (403, "not_approver")
    requested = await api.ask("POST", path, decision, TINA)
    assert requested.said == (403, "requester")
    assert (await api.ask("POST", path, decision | {"verdict": "responded", "result": 1}, TINA)).said[1] == "requester"
    asked = await api.ask("POST", "sessions/p-refund/inputs?tenant=acme", {"content": "Do"}, FRANK)
    assert asked.status == 200
    assert (await api.ask("POST", path, decision, FRANK)).said == (403, "requester")
    assert (await api.ask("POST", path, decision | {"call": "2.7"}, FREDA)).said == (409, "not_open")
    assert (await api.ask("POST", path, decision | {"call": "0.0"}, FREDA)).said == (409, "not_open")
    assert (await api.ask("POST", path, decision | {"call": "x"}, FREDA)).said == (409, "not_open")
    assert (await api.ask("POST", path, decision, FREDA)).status == 200
    events = await api.until("p-refund", "approval_decided", "acme")
    assert [event.actor.name for event in events if event.kind == "approval_decided"] == [FREDA]


async def test_g8_a_skip_is_no_way_round_a_decision(api: Api) -> None:
    decision = await api.asking("p-skip", tenant="acme", who=TINA)
    skip, path = {"call": decision["call"], "result": "by hand"}, "sessions/p-skip/skip?tenant=acme"
    assert (await api.ask("POST", path, skip, TINA)).said == (403, "requester")
    assert (await api.ask("POST", path, skip, ANNA)).said == (403, "not_approver")
    assert (await api.ask("POST", path, skip | {"call": "99.0"}, FREDA)).said == (409, "not_open")
    told = [await api.ask("POST", path, skip, FREDA, idempotency_key="once") for _ in range(2)]
    assert (told[0].doc["event"]["kind"], told[0].doc) == ("call_completed", told[1].doc)
    here = await api.asking("p-skip-here")
    mine = {"call": here["call"], "result": 1}
    assert (await api.ask("POST", "sessions/p-skip-here/skip", mine, OTTO)).said == (403, "not_allowed")
    assert (await api.ask("POST", "sessions/p-skip-here/skip", mine, ADA)).status == 200


async def test_g8_whoever_asked_may_still_say_no(api: Api) -> None:
    decision = await api.asking("p-no", tenant="acme", who=TINA)
    told = await api.ask("POST", "sessions/p-no/decisions?tenant=acme", decision | {"verdict": "rejected"}, TINA)
    assert told.doc["event"]["kind"] == "approval_decided"


async def test_elsewhere_the_role_is_enough(api: Api) -> None:
    decision = await api.asking("p-else", tenant="beta", who=TINA)
    assert (await api.ask("POST", "sessions/p-else/decisions?tenant=beta", decision, TINA)).status == 200


async def test_who_one_is_and_may_is_told(api: Api) -> None:
    me = (await api.ask("GET", "me", who=TINA)).doc
    both = ["approver", "operator", "viewer"]
    assert me == {"name": TINA, "roles": {"acme": both, "beta": both}}
    assert (await api.ask("GET", "me", who=GRACE)).doc["roles"].keys() == {"*"}
    assert (await api.ask("GET", "me", who=NOBODY)).doc["roles"] == {}
