"""Heads, commits, signals and switches as the fields of documents, and back. Pure.

Where they lie: `sessions/{key}`, `sessions/{key}/commits/{first seq}`, `sessions/{key}/inbox/{signal}`,
`control/switches` and `control/switches/turns/{number}`. `docs/storage.md` shows one of each.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from onward.adapters.gcp.firestore_wire import Document, Fields, Version
from onward.core.codec import stamp
from onward.core.events import Actor
from onward.core.head import Fold, Head, Status, from_json, label_text, to_json
from onward.core.lease import LeaseFields
from onward.core.log import Commit
from onward.core.signals import Signal
from onward.core.switches import Switch, Turn
from onward.errors import CorruptLog

SHARDS = 16
PART_COMMITS, PART_BYTES = 200, 3_000_000
SWITCHES = "control/switches"

LEASE = ("epoch", "owner", "held", "settled", "mark", "revision")
"""The lease in a head: `settled` is the epoch of the last attempt that left a trace, `mark` the epoch and seq at which
a visitor found it busy. `revision` grows with each write, so that every write changes the document."""

STANDING = (*LEASE, "renewed_at", "seq", "hash", "format", "status", "published", "clearing")
"""The fields that a Standing is made of."""


def session_path(key: str) -> str:
    return f"sessions/{key}"


def commit_path(key: str, first_seq: int) -> str:
    return f"sessions/{key}/commits/{first_seq:012d}"


def signal_path(key: str, id: str) -> str:
    return f"sessions/{key}/inbox/{id}"


def shard_of(key: str) -> int:
    """One of 16, so that no index grows at one end only."""
    return int(key[-1], 16) % SHARDS


def milliseconds(at: datetime) -> datetime:
    """The time as stores keep it."""
    return at.astimezone(UTC).replace(microsecond=at.microsecond // 1000 * 1000)


# --- heads -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Standing:
    """How a head stood when it was last seen: its lease, where its log was, and the version that a write expects."""

    version: Version
    epoch: int
    owner: str
    held: bool
    settled: int
    mark: tuple[int, int] | None
    revision: int
    renewed_at: datetime
    seq: int
    hash: str
    format: int
    status: Status
    published: int
    clearing: bool = False

    def lease(self) -> Fields:
        """The fields of LEASE."""
        mark = self.mark and {"epoch": self.mark[0], "seq": self.mark[1]}
        values = (self.epoch, self.owner, self.held, self.settled, mark, self.revision)
        return dict(zip(LEASE, values, strict=True))

    def judged(self, now: datetime) -> LeaseFields:
        """For `core.lease.judge`: how old the lease is at `now`, both on the server's clock (R3)."""
        age = (now - self.renewed_at).total_seconds()
        return LeaseFields(self.epoch, self.held, age, self.settled, self.mark, self.seq, self.format)

    def next(self, **changes: Any) -> Standing:
        """As it will stand after a write."""
        return replace(self, revision=self.revision + 1, **changes)


def standing_of(document: Document) -> Standing:
    """Raises CorruptLog where that is no head."""
    fields = document.fields
    try:
        mark = fields["mark"] and (fields["mark"]["epoch"], fields["mark"]["seq"])
        rest = ("seq", "hash", "format", "status", "published")
        lease = {name: fields[name] for name in (*LEASE, *rest, "renewed_at")} | {"mark": mark}
        return Standing(version=document.version, clearing=fields.get("clearing", False), **lease)
    except (KeyError, TypeError) as exc:
        raise CorruptLog(f"{document.path} is no head of a session: {exc!r}") from exc


def first_standing(head: Head, epoch: int) -> Standing:
    """Of a session that is to be: nobody holds it."""
    place = (head.seq, head.hash, head.format, head.status, head.published)
    return Standing((0, 0), epoch, "", False, epoch, None, 0, head.created_at, *place)


