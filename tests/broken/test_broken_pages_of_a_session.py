"""The tests of a session's page find what is wrong: each fails on a variant that breaks what it is for."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from onward.surfaces import text
from onward.surfaces.console import moves, page, reading
from onward.surfaces.console.page import Visit
from tests.cloud import servers
from tests.console import shop
from tests.console import test_page_session as tests

after = reading.after


async def what_came_in_between_is_left_out(parts: Any, head: Any, seq: int) -> Any:
    return await after(parts, head, seq + 1 if seq > 1 else seq)


async def what_is_there_comes_again(parts: Any, head: Any, seq: int) -> Any:
    return await after(parts, head, max(0, seq - 1))


async def no_calls_from_before(parts: Any, head: Any, events: Sequence[Any]) -> list[Any]:
    return []


def nothing_is_checked(head: Any, commits: Any, last: int) -> None:
    """As if whatever is stored were true."""


ROWS = tests.test_from_wherever_one_goes_on_one_gets_exactly_what_is_missing
TORN = tests.test_where_the_log_can_not_be_read_the_head_is_shown_and_what_can_be_done
VARIANTS: list[tuple[Any, Any, str, Any]] = [
    (ROWS, reading, "after", what_came_in_between_is_left_out),
    (ROWS, reading, "after", what_is_there_comes_again),
    (tests.test_calls_from_before_a_part_of_the_log_keep_their_names, reading, "_proposals", no_calls_from_before),
    (tests.test_of_a_long_session_a_page_shows_and_reads_the_newest_and_the_rest_page_by_page, reading, "ROOM", 10**6),
    (TORN, reading, "_check", nothing_is_checked),
    (tests.test_who_only_looks_is_offered_nothing_and_can_do_nothing, Visit, "may", lambda self, role, tenant: True),
    (tests.test_nothing_that_anybody_writes_is_more_than_text, text, "_escaped", lambda char: char),
    (tests.test_nothing_that_anybody_writes_is_more_than_text, page._PAGES, "autoescape", False),
    (tests.test_a_form_that_is_sent_twice_does_it_once, moves, "wanted", lambda form, name: secrets.token_hex(4)),
]  # fmt: skip


@pytest.mark.parametrize(("test", "on", "name", "wrong"), VARIANTS)
async def test_a_wrong_page_is_found_out(test: Any, on: Any, name: str, wrong: Any, tmp_path: Path) -> None:
    shop.HERE = tmp_path
    given = {"folder": tmp_path} if "folder" in test.__annotations__ else {}
    with patch.object(on, name, wrong), patch.object(shop, "HERE", tmp_path):
        page._PAGES.cache.clear()  # type: ignore[union-attr]
        try:
            async with servers.on_sqlite(tmp_path, app=tests.APP) as api:
                with pytest.raises((AssertionError, KeyError, IndexError)):
                    await asyncio.wait_for(test(api, **given), 10)
        finally:
            page._PAGES.cache.clear()  # type: ignore[union-attr]
