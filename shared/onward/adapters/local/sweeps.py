"""The Sweeps port in the embedded file."""

from __future__ import annotations

from sqlite3 import Connection

from onward.adapters.local.database import Database
from onward.adapters.local.rows import from_ms, keep, kept, to_ms
from onward.core.sweeps import Sweepings, Swept


class SqliteSweeps:
    """What is kept of sweeps, as one value beside the tables."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, swept: Swept) -> None:
        swept = swept.model_copy(update={"at": from_ms(to_ms(swept.at))})
        await self._database.write(lambda c: _record(c, swept), durable=swept.woken > 0)

    async def read(self) -> Sweepings:
        return await self._database.read(_read)


def _read(c: Connection) -> Sweepings:
    text = kept(c, "sweeps")
    return Sweepings.model_validate_json(text) if text else Sweepings()


def _record(c: Connection, swept: Swept) -> None:
    keep(c, "sweeps", _read(c).after(swept).model_dump_json())
