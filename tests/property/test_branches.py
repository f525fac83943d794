"""A branch that is answered from its parent's record goes its parent's way, wherever it left, and performs nothing."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from onward.core.events import Event
from onward.core.fold import fold
from onward.core.ids import session_key
from onward.core.state import State
from onward.errors import OnwardError
from tests.property.branching import Line, World, history, in_order, inputs_after, run_on, state_at_is_the_fold
from tests.property.test_fuzzed_model import Result, act, actions, application, sessions, turns
from tests.unit.play import OPERATOR, Play

OPTIONS = st.fixed_dictionaries(
    {
        "output_type": st.sampled_from([None, Result]),
        "output_retries": st.integers(0, 2),
        "conversation": st.booleans(),
        "on_input": st.sampled_from(["enqueue", "interrupt", "reject"]),
        "by": st.sampled_from([None, lambda entries: len(entries)]),
        "tokens": st.sampled_from([None, 60_000]),
    }
)
PERFORMED = ("call_started", "call_pending", "child_started", "approval_requested", "call_in_doubt")
places = st.floats(0, 1)


async def played(says: list[Any], options: dict[str, Any], interference: list[tuple[str, int]]) -> World:
    """A session that people interfered with, some time later."""
    play = Play(app=application(says, options))
    await play.start(settle=False)
    for action, steps in interference:
        for _ in range(steps):
            await play.runner.deliver()
        with suppress(OnwardError):  # refused: it can't be done now
            await act(play, action)
    await play.pass_time(86400 * 3)
    return World(play)


async def follows(world: World, id: str, at: int, branch: str) -> None:
    """The branch goes its parent's way as far as that goes, and only then its own."""
    before, events = await world.untouched(id), await world.recording(id)
    at = await world.fork(id, at, branch)
    open_ended = before_it_closed(events, at)
    expected = history(open_ended, at)
    lines = await run_on(world, branch, expected, inputs_after(events, at))
    assert await world.untouched(id) == before
    await in_order(world.play, branch)
    alike(expected, lines, still_open=bool(fold(State(), open_ended).calls))
    performs_nothing(await world.recording(branch), len(expected))
    if events[-1].kind == "session_completed" and events[-1].body.signal is None:
        state, parent = await world.play.state(branch), await world.play.state(id)
        assert (state.ended, lines) == ("completed", expected)
        assert state.output == parent.output or "$blob" in str(parent.output)


def before_it_closed(events: list[Event], at: int) -> list[Event]:
    """What was refused because a session is to end is no outcome: its branches do not end with it."""
    closing = (event.seq for event in events if event.kind == "closing_began")
    return events[: max(at, next(closing, len(events) + 1) - 1)]


def alike(expected: list[Line], lines: list[Line], still_open: bool) -> None:
    """The one begins with the other; behind the last answer there may be results that its parent still waits for."""
    shorter = min(len(expected), len(lines))
    if still_open:
        while shorter and expected[shorter - 1][0] == "result":
            shorter -= 1
        assert set(expected[shorter:]) <= set(lines[shorter:])
    other = next((at for at in range(shorter) if lines[at] != expected[at]), None)
    assert other is None, f"entry {other} is {lines[other or 0]}, and its parent has {expected[other or 0]}"
    assert len(lines) >= len(expected)


def performs_nothing(events: list[Event], recorded: int) -> None:
    """No call is performed, nobody is asked, and no model before the record ends."""
    assert not [event for event in events if event.kind in PERFORMED]
    made = [event for event in events if event.kind in ("call_completed", "call_failed")]
    assert all(event.body.by in ("record", "skip") for event in made)
    asked = [at for at, event in enumerate(events) if is_turn(event) and not event.body.record]
    assert not asked or len(history(events[: asked[0]])) >= recorded, f"asked at event {asked[0] + 1}"


def is_turn(event: Event) -> bool:
    compacted = event.kind == "transcript_compacted" and event.body.model is not None
    return compacted or event.kind in ("model_answered", "model_failed")


async def erased(world: World, id: str, place: float) -> None:
    """Something that was said is gone for good."""
    events = await world.recording(id)
    fields = [(event.seq, name) for event in events for name in event.body.private if getattr(event.body, name)]
    seq, name = fields[int(place * (len(fields) - 1))]
    await world.play.runner.parts.eraser.erase(session_key("default", id), seq, name, OPERATOR, "asked to")
    await world.play.settle()


def unhurried(options: dict[str, Any]) -> dict[str, Any]:
    """A rule makes a transcript shorter in the very step in which results came: what interrupts can't be said then."""
    return options if options["on_input"] != "interrupt" else {**options, "by": None}


async def branched(world: World, where: list[float], which: float) -> None:
    ids = await sessions(world.play)
    id = ids[int(which * (len(ids) - 1))]
    for number, place in enumerate(where):
        head = await world.play.head(id)
        at = 1 + int(place * (head.seq - 1))
        await state_at_is_the_fold(world.play, id, at)
        await follows(world, id, at, f"{id}-{number}")
        id = f"{id}-{number}" if number % 2 else id


@settings(
    max_examples=settings().max_examples // 12,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # a session takes a while: shrinking one takes for ever
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    turns, OPTIONS, st.lists(st.tuples(actions, st.integers(0, 6)), max_size=6), st.lists(places, min_size=4), places
)
def test_g14_a_branch_goes_its_parents_way(
    says: list[Any], options: dict[str, Any], interference: list[tuple[str, int]], where: list[float], which: float
) -> None:
    async def whole() -> None:
        await branched(await played(says, unhurried(dict(options)), interference), where, which)

    asyncio.run(whole())


@settings(
    max_examples=settings().max_examples // 12,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow],
)
@given(turns, OPTIONS, st.lists(st.tuples(actions, st.integers(0, 6)), max_size=6), places, places)
def test_g14_a_branch_of_what_was_erased_in_part_performs_nothing(
    says: list[Any], options: dict[str, Any], interference: list[tuple[str, int]], what: float, where: float
) -> None:
    """What is gone is no answer: its calls are blocked, and its prompts go to a model."""

    async def whole() -> None:
        world = await played(says, unhurried(dict(options)), interference)
        await erased(world, "s", what)
        at = await world.fork("s", 1 + int(where * ((await world.play.head("s")).seq - 1)), "b")
        await state_at_is_the_fold(world.play, "s", at)
        await world.play.pass_time(3600)
        await in_order(world.play, "b")
        assert not [event for event in await world.recording("b") if event.kind in PERFORMED]

    asyncio.run(whole())
