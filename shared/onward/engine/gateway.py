"""What comes in: starts and signals, the same from every surface (R16, R17, R22, G15)."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from onward.core import events as ev
from onward.core.absorb import check_decision, check_input
from onward.core.canonical import digest
from onward.core.draft import Draft
from onward.core.events import (
    DELIVERS,
    FIRST_INCARNATION,
    NO_LIMITS,
    Actor,
    ApprovalRequested,
    Effects,
    Limits,
    OnInput,
    Parent,
    SessionStarted,
)
from onward.core.files import Stash, stash
from onward.core.head import Head
from onward.core.ids import check_id, completion_token, session_key
from onward.core.incarnation import Restores
from onward.core.payload import Erased
from onward.core.schemas import check_schema
from onward.core.signals import NO_TIME, DecisionBody, InputBody, Signal, filed_as, is_bearable, parse
from onward.core.state import State
from onward.engine.creating import Creator, stamped
from onward.engine.files import Files
from onward.engine.load import PAGE, Loader
from onward.engine.seen import Seen
from onward.errors import Ambiguous, BadInput, NotFound, Refused
from onward.ports import Ports, Wake

MOST_ATTEMPTS = 1000
"""At one call: so many tokens of it are tried."""

Exists = Literal["rejoin", "reject"]
"""What a start means whose id is taken: the same session again, if program and input are the same, or an error."""


@dataclass(frozen=True, slots=True)
class Start:
    """A session to start. `exists` says what an id that is taken means: the same session again, or an error. It is of
    the database's incarnation, or of this older one: of the session's that started it, which may have done so before a
    restore too (R22). `effects` are those of the branch that started it, if one did."""

    id: str
    program: str
    version: str
    input: Any = None
    tenant: str = "default"
    labels: Mapping[str, str | int | bool] | None = None
    limits: Limits = NO_LIMITS
    deadline: datetime | None = None
    not_before: datetime | None = None
    pinned: bool = False
    on_input: OnInput = "enqueue"
    parent: Parent | None = None
    incarnation: int | None = None
    effects: Effects | None = None
    exists: Exists = "rejoin"
    trace: str | None = None

    @classmethod
    def of(cls, program: Any, id: str, *, version: str | None, limits: Limits | None, **said: Any) -> Start:
        """A session of this program, with what the program says of version, limits and inputs where that is left
        open. Raises BadInput for an input that the program does not take."""
        check = getattr(program, "check_start", None)
        if check is not None and version in (None, program.version):
            check(said.get("input"))
        return cls(
            id,
            program.name,
            version or program.version,
            limits=limits or getattr(program, "limits", None) or Limits(),
            on_input=getattr(program, "on_input", "enqueue"),
            **said,
        )


class Gateway:
    """Checks what comes from outside, makes it durable, and wakes the session: then, and only then, it answers."""

    def __init__(
        self,
        ports: Ports,
        loader: Loader,
        creator: Creator,
        files: Files,
        restores: Seen[Restores],
        secret: bytes,
    ) -> None:
        self._store = ports.store
        self._wakes = ports.wakes
        self._clock = ports.clock
        self._loader = loader
        self._creator = creator
        self._files = files
        self._restores = restores
        self._secret = secret

    async def start(self, start: Start, actor: Actor) -> tuple[Head, bool]:
        """Start a session, or rejoin it: its head, and whether it is new. Raises BadInput, Refused."""
        key = session_key(check_id(start.tenant, "tenant"), check_id(start.id))
        _check_times(start)
        _check_labels(start.labels or {})
        if not _is_text(start.program + start.version):
            raise BadInput("program: a name and a version are text without halves of surrogate pairs")
        incarnation = start.incarnation or (await self._restores.now()).incarnation
        start = replace(start, input=await self._files.keep(key, start.input), incarnation=incarnation)
        draft = Draft(State(), stamped(self._clock), start.trace)
        draft.add(actor, _started(start))
        head, there = await self._creator.create(draft)
        if there is None or there.hash == head.hash:
            return head, True
        await self._rejoin(start, there)
        await self._creator.look(there)
        return there, False

    async def _rejoin(self, start: Start, there: Head) -> None:
        """The id is taken: the same program and input are the same session; a deleted one is none any more (R22)."""
        if there.status == "deleted":
            await self._files.forget_all(there.key)  # what this start brought along
            stands = "it was deleted, and an id starts only once"
            raise Refused(f"session {start.id} can't be started", "deleted", stands)
        if start.exists == "reject" or there.status == "imported":
            raise Refused(f"session {start.id} exists", "exists", f"it is {there.status}")
        first = (await self._store.commits(there.key, limit=1))[0]
        began = self._loader.events(first)[0].body
        assert isinstance(began, SessionStarted)
        if began.program != start.program:
            raise Refused(
                f"session {start.id} exists", "exists", f"it runs program {began.program!r}, not {start.program!r}"
            )
        if began.origin is not None:
            raise Refused(f"session {start.id} exists", "exists", f"it is a branch of session {began.origin.session}")
        if began.parent != start.parent:
            raise Refused(f"session {start.id} exists", "exists", "somebody else started it")
        known = await self._loader.resolve(there.key, began.input)
        if isinstance(known, Erased) or digest(known) != digest(start.input):
            raise Refused(
                f"session {start.id} exists", "exists", "it was started with another input, or that was erased"
            )

    async def signal(self, key: str, kind: str, body: Mapping[str, Any], sender: Actor, idempotency_key: str) -> Signal:
        """File a signal for a session and wake it. Raises BadInput, NotFound, and Refused where the head or the state
        already shows that it can't be taken."""
        form = parse(kind, body)
        head = await self._store.read(key)
        if head is None:
            raise NotFound(f"there is no such session to send {kind} to")
        taken: Stash = {}
        signal = _signal(kind, stash(body, taken), sender, idempotency_key)
        try:
            await self._check(head, signal, form)
        except (Refused, BadInput):
            if not await self._taken(key, signal.id):
                raise
        await self._files.put(key, taken)
        return await self.file(key, signal, Wake.of(head, look=True))

    async def signal_early(
        self, key: str, kind: str, body: Mapping[str, Any], sender: Actor, idempotency_key: str
    ) -> None:
        """File a signal for a session that is not there yet: it is kept for it for a while (R16). Raises BadInput."""
        parse(kind, body)
        taken: Stash = {}
        signal = _signal(kind, stash(body, taken), sender, idempotency_key)
        await self._files.put(key, taken)
        await self.file(key, signal)

    async def complete(self, key: str, body: dict[str, Any], token: str) -> Signal:
        """File the outcome of a call that goes on outside; the token shows that the sender was told of it."""
        form = parse("outcome", body)
        told = body | {"attempt": self._attempt(key, form.call, token)}
        named = f"{form.call}/{digest(told)}"
        return await self.signal(key, "outcome", told, Actor(kind="external"), named)

    def _attempt(self, key: str, call: str, token: str) -> int:
        """Which attempt at a call was given this token: what is said is said of that one."""
        for attempt in range(1, MOST_ATTEMPTS + 1):
            if hmac.compare_digest(completion_token(self._secret, key, call, attempt).encode(), token.encode()):
                return attempt
        raise Refused("outcome refused", "wrong_token", "the token is not this call's")

    async def _check(self, head: Head, signal: Signal, form: Any) -> None:
        if signal.kind == "child" and signal.sender.kind != "engine":
            raise Refused("child refused", "not_an_engine", "only a session's own engine says what became of it")
        if head.ended:
            raise Refused(f"{signal.kind} refused", "session_ended", f"session {head.id} is {head.status}")
        if isinstance(form, DecisionBody):
            await self._check_decision(head, signal, form)
        if isinstance(form, InputBody) and (form.name is not None or head.format >= DELIVERS):
            await self._check_input(head, signal)

    async def _check_input(self, head: Head, signal: Signal) -> None:
        """What can't be taken is said at once. While another of the name is on its way, that one is for the wait which
        is open, and it is not known yet what this one is for."""
        body = signal.parsed()
        try:
            check_input(await self._loader.fold(head), body)
        except BadInput:
            filed = (await self._store.pending(head.key)).signals
            if not any(each.kind == "input" and each.body.get("name") == body.name for each in filed):
                raise

    async def _taken(self, key: str, id: str) -> bool:
        """Whether this very signal is in the log: who got no answer asks again, and is not to be refused (R16)."""
        seq, named = 0, f'"signal":"{id}"'
        while commits := await self._store.commits(key, after=seq, limit=PAGE):
            records = [record for commit in commits for record in commit.records if record.kind != "signal_refused"]
            if any(named in (record.body.text or "") for record in records):
                return True
            seq = commits[-1].last_seq
        return False

    async def _check_decision(self, head: Head, signal: Signal, body: DecisionBody) -> None:
        """What stands already is said at once, but for the same decision filed again (R17)."""
        open = {wait.call: wait for wait in head.waits if wait.kind == "approval"}
        known = open.get(body.call)
        if body.arguments is not None:
            await self._check_edit(head, body)
        person = signal.sender.kind == "person" and signal.sender.name
        if known and person and known.digest == body.digest and not (known.approvers or known.approved_by):
            return
        if any(wait.id == signal.id for wait in (await self._store.pending(head.key)).signals):
            return
        state = await self._loader.fold(head)
        check_decision(state, signal.sender, body)

    async def _check_edit(self, head: Head, body: DecisionBody) -> None:
        """Changed arguments must fit the schema that was recorded with the question; the program checks them again."""
        proposed = body.call.partition(".")[0]
        after = int(proposed) if proposed.isdecimal() and len(proposed) < 12 else head.seq
        async for event in self._events(head.key, after):
            asked = event.body
            if isinstance(asked, ApprovalRequested) and (asked.call, asked.digest) == (body.call, body.digest):
                return check_schema(body.arguments, asked.input_schema, "decision.arguments")

    async def _events(self, key: str, after: int) -> AsyncIterator[ev.Event]:
        while commits := await self._store.commits(key, after=after, limit=PAGE):
            for commit in commits:
                for event in self._loader.events(commit):
                    yield event
            after = commits[-1].last_seq

    async def wake(self, key: str) -> None:
        """Have somebody look at a session."""
        await self._wakes.publish(Wake(key, look=True))

    async def file(self, key: str, signal: Signal, wake: Wake | None = None) -> Signal:
        """Make a signal durable as it is, and wake the session (R16), with this wake if its head is known."""
        try:
            filed = await self._store.file(key, signal)
        except Ambiguous:
            filed = await self._store.file(key, signal)
        if not self._store.embedded:
            await self._wakes.publish(wake or Wake(key, look=True))
        return filed


