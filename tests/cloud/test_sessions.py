"""Sessions through everything at once: topics, pushes, leases, Firestore, tasks, the API, and processes that die."""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from emulators.cloud import BUCKET
from onward.core.events import Actor
from onward.core.ids import session_key
from onward.engine.gateway import Start

if TYPE_CHECKING:
    from tests.cloud.world import World


def kinds(events: list[Any]) -> list[str]:
    return [event.kind for event in events]


async def test_a_message_an_approval_and_the_end(world: World) -> None:
    async with world.following("s-approve") as follower:
        await world.start("s-approve", "refund-desk", input="A large word. " * 7000)
        asked = await follower.until(lambda event: event.kind == "approval_requested")
        _, doc = await world.ask("GET", "sessions/s-approve")
        (wait,) = doc["waits"]
        assert (doc["status"], wait["digest"]) == ("waiting", asked.body["digest"] if asked.body else None)
        decision = {"call": wait["call"], "digest": wait["digest"], "verdict": "approved", "reason": "It is broken."}
        status, answer = await world.ask("POST", "sessions/s-approve/decisions", decision)
        assert (status, answer["event"]["kind"]) == (200, "approval_decided")
        ended = await follower.until(lambda event: event.kind == "session_completed")
    decided = next(event for event in follower.applied if event.kind == "approval_decided")
    assert decided.actor == {"kind": "person", "name": "grace@shop.example"}
    assert [event.seq for event in follower.applied] == list(range(1, ended.seq + 1))
    assert [entry["what"] for entry in world.booked("s-approve")] == ["refund"]
    assert await world.verified("s-approve") == (ended.seq, ended.hash)
    key = session_key("default", "s-approve")
    assert any(key in request.path and BUCKET in request.path for request in world.cloud.storage.requests)


async def test_an_approval_expires_by_a_task(world: World) -> None:
    status, doc = await world.ask("POST", "sessions", {"id": "s-expire", "program": "hurry-desk", "input": "Hi"})
    assert (status, doc["new"]) == (201, True)
    events = await world.until("s-expire", "session_completed")
    assert "approval_expired" in kinds(events)
    assert world.booked("s-expire") == []
    lines = await world.logged("resume", session="s-expire", outcome="moved")
    assert "approval_expired" in lines[0]["kinds"]


async def test_a_delayed_start_is_resumed_by_a_task(world: World) -> None:
    at = datetime.now(UTC) + timedelta(seconds=1.5)
    await world.start("s-later", "pack-desk", not_before=at.isoformat())
    events = await world.until("s-later", "session_completed")
    assert next(event.at for event in events if event.kind == "model_answered") >= at - timedelta(milliseconds=5)
    assert await world.logged("resume", session="s-later", outcome="moved")


async def test_g6_a_process_killed_in_the_middle_of_what_cannot_be_undone(world: World) -> None:
    await world.start("s-kill", "wire-desk")
    os.kill(await world.process_of("s-kill"), signal.SIGKILL)
    events = await world.until("s-kill", "session_completed")
    assert [entry["what"] for entry in world.booked("s-kill")] == ["wire"]
    done = next(event for event in events if event.kind == "call_completed")
    assert (done.body.by, done.body.result) == ("reconcile", "wired, says the bank")
    assert {"call_started", "call_in_doubt"} <= set(kinds(events))
    assert (await world.verified("s-kill"))[0] == events[-1].seq


async def test_a_process_that_is_asked_to_end_lets_go(world: World) -> None:
    await world.start("s-term", "look-desk")
    first = await world.process_of("s-term")
    os.kill(first, signal.SIGTERM)
    await world.until("s-term", "session_completed")
    assert [entry["process"] == first for entry in world.booked("s-term")] == [True, False]
    assert await world.logged("advance", session="s-term", outcome="stopped")


async def test_g5_a_message_that_comes_twice_at_once_changes_nothing(world: World) -> None:
    key = session_key("default", "s-twice")
    await world.start("s-twice", "pack-desk")
    await world.process_of("s-twice")
    again = f'{{"version": 1, "key": "{key}"}}'.encode()
    assert await asyncio.gather(*(world.push(again, f"twice-{n}") for n in range(3))) == [204] * 3
    events = await world.until("s-twice", "session_completed")
    assert len(world.booked("s-twice")) == 1
    assert kinds(events).count("call_completed") == 1
    assert {line["outcome"] for line in world.lines("advance", key=key)} >= {"busy", "moved"}


async def test_a_signal_that_comes_before_its_session_is_kept(world: World) -> None:
    await world.publish("s-early", kind="cancel", body={"reason": "never mind"}, key="early")
    await world.logged("advance", key=session_key("default", "s-early"), outcome="absent")
    await world.start("s-early", "pack-desk")
    events = await world.until("s-early", "session_cancelled")
    assert events[-1].kind == "session_cancelled"
    assert world.booked("s-early") == []


async def test_inputs_by_name_come_by_the_topic_before_their_wait_and_after(world: World) -> None:
    paid = {"kind": "input", "body": {"content": {"amount": 5}, "name": "paid"}}
    await world.publish("s-named", kind="input", body={"content": "Thanks."})
    await world.start("s-named", "payments", input="A-1")
    await world.until("s-named", "input_received")
    refused = await world.publish("s-named", kind="input", body={"content": {"amount": "my sum"}, "name": "paid"})
    (line,) = await world.logged("advance", message_id=refused, action="refused")
    assert (line["code"], "content.amount" in line["error"], "my sum" in line["error"]) == ("bad_input", True, False)
    for key in ("first", "second", "second"):
        await world.publish("s-named", **paid, key=key)
    events = await world.until("s-named", "session_completed")
    assert events[-1].body.output == {"order": "A-1", "paid": [5, 5], "said": "Thanks."}
    assert kinds(events).count("input_received") == 3


async def test_the_sweep_wakes_what_was_forgotten(world: World) -> None:
    async with world.sessions() as sessions:
        gateway: Any = sessions.parts.gateway
        gateway._creator._wakes = Nobody()
        await gateway.start(Start("s-lost", "pack-desk", "1", input="Hi"), Actor(kind="person", name="ann"))
    status, doc = await world.post("sweep", b"")
    assert (status, doc["woken"] >= 1) == (200, True)
    await world.until("s-lost", "session_completed")
    assert world.lines("sweep", action="healed", key=session_key("default", "s-lost"))
    standing = world.lines("sweep", action="standing")[-1]
    assert standing["census"].keys() >= {"approval", "input", "needs_attention"}
    assert standing["attention_s"] >= 0
    status, health = await world.ask("GET", "health")
    assert (status, health["sweeps"]["last"]["woken"]) == (200, doc["woken"])
    assert health["sweeps"]["last"] in health["sweeps"]["healed"]


class Nobody:
    """Wakes that get lost."""

    async def publish(self, wake: Any) -> None:
        return None