def head_fields(head: Head, standing: Standing, clearing: bool = False) -> Fields:
    """The whole document of a head; `renewed_at` is stamped. What lists and the sweep ask for has a field of its own;
    a tombstone has no `updated_at` and no `wake_at`, so that they don't meet it. `clearing`: its log is not gone yet.
    """
    fields: dict[str, Any] = {
        "tenant": head.tenant,
        "id": head.id,
        "program": head.program,
        "version": head.version,
        "status": head.status,
        "seq": head.seq,
        "hash": head.hash,
        "format": head.format,
        "published": head.published,
        "shard": shard_of(head.key),
        "created_at": milliseconds(head.created_at),
        "deleted_at" if head.status == "deleted" else "updated_at": milliseconds(head.updated_at),
        "waits": sorted({wait.kind for wait in head.waits}),
        "labels": [f"{name}={label_text(value)}" for name, value in head.labels],
        "head": to_json(head),
        **standing.lease(),
    }
    return fields | {name: value for name, value in _seldom(head, clearing).items() if value is not None}


def _seldom(head: Head, clearing: bool) -> dict[str, Any]:
    return {
        "parent": head.parent,
        "family": head.family,
        "wake_at": head.wake_at and milliseconds(head.wake_at),
        "fold": head.fold and _fold_fields(head.fold),
        "clearing": clearing or None,
    }


def _fold_fields(fold: Fold) -> Fields:
    where = {"text": fold.text} if fold.snapshot is None else {"snapshot": fold.snapshot}
    return {"seq": fold.seq, "hash": fold.hash, "version": fold.version, "commit": fold.commit, **where}


def head_of(document: Document) -> Head:
    """The head in a document. Raises CorruptLog where it holds none."""
    fields = document.fields
    try:
        fold = Fold(**fields["fold"]) if "fold" in fields else None
        return from_json(fields["head"], published=fields["published"], wake_at=fields.get("wake_at"), fold=fold)
    except (KeyError, TypeError, ValueError) as exc:
        raise CorruptLog(f"{document.path} is no head of a session: {exc!r}") from exc


# --- commits -----------------------------------------------------------------------------------------------------


def commit_fields(commit: Commit) -> Fields:
    """The text is the commit; the rest of it is there to be asked for, and to be read in the console."""
    return {
        "first_seq": commit.first_seq,
        "last_seq": commit.last_seq,
        "epoch": commit.epoch,
        "token": commit.token,
        "prev": commit.prev,
        "hash": commit.hash,
        "kinds": [record.kind for record in commit.records],
        "commit": commit.to_json(),
    }


def commit_of(document: Document) -> Commit:
    """Raises CorruptLog."""
    text = document.fields.get("commit")
    if not isinstance(text, str):
        raise CorruptLog(f"{document.path} is no commit: it has no text")
    return Commit.from_json(text)


def parts(commits: Iterable[Commit]) -> Iterator[list[Commit]]:
    """Commits, as many at a time as one request takes."""
    part, room = list[Commit](), PART_BYTES
    for commit in commits:
        size = len(commit.to_json().encode()) + 1000
        if part and (size > room or len(part) == PART_COMMITS):
            yield part
            part, room = [], PART_BYTES
        part.append(commit)
        room -= size
    if part:
        yield part


# --- signals -----------------------------------------------------------------------------------------------------


def signal_fields(key: str, signal: Signal) -> Fields:
    """A signal that is pending; `filed_at`, by which an inbox is read, is stamped."""
    return {
        "shard": shard_of(key),
        "pending": True,
        "kind": signal.kind,
        "sender": {"kind": signal.sender.kind, "name": signal.sender.name},
        "digest": signal.digest,
        "body": json.dumps(dict(signal.body), separators=(",", ":"), ensure_ascii=False),
    }


def signal_of(document: Document) -> Signal:
    fields = document.fields
    sender: Mapping[str, Any] = fields["sender"]
    filed_at = milliseconds(document.created)
    return Signal(document.id, fields["kind"], json.loads(fields["body"]), Actor(**sender), filed_at)


def key_of(document: Document) -> str:
    """The session that a document lies below."""
    return document.path.split("/")[1]


# --- switches ----------------------------------------------------------------------------------------------------


def switch_text(switch: Switch) -> str:
    return switch.model_copy(update={"at": milliseconds(switch.at)}).model_dump_json()


def switch_of(text: str) -> Switch:
    return Switch.model_validate_json(text)


def turn_fields(turn: Turn, number: int) -> Fields:
    switch = turn.switch
    return {
        "number": number,
        "off": turn.off,
        "scope": switch.scope,
        "at": stamp(switch.at),
        "switch": switch_text(switch),
    }


def turn_of(document: Document) -> Turn:
    return Turn(switch=switch_of(document.fields["switch"]), off=document.fields["off"])
