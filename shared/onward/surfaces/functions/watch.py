"""What a step comes to, seen from the store: so that a line can say so, and the engine need not."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, cast

from onward.core.events import Failure
from onward.core.head import Head
from onward.core.lease import Busy, Later
from onward.errors import LeaseLost
from onward.ports import Append, Appended, Clock, Lease, SessionStore


@dataclass(slots=True)
class Step:
    """One visit to a session, as far as it has come. `parked` is why it needs attention since this step, if it does."""

    key: str
    outcome: str = "failed"
    head: Head | None = None
    epoch: int | None = None
    kinds: list[str] = field(default_factory=list)
    claim_ms: float = 0.0
    append_ms: float = 0.0
    parked: Failure | None = None

    def fields(self) -> dict[str, Any]:
        """What a line says of it."""
        head = self.head
        said: dict[str, Any] = {"key": self.key, "outcome": self.outcome, "epoch": self.epoch}
        said |= {"kinds": self.kinds or None, "claim_ms": round(self.claim_ms, 1)}
        said |= {"append_ms": round(self.append_ms, 1) or None}
        if head is not None:
            said |= {"tenant": head.tenant, "session": head.id, "program": head.program}
            said |= {"version": head.version, "seq": head.seq}
        return said


STEP: ContextVar[Step | None] = ContextVar("step", default=None)
"""The visit that this task is making."""


class Watched:
    """A store that notes what is done to the session of the visit under way."""

    def __init__(self, store: SessionStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def claim(self, key: str, owner: str, published: int = 0) -> Lease | Busy | Later | None:
        step, began = _of(key), self._clock.monotonic()
        claimed = await self._store.claim(key, owner, published)
        if step is not None:
            step.claim_ms += (self._clock.monotonic() - began) * 1000
            step.outcome = _claimed(claimed)
            if isinstance(claimed, Lease):
                step.head, step.epoch = claimed.head, claimed.epoch
        return claimed

    async def append(self, lease: Lease, append: Append) -> Appended:
        step, began = _of(lease.key), self._clock.monotonic()
        try:
            appended = await self._store.append(lease, append)
        except LeaseLost:
            if step is not None:
                step.outcome = "lost"
            raise
        if step is not None:
            step.append_ms += (self._clock.monotonic() - began) * 1000
            _note(step, append)
        return appended


def _of(key: str) -> Step | None:
    step = STEP.get()
    return step if step is not None and step.key == key else None


def _claimed(claimed: Lease | Busy | Later | None) -> str:
    if isinstance(claimed, Lease):
        return "looked"
    return "absent" if claimed is None else "busy" if isinstance(claimed, Busy) else "later"


def _note(step: Step, append: Append) -> None:
    step.outcome, step.head = "moved", append.head
    step.kinds += [record.kind for record in append.commit.records]
    if append.head.status == "needs_attention" and "session_parked" in step.kinds:
        step.parked = append.head.error


def watched(store: SessionStore, clock: Clock) -> SessionStore:
    """The store, watched."""
    return cast(SessionStore, Watched(store, clock))
