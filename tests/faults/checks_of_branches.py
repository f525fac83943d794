"""Checks of branches (G14). See `tests.faults.checks`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from onward import Agent, App
from onward.core.canonical import digest
from onward.core.events import Actor, CallsProposed, Proposal, SessionCompleted
from onward.core.ids import session_key
from onward.core.program import Decision, Program, Record, Rest
from onward.core.state import OpenCall, State
from onward.engine.files import Files
from onward.errors import CorruptLog
from tests.faults.checks import check, expect, part, world
from tests.faults.desk import HOOKS, TOOLS, branched, refund, scripted, turn
from tests.faults.scenarios import ORDER, REFUND
from tests.faults.world import KEY, World
from tests.ledger import Ledger

BRANCH = session_key("default", "b1")


class Cashier(Program):
    """A program that is no agent: it has money given back, and asks nobody."""

    name, version, follows = "cashier", "1", False

    def performer(self, call: OpenCall, state: State) -> Any:
        return refund if call.tool == "refund" else None

    def decide(self, state: State) -> Decision:
        actor = Actor(kind="program", name=self.name)
        if state.last is not None and state.last.kind == "result":
            return Record((SessionCompleted(output=state.last.value),), actor)
        proposal = Proposal(tool="refund", effect="irreversible", digest=digest(["refund", REFUND]))
        return Rest() if state.calls else Record((CallsProposed(calls=[proposal], arguments=[REFUND]),), actor)


CASHIER = App([Cashier()])


async def _ran(ledger: Ledger, app: App, program: str = "desk") -> World:
    here = world(ledger, app)
    await here.start(program)
    await here.rest()
    return here


def _refunds(here: World) -> list[str]:
    """The keys under which money was given back."""
    return [details["key"] for what, details in here.outside.ledger.entries(here.outside.run) if what == "refund"]


@check
async def g14_a_branch_performs_nothing_that_its_parent_did(ledger: Ledger) -> list[str]:
    """However it is answered: from the record, or not at all."""
    here = await _ran(ledger, branched(turn(("refund", REFUND), ("find_order", ORDER))))
    done = here.outside.ledger.entries(here.outside.run)
    tools = [what for what, _ in done if what != "model"]
    for effects in ("recorded", "live-model", "blocked"):
        await here.fork(f"b-{effects}", "session_started", effects=effects)
        await here.rest()
    again = [what for what, _ in here.outside.ledger.entries(here.outside.run) if what != "model"]
    ended = [head.status for head in await here.heads()]
    await here.close()
    return expect(again == tools, f"performed {again}, and the session {tools}") + expect(
        ended == ["completed"] * 4, f"they are {ended}"
    )


@check
async def g14_no_model_is_asked_what_it_answered_already(ledger: Ledger) -> list[str]:
    here = await _ran(ledger, branched(turn(("refund", REFUND))))
    asked = len(here.outside.ledger.entries(here.outside.run))
    await here.fork("b1", "session_started")
    await here.rest()
    again = len(here.outside.ledger.entries(here.outside.run))
    await here.close()
    return expect(again == asked, f"{again - asked} things were done in a branch that has a record of all of them")


@check
async def g14_a_live_branch_asks_first(ledger: Ledger) -> list[str]:
    """A person is asked before anything that can't be undone, though neither tool nor program asks for that."""
    complaints = []
    for app, program in ((branched(turn(("refund", REFUND))), "desk"), (CASHIER, "cashier")):
        here = await _ran(ledger, app, program)
        before = _refunds(here)
        await here.fork("b1", "session_started", effects="live")
        await here.rest()
        head = await here.head("b1")
        waits = [wait.tool for wait in head.waits if wait.kind == "approval"] if head else []
        complaints += expect(_refunds(here) == before, f"{program}: a live branch did it without asking anybody")
        complaints += expect(waits == ["refund"], f"{program}: its live branch asks about {waits}")
        await here.close()
    return complaints


@check
async def g14_a_live_branch_has_its_own_keys(ledger: Ledger) -> list[str]:
    here = await _ran(ledger, branched(turn(("refund", REFUND))))
    await here.fork("b1", "session_started", effects="live")
    await here.rest()
    await here.decide("refund", "approved", session="b1")
    await here.rest()
    keys = _refunds(here)
    await here.close()
    return expect([key.partition("/")[0] for key in keys] == ["s1", "b1"], f"the refunds were made under {keys}")


