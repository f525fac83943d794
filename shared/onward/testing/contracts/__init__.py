"""The promises of the ports as pytest suites: a backend keeps them by passing.

    class TestStore(SessionStoreContract): ...

with the fixtures `clock`, a ManualClock, and `backend`, which has `store`, `blobs`, `queue`, `sweeps`, `switches`
and `incarnations` on that clock. The suite of stores asks for a third one, `contents`: an async function that answers
all that the backend holds, as text; those of wakes, timers and errands for `after_death`: an async function that
answers the backend as the next process finds it, after this one died without a word. Each test carries the number of
its clause.
"""

import pytest

for _suite in (
    "blobs",
    "deletion",
    "imports",
    "inbox",
    "incarnations",
    "leases",
    "lists",
    "log",
    "queue",
    "sweeps",
    "switches",
):
    pytest.register_assert_rewrite(f"{__name__}.{_suite}")

# ruff: noqa: E402 - what is imported before it is registered is not rewritten
from onward.testing.contracts.blobs import BlobsContract
from onward.testing.contracts.deletion import DeletionContract
from onward.testing.contracts.imports import ImportContract
from onward.testing.contracts.inbox import InboxContract
from onward.testing.contracts.incarnations import IncarnationsContract
from onward.testing.contracts.leases import LeaseContract
from onward.testing.contracts.lists import ListContract
from onward.testing.contracts.log import LogContract
from onward.testing.contracts.queue import ErrandsContract, TimersContract, WakesContract
from onward.testing.contracts.sweeps import SweepsContract
from onward.testing.contracts.switches import SwitchesContract


class SessionStoreContract(LogContract, LeaseContract, InboxContract, DeletionContract, ImportContract, ListContract):
    """Clauses S1 to S16, and lists."""


__all__ = [
    "BlobsContract",
    "ErrandsContract",
    "IncarnationsContract",
    "SessionStoreContract",
    "SweepsContract",
    "SwitchesContract",
    "TimersContract",
    "WakesContract",
]
