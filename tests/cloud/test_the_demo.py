"""`make demo-cloud`, played in a folder of its own."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cloud.world import World


def test_the_demo(world: World, demo: subprocess.Popen[str]) -> None:
    output, _ = demo.communicate(timeout=60)
    assert demo.returncode == 0, output
    assert (output.count("✓"), output.count("✗")) == (10, 0), output
    assert "call_in_doubt, call_completed" in output
