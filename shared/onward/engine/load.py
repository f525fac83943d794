"""Loading a session: the newest fold at hand, and the commits after it (G1, R20)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from json import loads
from typing import Any

from onward.core.branch import Base, must_ask
from onward.core.canonical import sha256
from onward.core.codec import decode
from onward.core.events import Event, SessionForked
from onward.core.fold import fold
from onward.core.head import Head, unfold
from onward.core.log import ROOT, Commit, check
from onward.core.payload import Blob, Erased
from onward.core.recording import Recording
from onward.core.state import Entry, State, changed
from onward.errors import CorruptLog
from onward.ports import Blobs, SessionStore

PAGE = 200
"""Commits read at a time where no fold helps."""

STOP_EVERY = 250
"""Events between the states of a session that are kept for who looks back at it, and of how many sessions."""

STOPS_OF = 16


@dataclass(frozen=True, slots=True)
class Known:
    """A state, and the commit it was folded up to."""

    seq: int
    hash: str
    state: State


NOTHING = Known(0, ROOT, State.model_construct())


class Stops:
    """States that sessions were in, on the way to where they are: good as long as they are there, because what is
    erased of a session moves it on."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[str, dict[int, Known]]] = OrderedDict()

    def before(self, head: Head, seq: int) -> Known | None:
        """The newest one up to event `seq`, if any is known."""
        at, known = self._known.get(head.key, ("", dict[int, Known]()))
        return known[found] if at == head.hash and (found := max((s for s in known if s <= seq), default=0)) else None

    def keep(self, head: Head, known: Known) -> None:
        at, there = self._known.pop(head.key, ("", dict[int, Known]()))
        self._known[head.key] = head.hash, {**(there if at == head.hash else {}), known.seq: known}
        if len(self._known) > STOPS_OF:
            self._known.popitem(last=False)


class Cache:
    """States of sessions this process has moved, by (session, seq, hash). Values are immutable.

    An entry is made only from an append that was confirmed, or from the log itself.
    """

    def __init__(self, size: int = 1000, text_bytes: int = 32 * 1024 * 1024) -> None:
        self._size = size
        self._states: OrderedDict[str, Known] = OrderedDict()
        self._texts: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._fetched: OrderedDict[str, tuple[int, Entry]] = OrderedDict()
        self._room = text_bytes if size else 0

    def get(self, key: str) -> Known | None:
        return self._states.get(key)

    def put(self, key: str, known: Known) -> None:
        self._states[key] = known
        self._states.move_to_end(key)
        if len(self._states) > self._size:
            self._states.popitem(last=False)

    def text(self, key: str, digest: str) -> str | None:
        """A large value of a session, if it was read not long ago: a model is shown it at each turn."""
        return self._texts.get((key, digest))

    def put_text(self, key: str, digest: str, text: str) -> None:
        if (key, digest) in self._texts or len(text) > self._room:
            return self._texts.move_to_end((key, digest)) if (key, digest) in self._texts else None
        self._texts[key, digest] = text
        self._room -= len(text)
        while self._room < 0:
            self._room += len(self._texts.popitem(last=False)[1])

    def fetched(self, key: str, transcript: Sequence[Entry]) -> int:
        """How many of the first entries are known to have their values at hand."""
        count, last = self._fetched.get(key, (0, None))
        return count if 0 < count <= len(transcript) and transcript[count - 1] is last else 0

    def note_fetched(self, key: str, transcript: Sequence[Entry]) -> None:
        self._fetched.pop(key, None)
        if transcript and self._size:
            self._fetched[key] = len(transcript), transcript[-1]
        if len(self._fetched) > self._size:
            self._fetched.popitem(last=False)

    def drop(self, key: str) -> None:
        """Forget everything of a session."""
        self._states.pop(key, None)
        self._fetched.pop(key, None)
        for owner, digest in [name for name in self._texts if name[0] == key]:
            self._room += len(self._texts.pop((owner, digest)))


