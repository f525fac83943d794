"""The Incarnations port in the embedded file."""

from __future__ import annotations

from datetime import datetime
from sqlite3 import Connection

from onward.adapters.local.database import Database
from onward.adapters.local.rows import from_ms, keep, kept, to_ms
from onward.core.events import Actor
from onward.core.incarnation import Restored, Restores


class SqliteIncarnations:
    """Restores of this file, as one value beside the tables: a copy of the file has what it had when it was made."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self) -> Restores:
        return await self._database.read(_read)

    async def record(self, by: Actor, reason: str, at: datetime) -> Restored:
        at = from_ms(to_ms(at))
        return await self._database.write(lambda c: _record(c, by, reason, at), durable=True)


def _read(c: Connection) -> Restores:
    text = kept(c, "incarnation")
    return Restores.model_validate_json(text) if text else Restores()


def _record(c: Connection, by: Actor, reason: str, at: datetime) -> Restored:
    restores = _read(c).after(by, reason, at)
    keep(c, "incarnation", restores.model_dump_json())
    return restores.newest[0]
