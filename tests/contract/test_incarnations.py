from typing import Any

import pytest

from onward import Agent, App, Approval, ScriptedModel, tool
from onward.core.events import Actor
from onward.core.head import Head
from onward.core.ids import session_key
from onward.engine.gateway import Start
from onward.testing.clock import ManualClock
from onward.testing.contracts import IncarnationsContract
from onward.testing.runner import Runner

ANN, OLGA = Actor(kind="person", name="ann@example.com"), Actor(kind="operator", name="olga")
KEY = session_key("default", "s")
EVERYWHERE = pytest.mark.parametrize("backend", ["memory", "sqlite", "firestore"], indirect=True)
REFUND = {"calls": [{"tool": "refund", "arguments": {"amount": 5}}]}


@EVERYWHERE
class TestIncarnations(IncarnationsContract):
    pass


def desk(books: list[str]) -> App:
    @tool(effect="irreversible", approval=Approval(timeout="24h"))
    async def refund(amount: int) -> str:
        """Refund."""
        books.append(f"refund {amount}")
        return "refunded"

    return App(programs=[Agent("desk", model=ScriptedModel([REFUND, {"text": "done"}]), tools=[refund])])


async def head_of(backend: Any) -> Head:
    head = await backend.store.read(KEY)
    assert isinstance(head, Head)
    return head


async def signal(runner: Runner, kind: str, body: dict[str, Any], sender: Actor) -> Head:
    await runner.parts.gateway.signal(KEY, kind, body, sender, kind)
    await runner.settle()
    return await head_of(runner.backend)


@EVERYWHERE
async def test_r22_a_refund_of_before_the_restore_is_made_after_a_look(backend: Any, clock: ManualClock) -> None:
    books: list[str] = []
    runner = Runner(desk(books), backend=backend, clock=clock)
    await runner.parts.gateway.start(Start(id="s", program="desk", version="1", input="hello"), ANN)
    await runner.settle()
    await backend.incarnations.record(OLGA, "the disk broke", clock.now())
    clock.advance(10)
    asked = (await head_of(backend)).waits[0]
    decision = {"call": asked.call, "digest": asked.digest, "verdict": "approved"}
    head = await signal(runner, "decision", decision, ANN)
    assert (head.status, head.error and head.error.code, head.incarnation, books) == (
        "needs_attention",
        "restored",
        1,
        [],
    )
    head = await signal(runner, "resume", {"reason": "the bank has nothing of it"}, OLGA)
    assert (head.status, head.incarnation, books) == ("completed", 2, ["refund 5"])