class Loader:
    """Reads sessions."""

    def __init__(self, store: SessionStore, blobs: Blobs, cache: Cache | None = None) -> None:
        self._store = store
        self._blobs = blobs
        self.cache = cache or Cache()
        self._stops = Stops()

    async def load(self, head: Head) -> State:
        """The state at this head, with what a program decides on at hand. Raises CorruptLog or UnreadableLog."""
        return await self.decidable(head.key, await self.fold(head))

    async def fold(self, head: Head) -> State:
        """What the log amounts to at this head, large values as references: the same whoever reads it, and however
        (G1)."""
        cached = self.cache.get(head.key)
        if cached and (cached.seq, cached.hash) == (head.seq, head.hash):
            return cached.state
        known = await self._known(head, await self._base(head, cached))
        self.cache.put(head.key, known)
        return known.state

    async def _known(self, head: Head, base: Known) -> Known:
        """What the log amounts to, beginning at this base; from the first event on where the base does not fit it."""
        try:
            return await self._tail(head, base)
        except CorruptLog:
            if base is NOTHING:
                raise
            return await self._tail(head, NOTHING)

    async def decidable(self, key: str, state: State) -> State:
        """The state with the large values that are decided on at hand: an answer not yet acted on, arguments that a
        person changed, an outcome that came early, and of a workflow all that it was ever given. The very state where
        there are none."""
        if state.on_input == "deliver":
            await self._fetch(key, state)
        elif (newest := _unproposed(state)) is not None:
            state = await self._with_answer(key, state, newest)
        for call in state.calls.values():
            if call.status == "edited" and isinstance(call.edited, Blob):
                whole = changed(call, edited=await self.resolve(key, call.edited))
                state = changed(state, calls={**state.calls, call.id: whole})
            elif must_ask(state, call.effect) and call.status == "ready" and isinstance(call.arguments, Blob):
                whole = changed(call, arguments=await self.resolve(key, call.arguments))
                state = changed(state, calls={**state.calls, call.id: whole})
        if isinstance(state.instructions, Blob):
            state = changed(state, instructions=await self.resolve(key, state.instructions))
        for id, kept in state.kept.items():
            if isinstance(kept.body, Blob):
                said = changed(kept, body=await self.resolve(key, kept.body))
                state = changed(state, kept={**state.kept, id: said})
        return state

    async def _fetch(self, key: str, state: State) -> None:
        """What a workflow is run again from. Each entry is asked for its value once, as long as it is at hand."""
        before = self.cache.fetched(key, state.transcript)
        for entry in state.transcript[before:]:
            if isinstance(entry.value, Blob) and "fetched" not in entry.__dict__:
                entry.__dict__["fetched"] = await self.resolve(key, entry.value)
            elif entry.kind == "result" and isinstance(entry.content, Blob) and "fetched" not in entry.__dict__:
                entry.__dict__["fetched"] = {**entry.value, "result": await self.resolve(key, entry.content)}
        self.cache.note_fetched(key, state.transcript)

    async def _with_answer(self, key: str, state: State, at: int) -> State:
        answer = state.transcript[at]
        if not isinstance(answer.value, Blob):
            return state
        whole = changed(answer, value=await self.resolve(key, answer.value))
        return changed(state, transcript=(*state.transcript[:at], whole, *state.transcript[at + 1 :]))

    async def _base(self, head: Head, cached: Known | None) -> Known:
        """The newest of cache and fold; an older cache entry is good, because the chain is checked from there."""
        best = cached if cached and cached.seq <= head.seq else NOTHING
        if head.fold and head.fold.seq > best.seq:
            text = head.fold.text
            if text is None and head.fold.snapshot:
                text = await self._snapshot(head.key, head.fold.snapshot)
            state = unfold(head.fold, text) if text else None
            if state and state.seq == head.fold.seq:
                return Known(head.fold.seq, head.fold.hash, state)
        return best

    async def _snapshot(self, key: str, name: str) -> str | None:
        """A snapshot, if it can be read: what is damaged is no loss, as the log has it all."""
        try:
            return await self._blobs.get(key, name)
        except CorruptLog:
            return None

    async def _tail(self, head: Head, base: Known) -> Known:
        seq, last, state = base.seq, base.hash, base.state
        async for commit in self.checked(head, seq, last):
            state = fold(state, [await self.foldable(head.key, event) for event in self.events(commit)])
            seq, last = commit.last_seq, commit.hash
        return Known(seq, last, state)

    async def foldable(self, key: str, event: Event) -> Event:
        """The event as it can be folded: what a branch goes on from is needed whole."""
        if not isinstance(event.body, SessionForked) or not isinstance(event.body.base, Blob):
            return event
        return changed(event, body=changed(event.body, base=await self.resolve(key, event.body.base)))

    async def at(self, head: Head, seq: int) -> State:
        """What the log amounted to after event `seq`, one that it has. Raises CorruptLog or UnreadableLog."""
        if seq == head.seq:
            return await self.fold(head)
        base = await self._base(head, self.cache.get(head.key))
        known = base if base.seq <= seq else self._stops.before(head, seq) or NOTHING
        try:
            return await self._walk(head, seq, known)
        except CorruptLog:
            if known is NOTHING:
                raise
            return await self._walk(head, seq, NOTHING)

    async def _walk(self, head: Head, seq: int, known: Known) -> State:
        """Fold on from a state that is known, and keep some of those on the way: who looks back does so again."""
        state, stop = known.state, known.seq
        if stop == seq:
            return state
        async with aclosing(self.checked(head, known.seq, known.hash)) as commits:  # type: ignore[type-var]
            async for commit in commits:
                events = [await self.foldable(head.key, event) for event in self.events(commit) if event.seq <= seq]
                state = fold(state, events)
                if commit.last_seq >= seq:
                    break
                if commit.last_seq - stop >= STOP_EVERY:
                    stop = commit.last_seq
                    self._stops.keep(head, Known(stop, commit.hash, state))
        return state

    async def foldables(self, head: Head, upto: int) -> AsyncIterator[Event]:
        """The events up to event `upto`, as they can be folded. Raises CorruptLog."""
        async with aclosing(self.checked(head, NOTHING.seq, NOTHING.hash)) as commits:  # type: ignore[type-var]
            async for commit in commits:
                for event in self.events(commit):
                    if event.seq <= upto:
                        yield await self.foldable(head.key, event)
                if commit.last_seq >= upto:
                    return

    async def checked(self, head: Head, seq: int, last: str) -> AsyncIterator[Commit]:
        """The commits behind event `seq`, whose commit has this hash, up to the head: each fits the one before. Raises
        CorruptLog for one that does not, or is missing."""
        while seq < head.seq:
            commits = await self._store.commits(head.key, after=seq, limit=PAGE)
            for commit in commits:
                check(commit, seq, last)
                yield commit
                seq, last = commit.last_seq, commit.hash
            if not commits:
                raise CorruptLog(f"session {head.id}: the log ends at event {seq}, its head says {head.seq}")
        if (seq, last) != (head.seq, head.hash) and seq == head.seq:
            raise CorruptLog(f"session {head.id}: the log and the head differ at event {seq}")

    async def recording(self, head: Head) -> Recording:
        """The whole log of a session, checked, with every value in it. Raises CorruptLog or UnreadableLog."""
        commits = [commit async for commit in self.checked(head, NOTHING.seq, NOTHING.hash)]
        events = [await self.recorded(head.key, event) for commit in commits for event in self.events(commit)]
        return Recording(tuple(events), tuple(commit.first_seq for commit in commits), commits[-1].hash)

    async def recorded(self, key: str, event: Event) -> Event:
        """The event with its values, and with those of what a branch goes on from."""
        event = await self.with_values(key, event)
        if not isinstance(event.body, SessionForked) or isinstance(event.body.base, Erased):
            return event
        base = Base.model_validate(event.body.base)
        values = {blob.digest: await self.resolve(key, changed(blob, index=None)) for blob in base.blobs()}
        filled = base.filled(lambda blob: _item(values[blob.digest], blob.index))
        whole = filled.model_dump(mode="json", exclude_unset=True)
        return changed(event, body=changed(event.body, base=whole)) if values else event

    async def with_values(self, key: str, event: Event) -> Event:
        """The event with its large values in it, but for what was erased."""
        body = event.body
        large = {name: value for name in body.private if isinstance(value := getattr(body, name), Blob)}
        values = {name: await self.resolve(key, value) for name, value in large.items()}
        return changed(event, body=changed(body, **values)) if values else event

    @staticmethod
    def events(commit: Commit) -> list[Event]:
        """The events of a commit. Private values that lie in blobs stay there until they are asked for."""
        return [decode(record) for record in commit.records]

    async def text(self, key: str, blob: Blob) -> str:
        """The text of a large value. Raises CorruptLog where it is gone, or another one."""
        text = await self._blobs.get(key, f"blobs/{blob.digest}")
        if text is None:
            raise CorruptLog(f"blob {blob.digest} is missing")
        if blob.salt and sha256(blob.salt + text) != blob.digest:
            raise CorruptLog(f"blob {blob.digest} holds something else than what was put there")
        self.cache.put_text(key, blob.digest, text)
        return text

    async def resolve(self, key: str, value: Any) -> Any:
        """The value itself, fetched if it lies in a blob. Raises CorruptLog where the blob is gone, or another one."""
        if not isinstance(value, Blob):
            return value
        found = loads(self.cache.text(key, value.digest) or await self.text(key, value))
        return _item(found, value.index)


def _unproposed(state: State) -> int | None:
    """Where the newest answer stands, if nothing of it was proposed yet."""
    for at in reversed(range(len(state.transcript))):
        entry = state.transcript[at]
        if entry.kind == "answer":
            return at if entry.seq > state.proposed else None
    return None


def _item(value: Any, index: int | None) -> Any:
    return value if index is None else value[index]
