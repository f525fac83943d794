"""How a deployment is, as far as its database can tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from onward.adapters.gcp.firestore_lists import Overdue
from onward.config import CloudPlace
from onward.core.versions import GOING
from onward.ports import Diagnosis, Finding, Query, SessionStore

MANY = 100
"""Overdue sessions that are counted; from there on it is `at least`."""

LATE = 10.0
"""Seconds: what is due for so long has been overlooked."""

NAMED = 5
"""Sessions named in a finding, at most: each costs a read."""

NEWEST = 1000
"""Sessions whose versions are counted: each costs a read."""


async def diagnose(store: SessionStore, place: CloudPlace, overdue: Overdue) -> Diagnosis:
    """What nobody has looked at in time, and which versions sessions run. Raises Retryable where the database does not
    answer."""
    late = [key for key in await overdue.keys() if (overdue.now - overdue.since[key]).total_seconds() >= LATE]
    lapsed = [key for key in late if key in overdue.lapsed]
    heads = await store.list(Query(status=GOING, limit=NEWEST))
    versions = Counter((head.program, head.version) for head in heads)
    findings = (_answers(place), await _leases(store, lapsed), await _overdue(store, overdue, late))
    return Diagnosis(findings, tuple((*of, count) for of, count in sorted(versions.items())))


def _answers(place: CloudPlace) -> Finding:
    where = f" at the emulator on {place.firestore_emulator}" if place.firestore_emulator else ""
    text = f"database {place.database} of project {place.project} answers{where}"
    return Finding("database", True, text, {"project": place.project, "database": place.database})


async def _leases(store: SessionStore, lapsed: Sequence[str]) -> Finding:
    """Held by somebody who is gone, and not taken up by anybody since."""
    text = f"{_many(len(lapsed))} lapsed" if lapsed else "none lapsed"
    return Finding("leases", not lapsed, text, {"lapsed": len(lapsed)}, await _ids(store, lapsed))


async def _overdue(store: SessionStore, overdue: Overdue, late: Sequence[str]) -> Finding:
    if not late:
        return Finding("overdue", True, "nothing is overdue", {"overdue": 0})
    oldest = max((overdue.now - overdue.since[key]).total_seconds() for key in late)
    sessions = f"{_many(len(late))} session{'s' * (len(late) != 1)}"
    text = f"{sessions} should have been looked at, the oldest {oldest:,.0f} s ago"
    return Finding("overdue", False, text, {"overdue": len(late), "oldest_s": oldest}, await _ids(store, late))


def _many(count: int) -> str:
    return f"at least {count}" if count >= MANY else f"{count}"


async def _ids(store: SessionStore, keys: Sequence[str]) -> tuple[str, ...]:
    """The ids of the first of them."""
    heads = [await store.read(key) for key in keys[:NAMED]]
    return tuple(head.id if head else f"(no session {key})" for key, head in zip(keys, heads, strict=False))
