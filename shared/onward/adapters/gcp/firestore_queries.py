"""Every shape of query there is, and what each needs of Firestore: the one list of both.

The store builds its queries from these shapes and from nothing else, so a query without an index can't be asked; and
the index definitions of a deployment are derived from them (`index_definitions`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onward.adapters.gcp.firestore_wire import Question

ASCENDING, DESCENDING = "ASCENDING", "DESCENDING"
COLLECTIONS = ("sessions", "commits", "inbox", "control", "turns")
EXPIRES = ("inbox", "expires_at")
"""The field that says when a document may go (a TTL policy)."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The fields that a kind of query may ask for, and its order. `equal` are compared with a value, `among` with
    several, and `contains` is a list that has the value; of `order`, the field may also be bounded."""

    collection: str
    order: tuple[str, str]
    equal: tuple[str, ...] = ()
    among: str | None = None
    contains: str | None = None
    group: bool = False

    def question(self, values: Mapping[str, Any], *, bounds: Mapping[str, Any] | None = None, **rest: Any) -> Question:
        """The question that asks for these values, one for each field of the shape; `bounds` are of the order's
        field, by operator; `rest` is what a Question takes besides."""
        asked = [(name, "==", values[name]) for name in self.equal]
        asked += [(self.among, "in", values[self.among])] if self.among else []
        asked += [(self.contains, "contains", values[self.contains])] if self.contains else []
        asked += [(self.order[0], operator, value) for operator, value in (bounds or {}).items()]
        return Question(self.collection, group=self.group, filters=tuple(asked), orders=(self.order,), **rest)

    def fields(self) -> list[dict[str, str]]:
        """What an index needs for it."""
        compared = [*self.equal, *([self.among] if self.among else [])]
        listed = [{"fieldPath": self.contains, "arrayConfig": "CONTAINS"}] if self.contains else []
        ordered = {"fieldPath": self.order[0], "order": self.order[1]}
        return [*({"fieldPath": name, "order": ASCENDING} for name in compared), *listed, ordered]


LOG = Shape("commits", ("last_seq", ASCENDING))
"""Commits behind a seq."""

PENDING = Shape("inbox", ("filed_at", ASCENDING), equal=("pending",))
"""The pending signals of one session."""

CALLED = Shape("inbox", ("filed_at", ASCENDING), equal=("shard", "pending"), group=True)
"""The pending signals of all sessions of a shard."""

DUE = Shape("sessions", ("wake_at", ASCENDING), equal=("shard",))
"""The sessions of a shard that somebody should look at."""

INBOX = Shape("inbox", ("filed_at", ASCENDING))
"""All signals of one session."""

TURNS = Shape("turns", ("number", DESCENDING))
"""The turns of switches, the newest first."""

Lead = str | None
"""By what a list is found, beside its tenant; what else is asked for is looked for in what it finds."""

_LEADS: Mapping[Lead, Mapping[str, Any]] = {
    None: {},
    "parent": {"equal": ("parent",)},
    "family": {"equal": ("family",)},
    "waits": {"contains": "waits"},
    "labels": {"contains": "labels"},
    "program": {"equal": ("program",)},
    "status": {"equal": ("status",)},
}


def _led(lead: Lead, tenant: bool, direction: str) -> Shape:
    how = dict(_LEADS[lead])
    equal = (*(("tenant",) if tenant else ()), *how.pop("equal", ()))
    return Shape("sessions", ("updated_at", direction), equal=equal, among="shard", **how)


def _deleted(tenant: bool, direction: str) -> Shape:
    return Shape("sessions", ("deleted_at", direction), equal=("tenant",) if tenant else ())


LISTS: Mapping[tuple[Lead, bool], Shape] = {
    (lead, tenant): _led(lead, tenant, DESCENDING) for lead in _LEADS for tenant in (False, True)
}
"""Lists of sessions, by lead and by whether a tenant is asked for. Every step moves `updated_at`, and an index that
grows at one end takes some 500 writes a second: so it is one of 16 ends, and a list asks all shards in one query."""

TOMBSTONES: Mapping[bool, Shape] = {tenant: _deleted(tenant, DESCENDING) for tenant in (False, True)}
"""Lists of what was deleted."""

OLDEST: Mapping[tuple[Lead, bool], Shape] = {
    (lead, tenant): _led(lead, tenant, ASCENDING) for lead in ("status", "waits") for tenant in (False, True)
}
"""The same from the other end, for what is worked off: every list can be asked for by its statuses."""

OLDEST_TOMBSTONES: Mapping[bool, Shape] = {tenant: _deleted(tenant, ASCENDING) for tenant in (False, True)}

SHAPES = (LOG, PENDING, CALLED, DUE, INBOX, TURNS, *LISTS.values(), *TOMBSTONES.values())
SHAPES += (*OLDEST.values(), *OLDEST_TOMBSTONES.values())


def index_definitions() -> dict[str, Any]:
    """Composite indexes, and single fields: which are indexed, which expire; nothing else of any document is indexed.

    In the form of `firestore.indexes.json`.
    """
    composite = [_composite(shape) for shape in SHAPES if len(shape.fields()) > 1]
    return {"indexes": sorted(composite, key=str), "fieldOverrides": [*_exempt(), *_single(), _expiring()]}


def _composite(shape: Shape) -> dict[str, Any]:
    scope = "COLLECTION_GROUP" if shape.group else "COLLECTION"
    return {"collectionGroup": shape.collection, "queryScope": scope, "fields": shape.fields()}


def _exempt() -> list[dict[str, Any]]:
    return [{"collectionGroup": name, "fieldPath": "*", "indexes": []} for name in COLLECTIONS]


def _single() -> list[dict[str, Any]]:
    """The fields that are asked for alone."""
    alone: dict[tuple[str, str], set[str]] = {}
    for shape in SHAPES:
        if len(shape.fields()) == 1:
            alone.setdefault((shape.collection, shape.order[0]), set()).add(shape.order[1])
    return [
        {"collectionGroup": name, "fieldPath": field, "indexes": [_alone(order) for order in sorted(orders)]}
        for (name, field), orders in sorted(alone.items())
    ]


def _alone(order: str) -> dict[str, str]:
    return {"order": order, "queryScope": "COLLECTION"}


def _expiring() -> dict[str, Any]:
    collection, field = EXPIRES
    return {"collectionGroup": collection, "fieldPath": field, "ttl": True, "indexes": []}
