"""What is recorded, and the state, are the same with and without caches and snapshots, however large values are."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any

import pytest

from onward import Agent, App, Approval, Call, Compaction, File, Pending, Retry, Route, ScriptedModel, tool
from onward.core.events import Actor
from onward.core.files import digests_in
from onward.core.ids import session_key
from onward.core.payload import Blob
from onward.engine.gateway import Start
from onward.testing.runner import Runner
from tests.unit.play import OPERATOR, Play, Watching, call, whole

KEY = session_key("default", "s")
LARGE = 200_000
"""Characters: such a value lies in a blob."""


@dataclass
class Cold:
    """Before every wake a new process comes, and every snapshot is gone. `cold` False: one process, with its cache."""

    play: Play
    cold: bool

    async def go_on(self) -> None:
        while await self._deliver():
            pass

    async def finish(self) -> None:
        """Let time pass, too, to the next timer."""
        await self.go_on()
        while (due := self.play.runner.backend.queue.next_due()) is not None:
            self.play.runner.clock.advance_to(due)
            await self.go_on()

    async def _deliver(self) -> bool:
        if self.cold:
            await self.forget()
        return await self.play.runner.deliver()

    async def forget(self) -> None:
        runner = self.play.runner
        await runner.backend.blobs.forget(KEY, "snapshots/")
        row = runner.backend.store._rows[KEY]
        row.head = replace(row.head, fold=None)
        runner.parts = runner.process(self.play.app)

    async def recorded(self) -> list[Any]:
        """What stands in the log, and last the state that this process has of it."""
        said = [(event.kind, event.body.model_dump()) for event in await self.play.events()]
        return [*said, (await self.play.state()).model_dump()]


async def same(*plays: Cold) -> None:
    """What the second has, with nothing at hand, is what the first has."""
    warm, cold = [await one.recorded() for one in plays]
    assert warm == cold


BOTH = (False, True)


def turns(*calls: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    return [{"calls": list(calls), **more}, {"text": "done"}]


# --- what programs decide on -----------------------------------------------------------------------------------


async def test_g1_a_large_input_asks_the_same_model_from_the_log_as_from_the_cache() -> None:
    """Whether it is at hand must not hang on who looks: a rule sees it as the log has it."""
    plays = []
    for cold in BOTH:
        small, big = (ScriptedModel([{"text": name}], name=name) for name in ("small", "big"))
        play = Play(Agent("desk", model=[Route(big, when=lambda turn: len(turn.input) > 100_000), small]))
        plays.append(one := Cold(play, cold))
        await play.start("x" * LARGE, settle=False)
        await one.go_on()
        assert (await play.state()).ended == "completed"
    await same(*plays)


async def test_g1_a_rule_that_sums_up_sees_the_same_from_the_log_as_from_the_cache() -> None:
    @tool(effect="read")
    async def read() -> str:
        """Read."""
        return "y" * LARGE

    def answer(request: Any) -> dict[str, Any]:
        summed = any(entry.kind == "summary" for entry in request.transcript)
        return {"text": "done"} if summed else {"calls": [call("read")]}

    def lengths(entries: Any) -> list[str]:
        return [f"{type(entry.value).__name__} {len(str(entry.value))}" for entry in entries]

    plays = []
    for cold in BOTH:
        compaction = Compaction(at=1_000, keep=1, by=lengths)
        play = Play(Agent("desk", model=ScriptedModel(answer), tools=[read], compaction=compaction))
        plays.append(one := Cold(play, cold))
        await play.start(settle=False)
        await one.go_on()
        [summed] = await play.bodies("transcript_compacted")
        assert [said for said in summed.summary if said.startswith("Blob")]
    await same(*plays)


async def test_g1_a_session_finished_in_the_middle_of_a_long_turn_has_the_same_output() -> None:
    @tool(effect="irreversible", approval=Approval(timeout="24h"))
    async def close() -> None:
        """Close."""

    plays = []
    for cold in BOTH:
        script = turns(call("close"), text="z" * LARGE)
        play = Play(Agent("desk", model=ScriptedModel(script), tools=[close]))
        plays.append(one := Cold(play, cold))
        await play.start(settle=False)
        await one.go_on()
        await play.signal("finish", {}, OPERATOR, settle=False)
        await one.go_on()
        assert (await play.state()).ended == "completed"
    await same(*plays)


async def test_g1_large_arguments_that_a_person_wrote_are_shown_whole_to_the_model() -> None:
    @tool(effect="irreversible", approval=Approval(timeout="24h"))
    async def write(text: str) -> str:
        """Write."""
        return "ok"

    plays = []
    for cold in BOTH:
        model = Watching(ScriptedModel(turns(call("write", text="a"))))
        play = Play(Agent("desk", model=model, tools=[write]))
        plays.append(one := Cold(play, cold))
        await play.start(settle=False)
        await one.go_on()
        await decide_later(play, arguments={"text": "y" * LARGE})
        await one.go_on()
        [result] = [entry for entry in model.requests[-1].transcript if entry.kind == "result"]
        assert result.arguments == {"text": "y" * LARGE}
    await same(*plays)


async def decide_later(play: Play, **more: Any) -> None:
    """Approve what is asked; nobody looks at it yet."""
    [asked] = [one for one in (await play.state()).calls.values() if one.status == "asked"]
    said = {"call": asked.id, "verdict": "approved", "digest": asked.digest, **more}
    await play.signal("decision", said, settle=False)


@pytest.mark.parametrize("size", [10, LARGE])
async def test_g1_a_large_outcome_that_came_early_settles_its_call_in_any_process(size: int) -> None:
    plays = []
    for cold in BOTH:
        play = shipping("x" * size)
        plays.append(one := Cold(play, cold))
        await play.start(settle=False)
        await one.finish()
        state = await play.state()
        [result] = [entry for entry in state.transcript if entry.kind == "result"]
        assert (state.ended, isinstance(result.value, Blob)) == ("completed", size == LARGE)
        loader = play.runner.parts.loader
        assert (await whole(loader, KEY, state))["transcript"][-2]["value"] == "x" * size
    await same(*plays)


def shipping(result: str) -> Play:
    """An agent with a tool whose carrier answers before it does; the line is down the first time."""

    @tool(effect="idempotent", retry=Retry(attempts=3, first=60))
    async def ship(*, call: Call) -> Pending:
        """Ship."""
        if call.attempt == 1:
            said = {"call": call.id, "status": "done", "result": result}
            await play.runner.parts.gateway.complete(KEY, said, call.token)
            raise ConnectionError("the line is down")
        return Pending(timeout="24h")

    play = Play(Agent("desk", model=ScriptedModel(turns(call("ship"))), tools=[ship]))
    return play


# --- what was erased meanwhile ---------------------------------------------------------------------------------


async def test_g3_an_outcome_that_was_erased_before_it_was_taken_up_is_a_persons_to_say() -> None:
    play = shipping("private")
    await play.start()
    [kept] = [event for event in await play.events() if event.kind == "signal_kept"]
    await play.runner.parts.eraser.erase(KEY, kept.seq, "body", OPERATOR, "asked to")
    await play.pass_time(3600)
    head = await play.head()
    assert (head.status, [wait.kind for wait in head.waits]) == ("waiting", ["operator"])
    await play.signal("outcome", {"call": "3.0", "status": "done", "result": "arrived"}, OPERATOR)
    assert (await play.check()).ended == "completed"


async def test_g8_an_edit_that_was_erased_before_it_was_checked_opens_the_question_again() -> None:
    paid: list[int] = []

    @tool(effect="irreversible", approval=Approval(timeout="240h"))
    async def pay(amount: int) -> str:
        """Pay."""
        paid.append(amount)
        return "ok"

    play = Play(Agent("desk", model=ScriptedModel(turns(call("pay", amount=4))), tools=[pay]))
    await play.start()
    await play.signal("pause", {}, OPERATOR)
    await decide_later(play, arguments={"amount": 7})
    await play.settle()
    [decided] = [event for event in await play.events() if event.kind == "approval_decided"]
    await play.runner.parts.eraser.erase(KEY, decided.seq, "arguments", OPERATOR, "asked to")
    await play.resume()
    head = await play.head()
    assert (head.status, [wait.kind for wait in head.waits], paid) == ("waiting", ["approval"], [])
    await play.decide("approved")
    assert ((await play.check()).ended, paid) == ("completed", [4])


# --- files that come late --------------------------------------------------------------------------------------


async def test_a_file_that_comes_after_its_calls_time_limit_lies_beside_the_log() -> None:
    late = asyncio.Event()

    @tool(effect="irreversible", timeout="50ms")
    async def photograph() -> File:
        """Take a picture."""
        await late.wait()
        return File(data=b"z" * 30_000, media_type="image/png", name="picture.png")

    play = Play(Agent("desk", model=ScriptedModel(turns(call("photograph"))), tools=[photograph]))
    await play.start()
    late.set()
    while not (await play.runner.backend.store.pending(KEY)).signals:
        await asyncio.sleep(0.001)
    await play.settle()
    [done] = await play.bodies("call_completed")
    [digest] = digests_in(done.result)
    assert "data" not in done.result["$file"]
    assert await play.runner.backend.blobs.get(KEY, f"files/{digest}")
    assert (await play.check()).ended == "completed"


async def test_g3_a_large_value_that_was_changed_is_found_out() -> None:
    """Where it lies beside the log, its digest is checked when it is read."""
    runner = Runner(App([Agent("desk", model=ScriptedModel([{"text": "done"}]))]))
    await runner.parts.gateway.start(Start("s", "desk", "1", "story " * 15_000), Actor(kind="person", name="ann"))
    key = session_key("default", "s")
    [name] = [name for owner, name in runner.backend.blobs._values if owner == key and name.startswith("blobs/")]
    runner.backend.blobs._values[key, name] = '"another story"'
    runner.parts.loader.cache.drop(key)
    await runner.settle()
    head = await runner.backend.store.read(key)
    assert head is not None
    events = [
        event for commit in await runner.backend.store.commits(key) for event in runner.parts.loader.events(commit)
    ]
    assert "holds something else" in next(event.body.error.message for event in events if event.kind == "step_failed")
