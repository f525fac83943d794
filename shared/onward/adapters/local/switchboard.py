"""The Switches port in the embedded file."""

from __future__ import annotations

from collections.abc import Sequence
from sqlite3 import Connection
from typing import Any

from onward.adapters.local.database import Database
from onward.adapters.local.rows import from_ms, to_ms
from onward.core.events import Actor
from onward.core.switches import Switch, Turn

_FIELDS = "scope, by_kind, by_name, reason, at_ms"


class SqliteSwitches:
    """Turns of switches, as rows that are only ever added to."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self) -> Sequence[Switch]:
        return await self._database.read(_read)

    async def turn(self, switch: Switch, off: bool) -> bool:
        return await self._database.write(lambda c: _turn(c, switch, off), durable=True)

    async def history(self, limit: int = 100) -> Sequence[Turn]:
        return await self._database.read(lambda c: _history(c, limit))


def _read(c: Connection) -> list[Switch]:
    last = "SELECT max(id) FROM switches GROUP BY scope"
    rows = c.execute(f"SELECT {_FIELDS} FROM switches WHERE id IN ({last}) AND off ORDER BY scope").fetchall()
    return [_switch(*row) for row in rows]


def _turn(c: Connection, switch: Switch, off: bool) -> bool:
    last = c.execute("SELECT off FROM switches WHERE scope = ? ORDER BY id DESC LIMIT 1", (switch.scope,)).fetchone()
    if bool(last and last[0]) == off:
        return False
    values = (switch.scope, switch.by.kind, switch.by.name, switch.reason, to_ms(switch.at), off)
    c.execute(f"INSERT INTO switches ({_FIELDS}, off) VALUES (?, ?, ?, ?, ?, ?)", values)
    return True


def _history(c: Connection, limit: int) -> list[Turn]:
    rows = c.execute(f"SELECT off, {_FIELDS} FROM switches ORDER BY id DESC LIMIT ?", (limit,)).fetchall()
    return [Turn(switch=_switch(*row), off=bool(off)) for off, *row in rows]


def _switch(scope: str, kind: Any, name: str, reason: str, at_ms: int) -> Switch:
    return Switch(scope=scope, by=Actor(kind=kind, name=name), reason=reason, at=from_ms(at_ms))
