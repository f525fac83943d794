"""The tests of the API find what is wrong: each fails on a variant that breaks its guarantee (G8, G9, G10)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from onward.core import events as ev
from onward.surfaces.http import serving
from onward.surfaces.http.caller import Caller
from onward.surfaces.http.following import Hub, Watch
from onward.surfaces.http.roles import Rights, Rule
from tests.cloud import http_client, servers, test_api_live, test_api_roles
from tests.cloud.servers import Api

Test = Callable[[Api], Awaitable[None]]
dropped = test_api_live.test_g9_a_reader_dropped_at_every_event_gets_exactly_the_log
late = test_api_live.test_g9_a_reader_that_comes_after_the_end_gets_the_whole_log_and_the_end
deciding = test_api_roles.test_g8_who_may_decide_a_call_is_in_the_table
tenants = test_api_roles.test_a_caller_sees_their_tenants_and_no_others

since = Watch.since


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


VARIANTS: list[tuple[Test, Any, str, Any]] = [
    (dropped, Watch, "since", g9_the_event_at_which_a_reader_left_is_told_again),
    (dropped, Watch, "since", g9_what_came_while_a_reader_was_away_is_left_out),
    (deciding, Caller, "_requesters", g8_only_whoever_started_it_is_held_for_the_requester),
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


async def test_g10_a_watcher_for_each_reader_is_found_out(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    @contextmanager
    def alone(self: Hub, head: Any) -> Iterator[Watch]:
        watch = self._watches[f"{len(self._watches)}"] = Watch(self._parts, head, self.pace)
        yield watch

    test = test_api_live.test_g10_what_is_asked_of_the_store_does_not_grow_with_readers
    with patch.object(Hub, "watching", alone), pytest.raises((AssertionError, TimeoutError)):
        await asyncio.wait_for(test("sqlite", tmp_path, request), 2)
    await given_up()
