"""Agents for the scripted sessions: tools of every class, whose every effect is in the ledger.

Faults that belong to a scenario (a tool that fails at its first attempt, say) are in the arguments or the attempt, so
that the same session can be played again and again, and goes the same way after any crash.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from pydantic import BaseModel

from onward import (
    Agent,
    App,
    Approval,
    Call,
    Compaction,
    Done,
    Limits,
    NotDone,
    NotPerformed,
    Pending,
    Retry,
    ScriptedModel,
    TryAgain,
    Unknown,
    Webhook,
    tool,
)
from onward.core.canonical import digest
from onward.core.events import Actor, CallsProposed, Proposal, SessionCompleted, TimerSet, Usage
from onward.core.files import File
from onward.core.model import Model, ModelAnswer, ModelCall, ModelRequest
from onward.core.program import Child, Decision, Handover, Program, Record, Rest
from onward.core.state import OpenCall, State
from onward.errors import ModelUnavailable
from tests.faults.world import SESSION, World

QUICK = Retry(attempts=4, first=1.0, longest=5.0)


class WatchedModel:
    """A model whose every answer costs something: it is in the ledger, and must not be asked for what is recorded.

    `session` is whose: a child's id is known before it starts. None: it answers for several.
    """

    def __init__(self, model: Model, session: str | None = SESSION) -> None:
        self.name = model.name
        self._model = model
        self._session = session

    async def answer(self, request: ModelRequest) -> ModelAnswer:
        outside, turn = World.current.outside, sum(entry.kind == "answer" for entry in request.transcript)
        await outside.book("model", f"turn {turn}")
        if self._session is not None:
            await outside.expect_unrecorded("model_answered", f"turn {turn}", turn, self._session)
        return await self._model.answer(request)


async def performed(tool: str, call: Call, **arguments: Any) -> dict[str, Any]:
    """The effect itself: it is done, and booked."""
    outside = World.current.outside
    await outside.expect_uncompleted(call.session, call.id)
    result = {"receipt": f"{tool} {' '.join(map(str, arguments.values()))}"}
    await outside.book(tool, call.idempotency_key, attempt=call.attempt, arguments=arguments, result=result)
    return result


def happened(call: Call) -> Done[Any] | NotDone:
    """What the ledger says of a call."""
    done = World.current.outside.entries(call.tool, call.idempotency_key)
    return Done(done[-1]["result"]) if done else NotDone()


@tool(effect="read", retry=QUICK)
async def find_order(order: str, *, call: Call) -> dict[str, Any]:
    """Find an order."""
    return await performed("find_order", call, order=order)


@tool(effect="read", retry=QUICK)
def count_stock(item: str, *, call: Call) -> int:
    """Count what is in stock, in a blocking way."""
    outside = World.current.outside
    outside.ledger.book(outside.run, "count_stock", {"key": call.idempotency_key, "arguments": {"item": item}})
    return 7


@tool(effect="idempotent", retry=QUICK)
async def set_address(order: str, street: str, *, call: Call) -> dict[str, Any]:
    """Change where an order goes."""
    return await performed("set_address", call, order=order, street=street)


@tool(effect="irreversible")
async def refund(order: str, amount: int, *, call: Call) -> dict[str, Any]:
    """Refund an order."""
    return await performed("refund", call, order=order, amount=amount)


@refund.reconcile
async def refund_happened(call: Call) -> Done[Any] | NotDone:
    return happened(call)


@tool(effect="irreversible", timeout="50ms")
async def refund_slowly(order: str, *, call: Call) -> dict[str, Any]:
    """Refund an order, and take longer than this tool may."""
    result = await performed("refund_slowly", call, order=order)
    while not await World.current.recorded("call_in_doubt"):
        await asyncio.sleep(0.001)
    return result


@tool(effect="read")
async def find_slowly(order: str, *, call: Call) -> str:
    """Find an order, and answer only when the other results of this turn are recorded."""
    await World.current.outside.book("find_slowly", call.idempotency_key)
    while not await World.current.recorded("call_completed"):
        await asyncio.sleep(0.001)
    return order


@tool(effect="irreversible")
async def send_letter(order: str, *, call: Call) -> dict[str, Any]:
    """Send a letter; nobody can tell afterwards whether it was sent, but for the ledger's owner."""
    return await performed("send_letter", call, order=order)


