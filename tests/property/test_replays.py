"""Random sessions replay the same; so do branches of them, and their first events, wherever they are cut."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any, Literal

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from onward import (
    Agent,
    App,
    Approval,
    Compaction,
    Done,
    Limits,
    NotDone,
    NotPerformed,
    Pending,
    Retry,
    ScriptedModel,
    Unknown,
    tool,
)
from onward.core import events as ev
from onward.core.divergence import Divergence, Same
from onward.core.ids import session_key
from onward.core.model import ModelRequest
from onward.core.recording import Recording
from onward.core.replaying import replay
from onward.core.state import changed
from onward.engine.fork import Fork
from onward.errors import UsageError
from onward.ports import Query
from tests.faults.matrix import quiet
from tests.unit.play import ANN, BEN, OPERATOR, Play

Way = Literal["well", "fails", "not", "raises"]
QUICK = Retry(attempts=3, first=1.0, longest=2.0)


def _comes(way: Way) -> str:
    if way == "not":
        raise NotPerformed("it was not done")
    if way != "well":
        raise RuntimeError(way)
    return way


@tool(effect="read", retry=QUICK)
async def look(way: Way) -> str:
    """Look."""
    return _comes(way)


@tool(effect="irreversible", approval=Approval(when=lambda args: args.much, timeout="1h", remind="10m"))
async def pay(way: Way, much: bool) -> str:
    """Pay."""
    return _comes(way)


@tool(effect="compensatable", undo=look, approval=Approval(people=2, timeout="1h"))
async def order(way: Way) -> str:
    """Order."""
    return _comes(way)


@order.reconcile
async def ordered(way: Way) -> Done[str] | NotDone | Unknown:
    return {"fails": Done("after all"), "raises": NotDone()}.get(way, Unknown("nobody knows"))  # type: ignore[arg-type]


@tool(effect="idempotent", approval=Approval(when=lambda args: args.way == "well", timeout="1h", on_timeout="approve"))
async def ship(way: Way) -> Pending:
    """Ship."""
    _comes(way)
    return Pending(timeout="2h")


def _boss(turns: list[Any], options: dict[str, Any]) -> App:
    short = Agent("short", model=ScriptedModel([{"text": "well"}]))
    other = Agent("other", model=ScriptedModel(lambda request: {"text": "taken over"}), conversation=True)

    def says(request: ModelRequest) -> Any:
        """The next turn; what was summed up is not begun again."""
        said = [entry.kind for entry in request.transcript]
        return (
            {"text": "well"} if "summary" in said else [*turns, {"text": "well"}][min(said.count("answer"), len(turns))]
        )

    model = ScriptedModel(says)
    tools = [look, pay, order, ship, short]
    return App(programs=[Agent("boss", model=model, tools=tools, handovers=[other], version="1", **options)])


def _call(name: str, way: str) -> dict[str, Any]:
    return {"tool": name, "arguments": {"way": way}}


def _pay(way: str, much: bool) -> dict[str, Any]:
    return {"tool": "pay", "arguments": {"way": way, "much": much}}


def _turn(calls: list[Any], fails: list[Any]) -> dict[str, Any]:
    return {"calls": calls, "fails": fails} | ({} if calls else {"text": "so"})


ways = st.sampled_from(["well", "well", "fails", "not", "raises", "odd"])
calls = st.one_of(
    st.builds(_call, st.sampled_from(["look", "order", "ship"]), ways),
    st.builds(_pay, ways, st.booleans()),
    st.sampled_from(
        [
            {"tool": "short", "arguments": {"input": "do it"}},
            {"tool": "nothing", "arguments": {}},
            {"tool": "transfer_to_other", "arguments": {}},
        ]
    ),
)  # fmt: skip
faults = st.lists(st.sampled_from([{"code": "unavailable"}, {"code": "bad_answer"}]), max_size=2)
turns = st.lists(
    st.builds(_turn, st.lists(calls, max_size=3), faults),
    max_size=4,
)
agents = st.fixed_dictionaries(
    {
        "conversation": st.booleans(),
        "on_input": st.sampled_from(["enqueue", "interrupt", "reject"]),
        "compaction": st.sampled_from(
            [None, Compaction(at=20, keep=1, by=lambda entries: f"{len(entries)} entries"), Compaction(at=40)]
        ),
        "limits": st.sampled_from([None, Limits(turns=4), Limits(calls=2), Limits(tokens=30_000)]),
    }
)
acts = st.lists(
    st.tuples(
        st.sampled_from(
            ["send", "approve", "approve", "edit", "reject", "respond", "delegate", "skip", "outcome", "pause",
             "resume", "resume", "later", "cancel", "finish"]
        ),
        st.integers(0, 6),
    ),
    max_size=8,
)  # fmt: skip


async def _act(play: Play, act: str, steps: int) -> None:
    """Something that somebody does, after so many more steps of the session."""
    for _ in range(steps):
        await play.runner.deliver()
    with suppress(UsageError, IndexError):
        await _do(play, act)


async def _do(play: Play, act: str) -> None:
    state = await play.state()
    open = list(state.calls.values())
    if act in ("approve", "reject", "respond", "edit", "delegate"):
        for call in [call for call in open if call.status == "asked"][:1]:
            await _decide(play, act, call)
    elif act in ("skip", "outcome"):
        body = {"call": open[0].id, "result": "said"} | ({} if act == "skip" else {"status": "done"})
        await play.signal(act, body, OPERATOR, settle=False)
    elif act == "send":
        await play.send("more", settle=False)
    elif act == "later":
        play.runner.clock.advance(timedelta(hours=1).total_seconds())
    else:
        await play.signal(act, {"reason": "so"}, OPERATOR, settle=False)


async def _decide(play: Play, act: str, call: Any) -> None:
    verdict = {"approve": "approved", "edit": "approved", "reject": "rejected", "respond": "responded"}.get(act)
    body: dict[str, Any] = {"call": call.id, "verdict": verdict or "delegated", "digest": call.digest}
    body |= {"to": "ben@x"} if act == "delegate" else {"result": "said"} if act == "respond" else {}
    body |= {"arguments": {**call.arguments, "way": "fails"}} if act == "edit" else {}
    by = BEN if call.approved_by else ANN
    await play.signal("decision", body, by, settle=False)


async def recordings(play: Play) -> list[Recording]:
    heads = await play.runner.backend.store.list(Query())
    return [await play.runner.parts.loader.recording(head) for head in heads]


def complaints(recording: Recording, app: App, rests: bool = True) -> str:
    verdict = replay(recording, app.programs, rests=rests)
    return "" if isinstance(verdict, Same) else f"{recording.started.session}: {verdict.line}"


async def played(turns: list[Any], options: dict[str, Any], acts: list[tuple[str, int]]) -> tuple[Play, App]:
    app = _boss(turns, options)
    play = Play(app=app)
    await play.start(settle=False)
    for act, steps in acts:
        await _act(play, act, steps)
    await play.runner.finish(24 * 3600.0)
    return play, app


@settings(max_examples=40, deadline=None)
@given(turns, agents, acts)
def test_random_sessions_replay_the_same(
    turns: list[Any], options: dict[str, Any], acts: list[tuple[str, int]]
) -> None:
    async def main() -> None:
        play, app = await played(turns, options, acts)
        for recording in await recordings(play):
            assert complaints(recording, app) == ""

    with quiet():
        asyncio.run(main())


@settings(max_examples=15, deadline=None)
@given(turns, agents, acts, st.data())
def test_cut_sessions_and_branches_replay_the_same(
    turns: list[Any], options: dict[str, Any], acts: list[tuple[str, int]], data: st.DataObject
) -> None:
    async def main() -> None:
        play, app = await played(turns, options, acts)
        head = await play.runner.backend.store.read(session_key("default", "s"))
        recording = await play.runner.parts.loader.recording(head)
        for number in {data.draw(st.integers(1, len(recording.commits))) for _ in range(3)} - {len(recording.commits)}:
            cut = recording.commits[number] - 1
            part = replace(recording, events=recording.events[:cut], commits=recording.commits[:number])
            assert complaints(part, app, rests=False) == ""
        at = data.draw(st.integers(1, head.seq))
        effects = data.draw(st.sampled_from(["recorded", "live-model", "blocked", "live"]))
        await play.runner.parts.forker.fork(Fork(session="s", id="b", at=at, effects=effects), ANN)
        await play.runner.finish(24 * 3600.0)
        for each in await recordings(play):
            assert complaints(each, app) == ""

    with quiet():
        asyncio.run(main())


def _another(body: ev.Body) -> ev.Body | None:
    """What might have been decided instead; None for what nobody's program decides."""
    if isinstance(body, ev.CallsProposed) and body.calls:
        return changed(body, calls=[changed(body.calls[0], rule="another"), *body.calls[1:]])
    if isinstance(body, ev.ApprovalRequested):
        return changed(body, rule="another")
    if isinstance(body, ev.ModelAnswered | ev.ModelFailed):
        return changed(body, model="another")
    if isinstance(body, ev.ChildStarted):
        return changed(body, program="another")
    return changed(body, output="another") if isinstance(body, ev.SessionCompleted) and not body.signal else None


@settings(max_examples=25, deadline=None)
@given(turns, agents, acts, st.data())
def test_whatever_was_decided_otherwise_is_found_at_that_event(
    turns: list[Any], options: dict[str, Any], acts: list[tuple[str, int]], data: st.DataObject
) -> None:
    async def main() -> tuple[Recording, App]:
        play, app = await played(turns, options, acts)
        return await play.runner.parts.loader.recording(await play.head()), app

    with quiet():
        recording, app = asyncio.run(main())
    others = {event.seq: body for event in recording.events if (body := _another(event.body)) is not None}
    assume(others)
    seq = data.draw(st.sampled_from(sorted(others)))
    event = changed(recording.events[seq - 1], body=others[seq])
    events = (*recording.events[: seq - 1], event, *recording.events[seq:])
    verdict = replay(replace(recording, events=events), app.programs, rests=True)
    assert isinstance(verdict, Divergence)
    assert verdict.seq == seq
