"""The whole cloud on this machine, and what tests do with it."""

from __future__ import annotations

import asyncio
import base64
import json
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from emulators.cloud import FOLLOW, SESSIONS, Cloud
from emulators.cloud_sdk import OPENER
from onward.adapters.gcp.messages import SessionEvent, session_event
from onward.adapters.gcp.reader import EventReader, Subscription
from onward.config import CloudSettings
from onward.errors import NotFound
from onward.surfaces.http.caller import Caller
from onward.wiring import cloud as parts_of
from tests.emulator.sink import Sink

DESK, ROLES = Path(__file__).with_name("desk.py"), Path(__file__).with_name("roles.toml")
PATIENCE = 40.0
"""Seconds until a test gives up on what should come."""

GRACE = "grace@shop.example"
HOOKS_SECRET = "known to the receiver of webhooks"


class World:
    """A cloud, with the file that its tools note in, and the server that its webhook is."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.ledger = folder, folder / "ledger"
        self.hooks = Sink()
        settings = {"LEDGER": str(self.ledger), "ONWARD_LEASE": "4", "ONWARD_BUDGET": "540", "ONWARD_ROLES": str(ROLES)}
        settings |= {"HOOKS_URL": self.hooks.url, "HOOKS_SECRET": HOOKS_SECRET}
        self.cloud = Cloud(str(DESK), folder=folder, settings=settings, sweep_every=3600)
        self.settings = CloudSettings.from_env(self.cloud.environment)

    # --- asking ------------------------------------------------------------------------------------------------

    async def publish(self, session: str, **said: Any) -> str:
        """Publish a message to the topic of sessions; its id."""
        data = base64.b64encode(json.dumps({"version": 1, "session": session} | said).encode()).decode()
        return await asyncio.to_thread(self.cloud.pubsub.publish, self.cloud.topic(SESSIONS), data)

    async def start(self, session: str, program: str, **body: Any) -> str:
        return await self.publish(session, kind="start", body={"program": program, "input": "Hello"} | body)

    async def push(self, data: bytes, id: str, name: str = "advance", **attributes: str) -> int:
        """Post a message to a function as a push does; the status."""
        message = {"data": base64.b64encode(data).decode(), "messageId": id, "attributes": attributes}
        return (await self.post(name, json.dumps({"message": message, "subscription": "s"}).encode()))[0]

    async def post(self, name: str, body: bytes, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        return await asyncio.to_thread(_ask, self.cloud.functions[name].url, "POST", body, headers or {})

    async def ask(self, method: str, path: str, doc: Any = None, who: str | None = GRACE) -> tuple[int, Any]:
        """A request to the API, with a token of this person; status and answer."""
        headers = {"Authorization": f"Bearer {self.cloud.token(who)}"} if who else {}
        body, url = b"" if doc is None else json.dumps(doc).encode(), self.cloud.functions["api"].url
        headers |= {"Content-Type": "application/json"} if body else {}
        return await asyncio.to_thread(_ask, f"{url}v1/{path}", method, body, headers)

    # --- seeing ------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def sessions(self) -> AsyncIterator[Caller]:
        """The library, on the same cloud."""
        parts = parts_of(self.settings)
        try:
            yield Caller(parts, "test")
        finally:
            await parts.close()

    async def until(self, session: str, kind: str) -> list[Any]:
        """The session's events, once there is one of this kind."""
        async with self.sessions() as sessions:
            end = time.monotonic() + PATIENCE
            while True:
                events = await _events(sessions, session)
                if any(event.kind == kind for event in events):
                    return events
                assert time.monotonic() < end, f"no {kind}: {[event.kind for event in events]}\n{self.said()}"
                await asyncio.sleep(0.1)

    async def verified(self, session: str) -> tuple[int, str]:
        async with self.sessions() as sessions:
            return await sessions.verify(session)

    def booked(self, session: str) -> list[dict[str, Any]]:
        """What tools did for it."""
        lines = self.ledger.read_text().splitlines() if self.ledger.exists() else []
        return [entry for entry in map(json.loads, lines) if entry["session"] == session]

    async def process_of(self, session: str) -> int:
        """The process of the tool that is at work for it."""
        end = time.monotonic() + PATIENCE
        while not self.booked(session):
            assert time.monotonic() < end, self.said()
            await asyncio.sleep(0.01)
        return int(self.booked(session)[-1]["process"])

    def lines(self, name: str, **fields: Any) -> list[dict[str, Any]]:
        """What a function logged with these fields."""
        texts = self.cloud.functions[name].log.read_text().splitlines()
        found = [json.loads(text) for text in texts if text.startswith("{")]
        return [line for line in found if fields.items() <= line.items()]

    async def logged(self, name: str, **fields: Any) -> list[dict[str, Any]]:
        """The same, once there is such a line."""
        end = time.monotonic() + PATIENCE
        while not (found := self.lines(name, **fields)):
            assert time.monotonic() < end, f"no line with {fields}\n{self.said()}"
            await asyncio.sleep(0.05)
        return found

    def said(self) -> str:
        return "\n".join(f"--- {name}\n{function.said()}" for name, function in self.cloud.functions.items())

    @asynccontextmanager
    async def following(self, session: str) -> AsyncIterator[Follower]:
        """A subscriber to the events of this session."""
        source = Subscription(
            self.cloud.subscription(FOLLOW), endpoint=self.cloud.pubsub.address, wait=2.0, patience=5.0
        )
        async with self.sessions() as sessions:
            yield Follower(session, source, sessions)
            await source.close()


class Follower:
    """Reads with the library's reader, and applies what is of one session."""

    def __init__(self, session: str, source: Subscription, sessions: Caller) -> None:
        self.applied: list[SessionEvent] = []
        self._session, self._sessions = session, sessions
        self._reader = EventReader(source, position=self._position, fetch=self._fetch)

    async def until(self, test: Callable[[SessionEvent], bool]) -> SessionEvent:
        async with asyncio.timeout(PATIENCE):
            while True:
                async for event in self._reader.batch():
                    if event.session == self._session:
                        self.applied.append(event)
                for event in self.applied:
                    if test(event):
                        return event

    async def _position(self, tenant: str, session: str) -> int:
        return len(self.applied) if session == self._session else 0

    async def _fetch(self, tenant: str, session: str, after: int) -> list[SessionEvent]:
        head = await self._sessions.get(session, tenant)
        return [session_event(head, event) for event in await _events(self._sessions, session, after)]


async def _events(sessions: Caller, session: str, after: int = 0) -> list[Any]:
    try:
        return [event async for event in sessions.events(session, after)]
    except NotFound:
        return []


def _ask(url: str, method: str, body: bytes, headers: dict[str, str]) -> tuple[int, Any]:
    request = urllib.request.Request(url, body or None, headers, method=method)
    try:
        with OPENER.open(request, timeout=PATIENCE) as answer:
            status, text = answer.status, answer.read()
    except urllib.error.HTTPError as exc:
        with exc:
            status, text = exc.code, exc.read()
    return status, json.loads(text) if text else None
