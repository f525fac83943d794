"""Logs of every release: each verifies, folds to what it folded to, and is decided as it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from onward.core.codec import UPCASTERS
from onward.core.codec import Record as Stored
from onward.core.divergence import Same
from onward.core.events import BODIES
from onward.core.fold import fold
from onward.core.head import fold_text
from onward.core.portable import Export, read
from onward.core.recording import Recording
from onward.core.state import State
from onward.programs.replaying import programs_of
from onward.runtime.replaying import replay_file
from tests.fixtures.make import BY_HAND, LOGS, MAKERS, lines_of, state_of
from tests.fixtures.programs import application

FILES = sorted(LOGS.glob("*.jsonl"))


def exported(file: Path) -> Export:
    with file.open(encoding="utf-8") as lines:
        return read(lines)


def records() -> Iterator[Stored]:
    for file in FILES:
        yield from (record for commit in exported(file).commits for record in commit.records)


def schemas() -> set[tuple[str, int]]:
    """Every kind with each of its schemas."""
    now = {(kind, body.schema_version) for kind, body in BODIES.items()}
    return now | {(kind, schema) for kind, schema in UPCASTERS}


def test_every_kind_and_schema_of_event_is_in_a_log() -> None:
    assert schemas() - {(record.kind, record.schema) for record in records()} == set()


def test_every_field_that_came_later_is_in_a_log() -> None:
    later = {(kind, name) for kind, body in BODIES.items() for name in body.later}
    assert (
        later - {(record.kind, name) for record in records() for name in json.loads(record.body.text or "{}")} == set()
    )


def test_every_log_has_a_maker_and_every_maker_a_log() -> None:
    assert {file.stem for file in FILES} == {*MAKERS, BY_HAND}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_g1_a_log_folds_to_what_it_folded_to(file: Path) -> None:
    kept = file.with_suffix(".state.json").read_text()
    assert fold_text(fold(State(), exported(file).foldables())) + "\n" == kept
    assert state_of(file.read_text().splitlines(keepends=True)) == kept


@pytest.mark.parametrize("file", [file for file in FILES if file.stem != BY_HAND], ids=lambda file: file.stem)
def test_a_log_is_decided_as_it_was(file: Path) -> None:
    with file.open(encoding="utf-8") as lines:
        verdict = replay_file(lines, programs_of(application()))
    assert isinstance(verdict, Same), verdict.line


def test_what_no_program_decides_is_read() -> None:
    recording: Recording = exported(LOGS / f"{BY_HAND}.jsonl").recording()
    state: Any = recording.state()
    assert (state.labels, state.fired, state.input) == ({"step": 1}, (), {"n": 2})


@pytest.mark.parametrize("name", ["approvals", "branch_changed", "flow_of_all", BY_HAND])
async def test_a_log_made_twice_is_the_same(name: str) -> None:
    assert await lines_of(name) == await lines_of(name)
