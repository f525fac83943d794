"""Checks of workflows. See `tests.faults.checks`."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from onward import App, Context, workflow
from onward.core.draft import Draft
from onward.core.events import SessionStarted
from onward.core.head import Head
from onward.core.program import Record
from onward.core.state import State
from onward.testing.faults import Plan, kill_after
from onward.testing.runner import START
from onward.wiring import Policy
from tests.faults.checks import check, expect, part, world
from tests.faults.checks_of_teams import refuses
from tests.faults.flows import charge, credit, score
from tests.faults.invariants import differences
from tests.faults.matrix import play, undisturbed
from tests.faults.scenarios import SCENARIOS
from tests.faults.world import ANN, World
from tests.ledger import Ledger


async def _lived(ledger: Ledger, app: App, hours: float = 9.0, plan: Plan | None = None, *, cache: int = 1000) -> World:
    """A world in which a session of this application's only program went on for so many hours, in which nobody looks
    after it."""
    here = world(ledger, app, plan, policy=Policy(cache=cache))
    here.operator_may = refuses
    await here.start(app.choose().name, None)
    await here.live(START + timedelta(hours=hours))
    return here


def _deploy(here: World, app: App) -> None:
    here.programs = app
    for worker in here.processes:
        worker.deploy(app)


async def _left(here: World) -> tuple[Head, list[Any]]:
    """What became of it, and what was done."""
    await here.rest()
    head = await here.head()
    booked = here.outside.ledger.entries(here.outside.run)
    await here.close()
    assert head is not None
    return head, [(what, *details["arguments"].values()) for what, details in booked]


def _is(head: Head, status: str) -> list[str]:
    return expect(head.status == status, f"it is {head.status} ({head.error}), and not {status}")


# --- G1: a run from the log is the run that was ------------------------------------------------------------------


async def _cold(ledger: Ledger, *names: str) -> list[str]:
    """What is different where each process finds nothing at hand."""
    complaints = []
    for name in names:
        calm = await play(SCENARIOS[name], ledger)
        complaints += undisturbed(SCENARIOS[name], calm)
        complaints += differences(await play(SCENARIOS[name], ledger, cache=0), calm)
    return complaints


@check
async def g1_a_workflow_is_the_same_with_nothing_at_hand(ledger: Ledger) -> list[str]:
    return await _cold(ledger, "flow_that_starts_afresh", "flow_in_branches", "flow_whose_undo_fails")


@workflow
async def race(ctx: Context) -> Any:
    """The one that is asked for last is there first; then it takes a while."""

    async def slow(hours: int) -> int:
        await ctx.sleep(timedelta(hours=hours))
        return hours

    first = await ctx.first([3, 1], slow, concurrency=2)
    both = [asyncio.create_task(slow(hours)) for hours in (4, 2)]
    done, left = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    await ctx.sleep("9h")
    await ctx.step(charge, 100 * first + 10 * sum(task.result() for task in done) + len(left))


@check
async def g1_who_came_first_came_first(ledger: Ledger) -> list[str]:
    """Results come in the order of the log, whenever it is run again."""
    seen = []
    for cache in (1000, 0):
        here = await _lived(ledger, App([race]), 30, cache=cache)
        seen.append(await _left(here))
    return [each for head, _ in seen for each in _is(head, "completed")] + expect(
        seen[0][1] == seen[1][1] and len(seen[0][1]) == 1, f"with runs at hand {seen[0][1]}, and without {seen[1][1]}"
    )


@workflow
async def dated(ctx: Context) -> None:
    """Charge what the time says, again and again."""
    for _ in range(3):
        await ctx.sleep("1h")
        await ctx.step(charge, int(ctx.now().timestamp()))


@check
async def g1_time_is_the_logs(ledger: Ledger) -> list[str]:
    here = await _lived(ledger, App([dated]), cache=0)
    head, done = await _left(here)
    return _is(head, "completed") + expect(len(done) == 3, f"{len(done)} charges")


# --- G2: what was not appended is nobody's -----------------------------------------------------------------------


@check
async def g2_a_run_goes_on_from_what_is_in_the_log(ledger: Ledger) -> list[str]:
    """An append fails, or another process made it: what the run at hand was led by is not in the log."""
    return await part(ledger, "flow_in_branches_at_once", ("store.append",), "error before", "paused before")


@check
async def g2_what_was_decided_and_not_appended_is_decided_again(ledger: Ledger) -> list[str]:
    """A decision was drafted, and looked at again, and its append failed: the log is as it was, and so is what is
    decided on it."""
    draft = Draft(State(), START)
    started = SessionStarted(tenant="t", session="s", program="dated", version="1", on_input="deliver")
    draft.add(ANN, started)
    before, program = draft.state, dated.apart()
    first = program.decide(before)
    assert isinstance(first, Record)
    draft.add(first.actor, *first.bodies)
    program.decide(draft.state)
    again = program.decide(before)
    program.drop()
    return expect(again == first, f"it decided {first}, and then {again}")


@check
async def g2_a_session_of_another_database_is_another(ledger: Ledger) -> list[str]:
    """It has the same name, was started later, and its program is in memory because of the first."""
    program, decided = dated.apart(), []
    for hours in (0, 5):
        draft = Draft(State(), START + timedelta(hours=hours))
        draft.add(ANN, SessionStarted(tenant="t", session="s", program="dated", version="1", on_input="deliver"))
        record = program.decide(draft.state)
        assert isinstance(record, Record)
        decided += [operation.until for body in record.bodies for operation in getattr(body, "operations", ())]
    program.drop()
    return expect(decided == [START + timedelta(hours=1), START + timedelta(hours=6)], f"it sleeps until {decided}")


# --- G5: what is said is heard -----------------------------------------------------------------------------------


@check
async def g5_what_is_said_early_or_late_is_for_the_next_wait(ledger: Ledger) -> list[str]:
    complaints = []
    for name in ("flow_that_waits", "flow_that_starts_afresh"):
        try:
            complaints += undisturbed(SCENARIOS[name], await play(SCENARIOS[name], ledger))
        except AssertionError as no:
            complaints.append(f"{name}: {no}")
    return complaints


# --- G6: effects ---------------------------------------------------------------------------------------------------


@workflow
async def one_fails(ctx: Context) -> str:
    """Of two at once the first fails, before the other was begun."""
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(ctx.step(score, 3, effect="read", retry=1))
            group.create_task(ctx.step(charge, 1))
    except ExceptionGroup:
        await ctx.sleep("1h")
    return "nothing was charged"


@check
async def g6_what_nobody_waits_for_any_more_is_not_begun(ledger: Ledger) -> list[str]:
    here = await _lived(ledger, App([one_fails]))
    head, done = await _left(here)
    return _is(head, "completed") + expect(("charge", 1) not in done, "what was left was performed")


@workflow
async def hasty(ctx: Context) -> str:
    """Wait for an hour, whatever comes of it."""
    try:
        async with asyncio.timeout(3600):
            await ctx.step(charge, 1)
    except TimeoutError:
        return "enough"
    return "charged"


@check
async def g6_a_workflow_does_not_end_over_what_is_in_doubt(ledger: Ledger) -> list[str]:
    """The process dies when it has charged; the body does not wait for what became of that. Its session does."""
    calm = await _lived(ledger, App([hasty]))
    at = calm.plan.calls.index("tool.invoke") + 1
    await calm.close()
    here = await _lived(ledger, App([hasty]), plan=Plan({at: kill_after}))
    head = await here.head()
    here.operator_may = None
    complaints = expect(head is not None and not head.ended, "it ended, and nobody knows what became of a charge")
    head, done = await _left(here)
    return complaints + _is(head, "completed") + expect(done == [("charge", 1)], f"done: {done}")


@check
async def g6_what_was_done_is_taken_back_once_after_any_crash(ledger: Ledger) -> list[str]:
    return await part(ledger, "flow_whose_undo_fails", ("store.append",), "killed before", "killed after")


@workflow
async def steps_back(ctx: Context) -> None:
    """Do one thing after another, and fail."""
    for amount in (1, 2, 3):
        await ctx.step(charge, amount, undo=credit)
    raise ValueError("it can't go on")


@check
async def g6_the_newest_is_taken_back_first(ledger: Ledger) -> list[str]:
    head, done = await _left(await _lived(ledger, App([steps_back])))
    back = [amount for what, amount, *_ in done if what == "credit"]
    return _is(head, "failed") + expect(back == [3, 2, 1], f"taken back in the order {back}")


@check
async def g6_an_undo_in_doubt_is_asked_what_became_of_it(ledger: Ledger) -> list[str]:
    """By a process that has nothing at hand; no person is asked."""
    scenario = SCENARIOS["flow_that_is_taken_back"]
    calm = await play(scenario, ledger)
    told = []
    for at in [number for number, name in enumerate(calm.calls, start=1) if name == "tool.invoke"]:
        run = await play(scenario, ledger, Plan({at: kill_after}))
        errors = [event.body.error for event in run.events if event.kind == "call_reconciled"]
        told += [error.message for error in errors if error is not None and "release" in error.message]
    return told


# --- G7: recorded results are final --------------------------------------------------------------------------------


def _shop(*steps: tuple[str, int]) -> App:
    """A workflow that makes these steps in this order, then sleeps, and makes one more."""

    @workflow(name="shop")
    async def shop(ctx: Context) -> Any:
        found = {name: await ctx.step(charge, amount, name=name) for name, amount in steps}
        await ctx.sleep("2h")
        await ctx.step(charge, 100)
        return found

    return App([shop])


async def _redeployed(ledger: Ledger, before: App, after: App) -> tuple[Head, list[Any]]:
    """What becomes of a session that sleeps while other code is deployed."""
    here = await _lived(ledger, before, 1)
    _deploy(here, after)
    await here.live(START + timedelta(hours=9))
    return await _left(here)


@check
async def g7_a_result_is_found_again_by_its_name(ledger: Ledger) -> list[str]:
    """In whatever order the steps are by now, and whatever was put between them."""
    apps = _shop(("one", 1), ("two", 2)), _shop(("two", 2), ("new", 3), ("one", 1))
    head, done = await _redeployed(ledger, *apps)
    done = sorted(amount for _, amount in done)
    return _is(head, "completed") + expect(done == [1, 2, 3, 100], f"charged {done}")


@check
async def g7_a_result_is_of_what_was_asked_for(ledger: Ledger) -> list[str]:
    """The step asks for another amount by now: it is not told that this was charged, and a person has to look."""
    head, done = await _redeployed(ledger, _shop(("one", 1), ("two", 2)), _shop(("one", 1), ("two", 3)))
    code = head.error.code if head.error else None
    return expect(code == "nondeterministic", f"it is {head.status} ({head.error})") + expect(
        ("charge", 100) not in done, "it went on"
    )


# --- G12: other code -------------------------------------------------------------------------------------------------


def _patched(new: bool) -> App:
    """A workflow as it was, and with a patch before where sessions are."""

    @workflow(name="shop")
    async def shop(ctx: Context) -> str:
        if new and ctx.patched("check-first"):
            await ctx.step(charge, 5, name="check")
        await ctx.step(charge, 1)
        await ctx.sleep("2h")
        await ctx.step(charge, 2)
        return "done"

    return App([shop])


@check
async def g12_a_session_that_went_by_a_patch_goes_on_as_it_began(ledger: Ledger) -> list[str]:
    head, done = await _redeployed(ledger, _patched(False), _patched(True))
    complaints = _is(head, "completed") + expect([n for _, n in done] == [1, 2], f"charged {done}")
    head, done = await _left(await _lived(ledger, _patched(True)))
    return complaints + _is(head, "completed") + expect([n for _, n in done] == [5, 1, 2], f"a new one charged {done}")


@check
async def g12_a_workflow_stays_on_the_version_that_it_began_on(ledger: Ledger) -> list[str]:
    """The newest version is for new sessions; without its own a session waits, and goes on when that is back."""

    def shop(version: str, *amounts: int) -> Any:
        @workflow(name="shop", version=version)
        async def shop(ctx: Context) -> None:
            for amount in amounts:
                await ctx.step(charge, amount)
                await ctx.sleep("2h")

        return shop

    one, two = shop("1", 1, 2), shop("2", 7, 8)
    here = await _lived(ledger, App([one]), 1)
    _deploy(here, App([two]))
    await here.live(START + timedelta(hours=9))
    head = await here.head()
    waits = head is not None and head.error is not None and head.error.code == "unknown_version"
    complaints = expect(waits, f"without its version it is {head and head.status}")
    _deploy(here, App([one, two]))
    here.operator_may = None
    await here.live(START + timedelta(hours=30))
    head, done = await _left(here)
    return complaints + _is(head, "completed") + expect([n for _, n in done] == [1, 2], f"charged {done}")
