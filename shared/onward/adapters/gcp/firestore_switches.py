"""The Switches port over Firestore: what is off is one document, so that reading it is one read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from onward.adapters.gcp.firestore_client import Clash, Client
from onward.adapters.gcp.firestore_documents import SWITCHES, switch_of, switch_text, turn_fields, turn_of
from onward.adapters.gcp.firestore_queries import TURNS
from onward.adapters.gcp.firestore_wire import MISSING, Document, Write
from onward.core.switches import Switch, Turn
from onward.errors import StoreUnavailable

TRIES = 16
"""How often a turn is made anew because another was made meanwhile."""


class FirestoreSwitches:
    """Turns of switches: `control/switches` says what is off, and each turn that changed it is a document below."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def read(self) -> Sequence[Switch]:
        there = await self._read()
        off: Mapping[str, str] = there.fields["off"] if there else {}
        return [switch_of(text) for _, text in sorted(off.items())]

    async def turn(self, switch: Switch, off: bool) -> bool:
        for _ in range(TRIES):
            there = await self._read()
            was: dict[str, Any] = dict(there.fields["off"]) if there else {}
            if (switch.scope in was) == off:
                return False
            try:
                await self._client.commit(_turn(there, was, Turn(switch=switch, off=off)))
            except Clash:
                continue
            return True
        raise StoreUnavailable("the switches are turned by too many at once")

    async def history(self, limit: int = 100) -> Sequence[Turn]:
        found = await self._client.query(TURNS.question({}, parent=SWITCHES, limit=limit))
        return [turn_of(document) for document in found.documents]

    async def _read(self) -> Document | None:
        found = await self._client.get([SWITCHES])
        return found.documents[0] if found.documents else None


def _turn(there: Document | None, was: dict[str, str], turn: Turn) -> list[Write]:
    """What is off now, and the turn that made it so."""
    number = there.fields["turns"] + 1 if there else 1
    scope = turn.switch.scope
    now = {**was, scope: switch_text(turn.switch)}
    if not turn.off:
        del now[scope]
    expects = there.version if there else MISSING
    return [
        Write(SWITCHES, {"turns": number, "off": now}, expects=expects),
        Write(f"{SWITCHES}/turns/{number:012d}", turn_fields(turn, number), expects=MISSING),
    ]
