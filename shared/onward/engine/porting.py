"""Sessions as files: out of a store, and into one as recordings (S16)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from onward.core.codec import format_of, stamp
from onward.core.events import SessionStarted
from onward.core.fold import fold
from onward.core.head import Head, as_import, status_of
from onward.core.ids import check_id, session_key
from onward.core.log import Commit
from onward.core.portable import BLOBS, FILES, Export, Header, Leaving, Sheet, Wanted
from onward.core.state import State
from onward.engine.append import Appender
from onward.engine.creating import blank_head
from onward.engine.load import NOTHING, Loader
from onward.errors import Ambiguous, CorruptLog, Refused
from onward.ports import Blobs, Clock, SessionStore

AT_ONCE = 16
"""Values that are put beside a log at a time."""


class Exporter:
    """Writes sessions as the lines of files."""

    def __init__(self, store: SessionStore, blobs: Blobs, loader: Loader, clock: Clock) -> None:
        self._store, self._blobs, self._loader, self._clock = store, blobs, loader, clock

    async def lines(self, head: Head, leaving: Leaving) -> AsyncIterator[str]:
        """The lines of the file of a session up to this head, however it goes on meanwhile. Only whoever has the last
        one has a file. Raises CorruptLog."""
        sheet, wanted = Sheet(), Wanted()
        yield sheet.header(await self._header(head, leaving))
        async for commit in self._commits(head):
            left = leaving.out(commit)
            wanted.take(left)
            yield sheet.commit(left)
        for blob in wanted.each_blob():
            text = await self._loader.text(head.key, blob)
            wanted.took(blob.digest, text)
            yield sheet.value(BLOBS + blob.digest, text)
        for digest in wanted.files:
            file = await self._blobs.get(head.key, FILES + digest)
            if file is not None:
                yield sheet.value(FILES + digest, file)
        yield sheet.end()

    async def _header(self, head: Head, leaving: Leaving) -> Header:
        """An import is exported under the name that its log has."""
        commits = await self._store.commits(head.key, limit=1)
        genesis = dict(commits[0].genesis or {}) if commits else {}
        status: str = head.status
        if status == "imported":
            status = status_of(await self._loader.fold(head), True)
        return Header(
            tenant=str(genesis.get("tenant", head.tenant)),
            session=str(genesis.get("session", head.id)),
            program=head.program,
            version=head.version,
            status=status,
            seq=head.seq,
            hash=head.hash,
            format=head.format,
            exported_at=stamp(self._clock.now()),
            left_out=leaving.names,
        )

    async def _commits(self, head: Head) -> AsyncIterator[Commit]:
        async for commit in self._loader.checked(head, NOTHING.seq, NOTHING.hash):
            if commit.last_seq >= head.seq and (commit.last_seq, commit.hash) != (head.seq, head.hash):
                raise CorruptLog(f"session {head.id}: the log and the head differ at event {head.seq}")
            yield commit
            if commit.last_seq == head.seq:
                return


class Importer:
    """Puts exports into a store, as recordings that nothing moves: large values first, then the head with the first
    commit, then the rest. Whatever it died after, the same import completes it."""

    def __init__(self, store: SessionStore, blobs: Blobs, appender: Appender) -> None:
        self._store, self._blobs, self._appender = store, blobs, appender

    async def put(self, export: Export, tenant: str, id: str | None) -> tuple[Head, bool]:
        """Keep a verified export under `id`, or the one that it had: its head, and whether it is new. Raises BadInput,
        CorruptLog and UnreadableLog before anything is written, and Refused where the id is taken by anything else."""
        key = session_key(check_id(tenant, "tenant"), check_id(id or export.header.session))
        blank, state = await asyncio.to_thread(_folded, export, key)
        blank = replace(blank, tenant=tenant, id=id or export.header.session)
        there = await self._store.read(key)
        if there is not None:
            await self._check_same(export, there)
        await self._put_values(export, key)
        seq, hash = export.header.seq, export.header.hash
        head = as_import(await self._appender.head_after(blank, state, hash, at_rest=True, published=seq))
        there = there or await self._create(head, export.commits[0])
        if there is not None:
            await self._check_same(export, there)
        await self._fill(key, export.commits[1:])
        return there or head, there is None

    async def _create(self, head: Head, first: Commit) -> Head | None:
        """Answers the head that is there instead, but for that of this very import."""
        try:
            return await self._store.create(head, first, None)
        except Ambiguous:
            return await self._store.create(head, first, None)

    async def _fill(self, key: str, commits: Sequence[Commit]) -> None:
        try:
            await self._store.fill(key, commits)
        except Ambiguous:
            await self._store.fill(key, commits)
        except Refused:
            head = await self._store.read(key)
            if head is not None and head.status == "deleted":
                await self._blobs.forget(key, "")  # what this import brought along
            raise

    async def _put_values(self, export: Export, key: str) -> None:
        values = list(export.values.items())
        for at in range(0, len(values), AT_ONCE):
            await asyncio.gather(*(self._blobs.put(key, name, text) for name, text in values[at : at + AT_ONCE]))

    async def _check_same(self, export: Export, there: Head) -> None:
        """The id is taken: the same recording, with the same fields in it, is completed."""
        if there.status == "deleted":
            stands = "it was deleted, and an id starts only once: give another one"
            raise Refused(f"session {there.id} can't be imported", "deleted", stands)
        if there.status != "imported":
            raise _exists(there, f"it is {there.status}, and no import: give another id")
        header = export.header
        if (there.seq, there.hash) != (header.seq, header.hash):
            stands = f"it is another log or another length of it: it ends with event {there.seq}, this one {header.seq}"
            raise _exists(there, stands)
        known = {commit.first_seq: commit.to_json() for commit in await self._store.commits(there.key)}
        for commit in export.commits:
            if known.get(commit.first_seq, commit.to_json()) != commit.to_json():
                stands = f"other fields are erased in it than in this file, from event {commit.first_seq} on"
                raise _exists(there, stands)


def _exists(there: Head, stands: str) -> Refused:
    return Refused(f"session {there.id} exists", "exists", stands)


def _folded(export: Export, key: str) -> tuple[Head, State]:
    """The head before its last commit, and the state. Raises CorruptLog for what verifies, and is no session's log."""
    events = export.foldables()
    began = events[0].body
    if not isinstance(began, SessionStarted) or (began.tenant, began.session) != _named(export):
        raise CorruptLog("event 1 is not the start of the session that the first line names")
    try:
        state = fold(State(), events)
    except (LookupError, ValueError, TypeError, AttributeError, AssertionError, ArithmeticError) as exc:
        raise CorruptLog(f"the log verifies, and is none that onward has written ({type(exc).__name__})") from exc
    blank = blank_head(key, state, events[0].at, format_of(events))
    return replace(blank, commits=len(export.commits) - 1), state


def _named(export: Export) -> tuple[str, str]:
    return export.header.tenant, export.header.session
