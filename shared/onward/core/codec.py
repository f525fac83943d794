"""Events to records and back: what is stored, and what its digests cover (R18).

A record's bodies ("cells") are canonical JSON text. Each has a salt and a digest; the digest stays when the text is
erased. Digests are checked on the stored text, so upcasting, which happens after, never disturbs them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from json import loads
from types import MappingProxyType
from typing import Any, Literal

from pydantic import ValidationError

from onward.core.canonical import canonical, sha256
from onward.core.events import BODIES, DELIVERS, Actor, Body, Event
from onward.core.payload import Blob, Erased
from onward.errors import BadInput, CorruptLog, UnreadableLog

FORMAT = 4
"""The newest format of a log that this release folds (R21). What it writes is of the oldest that will do: see
`format_of`."""

PLAIN = 1
"""The format of a log without anything that came later."""

_ELSEWHERE = {kind: {*kind.private, "kind"} for kind in BODIES.values()}

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
UPCASTERS: Mapping[tuple[str, int], Upcaster] = MappingProxyType({})
"""(kind, schema) to the function that turns that schema's fields into the next one's."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One stored body. `text` is None where it was erased or lies in a blob (named by the digest)."""

    digest: str
    salt: str
    text: str | None
    encoding: Literal["json", "blob", "erased"] = "json"
    size: int = 0
    preview: str = ""

    @property
    def intact(self) -> bool:
        return self.text is None or sha256(self.salt + self.text) == self.digest


@dataclass(frozen=True, slots=True)
class Record:
    """One event as it is stored."""

    seq: int
    kind: str
    schema: int
    at: str
    actor: Mapping[str, str]
    body: Cell
    private: Mapping[str, Cell] = field(default_factory=dict)
    trace: str | None = None


@lru_cache(maxsize=32)
def stamp(at: datetime) -> str:
    """A time as it is stored: UTC with milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def cell(value: Any, salt: str) -> Cell:
    """The cell of a JSON value. Raises BadInput for any other."""
    return _cell(canonical(value), salt)


def _cell(text: str, salt: str) -> Cell:
    return Cell(sha256(salt + text), salt, text, size=len(text) if text.isascii() else len(text.encode()))


def encode(event: Event, salts: Iterator[str]) -> Record:
    """The record of an event. `salts` yields a fresh random text for each body. Raises BadInput for values that are not
    JSON."""
    body = event.body
    try:
        public = body.model_dump_json(exclude=_left_out(body))
    except ValueError as exc:
        raise BadInput(f"what {body.kind} says can't be written as JSON") from exc
    private = {name: cell(value, next(salts)) for name in body.private if (value := getattr(body, name)) is not None}
    return Record(
        seq=event.seq,
        kind=body.kind,
        schema=body.schema_version,
        at=stamp(event.at),
        actor={"kind": event.actor.kind, "name": event.actor.name},
        body=_cell(public, next(salts)),
        private=private,
        trace=event.trace,
    )


def _left_out(body: Body) -> set[str]:
    return _ELSEWHERE[type(body)] | (body.later.keys() - _said(body) if body.later else set())


def _said(body: Body) -> set[str]:
    """The later fields in which this body says something."""
    fields = type(body).model_fields
    return {name for name in body.later if getattr(body, name) != fields[name].default}


def format_of(events: Iterable[Event]) -> int:
    """The lowest format of a reader that is able to fold these events (R21)."""
    return max((_format(event.body) for event in events), default=PLAIN)


def _format(body: Body) -> int:
    if getattr(body, "on_input", None) == "deliver":
        return DELIVERS
    return max((body.later[name] for name in _said(body)), default=body.since) if body.later else body.since


def decode(record: Record) -> Event:
    """The event of a record whose digests have been checked.

    Raises UnreadableLog for a kind, schema or field this release doesn't know.
    """
    kind = BODIES.get(record.kind)
    if kind is None:
        raise UnreadableLog(
            f"event {record.seq} is of kind {record.kind!r}, which this release does not know: upgrade onward"
        )
    fields = _upcast(record, kind, dict.fromkeys(kind.private) | _fields(record))
    try:
        body = kind.model_validate(fields)
        return Event.model_construct(
            seq=record.seq,
            at=datetime.fromisoformat(record.at),
            actor=Actor.model_validate(record.actor),
            body=body,
            trace=record.trace,
        )
    except ValidationError as exc:
        raise UnreadableLog(
            f"event {record.seq} ({record.kind}) has a shape this release does not know: {exc.errors()[0]['msg']}"
        ) from exc


def _fields(record: Record) -> dict[str, Any]:
    if record.body.text is None:
        raise CorruptLog(f"event {record.seq} ({record.kind}) has no body")
    fields: dict[str, Any] = loads(record.body.text)
    return fields | {name: value_of(part) for name, part in record.private.items()}


def value_of(part: Cell) -> Any:
    """The value in a cell, or what stands for it."""
    if part.encoding == "blob":
        return Blob(digest=part.digest, size=part.size, preview=part.preview, salt=part.salt)
    if part.text is None:
        return Erased()
    return loads(part.text)


def _upcast(record: Record, kind: type[Body], fields: dict[str, Any]) -> dict[str, Any]:
    for schema in range(record.schema, kind.schema_version):
        fields = UPCASTERS[record.kind, schema](fields)
    if record.schema > kind.schema_version:
        raise UnreadableLog(
            f"event {record.seq} ({record.kind}) has schema {record.schema}; this release reads {kind.schema_version}"
        )
    return fields


def erase(record: Record, name: str) -> Record:
    """The record with one private field erased; its digest, and so the log's hashes, stay."""
    gone = replace(record.private[name], text=None, encoding="erased", size=0, preview="")
    return replace(record, private={**record.private, name: gone})
