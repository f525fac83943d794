"""The session store over Firestore: each change is one atomic commit with preconditions, and there are no transactions.

A change is made on the head as it was last seen, on condition that it is still so (its update time). Only if it is not,
it is read and judged again. So an ordinary step is one read and three writes: the claim, and a commit of two documents.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from onward.adapters.gcp.firestore_client import Clash, Client
from onward.adapters.gcp.firestore_documents import (
    STANDING,
    Standing,
    commit_fields,
    commit_of,
    commit_path,
    first_standing,
    head_fields,
    head_of,
    milliseconds,
    parts,
    session_path,
    signal_fields,
    signal_of,
    signal_path,
    standing_of,
)
from onward.adapters.gcp.firestore_lists import PAGE, Overdue, census, heads, pages
from onward.adapters.gcp.firestore_queries import INBOX, LOG, PENDING
from onward.adapters.gcp.firestore_wire import MISSING, PRESENT, Document, Version, Write
from onward.core.codec import FORMAT
from onward.core.head import UNCLAIMED, Head, Status, WaitKind
from onward.core.lease import TTL, Busy, Free, Later, judge
from onward.core.log import Commit, missing
from onward.core.signals import KEPT_DAYS, Signal
from onward.errors import Ambiguous, CorruptLog, LeaseLost, Refused, StoreUnavailable
from onward.ports import Append, Appended, Clock, Inbox, Lease, Query, Wake, not_imported

TRIES = 5
"""How often a change is made anew because the head was written to meanwhile: by a visitor's mark, a late renewal, or
other claimants, of whom one succeeds each time."""

SEEN = 4096
"""Heads whose standing is remembered."""

Test = Callable[[Standing], bool]
Change = Callable[[Standing], tuple[Standing, Sequence[Write]]]


class Changed(NamedTuple):
    """Whether a change was made, and how the head stands then; None where there is none."""

    done: bool
    standing: Standing | None


class FirestoreStore:
    """The SessionStore port. `ttl` is the life of a lease in seconds, judged on the server's clock alone; `reads` the
    newest format of a log that may be claimed. May be used from several event loops and threads."""

    embedded = False

    def __init__(self, client: Client, clock: Clock, ttl: float = TTL, reads: int = FORMAT) -> None:
        self._client = client
        self._clock = clock
        self._ttl = ttl
        self._reads = reads
        self._seen: dict[str, Standing] = {}
        self._remembering = threading.Lock()

    # --- heads as they were seen -------------------------------------------------------------------------------------

    def _remember(self, key: str, standing: Standing) -> Standing:
        """Only a hint: what is missing here or old costs a read."""
        with self._remembering:
            known = self._seen.pop(key, standing)
            self._seen[key] = max(known, standing, key=lambda one: one.version)
            if len(self._seen) > SEEN:
                self._seen.pop(next(iter(self._seen)))
        return standing

    def _forget(self, key: str) -> None:
        with self._remembering:
            self._seen.pop(key, None)

    async def _look(self, key: str) -> Standing | None:
        found = await self._client.get([session_path(key)], STANDING)
        if not found.documents:
            self._forget(key)
            return None
        return self._remember(key, standing_of(found.documents[0]))

    async def _change(self, key: str, fits: Test, change: Change) -> Changed:
        """Commit what `change` makes of the head's standing: its next standing, and the writes, the head's first.

        Where what stands does not fit, nothing is done."""
        standing = self._seen.get(key)
        for _ in range(TRIES):
            if standing is None or not fits(standing):
                standing = await self._look(key)
            if standing is None or not fits(standing):
                return Changed(False, standing)
            after = await self._try(key, *change(standing))
            if after is not None:
                return Changed(True, after)
            standing = None
        raise StoreUnavailable(f"{key}: its head is written to by too many at once, or a signal in its inbox is gone")

    async def _try(self, key: str, after: Standing, writes: Sequence[Write]) -> Standing | None:
        """None where the head is not as it was expected to be."""
        self._forget(key)
        try:
            head, *_ = await self._client.commit(writes)
        except Clash:
            return None
        return self._remember(key, replace(after, version=head.version, renewed_at=head.stamp or after.renewed_at))

    # --- the lease ---------------------------------------------------------------------------------------------------

    async def claim(self, key: str, owner: str, published: int = 0) -> Lease | Busy | Later | None:
        for _ in range(TRIES):
            sent = self._clock.monotonic()
            found = await self._client.get([session_path(key)])
            if not found.documents:
                return None
            standing = self._remember(key, standing_of(found.documents[0]))
            if standing.status in UNCLAIMED:
                return None
            verdict = self._judge(standing, owner, found.now)
            if not isinstance(verdict, Free):
                return replace(verdict, now=found.now)
            known = max(min(published, standing.seq), standing.published)
            claimed = standing.next(epoch=verdict.epoch, owner=owner, held=True, published=known)
            after = await self._try(key, claimed, [_lease_write(key, claimed, "renewed_at")])
            if after is not None:
                head = replace(head_of(found.documents[0]), published=after.published)
                now = milliseconds(after.renewed_at)
                return Lease(key, after.epoch, owner, head, now, sent, verdict.stalls, after.mark)
        raise StoreUnavailable(f"{key}: its head is written to by too many at once")

    def _judge(self, standing: Standing, owner: str, now: datetime) -> Free | Busy | Later:
        if standing.held and standing.owner == owner:
            return Free(standing.epoch, max(0, standing.epoch - 1 - standing.settled))
        return judge(standing.judged(now), self._ttl, self._reads)

    async def renew(self, lease: Lease) -> Lease:
        sent = self._clock.monotonic()

        def change(standing: Standing) -> tuple[Standing, Sequence[Write]]:
            renewed = standing.next()
            return renewed, [_lease_write(lease.key, renewed, "renewed_at")]

        _check(lease, await self._change(lease.key, _held_by(lease), change))
        return replace(lease, confirmed=sent)

    async def mark(self, key: str, epoch: int, seq: int) -> bool:
        """One mark is enough, whoever sets it: another would only be in the holder's way."""

        def unmarked(standing: Standing) -> bool:
            return _is_at(standing, epoch, seq) and standing.mark != (epoch, seq)

        def change(standing: Standing) -> tuple[Standing, Sequence[Write]]:
            marked = standing.next(mark=(epoch, seq))
            return marked, [_lease_write(key, marked)]

        _, there = await self._change(key, unmarked, change)
        return there is not None and _is_at(there, epoch, seq)

    async def release(self, lease: Lease, head: Head | None = None) -> tuple[int, int] | None:
        def change(standing: Standing) -> tuple[Standing, Sequence[Write]]:
            free = standing.next(held=False, settled=standing.epoch)
            if head is None or (head.seq, head.hash) != (standing.seq, standing.hash):
                return free, [_lease_write(lease.key, free)]
            return _head_write(head, free)

        _, there = await self._change(lease.key, _held_by(lease), change)
        return there.mark if there else None

    # --- the log -----------------------------------------------------------------------------------------------------

    async def create(self, head: Head, commit: Commit, wake: Wake | None) -> Head | None:
        standing = first_standing(head, commit.epoch)
        path = session_path(head.key)
        made = Write(path, head_fields(head, standing), stamped=("renewed_at",), expects=MISSING)
        try:
            await self._client.commit([made, _commit_write(head.key, commit)])
        except Clash as exc:
            found = await self._client.get([path])
            if not found.documents:
                raise CorruptLog(f"session {head.id} has a log and no head") from exc
            return head_of(found.documents[0])
        return None

    async def fill(self, key: str, commits: Sequence[Commit]) -> None:
        for part in parts(commits):
            await self._fill(key, part)

    async def _fill(self, key: str, part: Sequence[Commit]) -> None:
        for _ in range(TRIES):
            standing = await self._look(key)
            if standing is None or standing.status != "imported":
                raise not_imported(standing.status if standing else None)
            known = await self.commits(key, after=part[0].first_seq - 1, limit=len(part))
            new, touched = missing({commit.first_seq: commit for commit in known}, part), standing.next()
            if not new or await self._try(
                key, touched, [_lease_write(key, touched), *(_commit_write(key, commit) for commit in new)]
            ):
                return
        raise StoreUnavailable(f"{key}: it is filled by too many at once")

    async def read(self, key: str) -> Head | None:
        found = await self._client.get([session_path(key)])
        return head_of(found.documents[0]) if found.documents else None

    async def append(self, lease: Lease, append: Append) -> Appended:
        sent, head, first_seq = self._clock.monotonic(), append.head, append.commit.first_seq
        besides = [_commit_write(lease.key, append.commit), *self._absorbing(lease.key, append.absorbed)]

        def change(standing: Standing) -> tuple[Standing, Sequence[Write]]:
            seen = append.inbox_read and standing.mark == lease.mark
            mark, held = (None if seen else standing.mark), not append.release
            moved, writes = _head_write(head, standing.next(mark=mark, held=held, settled=standing.epoch), "renewed_at")
            return moved, [*writes, *besides]

        changed = await self._change(lease.key, lambda there: _is_at(there, lease.epoch, first_seq - 1), change)
        mark = _check(lease, changed).mark
        return Appended(replace(lease, head=head, confirmed=sent, stalls=0, mark=mark), mark)

    def _absorbing(self, key: str, signals: Sequence[str]) -> list[Write]:
        return [_settle(signal_path(key, id), self._expires(), PRESENT) for id in signals]

    def _expires(self) -> datetime:
        return milliseconds(self._clock.now() + timedelta(days=KEPT_DAYS))

    async def commits(self, key: str, after: int = 0, limit: int | None = None) -> Sequence[Commit]:
        question = LOG.question({}, bounds={">": after}, parent=session_path(key), limit=limit)
        return [commit_of(document) for document in (await self._client.query(question)).documents]

    async def erase(self, lease: Lease, commit: Commit) -> None:
        path = commit_path(lease.key, commit.first_seq)
        found = await self._client.get([path])
        version = _same_commit(found.documents, commit, lease).version

        def change(standing: Standing) -> tuple[Standing, Sequence[Write]]:
            touched = standing.next()
            erased = Write(path, commit_fields(commit), expects=version)
            return touched, [_lease_write(lease.key, touched), erased]

        _check(lease, await self._change(lease.key, _held_by(lease), change))

    # --- deletion ----------------------------------------------------------------------------------------------------

    async def delete(self, lease: Lease, tombstone: Head) -> None:
        """First the tombstone, in one commit; then the log and the inbox, part by part. Until they are gone the
        tombstone says that it is clearing. What fails after the tombstone is Ambiguous."""

        def fits(standing: Standing) -> bool:
            there = standing.status == "imported" or (standing.held and standing.epoch == lease.epoch)
            return there and (standing.seq, standing.hash) == (tombstone.seq, tombstone.hash)

        def change(standing: Standing) -> tuple[Standing, Sequence[Write]]:
            free = standing.next(held=False, settled=standing.epoch, mark=None, status="deleted", clearing=True)
            return _head_write(tombstone, free)

        _check(lease, await self._change(lease.key, fits, change))
        try:
            await self._clear(lease.key)
        except StoreUnavailable as exc:
            raise Ambiguous(f"session {tombstone.id}: its tombstone stands, its log is not gone yet: {exc}") from exc

    async def clear(self, key: str) -> None:
        found = await self._client.get([session_path(key)], ("clearing",))
        if any(document.fields.get("clearing") for document in found.documents):
            await self._clear(key)

    async def _clear(self, key: str) -> None:
        """Delete what a tombstone left; then it says so."""
        for shape in (LOG, INBOX):
            question = shape.question({}, parent=session_path(key), limit=PAGE, select=(shape.order[0],))
            async for page in pages(self._client, question):
                await self._client.discard(page.documents)
        self._forget(key)
        await self._write_if_still_so(Write(session_path(key), only=("clearing",), expects=PRESENT))

    # --- the inbox ---------------------------------------------------------------------------------------------------

    async def file(self, key: str, signal: Signal) -> Signal:
        """The time that counts is that of the commit: whatever was filed before a read of the inbox is in it. The field
        `filed_at`, by which the inbox is read, is stamped when the request is processed, a moment before."""
        path = signal_path(key, signal.id)
        filing = Write(path, signal_fields(key, signal), stamped=("filed_at",), expects=MISSING)
        try:
            (written,) = await self._client.commit([filing])
        except Clash as exc:
            return await self._filed(path, signal, exc)
        return replace(signal, filed_at=milliseconds(written.at))

    async def _filed(self, path: str, signal: Signal, clash: Clash) -> Signal:
        found = await self._client.get([path])
        if not found.documents:
            raise StoreUnavailable(f"signal {signal.id} was there, and is gone") from clash
        if found.documents[0].fields["digest"] != signal.digest:
            raise Refused("signal refused", "signal_reused", "the same key was used for a signal with other content")
        return replace(signal, filed_at=milliseconds(found.documents[0].created))

    async def pending(self, key: str, limit: int = 100) -> Inbox:
        question = PENDING.question({"pending": True}, parent=session_path(key), limit=limit + 1)
        found = await self._client.query(question)
        signals = sorted(map(signal_of, found.documents[:limit]), key=lambda signal: (signal.filed_at, signal.id))
        return Inbox(tuple(signals), milliseconds(found.now), more=len(found.documents) > limit)

    async def refuse(self, key: str, signals: Sequence[str], reason: str) -> None:
        if not signals:
            return
        found = await self._client.get([signal_path(key, id) for id in signals])
        for document in found.documents:
            if document.fields["pending"]:
                refusal = _settle(document.path, self._expires(), document.version, refused=reason)
                await self._write_if_still_so(refusal)

    async def _write_if_still_so(self, write: Write) -> None:
        try:
            await self._client.commit([write])
        except Clash:
            return  # somebody else did something about it meanwhile

    # --- reads -------------------------------------------------------------------------------------------------------

    async def list(self, query: Query) -> Sequence[Head]:
        return await heads(self._client, query)

    async def census(self) -> Mapping[WaitKind | Status, int]:
        return await census(self._client)

    async def overdue(self, limit: int = 100) -> Sequence[str]:
        return await Overdue(self._client, self._clock.now(), self._ttl, limit).keys()

    async def close(self) -> None:
        await self._client.close()


