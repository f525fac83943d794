"""What webhooks are told of sessions, whatever happens to their receivers and to the processes that tell them."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from onward import Agent, App, Context, Limits, ScriptedModel, Webhook, workflow
from onward.adapters.local.memory import MemoryBackend
from onward.adapters.local.sqlite import SqliteBackend
from onward.adapters.posting import PublicPost
from onward.core.head import Head
from onward.core.links import read
from onward.core.webhooks import AGAIN
from onward.errors import NotDelivered
from onward.ports import Errand
from onward.testing.runner import AutoClock, Runner
from tests.emulator.sink import Sink
from tests.unit.play import ANN, OPERATOR, Play, call
from tests.unit.told import KEY, SECRET, Told, a_desk, crashed, hook, owing, verified


@pytest.fixture(scope="module")
def server() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink


@pytest.fixture
def sink(server: Sink) -> Sink:
    """The server as if it were new."""
    server.arrivals.clear()
    server.answers.clear()
    return server


@pytest.fixture(params=["memory", "sqlite"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Any]:
    """A clock, and a backend on it."""
    clock = AutoClock()
    made = MemoryBackend(clock) if request.param == "memory" else SqliteBackend.open(tmp_path / "onward.db", clock)
    yield clock, made
    await made.close()


async def test_g5_every_occasion_is_told_signed_and_in_order(sink: Sink, world: Any) -> None:
    play = Told(sink, world)
    await play.start()
    assert play.types() == ["approval_requested"]
    await play.runner.finish(within=23.5 * 3600)
    assert play.types() == ["approval_requested", "approval_reminded"]
    await play.decide("approved")
    assert play.types() == ["approval_requested", "approval_reminded", "ended"]
    assert len({said["id"] for said in play.told()}) == 3
    assert (await play.head()).owed == 0
    assert (await play.check()).output == "done"


async def test_what_an_approval_says(sink: Sink) -> None:
    play = Told(sink)
    await play.start()
    (asked,) = await play.bodies("approval_requested")
    (said,) = play.told()
    data = said["data"]
    assert data | {"url": ""} == {
        "tenant": "default", "session": "s", "program": "desk", "version": "1", "seq": data["seq"], "call": asked.call,
        "tool": "pay", "arguments": {"amount": 500, "note": ""}, "digest": asked.digest, "rule": asked.rule,
        "effect": "irreversible", "undo": None, "expires_at": "2026-01-06T09:00:00.000Z", "on_timeout": "deny",
        "needed": 1, "approvers": [], "approved_by": [], "url": "",
    }  # fmt: skip
    assert data["url"].startswith("https://console.example.com/link/")
    link = read(b"memory", data["url"].rpartition("/")[2])
    assert (link.session, link.call, link.digest, link.expires) == ("s", asked.call, asked.digest, asked.expires_at)
    assert sink.arrivals[0].headers["content-type"] == "application/json"


async def test_what_a_question_of_a_workflow_says_and_what_could_not_be_taken_back(sink: Sink) -> None:
    async def book(room: int) -> str:
        return f"room {room}"

    async def give_back(room: int) -> None:
        raise ValueError("closed")

    @workflow
    async def trip(ctx: Context, name: str) -> None:
        await ctx.step(book, 5, undo=give_back, name="hotel")
        if not (await ctx.approval("Go?", evidence={"rooms": 1}, name="go")).approved:
            raise ValueError("stays here")

    play = Told(sink, desk=trip)
    await play.start()
    (asked,) = [said["data"] for said in play.told()]
    assert asked["operation"] == {"name": "go", "kind": "approval"}
    assert asked["arguments"] == {"question": "Go?", "evidence": {"rooms": 1}}
    await play.decide("rejected")
    (doubt,) = [said["data"] for said in play.told() if said["type"] == "needs_attention"]
    (call,) = doubt["in_doubt"]
    assert (call["tool"], call["operation"]) == ("give_back", {"name": "undo:hotel", "kind": "undo"})


async def test_large_arguments_are_begun_and_erased_ones_are_left_out(sink: Sink) -> None:
    play = Told(sink, None, {"calls": [call("pay", amount=1, note="x" * 70_000)]}, {"text": "done"})
    sink.answers = [500]
    await play.start()
    data = play.told()[0]["data"]
    assert (data["arguments"], data["arguments_size"]) == (None, 70_022)
    assert data["arguments_preview"].startswith('{"amount":1,"note":"xxx')
    (asked,) = [event for event in await play.events() if event.kind == "approval_requested"]
    await play.runner.parts.eraser.erase(KEY, asked.seq, "arguments", OPERATOR, "asked to")
    await play.pass_time(60)
    data = play.told()[1]["data"]
    assert (data["arguments"], data["arguments_erased"]) == (None, True)
    assert "xxx" not in sink.arrivals[1].body.decode()


async def test_needs_attention_says_why(sink: Sink, world: Any) -> None:
    play = Told(sink, world, {"calls": [call("send", text="hi")]}, {"text": "done"})
    await play.start()
    (said,) = play.told()
    assert (said["type"], said["data"]["error"]["code"]) == ("needs_attention", "in_doubt")
    assert [one["tool"] for one in said["data"]["in_doubt"]] == ["send"]
    assert "connection reset" in said["data"]["in_doubt"][0]["error"]["message"]


async def test_a_limit_needs_attention(sink: Sink) -> None:
    play = Told(sink)
    await play.start(limits=Limits(calls=0))
    await play.decide("approved")
    assert play.types() == ["approval_requested", "needs_attention"]
    assert play.told()[1]["data"]["error"] == {
        "code": "limit_reached", "message": "calls: 0 spent, 1 more needed, 0 allowed"
    }  # fmt: skip


async def test_an_end_says_how_and_not_what(sink: Sink) -> None:
    play = Told(sink, None, {"text": "the secret result"})
    await play.start()
    (said,) = play.told()
    assert (said["type"], said["data"]["status"], said["data"]["error"]) == ("ended", "completed", None)
    assert b"the secret result" not in sink.arrivals[0].body


async def test_a_cancelled_one_says_why(sink: Sink) -> None:
    play = Told(sink, on=["ended"])
    await play.start()
    await play.signal("cancel", {"reason": "no need"})
    (said,) = play.told()
    assert (said["data"]["status"], said["data"]["error"]["message"]) == ("cancelled", "no need")


async def test_a_session_that_can_not_be_read_needs_attention_and_says_so(sink: Sink) -> None:
    play = Told(sink)
    await play.start()
    head = await play.head()
    row = play.runner.backend.store._rows[KEY]
    row.head = replace(head, fold=None)
    row.commits[0] = replace(row.commits[0], token="changed")
    play.runner.parts.loader.cache.drop(KEY)
    await play.runner.parts.gateway.wake(KEY)
    await play.settle()
    assert (await play.head()).status == "needs_attention"
    assert play.types() == ["approval_requested", "needs_attention"]
    assert play.told()[1]["data"]["error"]["code"] == "corrupt_log"


async def test_only_what_was_asked_for_is_told(sink: Sink) -> None:
    play = Told(sink, on=["ended"])
    await play.start()
    assert (await play.head()).owed == 0
    await play.decide("rejected")
    assert play.types() == ["ended"]


async def test_only_of_the_programs_that_are_named(sink: Sink) -> None:
    clerk = Agent("clerk", model=ScriptedModel([{"text": "done"}]))
    hooks = [Webhook(sink.url, secret="HOOKS", allow_private=True, programs=["clerk"])]
    play = Play(app=App(programs=[a_desk({"text": "hi"}), clerk], webhooks=hooks, secrets={"HOOKS": SECRET}))
    play.app.choose = lambda name=None: play.app.programs["desk", "1"]  # type: ignore[method-assign]
    await play.start()
    assert sink.arrivals == []
    play.app.choose = lambda name=None: clerk  # type: ignore[method-assign]
    await play.start(id="c")
    assert [json.loads(arrival.body)["data"]["program"] for arrival in sink.arrivals] == ["clerk"]


# --- receivers that fail ---------------------------------------------------------------------------------------


async def test_g5_what_is_not_taken_comes_again_under_the_same_id(sink: Sink, world: Any) -> None:
    play = Told(sink, world, on=["approval_requested"])
    sink.answers = [500, 404, 302, 429]
    await play.start()
    assert len(sink.arrivals) == 1
    await play.runner.finish(within=80)
    assert [arrival.status for arrival in sink.arrivals] == [500, 404, 302, 429, 204]
    assert len({arrival.headers["webhook-id"] for arrival in sink.arrivals}) == 1
    assert len({said["timestamp"] for said in play.told()}) == 1
    stamps = [int(arrival.headers["webhook-timestamp"]) for arrival in sink.arrivals]
    assert [later - stamps[0] for later in stamps] == [0, 5, 15, 35, 75]
    await play.pass_time(86_400)
    assert len(sink.arrivals) == 5


async def test_410_is_the_end_of_it(sink: Sink, caplog: pytest.LogCaptureFixture) -> None:
    play = Told(sink, on=["approval_requested"])
    sink.answers = [410]
    await play.start()
    await play.pass_time(3600)
    assert len(sink.arrivals) == 1
    assert [record.action for record in caplog.records if record.name == "onward.webhooks"] == ["webhook_gone"]  # type: ignore[attr-defined]


async def test_after_three_days_it_is_given_up_and_said(world: Any, caplog: pytest.LogCaptureFixture) -> None:
    class Away:
        tries = 0

        async def post(self, url: str, headers: Any, body: bytes, *, private: bool) -> int:
            self.tries += 1
            raise NotDelivered("hooks.example.com did not answer")

    clock, backend = world
    app = App(programs=[a_desk({"text": "done"})], webhooks=[hook()], secrets={"HOOKS": SECRET})
    play, away = Play(app=app, backend=backend, clock=clock, post=Away()), Away()
    play.runner.parts.teller._post = away
    await play.start()
    await play.runner.finish(within=86_400 * 2.9)
    assert away.tries < AGAIN.attempts
    assert [record for record in caplog.records if record.levelno == logging.ERROR] == []
    await play.runner.finish(within=86_400 * 30)
    assert away.tries == AGAIN.attempts
    (given_up,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert given_up.__dict__ | {"action": "webhook_given_up", "session": "s", "webhook": "hooks.example.com"} == (
        given_up.__dict__
    )
    assert (await play.head()).status == "completed"


async def test_a_receiver_that_hangs_holds_up_no_session(sink: Sink) -> None:
    """The session it was asked about goes on and ends meanwhile, and the others."""
    entered, leave = asyncio.Event(), asyncio.Event()

    class Hanging:
        async def post(self, *_: Any, **__: Any) -> int:
            entered.set()
            await leave.wait()
            return 204

    play = Told(sink)
    play.runner.parts.teller._post = Hanging()
    await play.start(settle=False)
    settling = asyncio.create_task(play.settle())
    await entered.wait()
    assert (await play.head()).waits[0].kind == "approval"
    body = {"call": "3.0", "verdict": "approved", "digest": (await play.head()).waits[0].digest}
    await play.runner.parts.gateway.signal(KEY, "decision", body, ANN, "d")
    for delivery in await play.runner.backend.queue.take(10):
        await play.runner.parts.engine.advance(delivery.wake)
    assert "approval_decided" in await play.kinds()
    leave.set()
    await settling


async def test_a_secret_that_is_missing_is_looked_for_again(sink: Sink, caplog: pytest.LogCaptureFixture) -> None:
    known: dict[str, str] = {}
    hooks = [Webhook(sink.url, secret="HOOKS", allow_private=True)]
    play = Play(app=App(programs=[a_desk({"text": "done"})], webhooks=hooks, secrets=known))
    await play.start()
    assert sink.arrivals == []
    assert "secret HOOKS is missing" in caplog.records[-1].error  # type: ignore[attr-defined]
    known["HOOKS"] = "plain text"
    await play.pass_time(30)
    assert verified(b"plain text", sink.arrivals[0])["type"] == "ended"


async def test_a_private_address_is_tried_again_and_never_reached(sink: Sink) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["8.8.8.8", "127.0.0.1"]

    port = sink.url.rpartition(":")[2]
    hooks = [hook(f"https://hooks.example.com:{port}/")]
    app = App(programs=[a_desk({"text": "done"})], webhooks=hooks, secrets={"HOOKS": SECRET})
    play = Play(app=app, post=PublicPost(resolve))
    await play.start()
    assert sink.arrivals == []
    assert play.runner.backend.queue.next_due() is not None


async def test_no_log_line_shows_the_url_or_the_secret(sink: Sink, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    play = Told(sink)
    sink.answers = [500, 410]
    await play.start()
    await play.pass_time(3600)
    await play.decide("approved")
    said = " ".join(str(record.__dict__) for record in caplog.records if record.name.startswith("onward"))
    assert "webhook" in said
    assert "/token" not in said
    assert SECRET not in said


# --- what is settled meanwhile ---------------------------------------------------------------------------------


@pytest.mark.parametrize("verdict", ["approved", "rejected"])
async def test_a_question_that_was_decided_is_not_asked_any_more(sink: Sink, verdict: str) -> None:
    play = Told(sink, on=["approval_requested", "approval_reminded"])
    sink.answers = [500]
    await play.start()
    await play.decide(verdict)
    await play.pass_time(86_400)
    assert len(sink.arrivals) == 1


async def test_a_doubt_that_was_resolved_needs_nobody_any_more(sink: Sink) -> None:
    play = Told(sink, None, {"calls": [call("send", text="hi")]}, {"text": "done"}, on=["needs_attention"])
    sink.answers = [500]
    await play.start()
    (doubt,) = [event.body.call for event in await play.events() if event.kind == "call_in_doubt"]
    await play.signal("outcome", {"call": doubt, "status": "done", "result": "sent"}, OPERATOR)
    await play.pass_time(3600)
    assert (len(sink.arrivals), (await play.head()).status) == (1, "completed")


async def test_of_a_session_that_was_deleted_nothing_is_sent(sink: Sink, world: Any) -> None:
    play = Told(sink, world, {"text": "done"})
    sink.answers = [500]
    await play.start()
    await play.runner.parts.deleter.delete(KEY, "olga@x", "asked to")
    await play.pass_time(86_400)
    assert len(sink.arrivals) == 1


# --- crashes, and others ---------------------------------------------------------------------------------------


async def test_g5_what_is_owed_when_a_process_dies_after_the_append_is_told_all_the_same(
    sink: Sink, world: Any
) -> None:
    async with crashed(sink, world, "timers.send") as play:
        assert play.types() == ["approval_requested"]
        assert (await play.head()).owed == 0


async def test_g5_what_is_on_its_way_when_a_process_dies_comes_once_more_under_the_same_id(
    sink: Sink, world: Any
) -> None:
    async with crashed(sink, world, "queue.done_errand") as play:
        assert play.types() == ["approval_requested", "approval_requested"]
        assert len({said["id"] for said in play.told()}) == 1


async def test_g5_a_release_without_the_webhook_pays_what_one_with_it_owes(sink: Sink) -> None:
    """And leaves telling to whoever has it."""
    play = await owing(sink)
    older = Runner(App(programs=[a_desk()]), backend=play.runner.backend, clock=play.runner.clock, seed="older")
    await older.finish(within=120)
    assert (sink.arrivals, (await play.head()).owed) == ([], 0)
    await play.pass_time(600)
    assert play.types() == ["approval_requested"]


async def test_g5_what_another_application_writes_is_owed_too(sink: Sink) -> None:
    """One that works on the same store, and does not know this session's program, may still end it."""
    play = Told(sink, on=["ended"])
    await play.start()
    other = App(programs=[Agent("other", model=ScriptedModel([]))])
    await play.signal("cancel", {"reason": "no need"}, settle=False)
    stranger = Runner(other, backend=play.runner.backend, clock=play.runner.clock, seed="other")
    await stranger.settle()
    assert ((await play.head()).status, sink.arrivals) == ("cancelled", [])
    await play.pass_time(600)
    assert play.types() == ["ended"]


