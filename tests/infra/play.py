"""Real work for the four functions, while what each of them asks of Google's services is recorded."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import re
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from emulators.cloud import Cloud
from emulators.cloud_sdk import OPENER
from emulators.functions import NAMES
from onward.config import CloudSettings
from onward.core.events import Actor
from onward.core.ids import session_key
from onward.core.signals import Signal
from onward.surfaces.console.app import SHOWS
from onward.surfaces.http.app import openapi
from tests.cloud.http_client import Answer, Live
from tests.cloud.servers import Api
from tests.cloud.world import ROLES, World

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
Calls = frozenset[tuple[str, str]]
"""What was asked, and of which resource."""

FILE = b"a file"


class Recorded(World):
    """A deployment whose functions note what they ask for."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.ledger, self.calls = folder, folder / "ledger", folder / "calls"
        self.calls.mkdir(parents=True)
        self.cloud = Cloud(str(HERE / "desk.py"), folder=folder, settings=self._told(), sweep_every=3600)
        self.settings = CloudSettings.from_env(self.cloud.environment)

    def _told(self) -> dict[str, str]:
        path = ":".join(map(str, (HERE / "recording", ROOT, ROOT / "shared")))
        told = {"ONWARD_STEPS_PER_WAKE": "50", "ONWARD_ROLES": str(ROLES), "LEDGER": str(self.ledger)}
        return told | {"HOOKS_SECRET": "nobody listens", "PYTHONPATH": path, "CALLS": str(self.calls)}

    def recorded(self) -> Mapping[str, Calls]:
        """By function."""
        return {name: frozenset(self._lines(name)) for name in NAMES}

    def _lines(self, name: str) -> Iterator[tuple[str, str]]:
        file = self.calls / name
        for line in file.read_text().splitlines() if file.exists() else ():
            call, _, resource = line.partition("\t")
            yield call, resource


class Noting(Api):
    """Asks the API, and knows what it has asked."""

    def __init__(self, world: Recorded) -> None:
        super().__init__("functions", world.cloud.functions["api"].url, world.cloud.token, world.sessions, world.ledger)
        self.asked: set[tuple[str, str]] = set()

    async def send(self, method: str, path: str, *given: Any, **named: Any) -> Answer:
        self.asked.add((method, path.partition("?")[0]))
        answer = await super().send(method, path, *given, **named)
        assert answer.status < 500, (method, path, answer)
        return answer

    async def live(self, path: str, *given: Any, **named: Any) -> Live:
        self.asked.add(("GET", f"/v1/{path}"))
        return await super().live(path, *given, **named)

    async def asking(self, id: str, tenant: str = "default", **more: Any) -> dict[str, Any]:
        """Start a session that asks for an approval, perhaps among other things, and answer what approves it."""
        await self.begun(id, tenant=tenant, **more)
        await self.until(id, "approval_requested", tenant)
        async with asyncio.timeout(40):
            while True:
                waits = (await self.ask("GET", f"sessions/{id}?tenant={tenant}")).doc["waits"]
                if asked := [wait for wait in waits if wait["kind"] == "approval"]:
                    return {"call": asked[0]["call"], "digest": asked[0]["digest"], "verdict": "approved"}
                await asyncio.sleep(0.05)

    async def page(self, path: str) -> str:
        """A page of the console."""
        self.asked.add(("GET", path.partition("?")[0]))
        request = urllib.request.Request(f"{self.url.rstrip('/')}{path}")
        request.add_header("Authorization", f"Bearer {self.token('grace@shop.example')}")
        return await asyncio.to_thread(lambda: OPENER.open(request, timeout=40).read().decode())

    async def done(self, method: str, path: str, doc: Any = None) -> Any:
        """What is answered, once nobody is in the way."""
        async with asyncio.timeout(40):
            while (answer := await self.ask(method, path, doc)).status == 409 and answer.doc["code"] == "busy":
                await asyncio.sleep(0.05)
        assert answer.status < 300, (method, path, answer)
        return answer.doc

    def left_out(self) -> list[str]:
        """Routes and pages that nobody asked for."""
        there = [(method.upper(), path) for path, ways in openapi()["paths"].items() for method in ways]
        there += [("GET", path) for path in SHOWS]
        return [f"{method} {path}" for method, path in there if not self._has(method, path)]

    def _has(self, method: str, template: str) -> bool:
        form = re.compile(re.sub(r"\{\w+\}", "[^/]+", template))
        return any(method == how and form.fullmatch(path) for how, path in self.asked)


async def play(world: Recorded) -> Noting:
    """All of it; the API, with what it was asked."""
    api = Noting(world)
    await _switched(api)  # before a function has read the switches, and takes what it knows for what is
    await asyncio.gather(_from_start_to_end(api), _late(world, api), _told(api), _by_links(api))
    await _branched(api)
    await _ported(api)
    await _looked_at(api)
    await _erased(api)
    await _swept(world, api)
    await api.drop()
    return api


# --- sessions ----------------------------------------------------------------------------------------------------


def _input() -> list[Any]:
    file = {"$file": {"media_type": "text/plain", "name": "a.txt", "data": base64.b64encode(FILE).decode()}}
    return ["Look. " * 20_000, file]


