"""Whatever a model says, and whoever interferes, a session ends, rests or parks, and its log is in order."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typing_extensions import TypedDict

from onward import Agent, App, Approval, Compaction, Limits, Pending, Route, sleep, tool
from onward.core.events import Usage
from onward.core.model import ModelAnswer, ModelCall, ModelRequest
from onward.errors import (
    BadAnswer,
    ModelBlocked,
    ModelRefused,
    ModelUnavailable,
    OnwardError,
    PromptTooLong,
    RateLimited,
)
from tests.unit.play import ANN, BEN, OPERATOR, Play, shown

MOST_STEPS = 2000
FINAL = ModelAnswer(text='{"number": 1}')
ERRORS = [
    ModelUnavailable("away", 3.0),
    RateLimited("slow down"),
    BadAnswer("empty", 7),
    ModelRefused("no"),
    ModelBlocked("unsafe"),
    PromptTooLong("too long"),
    RuntimeError("a bug \ud800"),
    TimeoutError(),
    KeyError("x" * 5000),
]


class Result(TypedDict):
    number: int


@tool(effect="read")
async def look(order: str, deep: dict[str, list[int]] | None = None) -> dict[str, Any]:
    """Look."""
    if order == "raise":
        raise RuntimeError(order)
    return {"order": order, "deep": deep}


@tool(effect="irreversible", approval=Approval(when=lambda args: args.amount > 5, people=2, timeout="2h", remind="1h"))
async def pay(amount: float, note: str = "") -> str:
    """Pay."""
    if note == "raise":
        raise RuntimeError("lost")
    return f"paid {amount}"


@tool(effect="idempotent")
async def ship(order: str) -> Pending:
    """Ship."""
    return Pending(timeout="1d")


# --- what a model may say --------------------------------------------------------------------------------------

nested = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("\ud83d"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
deep: Any = "end"
for _ in range(150):
    deep = [deep]
LONG = {"<long>": "x" * 70_000, "<longer>": "y" * 600_000, "<long json>": '{"number": 3, "z": "' + "z" * 90_000 + '"}'}
"""What stands for long texts in examples, so that they can be read."""

NAMES = ["look", "pay", "ship", "sleep", "helper", "transfer_to_other", "transfer_to_front", "lok", "", "\ud800"]
sensible = st.sampled_from(
    [
        ModelCall("look", {"order": "A1"}),
        ModelCall("look", {"order": "raise"}),
        ModelCall("look", {"order": "<long>"}),
        ModelCall("look", {"order": "A1", "deep": {"x": [1, 2]}}),
        ModelCall("pay", {"amount": 3}),
        ModelCall("pay", {"amount": 2, "note": "raise"}),
        ModelCall("pay", {"amount": 90}),
        ModelCall("pay", {"amount": 99, "note": "<long>"}),
        ModelCall("ship", {"order": "A1"}),
        ModelCall("sleep", {"wait": "2h"}),
        ModelCall("sleep", {"wait": "2020-01-01T00:00:00Z"}),
        ModelCall("helper", {"input": "help"}),
        ModelCall("helper", {"input": "<longer>"}),
        ModelCall("transfer_to_other", {}),
        ModelCall("transfer_to_front", {"reason": "back"}),
    ]
)
small = sensible.filter(lambda call: not LONG.keys() & {str(value) for value in call.arguments.values()})
wild = st.builds(ModelCall, st.sampled_from(NAMES), nested | st.just(deep))
calls = sensible | sensible | sensible | wild
texts = st.sampled_from(
    ["", "done", '{"number": 1}', '```json\n{"number": 2}\n```', '{"number": "1"}', "\udfff", *LONG]
)
answers = st.builds(
    ModelAnswer,
    text=texts,
    calls=st.lists(calls, max_size=4).map(tuple) | small.map(lambda call: (call,) * 40),
    usage=st.builds(Usage, input_tokens=st.integers(0, 4000), output_tokens=st.integers(0, 50)),
    content=st.none() | st.none() | nested,
)
working = st.builds(ModelAnswer, text=texts, calls=st.lists(sensible, min_size=1, max_size=3).map(tuple))
said = st.one_of(working, working, answers, st.sampled_from(ERRORS))
turns = st.lists(said, min_size=3, max_size=12)
ACTIONS = """input, input, long input, approve, reject, edit, edit wrong, respond, delegate, pause, resume, wait,
restart, finish, cancel"""
actions = st.sampled_from(ACTIONS.replace("\n", " ").split(", "))


class Fuzzed:
    """Says what it was given to say, one thing after the other, and at last what ends everything."""

    def __init__(self, name: str, says: Iterator[Any]) -> None:
        self.name = name
        self._says = says

    async def answer(self, request: ModelRequest) -> ModelAnswer:
        shown(request.transcript)
        said = next(self._says, FINAL)
        if isinstance(said, Exception):
            raise said
        return replace(said, text=LONG.get(said.text, said.text), calls=tuple(map(written, said.calls)))


def written(call: ModelCall) -> ModelCall:
    """The call with its long texts in it."""
    if not isinstance(call.arguments, dict):
        return call
    return ModelCall(call.name, {name: LONG.get(str(value), value) for name, value in call.arguments.items()})


def application(says: list[Any], options: dict[str, Any]) -> App:
    """A front desk with everything: fallback, tools, a helper, another agent to hand over to, compaction."""
    stream = iter(says)
    small, large = Fuzzed("small", stream), Fuzzed("large", stream)
    limits = Limits(turns=40, tokens=options.pop("tokens"))
    compaction = Compaction(at=3000, keep=1, by=options.pop("by"))
    helper = Agent("helper", model=large, tools=[pay, sleep], limits=limits)
    common = {"limits": limits, "compaction": compaction, "tools": [look, pay, ship, sleep, helper]}
    models = [Route(small, when=lambda turn: turn.number % 2 == 1), large]
    front: Agent = Agent("front", model=models, handovers=lambda: [other], **common, **options)
    other: Agent = Agent("other", model=large, handovers=lambda: [front], **common)
    return App(programs=[front])


async def act(play: Play, action: str) -> None:
    """Somebody interferes, if it can be done now."""
    if action in ("input", "long input"):
        await play.send("more" if action == "input" else "m" * 80_000, settle=False)
    elif action in ("pause", "resume", "cancel", "finish"):
        await play.signal(action, {"reason": "x"}, OPERATOR, settle=False)
    elif action == "wait":
        await play.pass_time(3600)
    elif action == "restart":
        play.runner.parts = play.runner.process(play.app)
    else:
        await decide(play, action)


async def decide(play: Play, action: str) -> None:
    for id in [id for id in await sessions(play) if (await play.head(id)).status == "waiting"]:
        if not any(call.status == "asked" for call in (await play.state(id)).calls.values()):
            continue
        if action == "edit":
            await play.decide("approved", BEN, id=id, arguments={"amount": 7, "note": "edited"})
        elif action == "edit wrong":
            await play.decide("approved", ANN, id=id, arguments={"amount": "7"})
        elif action == "respond":
            await play.decide("responded", ANN, id=id, result={"by": "hand"})
        elif action == "delegate":
            await play.decide("delegated", ANN, id=id, to="ben@x")
        elif action == "approve too":
            await play.decide("approved", BEN, id=id)
        else:
            verdict = "approved" if action == "approve" else "rejected"
            await play.decide(verdict, ANN, id=id)
    if action == "approve":
        await decide(play, "approve too")


async def sessions(play: Play) -> list[str]:
    """The session and its children."""
    found = ["s"]
    for id in found:
        found += [body.session for body in await play.bodies("child_started", id)]
    return found


async def played(says: list[Any], options: dict[str, Any], interference: list[tuple[str, int]]) -> None:
    play = Play(app=application(says, options))
    play.most = MOST_STEPS
    await play.start(settle=False)
    for action, steps in interference:
        for _ in range(steps):
            await play.runner.deliver()
        with suppress(OnwardError):  # refused: it can't be done now
            await act(play, action)
    await play.pass_time(86400 * 3)
    for id in await sessions(play):
        state = await play.check(id)
        head = await play.head(id)
        assert head.status != "running", (id, head.status, state.parked)
        assert head.status != "waiting" or head.waits, state


@settings(max_examples=settings().max_examples * 3 // 2, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    turns,
    st.fixed_dictionaries(
        {
            "output_type": st.sampled_from([None, Result]),
            "output_retries": st.integers(0, 2),
            "conversation": st.booleans(),
            "on_input": st.sampled_from(["enqueue", "interrupt", "reject"]),
            "by": st.sampled_from([None, lambda entries: len(entries), lambda entries: 1 / 0]),
            "tokens": st.sampled_from([None, 60_000]),
        }
    ),
    st.lists(st.tuples(actions, st.integers(0, 6)), min_size=2, max_size=8),
)
def test_whatever_a_model_says_the_session_ends_rests_or_parks(
    says: list[Any], options: dict[str, Any], interference: list[tuple[str, int]]
) -> None:
    asyncio.run(played(says, dict(options), interference))
