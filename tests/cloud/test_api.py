"""The API's routes, as they are served on SQLite and under the functions framework: one application on both."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from emulators.cloud import ACCOUNT, OTHER_ACCOUNT
from tests.cloud.servers import Api

GRACE, ANN = "grace@shop.example", "ann@shop.example"


async def test_a_session_from_its_start_to_its_end(api: Api) -> None:
    start = {"id": "r-life", "program": "refund-desk", "input": "Hi", "labels": {"team": "blue"}}
    assert [(await api.ask("POST", "sessions", start)).status for _ in range(2)] == [201, 200]
    other = await api.ask("POST", "sessions", start | {"input": "Another"})
    assert other.said == (409, "exists")
    assert other.doc["stands"] in other.doc["detail"]
    await api.until("r-life", "approval_requested")
    shown = await _approval(api, "r-life")
    assert (shown["tool"], shown["arguments"], shown["on_timeout"]) == ("refund", {"order": "A-1"}, "deny")
    decision = {"call": shown["call"], "digest": shown["digest"], "verdict": "approved", "reason": "Broken."}
    told = await api.ask("POST", "sessions/r-life/decisions", decision)
    assert (told.status, told.doc["event"]["kind"]) == (200, "approval_decided")
    events = await api.until("r-life", "session_completed")
    assert events[0].actor.model_dump() == {"kind": "person", "name": GRACE}
    whole = await api.ask("GET", "sessions/r-life?include=input&include=output&include=evidence")
    assert (whole.doc["input"], whole.doc["output"], whole.doc["evidence"]) == ("Hi", "Done.", [])
    (effect,) = (await api.ask("GET", "sessions/r-life/effects")).doc["effects"]
    assert (effect["outcome"], effect["approvals"][0]["by"]["name"]) == ("done", GRACE)
    page = (await api.ask("GET", "effects?tool=refund&limit=200")).doc["effects"]
    assert [entry["tenant"] for entry in page if entry["session"] == "r-life"] == ["default"]
    late = await api.ask("POST", "sessions/r-life/inputs", {"content": "More"})
    assert late.said == (409, "session_ended")


async def _approval(api: Api, session: str) -> Any:
    async with asyncio.timeout(20):
        while True:
            answer, cursor = [], ""
            while cursor is not None:
                more = f"&cursor={cursor}" if cursor else ""
                page = (await api.ask("GET", f"approvals?limit=2{more}")).doc
                answer, cursor = answer + page["approvals"], page["next"]
            if found := [each for each in answer if each["session"] == session]:
                return found[0]
            await asyncio.sleep(0.1)


async def test_a_workflow_is_given_the_inputs_that_it_waits_for_by_their_names(api: Api) -> None:
    await api.begun("r-paid", "payments", input="A-1")
    path, paid = "sessions/r-paid/inputs", {"content": {"amount": 5}, "name": "paid"}
    async with asyncio.timeout(40):
        while not (waits := (await api.ask("GET", "sessions/r-paid")).doc["waits"]):
            await asyncio.sleep(0.05)
    assert [(wait["kind"], wait["note"]) for wait in waits] == [("input", "paid")]
    for wrong in ({"content": {"amount": "5"}, "name": "paid"}, {"content": 5, "name": ""}, {"content": 5, "name": 5}):
        assert (await api.ask("POST", path, wrong)).said == (400, "bad_input")
    told = [await api.ask("POST", path, paid, idempotency_key="p-1") for _ in range(2)]
    assert told[0].doc["signal"] == told[1].doc["signal"]
    assert (await api.ask("POST", path, {"content": "Thanks."})).status == 200
    assert (await api.ask("POST", path, paid)).doc["event"]["kind"] == "input_received"
    events = await api.until("r-paid", "session_completed")
    assert events[-1].body.output == {"order": "A-1", "paid": [5, 5], "said": "Thanks."}


async def test_an_agent_takes_no_name(api: Api) -> None:
    await api.asking("r-unnamed")
    told = await api.ask("POST", "sessions/r-unnamed/inputs", {"content": 5, "name": "paid"})
    assert told.said == (409, "no_names")
    assert (await api.ask("POST", "sessions/r-unnamed/inputs", {"content": 5, "name": None})).status == 200


MOVES: list[tuple[str, Any, str]] = [
    ("pause", {"reason": "asking legal"}, "session_paused"),
    ("resume", None, "session_resumed"),
    ("inputs", {"content": {"hurry": True}}, "input_received"),
    ("skip", {"call": "CALL", "result": "by hand"}, "call_completed"),
    ("finish", {"output": {"sum": 3}}, "session_completed"),
]


async def test_a_session_is_moved_in_each_way(api: Api) -> None:
    decision = await api.asking("r-moves")
    for path, doc, kind in MOVES[:3]:
        told = await api.ask("POST", f"sessions/r-moves/{path}", doc)
        assert (told.status, told.doc["event"]["kind"]) == (200, kind)
    assert (await api.ask("POST", "sessions/r-moves/retry", {"limits": {"turns": 9}})).said == (409, "not_parked")
    settled = {"call": decision["call"], "status": "done", "result": 1}
    assert (await api.ask("POST", "sessions/r-moves/resolve", settled)).said == (409, "not_in_doubt")
    failed = {"call": decision["call"], "status": "failed", "reason": "no"}
    assert (await api.ask("POST", "sessions/r-moves/resolve", failed)).said == (409, "not_in_doubt")
    skipped = {"call": decision["call"], "result": "by hand"}
    assert (await api.ask("POST", "sessions/r-moves/skip", skipped)).doc["event"]["kind"] == "call_completed"
    await api.until("r-moves", "call_completed")
    await api.asking("r-ends")
    told = await api.ask("POST", "sessions/r-ends/finish", {"output": {"sum": 3}})
    assert told.doc["event"]["kind"] == "session_completed"
    assert (await api.ask("GET", "sessions/r-ends?include=output")).doc["output"] == {"sum": 3}
    await api.asking("r-cancelled")
    assert (await api.ask("POST", "sessions/r-cancelled/cancel")).doc["event"]["kind"] == "closing_began"
    await api.until("r-cancelled", "session_cancelled")


async def test_lists_are_filtered_and_paged(api: Api) -> None:
    for number in range(5):
        await api.begun(f"r-list-{number}", labels={"lot": "seven", "number": number})
        await api.until(f"r-list-{number}", "approval_requested")
    seen: list[str] = []
    query, cursor = "sessions?program=refund-desk&label=lot=seven&limit=2", None
    while True:
        page = (await api.ask("GET", query + (f"&cursor={cursor}" if cursor else ""))).doc
        seen += [session["id"] for session in page["sessions"]]
        if (cursor := page["next"]) is None:
            break
    assert sorted(seen) == [f"r-list-{number}" for number in range(5)]
    one = (await api.ask("GET", "sessions?label=lot=seven&label=number=3&status=waiting&wait=approval")).doc
    assert [session["id"] for session in one["sessions"]] == ["r-list-3"]
    assert (await api.ask("GET", "sessions?label=lot=seven&updated_before=2020-01-01T00:00:00Z")).doc["sessions"] == []
    assert (await api.ask("GET", "sessions?label=lot=seven&version=2")).doc["sessions"] == []
    used = (await api.ask("GET", "usage?by=session")).doc
    assert {"r-list-0", "r-list-4"} <= {row["name"] for row in used["rows"]}


async def test_events_are_read_in_pages_from_any_seq_and_waited_for(api: Api) -> None:
    await api.asking("r-pages")
    last = (await api.until("r-pages", "approval_requested"))[-1].seq
    seen: list[int] = []
    while len(seen) < last:
        page = (await api.ask("GET", f"sessions/r-pages/events?after={len(seen)}&limit=2")).doc
        seen += [event["seq"] for event in page["events"]]
        assert page["after"] == seen[-1]
    assert seen == list(range(1, last + 1))
    waiting = asyncio.create_task(api.ask("GET", f"sessions/r-pages/events?after={last}&wait=20"))
    told = await api.ask("POST", "sessions/r-pages/inputs", {"content": "Hurry!"})
    assert (await waiting).doc["events"][0]["seq"] == told.doc["event"]["seq"] == last + 1
    assert (await api.ask("GET", "sessions/r-pages/events?after=999")).doc == {
        "events": [],
        "after": 999,
        "more": False,
    }


async def test_what_needs_attention_is_listed_and_resolved(api: Api) -> None:
    answer = await api.ask("GET", "attention")
    assert (answer.status, answer.doc["next"]) == (200, None)
    assert (await api.ask("GET", "me")).doc["name"] == GRACE


# --- the same key ------------------------------------------------------------------------------------------------


async def test_the_same_key_is_the_same_request(api: Api) -> None:
    start = {"program": "refund-desk", "input": "Hi"}
    first = await api.ask("POST", "sessions", start, idempotency_key="k-1")
    again = await api.ask("POST", "sessions", start, idempotency_key="k-1")
    assert (first.status, again.status, again.doc["id"]) == (201, 200, first.doc["id"])
    assert (await api.ask("POST", "sessions", start, ANN, idempotency_key="k-1")).doc["id"] != first.doc["id"]
    changed = await api.ask("POST", "sessions", start | {"input": "Bye"}, idempotency_key="k-1")
    assert changed.said == (409, "exists")
    path = f"sessions/{first.doc['id']}"
    await api.until(first.doc["id"], "approval_requested")
    told = [await api.ask("POST", f"{path}/inputs", {"content": "Hm"}, idempotency_key="k-2") for _ in range(2)]
    assert told[0].doc == told[1].doc
    assert (await api.ask("POST", f"{path}/inputs", {"content": "No"}, idempotency_key="k-2")).said == (
        409,
        "signal_reused",
    )
    assert (await api.ask("POST", f"{path}/inputs", {"content": "Hm"})).doc["signal"] != told[0].doc["signal"]
    paused = [await api.ask("POST", f"{path}/pause", {}, idempotency_key="k-3") for _ in range(2)]
    assert paused[0].doc == paused[1].doc


async def test_g8_one_decision_counts_and_its_repeat_is_harmless(api: Api) -> None:
    decision = await api.asking("r-once")
    assert (await api.ask("POST", "sessions/r-once/decisions", decision | {"by": "boss"})).said == (400, "bad_input")
    wrong = decision | {"digest": "0" * 64}
    assert (await api.ask("POST", "sessions/r-once/decisions", wrong)).said == (409, "wrong_digest")
    misplaced = decision | {"result": 1}
    assert (await api.ask("POST", "sessions/r-once/decisions", misplaced)).said == (400, "bad_input")
    edited = decision | {"arguments": {"order": 7}}
    assert (await api.ask("POST", "sessions/r-once/decisions", edited)).said == (400, "bad_input")
    for own in (ACCOUNT, OTHER_ACCOUNT, OTHER_ACCOUNT.upper()):
        assert (await api.ask("POST", "sessions/r-once/decisions", decision, own)).said == (409, "own_account")
    rejected = decision | {"verdict": "rejected"}
    told = [await api.ask("POST", "sessions/r-once/decisions", rejected, ANN) for _ in range(2)]
    assert ([each.status for each in told], told[0].doc) == ([200, 200], told[1].doc)
    late = await api.ask("POST", "sessions/r-once/decisions", decision)
    assert late.said in [(409, "not_open"), (409, "session_ended")]
    events = await api.until("r-once", "session_completed")
    assert [event.actor.name for event in events if event.kind == "approval_decided"] == [ANN]


# --- what is refused ---------------------------------------------------------------------------------------------

WRONG: list[tuple[str, str, Any, int, str]] = [
    ("GET", "sessions/none", None, 404, "not_found"),
    ("GET", "elsewhere", None, 404, "not_found"),
    ("PUT", "sessions", {}, 405, "no_method"),
    ("POST", "sessions/none", {}, 405, "no_method"),
    ("POST", "sessions", {"program": "none"}, 400, "bad_input"),
    ("POST", "sessions", {"program": "pack-desk", "colour": "red"}, 400, "bad_input"),
    ("POST", "sessions", [], 400, "bad_input"),
    ("POST", "sessions", None, 400, "bad_input"),
    ("POST", "sessions", {"program": "pack-desk", "id": "a/b"}, 400, "bad_input"),
    ("POST", "sessions", {"program": "pack-desk", "labels": {f"n{n}": 1 for n in range(17)}}, 400, "bad_input"),
    ("POST", "sessions", {"program": "pack-desk", "labels": {"n": "x" * 257}}, 400, "bad_input"),
    ("POST", "sessions", {"program": "pack-desk", "deadline": "2026-01-01T00:00:00"}, 400, "bad_input"),
    ("POST", "sessions", {"program": "pack-desk", "deadline": "9999-12-31T23:59:59-14:00"}, 400, "bad_input"),
    ("POST", "sessions", {"program": "pack-desk", "not_before": "0001-01-01T00:00:00+14:00"}, 400, "bad_input"),
    ("POST", "sessions?tenant=a/b", {"program": "pack-desk"}, 400, "bad_input"),
    ("GET", "sessions?limit=0", None, 400, "bad_input"),
    ("GET", "sessions?limit=201", None, 400, "bad_input"),
    ("GET", "sessions?cursor=AAAA", None, 400, "bad_input"),
    ("GET", "sessions?cursor=!", None, 400, "bad_input"),
    ("GET", "sessions?label=x", None, 400, "bad_input"),
    ("GET", "sessions?updated_since=2026-01-01T00:00:00", None, 400, "bad_input"),
    ("GET", "sessions?updated_before=9999-12-31T23:59:59-14:00", None, 400, "bad_input"),
    ("GET", "usage?since=0001-01-01T00:00:00%2B14:00", None, 400, "bad_input"),
    ("GET", "sessions/none/events?after=-1", None, 400, "bad_input"),
    ("GET", "sessions/none/events?wait=31", None, 400, "bad_input"),
    ("GET", "sessions/none/events", None, 404, "not_found"),
    ("POST", "sessions/none/inputs", {"content": 1, "by": "ann"}, 400, "bad_input"),
    ("POST", "sessions/none/inputs", {}, 400, "bad_input"),
    ("POST", "sessions/none/decisions", {"call": "2.0", "verdict": "approved"}, 400, "bad_input"),
    ("POST", "sessions/none/resolve", {"call": "2.0", "status": "perhaps"}, 400, "bad_input"),
    ("POST", "sessions/none/cancel", {"reason": "x" * 2001}, 400, "bad_input"),
    ("POST", "sessions/none/cancel", {}, 404, "not_found"),
    ("GET", "usage?by=colour", None, 400, "bad_input"),
]


async def test_g15_what_is_wrong_is_named(api: Api) -> None:
    for method, path, doc, status, code in WRONG:
        answer = await api.ask(method, path, doc)
        assert answer.said == (status, code), (method, path, answer)
        assert answer.headers["content-type"] == "application/problem+json"


BODIES = {
    "no JSON": (b"{", 400, "bad_input"),
    "too deep": (b"[" * 100_000, 400, "bad_input"),
    "half a letter": (b'{"content": "\\ud800"}', 400, "bad_input"),
    "no number": (b'{"content": NaN}', 400, "bad_input"),
    "no UTF-8": (b'{"content": "\xff"}', 400, "bad_input"),
}


async def test_g15_what_can_not_be_read_is_refused(api: Api) -> None:
    await api.begun("r-unread")
    for body, status, code in BODIES.values():
        answer = await _sent(api, "sessions/r-unread/inputs", body)
        assert answer.said == (status, code), (body[:40], answer)
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert (await _sent(api, "sessions/r-unread/cancel", b"reason=x", form)).said == (415, "wrong_media_type")
    assert (await _sent(api, "sessions/r-unread/cancel", b'{"reason": "x"}', {})).said == (415, "wrong_media_type")
    assert (await api.ask("POST", "sessions/r-unread/cancel", {}, idempotency_key="x" * 1025)).said == (
        400,
        "bad_input",
    )
    events = await api.until("r-unread", "approval_requested")
    assert "input_received" not in [event.kind for event in events]


async def _sent(api: Api, path: str, body: bytes, headers: dict[str, str] | None = None) -> Any:
    named = {"content-type": "application/json"} if headers is None else headers
    return await api.send("POST", f"/v1/{path}", body, GRACE, named)


async def test_sizes_are_limited(api: Api) -> None:
    await api.begun("r-size")
    large = json.dumps({"reason": "x" * 1_100_000}).encode()
    assert (await _sent(api, "sessions/r-size/cancel", large)).said == (413, "too_large")
    text = json.dumps({"content": "x" * 1_100_000}).encode()
    assert (await _sent(api, "sessions/r-size/inputs", text)).said == (413, "too_large")
    file = {"$file": {"media_type": "text/plain", "name": "long.txt", "data": "eHh4" * 400_000}}
    assert (await api.ask("POST", "sessions/r-size/inputs", {"content": ["Read", file]})).status == 200


async def test_a_huge_body_is_refused_before_it_was_sent(api: Api) -> None:
    """Its length says enough; and where none is said, so many bytes do."""
    said = {"content-type": "application/json", "content-length": str(10**10)}
    assert b" 413 " in await _first_line(api, said, b"")
    part = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    endless = {"content-type": "application/json", "transfer-encoding": "chunked"}
    assert b" 413 " in await _first_line(api, endless, part * 31)


async def _first_line(api: Api, headers: dict[str, str], body: bytes) -> bytes:
    reader, writer = await api._open("POST", "/v1/sessions/s/cancel", GRACE, headers)
    writer.write(body)
    await writer.drain()
    first = await asyncio.wait_for(reader.readline(), 20)
    writer.transport.abort()
    return first


async def test_a_page_of_another_site_can_do_nothing(api: Api) -> None:
    await api.begun("r-site")
    for origin in ("https://evil.example", "null", "http://["):
        answer = await api.ask("POST", "sessions/r-site/cancel", {}, origin=origin)
        assert answer.said == (403, "wrong_origin")
    assert (await api.ask("POST", "sessions/r-site/pause", {}, origin=api.url.rstrip("/"))).status == 200


async def test_g8_what_is_meant_for_another_deployment_is_not_done(api: Api) -> None:
    """Staging and production may have sessions of the same id: who looks at one decides in no other."""
    await api.begun("r-place")
    for path, doc in (("sessions/r-place/cancel", {}), ("sessions", {"id": "r-there", "program": "pack-desk"})):
        answer = await api.ask("POST", path, doc, onward_deployment="another-project/onward")
        assert answer.said == (409, "other_deployment")
    assert (await api.ask("GET", "sessions/r-there")).status == 404
    assert (await api.ask("GET", "sessions/r-place")).doc["status"] != "cancelled"


async def test_the_description_that_is_served_is_the_one_in_the_reference(api: Api) -> None:
    from tests.docs.test_reference import REFERENCE

    served = await api.send("GET", "/v1/openapi.json", b"", None, {}, checked=False)
    assert served.doc == json.loads((REFERENCE / "openapi.json").read_text())
    operations = [operation for path in served.doc["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names))
    for operation in operations:
        assert operation["description"]
        assert {"400", "401", "403", "404", "503"} <= operation["responses"].keys()
        assert "422" not in operation["responses"]


@pytest.mark.parametrize("who", [None, ""])
async def test_nobody_who_is_not_known_is_answered(api: Api, who: str | None) -> None:
    answer = await api.ask("GET", "sessions/s", who=who)
    assert (answer.said, answer.headers["www-authenticate"]) == ((401, "unidentified"), "Bearer")