async def test_a_webhook_that_is_new_is_told_of_what_comes_and_not_of_what_was(sink: Sink) -> None:
    play = Told(sink)
    plain = Runner(App(programs=[a_desk()]), backend=play.runner.backend, clock=play.runner.clock, seed="plain")
    await play.start(settle=False)
    await plain.settle()
    assert (await play.head()).waits[0].kind == "approval"
    await play.settle()
    await play.decide("approved")
    assert play.types() == ["ended"]


async def test_one_that_was_taken_away_is_owed_nothing_more(sink: Sink) -> None:
    play = Told(sink)
    await play.start()
    plain = Runner(App(programs=[a_desk()]), backend=play.runner.backend, clock=play.runner.clock, seed="plain")
    await play.runner.parts.gateway.signal(KEY, "cancel", {"reason": ""}, ANN, "c")
    await plain.settle()
    head: Head = await play.head()
    assert (head.status, head.listeners) == ("cancelled", ())
    assert play.types() == ["approval_requested"]


async def test_an_errand_for_a_session_that_is_not_there_is_done(sink: Sink) -> None:
    play = Told(sink)
    await play.runner.parts.teller.run(Errand("f" * 32, 3, "chat"))
    await play.start()
    await play.runner.parts.teller.run(Errand(KEY, 1, "chat"))
    await play.runner.parts.teller.run(Errand(KEY, 999, "chat"))
    assert len(sink.arrivals) == 1
