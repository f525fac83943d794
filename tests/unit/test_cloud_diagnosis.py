"""What a deployment's database says of how all is going."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from onward.adapters.gcp.diagnosis import GOING, MANY, NEWEST, diagnose
from onward.config import OperatorSettings
from onward.core.head import Head
from onward.errors import StoreUnavailable
from onward.ports import Query

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
    """A store with so many overdue sessions, and these others."""

    late: int
    heads: Sequence[Head] = ()
    asked: Query | None = None

    async def overdue(self, limit: int = 100) -> list[str]:
        return ["key"] * min(self.late, limit)

    async def list(self, query: Query) -> Sequence[Head]:
        self.asked = query
        return self.heads


@pytest.mark.parametrize(
    ("late", "ok", "text"),
    [
        (0, True, "nothing is overdue"),
        (1, False, "1 session should have been looked at"),
        (2, False, "2 sessions should have been looked at"),
        (MANY + 7, False, f"at least {MANY} sessions should have been looked at"),
    ],
)
async def test_what_nobody_looks_at_in_time_is_counted(late: int, ok: bool, text: str) -> None:
    store: Any = Store(late)
    database, overdue = (await diagnose(store, PLACE)).findings
    assert (overdue.name, overdue.ok, overdue.text) == ("overdue", ok, text)
    assert (database.ok, database.text) == (True, "database onward of project my-project answers")


async def test_versions_are_counted_of_what_has_not_ended_and_not_of_too_many() -> None:
    store: Any = Store(0, [HEAD, replace(HEAD, id="t"), replace(HEAD, version="2"), replace(HEAD, program="clerk")])
    diagnosis = await diagnose(store, PLACE)
    assert diagnosis.versions == (("clerk", "1", 1), ("desk", "1", 2), ("desk", "2", 1))
    assert store.asked == Query(status=GOING, limit=NEWEST)
    assert set(GOING) == {"scheduled", "running", "waiting", "needs_attention", "paused"}


async def test_a_database_that_does_not_answer_is_no_finding() -> None:
    class Away(Store):
        async def overdue(self, limit: int = 100) -> list[str]:
            raise StoreUnavailable("away")

    store: Any = Away(0)
    with pytest.raises(StoreUnavailable):
        await diagnose(store, PLACE)
