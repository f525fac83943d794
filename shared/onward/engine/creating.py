"""Making a session: its head and its first commit are one write (S1)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from onward.core.codec import format_of
from onward.core.draft import Draft
from onward.core.events import Event, SessionForked
from onward.core.fold import fold
from onward.core.head import Head
from onward.core.ids import session_key
from onward.core.log import ROOT, Commit
from onward.core.payload import Blob
from onward.core.state import State
from onward.engine.append import Appender
from onward.engine.load import Loader
from onward.errors import Ambiguous
from onward.ports import Clock, Ports, Wake


class Creator:
    """Creates sessions, tells subscribers of them, and wakes them."""

    def __init__(self, ports: Ports, loader: Loader, appender: Appender) -> None:
        self._store, self._wakes, self._feed = ports.store, ports.wakes, ports.feed
        self._loader, self._appender = loader, appender

    async def create(self, draft: Draft) -> tuple[Head, Head | None]:
        """Create the session that these first events begin: its head, and None, or the one that is there instead.

        Nobody is told of one that was there before; who asked says what that means.
        """
        head, commit = await self._first(draft)
        wake = Wake.of(head, look=True, published=head.seq)
        try:
            there = await self._store.create(head, commit, wake)
        except Ambiguous:
            there = await self._store.create(head, commit, wake)
        if there is not None and there.hash != head.hash:
            return head, there
        if not self._store.embedded:
            await self._feed.publish(head, self._loader.events(commit))
        if not self._store.embedded or there is not None:
            await self._wakes.publish(wake)
        return head, there

    async def look(self, head: Head) -> None:
        """Have somebody look at a session that is there already."""
        await self._wakes.publish(Wake.of(head, look=True))

    async def _first(self, draft: Draft) -> tuple[Head, Commit]:
        state = draft.state
        key = session_key(state.tenant, state.session)
        origin = state.origin and state.origin.model_dump()
        genesis = {"tenant": state.tenant, "session": state.session, "origin": origin}
        commit = await self._appender.seal(draft.events, prev=ROOT, epoch=0, key=key, genesis=genesis)
        folded = _folded(draft, self._loader.events(commit))
        blank = blank_head(key, state, draft.now, format_of(draft.events))
        published = state.seq if self._store.embedded else 0
        head = await self._appender.head_after(
            blank, folded, commit.hash, at_rest=folded.held, published=published, keep=not commit.has_blobs
        )
        return head, commit


def stamped(clock: Clock) -> datetime:
    """The time now, as it is stored."""
    now = clock.now()
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def _folded(draft: Draft, stored: Sequence[Event]) -> State:
    """What readers will fold these events to: to references for large values, but for what a branch goes on from."""
    pairs = list(zip(draft.events, stored, strict=True))
    if not any(_is_large(event) for drafted, event in pairs if not isinstance(drafted.body, SessionForked)):
        return draft.state
    whole = [drafted if isinstance(drafted.body, SessionForked) else event for drafted, event in pairs]
    return fold(State(), whole)


def _is_large(event: Event) -> bool:
    return any(isinstance(getattr(event.body, name), Blob) for name in event.body.private)


def blank_head(key: str, state: State, began: datetime, format: int) -> Head:
    """The head of a session before its first commit."""
    return Head(
        key=key,
        tenant=state.tenant,
        id=state.session,
        program=state.program,
        version=state.version,
        status="running",
        seq=0,
        hash=ROOT,
        commits=0,
        created_at=began,
        updated_at=began,
        format=format,
        origin=state.origin,
        family=state.family,
        effects=state.effects,
    )
