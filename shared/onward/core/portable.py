"""A session as one portable file: lines of JSON, which show any edit, and need no store to be read (G3).

    {"onward": "session", ...}                what it is: whose log, up to where, by which hash
    {"commit": {...}}                         each commit, as it is stored
    {"value": "blobs/<digest>", "text": ...}  each large value, then each file
    {"lines": n, "sha256": ...}               the sum of all lines before

Private fields may be left out: then they are erased as in a log, and the file verifies all the same. An erased field
has no salt here, so that nobody can try what would fit its digest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Any

from pydantic import ValidationError

from onward.core.branch import Base
from onward.core.canonical import document, sha256
from onward.core.codec import FORMAT, Cell, Record, decode, value_of
from onward.core.codec import erase as erased
from onward.core.events import BODIES, Event, SessionForked
from onward.core.files import MARK, digests_in, is_genuine
from onward.core.log import ROOT, Commit, check
from onward.core.payload import Blob
from onward.core.recording import Recording
from onward.core.state import changed
from onward.errors import BadInput, CorruptLog, UnreadableLog

EXPORT = 1
"""The format of the file."""

ALL = "*"
"""What is left out where it is every private field."""

BLOBS, FILES = "blobs/", "files/"
GZIP = b"\x1f\x8b"
COMMIT = '{"commit":'


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says first: whose log it has, up to which event and commit's hash, of which format the log is. What
    the session ran and how it stood are for people. `left_out` are the private fields that were not exported."""

    tenant: str
    session: str
    program: str
    version: str
    status: str
    seq: int
    hash: str
    format: int
    exported_at: str
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Export:
    """A session's file: verified if it was read. `values` are large values (`blobs/<digest>`) and the base64 text of
    files (`files/<digest>`)."""

    header: Header
    commits: tuple[Commit, ...]
    values: Mapping[str, str]

    @property
    def erased(self) -> tuple[tuple[int, str], ...]:
        """The private fields that are erased, by the event that they were of."""
        records = (record for commit in self.commits for record in commit.records)
        return tuple((record.seq, name) for record in records for name, part in record.private.items() if _gone(part))

    def recording(self) -> Recording:
        """The recording, every value in it. Raises UnreadableLog for what this release does not know."""
        records = (record for commit in self.commits for record in commit.records)
        events = tuple(self._whole(decode(record)) for record in records)
        files = {name.removeprefix(FILES): text for name, text in self.values.items() if name.startswith(FILES)}
        return Recording(events, tuple(commit.first_seq for commit in self.commits), self.header.hash, files)

    def foldables(self) -> list[Event]:
        """The events as a log's reader folds them: large values as references, but for what a branch goes on from.
        Raises UnreadableLog."""
        events = [decode(record) for commit in self.commits for record in commit.records]
        return [self._with_base(event) for event in events]

    def _with_base(self, event: Event) -> Event:
        if not isinstance(event.body, SessionForked) or not isinstance(event.body.base, Blob):
            return event
        return changed(event, body=changed(event.body, base=self._get(event.body.base)))

    def _whole(self, event: Event) -> Event:
        body = event.body
        large = {name: value for name in body.private if isinstance(value := getattr(body, name), Blob)}
        if large:
            body = changed(body, **{name: self._get(value) for name, value in large.items()})
        if isinstance(body, SessionForked) and isinstance(body.base, dict):
            body = changed(body, base=with_values(body.base, self._get))
        return event if body is event.body else changed(event, body=body)

    def _get(self, blob: Blob) -> Any:
        value = self._parsed.get(blob.digest)
        if value is None:
            value = self._parsed[blob.digest] = json.loads(self.values[BLOBS + blob.digest])
        return value if blob.index is None else value[blob.index]

    @cached_property
    def _parsed(self) -> dict[str, Any]:
        return {}

    def without(self, leaving: Leaving) -> Export:
        """The same without some private fields, and without the large values and files that only they name."""
        commits, wanted = tuple(leaving.out(commit) for commit in self.commits), Wanted()
        for commit in commits:
            wanted.take(commit)
        for blob in wanted.each_blob():
            wanted.took(blob.digest, self.values[BLOBS + blob.digest])
        kept = {BLOBS + digest for digest in wanted.blobs} | {FILES + digest for digest in wanted.files}
        left = tuple(sorted({*self.header.left_out, *leaving.names}))
        values = {name: text for name, text in self.values.items() if name in kept}
        return Export(replace(self.header, left_out=left), commits, values)


def _gone(part: Cell) -> bool:
    return part.encoding == "erased"


def with_values(base: dict[str, Any], get: Any) -> dict[str, Any]:
    """A branch's base, as JSON, with every value in it that lies elsewhere."""
    parsed = Base.model_validate(base)
    return parsed.filled(get).model_dump(mode="json", exclude_unset=True) if parsed.blobs() else base


