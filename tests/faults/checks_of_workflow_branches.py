"""Checks of branches of workflows (G14). See `tests.faults.checks`."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from onward import App, Context, workflow
from tests.faults.checks import check, expect, world
from tests.faults.desk import find_order, refund
from tests.faults.scenarios import ORDER, REFUND
from tests.faults.world import World
from tests.ledger import Ledger


async def undo(result: Any) -> None:
    """Take a refund back."""
    TAKEN_BACK.append(result)


TAKEN_BACK: list[Any] = []


@workflow
async def racing(ctx: Context) -> Any:
    """The same question, to which there is an end twice, and the first that was asked is the last; what a lost wait was
    for; and money that is given back once."""
    found = list[Any]()

    async def ask(hours: int) -> None:
        decision = await ctx.approval("Now?", timeout=hours * 3600)
        found.append([hours, decision.expired, ctx.now().isoformat()])

    await asyncio.gather(ask(2), ask(1))
    with suppress(TimeoutError):
        async with asyncio.timeout(60):
            await ctx.signal("never")
    looked = await ctx.step(find_order, **ORDER)
    paid = await ctx.step(refund, **REFUND)
    return [found, looked, paid, ctx.now().isoformat(), str(ctx.uuid())]


@workflow
async def returning(ctx: Context) -> None:
    """Gives money back, and takes that back where it is cancelled."""
    await ctx.step(refund, **REFUND, undo=undo)
    await ctx.signal("never")


APP = App([racing, returning])


async def _ran(ledger: Ledger, program: str) -> World:
    TAKEN_BACK.clear()
    here = world(ledger, APP)
    await here.start(program, None)
    await here.rest(hours=5)
    return here


@check
async def g14_a_branch_of_a_workflow_ends_as_its_parent_did(ledger: Ledger) -> list[str]:
    """In the same order, at the same time by its own clock, and nothing is done for it."""
    here = await _ran(ledger, "racing")
    done, parent = here.outside.ledger.entries(here.outside.run), await here.events()
    complaints = expect(parent[-1].kind == "session_completed", f"it ended with {parent[-1].kind}")
    await here.fork("b1", "session_started")
    await here.rest(hours=5)
    branch = await here.events("b1")
    complaints += expect(branch[-1].body == parent[-1].body, f"it ended with {branch[-1].body}, not {parent[-1].body}")
    again = here.outside.ledger.entries(here.outside.run)
    await here.close()
    return complaints + expect(again == done, f"{again[len(done) :]} was done in a branch")


@check
async def g14_a_live_branch_takes_back_only_what_it_did(ledger: Ledger) -> list[str]:
    here = await _ran(ledger, "returning")
    await here.fork("b1", "call_completed", effects="live")
    await here.rest(hours=1)
    await here.signal("cancel", "c", session="b1", reason="enough")
    await here.rest(hours=1)
    head = await here.head("b1")
    await here.close()
    return expect(head is not None and head.status == "cancelled", f"the branch is {head and head.status}") + expect(
        not TAKEN_BACK, f"it took back {TAKEN_BACK}, which its parent did"
    )
