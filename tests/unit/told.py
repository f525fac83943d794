"""Sessions whose webhook is a server on this machine, which checks what it is sent as a stranger would."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from onward import Agent, App, Approval, ScriptedModel, Webhook, tool
from onward.adapters.local.memory import MemoryBackend
from onward.adapters.local.sqlite import SqliteBackend
from onward.core.ids import session_key
from onward.testing.faults import Killed, Plan, Process, kill_before
from onward.testing.runner import AutoClock, Runner
from onward.wiring import Policy
from tests.emulator.sink import Arrival, Sink
from tests.unit.play import Play, call

SECRET = "whsec_" + base64.b64encode(b"a key of twenty-four b..").decode()
KEY = session_key("default", "s")


def hook(url: str = "https://hooks.example.com/onward", **more: Any) -> Webhook:
    return Webhook(url, secret="HOOKS", **more)


def verified(secret: bytes, arrival: Arrival) -> dict[str, Any]:
    """As a receiver does it that has only read the specification."""
    headers = arrival.headers
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + arrival.body
    expected = base64.b64encode(hmac.digest(secret, content, hashlib.sha256)).decode()
    given = [word.partition(",")[2] for word in headers["webhook-signature"].split(" ") if word.startswith("v1,")]
    assert any(hmac.compare_digest(expected, one) for one in given)
    said: dict[str, Any] = json.loads(arrival.body)
    assert said["id"] == headers["webhook-id"]
    return said


def a_desk(*turns: Any, approval: Approval | None = None, **options: Any) -> Agent:
    @tool(effect="irreversible", approval=approval or Approval(timeout="24h", remind="1h"))
    async def pay(amount: int, note: str = "") -> str:
        """Pay."""
        return f"paid {amount}"

    @tool(effect="irreversible")
    async def send(text: str) -> str:
        """Send."""
        raise RuntimeError("connection reset")

    script = turns or ({"calls": [call("pay", amount=500)]}, {"text": "done"})
    return Agent("desk", model=ScriptedModel(list(script)), tools=[pay, send], **options)


class Told(Play):
    """A session of a desk whose webhook is a server on this machine."""

    def __init__(self, sink: Sink, world: Any = None, *turns: Any, **more: Any) -> None:
        clock, backend = world or (None, None)
        desk = more.pop("desk", None) or a_desk(*turns)
        policy = Policy(console="https://console.example.com/")
        self.sink = sink
        hooks = [Webhook(f"{sink.url}/token", secret="HOOKS", allow_private=True, name="chat", **more)]
        app = App(programs=[desk], webhooks=hooks, secrets={"HOOKS": SECRET})
        super().__init__(app=app, backend=backend, clock=clock, policy=policy)

    def told(self) -> list[dict[str, Any]]:
        """What arrived, every signature verified."""
        return [verified(base64.b64decode(SECRET.removeprefix("whsec_")), arrival) for arrival in self.sink.arrivals]

    def types(self) -> list[str]:
        return [said["type"] for said in self.told()]


@asynccontextmanager
async def crashed(sink: Sink, world: Any, at: str) -> AsyncIterator[Told]:
    """A session whose process died before its first call of this name, and that another one has taken over."""
    clock, backend = world
    play, process = Told(sink, world), Process("first", plan := Plan())
    first = Runner(process.programs(play.app), backend=process.backend(backend), clock=clock)
    await play.start(settle=False)
    plan._faults = Nth(plan, at)  # type: ignore[assignment]
    with pytest.raises(Killed):
        await first.settle()
    async with left_by(backend, clock) as left:
        later = Told(sink, (clock, left))
        await later.pass_time(200)
        yield later


@asynccontextmanager
async def left_by(backend: Any, clock: AutoClock) -> AsyncIterator[Any]:
    """The backend as the next process finds it, once leases have lapsed."""
    clock.advance(200)
    if isinstance(backend, MemoryBackend):
        backend.queue.redeliver()
        yield backend
        return
    backend.database.holders.abandon()
    left = SqliteBackend.open(backend.database.path, clock)
    yield left
    await left.close()


class Nth:
    """The fault of a plan: death before the first call of this name."""

    def __init__(self, plan: Plan, name: str) -> None:
        self._plan, self._name = plan, name

    def get(self, number: int) -> Any:
        return kill_before if self._plan.calls[number - 1] == self._name else None


async def owing(sink: Sink) -> Told:
    """A session whose holder died between the append that owes and the payment."""
    play = Told(sink)
    process = Process("first", plan := Plan())
    first = Runner(process.programs(play.app), backend=process.backend(play.runner.backend), clock=play.runner.clock)
    await play.start(settle=False)
    plan._faults = Nth(plan, "timers.send")  # type: ignore[assignment]
    with pytest.raises(Killed):
        await first.settle()
    play.runner.backend.queue.redeliver()
    play.runner.clock.advance(200)
    assert (await play.head()).owed
    return play
