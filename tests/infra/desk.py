"""What the functions run while their calls are recorded: agents that do all that an agent can do to a deployment."""

from __future__ import annotations

import json
import os
from pathlib import Path

from onward import Agent, App, Approval, Call, File, Pending, ScriptedModel, Webhook, tool

LEDGER = Path(os.environ["LEDGER"])
LARGE, LONG, HUGE = 100_000, 20_000, 10_000_000
"""Characters: of what lies in the bucket by itself, of what makes a fold too large for the head, and of what is sent to
the bucket in parts."""


@tool(effect="read")
async def gather(about: str) -> str:
    """Look up a lot."""
    return f"{about} " * (LARGE // (len(about) + 1))


@tool(effect="read")
async def recall(about: str) -> str:
    """Look up less."""
    return f"{about} " * (LONG // (len(about) + 1))


@tool(effect="idempotent")
async def draw(about: str) -> File:
    """Draw something."""
    return File.named(f"{about}.txt", b"x" * HUGE)


@tool(effect="irreversible", approval=Approval(timeout="10m", on_timeout="deny"), timeout="5s")
async def refund(order: str) -> str:
    """Refund an order."""
    return f"refunded {order}"


@tool(effect="irreversible", approval=Approval(timeout="1s", on_timeout="deny"), timeout="5s")
async def hurry(order: str) -> str:
    """Refund an order, if somebody says so at once."""
    return f"refunded {order}"


@tool(effect="irreversible", timeout="5s")
async def ship(order: str, *, call: Call) -> Pending:
    """Hand a parcel over to those who will say how it went."""
    with LEDGER.open("a") as file:
        file.write(json.dumps({"session": call.session, "token": call.token}) + "\n")
    return Pending(timeout="10m")


def turn(*calls: tuple[str, str, str]) -> dict[str, object]:
    """A turn of the model: tools, each with its one argument."""
    return {"calls": [{"tool": tool, "arguments": {name: value}} for tool, name, value in calls]}


clerk = Agent("clerk", model=ScriptedModel([{"text": "Filed. " * LONG}]), instructions="File.")
WORK = [
    turn(("gather", "about", "orders")),
    *(turn(("recall", "about", f"order-{number}")) for number in range(8)),
    turn(("draw", "about", "parcel")),
    turn(("clerk", "input", "File it."), ("refund", "order", "A-1")),
    {"text": "Done."},
]
tools = [gather, recall, draw, refund, hurry, ship, clerk.as_tool()]


def agent(name: str, *first: dict[str, object]) -> Agent:
    return Agent(name, model=ScriptedModel([*first, *WORK]), instructions="Work.", tools=tools)


app = App(
    programs=[
        agent("prompt-desk"),
        agent("late-desk", turn(("hurry", "order", "A-1"))),
        agent("ship-desk", turn(("ship", "order", "A-1"))),
        Agent("refund-desk", model=ScriptedModel([turn(("refund", "order", "A-1")), {"text": "Done."}]), tools=tools),
        clerk,
    ],
    webhooks=[Webhook("http://127.0.0.1:9/", secret="HOOKS_SECRET", name="nobody", allow_private=True)],
)