def _held_by(lease: Lease) -> Test:
    return lambda standing: standing.held and standing.epoch == lease.epoch


def _is_at(standing: Standing, epoch: int, seq: int) -> bool:
    return standing.held and (standing.epoch, standing.seq) == (epoch, seq)


def _check(lease: Lease, changed: Changed) -> Standing:
    """How the head stands after the change. Raises LeaseLost where it was not made."""
    there = changed.standing
    if there is None:
        raise LeaseLost(f"session {lease.head.id} is not there any more")
    if changed.done:
        return there
    stands = f"it is at epoch {there.epoch}, event {there.seq}, and {'held' if there.held else 'let go'}"
    raise LeaseLost(f"session {lease.head.id}: the lease of epoch {lease.epoch} is gone; {stands}")


def _lease_write(key: str, after: Standing, *stamped: str) -> Write:
    """The lease alone, in the place of the one before."""
    fields = {**after.lease(), "published": after.published}
    return Write(session_path(key), fields, only=tuple(fields), stamped=stamped, expects=after.version)


def _head_write(head: Head, after: Standing, *stamped: str) -> tuple[Standing, list[Write]]:
    """The whole head, in the place of the one before; and how it stands then."""
    there = replace(after, published=head.published, format=head.format, status=head.status)
    moved = replace(there, seq=head.seq, hash=head.hash)
    fields = head_fields(head, moved, clearing=moved.clearing)
    renewed = {} if stamped else {"renewed_at": moved.renewed_at}
    return moved, [Write(session_path(head.key), {**fields, **renewed}, stamped=stamped, expects=moved.version)]


def _commit_write(key: str, commit: Commit) -> Write:
    return Write(commit_path(key, commit.first_seq), commit_fields(commit), expects=MISSING)


def _settle(path: str, expires: datetime, expects: Version | bool, **besides: str) -> Write:
    """Pending no more; what makes a repeat harmless is kept for a while, and the body goes."""
    fields = {"pending": False, "expires_at": expires, **besides}
    return Write(path, fields, only=(*fields, "body"), expects=expects)


def _same_commit(found: Sequence[Document], commit: Commit, lease: Lease) -> Document:
    for document in found:
        there = commit_of(document)
        if (there.hash, there.first_seq, there.last_seq) == (commit.hash, commit.first_seq, commit.last_seq):
            return document
    raise CorruptLog(
        f"session {lease.head.id}: erasing keeps the hash of a commit; at event {commit.first_seq} it differs"
    )
