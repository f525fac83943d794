"""What the functions run in the tests of chaos: tools that note what they did, and ports that end their process.

LEDGER names the file of what was done, DEATHS the folder of what was passed, CLOCK_OFFSET the seconds by which this
process is ahead of the others, and WRONG whether it is wrong on purpose.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from onward import Agent, App, Approval, Call, Done, NotDone, ScriptedModel, tool
from onward.adapters.gcp.firestore import FirestoreStore
from onward.adapters.gcp.pubsub import PubSubFeed, PubSubWakes, Topic
from onward.adapters.gcp.tasks import TaskTimers
from onward.adapters.local.clock import SystemClock
from onward.core.ids import session_key
from tests.cloud.chaos_plan import LATE, PARTS, WRONG
from tests.cloud.chaos_wrong import go_wrong

LEDGER, DEATHS = Path(os.environ["LEDGER"]), Path(os.environ["DEATHS"])
LATE_BY = 2.0
"""Seconds that go by between a call and its answer where the plan says so."""

PLAN = {session_key("default", id): part for id, part in (PARTS | LATE | WRONG).items()}


# --- what is done --------------------------------------------------------------------------------------------------


def book(what: str, call: Call) -> None:
    """Write down that this was done; it is on the disk when this returns."""
    doc = {"what": what, "key": call.idempotency_key, "session": call.session, "process": os.getpid()}
    line = json.dumps(doc | {"instance": os.environ["INSTANCE"]})
    with LEDGER.open("ab", buffering=0) as file:
        file.write(f"{line}\n".encode())
        os.fsync(file.fileno())


def booked(what: str, call: Call) -> int:
    lines = LEDGER.read_text().splitlines() if LEDGER.exists() else []
    return sum((doc["what"], doc["key"]) == (what, call.idempotency_key) for doc in map(json.loads, lines))


def is_time(point: str, key: str) -> bool:
    """A session comes by this point. Whether something is to happen there."""
    part = PLAN.get(key)
    if part is None or part.point != point:
        return False
    file = os.open(DEATHS / key, os.O_APPEND | os.O_CREAT | os.O_WRONLY)
    os.write(file, b".")
    passed = os.fstat(file).st_size
    os.close(file)
    return passed == part.nth


def passes(point: str, key: str) -> None:
    """A session comes by this point. If its process is to die here, it does."""
    if is_time(point, key):
        os.kill(os.getpid(), signal.SIGKILL)


@tool(effect="read", timeout="5s")
async def look(order: str, *, call: Call) -> str:
    """Look something up."""
    book("look", call)
    return f"{order} is fine"


@tool(effect="idempotent", timeout="5s")
async def pack(order: str, *, call: Call) -> str:
    """Pack a parcel."""
    book("pack", call)
    return f"packed {order}"


@tool(effect="irreversible", timeout="3s")
async def pay(order: str, *, call: Call) -> str:
    """Pay. It may be done, or not yet, when the process dies."""
    key = session_key("default", call.session)
    passes("pay:before", key)
    book("pay", call)
    passes("pay:after", key)
    await asyncio.sleep(0.05)
    return f"paid {order}"


@pay.reconcile
async def was_paid(call: Call) -> Done[str] | NotDone:
    """Asked when it is in doubt."""
    return Done("paid, says the bank") if booked("pay", call) else NotDone()


@tool(effect="irreversible", timeout="4s")
async def remit(order: str, *, call: Call) -> str:
    """Pay, and hear of it two seconds later."""
    book("remit", call)
    await asyncio.sleep(2)
    return f"paid {order}"


@remit.reconcile
async def was_remitted(call: Call) -> Done[str] | NotDone:
    """Asked when it is in doubt."""
    return Done("paid, says the bank") if booked("remit", call) else NotDone()


@tool(effect="irreversible", timeout="4s")
async def bet(order: str, *, call: Call) -> str:
    """Do what nobody can be asked about later, and hear of it two seconds later."""
    book("bet", call)
    await asyncio.sleep(2)
    return f"lost {order}"


@tool(effect="irreversible", timeout="3s")
async def gamble(order: str, *, call: Call) -> str:
    """Do what nobody can be asked about later."""
    book("gamble", call)
    passes("gamble:after", session_key("default", call.session))
    return f"won {order}"


@tool(effect="irreversible", timeout="30s")
async def dawdle(order: str, *, call: Call) -> str:
    """Take longer than its message may."""
    book("dawdle", call)
    await asyncio.sleep(18)
    return f"{order} at last"


@tool(effect="irreversible", approval=Approval(timeout="1s", on_timeout="deny"), timeout="3s")
async def hurry(order: str, *, call: Call) -> str:
    """Pay, if somebody says so at once."""
    book("hurry", call)
    return f"paid {order}"


@tool(effect="irreversible", approval=Approval(timeout="6s", on_timeout="deny"), timeout="3s")
async def linger(order: str, *, call: Call) -> str:
    """Pay, if somebody says so before long."""
    book("linger", call)
    return f"paid {order}"


@tool(effect="irreversible", approval=Approval(timeout="5m"), timeout="3s")
async def refund(order: str, *, call: Call) -> str:
    """Refund an order, once somebody says so."""
    book("refund", call)
    return f"refunded {order}"


TOOLS = (look, pack, pay, remit, bet, gamble, dawdle, hurry, linger, refund)


def agent(name: str, *tools: str) -> Agent:
    """One that calls these tools in turn, and says that all is done."""
    turns: list[dict[str, Any]] = [{"calls": [{"tool": tool, "arguments": {"order": "A-1"}}]} for tool in tools]
    return Agent(name, model=ScriptedModel([*turns, {"text": "Done."}]), instructions="Work.", tools=[*TOOLS])


payer = agent("payer", "pay")
_errand: dict[str, Any] = {"tool": "payer", "arguments": {"input": "Pay."}}
_own: dict[str, Any] = {"tool": "pay", "arguments": {"order": "A-2"}}
leader = Agent(
    "leader",
    model=ScriptedModel([{"calls": [_errand, _errand, _own]}, {"text": "Done."}]),
    instructions="Lead.",
    tools=[payer, pay],
)
app = App(
    programs=[
        leader,
        payer,
        agent("chain-desk", "look", "pay", "pack", "pay"),
        agent("timer-desk", "hurry", "pay"),
        agent("patient-desk", "linger"),
        agent("remit-desk", "look", "remit", "pack"),
        agent("gamble-desk", "gamble"),
        agent("bet-desk", "bet"),
        agent("refund-desk", "look", "refund"),
        agent("slow-desk", "dawdle"),
    ]
)


# --- where it ends -------------------------------------------------------------------------------------------------


def deadly(owner: type, name: str, port: str, key: Callable[[Any], str]) -> None:
    """Before and after each call of this method, the session of its first argument comes by a point."""
    real = getattr(owner, name)

    async def passing(self: Any, about: Any, *rest: Any, **more: Any) -> Any:
        passes(f"{port}:before", key(about))
        answer = await real(self, about, *rest, **more)
        if is_time(f"{port}:late", key(about)):
            await asyncio.sleep(LATE_BY)
        passes(f"{port}:after", key(about))
        return answer

    setattr(owner, name, passing)


deadly(FirestoreStore, "create", "create", lambda head: str(head.key))
deadly(FirestoreStore, "claim", "claim", str)
deadly(FirestoreStore, "append", "append", lambda lease: str(lease.key))
deadly(PubSubFeed, "publish", "feed", lambda head: str(head.key))
deadly(PubSubWakes, "publish", "wake", lambda wake: str(wake.key))
deadly(TaskTimers, "arm", "arm", str)

if ahead := os.environ.get("CLOCK_OFFSET"):

    def now(self: SystemClock, real: Callable[[SystemClock], datetime] = SystemClock.now) -> datetime:
        return real(self) + timedelta(seconds=float(ahead))

    SystemClock.now = now  # type: ignore[method-assign]

# What lasts minutes is shorter here, as leases are.
assert Topic.__init__.__kwdefaults__
Topic.__init__.__kwdefaults__["patience"] = 3.0

if os.environ.get("WRONG"):
    go_wrong()
