"""Erasing a private field for good, while the log still verifies (G3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from onward.core.branch import Base
from onward.core.codec import Cell, Record, erase, value_of
from onward.core.draft import Draft
from onward.core.events import Actor, FieldErased
from onward.core.files import digests_in
from onward.core.log import Commit
from onward.engine.append import Appender
from onward.engine.files import Files
from onward.engine.hold import Hold, Renewer
from onward.engine.load import Loader
from onward.engine.session import Session
from onward.errors import CorruptLog, LeaseLost, NotFound, Refused
from onward.ports import Blobs, Lease, SessionStore, Wake, Wakes


class Eraser:
    """Replaces a field's text by its digest, then writes down that it did, with a fold made from the log anew.

    Dying in between leaves the field erased and the event missing; erasing again is harmless and completes it.
    """

    def __init__(
        self,
        store: SessionStore,
        blobs: Blobs,
        files: Files,
        loader: Loader,
        appender: Appender,
        renewer: Renewer,
        wakes: Wakes,
        owners: Callable[[], str],
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._files = files
        self._loader = loader
        self._appender = appender
        self._renewer = renewer
        self._wakes = wakes
        self._owners = owners

    async def erase(self, key: str, seq: int, field: str, actor: Actor, reason: str) -> None:
        """Erase `field` of event `seq`. Raises NotFound, and Refused while somebody holds the session, or it owes
        something to others."""
        commit, at = await self._find(key, seq, field)
        await self._check_own(key)
        lease = await self._store.claim(key, self._owners())
        if not isinstance(lease, Lease):
            raise Refused("not erased", "busy", "the session is being advanced; try again when it rests")
        await self._check(lease)
        try:
            async with self._renewer.holding(lease) as hold:
                await self._replace(hold, commit, at, field)
                await self._write_down(hold, FieldErased(seq=seq, field=field, reason=reason), actor)
        except LeaseLost:
            raise Refused(
                "not erased", "busy", "the session was taken over meanwhile; try again when it rests"
            ) from None
        await self._wakes.publish(Wake(key, look=True))

    async def _check_own(self, key: str) -> None:
        head = await self._store.read(key)
        if head is not None and head.status == "imported":
            stands = "it is the recording of a session from elsewhere: delete it, and import one without the field"
            raise Refused("not erased", "imported", stands)

    async def _check(self, lease: Lease) -> None:
        """A session that owes something is not let go by an append, so that it is not the time for one."""
        if lease.head.owed:
            await self._store.release(lease)
            await self._wakes.publish(Wake(lease.key, look=True))
            raise Refused("not erased", "busy", "somebody is still to hear of it; try again shortly")

    async def _find(self, key: str, seq: int, field: str) -> tuple[Commit, int]:
        commits = await self._store.commits(key, after=seq - 1, limit=1)
        if not commits or not commits[0].first_seq <= seq <= commits[0].last_seq:
            raise NotFound(f"there is no event {seq}")
        at = seq - commits[0].first_seq
        record = commits[0].records[at]
        if field not in record.private:
            there = ", ".join(record.private) or "none"
            raise NotFound(f"event {seq} ({record.kind}) has no private field {field!r}; it has: {there}")
        return commits[0], at

    async def _replace(self, hold: Hold, commit: Commit, at: int, field: str) -> None:
        record = commit.records[at]
        files, blobs = await self._kept_for(hold.key, record, field)
        records = (*commit.records[:at], erase(record, field), *commit.records[at + 1 :])
        await hold.write(self._store.erase(hold.lease, replace(commit, records=records)))
        for digest in (record.private[field].digest, *blobs):
            await self._blobs.forget(hold.key, f"blobs/{digest}")
        await self._files.forget(hold.key, files - await self._named(hold.key, files))

    async def _named(self, key: str, files: set[str]) -> set[str]:
        """Which of these files are named by what is left of the log."""
        found: set[str] = set()
        commits = await self._store.commits(key) if files else ()
        for record in (record for commit in commits for record in commit.records):
            for field in record.private:
                found |= files & (await self._kept_for(key, record, field))[0]
        return found

    async def _kept_for(self, key: str, record: Record, field: str) -> tuple[set[str], list[str]]:
        """The files that a value names, and the blobs: what a branch goes on from refers to large values of its own."""
        value = await self._value(key, record.private[field])
        is_base = record.kind == "session_forked" and field == "base" and value is not None
        large = Base.model_validate(value).blobs() if is_base else []
        values = [value, *[await self._resolved(key, blob) for blob in large]]
        return {file for each in values for file in digests_in(each)}, sorted({blob.digest for blob in large})

    async def _value(self, key: str, cell: Cell) -> Any:
        """What is in a cell; None where it was erased, as erasing goes on where it is gone already."""
        return None if cell.encoding == "erased" else await self._resolved(key, value_of(cell))

    async def _resolved(self, key: str, value: Any) -> Any:
        try:
            return await self._loader.resolve(key, value)
        except CorruptLog:
            return None

    async def _write_down(self, hold: Hold, body: FieldErased, actor: Actor) -> None:
        """Folds made before hold what was erased, so they go: first from the head, then the snapshots themselves."""
        self._loader.cache.drop(hold.key)
        hold.lease = replace(hold.lease, head=replace(hold.lease.head, fold=None))
        state = await self._loader.load(hold.lease.head)
        session = Session(hold, Draft(state, hold.now()))
        session.draft.add(actor, body)
        at_rest = hold.lease.head.status != "running"
        await self._appender.append(session, at_rest=at_rest, release=True, wake=None)
        fold = hold.lease.head.fold
        await self._blobs.forget(hold.key, "snapshots/", keep=fold.snapshot if fold else None)
