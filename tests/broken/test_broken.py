"""The checks find what is wrong: each complains of a variant that breaks its guarantee, and not of the product."""

from __future__ import annotations

import asyncio
from unittest.mock import patch

import pytest

from tests.broken import (  # noqa: F401 - they register their variants
    variants_of_branches,
    variants_of_flows,
    variants_of_teams,
    variants_of_wakes,
    variants_of_workflow_branches,
)
from tests.broken.variants import VARIANTS
from tests.faults import (  # noqa: F401 - they register their checks
    checks_of_branches,
    checks_of_flows,
    checks_of_teams,
    checks_of_wakes,
    checks_of_workflow_branches,
)
from tests.faults.checks import CHECKS
from tests.ledger import Ledger


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize("name", VARIANTS)
def test_variant_is_found_out(name: str, ledger: Ledger) -> None:
    variant = VARIANTS[name]
    with variant.installed(), patch("tests.faults.checks.FIRST_ONLY", True):
        assert complaints(variant.check, ledger), f"{variant.check} finds nothing wrong with: {name}"


def complaints(check: str, ledger: Ledger) -> list[str]:
    """What a test of the product would fail with. A variant that does not fit what it stands for is found by nobody."""
    try:
        return asyncio.run(CHECKS[check](ledger))
    except (TypeError, AttributeError, NameError):
        raise
    except Exception as exc:
        return [repr(exc)]


def test_every_guarantee_has_a_variant() -> None:
    found = {variant.check.partition("_")[0] for variant in VARIANTS.values()}
    assert found == {f"g{number}" for number in range(1, 16)}
