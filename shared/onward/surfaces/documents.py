"""Sessions and events as JSON documents, for programs."""

from __future__ import annotations

import json
from typing import Any, TextIO

from onward.core.codec import stamp
from onward.core.events import Event
from onward.core.head import Head, Wait
from onward.core.incarnation import Restored
from onward.core.payload import Blob, Erased
from onward.core.switches import Switch, Turn
from onward.runtime.access import Access


async def whole(runtime: Access, session: str, event: Event, tenant: str = "default") -> Event:
    """The event with its large values fetched from where they are kept."""
    found = {name: getattr(event.body, name) for name in event.body.private}
    kept = {name: value for name, value in found.items() if isinstance(value, Blob)}
    far = {name: await runtime.value(session, value, tenant) for name, value in kept.items()}
    return event.model_copy(update={"body": event.body.model_copy(update=far)}) if far else event


def event_doc(event: Event) -> dict[str, Any]:
    """One event. `body` has the fields of its kind."""
    gone = {name: None for name, value in event.body if isinstance(value, Erased)}
    body = event.body.model_copy(update=gone).model_dump(mode="json", exclude={"kind"})
    doc = {
        "seq": event.seq,
        "at": stamp(event.at),
        "kind": event.kind,
        "actor": event.actor.model_dump(),
        "body": body,
    }
    return doc | ({"erased": sorted(gone)} if gone else {}) | ({"trace": event.trace} if event.trace else {})


def plain(value: Any) -> Any:
    """A value as JSON has it; what was erased is null."""
    return None if isinstance(value, Erased) else value


def session_doc(head: Head) -> dict[str, Any]:
    """What is known of a session without its log."""
    return {
        "id": head.id,
        "status": head.status,
        "program": head.program,
        "version": head.version,
        "seq": head.seq,
        "hash": head.hash,
        "created_at": stamp(head.created_at),
        "updated_at": stamp(head.updated_at),
        "wake_at": stamp(head.wake_at) if head.wake_at and not head.ended else None,
        "waits": [wait_doc(wait) for wait in head.waits],
        "error": head.error and head.error.model_dump(),
        "spent": head.spent.model_dump(),
        "limits": head.limits.model_dump(),
        "labels": dict(head.labels),
    } | _seldom(head)


def _seldom(head: Head) -> dict[str, Any]:
    """What only some sessions have."""
    origin = {"origin": head.origin.model_dump()} if head.origin else {}
    return origin | {
        name: value for name in ("unlisted", "parent", "switch", "family", "effects") if (value := getattr(head, name))
    }


def wait_doc(wait: Wait) -> dict[str, Any]:
    few = {} if wait.kind == "approval" else {"needed": 1}
    return {
        name: value
        for name, value in wait.model_dump(mode="json").items()
        if value not in (None, "", []) and few.get(name) != value
    }


def restored_doc(restored: Restored) -> dict[str, Any]:
    """A restore that was recorded."""
    said = {"by": restored.by.name, "reason": restored.reason, "at": stamp(restored.at)}
    return {"incarnation": restored.number, **said}


def switch_doc(switch: Switch) -> dict[str, Any]:
    """Something that is switched off."""
    return {"scope": switch.scope, "by": switch.by.name, "reason": switch.reason, "at": stamp(switch.at)}


def turn_doc(turn: Turn) -> dict[str, Any]:
    """One turn of a switch."""
    return switch_doc(turn.switch) | {"off": turn.off}


def ascii_only(out: TextIO) -> bool:
    """Whether a stream takes nothing but ASCII for certain."""
    return "utf" not in (getattr(out, "encoding", None) or "").lower()


def line(doc: Any, ascii_only: bool = False) -> str:
    """A document in one line."""
    return json.dumps(doc, ensure_ascii=ascii_only, separators=(",", ":"), default=str)
