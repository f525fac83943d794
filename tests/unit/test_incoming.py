"""What comes as a message: decisions of people whom nobody has checked."""

from __future__ import annotations

from typing import Any

import pytest

from onward import Agent, App, Approval, Refused, ScriptedModel, tool
from onward.adapters.gcp.messages import Told
from onward.core.events import Actor
from onward.core.ids import session_key
from onward.engine.gateway import Start
from onward.surfaces.functions.incoming import Incoming
from onward.testing.runner import Runner


@tool(approval=Approval())
def pay() -> str:
    """Pay."""
    return "paid"


@tool(effect="read", approval=Approval(allow_unverified=True))
def look() -> str:
    """Look."""
    return "seen"


async def asked(called: str) -> tuple[Runner, Incoming, dict[str, Any]]:
    """A session that asks a person about this tool, and what a decision on it says."""
    model = ScriptedModel([{"calls": [{"tool": called}]}, {"text": "done"}])
    app = App(programs=[Agent("desk", model=model, tools=[pay, look])])
    runner = Runner(app)
    await runner.parts.gateway.start(Start("s", "desk", "1", "go"), Actor(kind="person", name="ann"))
    await runner.settle()
    head = await runner.backend.store.read(session_key("default", "s"))
    assert head is not None
    (wait,) = head.waits
    body = {"call": wait.call, "digest": wait.digest, "verdict": "approved"}
    return runner, Incoming(runner.parts, app), body


async def test_g8_a_decision_that_comes_as_a_message_is_refused() -> None:
    _, incoming, body = await asked("pay")
    with pytest.raises(Refused, match="only an identified person decides"):
        await incoming.wake(Told("default", "s", "decision", "1", body, by="ann"))


async def test_g8_where_it_is_allowed_it_counts_and_is_recorded_as_what_it_is() -> None:
    runner, incoming, body = await asked("look")
    wake = await incoming.wake(Told("default", "s", "decision", "1", body, by="ann"))
    await runner.parts.engine.advance(wake)
    await runner.settle()
    commits = await runner.backend.store.commits(session_key("default", "s"))
    events = [event for commit in commits for event in runner.parts.loader.events(commit)]
    (decided,) = [event for event in events if event.kind == "approval_decided"]
    assert decided.actor == Actor(kind="unverified", name="ann")
    assert (await runner.state("s")).ended == "completed"
