"""An outcome without a lease goes to the inbox: it settles the doubt, or shows that something was done twice (R7)."""

from __future__ import annotations

from typing import Any

from onward.core import events as ev
from onward.core.events import Actor, Body
from onward.core.ids import signal_id
from onward.core.signals import Signal
from onward.core.state import OpenCall
from onward.errors import Retryable
from onward.ports import Clock, SessionStore, Wake, Wakes

FILED_WITHIN, PAUSE = 300.0, 1.0
"""Seconds that it is tried for, and between two tries: if this process gives up, or is not left running for so long,
nobody knows what came of the effect (G13)."""


class LateOutcomes:
    """Files outcomes that their holder can't append any more."""

    def __init__(self, store: SessionStore, wakes: Wakes, clock: Clock) -> None:
        self._store = store
        self._wakes = wakes
        self._clock = clock

    async def file(self, key: str, call: OpenCall, body: Body) -> None:
        """File what this attempt came to; an attempt that is itself in doubt has nothing to say."""
        outcome = _outcome(call, body)
        if outcome is None:
            return
        id = signal_id("engine", "outcome", f"{call.id}/{call.attempt}")
        signal = Signal(id, "outcome", outcome, Actor(kind="engine", name=call.tool))
        end = self._clock.monotonic() + FILED_WITHIN
        while True:
            try:
                return await self._send(key, signal)
            except Retryable:
                if self._clock.monotonic() >= end:
                    raise
                await self._clock.sleep(PAUSE)

    async def _send(self, key: str, signal: Signal) -> None:
        await self._store.file(key, signal)
        if not self._store.embedded:
            await self._wakes.publish(Wake(key, look=True))


def _outcome(call: OpenCall, body: Body) -> dict[str, Any] | None:
    base = {"call": call.id, "attempt": call.attempt}
    if isinstance(body, ev.CallCompleted):
        return base | {"status": "done", "result": body.result}
    if isinstance(body, ev.CallFailed):  # with a time for the next attempt it is known that nothing was done
        return base | {"status": "not_done" if body.retry_at else "failed", "error": body.error.model_dump()}
    return None