# --- leaving out -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Leaving:
    """Which private fields a file is to go without: all of them, or those named, as `call_completed.result`. Raises
    BadInput for one that there is none of."""

    private: bool = True
    fields: Collection[str] = ()

    def __post_init__(self) -> None:
        for name in self.fields:
            kind, _, of_it = name.partition(".")
            if kind not in BODIES or of_it not in BODIES[kind].private:
                there = ", ".join(sorted(f"{kind}.{each}" for kind, body in BODIES.items() for each in body.private))
                raise BadInput(f"erase: {name[:80]!r} is no private field; these are: {there}")

    @property
    def names(self) -> tuple[str, ...]:
        """What the file says that it goes without."""
        return tuple(sorted(self.fields)) if self.private else (ALL,)

    def out(self, commit: Commit) -> Commit:
        """The commit without them."""
        return replace(commit, records=tuple(self._record(record) for record in commit.records))

    def _record(self, record: Record) -> Record:
        for name, part in record.private.items():
            if not self.private or f"{record.kind}.{name}" in self.fields or _gone(part):
                unsalted = replace(erased(record, name).private[name], salt="")
                record = replace(record, private={**record.private, name: unsalted})
        return record


NOTHING_LEFT_OUT = Leaving()


@dataclass(slots=True)
class Wanted:
    """The large values and files that a log names, found as its commits and then its large values are gone through."""

    blobs: dict[str, Blob] = field(default_factory=dict)
    files: dict[str, None] = field(default_factory=dict)
    _order: list[Blob] = field(default_factory=list)
    _bases: set[str] = field(default_factory=set)

    def take(self, commit: Commit) -> None:
        """Go through a commit."""
        for record in commit.records:
            for name, part in record.private.items():
                is_base = (record.kind, name) == ("session_forked", "base")
                if part.encoding == "blob":
                    self._add(value_of(part))
                    self._bases |= {part.digest} if is_base else set()
                elif part.text is not None:
                    self._look(part.text, is_base)

    def took(self, digest: str, text: str) -> None:
        """Go through a large value, which may name more."""
        self._look(text, digest in self._bases)

    def each_blob(self) -> Iterator[Blob]:
        """Each large value, those too that are found meanwhile."""
        yield from self._order

    def _add(self, blob: Blob) -> None:
        if blob.digest not in self.blobs:
            self.blobs[blob.digest] = blob
            self._order.append(blob)

    def _look(self, text: str, is_base: bool) -> None:
        if MARK in text:
            self.files |= dict.fromkeys(sorted(digests_in(json.loads(text))))
        if is_base and "$blob" in text:
            for blob in Base.model_validate(json.loads(text)).blobs():
                self._add(blob)


# --- writing ---------------------------------------------------------------------------------------------------


class Sheet:
    """The lines of one file, one after the other: the header first, then what each method makes, `end` last."""

    def __init__(self) -> None:
        self._sum = hashlib.sha256()
        self._lines = 0

    def header(self, header: Header) -> str:
        """The first line."""
        return self._line(document({"onward": "session", "export": EXPORT, **asdict(header)}))

    def commit(self, commit: Commit) -> str:
        """The line of a commit."""
        return self._line(f"{COMMIT}{commit.to_json()}}}")

    def value(self, name: str, text: str) -> str:
        """The line of a large value or a file."""
        return self._line(document({"value": name, "text": text}))

    def end(self) -> str:
        """The last line."""
        return document({"lines": self._lines, "sha256": self._sum.hexdigest()}) + "\n"

    def _line(self, text: str) -> str:
        self.take(text)
        return text + "\n"

    def take(self, text: str) -> None:
        """Count a line in."""
        self._sum.update(text.encode() + b"\n")
        self._lines += 1


def write(export: Export) -> Iterator[str]:
    """The lines of the file, each with its end."""
    sheet = Sheet()
    yield sheet.header(export.header)
    yield from map(sheet.commit, export.commits)
    for name, text in export.values.items():
        yield sheet.value(name, text)
    yield sheet.end()


# --- reading ---------------------------------------------------------------------------------------------------


