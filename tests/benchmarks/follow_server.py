"""A process of its own that serves live events: as `onward dev` does, `follow_server.py DB`, or, without DB, from the
Firestore that the environment tells of. There it moves the sessions as well, as other processes would.

Takes commands on standard input, one JSON document a line, and answers each with one line: `start` sessions, `say`
something to them for a while, how much memory it `uses`.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Any

from onward import App, Runtime
from onward.config import CloudSettings
from onward.core.events import Actor
from onward.core.ids import session_key
from onward.core.program import Decision, Performer, Program, Rest
from onward.core.state import OpenCall, State
from onward.engine.gateway import Start
from onward.ports import Wake
from onward.surfaces.http.roles import EVERYBODY
from onward.surfaces.http.service import Service
from onward.surfaces.http.serving import listening, served
from onward.surfaces.site import make
from onward.wiring import cloud

Doc = dict[str, Any]
SETTLES = 1.5
"""Seconds in which what was committed reaches everybody, also where it is looked for once a second."""


def _is_for_followers() -> bool:
    """Whether what runs is a watcher or a request, and not the engine or what is measured with."""
    task = asyncio.current_task()
    name = getattr(task and task.get_coro(), "__qualname__", "")
    return name.startswith("Watch.") or "run_asgi" in name or "_run_coro" in name


class Listener(Program):
    """Takes whatever is said to it, and rests: each input is one commit."""

    name, version, follows = "listener", "1", False

    def decide(self, state: State) -> Decision:
        return Rest()

    def performer(self, call: OpenCall, state: State) -> Performer | None:
        return None


class OnCloud:
    """What a runtime does on a file, done on Firestore: there nothing is woken, so each session is moved at once."""

    def __init__(self, app: App) -> None:
        self.parts = cloud(CloudSettings.from_env(os.environ), app)
        self._app, self._ann, self._said = app, Actor(kind="person", name="ann"), 0

    async def __aenter__(self) -> OnCloud:
        self.parts.renewer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.parts.close()

    async def start(self, program: str, input: str, *, id: str) -> None:
        start = Start.of(self._app.choose(program), id, version=None, limits=None, input=input)
        await self.parts.gateway.start(start, self._ann)

    async def wait(self, id: str) -> None:
        await self.parts.engine.advance(Wake(session_key("default", id), look=True))

    async def send(self, id: str, content: str) -> None:
        self._said += 1
        key = session_key("default", id)
        await self.parts.gateway.signal(key, "input", {"content": content}, self._ann, f"{os.getpid()}-{self._said}")
        await self.wait(id)


class Server:
    """One runtime; `committed` is when each event was committed, by session and seq, on this machine's clock."""

    def __init__(self, runtime: Runtime | OnCloud) -> None:
        self.runtime = runtime
        self.committed: dict[str, dict[int, float]] = {}
        self.reads: Counter[str] = Counter()
        store: Any = runtime.parts.backend.store
        self._append, store.append = store.append, self._appending
        for name in ("read", "commits"):
            setattr(store, name, self._counting(name, getattr(store, name)))

    async def _appending(self, lease: Any, append: Any) -> Any:
        appended = await self._append(lease, append)
        now, times = time.monotonic(), self.committed.setdefault(append.head.id, {})
        times |= dict.fromkeys(range(append.commit.first_seq, append.head.seq + 1), now)
        return appended

    def _counting(self, name: str, method: Any) -> Any:
        async def counted(*given: Any, **named: Any) -> Any:
            self.reads[name] += _is_for_followers()
            return await method(*given, **named)

        return counted

    async def start(self, sessions: list[str]) -> Doc:
        for id in sessions:
            await self.runtime.start("listener", "Hi", id=id)
            await self.runtime.wait(id)
        return {}

    async def say(self, sessions: list[str], every: float, times: int, size: int) -> Doc:
        """So many inputs, one each `every` seconds, to one session after the other; when each event was committed."""
        self.committed.clear()
        self.reads.clear()
        began = time.monotonic()
        for number in range(times):
            await asyncio.sleep(began + number * every - time.monotonic())
            await self.runtime.send(sessions[number % len(sessions)], f"{number:06} {'x' * size}")
        await asyncio.sleep(SETTLES)
        return {"committed": self.committed, "reads": self.reads, "seconds": time.monotonic() - began}

    async def rest(self, seconds: float) -> Doc:
        """Do nothing for so long; what was asked of the store meanwhile."""
        self.reads.clear()
        await asyncio.sleep(seconds)
        return {"reads": self.reads}

    async def uses(self) -> Doc:
        """Memory of this process that is in use, in KiB."""
        said = await asyncio.to_thread(subprocess.check_output, ["ps", "-o", "rss=", "-p", str(os.getpid())])
        return {"kib": int(said)}

    async def told(self, command: Doc) -> Doc:
        return await getattr(self, command.pop("do"))(**command)  # type: ignore[no-any-return]


async def commands() -> AsyncIterator[Doc]:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async for line in reader:
        yield json.loads(line)


async def anybody(headers: Mapping[str, str]) -> str:
    return "ann"


async def main(db: str | None) -> None:
    app = App(programs=[Listener()])
    async with Runtime(app, db, identity="ann") if db else OnCloud(app) as runtime:
        server, service = Server(runtime), Service(runtime.parts, app, EVERYBODY)
        with listening(0) as at:
            async with served(make(service, anybody), service, at) as url:
                print(json.dumps({"url": url}), flush=True)
                async for command in commands():
                    print(json.dumps(await server.told(command)), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else None))
