"""Making a branch: one create, never a write to the parent, and nothing of the parent's needed afterwards (G14)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, get_args

from onward.core import events as ev
from onward.core.branch import Parting, edited, part
from onward.core.canonical import canonical, digest
from onward.core.draft import ENGINE, Draft
from onward.core.events import Actor, Effects, Origin
from onward.core.files import digests_in
from onward.core.fold import fold
from onward.core.head import Head
from onward.core.ids import check_id, session_key
from onward.core.incarnation import Restores
from onward.core.state import OpenCall, State, changed
from onward.engine.creating import Creator, stamped
from onward.engine.files import Files
from onward.engine.gateway import Exists
from onward.engine.load import Loader
from onward.engine.seen import Seen
from onward.errors import BadInput, CorruptLog, NotFound, Refused
from onward.ports import Blobs, Ports

BRANCHED = "branch"
"""What stands for a signal where a branch begins with an input."""


@dataclass(frozen=True, slots=True)
class Fork:
    """A branch to make of session `session`, after its event `at`, or where it stands now.

    `model` and `instructions` are what its program goes by instead of its own, `input` what it is told first, and
    `edits` other values of the parent's events, by seq. `exists` says what an id that is taken means.
    """

    session: str
    id: str
    at: int | None = None
    tenant: str = "default"
    effects: Effects = "recorded"
    model: str | None = None
    instructions: str | None = None
    input: Any = None
    edits: Mapping[int, Any] = field(default_factory=dict)
    exists: Exists = "rejoin"
    trace: str | None = None


class Forker:
    """Makes branches."""

    def __init__(
        self, ports: Ports, blobs: Blobs, loader: Loader, creator: Creator, files: Files, restores: Seen[Restores]
    ) -> None:
        self._store, self._clock, self._blobs = ports.store, ports.clock, blobs
        self._loader, self._creator, self._files, self._restores = loader, creator, files, restores

    async def fork(self, fork: Fork, actor: Actor) -> tuple[Head, bool]:
        """Make the branch, or find it made: its head, and whether it is new. Raises NotFound, BadInput, Refused.

        What its parent had in blobs is copied first, so that a branch which is there is whole.
        """
        parent = await self._parent(fork)
        try:
            draft = await self._draft(fork, parent, actor)
        except CorruptLog as exc:
            await self._parent(fork)  # it may have been deleted meanwhile
            raise exc
        head, there = await self._creator.create(draft)
        if there is None or there.hash == head.hash:
            return head, True
        await self._check_same(fork, draft, there)
        await self._creator.look(there)
        return there, False

    async def _parent(self, fork: Fork) -> Head:
        key = session_key(check_id(fork.tenant, "tenant"), check_id(fork.session, "session"))
        head = await self._store.read(key)
        if head is None:
            raise NotFound(f"there is no session {fork.session}")
        if head.status == "deleted":
            raise NotFound(f"session {fork.session} was {head.error.message if head.error else 'deleted'}")
        return head

    async def _draft(self, fork: Fork, parent: Head, actor: Actor) -> Draft:
        key = session_key(fork.tenant, check_id(fork.id))
        at = _checked(fork if fork.at is not None else await self._stood(fork, key, parent), parent)
        state = await self._state(parent, at, fork.edits)
        parting = part(state, fork.effects)
        calls = [changed(call, arguments=await self._argument(parent.key, call)) for call in parting.reopened]
        parting = replace(parting, reopened=tuple(calls))
        await self._copy(parent.key, key, parting)
        (commit,) = await self._store.commits(parent.key, after=at - 1, limit=1)
        origin = Origin(session=parent.id, seq=at, hash=commit.hash)
        draft = Draft(State(), stamped(self._clock), fork.trace)
        incarnation = (await self._restores.now()).incarnation
        draft.add(actor, _started(fork, state, origin, incarnation))
        draft.add(actor, _forked(fork, state, parting, parent.family or parent.id))
        self._go_on(draft, parting)
        if fork.input is not None:
            content = await self._files.keep(key, fork.input)
            draft.add(actor, ev.InputReceived(content=content, signal=BRANCHED))
        return draft

    async def _stood(self, fork: Fork, key: str, parent: Head) -> Fork:
        """A branch of where its parent stands stays the same where that goes on afterwards."""
        there = await self._store.read(key)
        origin = there.origin if there else None
        return replace(fork, at=origin.seq if origin and origin.session == parent.id else None)

    def _go_on(self, draft: Draft, parting: Parting) -> None:
        """Calls that are answered from the record are the branch's own, and what came in the middle of them follows."""
        if parting.reopened:
            calls = [_proposal(call) for call in parting.reopened]
            draft.add(ENGINE, ev.CallsProposed(calls=calls, arguments=[call.arguments for call in parting.reopened]))
        for entry in parting.queued:
            draft.add(ENGINE, ev.InputReceived(content=entry.value, signal=BRANCHED))

    async def _state(self, parent: Head, at: int, edits: Mapping[int, Any]) -> State:
        if not edits:
            return await self._loader.at(parent, at)
        events = [event async for event in self._loader.foldables(parent, at)]
        return fold(State(), edited(events, edits))

    async def _argument(self, key: str, call: OpenCall) -> Any:
        return await self._loader.resolve(key, call.arguments)

    async def _copy(self, source: str, key: str, parting: Parting) -> None:
        """Large values and files become the branch's own. Raises CorruptLog for one that is gone."""
        for blob in parting.base.blobs():
            await self._copy_one(source, key, f"blobs/{blob.digest}")
            for file in digests_in(await self._loader.resolve(source, changed(blob, index=None))):
                await self._copy_one(source, key, f"files/{file}", must=False)
        for file in _files_in(parting):
            await self._copy_one(source, key, f"files/{file}", must=False)

    async def _copy_one(self, source: str, key: str, name: str, must: bool = True) -> None:
        text = await self._blobs.get(source, name)
        if text is not None:
            await self._blobs.put(key, name, text)
        elif must:
            raise CorruptLog(f"{name} of the parent is missing")

    async def _check_same(self, fork: Fork, draft: Draft, there: Head) -> None:
        """The id is taken: the same branch is the same session."""
        if there.status == "deleted":
            await self._files.forget_all(there.key)
            raise Refused(f"session {fork.id} can't be made", "deleted", "it was deleted, and an id starts only once")
        if fork.exists == "reject" or there.status == "imported":
            raise Refused(f"session {fork.id} exists", "exists", f"it is {there.status}")
        first = (await self._store.commits(there.key, limit=1))[0]
        bodies = [await self._loader.with_values(there.key, event) for event in self._loader.events(first)]
        if [_said(event.body) for event in bodies] != [_said(event.body) for event in draft.events]:
            stands = "it is no branch, or one of another session or event, or with other changes"
            raise Refused(f"session {fork.id} exists", "exists", stands)


