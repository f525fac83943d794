"""Comparisons by the API: who may ask for one, and what it says."""

from __future__ import annotations

from tests.cloud.servers import Api

VERA, TINA, GRACE = "vera@firm.example", "tina@firm.example", "grace@shop.example"


async def test_a_branch_is_compared_with_what_it_comes_from(api: Api) -> None:
    decision = await api.asking("k-one")
    assert (await api.ask("POST", "sessions/k-one/decisions", decision)).status == 200
    await api.until("k-one", "session_completed")
    for id, effects in (("k-same", "recorded"), ("k-other", "blocked")):
        body = {"id": id, "at": 2, "effects": effects}
        assert (await api.ask("POST", "sessions/k-one/fork", body)).status == 201
        await api.until(id, "session_completed")
    same = (await api.ask("GET", "sessions/k-one/compare/k-same", who=VERA)).doc
    assert (same["code"], same["same"], same["first"], same["end"]) == ("same", True, None, [])
    assert same["b"]["origin"]["session"] == "k-one"
    other = (await api.ask("GET", "sessions/k-one/compare/k-other", who=VERA)).doc
    assert other["code"] == "results_differ"
    assert ": blocked instead of" in other["verdict"]
    assert other["first"]["a"]["turn"] == 1
    assert other["turns"][0]["differences"][0]["kind"] == "result"


async def test_what_is_not_for_a_caller_is_not_found(api: Api) -> None:
    await api.asking("k-two")
    assert (await api.ask("GET", "sessions/k-two/compare/k-none")).said == (404, "not_found")
    assert (await api.ask("GET", "sessions/k-none/compare/k-two")).said == (404, "not_found")
    await api.asking("k-acme", tenant="acme")
    assert (await api.ask("GET", "sessions/k-acme/compare/k-two?tenant=acme", who=TINA)).said == (404, "not_found")
    assert (await api.ask("GET", "sessions/k-two/compare/k-two?tenant=gamma", who=TINA)).said == (404, "not_found")
