"""What the benchmarks run: a chain of durable steps, and an agent that calls a tool each turn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onward import Agent, App, Call, Limits, Pending, ScriptedModel, tool
from onward.core import events as ev
from onward.core.canonical import digest
from onward.core.events import Actor, Proposal
from onward.core.model import ModelRequest
from onward.core.program import Decision, Performer, Program, Record, Rest
from onward.core.state import OpenCall, State

ACTOR = Actor(kind="program", name="chain")
RESULT = "x" * 200


@tool(effect="read")
async def step(number: int) -> str:
    """One step that costs nothing and answers 200 bytes."""
    return RESULT


@tool(effect="read")
async def wait_outside(number: int) -> Pending:
    """Something that goes on outside."""
    return Pending(timeout="1d")


class Chain(Program):
    """As many steps, one after the other, as the session's input says; each is one recorded result."""

    follows = False

    def __init__(self, name: str = "chain", of: Any = step) -> None:
        self.name = name
        self.version = "1"
        self.tool = of

    def decide(self, state: State) -> Decision:
        done = len(state.transcript) - 1
        if state.calls or not state.transcript:
            return Rest()
        if done >= state.input:
            return Record((ev.SessionCompleted(output=done),), ACTOR)
        arguments = {"number": done}
        call = Proposal(tool=self.tool.name, effect=self.tool.effect, digest=digest([self.tool.name, arguments]))
        return Record((ev.CallsProposed(calls=[call], arguments=[arguments]),), ACTOR)

    def performer(self, call: OpenCall, state: State) -> Performer | None:
        return self.tool if call.tool == self.tool.name else None


@tool(effect="idempotent")
async def look_up(order: str, *, call: Call) -> dict[str, str]:
    """Look an order up."""
    return {"order": order, "status": "shipped", "key": call.idempotency_key}


def turn(request: ModelRequest) -> Mapping[str, Any]:
    """As many turns with a call each as the input says, then an answer."""
    turns = request.transcript[0].value
    at = (len(request.transcript) - 1) // 2
    if at >= turns:
        return {"text": "Your order is on its way."}
    return {"text": "", "calls": [{"tool": "look_up", "arguments": {"order": f"A-{at}"}}]}


agent = Agent("support", model=ScriptedModel([turn] * 1001), tools=[look_up], limits=Limits(turns=2000))
app = App(programs=[Chain(), Chain("outside", wait_outside), agent])