@tool(effect="compensatable", undo=set_address)
async def reserve(order: str, *, call: Call) -> dict[str, Any]:
    """Reserve an item."""
    return await performed("reserve", call, order=order)


@reserve.reconcile
async def reserve_happened(call: Call) -> Done[Any] | NotDone:
    return happened(call)


@tool(effect="irreversible", approval=Approval(timeout="24h"))
async def pay_out(order: str, amount: int, *, call: Call) -> dict[str, Any]:
    """Pay out money, if a person says so."""
    return await performed("pay_out", call, order=order, amount=amount)


@pay_out.reconcile
async def pay_out_happened(call: Call) -> Done[Any] | NotDone:
    return happened(call)


@tool(effect="idempotent", approval=Approval(timeout="24h", on_timeout="approve"), retry=QUICK)
async def close_ticket(order: str, *, call: Call) -> dict[str, Any]:
    """Close a ticket, unless a person says no."""
    return await performed("close_ticket", call, order=order)


@tool(effect="idempotent", retry=QUICK)
async def flaky(order: str, times: int, *, call: Call) -> dict[str, Any]:
    """Fail at the first attempts."""
    if call.attempt <= times:
        raise ConnectionError("the line is down")
    return await performed("flaky", call, order=order)


@tool(effect="idempotent", retry=1)
async def broken(order: str) -> dict[str, Any]:
    """Fail always."""
    raise ValueError("it never works")


@tool(effect="irreversible")
async def declined(order: str) -> dict[str, Any]:
    """Say that it was not done."""
    raise NotPerformed("the account is closed")


@tool(effect="irreversible", retry=QUICK)
async def pay_later(order: str, *, call: Call) -> dict[str, Any]:
    """Say at first that it was not done, and may be."""
    if call.attempt == 1:
        raise TryAgain("the bank is closed")
    return await performed("pay_later", call, order=order)


@pay_later.reconcile
async def pay_later_happened(call: Call) -> Done[Any] | NotDone:
    return happened(call)


@tool(effect="irreversible")
async def refund_and_fail(order: str, *, call: Call) -> dict[str, Any]:
    """Do it, and fail then."""
    await performed("refund_and_fail", call, order=order)
    raise ConnectionError("no answer came")


@refund_and_fail.reconcile
async def refund_and_fail_happened(call: Call) -> Done[Any] | NotDone:
    return happened(call)


@tool(effect="irreversible")
async def fail_then_refund(order: str, *, call: Call) -> dict[str, Any]:
    """Fail before anything was done, the first time."""
    if call.attempt == 1:
        raise ConnectionError("no answer came")
    return await performed("fail_then_refund", call, order=order)


@fail_then_refund.reconcile
async def fail_then_refund_happened(call: Call) -> Done[Any] | NotDone:
    return happened(call)


@tool(effect="irreversible")
async def refund_who_knows(order: str, *, call: Call) -> dict[str, Any]:
    """Do it, and fail then; reconcile can't tell."""
    await performed("refund_who_knows", call, order=order)
    raise ConnectionError("no answer came")


@refund_who_knows.reconcile
async def refund_who_knows_happened() -> Unknown:
    return Unknown("the bank does not say")


@tool(effect="idempotent", retry=QUICK)
async def ship(order: str, *, call: Call) -> Pending:
    """Ship an order; the carrier says when it has arrived."""
    await World.current.outside.book("ship", call.idempotency_key, call=call.id, token=call.token)
    return Pending(timeout="24h")


@tool(effect="idempotent", retry=QUICK)
async def ship_fast(order: str, *, call: Call) -> Pending:
    """Ship an order with a carrier who is faster than this function."""
    await World.current.outside.book("ship_fast", call.idempotency_key)
    await World.current.complete(call.id, call.token, status="done", result="arrived")
    return Pending(timeout="24h")


@tool(effect="idempotent", retry=QUICK)
async def ship_hesitantly(order: str, *, call: Call) -> Pending:
    """Ship an order with a carrier who is too fast, and who forgets it the first time."""
    outside = World.current.outside
    await outside.book("ship_hesitantly", call.idempotency_key)
    again = len(outside.entries("ship_hesitantly", call.idempotency_key)) > 1
    said = {"status": "done", "result": "arrived"} if again else {"status": "not_done"}
    await World.current.complete(call.id, call.token, **said)
    return Pending(timeout="24h")


