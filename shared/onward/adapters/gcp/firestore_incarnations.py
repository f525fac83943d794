"""The Incarnations port over Firestore: one document, so that reading it is one read."""

from __future__ import annotations

from datetime import datetime

from onward.adapters.gcp.firestore_client import Client
from onward.adapters.gcp.firestore_control import changed, control, expected
from onward.adapters.gcp.firestore_documents import milliseconds
from onward.adapters.gcp.firestore_wire import Document, Write
from onward.core.events import Actor
from onward.core.incarnation import Restored, Restores

INCARNATION = "control/incarnation"


class FirestoreIncarnations:
    """`control/incarnation` has which one this is, and the newest restores. It is in every backup, as it was."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def read(self) -> Restores:
        return _restores(await control(self._client, INCARNATION))

    async def record(self, by: Actor, reason: str, at: datetime) -> Restored:
        def more(there: Document | None) -> tuple[Restored, list[Write]]:
            restores = _restores(there).after(by, reason, milliseconds(at))
            return restores.newest[0], [_write(there, restores)]

        return await changed(self._client, INCARNATION, more, "restores are recorded")


def _write(there: Document | None, restores: Restores) -> Write:
    newest = [each.model_dump_json() for each in restores.newest]
    fields = {"incarnation": restores.incarnation, "restores": newest}
    return Write(INCARNATION, fields, expects=expected(there))


def _restores(there: Document | None) -> Restores:
    texts = there.fields["restores"] if there else ()
    return Restores(newest=tuple(Restored.model_validate_json(text) for text in texts))
