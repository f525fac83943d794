"""What a deployment's database says of how all is going."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from onward.adapters.gcp.diagnosis import GOING, LATE, MANY, NEWEST, diagnose
from onward.config import OperatorSettings
from onward.core.head import Head
from onward.errors import StoreUnavailable
from onward.ports import Finding, Query

PLACE = OperatorSettings.from_env("my-project", {})
NOW = datetime(2026, 1, 1, tzinfo=UTC)
HEAD = Head(
    key="k",
    tenant="default",
    id="s",
    program="desk",
    version="1",
    status="waiting",
    seq=1,
    hash="h",
    commits=1,
    created_at=NOW,
    updated_at=NOW,
)


@dataclass
class Store:
    """A store with these sessions."""

    heads: Sequence[Head] = ()
    asked: Query | None = None

    async def list(self, query: Query) -> Sequence[Head]:
        self.asked = query
        return self.heads

    async def read(self, key: str) -> Head | None:
        return replace(HEAD, id=f"id-{key}") if key != "absent" else None


@dataclass
class Overdue:
    """Sessions by how long they are overdue, in seconds."""

    found: Mapping[str, float]
    lapsed: Collection[str] = ()
    now: datetime = NOW

    async def keys(self) -> list[str]:
        self.since = {key: NOW - timedelta(seconds=late) for key, late in self.found.items()}
        return list(self.found)


async def findings(store: Store, overdue: Overdue) -> Mapping[str, Finding]:
    given: Any = (store, PLACE, overdue)
    return {finding.name: finding for finding in (await diagnose(*given)).findings}


LATER = {f"k{number}": 60.0 for number in range(MANY)}


@pytest.mark.parametrize(
    ("late", "ok", "text"),
    [
        ({}, True, "nothing is overdue"),
        ({"a": LATE - 1}, True, "nothing is overdue"),
        ({"a": 12.0, "b": 1.0}, False, "1 session should have been looked at, the oldest 12 s ago"),
        ({"a": 12.0, "b": 7200.0}, False, "2 sessions should have been looked at, the oldest 7,200 s ago"),
        (LATER, False, f"at least {MANY} sessions should have been looked at, the oldest 60 s ago"),
    ],
)
async def test_what_nobody_looks_at_in_time_is_counted(late: dict[str, float], ok: bool, text: str) -> None:
    found = await findings(Store(), Overdue(late))
    assert (found["overdue"].ok, found["overdue"].text) == (ok, text)
    assert (found["database"].ok, found["database"].text) == (True, "database onward of project my-project answers")
    assert len(found["overdue"].sessions) <= 5


async def test_leases_of_those_who_are_gone_are_counted() -> None:
    found = await findings(Store(), Overdue({"a": 20.0, "absent": 30.0, "c": 1.0}, lapsed=("absent", "c")))
    assert (found["leases"].text, found["leases"].details) == ("1 lapsed", {"lapsed": 1})
    assert found["leases"].sessions == ("(no session absent)",)
    assert found["overdue"].sessions == ("id-a", "(no session absent)")
    assert (await findings(Store(), Overdue({})))["leases"].ok


async def test_versions_are_counted_of_what_has_not_ended_and_not_of_too_many() -> None:
    store: Any = Store([HEAD, replace(HEAD, id="t"), replace(HEAD, version="2"), replace(HEAD, program="clerk")])
    none: Any = Overdue({})
    diagnosis = await diagnose(store, PLACE, none)
    assert diagnosis.versions == (("clerk", "1", 1), ("desk", "1", 2), ("desk", "2", 1))
    assert store.asked == Query(status=GOING, limit=NEWEST)
    assert set(GOING) == {"scheduled", "running", "waiting", "needs_attention", "paused"}


async def test_a_database_that_does_not_answer_is_no_finding() -> None:
    class Away(Overdue):
        async def keys(self) -> list[str]:
            raise StoreUnavailable("away")

    with pytest.raises(StoreUnavailable):
        await findings(Store(), Away({}))
