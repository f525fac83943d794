"""Sessions as files by the API: who may get and bring them, and that a file which was changed is taken by nobody."""

from __future__ import annotations

import base64
import io
from typing import Any

from onward.core.portable import Export, read
from tests.cloud.servers import Api

TINA, FRANK, GRACE, VERA = "tina@firm.example", "frank@firm.example", "grace@shop.example", "vera@firm.example"
PICTURE = {"$file": {"media_type": "image/png", "name": "a.png", "data": base64.b64encode(b"not really").decode()}}


async def _file(api: Api, path: str, who: str = GRACE) -> str:
    answer = await api.ask("GET", path, who=who)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/octet-stream")
    assert answer.headers["content-disposition"].startswith("attachment")
    return bytes(answer.doc).decode()


def _read(text: str) -> Export:
    return read(io.StringIO(text))


async def _bring(api: Api, text: str, who: str = GRACE, tenant: str = "default", **more: str) -> Any:
    return await api.ask("POST", f"imports?tenant={tenant}", {"file": text, **more}, who)


async def test_a_session_is_a_file_and_the_file_a_recording(api: Api) -> None:
    await api.asking("e-one", input=["Hi", PICTURE])
    await api.rested("e-one")
    text = await _file(api, "sessions/e-one/export", VERA)
    head = (await api.ask("GET", "sessions/e-one")).doc
    export = _read(text)
    assert (export.header.session, export.header.seq, export.header.hash) == ("e-one", head["seq"], head["hash"])
    assert [base64.b64decode(each) for each in export.recording().files.values()] == [b"not really"]
    first, second = [await _bring(api, text, id="e-kept") for _ in range(2)]
    assert ((first.status, first.doc["new"]), (second.status, second.doc["new"])) == ((201, True), (200, False))
    kept = (await api.ask("GET", "sessions/e-kept")).doc
    assert (kept["status"], kept["seq"], kept["hash"], kept["waits"]) == ("imported", head["seq"], head["hash"], [])
    told = [(await api.ask("GET", f"sessions/{id}/events")).doc["events"] for id in ("e-one", "e-kept")]
    assert told[0] == told[1]
    listed = (await api.ask("GET", "sessions?status=imported")).doc["sessions"]
    assert "e-kept" in [each["id"] for each in listed]
    assert (await api.ask("POST", "sessions/e-kept/inputs", {"content": "more"})).said == (409, "session_ended")
    asked = (await api.ask("GET", "approvals")).doc["approvals"]
    assert "e-kept" not in [each["session"] for each in asked]
    assert (await api.ask("DELETE", "sessions/e-kept")).status == 200
    assert (await _bring(api, text, id="e-kept")).said == (409, "deleted")


async def test_what_is_left_out_is_erased_in_the_file(api: Api) -> None:
    await api.asking("e-bare", input="tell nobody")
    bare = await _file(api, "sessions/e-bare/export?private=false")
    assert "tell nobody" not in bare
    assert _read(bare).header.left_out == ("*",)
    named = _read(await _file(api, "sessions/e-bare/export?erase=session_started.input&erase=model_answered.answer"))
    assert {name for _, name in named.erased} == {"input", "answer"}
    assert (await api.ask("GET", "sessions/e-bare/export?erase=input")).said == (400, "bad_input")


async def test_who_may_get_and_bring_files(api: Api) -> None:
    await api.asking("e-who")
    text = await _file(api, "sessions/e-who/export")
    assert (await api.ask("GET", "sessions/e-who/export", who=None)).status == 401
    assert (await api.ask("GET", "sessions/e-who/export?tenant=acme", who=VERA)).said == (404, "not_found")
    assert (await api.ask("GET", "sessions/e-nobody/export")).said == (404, "not_found")
    assert (await _bring(api, text, VERA, id="e-vera")).said == (403, "not_allowed")
    assert (await _bring(api, text, VERA, "acme")).said == (404, "not_found")
    assert (await api.ask("GET", "sessions/e-vera")).said == (404, "not_found")


async def test_what_was_changed_is_taken_by_nobody(api: Api) -> None:
    await api.asking("e-edited")
    text = await _file(api, "sessions/e-edited/export")
    lines = text.split("\n")
    wrong = {
        "line 2: ": text.replace("refund-desk", "refund-disk", 2).replace("refund-disk", "refund-desk", 1),
        "was cut": "\n".join(lines[:-3]) + "\n",
        "does not begin": "hello\n",
        "is empty": "",
    }
    for why, sent in wrong.items():
        refused = await _bring(api, sent, id="e-wrong")
        assert refused.said == (400, "bad_input"), why
        assert why in refused.doc["detail"]
    assert (await api.ask("POST", "imports", {"id": "e-wrong"})).said == (400, "bad_input")
    assert (await api.ask("GET", "sessions/e-wrong")).said == (404, "not_found")
    assert (await _bring(api, text)).said == (409, "exists")
