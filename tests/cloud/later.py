"""What the functions run in the test of timers that are far ahead: an agent, and clocks that a test moves.

The file named by DAYS says how many days later it is: to this process's own clock, and to Firestore's, whose server's
clock no test can move. Everything else of the functions is as it is deployed.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from onward import Agent, App, ScriptedModel
from onward.adapters.gcp import backend
from onward.adapters.gcp.firestore_client import Client
from onward.adapters.local import clock
from onward.surfaces.functions import worker
from tests.contract.firestore import ServerTime

DAYS = Path(os.environ["DAYS"])


class Moved(clock.SystemClock):
    """The machine's clock, so many days later."""

    def now(self) -> datetime:
        return super().now() + _later()

    def monotonic(self) -> float:
        return super().monotonic() + _later().total_seconds()


def _later() -> timedelta:
    return timedelta(days=float(DAYS.read_text()))


def _client(*given: Any) -> ServerTime:
    return ServerTime(Client(*given), Moved())  # type: ignore[arg-type]


clock.SystemClock = worker.SystemClock = Moved  # type: ignore[misc]
backend.Client = _client  # type: ignore[assignment, misc]

app = App(programs=[Agent("desk", model=ScriptedModel([{"text": "At last."}]), instructions="Wait.")])
