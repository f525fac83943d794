"""The Sweeps port over Firestore: one document, written by each sweep, and read only by one that woke something."""

from __future__ import annotations

from onward.adapters.gcp.firestore_client import Client
from onward.adapters.gcp.firestore_control import changed, control, expected
from onward.adapters.gcp.firestore_documents import milliseconds
from onward.adapters.gcp.firestore_wire import Document, Write
from onward.core.sweeps import Sweepings, Swept

SWEEPS = "control/sweeps"


class FirestoreSweeps:
    """`control/sweeps` has the last sweep, and the newest that woke something."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def record(self, swept: Swept) -> None:
        swept = swept.model_copy(update={"at": milliseconds(swept.at)})
        if not swept.woken:
            await self._client.commit([Write(SWEEPS, {"last": swept.model_dump_json()}, only=("last",))])
            return
        await changed(self._client, SWEEPS, lambda there: (None, [_write(there, swept)]), "sweeps are recorded")

    async def read(self) -> Sweepings:
        return _sweepings(await control(self._client, SWEEPS))


def _write(there: Document | None, swept: Swept) -> Write:
    kept = _sweepings(there).after(swept)
    fields = {"last": swept.model_dump_json(), "healed": [each.model_dump_json() for each in kept.healed]}
    return Write(SWEEPS, fields, expects=expected(there))


def _sweepings(there: Document | None) -> Sweepings:
    if there is None:
        return Sweepings()
    healed = tuple(Swept.model_validate_json(text) for text in there.fields.get("healed", ()))
    return Sweepings(last=Swept.model_validate_json(there.fields["last"]), healed=healed)
