"""Sessions of an application, played in virtual time: what comes in, what is in the log, and what must always hold."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from onward import Agent, App, Limits
from onward.core.events import Actor, Event
from onward.core.head import Head
from onward.core.ids import session_key
from onward.core.log import verify
from onward.core.model import ModelRequest
from onward.core.payload import Blob
from onward.core.state import OpenCall, State
from onward.engine.gateway import Start
from onward.engine.load import Loader
from onward.testing.runner import Runner

ANN, BEN, CAT = (Actor(kind="person", name=name) for name in ("ann@x", "ben@x", "cat@x"))
OPERATOR = Actor(kind="operator", name="olga@x")


def open_call(tool: str) -> OpenCall:
    """An open call of this tool, as programs are asked about one."""
    return OpenCall(id="2.0", tool=tool, effect="read", digest="", arguments={}, status="ready")


def call(tool: str, **arguments: Any) -> dict[str, Any]:
    """A call in a scripted turn."""
    return {"tool": tool, "arguments": arguments}


class Play:
    """A runner of one application, and words for what a test does with it. `s` is the session's id by default."""

    def __init__(self, *programs: Any, app: App | None = None, **options: Any) -> None:
        self.app = app or App(programs=programs)
        self.runner = Runner(self.app, **options)
        self.most = 10_000
        self._keys = itertools.count(1)

    async def start(
        self, input: Any = "hello", *, id: str = "s", settle: bool = True, limits: Limits | None = None
    ) -> None:
        program: Any = self.app.choose()
        start = Start(
            id=id,
            program=program.name,
            version=program.version,
            input=input,
            limits=limits or (program.limits if isinstance(program, Agent) else Limits()),
            on_input=program.on_input,
        )
        await self.runner.parts.gateway.start(start, ANN)
        if settle:
            await self.settle()

    async def signal(
        self, kind: str, body: Mapping[str, Any], sender: Actor = ANN, *, id: str = "s", settle: bool = True
    ) -> None:
        key = session_key("default", id)
        await self.runner.parts.gateway.signal(key, kind, body, sender, f"k{next(self._keys)}")
        if settle:
            await self.settle()

    async def send(self, content: Any, *, id: str = "s", settle: bool = True) -> None:
        await self.signal("input", {"content": content}, id=id, settle=settle)

    async def decide(
        self, verdict: str, by: Actor = ANN, *, id: str = "s", call: str | None = None, **more: Any
    ) -> None:
        open = [
            one for one in (await self.state(id)).calls.values() if one.status == "asked" and call in (None, one.id)
        ]
        body = {"call": open[0].id, "verdict": verdict, "digest": open[0].digest, **more}
        await self.signal("decision", body, by, id=id)

    async def resume(self, *, id: str = "s") -> None:
        await self.signal("resume", {"reason": "again"}, OPERATOR, id=id)

    async def settle(self) -> None:
        await self.runner.settle(self.most)

    async def pass_time(self, seconds: float) -> None:
        """Let time pass, and whatever becomes due in it happen."""
        await self.runner.finish(within=seconds)
        self.runner.clock.advance(seconds)
        await self.settle()

    # --- what came of it ---------------------------------------------------------------------------------------

    async def state(self, id: str = "s") -> State:
        return await self.runner.state(id)

    async def head(self, id: str = "s") -> Head:
        head = await self.runner.backend.store.read(session_key("default", id))
        assert head is not None
        return head

    async def events(self, id: str = "s") -> list[Event]:
        commits = await self.runner.backend.store.commits(session_key("default", id))
        return [event for commit in commits for event in Loader.events(commit)]

    async def kinds(self, id: str = "s") -> list[str]:
        return [event.kind for event in await self.events(id)]

    async def bodies(self, kind: str, id: str = "s") -> list[Any]:
        return [event.body for event in await self.events(id) if event.kind == kind]

    async def check(self, id: str = "s") -> State:
        """The log verifies, and its fold is the state that the process has."""
        commits = await self.runner.backend.store.commits(session_key("default", id))
        verify(commits)
        cached = await self.state(id)
        self.runner.parts.loader.cache.drop(session_key("default", id))
        fresh = Loader(self.runner.backend.store, self.runner.backend.blobs)
        key = session_key("default", id)
        assert await whole(fresh, key, await fresh.load(await self.head(id))) == await whole(fresh, key, cached)
        well_formed(cached)
        return cached


async def whole(loader: Loader, key: str, state: State) -> Any:
    """The state as plain data, with what lies in blobs fetched: a process has what it wrote itself at hand."""

    async def filled(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [await filled(item) for item in value]
        if not isinstance(value, dict):
            return value
        if value.keys() == {"$blob"}:
            return await loader.resolve(key, Blob.model_validate(value["$blob"]))
        return {name: await filled(item) for name, item in value.items()}

    return await filled(state.model_dump())


def well_formed(state: State) -> None:
    """Behind every answer stand the results of its calls and nothing between, as far as they are settled; a workflow
    has no answers."""
    if state.on_input != "deliver":
        shown(state.transcript, open=len(state.calls) + bool(state.unproposed))


def shown(transcript: Any, open: int = 0) -> None:
    """What a model is shown is well formed: with no call open, each answer has all its results right behind it."""
    entries = list(transcript)
    answers = [at for at, entry in enumerate(entries) if entry.kind == "answer"]
    results = 0
    for at in answers:
        behind = list(itertools.takewhile(lambda entry: entry.kind == "result", entries[at + 1 :]))
        results += len(behind)
        asked = entries[at].calls
        last = at == answers[-1]
        assert len(behind) == asked or (last and open and len(behind) < asked), (at, [entry.kind for entry in entries])
    assert results == sum(entry.kind == "result" for entry in entries)


class Watching:
    """A model that plays another one, and keeps what it was asked: each request must be well formed."""

    def __init__(self, model: Any) -> None:
        self.name = model.name
        self.requests: list[ModelRequest] = []
        self._model = model

    async def answer(self, request: ModelRequest) -> Any:
        shown(request.transcript)
        self.requests.append(request)
        return await self._model.answer(request)

    def said(self, at: int = -1) -> list[Any]:
        """The transcript of a request: kind and value of each entry."""
        return [(entry.kind, entry.value) for entry in self.requests[at].transcript]
