"""The backstop: whatever is overdue gets a wake (R15). Nothing depends on it but the rare message that was lost."""

from __future__ import annotations

from onward.engine.deciding import Registry
from onward.ports import Query, SessionStore, Wake, Wakes

PAGE = 200


async def sweep(store: SessionStore, wakes: Wakes, programs: Registry | None = None) -> int:
    """Wake every session that is overdue, has signals pending, or was parked for a version that is back.

    Answers how many; a healthy system answers nearly none.
    """
    keys = list(await store.overdue(limit=PAGE))
    if programs is not None:
        keys += [key for key in await _returned(store, programs) if key not in keys]
    for key in keys:
        await wakes.publish(Wake(key, look=True))
    return len(keys)


async def _returned(store: SessionStore, programs: Registry) -> list[str]:
    parked = await store.list(Query(status=("needs_attention",), limit=PAGE))
    unknown = [head for head in parked if head.error and head.error.code == "unknown_version"]
    return [head.key for head in unknown if programs.program(head.program, head.version)]
