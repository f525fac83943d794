"""Turning a draft into one atomic commit (R1, R12, R18 to R20)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from onward.core.codec import encode, format_of
from onward.core.draft import ENGINE
from onward.core.duties import first_owed
from onward.core.events import Body, Event, SessionParked
from onward.core.fold import fold
from onward.core.head import (
    HEAD_FOLD_BYTES,
    SNAPSHOT_EVERY,
    Fold,
    Head,
    Status,
    Wait,
    fold_text,
    head_of,
    snapshot_every,
    snapshot_name,
)
from onward.core.log import Commit, offload, seal
from onward.core.state import FOLD_VERSION, State
from onward.engine.hold import Hold
from onward.engine.listeners import Webhooks
from onward.engine.load import Known, Loader
from onward.engine.session import Session
from onward.errors import Ambiguous, LeaseLost, StoreUnavailable
from onward.ports import Append, Appended, Blobs, Clock, Lease, SessionStore, Wake

Entropy = Callable[[int], bytes]
RETRY_DELAYS = (0.05, 0.2, 1.0, 3.0, 10.0)
log = logging.getLogger("onward.engine")


class Appender:
    """Writes commits. What it answers is durable, and is in the cache."""

    def __init__(
        self, store: SessionStore, blobs: Blobs, loader: Loader, clock: Clock, entropy: Entropy, webhooks: Webhooks
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._loader = loader
        self._clock = clock
        self._entropy = entropy
        self._webhooks = webhooks

    async def seal(
        self, events: Sequence[Event], *, prev: str, epoch: int, key: str, genesis: dict[str, Any] | None = None
    ) -> Commit:
        """The commit of these events; their large values are in blobs before it is answered."""
        salts = self._salts()
        records, blobs = offload([encode(event, salts) for event in events])
        for digest, text in blobs.items():
            await self._blobs.put(key, f"blobs/{digest}", text)
        return seal(records, prev=prev, epoch=epoch, token=self._entropy(12).hex(), genesis=genesis)

    def _salts(self) -> Iterator[str]:
        while True:
            pool = self._entropy(64).hex()
            yield from (pool[at : at + 16] for at in range(0, 128, 16))

    async def append(
        self, session: Session, *, at_rest: bool, release: bool, wake: Wake | None
    ) -> tuple[int, int] | None:
        """Append the session's draft and start the next one; at rest, or with `release`, the lease is let go, unless
        the session owes something: that is paid first, and `wake` is published only then.

        Answers the mark that stands. Raises LeaseLost, and StoreUnavailable once the lease is too old to go on trying.
        """
        hold, draft = session.hold, session.draft
        head, epoch = _readable(hold.lease.head, draft.events), hold.lease.epoch
        commit = await self.seal(draft.events, prev=head.hash, epoch=epoch, key=hold.key)
        published = draft.state.seq if self._store.embedded else hold.published
        base = session.folded or session.saved
        folded = self.folded(base, draft.state, commit, same=session.folded is None)
        new = await self.head_after(head, folded, commit.hash, at_rest, published, hold.owed)
        free = (at_rest or release) and not hold.owed
        request = Append(commit, new, tuple(session.absorbed), free, session.inbox_read, None if hold.owed else wake)
        appended = await hold.write(self._write(hold, request))
        hold.confirm(appended.lease)
        self._loader.cache.put(hold.key, Known(commit.last_seq, commit.hash, folded))
        session.begin(folded, folded)
        return appended.mark

    def first_owed(self, session: Session) -> int:
        """The seq of the first event of the draft that owes something, or 0."""
        head, state = session.hold.lease.head, session.state
        listeners = self._webhooks.listeners(head, state.program, state.version)
        return first_owed(session.draft.events, head.parent, listeners)

    def folded(self, base: State, drafted: State, commit: Commit, same: bool = True) -> State:
        """What the log amounts to with this commit: large values are references in it, as they will be for whoever
        reads it, and not what this process has at hand (G1). `same`: the draft began with `base` itself."""
        if same and not commit.has_blobs:
            return drafted
        return fold(base, self._loader.events(commit))

    async def append_by_head(self, hold: Hold, body: Body, absorbed: tuple[str, ...]) -> None:
        """Append one event that parks or ends the session, with nothing but its head: the fold stays where it is."""
        head, now = replace(hold.lease.head, published=hold.published), hold.now()
        event = Event.model_construct(seq=head.seq + 1, at=now, actor=ENGINE, body=body, trace=None)
        commit = await self.seal([event], prev=head.hash, epoch=hold.lease.epoch, key=hold.key)
        status: Status = "needs_attention" if isinstance(body, SessionParked) else "cancelled"
        error = body.error if isinstance(body, SessionParked) else None
        head = replace(head, listeners=self._webhooks.listeners(head, head.program, head.version))
        owed = hold.owed or first_owed([event], head.parent, head.listeners)
        new = replace(
            head,
            seq=event.seq,
            hash=commit.hash,
            commits=head.commits + 1,
            status=status,
            error=error,
            wake_at=now if owed and status != "needs_attention" else None,
            owed=owed,
            armed=None,
            waits=(Wait(kind="operator", note=f"{error.code}: {error.message}"),) if error else (),
            updated_at=now,
        )
        await hold.write(self._write(hold, Append(commit, new, absorbed, release=True)))

    async def head_after(
        self, head: Head, state: State, hash: str, at_rest: bool, published: int, owed: int = 0, keep: bool = True
    ) -> Head:
        """The head that this state leads to; its fold is in it, or in a snapshot, or is the one before. Without `keep`
        there is none: the first commit of a session is as quickly read as a snapshot of it."""
        fold = await self._fold(head, state, hash) if keep else None
        listeners = self._webhooks.listeners(head, state.program, state.version)
        if listeners != head.listeners:
            head = replace(head, listeners=listeners)
        return head_of(state, head, hash=hash, at_rest=at_rest, fold=fold, published=published, owed=owed)

    async def _fold(self, head: Head, state: State, hash: str) -> Fold | None:
        number, last = head.commits + 1, head.fold
        if last and last.snapshot and number - last.commit < snapshot_every(state):
            return last
        text = fold_text(state)
        if len(text) <= HEAD_FOLD_BYTES:
            return Fold(state.seq, hash, FOLD_VERSION, number, text=text)
        if last and number - last.commit < SNAPSHOT_EVERY:
            return last
        name = snapshot_name(state.seq, text)
        await self._blobs.put(head.key, name, text)
        return Fold(state.seq, hash, FOLD_VERSION, number, snapshot=name)

    async def _write(self, hold: Hold, request: Append) -> Appended:
        """Append, and if need be find out whether it happened: the commit document holds the append's token.

        A lease seems lost, too, when an append that was not answered arrives before the next try does.
        """
        for delay in RETRY_DELAYS:
            try:
                return await self._append_or_settle(hold.lease, request)
            except StoreUnavailable as exc:
                if not hold.fresh:
                    raise
                log.warning(
                    "append not answered",
                    extra={"action": "append_retry", "session": request.head.id, "error": str(exc)},
                )
            await self._clock.sleep(delay)
        return await self._append_or_settle(hold.lease, request)

    async def _append_or_settle(self, lease: Lease, request: Append) -> Appended:
        """Raises StoreUnavailable where it did not happen, or nobody can tell yet."""
        try:
            return await self._store.append(lease, request)
        except (Ambiguous, LeaseLost) as exc:
            settled = await self._settled(lease, request)
            if settled:
                return settled
            if isinstance(exc, LeaseLost):
                raise
            raise StoreUnavailable(str(exc)) from exc

    async def _settled(self, lease: Lease, request: Append) -> Appended | None:
        commits = await self._store.commits(lease.key, after=request.commit.first_seq - 1, limit=1)
        if not commits:
            return None
        if commits[0].token != request.commit.token:
            raise LeaseLost(f"session {request.head.id}: event {request.commit.first_seq} is somebody else's")
        mine = replace(lease, head=request.head, stalls=0)
        if request.release:
            return Appended(mine, mark=(lease.epoch, request.commit.first_seq - 1))
        again = await self._store.claim(lease.key, lease.owner)
        if not isinstance(again, Lease) or again.epoch != lease.epoch:
            if isinstance(again, Lease):  # it was lost, others went on, and a new one says nothing of what they did
                await self._store.release(again)
            raise LeaseLost(f"session {request.head.id}: appended, and the lease has gone since")
        return Appended(replace(again, now=lease.now, confirmed=lease.confirmed), again.mark)


def _readable(head: Head, events: Sequence[Event]) -> Head:
    """The head, kept from readers that can't fold these events (R21)."""
    needed = format_of(events)
    return replace(head, format=needed) if needed > head.format else head
