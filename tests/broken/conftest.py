"""The same fixtures as the checks have elsewhere."""

from __future__ import annotations

from tests.faults.conftest import ledger, silent

__all__ = ["ledger", "silent"]
