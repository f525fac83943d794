"""What is proposed to whoever looks after sessions can be done as it is written."""

from __future__ import annotations

import shlex
from dataclasses import replace

import pytest

from onward.core.events import Failure, Limits
from onward.surfaces.console.repairs import _retry
from onward.surfaces.verbs import Place, verbs
from onward.testing.contracts.story import opening


@pytest.mark.parametrize(
    ("limits", "option", "value", "was"),
    [
        (Limits(tokens=1_234_567), "tokens", "2469134", "1234567"),
        (Limits(tokens=1_000_000), "tokens", "2000000", "1000000"),
        (Limits(time=1_000_000.5), "time", "2000001s", "1000000.5"),
        (Limits(calls=0), "calls", "1", "0"),
    ],
)
def test_a_limit_is_written_to_its_last_digit(limits: Limits, option: str, value: str, was: str) -> None:
    error = Failure(code="limit_reached", message=f"{option}: reached")
    head, _ = opening()
    parked = replace(head, status="needs_attention", limits=limits, error=error)
    words = shlex.split(verbs(parked, Place("onward.db", True))[0].command)
    assert words[words.index(f"--{option}") + 1] == value
    assert f"it was {was}." in _retry(parked).does