def read(lines: Iterable[str]) -> Export:
    """The export in these lines, such as those of an open file, verified.

    Raises BadInput for what is no session's file, UnreadableLog for one of a newer release, and CorruptLog, naming the
    line, for one that was changed or cut.
    """
    reader = _Reader()
    for number, line in enumerate(_whole(lines), start=1):
        try:
            reader.take(line)
        except CorruptLog as exc:
            said = "".join(each if each.isprintable() else "?" for each in str(exc))  # it may be the file that speaks
            raise CorruptLog(f"line {number}: {said}") from exc
        except (ValidationError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as exc:
            raise CorruptLog(f"line {number}: it is not what an export has there") from exc
    return reader.export()


def _whole(lines: Iterable[str]) -> Iterator[str]:
    """The lines without their ends, which may be those of Windows: what keeps files in versions may have changed them.
    Raises CorruptLog."""
    try:
        for line in lines:
            yield line.removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as exc:
        packed = exc.object.startswith(GZIP)
        why = "is compressed: unpack it first" if packed else "is no UTF-8 text; it was changed, or is no export"
        raise CorruptLog(f"the file {why}") from exc


class _Reader:
    """Takes line by line, and believes none of them."""

    def __init__(self) -> None:
        self._header: Header | None = None
        self._sheet = Sheet()
        self._commits: list[Commit] = []
        self._values: dict[str, str] = {}
        self._wanted = Wanted()
        self._ended = False

    def take(self, line: str) -> None:
        """Take the next line. Raises CorruptLog."""
        if self._header is None:
            self._header = _header(line)
        elif self._ended:
            raise CorruptLog("there is nothing behind the last line")
        elif line.startswith(COMMIT):
            self._commit(Commit.from_json(line[len(COMMIT) : -1]))
        elif line.startswith('{"value":'):
            doc = json.loads(line)
            self._value(doc["value"], doc["text"])
        else:
            self._end(line)
        self._sheet.take(line)

    def _commit(self, commit: Commit) -> None:
        if self._values:
            raise CorruptLog("a commit comes after a large value")
        seq, prev = (self._commits[-1].last_seq, self._commits[-1].hash) if self._commits else (0, ROOT)
        check(commit, seq, prev)
        self._wanted.take(commit)
        self._commits.append(commit)

    def _value(self, name: str, text: str) -> None:
        if name in self._values:
            raise CorruptLog(f"{name} comes twice")
        if name.startswith(BLOBS):
            self._blob(name.removeprefix(BLOBS), text)
        elif name.removeprefix(FILES) not in self._wanted.files:
            raise CorruptLog(f"nothing in the log names {name[:80]}")
        elif not is_genuine(text, name.removeprefix(FILES)):
            raise CorruptLog(f"{name} was changed: it does not match its digest")
        self._values[name] = text

    def _blob(self, digest: str, text: str) -> None:
        blob = self._wanted.blobs.get(digest)
        if blob is None:
            raise CorruptLog(f"nothing in the log names blob {digest[:64]}")
        size = len(text.encode())
        if sha256(blob.salt + text) != digest or blob.size != size or blob.preview != text[:200]:
            raise CorruptLog(f"blob {digest} was changed: it does not match its digest")
        self._wanted.took(digest, text)

    def _end(self, line: str) -> None:
        missing = [digest for digest in self._wanted.blobs if BLOBS + digest not in self._values]
        if missing:
            raise CorruptLog(f"blob {missing[0]} is missing")
        if f"{line}\n" != self._sheet.end():
            raise CorruptLog("it is not the sum of the lines before, so that one of them was changed")
        self._check_header()
        self._ended = True

    def _check_header(self) -> None:
        """What the header says of the log is what the log says."""
        header, first, last = self._header, self._commits[:1], self._commits[-1:]
        genesis = dict(first[0].genesis or {}) if first else {}
        said = header and (header.tenant, header.session, header.seq, header.hash)
        if not last or said != (genesis.get("tenant"), genesis.get("session"), last[0].last_seq, last[0].hash):
            raise CorruptLog("the log is not the one that the first line names: it was cut, or is another's")

    def export(self) -> Export:
        """What was taken. Raises BadInput for nothing, CorruptLog where the last line has not come."""
        if self._header is None:
            raise BadInput("file: it is empty; an export of a session was expected")
        if not self._ended:
            raise CorruptLog("the file was cut: its last line, with the sum of all others, is missing")
        return Export(self._header, tuple(self._commits), self._values)


def _header(line: str) -> Header:
    try:
        doc = json.loads(line)
        if doc.pop("onward") != "session":
            raise KeyError("onward")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise BadInput("file: it does not begin as an export of a session does") from None
    known = {each.name for each in fields(Header)}
    if doc.pop("export", None) != EXPORT or doc.get("format", 0) > FORMAT:
        raise UnreadableLog("file: it is of a newer onward: upgrade onward")
    if not known >= doc.keys() or not all(isinstance(doc[name], str) for name in _TEXTS):
        raise BadInput("file: its first line is not what an export has there")
    return Header(**doc | {"left_out": tuple(doc["left_out"])})


_TEXTS = ("tenant", "session", "program", "version", "status", "hash", "exported_at")
