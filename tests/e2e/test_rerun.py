"""Running recorded sessions again, on a real SQLite file: they are told what they were told, where it was."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from onward import Agent, App, Approval, Context, File, Runtime, ScriptedModel, StepFailed, tool, workflow
from onward.core.model import ModelRequest
from onward.core.record import prompt
from onward.core.state import State
from onward.errors import BadInput
from onward.runtime.rerun import rerun

LOOK: dict[str, Any] = {"calls": [{"tool": "look", "arguments": {"order": "7"}}]}
PAY: dict[str, Any] = {
    "calls": [{"tool": "pay", "arguments": {"amount": 9}}, {"tool": "look", "arguments": {"order": "8"}}]
}
made: list[str] = []
asked: list[int] = []


@tool(effect="read")
async def look(order: str) -> str:
    """Look."""
    made.append(f"looked {order}")
    return f"seen {order}"


@tool(effect="irreversible", approval=Approval())
async def pay(amount: int) -> str:
    """Pay."""
    made.append(f"paid {amount}")
    return f"paid {amount}"


def heard(request: ModelRequest) -> list[Any]:
    """What was said to the model."""
    return [entry.value for entry in request.transcript if entry.kind == "input"]


def model(last: Callable[[ModelRequest], dict[str, Any]] | None = None) -> ScriptedModel:
    def said(request: ModelRequest) -> dict[str, Any]:
        asked.append(len(request.transcript))
        return {"text": f"heard {heard(request)}"}

    return ScriptedModel([LOOK, PAY, last or said, said, said])


def shop(model: ScriptedModel, conversation: bool = True) -> App:
    return App(programs=[Agent("shop", model=model, tools=[look, pay], conversation=conversation)])


def spoken(state: State) -> str:
    """What was said; results of one turn may stand in another order."""
    return prompt(state.transcript)


@pytest.fixture
def db(tmp_path: Path) -> Path:
    made.clear()
    asked.clear()
    return tmp_path / "onward.db"


async def recorded(runtime: Runtime) -> State:
    """A session that is told something at its start, in the middle of a turn, and when it rests."""
    await runtime.start("shop", "one", id="s")
    await runtime.wait("s")  # for the approval
    await runtime.send("s", "two")
    await runtime.decide("s", "approved")
    await runtime.wait("s")
    await runtime.send("s", "three")
    await runtime.wait("s")
    return await runtime.state("s")


def played(db: Path, app: App, then: Callable[[Runtime, State], Awaitable[None]]) -> None:
    async def main() -> None:
        async with Runtime(app, db, identity="ann") as runtime:
            await then(runtime, await recorded(runtime))

    asyncio.run(main())


def test_a_rerun_is_told_each_input_where_the_recorded_session_was(db: Path) -> None:
    async def then(runtime: Runtime, before: State) -> None:
        done, models = list(made), list(asked)
        head = await rerun(runtime, "s", branch="again", effects="recorded")
        after = await runtime.state("again")
        assert (head.status, spoken(after)) == ("waiting", spoken(before))
        assert (made, asked) == (done, models), "nothing is performed, and no model asked"

    played(db, shop(model()), then)


def test_a_rerun_from_any_event_comes_to_the_same(db: Path) -> None:
    async def then(runtime: Runtime, before: State) -> None:
        for at in range(1, before.seq + 1):
            await rerun(runtime, "s", branch=f"from-{at}", effects="recorded", at=at)
            assert spoken(await runtime.state(f"from-{at}")) == spoken(before), at

    played(db, shop(model()), then)


def test_live_models_are_asked_and_calls_are_not_made(db: Path) -> None:
    async def then(runtime: Runtime, before: State) -> None:
        done, models = list(made), len(asked)
        await rerun(runtime, "s", branch="again")
        assert spoken(await runtime.state("again")) == spoken(before)
        assert made == done
        assert len(asked) == 2 * models

    played(db, shop(model()), then)


def test_inputs_that_never_come_due_are_given_at_rest(db: Path) -> None:
    async def main() -> None:
        async with Runtime(shop(model()), db, identity="ann") as runtime:
            await recorded(runtime)
        short = ScriptedModel(lambda request: {"text": f"only {heard(request)}"})
        async with Runtime(shop(short), db, identity="ann") as runtime:
            await rerun(runtime, "s", branch="again")
            said = [
                entry.value["text"] for entry in (await runtime.state("again")).transcript if entry.kind == "answer"
            ]
            assert said == ["only ['one']", "only ['one', 'two']", "only ['one', 'two', 'three']"]

    asyncio.run(main())


def test_a_rerun_that_ends_early_is_told_no_more(db: Path) -> None:
    async def main() -> None:
        async with Runtime(shop(model()), db, identity="ann") as runtime:
            await recorded(runtime)
        short = ScriptedModel([{"text": "done"}])
        async with Runtime(shop(short, conversation=False), db, identity="ann") as runtime:
            head = await rerun(runtime, "s", branch="again")
            assert head.status == "completed"

    asyncio.run(main())


def test_a_rerun_goes_on_where_it_was(db: Path) -> None:
    async def then(runtime: Runtime, before: State) -> None:
        head = await rerun(runtime, "s", branch="again", effects="recorded")
        assert (await rerun(runtime, "s", branch="again", effects="recorded")).hash == head.hash
        await rerun(runtime, "again", branch="of-the-branch", effects="recorded")
        assert spoken(await runtime.state("of-the-branch")) == spoken(before)

    played(db, shop(model()), then)


@workflow
async def ordered(ctx: Context) -> list[Any]:
    """Whether it was told to stop before it had done all, and what it was told last."""
    stop, seen = asyncio.ensure_future(ctx.signal("stop")), list[bool]()
    for order in ("7", "8", "9"):
        await ctx.step(look, order=order)
        seen.append(stop.done())
    return [seen, await stop, await ctx.input(str)]


def test_a_workflow_is_told_again_by_the_same_names_where_it_was(db: Path) -> None:
    async def main() -> None:
        async with Runtime(App(programs=[ordered]), db, identity="ann") as runtime:
            await runtime.start("ordered", id="s")
            await runtime.wait("s")
            await runtime.send("s", "early")
            await runtime.send("s", "now", name="stop")
            await runtime.wait("s", ended=True)
            done = list(made)
            head = await rerun(runtime, "s", branch="again", effects="recorded")
            assert (head.status, made) == ("completed", done)
            told = [await runtime.state(id) for id in ("s", "again")]
            assert [state.output for state in told] == [[[False] * 3, "now", "early"]] * 2

    asyncio.run(main())


@pytest.mark.parametrize("effects", ["recorded", "blocked"])
def test_a_workflow_that_is_run_again_from_its_middle_is_told_the_rest(db: Path, effects: Any) -> None:
    async def main() -> None:
        async with Runtime(App(programs=[listening]), db, identity="ann") as runtime:
            await runtime.start("listening", id="s")
            for name in ("a", "b", "c"):
                await runtime.wait("s")
                await runtime.send("s", f"word of {name}", name=name)
            done = await runtime.wait("s", ended=True)
            first, *_ = [event.seq async for event in runtime.events("s") if event.kind == "input_received"]
            for at in (first, first + 1, done.seq - 1):
                head = await rerun(runtime, "s", branch=f"again-{at}", effects=effects, at=at)
                assert head.status == "completed", at
                told = [(await runtime.state(id)).output for id in ("s", head.id)]
                assert told[1][0] == told[0][0] == [f"word of {name}" for name in ("a", "b", "c")]
                assert effects == "blocked" or told[1] == told[0]
            assert len(made) == 3

    asyncio.run(main())


@workflow
async def listening(ctx: Context) -> list[Any]:
    """What it is told one after another, and what was looked at meanwhile."""

    async def seen(order: str) -> str:
        try:
            return await ctx.step(look, order=order)
        except StepFailed as exc:
            return exc.code

    looks = [asyncio.ensure_future(seen(order)) for order in ("7", "8", "9")]
    told = [await ctx.signal(name, str) for name in ("a", "b", "c")]
    return [told, await asyncio.gather(*looks)]


def test_files_of_inputs_are_there_again(db: Path) -> None:
    async def main() -> None:
        shown: list[Any] = []

        def sees(request: ModelRequest) -> dict[str, Any]:
            shown.append([entry.value for entry in request.transcript if entry.kind == "input"])
            return {"text": "seen"}

        async with Runtime(shop(ScriptedModel(sees)), db, identity="ann") as runtime:
            await runtime.start("shop", "one", id="s")
            await runtime.wait("s")
            await runtime.send("s", {"picture": File.named("a.png", b"picture")})
            await runtime.wait("s")
            await rerun(runtime, "s", branch="again")
            assert shown[2:] == shown[:2]
            assert "data" in shown[3][1]["picture"]["$file"]

    asyncio.run(main())


def test_erased_inputs_and_a_runtime_without_the_application_are_refused(db: Path) -> None:
    async def then(runtime: Runtime, before: State) -> None:
        (seq, *_) = [event.seq async for event in runtime.events("s") if event.kind == "input_received"]
        await runtime.erase("s", seq, "content", reason="asked for")
        with pytest.raises(BadInput, match=f"input of event {seq} was erased"):
            await rerun(runtime, "s", branch="again")
        async with Runtime(db=db, create=False) as idle:
            with pytest.raises(BadInput, match="give the runtime an App"):
                await rerun(idle, "s", branch="again")

    played(db, shop(model()), then)
