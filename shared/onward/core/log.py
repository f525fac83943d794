"""The log: commits of records, chained by hashes (G3).

    hash = sha256(canonical([previous hash, genesis, epoch, token, envelopes]))

An envelope is everything of a record but its bodies, which it names by digest. The first commit's `genesis` names
tenant, session and fork origin, so that a log can't pass for another's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from onward.core.canonical import canonical, document, sha256
from onward.core.codec import Cell, Record
from onward.errors import CorruptLog

ROOT = ""
"""What the first commit has for a previous hash."""

COMMIT_BYTES = 512 * 1024
"""The largest commit that is stored."""

INLINE_BYTES = 64 * 1024
"""A larger body goes to a blob."""


@dataclass(frozen=True, slots=True)
class Commit:
    """The events of one atomic append. `token` is unique to the append, so that its fate can be read back (R1)."""

    first_seq: int
    epoch: int
    token: str
    prev: str
    hash: str
    genesis: Mapping[str, Any] | None
    records: tuple[Record, ...]

    @property
    def last_seq(self) -> int:
        return self.first_seq + len(self.records) - 1

    @property
    def has_blobs(self) -> bool:
        """Whether values of its events lie in blobs."""
        return any(cell.encoding == "blob" for record in self.records for cell in record.private.values())

    def to_json(self) -> str:
        """The document that is stored."""
        return document(
            {
                "first_seq": self.first_seq,
                "epoch": self.epoch,
                "token": self.token,
                "prev": self.prev,
                "hash": self.hash,
                "genesis": self.genesis,
                "events": [_record_to_dict(record) for record in self.records],
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Commit:
        """Raises CorruptLog where the document has not the form of a commit."""
        try:
            doc = json.loads(text)
            records = tuple(_record_from_dict(entry) for entry in doc.pop("events"))
            return cls(records=records, **doc)
        except (ValueError, TypeError, KeyError, AttributeError) as exc:
            raise CorruptLog(f"a stored commit can't be read: {exc!r}") from exc


def seal(
    records: Sequence[Record], *, prev: str, epoch: int, token: str, genesis: Mapping[str, Any] | None = None
) -> Commit:
    """The commit of these records after the commit whose hash is `prev`."""
    chained = _hash(records, prev, epoch, token, genesis)
    return Commit(records[0].seq, epoch, token, prev, chained, genesis, tuple(records))


def verify(commits: Iterable[Commit], head: str | None = None) -> tuple[int, str]:
    """Check a whole log from its first commit; give its last seq and hash.

    Raises CorruptLog at the first edit, gap or reordering. Only `head`, a hash kept elsewhere, shows a tail cut off
    or a chain written anew; it may be any commit's.
    """
    seq, last, seen = 0, ROOT, head is None
    for commit in commits:
        check(commit, seq, last)
        seq, last = commit.last_seq, commit.hash
        seen = seen or last == head
    if not seen:
        raise CorruptLog(f"no commit has the hash {head}: the log was cut or rewritten")
    return seq, last


def check(commit: Commit, after_seq: int, prev: str) -> None:
    """Check one commit against the one before it. Raises CorruptLog."""
    if commit.first_seq != after_seq + 1 or commit.prev != prev:
        raise CorruptLog(
            f"after event {after_seq} comes a commit that starts at {commit.first_seq} and follows another hash"
        )
    if [record.seq for record in commit.records] != list(
        range(commit.first_seq, commit.last_seq + 1)
    ) or not commit.records:
        raise CorruptLog(f"the commit at {commit.first_seq} has a gap")
    if _hash(commit.records, commit.prev, commit.epoch, commit.token, commit.genesis) != commit.hash:
        raise CorruptLog(f"the commit at event {commit.first_seq} was changed: its hash does not match")
    for record in commit.records:
        if not all(part.intact for part in (record.body, *record.private.values())):
            raise CorruptLog(f"event {record.seq} ({record.kind}) was changed: a body does not match its digest")


def missing(there: Mapping[int, Commit], commits: Iterable[Commit]) -> list[Commit]:
    """Those of these commits that are not there, by first seq. Raises CorruptLog where another one is in the place."""
    for commit in commits:
        known = there.get(commit.first_seq, commit)
        if (known.hash, known.last_seq) != (commit.hash, commit.last_seq):
            raise CorruptLog(f"another commit than the one of hash {commit.hash} is there at event {commit.first_seq}")
    return [commit for commit in commits if commit.first_seq not in there]


def offload(
    records: Sequence[Record], inline: int = INLINE_BYTES, limit: int = COMMIT_BYTES
) -> tuple[list[Record], dict[str, str]]:
    """Move private bodies to blobs (digest to text): those above `inline`, then the largest, until the commit fits."""
    blobs: dict[str, str] = {}
    records = list(records)
    sizes = sorted(
        ((part.size, at, name) for at, r in enumerate(records) for name, part in r.private.items()), reverse=True
    )
    total = sum(r.body.size + 700 + sum(p.size + 200 for p in r.private.values()) for r in records)
    for size, at, name in sizes:
        if size <= inline and total <= limit:
            break
        part = records[at].private[name]
        blobs[part.digest] = part.text or ""
        moved = replace(part, text=None, encoding="blob", preview=(part.text or "")[:200])
        records[at] = replace(records[at], private={**records[at].private, name: moved})
        total -= size
    return records, blobs


def _hash(records: Sequence[Record], prev: str, epoch: int, token: str, genesis: Mapping[str, Any] | None) -> str:
    return sha256(canonical([prev, genesis, epoch, token, [_envelope(record) for record in records]]))


def _envelope(record: Record) -> list[Any]:
    private = {name: part.digest for name, part in record.private.items()}
    return [record.seq, record.kind, record.schema, record.at, record.actor, record.body.digest, private]


def _record_to_dict(record: Record) -> dict[str, Any]:
    doc: dict[str, Any] = {
        "seq": record.seq,
        "kind": record.kind,
        "schema": record.schema,
        "at": record.at,
        "actor": record.actor,
        "body": _cell_to_dict(record.body),
    }
    if record.private:
        doc["private"] = {name: _cell_to_dict(part) for name, part in record.private.items()}
    if record.trace is not None:
        doc["trace"] = record.trace
    return doc


def _cell_to_dict(part: Cell) -> dict[str, Any]:
    doc: dict[str, Any] = {"digest": part.digest, "salt": part.salt, "encoding": part.encoding, "text": part.text}
    if part.encoding == "blob":
        doc |= {"size": part.size, "preview": part.preview}
    return doc


def _record_from_dict(doc: dict[str, Any]) -> Record:
    private = {name: Cell(**part) for name, part in doc.pop("private", {}).items()}
    return Record(body=Cell(**doc.pop("body")), private=private, **doc)
