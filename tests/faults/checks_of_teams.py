"""More checks: of duties, edits, inputs in the middle and files. See `tests.faults.checks`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator

from onward import Agent, App, Approval, ScriptedModel, tool
from onward.core import events as ev
from onward.core.absorb import bodies_of
from onward.core.draft import Draft
from onward.core.files import File, file_in
from onward.core.head import Head
from onward.core.model import ModelRequest
from onward.core.signals import Signal
from onward.core.state import State
from onward.core.switches import Switch
from onward.engine.gateway import Start
from onward.engine.sweep import sweep
from onward.errors import Refused
from onward.ports import Wake
from onward.testing.runner import START
from tests.faults.checks import BOB, check, expect, part, world
from tests.faults.desk import desk, team, turn
from tests.faults.scenarios import REFUND
from tests.faults.world import ANN, KEY, OPERATOR, SESSION, World
from tests.ledger import Ledger

# --- G5: duties to other sessions --------------------------------------------------------------------------------


@check
async def g5_a_duty_is_paid_after_any_crash(ledger: Ledger) -> list[str]:
    """Whoever finds a duty unpaid pays it: a child's start, and what a parent is told."""
    return await part(ledger, "child_completes", ("store.append", "store.create", "store.file"), "killed", "error")


@check
async def g5_who_has_ended_still_pays(ledger: Ledger) -> list[str]:
    """A session that owes is not at rest, even if it has ended."""
    return await part(ledger, "child_cancelled_with_its_parent", ("store.append", "store.file"), "killed")


@check
async def g5_a_duty_paid_twice_is_paid_once(ledger: Ledger) -> list[str]:
    """The ids are the same every time: no child is started twice."""
    return await part(ledger, "three_children", ("store.create", "wakes.publish"), "killed after")


@check
async def g5_a_duty_that_can_not_be_paid_is_told(ledger: Ledger) -> list[str]:
    """The child's id is taken, so it can't be started: its parent hears that, and does not wait for it."""
    here = world(ledger, team())
    taken = Start(f"{SESSION}:2.0", "desk", "1", "somebody else's")
    await here.person(lambda gateway: gateway.start(taken, ANN))
    await here.rest()
    await here.start("boss")
    await here.rest()
    told = [event.body.status for event in await here.events() if event.kind == "child_ended"]
    head = await here.head()
    await here.close()
    complaints = expect(told == ["failed"], f"of its child the parent heard {told}")
    return complaints + expect(head is not None and head.status == "completed", "the parent waits for it")


# --- G10, G13: what an operator holds back -----------------------------------------------------------------------


@check
async def g10_what_is_switched_off_rests_and_does_nothing(ledger: Ledger) -> list[str]:
    """It is held back by one event, costs nothing while it lasts, and goes on when it is on again."""
    here = world(ledger, desk(turn(("pay_out", REFUND))))
    await here.start("desk")
    await here.rest()
    off = Switch(scope="program:desk", by=OPERATOR, reason="have a look", at=here.clock.now())
    await here.watcher.switches.turn(off, True)
    here.clock.advance(10.0)
    await here.decide("pay_out", "approved")
    await here.later(hours=30)
    complaints = expect(not here.outside.ledger.entries(here.outside.run)[1:], "something was done while it was off")
    kinds = [event.kind for event in await here.events()]
    complaints += expect(kinds.count("session_paused") == 1, f"paused {kinds.count('session_paused')} times")
    await here.watcher.switches.turn(off, False)
    await sweep(here.watcher.store, here.watcher.queue, here.programs, here.watcher.switches)
    await here.rest()
    head = await here.head()
    await here.close()
    return complaints + expect(head is not None and head.status == "completed", "it did not go on")


async def refuses(world: World, head: Head) -> bool:
    """Nobody looks."""
    return False


@check
async def g6_what_a_restore_has_forgotten_is_not_performed_again(ledger: Ledger) -> list[str]:
    """Approved or not: nothing is started before somebody has looked, and by them it is let go on."""
    here = world(ledger, desk(turn(("pay_out", REFUND))))
    here.operator_may = refuses
    await here.start("desk")
    await here.rest()
    await here.restored()
    await here.decide("pay_out", "approved")
    await here.rest()
    head = await here.head()
    parked = head is not None and head.error is not None and head.error.code == "restored"
    complaints = expect(parked, "it does not wait for a look")
    complaints += expect(not await here.recorded("call_started"), "it was started though nobody had looked")
    here.operator_may = None
    await here.rest()
    head = await here.head()
    await here.close()
    return complaints + expect(head is not None and head.status == "completed", "it did not go on after a look")


@check
async def g6_a_child_is_as_old_as_who_started_it(ledger: Ledger) -> list[str]:
    """A child that the restored database does not have may have been there, and have paid."""
    here = world(ledger, team(turn(("pay_out", REFUND))))
    await here.start("boss")
    await here.restored()
    await here.rest()
    child = await here.head(f"{SESSION}:2.0")
    await here.close()
    return expect(child is not None and child.incarnation == 1, "what it did before is taken for known")


