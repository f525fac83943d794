"""The records that branches are answered from: read where they lie, and kept at hand while they are asked (G14)."""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from onward.core import events as ev
from onward.core.draft import ENGINE
from onward.core.events import Actor, Body, Failure, Origin
from onward.core.failures import failure_in
from onward.core.files import digests_in
from onward.core.head import Head
from onward.core.ids import session_key
from onward.core.log import ROOT, Commit
from onward.core.payload import Blob
from onward.core.program import AskModel, Handover, Recall
from onward.core.record import Ancestor, Outcome, Prompts, Record, Told, find_answer, outcome_of, prompt
from onward.core.state import ANSWERED_FROM_RECORD, Entry, OpenCall, State, changed, value_digest
from onward.core.words import BLOCKED
from onward.engine.load import Loader
from onward.errors import CorruptLog
from onward.ports import Blobs, SessionStore

Fact = tuple[Actor, Body]
AT_HAND = 64
"""Records that a process keeps, and how many bytes of logs they are of at most."""

BYTES_AT_HAND = 64 * 1024 * 1024
DIGESTS_AT_HAND = 10_000
"""Digests of large values that a process keeps."""


@dataclass(slots=True)
class _Read:
    record: Record
    hash: str = ROOT
    size: int = 0
    ends: list[int] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)

    def has(self, origin: Origin) -> bool:
        """Whether this is the very log that a branch left there: what the parent of an import was is elsewhere, and
        another session here may have its id."""
        at = bisect_left(self.ends, origin.seq)
        return at < len(self.ends) and self.hashes[at] == origin.hash


class Records:
    """Answers for the branches of one process. A parent that is gone has no record: then nothing is found in it."""

    def __init__(self, store: SessionStore, blobs: Blobs, loader: Loader) -> None:
        self._store, self._blobs, self._loader = store, blobs, loader
        self._read: OrderedDict[str, _Read] = OrderedDict()
        self._prompts: OrderedDict[str, Prompts] = OrderedDict()
        self._digests: OrderedDict[tuple[str, int | None], str] = OrderedDict()

    async def recall(self, key: str, state: State, effect: Recall) -> list[Fact]:
        """What calls of a branch come to; the files that their results name are the branch's own by then."""
        asked = state.effects in ANSWERED_FROM_RECORD
        line, used, facts = await self._line(state) if asked else [], list(state.recalled), list[Fact]()
        for call in _first(effect.calls, line, state, used):
            found = outcome_of(line, state, call, used)
            if found is not None:
                await self._copy_files(state, key, found)
                used.append(found.source)
                facts += [(ENGINE, body) for body in _recalled(call, found)]
            elif call.waits:
                facts.append((ENGINE, _waited(state, call)))
            elif effect.handover is not None:
                facts.append((Actor(kind="program", name=state.program), _handed_over(call, effect.handover)))
            else:
                facts.append((ENGINE, _blocked(state, call, bool(line))))
        return facts

    async def answer(self, key: str, state: State, effect: AskModel) -> Body | None:
        """What came of this very prompt in the parent, if the branch is to have that."""
        if state.effects != "recorded" or state.model is not None or state.instructions is not None:
            return None
        shown = effect.request.transcript if effect.summarize is None else effect.request.transcript[:-1]
        lines = {id(entry): await self._line_of(key, entry) for entry in shown if entry.elsewhere}

        def line(entry: Entry) -> str:
            return lines.get(id(entry)) or entry.line

        named = self._prompts_of(key).of(shown, line) if effect.summarize is None else prompt(shown, True, line)
        found = find_answer(await self._line(state), named)
        return None if found is None else _told(effect, *found)

    def _prompts_of(self, key: str) -> Prompts:
        """A branch's prompts: each begins as the one before, so that little of it is new."""
        known = self._prompts.pop(key, None) or Prompts()
        self._prompts[key] = known
        if len(self._prompts) > AT_HAND:
            self._prompts.popitem(last=False)
        return known

    async def _line_of(self, key: str, entry: Entry) -> str:
        if not (isinstance(entry.value, Blob) or isinstance(entry.arguments, Blob)):
            return entry.line
        return entry.line_with(await self._digest(key, entry.value), await self._digest(key, entry.arguments))

    async def _digest(self, key: str, value: Any) -> str:
        """A value's digest; a large value is fetched for it once."""
        if not isinstance(value, Blob):
            return value_digest(value)
        name = (value.digest, value.index)
        found = self._digests.get(name) or value_digest(await self._loader.resolve(key, value))
        self._digests[name] = found
        if len(self._digests) > DIGESTS_AT_HAND:
            self._digests.popitem(last=False)
        return found

    # --- the records themselves ------------------------------------------------------------------------------------

    async def _line(self, state: State) -> list[Ancestor]:
        """The sessions that the branch comes from, the nearest first, as far as the very ones are there."""
        line, origin = list[Ancestor](), state.origin
        while origin is not None:
            head = await self._store.read(session_key(state.tenant, origin.session))
            if head is None or head.status == "deleted":
                break
            known = await self._known(head)
            if not known.has(origin):
                break
            line.append(Ancestor(known.record, origin.seq))
            origin = known.record.state.origin
        return line

    async def _known(self, head: Head) -> _Read:
        """The record up to this head; what was read of it before is not read again, unless something of it was erased
        since, or it is not the same any more."""
        known = self._read.pop(head.key, None) or _Read(Record(head.id))
        if known.record.state.seq > head.seq or not await self._read_on(head, known):
            known = _Read(Record(head.id))
            await self._read_on(head, known)
        self._keep(head.key, known)
        return known

    async def _read_on(self, head: Head, known: _Read) -> bool:
        """Read the rest of a log; False where what is known of it does not hold any more."""
        began = known.record.state.seq
        try:
            async for commit in self._loader.checked(head, began, known.hash):
                if began and any(record.kind == "field_erased" for record in commit.records):
                    return False
                await self._take(head.key, known, commit)
        except CorruptLog:
            if not began:
                raise
            return False
        return True

    async def _take(self, key: str, known: _Read, commit: Commit) -> None:
        for event in self._loader.events(commit):
            known.record.take(await self._loader.recorded(key, event))
        known.hash = commit.hash
        known.ends.append(commit.last_seq)
        known.hashes.append(commit.hash)
        known.size += sum(cell.size for record in commit.records for cell in (record.body, *record.private.values()))

    def _keep(self, key: str, known: _Read) -> None:
        """The newest is kept, whatever its size: it is asked again at the next step."""
        self._read[key] = known
        while len(self._read) > 1 and (
            len(self._read) > AT_HAND or sum(read.size for read in self._read.values()) > BYTES_AT_HAND
        ):
            self._read.popitem(last=False)

    async def _copy_files(self, state: State, key: str, found: Outcome) -> None:
        """A branch has its files to itself, so that its parent may go."""
        source = session_key(state.tenant, found.session)
        for digest in sorted(digests_in(found.value) | digests_in(found.arguments)):
            text = await self._blobs.get(source, f"files/{digest}")
            if text is not None:
                await self._blobs.put(key, f"files/{digest}", text)