def _signal(kind: str, body: Mapping[str, Any], sender: Actor, idempotency_key: str) -> Signal:
    digest(body)  # what can't be stored is no good
    return Signal(filed_as(sender, kind, idempotency_key), kind, body, sender)


def _started(start: Start) -> SessionStarted:
    return ev.SessionStarted(
        tenant=start.tenant,
        session=start.id,
        program=start.program,
        version=start.version,
        pinned=start.pinned,
        input=start.input,
        labels=dict(start.labels or {}),
        limits=start.limits,
        deadline=start.deadline,
        not_before=start.not_before,
        on_input=start.on_input,
        parent=start.parent,
        incarnation=start.incarnation or FIRST_INCARNATION,
        effects=start.effects,
    )


def _check_times(start: Start) -> None:
    for name, at in (("deadline", start.deadline), ("not_before", start.not_before)):
        if at is not None and not is_bearable(at):
            raise BadInput(f"{name}: {NO_TIME}")


def _check_labels(labels: Mapping[str, Any]) -> None:
    if len(labels) > 16:
        raise BadInput(f"labels: {len(labels)} given; a session has at most 16")
    for name, value in labels.items():
        check_id(name, "labels")
        if not isinstance(value, str | int | bool) or len(str(value)) > 256 or not _is_text(str(value)):
            raise BadInput(f"labels.{name}: a label is a text of up to 256 characters, an integer or a boolean")


def _is_text(value: str) -> bool:
    """Whether it can be stored: no half of a surrogate pair."""
    return value.encode(errors="replace").decode() == value