def _checked(fork: Fork, parent: Head) -> int:
    """The event that the branch leaves after. Raises BadInput, before anything is written."""
    if fork.effects not in get_args(Effects):
        raise BadInput(f"effects: {fork.effects!r} is none of {', '.join(get_args(Effects))}")
    if fork.model is not None and not fork.model.strip():
        raise BadInput("model: it is empty; name a model, or leave it out")
    if fork.instructions is not None and not fork.instructions.strip():
        raise BadInput("instructions: they are empty; give some, or leave them out")
    at = parent.seq if fork.at is None else fork.at
    if not 1 <= at <= parent.seq:
        raise BadInput(f"at: {at} is no event of session {parent.id}, which has 1 to {parent.seq}")
    canonical([fork.input, fork.instructions, fork.model, list(fork.edits.values())])
    return at


def _started(fork: Fork, state: State, origin: Origin, incarnation: int) -> ev.SessionStarted:
    return ev.SessionStarted(
        tenant=fork.tenant,
        session=fork.id,
        program=state.program,
        version=state.version,
        pinned=state.pinned,
        labels=state.labels,
        limits=state.limits,
        on_input=state.on_input,
        origin=origin,
        incarnation=incarnation,
        effects=fork.effects,
    )


def _forked(fork: Fork, state: State, parting: Parting, family: str) -> ev.SessionForked:
    return ev.SessionForked(
        base=parting.base.model_dump(mode="json", exclude_unset=True),
        family=family,
        model=fork.model or state.model,
        instructions=state.instructions if fork.instructions is None else fork.instructions,
        edited=sorted(fork.edits),
        not_inherited=list(parting.not_inherited),
    )


def _proposal(call: OpenCall) -> ev.Proposal:
    return ev.Proposal(tool=call.tool, effect=call.effect, digest=call.digest, rule=call.rule)


def _files_in(parting: Parting) -> list[str]:
    values = [*parting.base.values(), *(call.arguments for call in parting.reopened)]
    values += [entry.value for entry in parting.queued]
    return sorted({file for value in values for file in digests_in(value)})


def _said(body: ev.Body) -> tuple[str, str]:
    fields = body.model_dump(mode="json", exclude={"incarnation"})
    return fields["kind"], digest(fields)
