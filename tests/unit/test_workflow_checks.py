"""Check mode: bodies that a replay would not run in the same way. And what is said of a workflow as it is declared."""

from __future__ import annotations

import itertools
import random
import time
from pathlib import Path
from typing import Any

import pytest

from onward import Agent, App, Context, ScriptedModel, WorkflowCaution, workflow
from onward.testing.runner import Runner
from tests.unit.flows import Flow

CHANCE = random.Random(1)


async def double(number: int) -> int:
    return 2 * number


async def doubled(ctx: Context, number: int) -> int:
    for _ in range(3):
        number = await ctx.step(double, number, effect="read")
        await ctx.sleep("1h")
    return number


class Checked(Flow):
    """A flow in check mode."""

    def __init__(self, *programs: Any) -> None:
        super().__init__(*programs, runner=None)
        self.app = self.app.in_check_mode()
        self.runner = Runner(self.app)


async def test_each_decision_is_made_by_a_run_from_the_beginning() -> None:
    begun = itertools.count()

    @workflow
    async def flow(ctx: Context, number: int) -> int:
        next(begun)
        return await doubled(ctx, number)

    flow_checked = Checked(flow)
    await flow_checked.start(2)
    state = await flow_checked.finish()
    decisions = next(begun)
    assert state.output == 16
    plain = Flow(flow)
    await plain.start(2)
    assert (await plain.finish()).output == 16
    assert next(begun) - decisions - 1 == 1, "the run at hand is led on"
    assert decisions > 7, "one for each result that came"


async def test_what_a_replay_would_not_do_again_parks_with_the_line_that_does_it() -> None:
    @workflow
    async def flow(ctx: Context) -> float:
        began = time.monotonic()
        await ctx.sleep("1h")
        return time.time() - began

    play = Checked(flow)
    state = await play.start()
    assert state.parked is not None
    assert state.parked.code == "nondeterministic"
    assert "test_workflow_checks.py" in state.parked.message
    assert "time.monotonic is not repeatable" in state.parked.message
    assert "use ctx.now() (began = time.monotonic())" in state.parked.message
    assert "time.time" not in state.parked.message, "that was not run"
    assert (await Flow(flow).start()).parked is None, "nothing is looked at elsewhere"


async def test_many_lines_are_named_and_the_rest_counted() -> None:
    source = "\n".join(f"    random.random()  # {line}" for line in range(13))
    scope: dict[str, Any] = {"random": random}
    exec(compile(f"async def flow(ctx):\n{source}", str(Path(__file__).with_name("many.py")), "exec"), scope)
    state = await Checked(workflow(scope["flow"])).start()
    assert state.parked is not None
    lines = state.parked.message.splitlines()
    assert len(lines) == 11
    assert "many.py:2: random.random" in lines[0]
    assert lines[-1] == "and 3 more"


async def test_chance_that_nobody_notices_is_found_where_a_run_asks_for_something_else() -> None:
    @workflow
    async def flow(ctx: Context) -> int:
        wanted = CHANCE.randrange(10**9)
        await ctx.step(double, wanted, effect="read")
        return wanted

    state = await Checked(flow).start()
    assert state.parked is not None
    assert state.parked.code == "nondeterministic"
    assert "double with other arguments" in state.parked.message
    assert (await Flow(flow).start()).ended == "completed", "a run that is at hand is not run again"


def test_an_application_in_check_mode_has_its_own_workflows_and_the_same_agents() -> None:
    plain = workflow(doubled)
    app = App([plain, Agent("desk", model=ScriptedModel([]))])
    checked: Any = app.in_check_mode()
    assert checked.choose("doubled").checked
    assert not plain.checked
    assert checked.choose("desk") is app.choose("desk")
    assert app.choose("doubled") is plain


# --- what is said when it is declared --------------------------------------------------------------------------


def test_a_workflow_that_cleans_up_around_an_await_is_cautioned_about_where_it_is_declared() -> None:
    with pytest.warns(WorkflowCaution, match="finally around an await") as said:

        @workflow
        async def flow(ctx: Context) -> None:
            try:
                await ctx.sleep("1h")
            finally:
                print("closed")

    assert said[0].filename == __file__
    with pytest.warns(WorkflowCaution, match="is not awaited") as said:

        @workflow(version="2")
        async def other(ctx: Context) -> None:
            ctx.sleep("1h")

    assert said[0].filename == __file__


def test_nothing_is_said_of_one_that_does_nothing_odd(recwarn: pytest.WarningsRecorder) -> None:
    workflow(doubled)
    assert not recwarn.list
