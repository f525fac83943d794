"""Workflows played in virtual time, each wake one step."""

from __future__ import annotations

from typing import Any

import pytest

from onward import App, Context, workflow
from onward.core.events import Actor, Event
from onward.core.head import Head
from onward.core.ids import session_key
from onward.core.state import State
from onward.engine.gateway import Start
from onward.testing.runner import Runner

ANN = Actor(kind="person", name="ann@example.com")
KEY = session_key("default", "s1")


class Flow:
    """One session `s1` of the newest of some programs. A new one with the same `runner` is a process after a deploy."""

    def __init__(self, *programs: Any, runner: Runner | None = None, **more: Any) -> None:
        self.app = App(list(programs))
        self.runner = runner or Runner(self.app, **more)
        if runner is not None:
            runner.parts = runner.process(self.app)

    async def start(self, input: Any = None, program: str | None = None) -> State:
        """Start it, and go on until nothing is due now."""
        await self.begin(input, program)
        return await self.settle()

    async def begin(self, input: Any = None, program: str | None = None) -> None:
        """Start it, and leave its first wake to whoever delivers it."""
        chosen = self.app.choose(program)
        await self.runner.parts.gateway.start(Start.of(chosen, "s1", version=None, limits=None, input=input), ANN)

    async def settle(self) -> State:
        await self.runner.settle()
        return await self.runner.state("s1")

    async def finish(self, within: float = 86400.0 * 400) -> State:
        """Go on, and let time pass, until nothing more will come by itself."""
        await self.runner.finish(within)
        return await self.runner.state("s1")

    async def wait(self, seconds: float) -> State:
        """Let so much time pass."""
        return await self.finish(seconds)

    async def send(self, content: Any, name: str | None = None) -> State:
        return await self.signal("input", {"content": content, "name": name})

    async def decide(self, verdict: str, **more: Any) -> State:
        """Decide the only open approval."""
        state = await self.runner.state("s1")
        (call,) = [call for call in state.calls.values() if call.status == "asked"]
        return await self.signal("decision", {"call": call.id, "digest": call.digest, "verdict": verdict, **more})

    async def signal(self, kind: str, body: dict[str, Any]) -> State:
        self.sent = getattr(self, "sent", 0) + 1
        await self.runner.parts.gateway.signal(KEY, kind, body, ANN, f"k{self.sent}")
        return await self.settle()

    async def head(self) -> Head:
        head = await self.runner.backend.store.read(KEY)
        assert head is not None, "there is no session"
        return head

    async def events(self) -> list[Event]:
        commits = await self.runner.backend.store.commits(KEY)
        return [event for commit in commits for event in self.runner.parts.loader.events(commit)]

    async def bodies(self, kind: str) -> list[Any]:
        return [event.body for event in await self.events() if event.kind == kind]

    async def names(self) -> list[str]:
        """The names of everything that was asked for, in order."""
        return [each.name for body in await self.bodies("calls_proposed") for each in body.operations]


DONE: list[Any] = []
"""What the steps of a test have done."""


@pytest.fixture(autouse=True)
def nothing_done() -> None:
    """Before each test of a module that has this fixture."""
    DONE.clear()


async def once(n: int) -> int:
    DONE.append(n)
    return n


def flow(body: Any) -> Any:
    """The workflow `flow` of this body, whatever its function is called."""
    return workflow(name="flow")(body)


def read(ctx: Context, function: Any, *args: Any, **more: Any) -> Any:
    """A step that may be made again, and is tried once."""
    return ctx.step(function, *args, effect="read", retry=1, **more)
