"""A part of a session's log: as much as a page shows, however long the log is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from onward.core import events as ev
from onward.core.events import Event
from onward.core.head import Head
from onward.core.log import Commit, check
from onward.engine.load import Loader
from onward.errors import CorruptLog, NotFound
from onward.surfaces.timeline import Telling
from onward.wiring import Parts

ROOM = 200
"""Events on a page. Each lies in a commit that is read with it: so many, and of each at most what one may hold."""

ASKED = 20
"""Proposals of calls, from before a part, that are looked up for it."""


@dataclass(frozen=True, slots=True)
class Window:
    """Some events of a log, in order and without a gap. `proposals` are those before them that made calls that these
    are about, as far as they were looked up; `more` says that the log goes on behind them."""

    events: Sequence[Event] = ()
    proposals: Sequence[Event] = ()
    more: bool = False

    @property
    def first(self) -> int:
        return self.events[0].seq if self.events else 0

    @property
    def last(self) -> int:
        return self.events[-1].seq if self.events else 0

    def telling(self) -> Telling:
        """What tells these events: it knows the tools of calls that were proposed before."""
        telling = Telling()
        for event in self.proposals:
            telling.note(event)
        return telling


NOTHING = Window()


async def before(parts: Parts, head: Head, end: int) -> Window:
    """The last events of the log, or with `end` the last before that one. Raises CorruptLog, UnreadableLog."""
    last = min(end - 1, head.seq) if end else head.seq
    if last < 1:
        return NOTHING
    return await _part(parts, head, max(0, last - ROOM), last)


async def after(parts: Parts, head: Head, seq: int) -> Window:
    """The first events behind this one. Raises CorruptLog, UnreadableLog."""
    return NOTHING if seq >= head.seq else await _part(parts, head, seq, min(seq + ROOM, head.seq))


async def _part(parts: Parts, head: Head, after: int, last: int) -> Window:
    commits = await parts.backend.store.commits(head.key, after=after, limit=ROOM)
    _check(head, commits, last)
    all = [event for commit in commits for event in Loader.events(commit)]
    events = [event for event in all if after < event.seq <= last]
    return Window(events, await _proposals(parts, head, events), head.seq > last)


def _check(head: Head, commits: Sequence[Commit], last: int) -> None:
    """Check what was read as a chain, and with the head where that is its end. Raises CorruptLog."""
    seq, hash = (commits[0].first_seq - 1, commits[0].prev) if commits else (0, "")
    for commit in commits:
        check(commit, seq, hash)
        seq, hash = commit.last_seq, commit.hash
    if seq < last or (seq == head.seq and hash != head.hash):
        raise CorruptLog(f"session {head.id}: the log and the head differ at event {seq}")


async def _proposals(parts: Parts, head: Head, events: Sequence[Event]) -> list[Event]:
    """What proposed the calls that these events are about, where that was before them."""
    seqs = sorted({seq for seq in _called(events) if 0 < seq < events[0].seq})[-ASKED:]
    found = await asyncio.gather(*(_commit(parts, head, seq) for seq in seqs))
    all = [event for commit in found if commit for event in Loader.events(commit)]
    return [event for event in all if event.seq in seqs and isinstance(event.body, ev.CallsProposed)]


def _called(events: Iterable[Event]) -> Iterable[int]:
    """The seqs that the names of calls begin with."""
    for event in events:
        seq = (getattr(event.body, "call", None) or "").partition(".")[0]
        if seq.isdecimal():
            yield int(seq[:12])


async def one(parts: Parts, head: Head, seq: int) -> tuple[Commit, Window]:
    """An event, and the commit that it lies in. Raises NotFound, CorruptLog, UnreadableLog."""
    commit = await _commit(parts, head, seq) if 1 <= seq <= head.seq else None
    if commit is None:
        raise NotFound(f"session {head.id} has no event {seq}: it has 1 to {head.seq}")
    _check(head, [commit], seq)
    events = [event for event in Loader.events(commit) if event.seq == seq]
    return commit, Window(events, await _proposals(parts, head, events), head.seq > seq)


async def _commit(parts: Parts, head: Head, seq: int) -> Commit | None:
    commits = await parts.backend.store.commits(head.key, after=seq - 1, limit=1)
    return commits[0] if commits and commits[0].first_seq <= seq <= commits[0].last_seq else None
