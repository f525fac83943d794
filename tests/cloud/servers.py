"""The API as it is served: on SQLite by `uvicorn` in this process, on the emulators by the functions framework, and on
their Firestore by `uvicorn`, where a test counts what a process asks of the store."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from unittest import mock

from emulators.cloud import ACCOUNT, OTHER_ACCOUNT
from onward.errors import Unidentified
from onward.programs.app import App
from onward.runtime import Runtime
from onward.surfaces.http.caller import Caller
from onward.surfaces.http.following import Pace
from onward.surfaces.http.roles import Roles
from onward.surfaces.http.service import Service
from onward.surfaces.http.serving import listening, served
from onward.surfaces.site import make
from tests.cloud.http_client import Client

if TYPE_CHECKING:
    from tests.cloud.world import World

HERE = Path(__file__).parent
ROLES = Roles.read(str(HERE / "roles.toml"))
OWN = frozenset({ACCOUNT, OTHER_ACCOUNT})


class Api(Client):
    """A server, its sessions seen from behind, and what its tools did. `name` is how it is served."""

    def __init__(
        self, name: str, url: str, token: Callable[[str], str], access: Callable[[], Any], ledger: Path
    ) -> None:
        super().__init__(url, token)
        self.name, self.sessions, self.ledger = name, access, ledger
        self.counts: Counter[str] = Counter()
        self.service: Service

    def noted(self) -> list[dict[str, Any]]:
        """What tools have written down."""
        return [json.loads(line) for line in self.ledger.read_text().splitlines()]

    async def until(self, id: str, kind: str, tenant: str = "default") -> list[Any]:
        """The session's events, once there is one of this kind."""
        async with asyncio.timeout(40), self.sessions() as sessions:
            while True:
                events = [event async for event in sessions.events(id, tenant=tenant)]
                if any(event.kind == kind for event in events):
                    return events
                await asyncio.sleep(0.05)

    async def rested(self, id: str, tenant: str = "default") -> None:
        """Return once the session rests, or has ended."""
        async with asyncio.timeout(40):
            while (await self.ask("GET", f"sessions/{id}?tenant={tenant}")).doc["status"] == "running":
                await asyncio.sleep(0.05)

    async def begun(self, id: str, program: str = "refund-desk", tenant: str = "default", **more: Any) -> None:
        """Start a session."""
        who, body = more.pop("who", "grace@shop.example"), {"id": id, "program": program, "input": "Hi"} | more
        assert (await self.ask("POST", f"sessions?tenant={tenant}", body, who)).status == 201

    async def asking(self, id: str, tenant: str = "default", **more: Any) -> dict[str, Any]:
        """Start a session that asks for an approval, and answer what approves it."""
        await self.begun(id, tenant=tenant, **more)
        await self.until(id, "approval_requested", tenant)
        async with asyncio.timeout(20):
            while not (waits := (await self.ask("GET", f"sessions/{id}?tenant={tenant}")).doc["waits"]):
                await asyncio.sleep(0.05)
        return {"call": waits[0]["call"], "digest": waits[0]["digest"], "verdict": "approved"}


@asynccontextmanager
async def on_sqlite(folder: Path, pace: Pace | None = None, app: App | None = None, **more: Any) -> AsyncIterator[Api]:
    """A worker and the API in this process."""
    with mock.patch.dict(os.environ, {"LEDGER": str(folder / "ledger")}):
        app = app or _desk().app
    async with Runtime(app, folder / "api.db", identity="ann") as runtime:
        service = Service(runtime.parts, app, ROLES, own_accounts=OWN, pace=pace or Pace())
        async with _up("sqlite", service, folder / "ledger", **more) as api:
            yield api


@asynccontextmanager
async def on_firestore(world: World, pace: Pace | None = None) -> AsyncIterator[Api]:
    """The API alone in this process; the functions of this world move the sessions."""
    from onward.programs.app import load_target
    from onward.wiring import cloud

    with mock.patch.dict(os.environ, {"LEDGER": str(world.ledger)}):
        app = load_target(world.settings.app).app
    parts = cloud(world.settings)
    try:
        async with _up("firestore", Service(parts, app, ROLES, pace=pace or Pace()), world.ledger) as api:
            yield api
    finally:
        await parts.close()


def under_the_framework(world: World) -> Api:
    """The `api` function of this world."""
    return Api("functions", world.cloud.functions["api"].url, world.cloud.token, world.sessions, world.ledger)


@asynccontextmanager
async def _up(name: str, service: Service, ledger: Path, hosts: frozenset[str] | None = None) -> AsyncIterator[Api]:
    @asynccontextmanager
    async def access() -> AsyncIterator[Caller]:
        yield Caller(service.parts, "test")

    with listening(0) as at:
        api = Api(name, f"http://127.0.0.1:{at.getsockname()[1]}", lambda who: who, access, ledger)
        api.service = service
        try:
            async with served(make(service, _shown, hosts=hosts), service, at):
                _count(service, api.counts)
                yield api
        finally:
            await api.drop()


async def _shown(headers: Mapping[str, str]) -> str:
    """In these tests an address is believed."""
    scheme, _, name = headers.get("authorization", "").partition(" ")
    if scheme != "Bearer" or "@" not in name:
        raise Unidentified("authorization: a name is needed")
    return name


def _count(service: Service, counts: Counter[str]) -> None:
    """Count what is asked of the store."""
    store: Any = service.parts.backend.store
    for name in ("read", "commits"):
        setattr(store, name, _counting(getattr(store, name), name, counts))


def _counting(method: Callable[..., Any], name: str, counts: Counter[str]) -> Callable[..., Any]:
    async def counted(*given: Any, **named: Any) -> Any:
        counts[name] += 1
        return await method(*given, **named)

    return counted


def _desk() -> ModuleType:
    spec = importlib.util.spec_from_file_location("desk_of_the_api", HERE / "desk.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
