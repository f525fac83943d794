"""Replays by the API: who may ask for one, and what it says."""

from __future__ import annotations

from tests.cloud.servers import Api

VERA, TINA = "vera@firm.example", "tina@firm.example"


async def test_a_session_is_decided_again_by_the_deployments_own_programs(api: Api) -> None:
    decision = await api.asking("y-one")
    rests = (await api.ask("POST", "sessions/y-one/replay", who=VERA)).doc
    assert rests["verdict"] == "same"
    assert (await api.ask("POST", "sessions/y-one/decisions", decision)).status == 200
    await api.until("y-one", "session_completed")
    ended = (await api.ask("POST", "sessions/y-one/replay", who=VERA)).doc
    assert (ended["verdict"], ended["events"] > rests["events"]) == ("same", True)
    assert ended["line"] == f"same: {ended['decisions']} decisions in {ended['events']} events"
    body = {"id": "y-branch", "at": 2, "effects": "blocked"}
    assert (await api.ask("POST", "sessions/y-one/fork", body)).status == 201
    await api.until("y-branch", "session_completed")
    assert (await api.ask("POST", "sessions/y-branch/replay", who=VERA)).doc["verdict"] == "same"


async def test_what_is_not_for_a_caller_is_not_found(api: Api) -> None:
    await api.asking("y-two")
    assert (await api.ask("POST", "sessions/y-none/replay")).said == (404, "not_found")
    assert (await api.ask("POST", "sessions/y-two/replay?tenant=gamma", who=TINA)).said == (404, "not_found")
