"""The ledger, as the tests of faults have it."""

from __future__ import annotations

from tests.faults.conftest import ledger

__all__ = ["ledger"]
