"""The scripted sessions of the fault matrix: each is what people do, and what the model and the tools are told to.

A scenario must end in the same way whatever happens on its way: people wait until the session rests before they act,
and act on what they see.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from onward import App, Limits
from onward.core.events import Actor
from onward.core.files import File
from onward.core.program import Child
from onward.core.signals import Signal
from onward.engine.gateway import Start
from onward.errors import Refused
from tests.faults.desk import (
    ASKING,
    CLERK,
    CONVERSATION,
    FALLBACK,
    HANDOVER,
    HOOKS,
    ONE_VERSION,
    STRUCTURED,
    STUMBLER,
    branched,
    chatty,
    desk,
    team,
    turn,
)
from tests.faults.world import ANN, BOB, KEY, OPERATOR, World

ORDER = {"order": "7"}
REFUND = {"order": "7", "amount": 30}


@dataclass(frozen=True)
class Scenario:
    """`ignore` are kinds of events whose number or place may differ after a fault, and why is in the scenario."""

    name: str
    app: App
    play: Callable[[World], Awaitable[None]]
    ignore: frozenset[str] = frozenset()
    ends: str = "completed"
    steps_per_wake: int = 1
    options: dict[str, Any] = field(default_factory=dict)


SCENARIOS: dict[str, Scenario] = {}


def scenario(app: App, *, ends: str = "completed", ignore: tuple[str, ...] = (), steps: int = 1) -> Callable[..., Any]:
    """Register a scenario: the function is what people do."""

    def register(play: Callable[[World], Awaitable[None]]) -> Callable[[World], Awaitable[None]]:
        made = Scenario(play.__name__, app, play, frozenset(ignore), ends, steps)
        SCENARIOS[play.__name__] = made
        return play

    return register


async def runs(world: World) -> None:
    """Start it and wait."""
    await world.start("desk")
    await world.rest()


# --- tools of every class --------------------------------------------------------------------------------------


@scenario(desk(turn(("find_order", ORDER))))
async def read(world: World) -> None:
    await runs(world)


@scenario(desk(turn(("count_stock", {"item": "lamp"}))))
async def blocking(world: World) -> None:
    await runs(world)


@scenario(desk(turn(("set_address", ORDER | {"street": "Elm Street 1"}))))
async def idempotent(world: World) -> None:
    await runs(world)


@scenario(desk(turn(("refund", REFUND))))
async def irreversible(world: World) -> None:
    await runs(world)


@scenario(desk(turn(("send_letter", ORDER))))
async def irreversible_without_reconcile(world: World) -> None:
    await runs(world)


@scenario(desk(turn(("reserve", ORDER))))
async def compensatable(world: World) -> None:
    await runs(world)


MIXED = turn(
    ("find_order", ORDER),
    ("set_address", ORDER | {"street": "Elm Street 1"}),
    ("refund", REFUND),
    ("send_letter", ORDER),
    ("refund", {"order": "7", "amount": "much"}),
    ("no_such_tool", {}),
    ("find_order", {"order": "8"}),
)


@scenario(desk(MIXED))
async def several_calls_in_one_turn(world: World) -> None:
    await runs(world)


@scenario(
    desk(turn(("find_order", ORDER), ("refund", REFUND)), turn(("refund", {"order": "8", "amount": 1}))), steps=100
)
async def many_steps_per_wake(world: World) -> None:
    await runs(world)


# --- approvals -------------------------------------------------------------------------------------------------


@scenario(desk(turn(("pay_out", REFUND))))
async def approved(world: World) -> None:
    await runs(world)
    await world.decide("pay_out", "approved", "fine")
    await world.rest()


@scenario(desk(turn(("pay_out", REFUND)), webhooks=HOOKS))
async def webhooks(world: World) -> None:
    """They are told that somebody is asked, and that it is over."""
    await runs(world)
    await world.decide("pay_out", "approved")
    await world.rest()


@scenario(desk(turn(("pay_out", REFUND))))
async def rejected(world: World) -> None:
    await runs(world)
    await world.decide("pay_out", "rejected", "too much")
    await world.rest()


@scenario(desk(turn(("pay_out", REFUND))))
async def restored_from_a_backup(world: World) -> None:
    """Whoever operates has looked, and lets it go on."""
    await runs(world)
    await world.restored()
    await world.decide("pay_out", "approved")
    await world.rest()


@scenario(desk(turn(("pay_out", REFUND), ("close_ticket", ORDER), ("find_order", ORDER))))
async def approvals_time_out(world: World) -> None:
    await runs(world)
    await world.later(hours=25)


@scenario(desk(turn(("pay_out", REFUND), ("refund", REFUND), ("pay_out", {"order": "8", "amount": 1}))))
async def one_approved_one_rejected(world: World) -> None:
    await runs(world)
    await world.decide("pay_out", "approved")
    await world.rest()
    await world.decide("pay_out", "rejected")
    await world.rest()


@scenario(desk(turn(("pay_out", REFUND))))
async def two_decide(world: World) -> None:
    await runs(world)
    wait = await world.wait_for("approval")
    shown = {"call": wait.call, "digest": wait.digest}
    await world.signal("decision", "ann", ANN, verdict="approved", **shown)
    with suppress(Refused):  # where the first one is known already; else the log says that it is refused
        await world.signal("decision", "bob", BOB, verdict="rejected", **shown)
    await world.rest()


@scenario(desk(turn(("pay_out", REFUND))))
async def edited(world: World) -> None:
    await runs(world)
    await world.decide("pay_out", "approved", "half of it", arguments={"order": "7", "amount": 15})
    await world.rest()


@scenario(desk(turn(("pay_out", REFUND), ("find_order", ORDER))))
async def responded(world: World) -> None:
    await runs(world)
    await world.decide("pay_out", "responded", result={"receipt": "paid by hand"})
    await world.rest()


@scenario(desk(turn(("pay_for_ann", ORDER))))
async def delegated(world: World) -> None:
    await runs(world)
    await world.decide("pay_for_ann", "delegated", "ask Bob", to=BOB.name)
    await world.rest()
    with suppress(Refused):
        await world.decide("pay_for_ann", "approved", by=ANN)
    await world.rest()
    await world.decide("pay_for_ann", "approved", by=BOB)
    await world.rest()


@scenario(desk(turn(("pay_much", ORDER), ("find_order", ORDER))))
async def two_approve(world: World) -> None:
    await runs(world)
    await world.decide("pay_much", "approved", by=ANN)
    await world.rest()
    with suppress(Refused):
        await world.decide("pay_much", "rejected", by=Actor(kind="program", name="desk"))
    await world.rest()
    await world.decide("pay_much", "approved", by=BOB)
    await world.rest()


@scenario(desk(turn(("pay_much", ORDER))))
async def one_approves_and_nobody_else(world: World) -> None:
    await runs(world)
    await world.decide("pay_much", "approved")
    await world.later(hours=25)


# --- operators -------------------------------------------------------------------------------------------------


@scenario(desk(turn(("pay_out", REFUND), ("find_order", ORDER)), turn(("find_order", ORDER))))
async def paused(world: World) -> None:
    await runs(world)
    await world.signal("pause", "pause", OPERATOR, reason="have a look")
    await world.rest()
    await world.decide("pay_out", "approved")
    await world.later(hours=2)
    await world.signal("resume", "resume", OPERATOR)
    await world.rest()


@scenario(desk(turn(("pay_out", REFUND), ("ship", ORDER))))
async def skipped(world: World) -> None:
    await runs(world)
    for tool in ("pay_out", "ship"):
        call = next(wait.call for wait in (await world.head()).waits if wait.tool == tool)
        await world.signal("skip", tool, OPERATOR, call=call, result={"receipt": "by hand"}, reason="done by hand")
        await world.rest()


@scenario(desk(turn(("pay_out", REFUND), ("ship", ORDER))))
async def finished(world: World) -> None:
    await runs(world)
    await world.signal("finish", "finish", OPERATOR, output="enough", reason="done by hand")
    await world.rest()


# --- timers ----------------------------------------------------------------------------------------------------


@scenario(desk(turn(("nap", {"hours": 5}))))
async def asleep(world: World) -> None:
    await runs(world)
    await world.later(hours=6)


@scenario(desk(turn(("nap", {"hours": 5}))))
async def woken_by_an_input(world: World) -> None:
    await runs(world)
    await world.send("wake up")
    await world.rest()


@scenario(desk(turn(("find_order", ORDER))))
async def delayed_start(world: World) -> None:
    await world.start("desk", not_before=world.clock.now() + timedelta(hours=6))
    await world.rest()
    await world.later(hours=7)


@scenario(desk(turn(("pay_out", REFUND))), ends="failed")
async def deadline_passes(world: World) -> None:
    await world.start("desk", deadline=world.clock.now() + timedelta(hours=6))
    await world.rest()
    await world.later(hours=7)


@scenario(CLERK)
async def timer_of_a_program(world: World) -> None:
    await world.start("clerk")
    await world.rest(0.5)
    await world.later(hours=2)


# --- errors ----------------------------------------------------------------------------------------------------


@scenario(desk(turn(("flaky", ORDER | {"times": 1}))))
async def tool_fails_then_works(world: World) -> None:
    await runs(world)


@scenario(desk(turn(("broken", ORDER), ("find_order", ORDER))))
async def tool_keeps_failing(world: World) -> None:
    await runs(world)


@scenario(desk(turn(("declined", ORDER))))
async def not_performed(world: World) -> None:
    await runs(world)


@scenario(desk(turn(("pay_later", ORDER))))
async def not_performed_at_first(world: World) -> None:
    await runs(world)


@scenario(
    desk(turn(("find_order", ORDER), fails=[{"code": "unavailable"}, {"code": "unavailable", "retry_after": 30}]))
)
async def model_out_of_reach(world: World) -> None:
    await runs(world)


@scenario(
    desk(turn(("find_order", ORDER), fails=[{"code": "refused"}])),
    ignore=("session_parked", "session_resumed", "limits_changed"),
)
async def model_refuses(world: World) -> None:
    """If the model is out of reach first, it is not refused any more: the script refuses first attempts only."""
    await runs(world)


@scenario(STUMBLER)
async def program_stumbles(world: World) -> None:
    await world.start("stumbler")
    await world.later(hours=2)


# --- doubt -----------------------------------------------------------------------------------------------------


@scenario(desk(turn(("refund_and_fail", ORDER))))
async def doubt_and_done(world: World) -> None:
    await runs(world)


@scenario(desk(turn(("fail_then_refund", ORDER), ("find_order", ORDER))))
async def doubt_and_not_done(world: World) -> None:
    await runs(world)


@scenario(desk(turn(("refund_who_knows", ORDER), ("refund", REFUND))))
async def doubt_and_unknown(world: World) -> None:
    await runs(world)


# --- outside ---------------------------------------------------------------------------------------------------


@scenario(desk(turn(("ship", ORDER), ("refund", REFUND))))
async def completed_from_outside(world: World) -> None:
    await runs(world)
    [(_, shipped), *_] = [entry for entry in world.outside.ledger.entries(world.outside.run) if entry[0] == "ship"]
    await world.complete(shipped["call"], shipped["token"], status="done", result="arrived")
    await world.rest()


@scenario(desk(turn(("ship_fast", ORDER))))
async def completed_too_early(world: World) -> None:
    await runs(world)


@scenario(desk(turn(("ship_hesitantly", ORDER))))
async def said_not_done_too_early(world: World) -> None:
    await runs(world)


@scenario(desk(turn(("ship_for_good", ORDER))), ignore=("call_pending",))
async def irreversible_completed_too_early(world: World) -> None:
    """It may fall in doubt, and never be pending; the outcome that came too early settles that, and nobody is asked."""
    await runs(world)


@scenario(desk(turn(("ship_quietly", ORDER))))
async def polled(world: World) -> None:
    await runs(world)


@scenario(desk(turn(("ship_and_forget", ORDER))))
async def never_completed(world: World) -> None:
    await runs(world)


# --- in the middle ---------------------------------------------------------------------------------------------


@scenario(desk(turn(("pay_out", REFUND))))
async def input_while_it_asks(world: World) -> None:
    await runs(world)
    await world.send("one more thing")
    await world.rest()
    await world.decide("pay_out", "approved")
    await world.rest()


@scenario(desk(turn(("call_back", ORDER)), turn(("pay_out", REFUND))), ignore=("input_received",))
async def input_while_it_works(world: World) -> None:
    """The input may be found a turn sooner or later."""
    await runs(world)
    await world.decide("pay_out", "approved")
    await world.rest()


@scenario(desk(turn(("pay_out", REFUND), ("ship", ORDER)), turn(("refund", REFUND))))
async def interrupted(world: World) -> None:
    await world.start("desk", on_input="interrupt")
    await world.rest()
    await world.send("leave it")
    await world.rest()
    call = (await world.wait_for("external")).call
    await world.signal("skip", "ship", OPERATOR, call=call, result="arrived")
    await world.rest()


@scenario(desk(turn(("pay_out", REFUND))))
async def input_refused_while_it_works(world: World) -> None:
    await world.start("desk", on_input="reject")
    await world.rest()
    await world.send("one more thing")
    await world.rest()
    await world.decide("pay_out", "approved")
    await world.rest()


@scenario(desk(turn(("pay_out", REFUND), ("ship", ORDER))), ends="cancelled")
async def cancelled_while_it_asks(world: World) -> None:
    await runs(world)
    await world.cancel()
    await world.rest()


@scenario(desk(turn(("refund_while_cancelled", ORDER), ("pay_out", REFUND))), ends="cancelled")
async def cancelled_while_it_works(world: World) -> None:
    await runs(world)


@scenario(
    desk(turn(("find_order", ORDER)), turn(("refund", REFUND))),
    ignore=("limit_reached", "session_parked", "session_resumed", "limits_changed"),
)
async def limit_reached(world: World) -> None:
    """A lost attempt counts as spent, so that the limit may be reached sooner."""
    await world.start("desk", limits=Limits(turns=2, calls=2))
    await world.rest()


# --- children --------------------------------------------------------------------------------------------------

CHILD = "s1:2.0"


async def errand(world: World, **options: Any) -> None:
    """A boss starts, and everybody rests."""
    await world.start("boss", **options)
    await world.rest()


@scenario(team(turn(("refund", REFUND), ("find_order", ORDER))))
async def child_completes(world: World) -> None:
    await errand(world)


@scenario(team(turn(("refund", REFUND)), errands=(Child("desk", "1"),) * 3, inputs=("a", "b", "c")))
async def three_children(world: World) -> None:
    await errand(world)


@scenario(team(turn(("refund", REFUND))), steps=100)
async def child_faster_than_its_parent(world: World) -> None:
    """Its parent goes on under the same lease."""
    await errand(world)


@scenario(team(turn(("pay_out", REFUND))))
async def child_asks(world: World) -> None:
    await errand(world)
    await world.decide("pay_out", "approved", session=CHILD)
    await world.rest()


@scenario(team(turn(("pay_out", REFUND))), ends="cancelled")
async def child_cancelled_with_its_parent(world: World) -> None:
    await errand(world)
    await world.cancel()
    await world.rest()


@scenario(team(turn(("pay_out", REFUND)), errands=(Child("desk", "1", on_close="abandon"),)), ends="cancelled")
async def child_abandoned(world: World) -> None:
    await errand(world)
    await world.cancel()
    await world.rest()
    await world.decide("pay_out", "approved", session=CHILD)
    await world.rest()


@scenario(team(turn(("pay_out", REFUND))))
async def child_cancelled_by_somebody(world: World) -> None:
    await errand(world)
    await world.signal("cancel", "cancel", session=CHILD, reason="not needed")
    await world.rest()


@scenario(team(turn(("pay_out", REFUND))))
async def child_skipped(world: World) -> None:
    await errand(world)
    await world.signal("skip", "skip", OPERATOR, call="2.0", result="never mind")
    await world.rest()


@scenario(team(errands=(Child("boss", "1"),)))
async def child_that_cant_be_started(world: World) -> None:
    """Somebody else has a session of that id."""
    await world.person(lambda gateway: gateway.start(Start(CHILD, "desk", "1", "mine"), ANN))
    await errand(world)


@scenario(
    team(
        turn(("read_archive", {"pages": 1}), ("print_label", ORDER)),
        inputs=(File(data=b"lamp", media_type="image/png").model_dump(mode="json"),),
    )
)
async def child_with_files(world: World) -> None:
    await errand(world)


@scenario(ASKING)
async def agent_asks_an_agent(world: World) -> None:
    await runs(world)


@scenario(HANDOVER)
async def handed_over(world: World) -> None:
    """The other call of the turn is made first, and its result is there for who goes on."""
    await runs(world)


# --- models and what they are shown ----------------------------------------------------------------------------


@scenario(FALLBACK)
async def fallback(world: World) -> None:
    await runs(world)


@scenario(STRUCTURED)
async def answer_of_the_wrong_form(world: World) -> None:
    await runs(world)


@scenario(chatty())
async def compacted_by_a_model(world: World) -> None:
    await runs(world)


@scenario(chatty(by=lambda entries: f"{len(entries)} things"))
async def compacted_by_a_rule(world: World) -> None:
    await runs(world)


@scenario(CONVERSATION)
async def conversation(world: World) -> None:
    await runs(world)
    await world.send("a refund, please")
    await world.rest()
    await world.signal("finish", "finish", OPERATOR)
    await world.rest()


# --- large, long, old and new ----------------------------------------------------------------------------------


@scenario(
    desk(
        turn(("read_archive", {"pages": 20}), ("write_archive", {"text": "letter " * 10_000})),
        turn(("read_archive", {"pages": 1})),
    )
)
async def large_values(world: World) -> None:
    await world.start("desk", input="story " * 15_000)
    await world.rest()


@scenario(desk(turn(("print_label", ORDER)), turn(("find_order", ORDER))))
async def files(world: World) -> None:
    picture = File(data=b"a lamp that is broken" * 5000, media_type="image/jpeg", name="lamp.jpg")
    await world.start("desk", input=["what is this?", picture])
    await world.rest()


@scenario(desk(*[turn(("find_order", {"order": "x" * 6000}))] * 3))
async def long_log(world: World) -> None:
    await runs(world)


@scenario(ONE_VERSION, ignore=("program_changed",))
async def new_version(world: World) -> None:
    await runs(world)


@scenario(desk(turn(("find_order", ORDER))))
async def signal_before_its_session(world: World) -> None:
    """What comes in as a message is filed as it is; nobody knows yet whether there is such a session."""
    signal = Signal("early", "input", {"content": "hello?"}, ANN)
    await world.person(lambda gateway: gateway.file(KEY, signal))
    await world.later(hours=1)
    await world.start("desk")
    await world.rest()


@scenario(desk(turn(("find_order", ORDER))))
async def swept(world: World) -> None:
    await world.start("desk")
    await world.sweep()
    await world.rest()
    await world.sweep()
    await world.rest()


@scenario(desk(turn(("read_archive", {"pages": 20}))), ends="deleted")
async def deleted(world: World) -> None:
    await runs(world)
    await world.delete()
    with suppress(Refused):
        await world.start("desk")
    await world.rest()


@scenario(desk(turn(("find_order", ORDER))))
async def erased(world: World) -> None:
    await runs(world)
    await world.erase(1, "input")
    await world.rest()


# --- branches --------------------------------------------------------------------------------------------------


@scenario(branched(turn(("refund", REFUND), ("read_archive", {"pages": 20}), ("print_label", ORDER))))
async def branch_answered_from_the_record(world: World) -> None:
    """And a branch of that; large values and files become their own."""
    await runs(world)
    await world.fork("b1", "calls_proposed")
    await world.rest()
    await world.fork("b2", "model_answered", "b1")
    await world.fork("b3", "session_completed", "b1", input="and now?")
    await world.rest()


@scenario(branched(turn(("refund", REFUND))))
async def branch_that_is_live(world: World) -> None:
    """What its parent did is done again if a person says so, under a key of its own."""
    await runs(world)
    await world.fork("b1", "session_started", effects="live")
    await world.rest()
    await world.decide("refund", "approved", session="b1")
    await world.rest()


@scenario(branched(turn(("pay_out", REFUND), ("ship", ORDER))))
async def branches_of_a_waiting_session(world: World) -> None:
    """They inherit no approval, and nothing that goes on outside."""
    await runs(world)
    await world.fork("b1", "call_pending")
    await world.fork("b2", "call_pending", effects="blocked")
    await world.rest()
    await world.decide("pay_out", "approved")
    await world.later(hours=25)


@scenario(branched(turn(("print_label", ORDER), ("read_archive", {"pages": 20}))), ends="deleted")
async def branch_of_a_deleted_session(world: World) -> None:
    """It has all that it goes on from."""
    await runs(world)
    await world.fork("b1", "session_completed")
    await world.delete()
    await world.rest()