async def _stored(here: World) -> Any:
    store = here.watcher.store
    return await store.read(KEY), await store.commits(KEY), (await store.pending(KEY)).signals


@check
async def g14_nothing_is_written_to_a_parent(ledger: Ledger) -> list[str]:
    here = await _ran(ledger, branched(turn(("pay_out", REFUND))))
    before = await _stored(here)
    for effects in ("recorded", "live-model", "blocked", "live"):
        await here.fork(f"b-{effects}", "approval_requested", effects=effects)
    after = await _stored(here)
    await here.rest()
    rested = await _stored(here)
    await here.close()
    return expect(before == after == rested, "its parent is another one since it was branched")


@check
async def g14_a_branch_needs_its_parent_no_more(ledger: Ledger) -> list[str]:
    """Its large values and files are its own, whatever becomes of its parent's."""
    here = await _ran(ledger, branched(turn(("read_archive", {"pages": 20}), ("print_label", ORDER))))
    await here.fork("b1", "session_completed")
    await here.delete()
    await here.rest()
    head = await here.head("b1")
    assert head is not None
    parts = here.process("other").runner.parts
    try:
        recording = await parts.loader.recording(head)
    except CorruptLog as exc:
        return [f"what it goes on from is gone: {exc}"]
    transcript = recording.state().transcript
    label = next(entry.value for entry in transcript if entry.tool == "print_label")
    files = await Files(here.watcher.blobs).fill(BRANCH, label)
    await here.close()
    return expect("data" in files["$file"], "the bytes of its file are gone")


@check
async def g14_what_was_done_once_is_an_answer_once(ledger: Ledger) -> list[str]:
    """A branch that asks for it twice hears of it once."""
    here = await _ran(ledger, branched(turn(("refund", REFUND))))
    answered = next(event.seq for event in await here.events() if event.kind == "model_answered")
    twice = {"calls": [{"name": "refund", "arguments": REFUND}] * 2}
    await here.fork("b1", "model_answered", edits={answered: twice})
    await here.rest()
    kinds = [event.kind for event in await here.events("b1") if event.kind.startswith("call_")]
    await here.close()
    return expect(kinds == ["call_completed", "call_refused"], f"the two calls came to {kinds}")


@check
async def g14_no_timer_goes_along(ledger: Ledger) -> list[str]:
    """A branch does not end at its parent's deadline."""
    here = world(ledger, branched(turn(("pay_out", REFUND))))
    await here.start("desk", deadline=here.clock.now() + timedelta(hours=6))
    await here.rest()
    await here.fork("b1", "approval_requested", effects="live")
    head = await here.head("b1")
    assert head is not None
    state = await here.front.runner.parts.loader.load(head)
    await here.close()
    return expect(not state.timers, f"its timers are {list(state.timers)}")


@check
async def g14_nothing_open_goes_along(ledger: Ledger) -> list[str]:
    """Neither an approval nor a call: the model is told so, and may ask for it again."""
    here = await _ran(ledger, branched(turn(("pay_out", REFUND), ("ship", ORDER))))
    await here.fork("b1", "call_pending", effects="live")
    head = await here.head("b1")
    assert head is not None
    state = await here.front.runner.parts.loader.load(head)
    told = [entry.value["code"] for entry in state.transcript if entry.kind == "result"]
    await here.close()
    return expect(not state.calls, f"it has {list(state.calls)}") + expect(
        told == ["not_inherited"] * 2, f"its model is told {told}"
    )


@check
async def g14_a_branch_is_there_whole_or_not_at_all(ledger: Ledger) -> list[str]:
    """Who makes it dies at any call: made again, it is the same."""
    return await part(ledger, "branch_answered_from_the_record", ("store.create", "blobs.put"), "killed")


@check
async def g14_a_detached_branch_tells_nobody(ledger: Ledger) -> list[str]:
    """Webhooks hear of a live branch, and of no other."""
    agent = Agent("desk", model=scripted(turn(("pay_out", REFUND))), tools=TOOLS, limits=None)
    here = await _ran(ledger, App([agent], webhooks=HOOKS, secrets={"HOOKS": "known to the receiver"}))
    for effects in ("recorded", "live-model", "blocked", "live"):
        await here.fork(f"b-{effects}", "session_started", effects=effects)
        await here.rest()
    booked = here.outside.ledger.entries(here.outside.run)
    told = [details["arguments"]["session"] for what, details in booked if what == "webhook"]
    await here.close()
    return expect(told == ["s1", "b-live"], f"webhooks were told of {told}")
