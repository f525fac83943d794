"""The tests of deciding and repairing find what is wrong: each fails on a variant that breaks what it is for."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from onward.errors import OnwardError
from onward.surfaces import text
from onward.surfaces.console import approval, approvals, asking, deciding, page, repairs, schema_form, schema_read
from onward.surfaces.http import moving
from tests.console import test_page_approvals as deciding_tests
from tests.console import test_page_attention as repairing_tests
from tests.console.house import opened
from tests.unit import test_schema_form as form_tests


async def only_what_asks_for_it_is_shown(place: Any, form: Any) -> bool:
    return bool(form.get("verdict") == "review")


async def anything_goes(*about: Any) -> None:
    """As if nothing had to be checked."""


def another_key(form: Any, *about: Any) -> str:
    return secrets.token_hex(8)


NOT_SHOWN = deciding_tests.test_what_was_not_shown_as_a_change_is_not_approved
TWICE = deciding_tests.test_a_decision_in_the_inbox_leads_back_there_and_a_form_sent_twice_decides_once
SEVERAL = deciding_tests.test_several_are_decided_each_on_its_own_and_what_is_refused_is_said
SKIP = repairing_tests.test_a_call_that_a_person_is_asked_about_takes_an_approver_to_skip
HOSTILE = deciding_tests.test_whatever_a_model_or_a_tool_writes_is_text
PAGES: list[tuple[Any, Any, str, Any]] = [
    (NOT_SHOWN, approval, "_unseen", only_what_asks_for_it_is_shown),
    (TWICE, deciding, "key_of", another_key),
    (SEVERAL, approvals, "key_of", another_key),
    (deciding_tests.test_two_decide_at_once_one_wins_and_the_other_is_told_who_did, asking.Card, "stands", None),
    (deciding_tests.test_the_rules_of_approvals_hold_in_the_console, moving, "check_may_decide", anything_goes),
    (deciding_tests.test_a_link_that_is_over_is_no_way_to_decide, deciding, "check_unused", anything_goes),
    (deciding_tests.test_what_was_erased_is_not_asked_for, approval, "_changeable", lambda card: card.open),
    (HOSTILE, text, "_escaped", lambda char: char),
    (HOSTILE, page._PAGES, "autoescape", False),
    (repairing_tests.test_what_is_in_doubt_happened_and_is_said_so_once, repairs, "key_of", another_key),
    (SKIP, repairs, "check_may_skip", anything_goes),
    (repairing_tests.test_only_an_operator_moves_a_session, page.Visit, "may", lambda self, role, tenant: True),
]  # fmt: skip


@pytest.mark.parametrize(("test", "on", "name", "wrong"), PAGES)
async def test_a_wrong_way_to_decide_is_found_out(test: Any, on: Any, name: str, wrong: Any, tmp_path: Path) -> None:
    with patch.object(on, name, wrong):
        page._PAGES.cache.clear()  # type: ignore[union-attr]
        try:
            async with opened(tmp_path) as house:
                with pytest.raises((AssertionError, KeyError, IndexError, OnwardError)):
                    await asyncio.wait_for(test(house), 20)
        finally:
            page._PAGES.cache.clear()  # type: ignore[union-attr]


def by_the_last_digit(text: str) -> float:
    return float(text)


def the_first_of_a_name(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    return dict(pairs)


def as_python_has_it(one: Any, other: Any) -> bool:
    return bool(one == other)


def any_text(value: Any) -> bool:
    return isinstance(value, str)


def never_whole(field: Any, text: str) -> float:
    return float(text)


def not_looked_at(*about: Any) -> None:
    """As if nobody ever forgot to say that a value is given."""


def somewhere(field: Any, path: Any) -> Any:
    return field


UNTOUCHED = form_tests.test_a_form_that_nobody_touched_says_what_was_there
FILLED = form_tests.test_a_form_that_is_filled_in_says_exactly_that
BESIDE = form_tests.test_what_the_schema_says_stands_beside_the_field_that_it_is_about
LEFT = form_tests.test_what_may_be_left_out_is_given_or_left_out_or_null
FORMS: list[tuple[Any, Any, str, Any]] = [
    (form_tests.test_numbers_lose_nothing, schema_read, "_exact", by_the_last_digit),
    (form_tests.test_json_is_taken_as_it_is_written_or_not_at_all, schema_read, "_once", the_first_of_a_name),
    (LEFT, schema_read, "_check_untouched", not_looked_at),
    (UNTOUCHED, schema_form, "_is_text", any_text),
    (form_tests.test_a_choice_is_taken_for_what_it_is, schema_form, "_same", as_python_has_it),
    (FILLED, schema_read, "_whole", never_whole),
    (BESIDE, schema_read, "_nearest", somewhere),
    (form_tests.test_what_is_changed_is_told_value_by_value, schema_read, "canonical", lambda value: value),
]  # fmt: skip


@pytest.mark.parametrize(("test", "on", "name", "wrong"), FORMS)
def test_a_form_that_gives_back_something_else_is_found_out(test: Any, on: Any, name: str, wrong: Any) -> None:
    asks = {"string": ("text", wrong)} if name == "_is_text" else {}
    readers = {"whole": wrong} if name == "_whole" else {}
    with (
        patch.object(on, name, wrong),
        patch.dict(schema_form._ASKS, asks),  # type: ignore[arg-type]
        patch.dict(schema_read._READERS, readers),
        pytest.raises((AssertionError, KeyError, pytest.fail.Exception, ExceptionGroup)),
    ):
        test()
