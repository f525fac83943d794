"""A worker in a process of its own, to be killed or frozen: `python -m tests.faults.process PLACE LEDGER TTL SESSION`.

PLACE is an SQLite file, or `firestore:HOST/PROJECT`, where each process has its messages to itself and begins with a
wake for SESSION. Its clock goes ten times as fast as the machine's, the same in all processes, and there the server's
with it, so that leases and delays take less time. SESSION may be left out.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from onward import Agent, App, Call, Context, Done, NotDone, ScriptedModel, Unknown, tool, workflow
from onward.adapters.local.memory import MemoryQueue
from onward.adapters.local.sqlite import SqliteBackend
from onward.adapters.local.worker import Worker
from onward.core.ids import session_key
from onward.engine.deciding import Registry
from onward.ports import Wake
from onward.wiring import Parts, Policy, assemble
from tests.ledger import Ledger, end_with_parent

FASTER = 10.0
BEGAN = datetime(2026, 1, 5, tzinfo=UTC)
RUN = "kills"
LEDGER: Ledger


class FastClock:
    """The Clock port, ten times as fast. All processes of one boot agree on it."""

    def now(self) -> datetime:
        return BEGAN + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return time.monotonic() * FASTER

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / FASTER)


@tool(effect="read")
async def look(order: str, *, call: Call) -> str:
    """Look something up."""
    LEDGER.book_surely(RUN, "look", {"key": call.idempotency_key})
    return order


@tool(effect="idempotent", timeout="1h")
async def wait_for_others(order: str, *, call: Call) -> str:
    """Take a while, as a well-behaved tool does."""
    LEDGER.book_surely(RUN, "wait_for_others", {"key": call.idempotency_key})
    await asyncio.sleep(0.5)
    return order


@tool(effect="idempotent", timeout="1h")
async def block(order: str, *, call: Call) -> str:
    """Block the event loop, which no tool should: its whole process stands still but for the thread that renews."""
    LEDGER.book_surely(RUN, "block", {"key": call.idempotency_key})
    time.sleep(3.5)
    return order


@tool(effect="irreversible", timeout="30s")
async def pay(order: str, *, call: Call) -> str:
    """Pay; there is a while in which it is done and nobody here knows."""
    LEDGER.book_surely(RUN, "pay", {"key": call.idempotency_key})
    await asyncio.sleep(0.05)
    return order


@pay.reconcile
async def paid(call: Call) -> Done[str] | NotDone:
    entries = LEDGER.entries(RUN)
    return Done("7") if ("pay", {"key": call.idempotency_key}) in entries else NotDone()


@tool(effect="irreversible", timeout="10s")
async def pay_late(order: str, *, call: Call) -> str:
    """Pay; the first attempt learns only when it is told to that it is done."""
    LEDGER.book_surely(RUN, "pay_late", {"attempt": call.attempt, "process": os.getpid()})
    while call.attempt == 1 and ("tell", {}) not in LEDGER.entries(RUN):
        await asyncio.sleep(0.02)
    return f"paid by attempt {call.attempt}"


@pay_late.reconcile
async def paid_late(call: Call) -> NotDone | Unknown:
    """What they say who know nothing of it yet."""
    return NotDone() if ("deny", {}) in LEDGER.entries(RUN) else Unknown()


@tool(effect="read", retry=1)
async def exit_now(order: str, *, call: Call) -> str:
    """Take the process along."""
    LEDGER.book_surely(RUN, "exit", {"key": call.idempotency_key})
    os._exit(9)


@workflow
async def brancher(ctx: Context, orders: list[str]) -> list[str]:
    """Pay in branches, beside each other."""

    async def branch(order: str) -> str:
        return await ctx.step(pay, await ctx.step(look, order))

    return await ctx.map(orders, branch)


def _turn(name: str) -> dict[str, Any]:
    return {"calls": [{"tool": name, "arguments": {"order": "7"}}]}


def _agent(name: str, *tools: str) -> Agent:
    model = ScriptedModel([*map(_turn, tools), {"text": "done"}])
    return Agent(name, model=model, tools=[look, wait_for_others, block, pay, pay_late, exit_now])


_PAYER = _agent("payer", "look", "pay", "look", "pay")
_ERRAND: dict[str, Any] = {"tool": "payer", "arguments": {"input": "go"}}
_LEADER = Agent("leader", model=ScriptedModel([{"calls": [_ERRAND, _ERRAND]}, {"text": "done"}]), tools=[_PAYER])

APP = App(
    [
        _PAYER,
        _LEADER,
        _agent("waiter", "wait_for_others"),
        _agent("blocker", "block"),
        _agent("deadly", "exit_now"),
        _agent("late", "pay_late", "look"),
        brancher,
    ]
)


class Polled(MemoryQueue):
    """Messages of one process, whose timers come by themselves."""

    async def wait(self, timeout: float | None) -> None:
        await asyncio.sleep(0.02)

    async def wait_for_errands(self) -> None:
        await asyncio.sleep(0.02)


def _on_firestore(address: str, clock: FastClock, ttl: float) -> Any:
    """Imported here, for a worker on a file starts in no time."""
    from onward.adapters.gcp.firestore_client import Client
    from tests.contract.firestore import FirestoreBackend, ServerTime

    host, _, project = address.partition("/")
    backend = FirestoreBackend(ServerTime(Client(project, emulator=host), clock), clock, ttl)  # type: ignore[arg-type]
    backend.queue = Polled(clock)
    return backend


def open_parts(place: str | Path, programs: Registry | None = None, ttl: float = 90.0) -> Parts:
    """The parts of one process at this place."""
    clock, policy = FastClock(), Policy(ttl=ttl)
    kind, _, address = str(place).partition(":")
    backend: Any = _on_firestore(address, clock, ttl) if kind == "firestore" else None
    backend = backend or SqliteBackend.open(Path(place), clock, ttl=ttl)
    return assemble(backend, clock, programs, policy=policy, process=getattr(backend, "process", None))


async def work(place: str, ttl: float, *sessions: str) -> None:
    """Advance whatever is due, until killed."""
    parts = open_parts(place, APP, ttl)
    parts.renewer.start()
    for session in sessions:
        await parts.queue.publish(Wake(session_key("default", session), look=True))
    await Worker(parts.queue, parts.engine.advance).run()


if __name__ == "__main__":
    end_with_parent()
    LEDGER = Ledger(sys.argv[2])
    asyncio.run(work(sys.argv[1], float(sys.argv[3]), *sys.argv[4:]))
