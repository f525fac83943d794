"""Making a branch: one create, never a write to the parent, and nothing of the parent's needed afterwards (G14)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from json import loads
from typing import Any, get_args

from onward.core import events as ev
from onward.core.branch import Parting, edited, part
from onward.core.canonical import DEEPEST, canonical, digest
from onward.core.draft import ENGINE, Draft
from onward.core.events import Actor, Effects, Origin
from onward.core.files import MARK, Stash, digests_in, stash
from onward.core.fold import fold
from onward.core.head import Head
from onward.core.ids import check_id, session_key
from onward.core.incarnation import Restores
from onward.core.payload import Blob, Erased
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

BEGINNING = 3
"""Events that may say together how a branch begins: that it started, what it goes on from, the calls open there."""


@dataclass(frozen=True, slots=True)
class Fork:
    """A branch to make of session `session`, after its event `at`; else after the last one that is edited, or where it
    stands now.

    `model` and `instructions` are what its program goes by instead of its own, `version` the one that it begins on
    instead of its parent's, `input` what it is told first, and `edits` other values of the parent's events, by seq.
    `exists` says what an id that is taken means.
    """

    session: str
    id: str
    at: int | None = None
    tenant: str = "default"
    effects: Effects = "recorded"
    model: str | None = None
    instructions: str | None = None
    version: str | None = None
    input: Any = None
    edits: Mapping[int, Any] = field(default_factory=dict)
    exists: Exists = "rejoin"
    trace: str | None = None


@dataclass(frozen=True, slots=True)
class _Made:
    """A branch's first events, and what is to lie beside them: what they refer to, and its input's files."""

    draft: Draft
    parting: Parting
    taken: Stash


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
        there = await self._store.read(session_key(fork.tenant, check_id(fork.id)))
        fork = _as_made(fork, there)
        try:
            made = await self._made(fork, parent, actor)
            if there is None:
                await self._bring(parent.key, session_key(fork.tenant, fork.id), made)
        except CorruptLog as exc:
            await self._parent(fork)  # it may have been deleted meanwhile
            raise exc
        return await self._create(fork, made.draft, there)

    async def _create(self, fork: Fork, draft: Draft, there: Head | None) -> tuple[Head, bool]:
        if there is None:
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

    # --- the first commit ------------------------------------------------------------------------------------------

    async def _made(self, fork: Fork, parent: Head, actor: Actor) -> _Made:
        """The branch's first events. Nothing is written yet."""
        at = await self._whole(parent, _checked(fork, parent))
        state = await self._state(parent, at, fork.edits)
        parting = await self._parted(parent.key, state, fork)
        origin = Origin(session=parent.id, seq=at, hash=await self._hash(parent, at))
        draft, taken = Draft(State(), stamped(self._clock), fork.trace), Stash()
        incarnation = (await self._restores.now()).incarnation
        draft.add(actor, _started(fork, state, origin, incarnation))
        draft.add(actor, _forked(fork, state, parting, parent.family or parent.id))
        _go_on(draft, parting)
        if fork.input is not None:
            draft.add(actor, ev.InputReceived(content=stash(fork.input, taken), signal=BRANCHED))
        return _Made(draft, parting, taken)

    async def _whole(self, parent: Head, at: int) -> int:
        """How a branch begins is one fact in several events: what leaves it in between leaves it behind them."""
        if parent.origin is None or at > BEGINNING:
            return at
        first = await self._store.commits(parent.key, limit=1)
        kinds = [record.kind for commit in first for record in commit.records[:BEGINNING]]
        return max(at, BEGINNING if kinds[-1:] == ["calls_proposed"] else BEGINNING - 1)

    async def _hash(self, parent: Head, at: int) -> str:
        found = await self._store.commits(parent.key, after=at - 1, limit=1)
        if not found:
            raise CorruptLog(f"session {parent.id}: event {at} is missing")
        return found[0].hash

    async def _state(self, parent: Head, at: int, edits: Mapping[int, Any]) -> State:
        if not edits:
            state = await self._loader.at(parent, at)
        else:
            events = [event async for event in self._loader.foldables(parent, at)]
            state = fold(State(), edited(events, edits))
        if isinstance(state.instructions, Blob):
            state = changed(state, instructions=await self._loader.resolve(parent.key, state.instructions))
        return state

    async def _parted(self, key: str, state: State, fork: Fork) -> Parting:
        """What goes over, where it is to stand in events of the branch's own with its large values in it."""
        if isinstance(state.instructions, Erased) and fork.instructions is None:
            raise BadInput(f"instructions: those of session {fork.session} were erased; give others")
        parting = part(state, fork.effects)
        calls = [changed(call, arguments=await self._loader.resolve(key, call.arguments)) for call in parting.reopened]
        queued = [changed(entry, value=await self._loader.resolve(key, entry.value)) for entry in parting.queued]
        return replace(parting, reopened=tuple(calls), queued=tuple(queued))

    # --- what lies beside it ---------------------------------------------------------------------------------------

    async def _bring(self, source: str, key: str, made: _Made) -> None:
        """Large values and files become the branch's own. Raises CorruptLog for one that is gone."""
        files = _files_in(made.parting)
        for blob in made.parting.base.blobs():
            await self._copy(source, key, f"blobs/{blob.digest}")
            files |= digests_in(await self._loader.resolve(source, changed(blob, index=None)))
        for file in sorted(files):
            await self._copy(source, key, f"files/{file}", must=False)
        await self._files.put(key, made.taken)

    async def _copy(self, source: str, key: str, name: str, must: bool = True) -> None:
        text = await self._blobs.get(source, name)
        if text is not None:
            await self._blobs.put(key, name, text)
        elif must:
            raise CorruptLog(f"{name} of the parent is missing")

    async def _check_same(self, fork: Fork, draft: Draft, there: Head) -> None:
        """The id is taken: the same branch is the same session."""
        if there.status == "deleted":
            await self._files.forget_all(there.key)  # what this one brought along
            raise Refused(f"session {fork.id} can't be made", "deleted", "it was deleted, and an id starts only once")
        if fork.exists == "reject" or there.status == "imported":
            raise Refused(f"session {fork.id} exists", "exists", f"it is {there.status}")
        first = await self._store.commits(there.key, limit=1)
        events = [event for commit in first for event in self._loader.events(commit)]
        made = [await self._loader.with_values(there.key, event) for event in events]
        if [_said(event.body) for event in made] != [_said(event.body) for event in draft.events]:
            stands = "it is no branch, or one of another session or event, or with other changes"
            raise Refused(f"session {fork.id} exists", "exists", stands)


