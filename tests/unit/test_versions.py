"""Counting sessions by their versions."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from onward.core.events import Failure
from onward.core.head import ENDED, Head, Status
from onward.core.versions import GOING, versions
from onward.testing.runner import START


def head(key: str, status: Status = "waiting", hours: int = 0, **more: Any) -> Head:
    at = START + timedelta(hours=hours)
    one = Head(
        key=key,
        tenant="t",
        id=f"id-{key}",
        program="order",
        version="1",
        status=status,
        seq=1,
        hash="",
        commits=1,
        created_at=at,
        updated_at=at,
    )
    return replace(one, **more)


def test_what_has_ended_runs_on_no_version() -> None:
    assert versions([head(status, status) for status in ENDED]) == []
    assert set(GOING) | set(ENDED) >= {"scheduled", "running", "waiting", "needs_attention", "paused"}


def test_a_session_that_is_met_twice_counts_as_it_was_last() -> None:
    (row,) = versions([head("a", "running"), head("b"), head("a", "waiting")])
    assert (row.sessions, row.counts["waiting"], row.counts["running"]) == (2, 2, 0)
    assert versions([head("a", "running"), head("a", "completed")]) == []


def test_the_oldest_is_the_one_that_was_started_first_however_it_moved_since() -> None:
    heads = [head("new", hours=3), head("old", hours=1, updated_at=START + timedelta(hours=9)), head("mid", hours=2)]
    (row,) = versions(heads)
    assert row.oldest is not None
    assert row.oldest.id == "id-old"


def test_rows_are_by_program_and_the_version_with_the_oldest_session_comes_first() -> None:
    heads = [
        head("a", hours=2, version="1"),
        head("b", hours=1, version="10"),
        head("c", hours=0, version="2"),
        head("d", hours=9, program="desk"),
    ]
    assert [(row.program, row.version) for row in versions(heads)] == [
        ("desk", "1"),
        ("order", "2"),
        ("order", "10"),
        ("order", "1"),
    ]


def test_only_what_stopped_for_want_of_its_version_is_stranded() -> None:
    gone, other = (Failure(code=code, message="") for code in ("unknown_version", "limit_reached"))
    heads = [
        head("a", "needs_attention", 2, error=gone),
        head("b", "needs_attention", 1, error=gone),
        head("c", "needs_attention", error=other),
        head("d", "waiting"),
    ]
    (row,) = versions(heads)
    assert [each.id for each in row.stranded] == ["id-b", "id-a"]
