"""The Switches port over Firestore: what is off is one document, so that reading it is one read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from onward.adapters.gcp.firestore_client import Client
from onward.adapters.gcp.firestore_control import changed, control, expected
from onward.adapters.gcp.firestore_documents import SWITCHES, switch_of, switch_text, turn_fields, turn_of
from onward.adapters.gcp.firestore_queries import TURNS
from onward.adapters.gcp.firestore_wire import MISSING, Document, Write
from onward.core.switches import Switch, Turn


class FirestoreSwitches:
    """Turns of switches: `control/switches` says what is off, and each turn that changed it is a document below."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def read(self) -> Sequence[Switch]:
        there = await control(self._client, SWITCHES)
        off: Mapping[str, str] = there.fields["off"] if there else {}
        return [switch_of(text) for _, text in sorted(off.items())]

    async def turn(self, switch: Switch, off: bool) -> bool:
        def turned(there: Document | None) -> tuple[bool, list[Write]]:
            was: dict[str, Any] = dict(there.fields["off"]) if there else {}
            if (switch.scope in was) == off:
                return False, []
            return True, _turn(there, was, Turn(switch=switch, off=off))

        return await changed(self._client, SWITCHES, turned, "the switches are turned")

    async def history(self, limit: int = 100) -> Sequence[Turn]:
        found = await self._client.query(TURNS.question({}, parent=SWITCHES, limit=limit))
        return [turn_of(document) for document in found.documents]


def _turn(there: Document | None, was: dict[str, str], turn: Turn) -> list[Write]:
    """What is off now, and the turn that made it so."""
    number = there.fields["turns"] + 1 if there else 1
    scope = turn.switch.scope
    now = {**was, scope: switch_text(turn.switch)}
    if not turn.off:
        del now[scope]
    return [
        Write(SWITCHES, {"turns": number, "off": now}, expects=expected(there)),
        Write(f"{SWITCHES}/turns/{number:012d}", turn_fields(turn, number), expects=MISSING),
    ]