@check
async def g13_a_switch_lifts_no_persons_pause(ledger: Ledger) -> list[str]:
    """Somebody pauses a session that is switched off: it goes on when they say so, and not when it is on again."""
    here = world(ledger, desk(turn(("pay_out", REFUND))))
    await here.start("desk")
    await here.rest()
    off = Switch(scope="all", by=OPERATOR, reason="have a look", at=here.clock.now())
    await here.watcher.switches.turn(off, True)
    here.clock.advance(10.0)
    await here.decide("pay_out", "approved")
    await here.rest()
    await here.signal("pause", "pause", OPERATOR, reason="whatever the switch says")
    await here.rest()
    await here.watcher.switches.turn(off, False)
    here.clock.advance(10.0)
    await here.watcher.queue.publish(Wake(KEY, look=True))
    await here.rest()
    head = await here.head()
    if head is None or head.status != "paused":
        await here.close()
        return [f"the session was paused, and is {head and head.status}"]
    await here.signal("resume", "resume", OPERATOR, reason="go on")
    await here.rest()
    head = await here.head()
    await here.close()
    return expect(head is not None and head.status == "completed", "it did not go on")


# --- G6: what was started is never forgotten ---------------------------------------------------------------------


def _started() -> Draft:
    """A session with a call under way, and another that is not."""
    here = Draft(State(), START)
    here.add(
        ANN,
        ev.SessionStarted(tenant="t", session="s", program="p", version="1", input="hi", on_input="interrupt"),
        ev.ModelAnswered(model="m", answer={"text": "", "calls": [{"name": "a"}, {"name": "b"}]}, calls=2),
    )
    calls = [ev.Proposal(tool=name, effect="irreversible", digest=name) for name in ("a", "b")]
    here.add(ANN, ev.CallsProposed(calls=calls, arguments=[{}, {}]))
    here.add(ANN, ev.CallStarted(call="3.0", attempt=1, not_after=START))
    return here


def _says(here: Draft, kind: str, **body: Any) -> list[ev.Body]:
    bodies = bodies_of(here.state, Signal(kind, kind, body, ANN))
    here.add(ANN, *bodies)
    return bodies


@check
async def g6_an_input_does_not_push_aside_what_was_started(ledger: Ledger) -> list[str]:
    here = _started()
    _says(here, "input", content="stop")
    return expect(list(here.state.calls) == ["3.0"], f"open after the input: {list(here.state.calls)}")


@check
async def g6_nothing_is_finished_or_skipped_over_what_was_started(ledger: Ledger) -> list[str]:
    complaints = []
    for kind, body in (("finish", {"output": "enough"}), ("skip", {"call": "3.0", "result": "made up"})):
        here = _started()
        try:
            _says(here, kind, **body)
        except Refused:
            continue
        complaints.append(f"{kind} was taken while a call was under way")
    return complaints


# --- G8: edits -----------------------------------------------------------------------------------------------------


def _even(amount: int) -> int:
    if amount % 2:
        raise ValueError("pay even amounts only")
    return amount


@tool(effect="irreversible", approval=Approval())
async def pay(amount: Annotated[int, AfterValidator(_even)]) -> int:
    """Pay."""
    await World.current.outside.book("pay", "pay", amount=amount)
    return amount


async def _paying(ledger: Ledger) -> World:
    model = ScriptedModel([turn(("pay", {"amount": 4})), {"text": "done"}, {"text": "done"}])
    here = world(ledger, App([Agent("desk", model=model, tools=[pay])]))
    await here.start("desk")
    await here.rest()
    return here


@check
async def g8_an_edit_is_validated_again(ledger: Ledger) -> list[str]:
    """What a person typed is performed only as the program has checked it."""
    here = await _paying(ledger)
    await here.decide("pay", "approved", arguments={"amount": 3})
    await here.rest()
    complaints = expect(not here.outside.entries("pay", "pay"), "what does not fit was performed")
    await here.decide("pay", "approved", by=BOB, arguments={"amount": 2})
    await here.rest()
    paid = [entry["amount"] for entry in here.outside.entries("pay", "pay")]
    await here.close()
    return complaints + expect(paid == [2], f"paid {paid}")


@check
async def g8_what_is_performed_is_what_was_edited(ledger: Ledger) -> list[str]:
    here = await _paying(ledger)
    await here.decide("pay", "approved", arguments={"amount": 2})
    await here.rest()
    paid = [entry["amount"] for entry in here.outside.entries("pay", "pay")]
    await here.close()
    return expect(paid == [2], f"paid {paid}, and 2 was approved")


# --- G4: files -----------------------------------------------------------------------------------------------------


@tool(effect="read")
async def photograph() -> File:
    """Take a picture."""
    return File(data=b"a picture", media_type="image/png", name="picture.png")


def _count_bytes(request: ModelRequest) -> dict[str, Any]:
    files = [file for entry in request.transcript if (file := file_in(entry.value)) is not None]
    return {"text": str([len(file.data or b"") for file in files])}


@check
async def g4_a_files_bytes_are_there_once_it_is_recorded(ledger: Ledger) -> list[str]:
    """The model is shown what was sent and what a tool gave, also by a process that has neither at hand."""
    model = ScriptedModel([turn(("photograph", {})), _count_bytes])
    here = world(ledger, App([Agent("desk", model=model, tools=[photograph])]))
    await here.start("desk", File(data=b"a plan", media_type="application/pdf"))
    await here.rest()
    head = await here.head()
    assert head is not None
    state = await here.process("other").runner.parts.loader.load(head)
    await here.close()
    return expect(state.output == "[6, 9]", f"the model was shown files of {state.output} bytes, and not [6, 9]")