@tool(effect="irreversible")
async def ship_for_good(order: str, *, call: Call) -> Pending:
    """Ship an order that can't come back, with a carrier who is faster than this function."""
    result = (await performed("ship_for_good", call, order=order))["receipt"]
    await World.current.complete(call.id, call.token, status="done", result=result)
    return Pending(timeout="24h")


@tool(effect="idempotent", retry=QUICK)
async def ship_quietly(order: str, *, call: Call) -> Pending:
    """Ship an order with a carrier who has to be asked."""
    await World.current.outside.book("ship_quietly", call.idempotency_key)
    return Pending(timeout="24h", poll_every="10m")


@ship_quietly.poll
async def quietly_arrived(call: Call) -> Done[str] | Pending:
    outside = World.current.outside
    await outside.book("asked", call.idempotency_key)
    times = len(outside.entries("asked", call.idempotency_key))
    return Done("arrived") if times > 2 else Pending("24h", "10m")


@tool(effect="idempotent", retry=QUICK)
async def ship_and_forget(order: str, *, call: Call) -> Pending:
    """Ship an order with a carrier who never says anything."""
    await World.current.outside.book("ship_and_forget", call.idempotency_key)
    return Pending(timeout="1h")


@tool(effect="read", retry=QUICK)
async def read_archive(pages: int, *, call: Call) -> str:
    """Read much."""
    await performed("read_archive", call, pages=pages)
    return "archive " * pages * 500


@tool(effect="idempotent", retry=QUICK)
async def write_archive(text: str, *, call: Call) -> int:
    """Write much."""
    await performed("write_archive", call, size=len(text))
    return len(text)


@tool(effect="read", retry=QUICK)
async def nap(hours: int, *, call: Call) -> Pending:
    """Wait, and do nothing else."""
    await World.current.outside.book("nap", call.idempotency_key)
    return Pending(timeout=f"{hours}h", ends="done")


@tool(effect="irreversible")
async def print_label(order: str, *, call: Call) -> File:
    """Print a label, and give its picture."""
    await performed("print_label", call, order=order)
    return File(data=b"label of order " + order.encode(), media_type="image/png", name="label.png")


@print_label.reconcile
async def label_printed(call: Call) -> Done[Any] | NotDone:
    done = World.current.outside.entries("print_label", call.idempotency_key)
    return Done(File(data=b"label of order 7", media_type="image/png", name="label.png")) if done else NotDone()


@tool(effect="irreversible")
async def refund_while_cancelled(order: str, *, call: Call) -> dict[str, Any]:
    """Refund an order; meanwhile somebody cancels the session."""
    result = await performed("refund_while_cancelled", call, order=order)
    await World.current.cancel()
    return result


@refund_while_cancelled.reconcile
async def refund_while_cancelled_happened(call: Call) -> Done[Any] | NotDone:
    return happened(call)


@tool(effect="idempotent", retry=QUICK)
async def call_back(order: str, *, call: Call) -> dict[str, Any]:
    """Do something slow; meanwhile somebody writes, and another process looks."""
    result = await performed("call_back", call, order=order)
    await World.current.send("are you there?")
    await World.current.process("visitor").look()
    return result


@tool(effect="idempotent", retry=QUICK)
async def jump(seconds: float, *, call: Call) -> float:
    """Somebody sets the clock, and another process looks what is to be done."""
    await World.current.outside.book("jump", call.idempotency_key)
    World.current.clock.jump(seconds)
    await World.current.process("visitor").look()
    return seconds


@tool(effect="read", retry=QUICK)
async def deploy(version: str) -> str:
    """A new release is rolled out while this runs."""
    World.current.programs = TWO_VERSIONS
    for worker in World.current.processes:
        worker.deploy(TWO_VERSIONS)
    return version


TOOLS = [
    find_order, find_slowly, count_stock, set_address, refund, refund_slowly, send_letter, reserve, pay_out,
    close_ticket, flaky, broken, declined, refund_and_fail, fail_then_refund, refund_who_knows, ship, ship_fast,
    ship_hesitantly, ship_for_good, ship_quietly, ship_and_forget, read_archive, write_archive,
    refund_while_cancelled, call_back, jump, deploy, nap, print_label,
]  # fmt: skip


