"""Playing a session: what tests call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypedDict, TypeVar, Unpack, overload

from onward.core.durations import Span, seconds
from onward.core.model import Model
from onward.core.program import Program
from onward.errors import BadInput
from onward.programs.app import App
from onward.programs.steps import plain
from onward.programs.workflow import Workflow
from onward.testing.plays.crashing import Same, crash_everywhere, crash_once
from onward.testing.plays.people import Script
from onward.testing.plays.script import Answer, Answers, Outcome, Signal
from onward.testing.plays.world import Played, Plot, play_once

R = TypeVar("R")
Crashes = Literal["everywhere"] | int
"""At every boundary, each in a play of its own; or behind this call alone, as a report of those counts them."""


class Options(TypedDict, total=False):
    """How a session is played.

    signals        what people send, and what operators do
    approvals      how questions are decided: each alike, one after the other, by name, or by a function of a Question
    outcomes       what became of calls whose outcome nobody knows, or that go on outside, given likewise
    steps          what stands in for steps, undos and tools, by their function, tool or name: a function is called with
                   as many of the arguments as it takes, an exception is raised, anything else is the result
    model          what all agents ask
    app            the application, if the session needs more than the program names: resources, other programs
    always_replay  check mode (`Workflow.apart`), which is on unless it is turned off: a play of thousands of steps
                   takes minutes in it
    crashes        where processes die; wherever it is, the play must come to the same
    same           what of it must: its output, error and effects, if nothing is said
    before         is called before each play: it sets back what stand-ins have kept
    within         the most virtual time that passes
    """

    signals: Sequence[Signal]
    approvals: Answers[Answer]
    outcomes: Answers[Outcome]
    steps: Mapping[Any, Any]
    model: Model | None
    app: App | None
    always_replay: bool
    crashes: Crashes | None
    same: Same | None
    before: Callable[[], Any] | None
    within: Span


@overload
def play(program: Workflow[Any, R], input: Any = None, **options: Unpack[Options]) -> Played[R]: ...
@overload
def play(program: Program, input: Any = None, **options: Unpack[Options]) -> Played[Any]: ...
def play(program: Any, input: Any = None, **options: Unpack[Options]) -> Played[Any]:
    """Play a session of this program: start it, let time pass, and do what the options say (see Options), until it has
    ended, or waits for what nobody will do.

    Raises AssertionError for a workflow that is not repeatable, or that crashes make another thing of; BadInput for an
    input or an answer that does not fit.
    """
    if _in_a_loop():
        raise BadInput("play: this test is a coroutine; write: await play_async(...)")
    return asyncio.run(play_async(program, input, **options))


def _in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


@overload
async def play_async(program: Workflow[Any, R], input: Any = None, **options: Unpack[Options]) -> Played[R]: ...
@overload
async def play_async(program: Program, input: Any = None, **options: Unpack[Options]) -> Played[Any]: ...
async def play_async(program: Any, input: Any = None, **options: Unpack[Options]) -> Played[Any]:
    """The same, for a test that is a coroutine."""
    plot, crashes = _plot(program, input, options), _crashes(options.get("crashes"))
    if isinstance(crashes, int):
        return await crash_once(plot, crashes)
    run = await play_once(plot, checked=options.get("always_replay", True))
    if crashes is not None:
        await crash_everywhere(plot, run, options.get("same"))
    return run


def _crashes(crashes: Any) -> Crashes | None:
    if crashes in (None, "everywhere") or (isinstance(crashes, int) and not isinstance(crashes, bool) and crashes > 0):
        return crashes  # type: ignore[no-any-return]
    raise BadInput(f"crashes: {crashes!r} is neither 'everywhere' nor the number of a call")


def _plot(program: Any, input: Any, options: Options) -> Plot:
    unknown = [name for name in options if name not in Options.__annotations__]
    if unknown:
        raise BadInput(f"play: there is no option {unknown[0]!r}; there are {', '.join(Options.__annotations__)}")
    app, model = options.get("app") or App([program]), options.get("model")
    found = app.program(program.name, program.version)
    if found is None:
        raise BadInput(f"app: it has no {program.name} of version {program.version}")
    script = Script(options.get("signals", ()), options.get("approvals"), options.get("outcomes"))
    return Plot(
        app if model is None else app.with_model(model),
        found,
        plain(input, "input"),
        script,
        options.get("steps", {}),
        seconds(options.get("within", "400d"), "within"),
        options.get("before") or _nothing,
    )


def _nothing() -> None:
    return None