def _told(effect: AskModel, source: str, body: Told) -> Body | None:
    """What came of a prompt, as the branch writes it down."""
    if isinstance(body, ev.ModelAnswered):
        return changed(body, attempt=effect.request.attempt, record=source)
    if isinstance(body, ev.TranscriptCompacted):
        return changed(body, up_to=effect.summarize, record=source)
    if body.error.code not in effect.leave_on:
        return None
    return changed(body, model=effect.model.name, attempt=effect.request.attempt, record=source)


def _recalled(call: OpenCall, found: Outcome) -> list[Body]:
    edited: list[Body] = []
    if found.arguments is not None and not call.changed:
        edited = [ev.CallEdited(call=call.id, digest=found.digest, arguments=found.arguments)]
    how: dict[str, Any] = {"call": call.id, "attempt": 0, "by": "record", "record": found.source}
    how |= {"recorded_at": found.at} if call.operation is not None else {}
    if not found.failed:
        return [*edited, ev.CallCompleted(result=found.value, **how)]
    return [*edited, ev.CallFailed(error=failure_in(found.value), **how)]


def _handed_over(call: OpenCall, to: Handover) -> Body:
    return ev.ProgramChanged(program=to.program, version=to.version, on_input=to.on_input, call=call.id)


def _first(calls: Sequence[OpenCall], line: list[Ancestor], state: State, used: Sequence[str]) -> Sequence[OpenCall]:
    """What is recalled together. What a workflow asked for comes to it in the order in which it came to its parent, one
    by one, as it may then want the others no more; what its parent never had comes last."""
    if any(call.operation is None for call in calls):
        return calls
    found = [(outcome.seq, call) for call in calls if (outcome := outcome_of(line, state, call, used))]
    return [min(found, key=lambda each: each[0])[1]] if found else calls


def _waited(state: State, call: OpenCall) -> Body:
    """A time that the record says nothing of is waited for, as long as it is ahead by the workflow's own time. That
    is the record's, as far as it has its results from there."""
    operation = call.operation
    assert operation is not None, "a workflow's wait has an operation"
    assert operation.until is not None, "what has no end waits from the beginning"
    assert state.at is not None, "a branch has begun"
    assert state.time is not None, "and so had what it comes from"
    ends: Literal["done", "failed"] = "done" if operation.kind == "sleep" else "failed"
    at = operation.until + max(state.at - state.time, timedelta())
    return ev.CallPending(call=call.id, attempt=0, expires_at=at, ends=ends)


def _blocked(state: State, call: OpenCall, there: bool) -> Body:
    return ev.CallRefused(call=call.id, error=Failure(code=BLOCKED, message=_why(state, call, there)))


def _why(state: State, call: OpenCall, there: bool) -> str:
    if state.effects not in ANSWERED_FROM_RECORD:
        return f"calls are blocked in this branch, so {call.tool} was not called"
    parent = state.origin.session if state.origin else "its parent"
    if not there:
        return f"the record of session {parent} is gone, so {call.tool} was not called in this branch"
    return f"the record of session {parent} has no {call.tool} with these arguments, and it was not called"
