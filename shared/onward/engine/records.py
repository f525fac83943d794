"""The records that branches are answered from: read where they lie, and kept at hand while they are asked (G14)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from onward.core import events as ev
from onward.core.draft import ENGINE
from onward.core.events import Actor, Body, Failure
from onward.core.files import digests_in
from onward.core.head import Head
from onward.core.ids import session_key
from onward.core.log import ROOT
from onward.core.program import AskModel
from onward.core.record import Ancestor, Outcome, Record, find, find_answer, prompt
from onward.core.state import ANSWERED_FROM_RECORD, Entry, OpenCall, State, changed
from onward.engine.load import Loader
from onward.ports import Blobs, SessionStore

Fact = tuple[Actor, Body]
AT_HAND = 64
"""Records that a process keeps."""


@dataclass(slots=True)
class _Read:
    record: Record
    hash: str = ROOT


class Records:
    """Answers for the branches of one process. A parent that is gone has no record: then nothing is found in it."""

    def __init__(self, store: SessionStore, blobs: Blobs, loader: Loader) -> None:
        self._store, self._blobs, self._loader = store, blobs, loader
        self._read: OrderedDict[tuple[str, int], _Read] = OrderedDict()

    async def recall(self, key: str, state: State, call: OpenCall) -> list[Fact]:
        """What a call of a branch comes to; the files that its result names are the branch's own by then."""
        if state.effects not in ANSWERED_FROM_RECORD:
            return [(ENGINE, _blocked(call, f"calls are blocked in this branch, so {call.tool} was not called"))]
        line = await self._line(state)
        found = find(line, call.digest, state.recalled, call.repeatable)
        if found is None:
            return [(ENGINE, _blocked(call, _unknown(state, call, bool(line))))]
        await self._copy_files(state, key, found)
        return [(ENGINE, body) for body in _recalled(call, found)]

    async def answer(self, key: str, state: State, effect: AskModel) -> Body | None:
        """What the model answered to this very prompt in the parent, if the branch is to have that."""
        if state.effects != "recorded" or state.model is not None or state.instructions is not None:
            return None
        shown = effect.request.transcript if effect.summarize is None else effect.request.transcript[:-1]
        whole = [await self._whole(key, entry) for entry in shown]
        line = await self._line(state)
        found = find_answer(line, prompt(whole, effect.summarize is not None), effect.model.name)
        if found is None:
            return None
        source, body = found
        if isinstance(body, ev.ModelAnswered):
            return changed(body, attempt=effect.request.attempt, record=source)
        return changed(body, up_to=effect.summarize, record=source)

    async def _whole(self, key: str, entry: Entry) -> Entry:
        values = {name: await self._loader.resolve(key, getattr(entry, name)) for name in ("value", "arguments")}
        return changed(entry, **values)

    async def _line(self, state: State) -> list[Ancestor]:
        """The sessions that the branch comes from, the nearest first, as far as they are there."""
        line, origin = list[Ancestor](), state.origin
        while origin is not None:
            head = await self._store.read(session_key(state.tenant, origin.session))
            if head is None or head.status == "deleted":
                break
            record = await self._record(head, origin.seq)
            line.append(Ancestor(record, origin.seq))
            origin = record.state.origin
        return line

    async def _record(self, head: Head, after: int) -> Record:
        """The record up to this head; what was read of it before is not read again."""
        known = self._read.pop((head.key, after), None) or _Read(Record(head.id))
        if known.record.state.seq > head.seq:
            known = _Read(Record(head.id))
        async for commit in self._loader.checked(head, known.record.state.seq, known.hash):
            for event in self._loader.events(commit):
                known.record.take(await self._loader.with_values(head.key, event), after)
            known.hash = commit.hash
        self._read[head.key, after] = known
        if len(self._read) > AT_HAND:
            self._read.popitem(last=False)
        return known.record

    async def _copy_files(self, state: State, key: str, found: Outcome) -> None:
        """A branch has its files to itself, so that its parent may go."""
        source = session_key(state.tenant, found.source.rpartition("/")[0])
        for digest in sorted(digests_in(found.value) | digests_in(found.arguments)):
            text = await self._blobs.get(source, f"files/{digest}")
            if text is not None:
                await self._blobs.put(key, f"files/{digest}", text)


def _recalled(call: OpenCall, found: Outcome) -> list[Body]:
    edited: list[Body] = []
    if found.arguments is not None and not call.changed:
        edited = [ev.CallEdited(call=call.id, digest=found.digest, arguments=found.arguments)]
    how: dict[str, Any] = {"call": call.id, "attempt": 0, "by": "record", "record": found.source}
    if not found.failed:
        return [*edited, ev.CallCompleted(result=found.value, **how)]
    return [*edited, ev.CallFailed(error=_failure(found.value), **how)]


def _failure(value: Any) -> Failure:
    fields = value if isinstance(value, dict) else {}
    return Failure(code=str(fields.get("code", "failed")), message=str(fields.get("message", value)))


def _blocked(call: OpenCall, why: str) -> Body:
    return ev.CallRefused(call=call.id, error=Failure(code="blocked", message=why))


def _unknown(state: State, call: OpenCall, there: bool) -> str:
    parent = state.origin.session if state.origin else "its parent"
    if not there:
        return f"the record of session {parent} is gone, so {call.tool} was not called in this branch"
    return f"the record of session {parent} has no {call.tool} with these arguments, and it was not called"
