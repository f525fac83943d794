"""The Sweeps port over Firestore: one document, written by each sweep, and read only by one that woke something."""

from __future__ import annotations

from onward.adapters.gcp.firestore_client import Clash, Client
from onward.adapters.gcp.firestore_documents import milliseconds
from onward.adapters.gcp.firestore_wire import MISSING, Document, Write
from onward.core.sweeps import Sweepings, Swept
from onward.errors import StoreUnavailable

SWEEPS = "control/sweeps"
TRIES = 16


class FirestoreSweeps:
    """`control/sweeps` has the last sweep, and the newest that woke something."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def record(self, swept: Swept) -> None:
        swept = swept.model_copy(update={"at": milliseconds(swept.at)})
        if not swept.woken:
            await self._client.commit([Write(SWEEPS, {"last": swept.model_dump_json()}, only=("last",))])
            return
        for _ in range(TRIES):
            there = await self._read()
            try:
                await self._client.commit([_write(there, swept)])
            except Clash:
                continue
            return
        raise StoreUnavailable("sweeps are recorded by too many at once")

    async def read(self) -> Sweepings:
        return _sweepings(await self._read())

    async def _read(self) -> Document | None:
        found = await self._client.get([SWEEPS])
        return found.documents[0] if found.documents else None


def _write(there: Document | None, swept: Swept) -> Write:
    kept = _sweepings(there).after(swept)
    fields = {"last": swept.model_dump_json(), "healed": [each.model_dump_json() for each in kept.healed]}
    return Write(SWEEPS, fields, expects=there.version if there else MISSING)


def _sweepings(there: Document | None) -> Sweepings:
    if there is None:
        return Sweepings()
    healed = tuple(Swept.model_validate_json(text) for text in there.fields.get("healed", ()))
    return Sweepings(last=Swept.model_validate_json(there.fields["last"]), healed=healed)
