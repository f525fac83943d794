"""Events to records and back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onward.core.codec import Cell, Record, cell, decode, encode, erase, value_of
from onward.core.events import BODIES, Event
from onward.core.log import Commit, offload, seal
from onward.core.payload import Blob, Erased, pack, unpack
from onward.errors import UnreadableLog
from tests.property.strategies import actors, bodies_of, events, salts, times, values


@pytest.mark.parametrize("kind", BODIES)
def test_every_kind_of_event_comes_back_as_it_was(kind: str) -> None:
    @settings(max_examples=15, deadline=None)
    @given(bodies_of(BODIES[kind]), actors, times)
    def round_trip(body: object, actor: object, at: object) -> None:
        event = Event(seq=7, at=at, actor=actor, body=body)  # type: ignore[arg-type]
        assert decode(encode(event, salts())) == event

    round_trip()


@settings(deadline=None)
@given(events)
def test_a_commit_comes_back_from_its_document_byte_for_byte(event: Event) -> None:
    commit = seal([encode(event, salts())], prev="p", epoch=3, token="t")
    again = Commit.from_json(commit.to_json())
    assert again.to_json() == commit.to_json()
    assert [decode(record) for record in again.records] == [event]


@settings(deadline=None)
@given(values)
def test_a_value_never_passes_for_a_blob_or_an_erased_place(value: object) -> None:
    assert unpack(pack(value)) == value
    assert not isinstance(unpack(pack(value)), Blob | Erased)


def test_blobs_and_erased_places_come_back_as_such() -> None:
    for value in (Blob(digest="d", size=3, preview="p"), Erased()):
        assert unpack(pack(value)) == value


@settings(deadline=None)
@given(events)
def test_g3_an_erased_field_is_visibly_erased_and_its_digest_stays(event: Event) -> None:
    record = encode(event, salts())
    for name in record.private:
        gone = erase(record, name)
        assert gone.private[name].text is None
        assert gone.private[name].digest == record.private[name].digest
        assert getattr(decode(gone).body, name) == Erased()


@settings(deadline=None)
@given(st.lists(st.integers(0, 4000), min_size=1, max_size=6), st.integers(500, 4000))
def test_offloading_keeps_every_value_and_moves_the_largest(sizes: list[int], limit: int) -> None:
    records = [_sized(seq, size) for seq, size in enumerate(sizes, start=1)]
    kept, blobs = offload(records, inline=2000, limit=limit)
    for before, after in zip(records, kept, strict=True):
        cells = before.private["content"], after.private["content"]
        assert cells[0].digest == cells[1].digest
        assert (cells[1].text if cells[1].encoding == "json" else blobs[cells[1].digest]) == cells[0].text
        assert cells[0].size <= 2000 or cells[1].encoding == "blob"
    moved = [r.private["content"].size for r in kept if r.private["content"].encoding == "blob"]
    stayed = [r.private["content"].size for r in kept if r.private["content"].encoding == "json"]
    assert not moved or not stayed or min(moved) >= max(stayed)


def _sized(seq: int, size: int) -> Record:
    content = cell("x" * size, "salt")
    return Record(
        seq,
        "input_received",
        1,
        "2026-01-01T00:00:00.000Z",
        {"kind": "person", "name": ""},
        cell({}, "s"),
        {"content": content},
    )


def test_r21_an_unknown_kind_field_or_schema_is_an_error_and_never_skipped() -> None:
    known = Record(
        1,
        "timer_fired",
        1,
        "2026-01-01T00:00:00.000Z",
        {"kind": "timer", "name": ""},
        cell({"timer": "t", "due_at": "2026-01-01T00:00:00Z"}, "s"),
    )
    assert decode(known).kind == "timer_fired"
    for wrong in (
        replace(known, kind="timer_exploded"),
        replace(known, schema=2),
        replace(known, body=cell({"timer": "t", "due_at": "2026-01-01T00:00:00Z", "colour": "red"}, "s")),
    ):
        with pytest.raises(UnreadableLog):
            decode(wrong)


def test_a_cell_knows_whether_its_text_is_its_own() -> None:
    part = cell({"a": 1}, "salt")
    assert part.intact
    assert not replace(part, text='{"a":2}').intact
    assert not replace(part, salt="pepper").intact
    assert value_of(Cell("d", "s", None, "erased")) == Erased()
