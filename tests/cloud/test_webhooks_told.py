"""Webhooks through the functions as they are deployed: errands are tasks, and `resume` tells."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from onward.core.ids import session_key
from onward.core.links import read
from onward.core.webhooks import message_id
from tests.cloud.world import GRACE, HOOKS_SECRET, PATIENCE, World
from tests.unit.told import verified


async def told(world: World, session: str, many: int) -> list[dict[str, Any]]:
    """What the webhook was told of this session, once it was so often, every signature verified."""

    def of_it(arrivals: Any) -> list[Any]:
        return [one for one in arrivals if json.loads(one.body)["data"]["session"] == session]

    found = await asyncio.to_thread(world.hooks.wait, lambda arrivals: len(of_it(arrivals)) >= many)
    return [verified(HOOKS_SECRET.encode(), one) for one in of_it(found)]


def errands(world: World) -> list[Any]:
    """What lies in the tasks that wait: that, and nothing that anybody said."""
    return [json.loads(task.http_request.body) for task in world.cloud.tasks.waiting(world.cloud.queue)]


async def test_g5_a_webhook_is_told_through_a_task_and_again_where_it_failed(world: World) -> None:
    world.hooks.answers = [503]
    await world.start("w-1", "letter-desk")
    (first,) = await told(world, "w-1", 1)
    await world.logged("resume", action="webhook_not_told", session="w-1", attempt=1)
    key, seq = session_key("default", "w-1"), first["data"]["seq"]
    errand = {"version": 2, "key": key, "seq": seq, "webhook": "chat", "attempt": 2}
    async with asyncio.timeout(PATIENCE):
        while errand not in errands(world):
            await asyncio.sleep(0.05)
    world.cloud.tasks.advance(6)
    _, again = await told(world, "w-1", 2)
    assert (again, again["id"]) == (first, message_id(key, seq, "chat"))
    (line,) = await world.logged("resume", action="webhook_told", session="w-1")
    assert (line["webhook"], line["attempt"], line["seq"]) == ("chat", 2, seq)


async def test_what_it_is_told_is_the_question_and_then_the_end(world: World) -> None:
    await world.start("w-2", "letter-desk")
    (asked,) = await told(world, "w-2", 1)
    data = asked["data"]
    assert (asked["type"], data["tool"], data["arguments"]) == ("approval_requested", "letter", {"order": "A-1"})
    api = world.cloud.environment["ONWARD_API_URL"]
    assert data["url"].startswith(f"{api}/link/")
    link = read(world.settings.secret, data["url"].rpartition("/")[2])
    assert (link.session, link.call, link.digest) == ("w-2", data["call"], data["digest"])
    decision = {"call": data["call"], "verdict": "approved", "digest": data["digest"]}
    status, _ = await world.ask("POST", "sessions/w-2/decisions", decision, GRACE)
    assert status in (200, 202)
    _, ended = await told(world, "w-2", 2)
    assert (ended["type"], ended["data"]["status"]) == ("ended", "completed")
    await world.until("w-2", "session_completed")


async def test_of_other_programs_it_is_told_nothing(world: World) -> None:
    await world.start("w-3", "pack-desk")
    await world.until("w-3", "session_completed")
    assert b"w-3" not in b"".join(arrival.body for arrival in world.hooks.arrivals)


async def test_a_task_of_a_form_that_is_not_known_is_refused_and_a_newer_one_comes_again(world: World) -> None:
    headers = {"X-CloudTasks-TaskName": "wrong-errand", "Content-Type": "application/json"}
    errand = {"version": 2, "key": "a" * 32, "seq": 3, "webhook": "chat", "attempt": 1}
    assert (await world.post("resume", json.dumps(errand).encode(), headers))[0] == 204
    wrong = json.dumps(errand | {"url": "https://elsewhere.example"}).encode()
    assert (await world.post("resume", wrong, headers))[0] == 204
    (line,) = await world.logged("resume", action="refused", message_id="wrong-errand")
    assert line["error"].startswith("message wrong-errand: url")
    assert (await world.post("resume", json.dumps(errand | {"version": 3}).encode(), headers))[0] == 503
