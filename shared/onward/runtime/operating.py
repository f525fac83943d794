"""Operating: deleting, erasing, switches, restores, and what was done and used."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import get_args

from onward.core.events import Actor
from onward.core.head import Head, Status
from onward.core.incarnation import Restored
from onward.core.ledger import LedgerEntry, ledger
from onward.core.switches import Switch, Turn, check_scope
from onward.core.usage import UsageBy, UsageRow, usage
from onward.core.versions import GOING, VersionRow, versions
from onward.engine.sweep import sweep
from onward.errors import Permanent
from onward.ports import Diagnosis, Query, every
from onward.runtime.sessions import Sessions

log = logging.getLogger("onward.runtime")


class Operating(Sessions):
    """What an operator does to sessions, and asks of all of them."""

    @property
    def _operator(self) -> Actor:
        return Actor(kind="operator", name=self.identity)

    @property
    def _deletes_as(self) -> str:
        return self.identity

    async def erase(self, id: str, seq: int, field: str, reason: str = "", *, tenant: str = "default") -> None:
        """Erase a private field of an event for good, snapshots included; the log still verifies, visibly erased.

        Raises NotFound, and Refused while the session is being advanced.
        """
        head = await self._with_log(id, tenant)
        await self.parts.eraser.erase(head.key, seq, field, self._operator, reason)

    async def delete(self, id: str, reason: str = "", *, tenant: str = "default") -> Head:
        """Delete a session that has ended, with all that it said, and answer its tombstone: who deleted it and why,
        what it cost, its hash. Its id never starts again. Deleting it again completes what a crash left over.

        Raises NotFound, and Refused for a session that has not ended or is being advanced.
        """
        head = await self.get(id, tenant)
        return await self.parts.deleter.delete(head.key, self._deletes_as, reason)

    # --- switches ----------------------------------------------------------------------------------------------

    async def switch_off(self, scope: str, reason: str = "") -> bool:
        """Hold back every effect of `all`, `program:NAME` or `tenant:NAME`, in every process within ten seconds; what
        is under way is finished. Sessions rest as paused. Whether it was on; raises BadInput for another scope."""
        return await self._turn(scope, reason, off=True)

    async def switch_on(self, scope: str, reason: str = "") -> bool:
        """Let them go on, those that were paused by it too. Whether it was off; raises BadInput."""
        turned = await self._turn(scope, reason, off=False)
        await sweep(self.parts.backend.store, self.parts.backend.queue, None, self.parts.backend.switches)
        return turned

    async def _turn(self, scope: str, reason: str, off: bool) -> bool:
        switch = Switch(scope=check_scope(scope), by=self._operator, reason=reason, at=self.parts.clock.now())
        turned = await self.parts.backend.switches.turn(switch, off)
        await self.parts.switchboard.off(fresh=True)
        return turned

    async def switches(self) -> Sequence[Switch]:
        """What is switched off now."""
        return await self.parts.backend.switches.read()

    async def switch_history(self, limit: int = 100) -> Sequence[Turn]:
        """Every turn of a switch, the newest first."""
        return await self.parts.backend.switches.history(limit)

    # --- restores ----------------------------------------------------------------------------------------------

    async def restored(self, reason: str = "") -> Restored:
        """Say that the database was restored from a backup: it has forgotten what was done since that was taken. Every
        session that is there now needs a look, in every process within ten seconds, before it starts anything that is
        `compensatable` or `irreversible`. Said again it means one more restore, and one more look for each."""
        restored = await self.parts.backend.incarnations.record(self._operator, reason, self.parts.clock.now())
        await self.parts.restores.now(fresh=True)
        return restored

    async def restores(self) -> Sequence[Restored]:
        """The newest restores that operators have recorded, the newest first."""
        return (await self.parts.backend.incarnations.read()).newest

    # --- what was done and used --------------------------------------------------------------------------------

    async def effects(
        self,
        id: str | None = None,
        *,
        query: Query | None = None,
        tool: str | None = None,
        since: datetime | None = None,
        reads: bool = False,
        tenant: str = "default",
    ) -> AsyncIterator[LedgerEntry]:
        """What was done to the world: every call of one session, or of all that a query finds, with who let it happen
        and what came of it. Calls that only read are left out, unless `reads`.

        Raises NotFound, and CorruptLog for the one session; of many, those that can't be read are told in the log.
        Of many, imports are left out: what they did was done elsewhere.
        """
        asked = replace(query or Query(), updated_since=since)
        heads = [await self._with_log(id, tenant)] if id else every(self.parts.backend.store, asked)
        async for head in _each(heads):
            for entry in await self._ledger(head, alone=id is not None):
                if entry.counts(tool, reads) and (since is None or entry.moved_at >= since):
                    yield entry

    async def _ledger(self, head: Head, alone: bool) -> Sequence[LedgerEntry]:
        if head.status == "imported" and not alone:
            return ()
        try:
            return ledger(head.id, [event async for event in self.events(head.id, tenant=head.tenant)])
        except Permanent as exc:
            if alone:
                raise
            unread = {"action": "ledger_skipped", "session": head.id}
            log.warning("effects of session %s can't be read: %s", head.id, exc, extra=unread)
            return ()

    async def usage(
        self, by: UsageBy = "program", *, since: datetime | None = None, tenant: str | None = None
    ) -> Sequence[UsageRow]:
        """What sessions have used up, deleted ones too, the largest first: all, or those that moved `since`."""
        everything = Query(status=get_args(Status), updated_since=since, tenant=tenant)
        return usage([head async for head in every(self.parts.backend.store, everything)], by)

    async def versions(self, program: str | None = None, *, tenant: str | None = None) -> Sequence[VersionRow]:
        """Which versions sessions run that have not ended, of one program or of all; it looks at each of them."""
        going = Query(status=GOING, program=program, tenant=tenant, oldest=True)
        return versions([head async for head in every(self.parts.backend.store, going)])

    async def diagnose(self) -> Diagnosis:
        """How the store is, as far as it can tell itself."""
        return await self.parts.backend.diagnose()


async def _each(heads: Sequence[Head] | AsyncIterator[Head]) -> AsyncIterator[Head]:
    if isinstance(heads, Sequence):
        for head in heads:
            yield head
    else:
        async for head in heads:
            yield head
