"""The shop as it is served in this process: pages that need no browser are read from it."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.console.visitor import Visitor

GRACE, ANN = "grace@shop.example", "ann@shop.example"


class House:
    """A served shop, and what its tools did."""

    def __init__(self, api: Any, folder: Path) -> None:
        self.api, self._folder = api, folder

    def visitor(self, who: str = GRACE) -> Visitor:
        return Visitor(self.api, who)

    @property
    def books(self) -> list[dict[str, Any]]:
        books = self._folder / "books.jsonl"
        return [json.loads(line) for line in books.read_text().splitlines()] if books.exists() else []

    async def asking(self, id: str, program: str = "refund-desk", tenant: str = "default", **more: Any) -> str:
        """Start a session that asks for an approval, and answer the path of its page."""
        asked = await self.api.asking(id, tenant, program=program, **more)
        return f"/approvals/{id}/{asked['call']}?tenant={tenant}"

    async def erase(self, id: str, seq: int, name: str) -> None:
        """Erase a field, as soon as nobody advances the session."""
        said = {"seq": seq, "field": name, "reason": "asked to"}
        async with asyncio.timeout(20):
            while (answer := await self.api.ask("POST", f"sessions/{id}/erase", said)).status == 409:
                await asyncio.sleep(0.05)
        assert answer.status == 200

    async def rests(self, id: str, status: str, tenant: str = "default") -> Any:
        """The session, once it has come to this."""
        async with asyncio.timeout(20):
            while (found := (await self.api.ask("GET", f"sessions/{id}?tenant={tenant}")).doc)["status"] != status:
                await asyncio.sleep(0.02)
        return found

    async def kinds(self, id: str, tenant: str = "default") -> list[str]:
        async with self.api.sessions() as sessions:
            return [event.kind async for event in sessions.events(id, tenant=tenant)]


@asynccontextmanager
async def opened(folder: Path, app: Any = None) -> AsyncIterator[House]:
    """A shop that keeps its books in this folder, or another application."""
    for package in ("fastapi", "jinja2"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is missing: pip install -e '.[api]'")
    from tests.cloud.servers import on_sqlite
    from tests.console import shop

    shop.HERE = folder
    async with on_sqlite(folder, app=app or shop.app) as api:
        yield House(api, folder)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A shop of its own for each test."""
    async with opened(tmp_path) as made:
        yield made
