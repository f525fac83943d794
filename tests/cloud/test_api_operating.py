"""What administrators do by the API, what comes from outside with a token, and files."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
from datetime import UTC, datetime
from typing import Any, get_args

import pytest

from onward.core.head import WaitKind
from onward.core.sweeps import Swept
from tests.cloud.servers import Api

VERA, OTTO, ADA, TINA = "vera@firm.example", "otto@firm.example", "ada@firm.example", "tina@firm.example"
GRACE, NOBODY = "grace@shop.example", "nobody@else.example"


# --- switches ----------------------------------------------------------------------------------------------------


async def _turn(api: Api, scope: str, off: bool, who: str = GRACE) -> Any:
    return await api.ask("POST", "switches", {"scope": scope, "off": off, "reason": "it burns"}, who)


async def test_what_is_switched_off_rests_until_it_is_on_again(api: Api) -> None:
    turned = [(await _turn(api, "tenant:delta", True)).doc for _ in range(2)]
    try:
        assert [each["turned"] for each in turned] == [True, False]
        assert turned[0]["switch"] == turned[1]["switch"]
        shown = (await api.ask("GET", "switches")).doc
        assert [(each["by"], each["reason"]) for each in shown["off"] if each["scope"] == "tenant:delta"] == [
            (GRACE, "it burns")
        ]
        held = await _held(api)
        assert held["switch"] == "tenant:delta"
    finally:
        on = (await _turn(api, "tenant:delta", False)).doc
    assert (on["off"], on["turned"], on["switch"]) == (False, True, None)
    await api.until(held["id"], "approval_requested", "delta")
    newest = (await api.ask("GET", "switches?limit=2")).doc["turns"]
    assert [(each["scope"], each["off"]) for each in newest] == [("tenant:delta", False), ("tenant:delta", True)]


async def _held(api: Api) -> Any:
    """A session that is held back. Those that were begun a moment ago may not be: a process learns of a switch within
    some seconds."""
    async with asyncio.timeout(30):
        for number in itertools.count():
            await api.begun(f"s-held-{number}", tenant="delta")
            await api.rested(f"s-held-{number}", "delta")
            head = (await api.ask("GET", f"sessions/s-held-{number}?tenant=delta")).doc
            if head["status"] == "paused":
                return head
            await asyncio.sleep(0.5)


async def test_who_may_turn_a_switch(api: Api) -> None:
    for who in (VERA, OTTO, TINA):
        assert (await api.ask("GET", "switches", who=who)).said == (403, "not_allowed")
        assert (await _turn(api, "all", True, who)).said == (403, "not_allowed")
    assert (await api.ask("GET", "switches", who=NOBODY)).said == (403, "no_role")
    assert (await _turn(api, "tenant:default", True, OTTO)).said == (403, "not_allowed")
    for scope in ("all", "program:pack-desk"):
        assert (await _turn(api, scope, True, ADA)).said == (403, "not_allowed")
    assert (await _turn(api, "tenant:acme", True, ADA)).said == (404, "not_found")
    for scope in ("", "all:", "tenant:", "tenant:a/b", "colour:red"):
        assert (await _turn(api, scope, True)).said == (400, "bad_input")
    assert (await api.ask("POST", "switches", {"scope": "all"})).said == (400, "bad_input")
    await _turn(api, "tenant:epsilon", True)
    await _turn(api, "tenant:epsilon", False)
    assert "tenant:epsilon" in str((await api.ask("GET", "switches?limit=200")).doc)
    assert "tenant:epsilon" not in str((await api.ask("GET", "switches?limit=200", who=ADA)).doc)


# --- health ------------------------------------------------------------------------------------------------------


async def test_how_it_is_is_told_to_who_sees_every_tenant(api: Api) -> None:
    for who in (VERA, ADA, TINA):
        assert (await api.ask("GET", "health", who=who)).said == (403, "not_allowed")
    await api.asking("h-open")
    await _turn(api, "tenant:zeta", True)
    told = (await api.ask("GET", "health")).doc
    await _turn(api, "tenant:zeta", False)
    assert "tenant:zeta" in [each["scope"] for each in told["off"]]
    assert ("refund-desk", True) in [(each["program"], each["known"]) for each in told["versions"]]
    names = {each["name"] for each in told["findings"]}
    assert "leases" in names
    assert names & {"overdue", "wakes"}
    assert told["resting"].keys() == {*get_args(WaitKind), "needs_attention", "paused", "scheduled"}
    assert isinstance(told["lapsed"] + told["late"]["count"] + told["attention"]["count"], int)


@pytest.mark.parametrize("api", ["sqlite"], indirect=True)  # of the functions' own sweeps: test_sessions.py
async def test_what_sweeps_healed_is_told(api: Api) -> None:
    kept = api.service.parts.backend.sweeps
    await kept.record(Swept(at=datetime(2026, 1, 1, tzinfo=UTC), woken=3))
    told = (await api.ask("GET", "health")).doc["sweeps"]
    assert told["last"]
    assert {"at": "2026-01-01T00:00:00.000Z", "woken": 3} in told["healed"]


# --- deleting, erasing -------------------------------------------------------------------------------------------


async def test_a_session_is_deleted_once_it_has_ended(api: Api) -> None:
    await api.asking("o-gone")
    assert (await api.ask("DELETE", "sessions/o-gone")).said == (409, "not_ended")
    await api.ask("POST", "sessions/o-gone/cancel")
    await api.until("o-gone", "session_cancelled")
    for who in (VERA, OTTO):
        assert (await api.ask("DELETE", "sessions/o-gone", who=who)).said == (403, "not_allowed")
    stones = [await _unless_busy(api, "DELETE", "sessions/o-gone?reason=Asked%20to.", who=ADA) for _ in range(2)]
    assert [stone.doc["error"]["message"] for stone in stones] == [f"deleted by {ADA}: Asked to."] * 2
    assert (await api.ask("GET", "sessions/o-gone/events")).said == (404, "not_found")
    assert (await api.ask("POST", "sessions", {"id": "o-gone", "program": "refund-desk"})).said == (409, "deleted")
    assert (await api.ask("DELETE", "sessions/never")).said == (404, "not_found")


async def _unless_busy(api: Api, method: str, path: str, doc: Any = None, who: str = GRACE) -> Any:
    """The answer, once nobody holds the session."""
    async with asyncio.timeout(20):
        while (answer := await api.ask(method, path, doc, who)).said == (409, "busy"):
            await asyncio.sleep(0.05)
    return answer


async def test_g3_a_private_field_is_erased_with_its_file(api: Api) -> None:
    data = b"<script>alert(1)</script>"
    file = {"$file": {"media_type": "text/html", "name": "a.html", "data": base64.b64encode(data).decode()}}
    decision = await api.asking("o-erased", input=["Look", file])
    place = f"/v1/sessions/o-erased/files/{hashlib.sha256(data).hexdigest()}"
    got = await api.send("GET", place, b"", VERA, {})
    assert got.doc == data
    headers = got.headers
    assert headers["content-type"] == "application/octet-stream"
    assert (headers["content-disposition"], headers["x-content-type-options"]) == ("attachment", "nosniff")
    assert "sandbox" in headers["content-security-policy"]
    wanted = {"seq": 1, "field": "input", "reason": "Asked to."}
    assert (await api.ask("POST", "sessions/o-erased/erase", wanted, OTTO)).said == (403, "not_allowed")
    for wrong, said in (({"field": "reason"}, 404), ({"seq": 99}, 404), ({"seq": 0}, 400), ({"seq": "x"}, 400)):
        assert (await api.ask("POST", "sessions/o-erased/erase", wanted | wrong)).status == said
    told = [await _unless_busy(api, "POST", "sessions/o-erased/erase", wanted) for _ in range(2)]
    assert told[0].doc == told[1].doc == {"session": "o-erased", "seq": 1, "field": "input", "erased": True}
    first = (await api.ask("GET", "sessions/o-erased/events?limit=1")).doc["events"][0]
    assert (first["erased"], first["body"]["input"]) == (["input"], None)
    assert (await api.ask("GET", place.removeprefix("/v1/"))).said == (404, "not_found")
    assert (await api.ask("POST", "sessions/o-erased/decisions", decision)).status == 200


async def test_a_file_is_its_sessions_own(api: Api) -> None:
    data = base64.b64encode(b"for acme").decode()
    file = {"$file": {"media_type": "text/plain", "name": "a.txt", "data": data}}
    await api.asking("f-acme", tenant="acme", input=file)
    digest = hashlib.sha256(b"for acme").hexdigest()
    assert (await api.ask("GET", f"sessions/f-acme/files/{digest}?tenant=acme", who=VERA)).said == (404, "not_found")
    await api.asking("f-other", tenant="acme")
    assert (await api.ask("GET", f"sessions/f-other/files/{digest}?tenant=acme")).said == (404, "not_found")
    for wrong in ("x", "..%2Ffold", digest.upper(), digest[:-1]):
        assert (await api.ask("GET", f"sessions/f-acme/files/{wrong}?tenant=acme")).status in (400, 404)


# --- what goes on outside ----------------------------------------------------------------------------------------


async def test_a_call_is_completed_from_outside_by_its_token_alone(api: Api) -> None:
    await api.begun("x-bank", "ship-desk", input="Go")
    (pending,) = [e.body for e in await api.until("x-bank", "call_pending") if e.kind == "call_pending"]
    token = _token(api, "x-bank")
    body = {"call": pending.call, "token": token, "result": {"paid": True}}
    path = "sessions/x-bank/completions?tenant=default"
    assert (await api.ask("POST", path, body | {"token": token[:-1]}, NOBODY)).said == (409, "wrong_token")
    assert (await api.ask("POST", path, body | {"call": "9.9"}, NOBODY)).said == (409, "wrong_token")
    none = await api.ask("POST", "sessions/never/completions?tenant=default", body, NOBODY)
    assert none.said == (409, "wrong_token")
    assert (await api.ask("POST", path, body | {"error": {"code": "x", "message": "y"}})).said == (400, "bad_input")
    assert (await api.ask("POST", path, body, None)).said == (401, "unidentified")
    told = [await api.ask("POST", path, body, NOBODY) for _ in range(2)]
    assert (told[0].doc["event"]["kind"], told[0].doc) == ("call_completed", told[1].doc)
    events = await api.until("x-bank", "session_completed")
    (done,) = [event for event in events if event.kind == "call_completed"]
    assert (done.actor.kind, done.body.result) == ("external", {"paid": True})


async def test_a_call_is_failed_from_outside(api: Api) -> None:
    await api.begun("x-failed", "ship-desk", input="Go")
    (pending,) = [e.body for e in await api.until("x-failed", "call_pending") if e.kind == "call_pending"]
    error = {"code": "lost", "message": "It fell off the lorry."}
    body = {"call": pending.call, "token": _token(api, "x-failed"), "error": error}
    assert (await api.ask("POST", "sessions/x-failed/completions", body)).doc["event"]["kind"] == "call_failed"


def _token(api: Api, session: str) -> str:
    """What the tool passed on."""
    found: str = next(each["token"] for each in api.noted() if each["session"] == session and "token" in each)
    return found
