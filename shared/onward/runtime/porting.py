"""Sessions as files, from Python."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable

from onward.core.head import Head
from onward.core.portable import Leaving, read
from onward.runtime.sessions import Sessions


class Porting(Sessions):
    """What a runtime can do with sessions as files."""

    async def export(
        self, id: str, *, private: bool = True, erase: Collection[str] = (), tenant: str = "default"
    ) -> AsyncIterator[str]:
        """The lines of a session's file, each with its end: all that is in its log by now, with large values and files.
        It shows any edit, and `core.portable.read` reads it without a store.

        Without `private` it goes without every private field, and without those named in `erase`, each as
        `call_completed.result`: they are erased in it, and it verifies all the same. Raises NotFound, BadInput and
        CorruptLog.
        """
        leaving = Leaving(private, tuple(erase))
        async for line in self.parts.exporter.lines(await self._with_log(id, tenant), leaving):
            yield line

    async def import_(self, lines: Iterable[str], id: str | None = None, *, tenant: str = "default") -> Head:
        """Keep the session in these lines of a file, such as an open one, and answer its head. It is a recording, which
        can be looked at, verified, forked, compared, exported and deleted, and which nothing moves.

        It is verified as a whole before anything is written. `id` is another id than it had; the same again is
        completed, or found done. Raises BadInput, UnreadableLog, CorruptLog, and Refused where the id is taken by
        something else.
        """
        head, _ = await self.imported(lines, id, tenant=tenant)
        return head

    async def imported(
        self, lines: Iterable[str], id: str | None = None, *, tenant: str = "default"
    ) -> tuple[Head, bool]:
        """The same, and whether it is new."""
        export = await asyncio.to_thread(read, lines)
        return await self.parts.importer.put(export, tenant, id)
