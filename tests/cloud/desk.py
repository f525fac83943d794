"""What the functions run in these tests: agents that play scripts, and tools that note in a file what they did.

The file is named by LEDGER; who is to be killed is found there by its process.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from onward import Agent, App, Approval, Call, Context, Done, NotDone, Pending, ScriptedModel, Webhook, tool, workflow

LEDGER = Path(os.environ["LEDGER"])


def book(what: str, call: Call, **more: str) -> int:
    """Write down what was done, and how often before."""
    before = sum(entry["what"] == what and entry["key"] == call.idempotency_key for entry in entries())
    done = {"what": what, "key": call.idempotency_key, "session": call.session, "process": os.getpid()}
    line = json.dumps(done | more)
    with LEDGER.open("a") as file:
        file.write(f"{line}\n")
    return before


def entries() -> list[dict[str, Any]]:
    return [json.loads(line) for line in LEDGER.read_text().splitlines()] if LEDGER.exists() else []


@tool(effect="irreversible", approval=Approval(timeout="10m", on_timeout="deny"), timeout="5s")
async def refund(order: str, *, call: Call) -> str:
    """Refund an order."""
    book("refund", call)
    return f"refunded {order}"


@tool(effect="irreversible", approval=Approval(timeout="1s", on_timeout="deny"), timeout="5s")
async def hurry(order: str, *, call: Call) -> str:
    """Refund an order, if somebody says so at once."""
    book("hurry", call)
    return f"refunded {order}"


@tool(effect="irreversible", timeout="3s")
async def wire(order: str, *, call: Call) -> str:
    """Wire money, and take long to say so."""
    book("wire", call)
    await asyncio.sleep(60)
    return f"wired {order}"


@wire.reconcile
async def was_wired(call: Call) -> Done[str] | NotDone:
    """Asked when it is in doubt."""
    keys = [entry["key"] for entry in entries() if entry["what"] == "wire"]
    return Done("wired, says the bank") if call.idempotency_key in keys else NotDone()


@tool(effect="read", timeout="20s")
async def look(order: str, *, call: Call) -> str:
    """Look something up: slowly at first."""
    if not book("look", call):
        await asyncio.sleep(15)
    return f"{order} is fine"


@tool(effect="idempotent", timeout="20s")
async def pack(order: str, *, call: Call) -> str:
    """Pack a parcel, for a second and a half."""
    book("pack", call)
    await asyncio.sleep(1.5)
    return f"packed {order}"


@tool(effect="irreversible", timeout="5s")
async def ship(order: str, *, call: Call) -> Pending:
    """Hand a parcel over to those who will say how it went."""
    book("ship", call, token=call.token)
    return Pending(timeout="10m")


@tool(effect="irreversible", approval=Approval(timeout="10m", on_timeout="deny"), timeout="5s")
async def letter(order: str, *, call: Call) -> str:
    """Send a letter, of which a webhook is told that somebody is asked."""
    book("letter", call)
    return f"sent {order}"


class Payment(BaseModel):
    amount: int


@workflow
async def payments(ctx: Context, order: str) -> dict[str, Any]:
    """Wait for two payments, and for a word."""
    paid = [(await ctx.signal("paid", Payment, timeout="1h")).amount for _ in range(2)]
    return {"order": order, "paid": paid, "said": await ctx.input(str, timeout="1h")}


def agent(of: Any) -> Agent:
    """One that calls this tool once, and says that all is done."""
    turns = [{"calls": [{"tool": of.name, "arguments": {"order": "A-1"}}]}, {"text": "Done."}]
    return Agent(f"{of.name}-desk", model=ScriptedModel(turns), instructions="Work.", tools=[of])


def chat(url: str) -> Webhook:
    """A webhook that hears of letters, on this machine."""
    return Webhook(url, secret="HOOKS_SECRET", name="chat", programs=["letter-desk"], allow_private=True)


hooks = [chat(os.environ["HOOKS_URL"])] if "HOOKS_URL" in os.environ else []
agents = [agent(of) for of in (refund, hurry, wire, look, pack, ship, letter)]
app = App(programs=[*agents, payments], webhooks=hooks)
