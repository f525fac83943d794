"""Heads, commits and signals as rows, and back. Times are whole milliseconds since 1970."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from sqlite3 import Connection
from typing import Any

from onward.adapters.local.schema import WAIT_BITS
from onward.core.events import Actor
from onward.core.head import Fold, Head, from_json, to_json
from onward.core.signals import Signal

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

HEAD = "published, wake_ms, doc, fold_seq, fold_hash, fold_version, fold_commit, fold_snapshot, fold"
"""The columns that make a head."""


def to_ms(at: datetime) -> int:
    """Truncated, and exact: floats would lose the last digit."""
    return (at - _EPOCH) // _MILLISECOND


def to_ms_after(at: datetime) -> int:
    """Never before that time."""
    return -((_EPOCH - at) // _MILLISECOND)


def from_ms(at: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=at)


def kept(c: Connection, name: str) -> str | None:
    """A text that is kept beside the tables; None for none."""
    row = c.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return row[0] if row else None


def keep(c: Connection, name: str, text: str) -> None:
    """Keep a text beside the tables, in the place of the one before."""
    c.execute("INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", (name, text))


def head_row(head: Head) -> tuple[Any, ...]:
    """What an append sets: published, seq, hash, format, program, waits, times, document and fold, and the status."""
    fold = head.fold
    kept = (fold.seq, fold.hash, fold.version, fold.commit, fold.snapshot, fold.text) if fold else (None,) * 6
    return (
        head.published,
        head.seq,
        head.hash,
        head.format,
        head.program,
        wait_bits(head),
        to_ms(head.updated_at),
        None if head.wake_at is None else to_ms(head.wake_at),
        to_json(head),
        *kept,
        head.status,
    )


def wait_bits(head: Head) -> int:
    bits = 0
    for wait in head.waits:
        bits |= WAIT_BITS[wait.kind]
    return bits


def head_from(row: tuple[Any, ...]) -> Head:
    """The head in the columns of HEAD."""
    published, wake_ms, doc, seq, hash, version, commit, snapshot, text = row
    fold = None if seq is None else Fold(seq, hash, version, commit, text=text, snapshot=snapshot)
    return from_json(doc, published=published, wake_at=None if wake_ms is None else from_ms(wake_ms), fold=fold)


def signal_doc(signal: Signal) -> str:
    sender = {"kind": signal.sender.kind, "name": signal.sender.name}
    doc = {"kind": signal.kind, "body": dict(signal.body), "sender": sender}
    return json.dumps(doc, separators=(",", ":"), ensure_ascii=False)


def signal_from(id: str, filed_ms: int, doc: str) -> Signal:
    fields = json.loads(doc)
    return Signal(id, fields["kind"], fields["body"], Actor(**fields["sender"]), from_ms(filed_ms))
