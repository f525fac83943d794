"""The store with one line less: each variant breaks a promise, and the suites notice."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

import pytest

from onward.adapters.gcp import firestore, firestore_lists
from onward.adapters.gcp.firestore_wire import PRESENT
from onward.testing.clock import ManualClock
from onward.testing.contracts.deletion import DeletionContract
from onward.testing.contracts.imports import ImportContract
from onward.testing.contracts.inbox import InboxContract
from onward.testing.contracts.leases import LeaseContract
from onward.testing.contracts.lists import ListContract
from onward.testing.contracts.log import LogContract
from tests.contract.firestore import FirestoreBackend, ServerTime, a_client

Suite = Callable[[FirestoreBackend, ManualClock], Awaitable[None]]
STORE = "onward.adapters.gcp.firestore.FirestoreStore"


@dataclass(frozen=True)
class Wrong:
    """What to put in whose place, and the test that must then fail."""

    instead: dict[str, Any]
    noticed_by: Suite


_HEAD_WRITE, _COMMIT_WRITE, _LEASE_WRITE = firestore._head_write, firestore._commit_write, firestore._lease_write
_IS_AT, _FITS = firestore._is_at, firestore_lists._fits


def head_whatever_it_is(*given: Any) -> Any:
    moved, (write,) = _HEAD_WRITE(*given)
    return moved, [replace(write, expects=PRESENT)]


def lease_whatever_it_is(*given: Any) -> Any:
    return replace(_LEASE_WRITE(*given), expects=PRESENT)


def commit_over_another(*given: Any) -> Any:
    return replace(_COMMIT_WRITE(*given), expects=None)


def at_any_epoch(standing: Any, epoch: int, seq: int) -> bool:
    return _IS_AT(standing, standing.epoch, seq)


def at_any_seq(standing: Any, epoch: int, seq: int) -> bool:
    return _IS_AT(standing, epoch, standing.seq)


def unstamped(*given: Any) -> Any:
    return replace(_LEASE_WRITE(*given), stamped=())


def any_program(head: Any, query: Any) -> bool:
    return _FITS(head, replace(query, program=None))


def all_of_them(there: Any, commits: Any) -> Any:
    return list(commits)


async def leaves_the_log(self: Any, key: str) -> None:
    return None


def absorbs_nothing(self: Any, key: str, signals: Any) -> list[Any]:
    return []


log, leases, inbox, deletion, lists, imports = (
    LogContract(),
    LeaseContract(),
    InboxContract(),
    DeletionContract(),
    ListContract(),
    ImportContract(),
)
HERE = "onward.adapters.gcp.firestore."

VARIANTS = {
    "a head is written whatever it is": Wrong(
        {f"{HERE}_head_write": head_whatever_it_is, f"{HERE}_commit_write": commit_over_another},
        lambda backend, clock: log.test_s4_of_appends_at_once_one_succeeds(backend),
    ),
    "a lease is taken whatever it is": Wrong(
        {f"{HERE}_lease_write": lease_whatever_it_is},
        lambda backend, clock: leases.test_s2_of_claimants_at_once_one_gets_it(backend),
    ),
    "an append under any epoch": Wrong(
        {f"{HERE}_is_at": at_any_epoch},
        lambda backend, clock: log.test_s4_append_with_a_stale_epoch_changes_nothing(backend, clock),
    ),
    "an append at any seq, over another": Wrong(
        {f"{HERE}_is_at": at_any_seq, f"{HERE}_commit_write": commit_over_another},
        lambda backend, clock: log.test_s4_append_at_another_seq_changes_nothing(backend),
    ),
    "a renewal that is not stamped": Wrong(
        {f"{HERE}_lease_write": unstamped},
        lambda backend, clock: leases.test_s5_renewal_makes_it_last(backend, clock),
    ),
    "absorbed signals stay pending": Wrong(
        {f"{STORE}._absorbing": absorbs_nothing},
        lambda backend, clock: inbox.test_s8_absorbed_with_the_commit_they_became(backend),
    ),
    "the log outlives its session": Wrong(
        {f"{STORE}._clear": leaves_the_log},
        lambda backend, clock: deletion.test_s14_a_tombstone_is_all_that_is_left(backend),
    ),
    "an import is filled over what is there": Wrong(
        {f"{HERE}missing": all_of_them, f"{HERE}_commit_write": commit_over_another},
        lambda backend, clock: imports.test_s16_another_commit_in_the_place_of_one_changes_nothing(backend),
    ),
    "imports are claimed": Wrong(
        {f"{HERE}UNCLAIMED": ("deleted",)},
        lambda backend, clock: imports.test_s16_nobody_claims_it_and_nobody_need_look(backend),
    ),
    "a list that does not look for the rest": Wrong(
        {"onward.adapters.gcp.firestore_lists._fits": any_program},
        lambda backend, clock: lists.test_list_is_newest_first_and_takes_every_filter(backend),
    ),
}


@pytest.mark.parametrize("name", VARIANTS)
async def test_a_wrong_variant_is_noticed(firestore: str, clock: ManualClock, name: str) -> None:
    variant, backend = VARIANTS[name], FirestoreBackend(ServerTime(a_client(firestore), clock), clock)
    with ExitStack() as stack:
        for target, wrong in variant.instead.items():
            stack.enter_context(patch(target, wrong))
        with pytest.raises((AssertionError, pytest.fail.Exception)):
            await variant.noticed_by(backend, clock)
    await backend.close()