def turn(*calls: tuple[str, dict[str, Any]], text: str = "", **more: Any) -> dict[str, Any]:
    """A turn of the model that asks for these calls."""
    return {"text": text, "calls": [{"tool": name, "arguments": arguments} for name, arguments in calls], **more}


HOOKS = (Webhook("https://hooks.example.com/onward", secret="HOOKS", on=("approval_requested", "ended")),)


def desk(*turns: dict[str, Any], limits: Limits | None = None, webhooks: Sequence[Webhook] = ()) -> App:
    """An application with one agent, `desk`, whose model plays these turns and then says good-bye."""
    model = WatchedModel(ScriptedModel([*turns, {"text": "good-bye"}, {"text": "good-bye again"}]))
    agent = Agent("desk", model=model, tools=TOOLS, limits=limits)
    return App([agent], webhooks=webhooks, secrets={"HOOKS": "known to the receiver"})


@tool(effect="irreversible", approval=Approval(timeout="24h", people=2, remind="4h"))
async def pay_much(order: str, *, call: Call) -> dict[str, Any]:
    """Pay out much money, if two people say so."""
    return await performed("pay_much", call, order=order)


@pay_much.reconcile
async def pay_much_happened(call: Call) -> Done[Any] | NotDone:
    return happened(call)


TOOLS.append(pay_much)


@tool(effect="irreversible", approval=Approval(timeout="24h", by=["ann@example.com"]))
async def pay_for_ann(order: str, *, call: Call) -> dict[str, Any]:
    """Pay out money, if Ann says so, or whoever she asks."""
    return await performed("pay_for_ann", call, order=order)


@pay_for_ann.reconcile
async def pay_for_ann_happened(call: Call) -> Done[Any] | NotDone:
    return happened(call)


TOOLS.append(pay_for_ann)


class Down:
    """A model that is never there."""

    name = "down"

    async def answer(self, request: ModelRequest) -> ModelAnswer:
        await World.current.outside.book("model", "down")
        raise ModelUnavailable("it is down")


class Chatty:
    """A model that looks for the same order until it is told a summary, which it makes itself when it is asked to."""

    name = "chatty"

    async def answer(self, request: ModelRequest) -> ModelAnswer:
        await World.current.outside.book("model", "chatty")
        if not request.tools:
            return ModelAnswer(text=f"{len(request.transcript)} things were said", usage=Usage(output_tokens=9))
        if any(entry.kind == "summary" for entry in request.transcript):
            return ModelAnswer(text="good-bye")
        calls = (ModelCall("find_order", {"order": "7"}), ModelCall("refund", {"order": "7", "amount": 1}))
        return ModelAnswer(calls=calls, usage=Usage(input_tokens=15 * len(request.transcript)))


def chatty(by: Any = None) -> App:
    """An agent whose transcript is made shorter when it has had three answers."""
    compaction = Compaction(at=100, keep=1, by=by)
    agent = Agent("desk", model=Chatty(), tools=[find_order, refund], compaction=compaction, limits=None)
    return App([agent])


def scripted(*turns: dict[str, Any]) -> WatchedModel:
    """A model that plays these turns and then says good-bye, for whatever session asks."""
    return WatchedModel(ScriptedModel([*turns, {"text": "good-bye"}, {"text": "good-bye again"}]), None)


_TAKING_OVER = scripted({"text": "not said"}, turn(("refund", {"order": "7", "amount": 2})))
_BACK = Agent("back", model=_TAKING_OVER, tools=[refund])
_HELPER = Agent("helper", model=scripted(turn(("refund", {"order": "7", "amount": 3}))), tools=[refund])


class Amount(BaseModel):
    """What an agent is to answer."""

    amount: int


