"""The tests of the API find what is wrong: each fails on a variant that breaks its guarantee (G8, G9, G10)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from onward.core import events as ev
from onward.core.model import ModelAnswer, Provisional
from onward.engine.asking import Asking
from onward.engine.speaking import Speech
from onward.surfaces.http import following, serving
from onward.surfaces.http.caller import Caller
from onward.surfaces.http.following import Hub, Told, Watch
from onward.surfaces.http.roles import Rights, Rule
from tests.cloud import (
    http_client,
    servers,
    test_api_aloud,
    test_api_branches,
    test_api_crowd,
    test_api_live,
    test_api_roles,
)
from tests.cloud.servers import Api

Test = Callable[[Api], Awaitable[None]]
dropped = test_api_live.test_g9_a_reader_dropped_at_every_event_gets_exactly_the_log
late = test_api_live.test_g9_a_reader_that_comes_after_the_end_gets_the_whole_log_and_the_end
deciding = test_api_roles.test_g8_who_may_decide_a_call_is_in_the_table
branching = test_api_branches.test_g14_a_live_branch_asks_and_whoever_asked_for_its_parent_does_not_approve
tenants = test_api_roles.test_a_caller_sees_their_tenants_and_no_others

heard = test_api_aloud.test_g4_what_a_model_says_is_heard_before_it_is_committed_and_is_in_no_log
again = test_api_aloud.test_g9_who_comes_again_in_the_middle_misses_no_event_and_hears_it_all
taken_back = test_api_aloud.test_g4_an_attempt_that_fails_takes_back_what_it_said
united = test_api_aloud.test_many_pieces_are_told_together_at_most_ten_times_a_second

since, hear, answered = Watch.since, Watch.hear, Asking._answer


async def g9_a_reader_gets_what_is_at_hand_and_not_what_was_before(self: Watch, after: int) -> Any:
    return [told for told in self._recent if told.seq > after] or await since(self, after)


async def g9_the_event_at_which_a_reader_left_is_told_again(self: Watch, after: int) -> Any:
    return await since(self, max(0, after - 1))


async def g9_what_came_while_a_reader_was_away_is_left_out(self: Watch, after: int) -> Any:
    return [told for told in await since(self, after) if told.seq > after + 1 or not after]


async def g8_only_whoever_started_it_is_held_for_the_requester(self: Caller, head: Any) -> Any:
    async for event in self.events(head.id, tenant=head.tenant):
        if isinstance(event.body, ev.SessionStarted):
            yield event.actor


async def g8_whoever_asked_for_the_parent_of_a_branch_is_forgotten(self: Caller, head: Any) -> Any:
    async for event in self.events(head.id, tenant=head.tenant):
        if isinstance(event.body, ev.SessionStarted | ev.InputReceived):
            yield event.actor


VARIANTS: list[tuple[Test, Any, str, Any]] = [
    (dropped, Watch, "since", g9_the_event_at_which_a_reader_left_is_told_again),
    (dropped, Watch, "since", g9_what_came_while_a_reader_was_away_is_left_out),
    (deciding, Caller, "_requesters", g8_only_whoever_started_it_is_held_for_the_requester),
    (branching, Caller, "_requesters", g8_whoever_asked_for_the_parent_of_a_branch_is_forgotten),
    (deciding, Rule, "fits", lambda self, tenant, program, tool: False),
    (tenants, Rights, "tenant", lambda self, asked: asked or "default"),
    (tenants, Rights, "many", lambda self, asked: None),
]


async def given_up() -> None:
    """End what a test has left behind that failed in the middle."""
    tasks = [task for task in asyncio.all_tasks() if "tests/cloud" in task.get_coro().cr_code.co_filename]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize(("test", "on", "name", "wrong"), VARIANTS)
async def test_a_wrong_variant_is_found_out(test: Test, on: Any, name: str, wrong: Any, tmp_path: Path) -> None:
    with patch.object(http_client, "PATIENCE", 1.0), patch.object(serving, "ENDS_IN", 1), patch.object(on, name, wrong):
        async with servers.on_sqlite(tmp_path) as api:
            with pytest.raises((AssertionError, TimeoutError, KeyError)):
                await asyncio.wait_for(test(api), 10)
            await given_up()


def g4_what_is_said_is_numbered_like_an_event(self: Watch, said: Provisional) -> None:
    hear(self, said)
    if self.aloud is not None:
        self.aloud = replace(self.aloud, frame=f"id: {said.seq}\n".encode() + self.aloud.frame)


def g4_what_is_said_is_kept_as_an_event(self: Watch, said: Provisional) -> None:
    hear(self, said)
    if self.aloud is not None and said.text:
        self._keep(Told(said.seq, "provisional", self.aloud.frame))
        self.seq = said.seq


async def g4_what_was_said_is_taken_for_the_answer(self: Asking, effect: Any, request: Any, speech: Speech) -> Any:
    try:
        return await answered(self, effect, request, speech)
    except Exception:
        return ModelAnswer(speech._text)


async def g4_nothing_is_heard_before_it_is_committed(
    self: Asking, effect: Any, request: Any, speech: Speech
) -> ModelAnswer:
    answer: ModelAnswer = await effect.model.answer(request)
    return answer


ALOUD: list[tuple[Any, Any, str, Any]] = [
    (heard, Watch, "hear", g4_what_is_said_is_numbered_like_an_event),
    (heard, Watch, "hear", g4_what_is_said_is_kept_as_an_event),
    (again, Watch, "hear", g4_what_is_said_is_kept_as_an_event),
    (taken_back, Asking, "_answer", g4_what_was_said_is_taken_for_the_answer),
    (heard, Asking, "_answer", g4_nothing_is_heard_before_it_is_committed),
    (taken_back, Speech, "__exit__", lambda self, *failed: None),
    (united, following, "UNITED", 0.0),
]


@pytest.mark.parametrize(("test", "on", "name", "wrong"), ALOUD)
async def test_g4_what_a_model_says_is_no_event(test: Any, on: Any, name: str, wrong: Any, tmp_path: Path) -> None:
    with patch.object(http_client, "PATIENCE", 1.0), patch.object(serving, "ENDS_IN", 1), patch.object(on, name, wrong):
        async with test_api_aloud.talking(tmp_path) as talk:
            with pytest.raises((AssertionError, TimeoutError)):
                await asyncio.wait_for(test(talk), 10)
            await given_up()


async def g9_who_is_behind_is_told_the_newest_alone(self: Watch, after: int) -> Any:
    return list(await since(self, after))[-1:]


async def test_g9_a_crowd_that_misses_something_is_found_out(tmp_path: Path) -> None:
    with patch.object(serving, "ENDS_IN", 1), patch.object(Watch, "since", g9_who_is_behind_is_told_the_newest_alone):
        async with test_api_crowd.listening(tmp_path) as api:
            with pytest.raises((AssertionError, TimeoutError)):
                await asyncio.wait_for(test_api_crowd.crowd(api, 20), 10)
            await given_up()


async def test_g10_a_watcher_for_each_reader_is_found_out(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    @contextmanager
    def alone(self: Hub, head: Any) -> Iterator[Watch]:
        watch = self._watches[f"{len(self._watches)}"] = Watch(self._parts, head, self.pace)
        yield watch

    test = test_api_live.test_g10_what_is_asked_of_the_store_does_not_grow_with_readers
    with patch.object(Hub, "watching", alone), pytest.raises((AssertionError, TimeoutError)):
        await asyncio.wait_for(test("sqlite", tmp_path, request), 2)
    await given_up()
