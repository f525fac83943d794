"""The Incarnations port over Firestore: one document, so that reading it is one read."""

from __future__ import annotations

from datetime import datetime

from onward.adapters.gcp.firestore_client import Clash, Client
from onward.adapters.gcp.firestore_documents import milliseconds
from onward.adapters.gcp.firestore_wire import MISSING, Document, Write
from onward.core.events import Actor
from onward.core.incarnation import Restored, Restores
from onward.errors import StoreUnavailable

INCARNATION = "control/incarnation"
TRIES = 16


class FirestoreIncarnations:
    """`control/incarnation` has which one this is, and the newest restores. It is in every backup, as it was."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def read(self) -> Restores:
        return _restores(await self._read())

    async def record(self, by: Actor, reason: str, at: datetime) -> Restored:
        for _ in range(TRIES):
            there = await self._read()
            restores = _restores(there).after(by, reason, milliseconds(at))
            try:
                await self._client.commit([_write(there, restores)])
            except Clash:
                continue
            return restores.newest[0]
        raise StoreUnavailable("restores are recorded by too many at once")

    async def _read(self) -> Document | None:
        found = await self._client.get([INCARNATION])
        return found.documents[0] if found.documents else None


def _write(there: Document | None, restores: Restores) -> Write:
    newest = [each.model_dump_json() for each in restores.newest]
    fields = {"incarnation": restores.incarnation, "restores": newest}
    return Write(INCARNATION, fields, expects=there.version if there else MISSING)


def _restores(there: Document | None) -> Restores:
    texts = there.fields["restores"] if there else ()
    return Restores(newest=tuple(Restored.model_validate_json(text) for text in texts))
