"""`make bench-cloud`, as briefly as can be: its numbers are those of the steps that were made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cloud.world import World

SESSIONS, LENGTH = 4, 15
STEPS = SESSIONS * LENGTH
FEW = 3
"""Requests that time alone makes: a look at the switches every ten seconds, a renewal where a step takes long."""


def test_requests_are_counted_and_processor_time_is_divided(world: World) -> None:
    from tests.benchmarks import bench_cloud_shares as shares
    from tests.benchmarks.bench_cloud_load import instances, make_topics

    if not shares.readable():
        pytest.skip("processor time of processes is read from /proc")
    make_topics(world.cloud)
    with instances(world.cloud, 1, 1) as made:
        found = shares.measured(world.cloud, made, sessions=SESSIONS, at_once=2, length=LENGTH)
    run = found.run
    assert run.steps == STEPS
    exact = {
        "BatchGetDocuments": STEPS,  # each step reads its head
        "Commit": 2 * STEPS + 2 * SESSIONS,  # each claims and appends; a start is a commit, and what it proposes
        "Publish": 2 * STEPS + SESSIONS,  # events and a wake, but for the last; and what a start proposes
    }
    assert {name: count for name, count in exact.items() if not 0 <= run.requests[name] - count <= FEW} == {}
    assert found.ms.keys() == shares.NAMES.keys()
    assert found.ms["onward"] > 0
    assert found.ms["client"] > 0
    assert 0 < found.waiting < 1
