"""`onward dev` as a process: followers hear a model before it has answered, and the log does not (G4)."""

from __future__ import annotations

import json
import signal
from typing import Any

from tests.cloud.http_client import Frame
from tests.e2e.command import REFUND, Desk
from tests.e2e.test_dev import Dev

PIECES = ["Let me", " see", " what", " can be done."]
ANSWER = {"text": PIECES, "pause": 0.25, "fails": [{"code": "rate_limited"}]}


async def test_g4_a_model_is_heard_by_followers_and_by_no_log(desk: Desk) -> None:
    desk.write(REFUND, ANSWER)
    dev = Dev(desk)
    frames = await followed(dev)
    heard = [frame.data for frame in frames if frame.name == "provisional"]
    log = [frame.data for frame in frames if frame.name == "message"]
    failed, answered = [event for event in log if event["kind"].startswith("model_")][-2:]
    assert [frame.id for frame in frames if frame.name == "message"] == [str(seq + 1) for seq in range(len(log))]
    assert {frame.id for frame in frames if frame.name == "provisional"} == {None}
    assert texts(heard, failed["seq"], 1) == [PIECES[0], ""]
    second = texts(heard, answered["seq"], 2)
    assert second[0] == PIECES[0]
    assert second[-1] == answered["body"]["answer"]["text"] == "".join(PIECES)
    read = [json.loads(line) for line in desk.run("events", "a-1", "--json").out.splitlines()]
    assert read == log
    await dev.drop()
    desk.end(dev.process, signal.SIGINT)


async def followed(dev: Dev) -> list[Frame]:
    """All that a follower gets of a session which asks once, from before its model answers for good."""
    await dev.post("sessions", {"program": "desk", "input": "My order came broken.", "id": "a-1"})
    frames, found = (await dev.live("sessions/a-1/events")).frames(), list[Frame]()
    async for frame in frames:
        found += [frame] if frame.data else []
        if frame.data and frame.data.get("kind") == "approval_requested":
            asked = frame.data["body"]
            decision = {"call": asked["call"], "digest": asked["digest"], "verdict": "approved"}
            assert (await dev.post("sessions/a-1/decisions", decision)).status == 200
        if frame.name == "end":
            break
    return [frame for frame in found if frame.name != "end"]


def texts(heard: list[Any], seq: int, attempt: int) -> list[str]:
    return [said["text"] for said in heard if (said["seq"], said["attempt"]) == (seq, attempt)]
