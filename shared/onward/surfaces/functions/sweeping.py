"""One run of the sweep as it is deployed: what is overdue is woken, and what rests is told in a line."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from onward.core.sweeps import Swept
from onward.engine.deciding import Registry
from onward.engine.sweep import sweep
from onward.ports import Query, SessionStore, Wake
from onward.surfaces.verbs import needs_attention
from onward.wiring import Backend

LOOKED = 20
log = logging.getLogger("onward.functions")


async def swept(backend: Backend, programs: Registry, now: datetime) -> int:
    """Wake what is overdue, a line for each; keep that it was done; say what rests. Answers how many were woken."""
    count = await sweep(backend.store, _Healing(backend.queue.publish), programs, backend.switches)
    await backend.sweeps.record(Swept(at=now, woken=count))
    census, oldest_s = dict(await backend.store.census()), await _oldest_attention(backend.store, now)
    log.info("what rests", extra={"action": "standing", "census": census, "attention_s": oldest_s})
    return count


async def _oldest_attention(store: SessionStore, now: datetime) -> float:
    """Seconds since the first of those that need attention moved; 0 where none does. Among the first that wait for an
    operator, of which some are only paused, LOOKED are looked at."""
    parked = await store.list(Query(status=("needs_attention",), oldest=True, limit=1))
    waiting = await store.list(Query(wait="operator", oldest=True, limit=LOOKED))
    moved = [head.updated_at for head in (*parked, *waiting) if needs_attention(head)]
    return round((now - min(moved)).total_seconds()) if moved else 0


@dataclass(frozen=True, slots=True)
class _Healing:
    """The Wakes port of the sweep: a line for each session that it has to wake."""

    send: Callable[[Wake], Awaitable[None]]

    async def publish(self, wake: Wake) -> None:
        await self.send(wake)
        log.warning("the sweep woke a session", extra={"action": "healed", "key": wake.key})