async def _from_start_to_end(api: Noting) -> None:
    """Large values, a fold in the bucket, files, a child, an approval with an edit."""
    decision = await api.asking("whole", program="prompt-desk", input=_input(), labels={"team": "blue"})
    await api.page(f"/approvals/whole/{decision['call']}")
    stream = await api.live("sessions/whole/events")
    await api.done("POST", "sessions/whole/decisions", decision | {"arguments": {"order": "B-2"}})
    await api.until("whole", "session_completed")
    assert "session_completed" in [frame.data.get("kind") for frame in await stream.events()]
    await api.done("GET", "sessions/whole?include=input&include=output&include=evidence")
    await api.done("GET", f"sessions/whole/files/{hashlib.sha256(FILE).hexdigest()}")


async def _late(world: Recorded, api: Noting) -> None:
    """The same, moved by a timer; and given up."""
    await world.start("late", "late-desk")
    await _asked_twice(world)
    await world.publish("late", kind="input", body={"content": "Hurry!"}, key="1")
    await api.until("late", "input_received")
    await api.done("POST", "sessions/late/cancel")
    await api.until("late", "session_cancelled")


async def _asked_twice(world: Recorded) -> None:
    """Nobody answers in time at first; from there on a timer has moved it."""
    async with asyncio.timeout(40):
        while [event.kind for event in await world.until("late", "approval_requested")].count("approval_requested") < 2:
            await asyncio.sleep(0.1)


async def _told(api: Noting) -> None:
    """Everything that a session can be told."""
    call = (await api.asking("told"))["call"]
    await api.done("POST", "sessions/told/pause", {"reason": "asking"})
    await api.done("POST", "sessions/told/resume")
    await api.done("POST", "sessions/told/inputs", {"content": "Hurry!"})
    await api.ask("POST", "sessions/told/retry", {"limits": {"turns": 9}})
    await api.ask("POST", "sessions/told/resolve", {"call": call, "status": "done", "result": 1})
    await api.done("POST", "sessions/told/skip", {"call": call, "result": "by hand"})
    await api.asking("ended")
    await api.done("POST", "sessions/ended/finish", {"output": 3})
    await api.begun("shipped", "ship-desk")
    (pending,) = [event.body for event in await api.until("shipped", "call_pending") if event.kind == "call_pending"]
    (token,) = [each["token"] for each in api.noted() if each["session"] == "shipped"]
    done = {"call": pending.call, "token": token, "result": {"paid": "a lot. " * 30_000}}
    await api.done("POST", "sessions/shipped/completions", done)


async def _branched(api: Noting) -> None:
    """Branches with blobs and files of their own, answered from the record; of one of them another."""
    for session, branch, at in (("whole", "branch", 1), ("branch", "twig", 2)):
        await api.done("POST", f"sessions/{session}/fork", {"id": branch, "at": at, "input": _input()})
        await api.until(branch, "input_received")
        await api.rested(branch)
    await api.done("GET", "sessions/twig/branches")
    await api.done("GET", "sessions/whole/compare/branch")
    await api.done("POST", "sessions/whole/replay")
    await api.page("/sessions/whole/compare/branch")


async def _ported(api: Noting) -> None:
    """A recording with blobs and files, looked at and deleted."""
    file = bytes((await api.ask("GET", "sessions/whole/export")).doc).decode()
    await api.done("POST", "imports", {"file": file, "id": "kept"})
    await api.done("GET", "sessions/kept/events")
    await api.done("DELETE", "sessions/kept?reason=Done%20with.")


async def _by_links(api: Noting) -> None:
    call = (await api.asking("linked"))["call"]
    link = (await api.done("POST", "sessions/linked/links", {"call": call}))["path"].removeprefix("/link/")
    await api.page(f"/link/{link}")
    await api.done("GET", f"links/{link}")
    await api.done("POST", f"links/{link}/decisions", {"verdict": "rejected", "reason": "No."})


# --- everything else ---------------------------------------------------------------------------------------------


async def _looked_at(api: Noting) -> None:
    for list in ("sessions?label=team=blue", "approvals", "attention", "effects", "usage?by=program", "health", "me"):
        await api.done("GET", list)
    await api.done("GET", "sessions?status=waiting&wait=approval&limit=1")
    await api.done("GET", "sessions/whole/effects")
    await api.done("GET", "sessions/whole/events?limit=3")
    for page in (*SHOWS, "/sessions/whole/events/1"):
        if page.count("{") == page.count("{id}"):
            await api.page(page.replace("{id}", "whole"))


async def _switched(api: Noting) -> None:
    await api.done("POST", "switches", {"scope": "program:refund-desk", "off": True, "reason": "It burns."})
    await api.begun("held")
    await api.until("held", "session_paused")
    await api.done("GET", "switches")
    await api.done("POST", "switches", {"scope": "program:refund-desk", "off": False, "reason": "Over."})
    await api.until("held", "approval_requested")


async def _erased(api: Noting) -> None:
    for session in ("whole", "held"):
        await api.done("POST", f"sessions/{session}/erase", {"seq": 1, "field": "input", "reason": "Asked to."})
    for _ in range(2):
        await api.done("DELETE", "sessions/whole?reason=Asked%20to.")


async def _swept(world: Recorded, api: Noting) -> None:
    """A sweep that finds nothing, and one that finds whose wake was lost."""
    await api.asking("lost")
    while await _woken(world):
        await asyncio.sleep(0.1)
    async with asyncio.timeout(40), world.sessions() as sessions:
        for number in itertools.count():
            signal = Signal(f"lost-{number}", "input", {"content": "Hello?"}, Actor(kind="external", name="test"))
            await sessions.parts.backend.store.file(session_key("default", "lost"), signal)
            if await _woken(world):
                return


async def _woken(world: Recorded) -> int:
    status, answer = await world.post("sweep", b"{}")
    assert status == 200, answer
    return int(answer["woken"])
