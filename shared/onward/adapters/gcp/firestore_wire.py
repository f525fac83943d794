"""Documents, writes and questions in plain values, and the protobuf that Firestore takes and gives for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

Version = tuple[int, int]
"""A document's update time, to the nanosecond: what a later write may expect to find."""

Fields = Mapping[str, Any]
"""Text, whole numbers, booleans, None, times, and lists and mappings of these."""

MISSING = False
PRESENT = True
_REQUEST_TIME = 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it was read. `path` begins behind the database: `sessions/...`; `created` is the time of the commit
    that made it, which no read before that time can have missed."""

    path: str
    fields: Fields
    version: Version
    created: datetime

    @property
    def id(self) -> str:
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Found:
    """What there was at `now`, the server's time of the read. What was asked for and is not in it is not there."""

    documents: tuple[Document, ...]
    now: datetime


@dataclass(frozen=True, slots=True)
class Write:
    """One write of a commit: `fields` are put in the place of the whole document, or, with `only`, of these fields,
    where those that are not given go. `stamped` are set to the server's time. `gone` deletes.

    `expects` is the precondition: MISSING, PRESENT, or the version that is there; None asks for nothing.
    """

    path: str
    fields: Fields = field(default_factory=dict)
    only: tuple[str, ...] | None = None
    stamped: tuple[str, ...] = ()
    gone: bool = False
    expects: Version | bool | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one write: the version that is there now, the time of the commit, and the time that was stamped,
    which is a moment before."""

    version: Version
    at: datetime
    stamp: datetime | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """A structured query. `parent` is the document that it asks below (the database if empty); `group` asks every
    collection of that name, wherever it lies. `after` is the place, one value for each order and the path, that the
    answer begins behind; `select` the fields that are wanted, all if None."""

    collection: str
    parent: str = ""
    group: bool = False
    filters: tuple[tuple[str, str, Any], ...] = ()
    orders: tuple[tuple[str, str], ...] = ()
    after: tuple[Any, ...] = ()
    limit: int | None = None
    select: tuple[str, ...] | None = None


def set_value(value: Any, to: Any) -> None:
    """Set a protobuf Value. Raises TypeError for what is none."""
    if isinstance(to, bool):
        value.boolean_value = to
    elif isinstance(to, int):
        value.integer_value = to
    elif isinstance(to, str):
        value.string_value = to
    elif to is None:
        value.null_value = 0
    elif isinstance(to, datetime):
        set_time(value.timestamp_value, to)
    elif isinstance(to, Mapping):
        value.map_value.SetInParent()
        for name, part in to.items():
            set_value(value.map_value.fields[name], part)
    elif isinstance(to, list | tuple):
        value.array_value.SetInParent()
        for part in to:
            set_value(value.array_value.values.add(), part)
    else:
        raise TypeError(f"a document can't hold {type(to).__name__}")


def get_value(value: Any) -> Any:
    """The plain value of a protobuf Value."""
    kind = value.WhichOneof("value_type")
    if kind == "null_value":
        return None
    if kind == "timestamp_value":
        return get_time(value.timestamp_value)
    if kind == "map_value":
        return {name: get_value(part) for name, part in value.map_value.fields.items()}
    if kind == "array_value":
        return [get_value(part) for part in value.array_value.values]
    return getattr(value, kind)


def set_time(stamp: Any, to: datetime) -> None:
    """Set a protobuf Timestamp."""
    since = to - _EPOCH
    stamp.seconds, stamp.nanos = since.days * 86_400 + since.seconds, since.microseconds * 1000
    stamp.SetInParent()


def get_time(stamp: Any) -> datetime:
    return _EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1000)


def version_of(stamp: Any) -> Version:
    return stamp.seconds, stamp.nanos


def document_of(document: Any, root: str) -> Document:
    """A document whose name begins with `root`."""
    fields = {name: get_value(value) for name, value in document.fields.items()}
    created = get_time(document.create_time)
    return Document(document.name[len(root) :], fields, version_of(document.update_time), created)


def fill_write(request: Any, write: Write, root: str) -> Any:
    """Add a write to a CommitRequest or BatchWriteRequest; answers what was added."""
    made = request.writes.add()
    if write.gone:
        made.delete = root + write.path
    else:
        _fill_update(made, write, root)
    _fill_precondition(made, write.expects)
    return made


def _fill_update(made: Any, write: Write, root: str) -> None:
    made.update.name = root + write.path
    for name, value in write.fields.items():
        set_value(made.update.fields[name], value)
    if write.only is not None:
        made.update_mask.field_paths.extend(write.only)
    for name in write.stamped:
        transform = made.update_transforms.add()
        transform.field_path, transform.set_to_server_value = name, _REQUEST_TIME


def _fill_precondition(made: Any, expects: Version | bool | None) -> None:
    if isinstance(expects, bool):
        made.current_document.exists = expects
    elif expects is not None:
        made.current_document.update_time.seconds, made.current_document.update_time.nanos = expects


def written_of(result: Any) -> Written:
    """What a WriteResult tells. All fields that one commit stamps have the same time."""
    stamps = [get_time(value.timestamp_value) for value in result.transform_results]
    return Written(version_of(result.update_time), get_time(result.update_time), stamps[0] if stamps else None)


def fill_query(query: Any, question: Question, root: str) -> None:
    """Make a StructuredQuery of a question."""
    source = query.from_.add()
    source.collection_id, source.all_descendants = question.collection, question.group
    for filter in question.filters:
        _fill_filter(query.where.composite_filter, filter)
    for field_path, direction in _orders(question):
        order = query.order_by.add()
        order.field.field_path, order.direction = field_path, {"ASCENDING": 1, "DESCENDING": 2}[direction]
    if question.after:
        _fill_cursor(query.start_at, question.after, root)
    if question.limit is not None:
        query.limit.value = question.limit
    for name in question.select or ():
        query.select.fields.add().field_path = name


def _orders(question: Question) -> Iterable[tuple[str, str]]:
    """The orders, and the one by name that comes last anyway: a cursor may then say it."""
    last = question.orders[-1][1] if question.orders else "ASCENDING"
    return (*question.orders, ("__name__", last))


_OPERATORS = {"<": 1, "<=": 2, ">": 3, ">=": 4, "==": 5, "contains": 7, "in": 8}


def _fill_filter(where: Any, filter: tuple[str, str, Any]) -> None:
    name, operator, value = filter
    where.op = 1  # and
    made = where.filters.add().field_filter
    made.field.field_path, made.op = name, _OPERATORS[operator]
    set_value(made.value, value)


def _fill_cursor(cursor: Any, after: tuple[Any, ...], root: str) -> None:
    for value in after[:-1]:
        set_value(cursor.values.add(), value)
    cursor.values.add().reference_value = root + after[-1]
