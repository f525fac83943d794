"""The tests of sessions as files fail where reading, leaving out or keeping them is broken (G3, S16)."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any
from unittest.mock import patch

import pytest

from onward.core import portable
from onward.core.codec import Record
from onward.core.portable import Leaving, Wanted
from onward.engine import gateway, porting
from onward.engine.porting import Exporter, Importer
from onward.errors import OnwardError
from tests.unit import test_portable as of_files
from tests.unit import test_porting as of_imports

READER = portable._Reader


def g3_the_sum_is_not_asked_for(self: Any, line: str) -> None:
    self._check_header()
    self._ended = True


def g3_values_are_believed(self: Any, name: str, text: str) -> None:
    self._values[name] = text


def g3_salts_stay(self: Leaving, record: Record) -> Record:
    for name in record.private:
        if not self.private or f"{record.kind}.{name}" in self.fields:
            record = portable.erased(record, name)
    return record


def blobs_of_erased_fields_stay(self: Wanted, commit: Any) -> None:
    for record in commit.records:
        self.files |= dict.fromkeys([of_files.DIGEST])
        for part in record.private.values():
            self.blobs[part.digest] = portable.Blob(digest=part.digest, size=0, preview="", salt=part.salt)


async def whatever_has_the_id(self: Any, asked: Any, there: Any) -> None:
    return None


async def up_to_where_it_is_by_now(self: Exporter, head: Any) -> Any:
    for commit in await self._store.commits(head.key):
        yield commit


async def nothing_is_put_beside_the_log(self: Importer, export: Any, key: str) -> None:
    return None


async def never_filled(self: Importer, key: str, commits: Any) -> None:
    return None


a_value_changed = of_files.test_g3_a_value_changed_with_its_sum_is_found_and_its_line_named
VARIANTS: list[tuple[Callable[..., Any], Any, str, Any]] = [
    (of_files.test_g3_one_character_changed_anywhere_is_found, READER, "_end", g3_the_sum_is_not_asked_for),
    (partial(a_value_changed, "commit"), portable, "check", lambda *given: None),
    (partial(a_value_changed, "blob"), READER, "_value", g3_values_are_believed),
    (of_files.test_g3_another_session_s_log_under_this_header_is_found, READER, "_check_header", lambda self: None),
    (of_files.test_what_is_erased_has_no_salt_so_that_nobody_can_try_what_fits, Leaving, "_record", g3_salts_stay),
    (
        of_files.test_named_fields_may_be_left_out_with_what_only_they_name,
        Wanted,
        "take",
        blobs_of_erased_fields_stay,
    ),
    (of_imports.test_nothing_moves_an_import_and_nobody_tells_it_anything, porting, "as_import", lambda head: head),
    (
        of_imports.test_the_same_again_is_found_done_and_anything_else_is_refused,
        Importer,
        "_check_same",
        whatever_has_the_id,
    ),
    (
        of_imports.test_a_session_that_goes_on_meanwhile_is_exported_up_to_where_it_was,
        Exporter,
        "_commits",
        up_to_where_it_is_by_now,
    ),
    (
        of_imports.test_s16_whatever_an_import_died_after_it_can_be_seen_and_completed,
        Importer,
        "_put_values",
        nothing_is_put_beside_the_log,
    ),
    (
        of_imports.test_s16_whatever_an_import_died_after_it_can_be_seen_and_completed,
        Importer,
        "_fill",
        never_filled,
    ),
    (of_imports.test_its_id_is_no_session_s_and_no_branch_s, gateway.Gateway, "_rejoin", whatever_has_the_id),
]


@pytest.mark.parametrize(("test", "where", "name", "wrong"), VARIANTS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_wrong_variant_is_noticed(test: Callable[..., Any], where: Any, name: str, wrong: Any) -> None:
    with ExitStack() as stack:
        stack.enter_context(patch.object(where, name, wrong))
        stack.enter_context(pytest.raises((AssertionError, pytest.fail.Exception, OnwardError)))
        made = test()
        if inspect.isawaitable(made):
            asyncio.run(made)  # type: ignore[arg-type]
