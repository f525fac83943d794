"""The backstop: whatever is overdue gets a wake (R15). Nothing depends on it but the rare message that was lost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from onward.core.head import Head
from onward.core.switches import Switch
from onward.engine.deciding import Registry
from onward.ports import Query, SessionStore, Switches, Wake, Wakes, every

PAGE = 200


async def sweep(
    store: SessionStore, wakes: Wakes, programs: Registry | None = None, switches: Switches | None = None
) -> int:
    """Wake every session that is overdue, has signals pending, was parked for a version that is back, or was held back
    by a switch that is on again.

    Answers how many; a healthy system answers nearly none.
    """
    keys = dict.fromkeys(await store.overdue(limit=PAGE))
    if programs is not None:
        keys |= dict.fromkeys([head.key async for head in _returned(store, programs)])
    if switches is not None:
        keys |= dict.fromkeys([head.key async for head in _let_go(store, await switches.read())])
    for key in keys:
        await wakes.publish(Wake(key, look=True))
    return len(keys)


async def _returned(store: SessionStore, programs: Registry) -> AsyncIterator[Head]:
    async for head in every(store, Query(status=("needs_attention",)), PAGE):
        unknown = head.error and head.error.code == "unknown_version"
        if unknown and programs.program(head.program, head.version):
            yield head


async def _let_go(store: SessionStore, off: Sequence[Switch]) -> AsyncIterator[Head]:
    """Sessions that a switch paused which holds them back no more."""
    async for head in every(store, Query(status=("paused",)), PAGE):
        if head.switch and not any(switch.covers(head.program, head.tenant) for switch in off):
            yield head
