"""What a step costs, counted: flat in the length of a session."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from onward import Agent, App, Limits, ScriptedModel
from onward.core.events import Actor
from onward.core.head import SNAPSHOT_EVERY, snapshot_every
from onward.core.ids import session_key
from onward.engine.gateway import Start
from onward.testing.runner import Runner
from onward.wiring import Policy
from tests.counted import look, pay

KEY = session_key("default", "s")


class Counting:
    """A store that counts the calls of each method, and the commits it hands out."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.calls: Counter[str] = Counter()
        self.commits_read = 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if not callable(found):
            return found

        async def counted(*args: Any, **kwargs: Any) -> Any:
            self.calls[name] += 1
            answer = await found(*args, **kwargs)
            self.commits_read += len(answer) if name == "commits" else 0
            return answer

        return counted


def application(turns: int, name: str = "look") -> App:
    script = [{"calls": [{"tool": name, "arguments": {"number": at}}]} for at in range(turns)]
    model = ScriptedModel([*script, {"text": "done"}])
    return App(programs=[Agent("desk", model=model, tools=[look, pay], limits=Limits(turns=10_000))])


async def played(turns: int, name: str = "look", policy: Policy | None = None) -> tuple[Runner, Counting]:
    runner = Runner(application(turns, name), policy=policy)
    store = runner.backend.store = Counting(runner.backend.store)
    runner.parts = runner.process(application(turns, name))
    await runner.parts.gateway.start(Start("s", "desk", "1", input="hi"), Actor(kind="person", name="ana"))
    await runner.finish()
    assert (await runner.state("s")).ended == "completed"
    return runner, store


@pytest.mark.parametrize("turns", [5, 50])
async def test_an_ordinary_step_is_one_claim_and_one_append(turns: int) -> None:
    _, store = await played(turns)
    steps = 2 * turns + 1
    assert store.calls["append"] == steps
    assert store.calls["claim"] == steps
    assert store.calls["commits"] == store.calls["renew"] == store.calls["mark"] == 0
    assert store.calls["pending"] == 1, "only the first wake asked to look"


async def test_an_irreversible_step_is_one_claim_and_two_appends() -> None:
    turns = 5
    _, store = await played(turns, "pay")
    assert store.calls["append"] == (turns + 1) + 2 * turns
    assert store.calls["claim"] == 2 * turns + 1


async def test_many_steps_under_one_lease_are_one_append_each() -> None:
    _, store = await played(50, policy=Policy(steps_per_wake=1000))
    assert store.calls["claim"] == 1
    assert store.calls["append"] == 101


async def test_a_cold_load_of_5000_events_reads_at_most_the_commits_since_its_snapshot() -> None:
    runner, store = await played(1700, policy=Policy(steps_per_wake=100_000))
    head = await store.read(KEY)
    assert head.seq > 5000
    store.commits_read = 0
    cold = runner.process(application(1700))
    state = await cold.loader.load(head)
    assert state.seq == head.seq
    assert store.commits_read < snapshot_every(state) == len(state.transcript) // 64


async def test_a_cold_load_of_a_short_session_reads_less_than_eight_commits() -> None:
    runner, store = await played(250, policy=Policy(steps_per_wake=100_000))
    head = await store.read(KEY)
    assert head.fold.snapshot is not None
    store.commits_read = 0
    state = await runner.process(application(250)).loader.load(head)
    assert state.seq == head.seq
    assert store.commits_read < SNAPSHOT_EVERY == snapshot_every(state)


async def test_stored_bytes_per_turn_do_not_grow() -> None:
    stored: dict[int, int] = {}
    for turns in (10, 100, 500):
        _, store = await played(turns, policy=Policy(steps_per_wake=100_000))
        stored[turns] = sum(len(commit.to_json()) for commit in await store.commits(KEY))
    early, late = (stored[100] - stored[10]) / 90, (stored[500] - stored[100]) / 400
    assert late < 1.02 * early < 3000


async def test_a_session_at_rest_has_no_timer_but_its_own_and_no_wake() -> None:
    runner = Runner(App(programs=[Agent("desk", model=ScriptedModel([{"text": "hi"}]), tools=[])]))
    await runner.parts.gateway.start(Start("s", "desk", "1"), Actor(kind="person", name="ana"))
    await runner.settle()
    head = await runner.backend.store.read(KEY)
    assert [wait.kind for wait in head.waits] == ["input"]
    assert head.wake_at is None
    assert runner.backend.queue.next_due() is None