def _as_made(fork: Fork, there: Head | None) -> Fork:
    """Who asks again for a branch of where its parent stood means where that was: the parent may have gone on."""
    made = fork.at is None and there is not None and there.origin is not None and there.origin.session == fork.session
    return replace(fork, at=there.origin.seq) if made and there and there.origin else fork


def _go_on(draft: Draft, parting: Parting) -> None:
    """Calls that are answered from the record are the branch's own, and what came in the middle of them follows; what
    was erased of that is gone."""
    if parting.reopened:
        calls = [_proposal(call) for call in parting.reopened]
        draft.add(ENGINE, ev.CallsProposed(calls=calls, arguments=[call.arguments for call in parting.reopened]))
    for entry in parting.queued:
        if not isinstance(entry.value, Erased):
            draft.add(ENGINE, ev.InputReceived(content=entry.value, signal=BRANCHED))


def _checked(fork: Fork, parent: Head) -> int:
    """The event that the branch leaves after. Raises BadInput, before anything is written."""
    check_id(fork.id)
    if fork.effects not in get_args(Effects):
        raise BadInput(f"effects: {fork.effects!r} is none of {', '.join(get_args(Effects))}")
    if fork.model is not None and not fork.model.strip():
        raise BadInput("model: it is empty; name a model, or leave it out")
    if fork.version is not None and not fork.version.strip():
        raise BadInput("version: it is empty; name one, or leave it out")
    if fork.instructions is not None and not fork.instructions.strip():
        raise BadInput("instructions: they are empty; give some, or leave them out")
    at = fork.at if fork.at is not None else max(fork.edits, default=parent.seq)
    if not 1 <= at <= parent.seq:
        raise BadInput(f"at: {at} is no event of session {parent.id}, which has 1 to {parent.seq}")
    for value in (stash(fork.input, {}), fork.instructions, fork.model, fork.version, *fork.edits.values()):
        canonical(value, DEEPEST)
    return at


def _started(fork: Fork, state: State, origin: Origin, incarnation: int) -> ev.SessionStarted:
    return ev.SessionStarted(
        tenant=fork.tenant,
        session=fork.id,
        program=state.program,
        version=fork.version or state.version,
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
        base=loads(parting.base.text),
        family=family,
        model=fork.model or state.model,
        instructions=state.instructions if fork.instructions is None else fork.instructions,
        edited=sorted(fork.edits),
        not_inherited=list(parting.not_inherited),
    )


def _proposal(call: OpenCall) -> ev.Proposal:
    return ev.Proposal(tool=call.tool, effect=call.effect, digest=call.digest, rule=call.rule)


def _files_in(parting: Parting) -> set[str]:
    values: list[Any] = [*(call.arguments for call in parting.reopened), *(entry.value for entry in parting.queued)]
    values += parting.base.values() if f'"{MARK}"' in parting.base.text else ()
    return {file for value in values for file in digests_in(value)}


def _said(body: ev.Body) -> tuple[str, str]:
    fields = body.model_dump(mode="json", exclude={"incarnation"})
    return fields["kind"], digest(fields)
