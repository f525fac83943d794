"""The hash chain: what it finds, and what it lets pass (G3)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from onward.core.codec import cell, erase
from onward.core.log import Commit, seal, verify
from onward.errors import CorruptLog
from tests.property.strategies import logs

picks = st.integers(0, 10**6)


@settings(deadline=None)
@given(logs())
def test_g3_a_log_as_written_verifies(log: list[Commit]) -> None:
    assert verify(log) == (log[-1].last_seq, log[-1].hash)
    assert verify(log, head=log[0].hash) == (log[-1].last_seq, log[-1].hash)


@settings(deadline=None)
@given(logs(), picks, st.sampled_from(["body", "at", "actor", "kind", "seq", "schema", "private"]))
def test_g3_any_edit_of_an_event_is_found(log: list[Commit], pick: int, what: str) -> None:
    at = pick % len(log)
    record = log[at].records[pick % len(log[at].records)]
    changes = {
        "body": {"body": cell({"other": pick}, "salt")},
        "at": {"at": "1999-01-01T00:00:00.000Z"},
        "actor": {"actor": {"kind": "person", "name": "somebody else"}},
        "kind": {"kind": "session_completed_twice"},
        "seq": {"seq": record.seq + 1},
        "schema": {"schema": record.schema + 1},
        "private": {"private": {**record.private, "extra": cell(1, "s")}},
    }
    records = tuple(replace(r, **changes[what]) if r is record else r for r in log[at].records)  # type: ignore[arg-type]
    with pytest.raises(CorruptLog):
        verify([*log[:at], replace(log[at], records=records), *log[at + 1 :]])


@settings(deadline=None)
@given(logs(), picks)
def test_g3_a_text_swapped_under_its_digest_is_found(log: list[Commit], pick: int) -> None:
    at = pick % len(log)
    record = log[at].records[0]
    records = (replace(record, body=replace(record.body, text='{"forged":1}')), *log[at].records[1:])
    with pytest.raises(CorruptLog):
        verify([*log[:at], replace(log[at], records=records), *log[at + 1 :]])


@settings(deadline=None)
@given(logs(), picks, st.sampled_from(["epoch", "token", "genesis"]))
def test_g3_an_edit_of_a_commit_is_found(log: list[Commit], pick: int, field: str) -> None:
    at = pick % len(log)
    changed = replace(log[at], **{field: {"epoch": 99, "token": "forged", "genesis": {"tenant": "another"}}[field]})  # type: ignore[arg-type]
    with pytest.raises(CorruptLog):
        verify([*log[:at], changed, *log[at + 1 :]])


@settings(deadline=None)
@given(logs(), picks)
def test_g3_a_gap_or_another_order_is_found(log: list[Commit], pick: int) -> None:
    assume(len(log) > 1)
    at = pick % (len(log) - 1)
    with pytest.raises(CorruptLog):
        verify([*log[:at], *log[at + 1 :]])
    with pytest.raises(CorruptLog):
        verify([*log[:at], log[at + 1], log[at], *log[at + 2 :]])


@settings(deadline=None)
@given(logs())
def test_g3_a_cut_tail_shows_only_against_a_head_kept_elsewhere(log: list[Commit]) -> None:
    assume(len(log) > 1)
    verify(log[:-1])
    with pytest.raises(CorruptLog):
        verify(log[:-1], head=log[-1].hash)


@settings(deadline=None)
@given(logs())
def test_g3_a_chain_rewritten_whole_shows_only_against_a_head_kept_elsewhere(log: list[Commit]) -> None:
    last, forged = "", []
    for commit in log:
        forged.append(seal(commit.records, prev=last, epoch=commit.epoch + 1, token="forged", genesis=commit.genesis))
        last = forged[-1].hash
    verify(forged)
    with pytest.raises(CorruptLog):
        verify(forged, head=log[-1].hash)


@settings(deadline=None)
@given(logs(), picks)
def test_g3_erasing_private_fields_leaves_a_log_that_verifies(log: list[Commit], pick: int) -> None:
    erased = [
        replace(
            commit,
            records=tuple(
                erase(r, sorted(r.private)[pick % len(r.private)]) if r.private else r for r in commit.records
            ),
        )
        for commit in log
    ]
    assert verify(erased, head=log[-1].hash) == verify(log)
    assert [commit.hash for commit in erased] == [commit.hash for commit in log]
