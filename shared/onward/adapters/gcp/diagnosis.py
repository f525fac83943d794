"""How a deployment is, as far as its database can tell."""

from __future__ import annotations

from collections import Counter
from typing import get_args

from onward.config import CloudPlace
from onward.core.head import Status
from onward.ports import Diagnosis, Finding, Query, SessionStore

MANY = 100
"""Overdue sessions that are counted; from there on it is `at least`."""

NEWEST = 1000
"""Sessions whose versions are counted: each costs a read."""

GOING = tuple(each for each in get_args(Status) if each not in ("completed", "failed", "cancelled", "deleted"))


async def diagnose(store: SessionStore, place: CloudPlace) -> Diagnosis:
    """What nobody has looked at in time, and which versions sessions run. Raises Retryable where the database does not
    answer."""
    overdue = len(await store.overdue(limit=MANY))
    heads = await store.list(Query(status=GOING, limit=NEWEST))
    versions = Counter((head.program, head.version) for head in heads)
    return Diagnosis(
        (_answers(place), _overdue(overdue)), tuple((*of, count) for of, count in sorted(versions.items()))
    )


def _answers(place: CloudPlace) -> Finding:
    where = f" at the emulator on {place.firestore_emulator}" if place.firestore_emulator else ""
    text = f"database {place.database} of project {place.project} answers{where}"
    return Finding("database", True, text, {"project": place.project, "database": place.database})


def _overdue(count: int) -> Finding:
    if not count:
        return Finding("overdue", True, "nothing is overdue", {"overdue": 0})
    many = f"at least {count}" if count >= MANY else f"{count}"
    text = f"{many} session{'s' * (count != 1)} should have been looked at"
    return Finding("overdue", False, text, {"overdue": count})
