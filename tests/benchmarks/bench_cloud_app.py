"""What the instances run in `make bench-cloud`: the chain of the other benchmarks."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from onward import App, tool
from tests.benchmarks.programs import Chain, wait_outside


@tool(effect="read", name="modules")
async def modules(number: int) -> int:
    """How many modules this process has loaded."""
    return len(sys.modules)


app = App(programs=[Chain(), Chain("outside", wait_outside), Chain("modules", modules)])

if "BENCH_FOLDER" in os.environ:
    from tests.benchmarks.bench_cloud_instance import install

    install(Path(os.environ["BENCH_FOLDER"]), os.environ["BENCH_NAME"], int(os.environ["BENCH_RELAY"]))
