"""What the functions answer to what is no good, and to whom."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from emulators.cloud import AUDIENCE, PROXY_AUDIENCE, SESSIONS
from emulators.functions import Function
from emulators.posting import post
from emulators.tokens import Tokens
from onward.core.ids import session_key
from onward.surfaces.functions import DEAD_LETTER
from tests.cloud.world import GRACE, PATIENCE, _ask

if TYPE_CHECKING:
    from tests.cloud.world import World

DECISION = {"kind": "decision", "body": {"call": "2.0", "verdict": "approved", "digest": "d" * 64}}

BAD = {
    "no-json": b"\xff\xfe",
    "no-object": b"[]",
    "no-version": b'{"session": "s"}',
    "a-field-too-many": b'{"version": 1, "session": "s", "colour": "red"}',
    "a-name-that-is-none": b'{"version": 1, "session": "../s"}',
    "a-decision": json.dumps({"version": 1, "session": "s", **DECISION}).encode(),
    "a-program-that-is-not-there": b'{"version": 1, "session": "s", "kind": "start", "body": {"program": "none"}}',
    "an-outcome-of-nothing": b'{"version": 1, "session": "s", "kind": "outcome", "token": "t",'
    b' "body": {"call": "2.0", "status": "done"}}',
}


@pytest.mark.parametrize("what", BAD)
async def test_g15_what_is_no_good_is_acknowledged_logged_once_and_counted(world: World, what: str) -> None:
    counts = [line["count"] for line in world.lines("advance", action="refused")]
    assert [await world.push(BAD[what], f"bad-{what}") for _ in range(2)] == [204, 204]
    (line,) = await world.logged("advance", action="refused", message_id=f"bad-{what}")
    assert line["count"] == max(counts, default=0) + 1
    assert line["error"]
    assert (await world.ask("GET", "sessions/s"))[0] == 404


async def test_what_is_no_push_at_all_is_acknowledged(world: World) -> None:
    assert (await world.post("advance", b"hello"))[0] == 204
    assert (await world.post("advance", b"{}", {"ce-type": "google.cloud.storage.object.v1.finalized"}))[0] == 204


async def test_a_task_that_is_none_is_acknowledged(world: World) -> None:
    assert (await world.post("resume", b'{"version": 1, "session": "s"}'))[0] == 204
    assert world.lines("resume", action="refused")


async def test_what_a_newer_release_can_read_is_left_to_it(world: World) -> None:
    assert await world.push(b'{"version": 2, "session": "s"}', "newer") == 503


async def test_a_cloud_event_is_a_message_too(world: World) -> None:
    data = "eyJ2ZXJzaW9uIjogMSwgInNlc3Npb24iOiAicy1ldmVudCJ9"  # {"version": 1, "session": "s-event"}
    doc = {"message": {"data": data, "messageId": "event-1"}, "subscription": "s"}
    event = {"type": "google.cloud.pubsub.topic.v1.messagePublished", "id": "event-1", "specversion": "1.0"}
    headers = {"Content-Type": "application/cloudevents+json"}
    assert (await world.post("advance", json.dumps(event | {"data": doc}).encode(), headers))[0] == 204
    assert await world.logged("advance", key=session_key("default", "s-event"), outcome="absent")


async def test_g13_a_dead_letter_is_a_delayed_wake(world: World) -> None:
    before = len(world.cloud.tasks.waiting(world.cloud.queue))
    status = await world.push(b'{"version": 1, "session": "s-dead"}', "dead-1", **{DEAD_LETTER: "onward-advance"})
    assert (status, len(world.cloud.tasks.waiting(world.cloud.queue))) == (204, before + 1)
    (line,) = await world.logged("advance", action="dead_letter")
    assert (line["severity"], line["key"], line["subscription"]) == (
        "ERROR",
        session_key("default", "s-dead"),
        "onward-advance",
    )


async def test_what_is_not_taken_in_five_attempts_comes_as_a_dead_letter(world: World) -> None:
    topic, too_new = world.cloud.topic(SESSIONS), base64.b64encode(b'{"version": 2}').decode()
    id = await asyncio.to_thread(world.cloud.pubsub.publish, topic, too_new)
    attempts: list[str] = []
    async with asyncio.timeout(PATIENCE):
        while not set(attempts) - {id, "newer"}:
            attempts = [line["message_id"] for line in world.lines("advance", action="again")]
            await asyncio.sleep(0.1)
    assert attempts.count(id) == 5


async def test_a_message_comes_again_where_nothing_can_be_written(world: World, tmp_path: Path) -> None:
    function = Function("advance", tmp_path / "advance.log")
    function.start(world.cloud.environment | {"FIRESTORE_EMULATOR_HOST": "127.0.0.1:9"})
    try:
        message = {"message": {"data": "eyJ2ZXJzaW9uIjogMSwgInNlc3Npb24iOiAicyJ9", "messageId": "out"}}
        headers = {"Content-Type": "application/json"}
        status = await asyncio.to_thread(post, function.url, headers, json.dumps(message).encode(), PATIENCE)
    finally:
        function.close()
    lines = [json.loads(line) for line in function.log.read_text().splitlines() if line.startswith("{")]
    again = [(line["severity"], line["code"]) for line in lines if line["action"] == "again"]
    assert (status, again) == (503, [("WARNING", "store_unavailable")])
    assert [line["outcome"] for line in lines if line["action"] == "step"] == ["failed"]


# --- who asks the API --------------------------------------------------------------------------------------------


async def test_g8_a_token_of_another_is_nobodys(world: World) -> None:
    stranger = Tokens()
    stranger.close()
    forged, foreign = stranger.sign(GRACE, AUDIENCE), world.cloud.tokens.sign(GRACE, "elsewhere")
    url = f"{world.cloud.functions['api'].url}v1/me"
    for token in (forged, foreign, "x", ""):
        said = await asyncio.to_thread(_ask, url, "GET", b"", {"Authorization": f"Bearer {token}"})
        assert (said[0], said[1]["code"]) == (401, "unidentified")


async def test_whom_the_proxy_vouches_for_is_known_to_the_api(world: World) -> None:
    url, vouched = f"{world.cloud.functions['api'].url}v1/me", world.cloud.tokens.vouch(GRACE, PROXY_AUDIENCE)
    status, me = await asyncio.to_thread(_ask, url, "GET", b"", {"X-Goog-IAP-JWT-Assertion": vouched})
    assert (status, me["name"]) == (200, GRACE)
    elsewhere = world.cloud.tokens.vouch(GRACE, "/projects/2/locations/local/services/api")
    status, no = await asyncio.to_thread(_ask, url, "GET", b"", {"X-Goog-IAP-JWT-Assertion": elsewhere})
    assert (status, no["code"]) == (401, "unidentified")
