"""The console as somebody has it on their machine: a real `onward dev`, and what its tools did."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Any, Self

from tests.cloud.http_client import Answer, Client
from tests.e2e.command import COMMAND, PATIENCE, Desk

SHOP = Path(__file__).with_name("shop.py")


@dataclass
class Site:
    """A shop in a directory of its own, served to one person."""

    path: Path
    who: str = "ann"
    options: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (self.path / SHOP.name).exists():
            shutil.copy(SHOP, self.path)

    def start(self) -> Self:
        """Start it, and wait until it serves."""
        said = self.path / f"{self.who}.log"
        command = [*COMMAND, "dev", SHOP.name, "--no-browser", "--port", "0", "--json", *self.options]
        env = Desk(self.path).env | {"ONWARD_IDENTITY": self.who} | self.env
        with said.open("w") as out:
            self.process = Popen(command, cwd=self.path, env=env, stdin=DEVNULL, stdout=out, stderr=out)
        try:
            until(lambda: '"url"' in said.read_text() or self.process.poll() is not None, "it never serves")
            self.url: str = json.loads(said.read_text().partition("\n")[0])["url"]
        except Exception as exc:
            self.stop()
            raise AssertionError(said.read_text()) from exc
        self._client = Client(self.url, lambda who: who)
        return self

    def stop(self) -> None:
        """End it as the keyboard does."""
        self.process.terminate()
        self.process.wait(PATIENCE)

    def beside(self, who: str) -> Site:
        """Another's server of the same sessions, to be started."""
        return Site(self.path, who, self.options, self.env)

    async def ask(self, method: str, path: str, doc: Any = None) -> Answer:
        """A request to the API."""
        return await self._client.ask(method, path, doc, None)

    async def begun(self, id: str, program: str = "refund-desk", input: Any = "My grinder came broken.") -> str:
        """Start a session, and answer its id."""
        answer = await self.ask("POST", "sessions", {"id": id, "program": program, "input": input})
        assert answer.status == 201, answer
        return id

    async def asking(self, id: str, program: str = "refund-desk", **more: Any) -> dict[str, Any]:
        """Start a session that asks for an approval, and answer what it asks."""
        await self.begun(id, program, **more)
        await self.until(id, "approval_requested")
        found: list[dict[str, Any]] = (await self.ask("GET", f"sessions/{id}")).doc["waits"]
        return next(wait for wait in found if wait["kind"] == "approval")

    async def log(self, id: str) -> list[dict[str, Any]]:
        """Its events."""
        events: list[dict[str, Any]] = (await self.ask("GET", f"sessions/{id}/events?limit=200")).doc["events"]
        return events

    async def until(self, id: str, kind: str, many: int = 1) -> dict[str, Any]:
        """Wait until the session has so many events of a kind; the last of them."""
        end, after = time.monotonic() + PATIENCE, 0
        while time.monotonic() < end:
            found = [event for event in await self.log(id) if event["kind"] == kind]
            if len(found) >= many:
                return found[many - 1]
            after = (await self.ask("GET", f"sessions/{id}/events?wait=1&after={after}")).doc["after"]
        raise AssertionError(f"{id} has no {kind}: {[event['kind'] for event in await self.log(id)]}")

    async def until_waiting(self, id: str, kind: str) -> dict[str, Any]:
        """Wait until the session waits for this; its wait."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            for wait in (await self.ask("GET", f"sessions/{id}")).doc["waits"]:
                if wait["kind"] == kind:
                    return dict(wait)
            await asyncio.sleep(0.02)
        raise AssertionError(f"{id} does not wait for {kind}")

    def books(self, id: str) -> list[dict[str, Any]]:
        """What the tools did for a session."""
        file = self.path / "books.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        return [entry for entry in map(json.loads, lines) if entry["session"] == id]

    def go(self, id: str, parcel: int) -> None:
        """Let the carrier answer about a parcel."""
        (self.path / f"go-{id}-{parcel}").touch()


def until(holds: Callable[[], bool], otherwise: str) -> None:
    """Wait until something holds."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, otherwise
        time.sleep(0.02)