class Clerk(Program):
    """A program that is no agent: it waits for a timer of its own, has one call made, and ends with its result."""

    name = "clerk"
    version = "1"
    follows = False

    def performer(self, call: OpenCall, state: State) -> Any:
        return refund if call.tool == "refund" else None

    def decide(self, state: State) -> Decision:
        actor = Actor(kind="program", name=self.name)
        assert state.at is not None
        if not state.fired and "user:soon" not in state.timers:
            return Record((TimerSet(timer="soon", due_at=state.at + timedelta(hours=1)),), actor)
        if state.fired and not state.proposed:
            arguments = {"order": "7", "amount": 3}
            proposal = Proposal(tool="refund", effect="irreversible", digest=digest(["refund", arguments]))
            return Record((CallsProposed(calls=[proposal], arguments=[arguments]),), actor)
        if state.proposed and not state.calls and state.last is not None:
            return Record((SessionCompleted(output=state.last.value),), actor)
        return Rest()


CLERK = App([Clerk()])


class Boss(Program):
    """A program that has errands run by sessions of their own, all at once, and ends with what the last one brought."""

    name, version, follows = "boss", "1", False

    def __init__(self, *errands: Child, inputs: tuple[Any, ...] = ("run",)) -> None:
        self._errands = errands
        self._inputs = inputs

    def elsewhere(self, call: OpenCall, state: State) -> Child | Handover | None:
        return self._errands[int(call.tool.removeprefix("errand"))]

    def performer(self, call: OpenCall, state: State) -> None:
        return None

    def decide(self, state: State) -> Decision:
        actor = Actor(kind="program", name=self.name)
        if not state.proposed:
            named = [(f"errand{at}", {"input": input}) for at, input in enumerate(self._inputs)]
            calls = [Proposal(tool=name, effect="idempotent", digest=digest([name, given])) for name, given in named]
            return Record((CallsProposed(calls=calls, arguments=[given for _, given in named]),), actor)
        if not state.calls and state.last is not None:
            return Record((SessionCompleted(output=state.last.value),), actor)
        return Rest()


def team(*turns: dict[str, Any], errands: tuple[Child, ...] = (Child("desk", "1"),), **options: Any) -> App:
    """A boss whose errands an agent runs, whose model plays these turns."""
    model = WatchedModel(ScriptedModel([*turns, {"text": "good-bye"}, {"text": "good-bye again"}]), None)
    helper = Agent("desk", model=model, tools=TOOLS, limits=None)
    return App([Boss(*errands, **options), helper])


class Stumbler(Clerk):
    """A program whose decision fails as long as it is told to; the fault is in its code, not in the world."""

    name = "stumbler"
    fails = True

    def decide(self, state: State) -> Decision:
        if state.fired and state.step_failures < 2:
            raise ZeroDivisionError("a bug in a program")
        return super().decide(state)


STUMBLER = App([Stumbler()])

_ONE = Agent(
    "desk", model=WatchedModel(ScriptedModel([turn(("deploy", {"version": "2"})), {"text": "from one"}])), tools=TOOLS
)
_TWO = Agent(
    "desk",
    model=WatchedModel(
        ScriptedModel(
            [turn(("deploy", {"version": "2"})), turn(("refund", {"order": "1", "amount": 2})), {"text": "from two"}]
        )
    ),
    tools=TOOLS,
    version="2",
)
ONE_VERSION = App([_ONE])
TWO_VERSIONS = App([_ONE, _TWO])

FALLBACK = App([Agent("desk", model=[Down(), scripted(turn(("refund", {"order": "7", "amount": 4})))], tools=[refund])])


def branched(*turns: dict[str, Any]) -> App:
    """An agent whose sessions are branched: its model answers for all of them."""
    return App([Agent("desk", model=scripted(*turns), tools=TOOLS, limits=None)])


_WORDS = scripted({"text": "three"}, {"text": '{"amount": "x"}'}, {"text": '{"amount": 3}'})
STRUCTURED = App([Agent("desk", model=_WORDS, output_type=Amount)])

_PASSING = scripted(turn(("transfer_to_back", {}), ("find_order", {"order": "7"})))
HANDOVER = App([Agent("desk", model=_PASSING, tools=[find_order], handovers=[_BACK])])

_LEADING = scripted(turn(("helper", {"input": "refund it"}), ("refund", {"order": "8", "amount": 1})))
ASKING = App([Agent("desk", model=_LEADING, tools=[_HELPER, refund])])

_TALKING = scripted({"text": "hello"}, turn(("refund", {"order": "7", "amount": 5})))
CONVERSATION = App([Agent("desk", model=_TALKING, tools=[refund], conversation=True)])
