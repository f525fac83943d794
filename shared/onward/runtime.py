"""The library's way in: sessions from Python, on the embedded store."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from onward.adapters.local.worker import Worker
from onward.config import Settings
from onward.core import events as ev
from onward.core.canonical import digest as digest_of
from onward.core.durations import Span, seconds
from onward.core.events import Actor, Event, Limits
from onward.core.head import Head, Wait
from onward.core.ids import check_id, session_key
from onward.core.log import verify
from onward.core.signals import Signal, filed_as
from onward.core.state import State
from onward.engine.deciding import Registry
from onward.engine.gateway import Exists, Start
from onward.engine.sweep import sweep
from onward.errors import BadInput, NotFound, OnwardError, Refused, Retryable
from onward.ports import Feed, Query, Wake
from onward.wiring import Parts, Policy, embedded

DECISION_WAIT = 10.0
"""Seconds a caller waits for what became of a signal; then it is told `accepted` (R17)."""

SWEEP_EVERY = 60.0
AGAIN = 1.0
PAGE = 200
PATIENCE = 60.0
"""Seconds after which one who waits looks for himself."""
MANY = 100_000
"""More sessions than one looks through."""

Observe = Callable[[Head, Sequence[Event]], None]
log = logging.getLogger("onward.runtime")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a signal: `event` is the one it turned into, None while it is accepted and not yet decided."""

    signal: str
    event: Event | None

    @property
    def decided(self) -> bool:
        return self.event is not None


class _Observed:
    """The Feed port, with somebody looking on."""

    def __init__(self, feed: Feed, observe: Observe) -> None:
        self._feed = feed
        self._observe = observe

    async def publish(self, head: Head, events: Sequence[Event]) -> None:
        await self._feed.publish(head, events)
        self._observe(head, events)


class Runtime:
    """Sessions of one application on one SQLite file.

    Use it as `async with Runtime(app) as runtime`. With `work` (the default where there is an application) it also
    advances sessions, as a worker does; several processes may share the file. `identity` is who starts, decides and
    operates; ONWARD_IDENTITY, or the login name, says so by default. With `only`, a session's id, no other session is
    advanced. `observe` is called after each commit of this process, with the head and the events.
    """

    def __init__(  # noqa: PLR0913 - each is a choice of its own, and all have defaults
        self,
        app: Registry | None = None,
        db: str | Path = "onward.db",
        *,
        identity: str | None = None,
        work: bool | None = None,
        policy: Policy | None = None,
        concurrency: int = 64,
        create: bool = True,
        only: str | None = None,
        observe: Observe | None = None,
    ) -> None:
        self._app = app
        self._db = db
        self._identity = identity
        self._work = app is not None if work is None else work
        self._policy = policy
        self._concurrency = concurrency
        self._create = create
        self._only = only and session_key("default", check_id(only))
        self._observe = observe
        self.looked = asyncio.Event()
        """Set once a session was looked at by this runtime."""
        self._stopped = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._worker: Worker | None = None

    async def __aenter__(self) -> Runtime:
        self.identity = self._identity or Settings.from_env().identity
        self.parts: Parts = embedded(
            self._db, self._app if self._work else None, policy=self._policy, create=self._create
        )
        self.parts.renewer.start()
        if self._work:
            if self._observe is not None:
                self.parts.engine.feed = _Observed(self.parts.engine.feed, self._observe)
            self._worker = Worker(self.parts.backend.queue, self._advance, MANY if self._only else self._concurrency)
            self._tasks = [asyncio.create_task(self._work_on(self._worker)), asyncio.create_task(self._sweep())]
            await asyncio.sleep(0)  # the queue has its consumer before anything is written
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        await self.parts.close()

    async def stop(self) -> None:
        """Start nothing new, let go of what may be interrupted, and wait for what may not (R5)."""
        self.parts.performing.stop()
        self._stopped.set()
        if self._worker is not None:
            self._worker.stop()
            worker, sweeper = self._tasks
            sweeper.cancel()
            await asyncio.gather(worker, sweeper, return_exceptions=True)
            self._worker = None

    async def _advance(self, wake: Wake) -> None:
        """Move the session, if it is one for this runtime. A wake of another is kept from nobody: unacknowledged and
        overdue it is free for every other process, and with the end of this one."""
        if self._only not in (None, wake.key):
            await self._stopped.wait()
            raise asyncio.CancelledError
        try:
            await self.parts.engine.advance(wake)
        finally:
            self.looked.set()

    async def working(self) -> None:
        """Return when this runtime has stopped advancing sessions. Raises what stopped it, if nobody asked it to."""
        if self._tasks:
            await asyncio.shield(self._tasks[0])

    async def _work_on(self, worker: Worker) -> None:
        """Work until stopped. A database that can't be read for a while is no reason to end."""
        while True:
            try:
                return await worker.run()
            except Retryable as exc:
                log.warning("work goes on shortly: %s", exc, extra={"action": "work_failed"})
                await asyncio.sleep(AGAIN)

    async def _sweep(self) -> None:
        while self._only is None:
            try:
                await sweep(self.parts.backend.store, self.parts.backend.queue, self._app)
            except OnwardError as exc:
                log.warning("sweep failed: %s", exc, extra={"action": "sweep_failed"})
            await asyncio.sleep(SWEEP_EVERY)

    # --- starting and reading ----------------------------------------------------------------------------------

    async def start(  # noqa: PLR0913 - the same
        self,
        program: str | None = None,
        input: Any = None,
        *,
        id: str | None = None,
        tenant: str = "default",
        labels: Mapping[str, str | int | bool] | None = None,
        limits: Limits | None = None,
        deadline: Span | datetime | None = None,
        delay: Span | datetime | None = None,
        pinned: bool = False,
        exists: Exists = "rejoin",
        trace: str | None = None,
    ) -> Head:
        """Start a session of a program of this application, and answer its head.

        An `id` that is taken is the same session again, if program and input are the same; else Refused. `deadline`
        and `delay` are a span from now or a time. Raises BadInput.
        """
        chosen = self._choose(program)
        start = Start(
            id=id or secrets.token_hex(6),
            program=chosen.name,
            version=chosen.version,
            input=input,
            tenant=tenant,
            labels=labels,
            limits=limits or getattr(chosen, "limits", None) or Limits(),
            deadline=self._time(deadline, "deadline"),
            not_before=self._time(delay, "delay"),
            pinned=pinned,
            exists=exists,
            trace=trace,
        )
        head, _ = await self.parts.gateway.start(start, Actor(kind="person", name=self.identity))
        return head

    def _choose(self, name: str | None) -> Any:
        choose = getattr(self._app, "choose", None)
        if choose is None:
            raise BadInput("a session can only be started where its application is: give the runtime an App")
        return choose(name)

    def _time(self, when: Span | datetime | None, field: str) -> datetime | None:
        if when is None:
            return None
        if isinstance(when, datetime):
            if when.tzinfo is None:
                raise BadInput(f"{field}: {when} has no time zone")
            return when.replace(microsecond=when.microsecond // 1000 * 1000)
        return self._time(self.parts.clock.now() + timedelta(seconds=seconds(when, field)), field)

    async def rejoin(self, id: str, tenant: str = "default") -> Head:
        """The head of a session, which is looked at again. Raises NotFound."""
        head = await self.get(id, tenant)
        await self.parts.backend.queue.publish(Wake(head.key, look=True))
        return head

    async def get(self, id: str, tenant: str = "default") -> Head:
        """What is known of a session without reading its log. Raises NotFound."""
        head = await self.parts.backend.store.read(session_key(tenant, check_id(id)))
        if head is None:
            raise NotFound(f"there is no session {id}")
        return head

    async def unread(self, id: str, tenant: str = "default") -> int:
        """How many signals were filed for a session and not yet taken up."""
        return len((await self.parts.backend.store.pending(session_key(tenant, check_id(id)))).signals)

    async def state(self, id: str, tenant: str = "default") -> State:
        """What the session's log amounts to. Raises NotFound."""
        return await self.parts.loader.load(await self.get(id, tenant))

    async def value(self, id: str, value: Any, tenant: str = "default") -> Any:
        """A private value of an event or a state, fetched where it is kept elsewhere."""
        return await self.parts.loader.resolve(session_key(tenant, id), value)

    async def list(self, query: Query | None = None) -> Sequence[Head]:
        """Sessions, newest first."""
        return await self.parts.backend.store.list(query or Query())

    async def events(
        self, id: str, after: int = 0, follow: bool = False, tenant: str = "default"
    ) -> AsyncIterator[Event]:
        """Every event after this seq, in order, once; with `follow`, those to come too, until the session has ended."""
        head = await self.get(id, tenant)
        while True:
            commits = await self.parts.backend.store.commits(head.key, after=after, limit=PAGE)
            for commit in commits:
                for event in self.parts.loader.events(commit):
                    if event.seq > after:
                        yield event
                        after = event.seq
            if not commits and (not follow or (head.ended and head.seq <= after)):
                return
            if not commits:
                await self.news(head, after)
            head = await self.get(id, tenant)

    async def news(self, head: Head, after: int, timeout: float = 5.0) -> bool:
        """Wait until the session has gone on past this seq; False if it has not within `timeout` seconds."""
        return await self.parts.backend.wait_for_commit(head.key, after, timeout)

    async def wait(self, id: str, *, ended: bool = False, tenant: str = "default") -> Head:
        """Wait until the session rests, or with `ended` until it has ended."""
        session = await self.get(id, tenant)

        def there(head: Head) -> bool:
            return head.ended or (not ended and head.status not in ("running", "scheduled"))

        while (head := await self.parts.backend.wait_for(session.key, there, PATIENCE)) is None:
            continue
        return head

    async def verify(self, id: str, head: str | None = None, tenant: str = "default") -> tuple[int, str]:
        """Check a session's whole log; `head` is a hash kept elsewhere. Raises CorruptLog."""
        known = await self.get(id, tenant)
        commits = await self.parts.backend.store.commits(known.key)
        seq, last = verify(commits, head)
        return verify(commits, known.hash) if seq >= known.seq else (seq, last)

    async def erase(self, id: str, seq: int, field: str, reason: str = "", *, tenant: str = "default") -> None:
        """Erase a private field of an event for good, snapshots included; the log still verifies, visibly erased.

        Raises NotFound, and Refused while the session is being advanced.
        """
        head = await self.get(id, tenant)
        actor = Actor(kind="operator", name=self.identity)
        await self.parts.eraser.erase(head.key, seq, field, actor, reason)

    # --- signals -----------------------------------------------------------------------------------------------

    async def send(self, id: str, content: Any, *, key: str | None = None, tenant: str = "default") -> Outcome:
        """Give a session an input. The same `key` again is the same input."""
        return await self._signal(id, "input", {"content": content}, key or secrets.token_hex(8), tenant)

    async def approvals(self, id: str | None = None, tenant: str = "default") -> Sequence[tuple[Head, Wait]]:
        """Open approvals, oldest session first: of one session, or of all."""
        query = Query(tenant=tenant, wait="approval", limit=MANY)
        heads = [await self.get(id, tenant)] if id else await self.list(query)
        return [(head, wait) for head in reversed(list(heads)) for wait in head.waits if wait.kind == "approval"]

    async def decide(
        self,
        id: str,
        verdict: Literal["approved", "rejected"],
        *,
        call: str | None = None,
        digest: str | None = None,
        reason: str = "",
        by: str | None = None,
        tenant: str = "default",
    ) -> Outcome:
        """Decide an approval as `by` (by default this runtime's identity).

        Without `call` the session's only open approval is meant. Without `digest` the call is meant as it stands now;
        give the digest that the person was shown. Raises Refused, saying what stands instead.
        """
        if call is None or digest is None:
            call, digest = await self._open_approval(id, call, tenant, digest)
        body = {"call": call, "verdict": verdict, "digest": digest, "reason": reason}
        return await self._signal(id, "decision", body, digest_of(body), tenant, by)

    async def _open_approval(self, id: str, call: str | None, tenant: str, shown: str | None) -> tuple[str, str]:
        found = [wait for _, wait in await self.approvals(id, tenant) if call in (None, wait.call)]
        if len(found) > 1:
            calls = ", ".join(str(wait.call) for wait in found)
            raise BadInput(f"session {id} has {len(found)} open approvals; say which call: {calls}")
        if not found:
            state = await self.state(id, tenant)
            stands = (
                state.decisions.get(call or "")
                or (list(state.decisions.values()) or [f"no approval is open; it is {state.ended or 'going on'}"])[-1]
            )
            raise Refused("decision refused", "not_open", stands)
        return str(found[0].call), shown or str(found[0].digest)

    async def resolve(
        self,
        id: str,
        status: Literal["done", "not_done", "failed"],
        *,
        call: str | None = None,
        result: Any = None,
        reason: str = "",
        tenant: str = "default",
    ) -> Outcome:
        """Say what became of a call that is in doubt: it happened (with this result), it did not (and may be tried
        again), or it failed for good."""
        call = call or await self._open_doubt(id, tenant)
        body: dict[str, Any] = {"call": call, "status": status, "result": result, "reason": reason}
        if status == "failed":
            body["error"] = {"code": "failed", "message": reason or "an operator says that it failed"}
        open = (await self.state(id, tenant)).calls.get(call)
        key = digest_of([body, open.attempt if open else None])  # the same answer to a second doubt is another answer
        return await self._signal(id, "outcome", body, key, tenant)

    async def _open_doubt(self, id: str, tenant: str) -> str:
        state = await self.state(id, tenant)
        found = [call.id for call in state.calls.values() if call.status in ("person", "doubt", "pending")]
        if len(found) > 1:
            raise BadInput(f"session {id} has {len(found)} calls in doubt or pending; say which: {', '.join(found)}")
        if not found:
            raise Refused("resolve refused", "not_in_doubt", "no call is in doubt")
        return found[0]

    async def complete(
        self,
        id: str,
        call: str,
        token: str,
        *,
        result: Any = None,
        error: Mapping[str, str] | None = None,
        tenant: str = "default",
    ) -> Outcome:
        """Complete a call that goes on outside, with the token its tool was given."""
        body = (
            {"call": call, "status": "failed", "error": dict(error)}
            if error
            else {"call": call, "status": "done", "result": result}
        )
        session = await self.get(id, tenant)
        signal = await self.parts.gateway.complete(session.key, body, token)
        return await self._outcome(session, signal)

    async def cancel(self, id: str, reason: str = "", *, tenant: str = "default") -> Outcome:
        """End a session as cancelled, once nothing that was started is unsettled."""
        return await self._signal(id, "cancel", {"reason": reason}, secrets.token_hex(8), tenant)

    async def retry(
        self, id: str, reason: str = "", *, limits: Limits | None = None, tenant: str = "default"
    ) -> Outcome:
        """Set a session going that needs attention, if need be under other limits."""
        body = {"reason": reason, "limits": limits.model_dump() if limits else None}
        return await self._signal(id, "resume", body, secrets.token_hex(8), tenant)

    async def _signal(
        self, id: str, kind: str, body: Mapping[str, Any], key: str, tenant: str, by: str | None = None
    ) -> Outcome:
        """File a signal as a person; what was filed before under the same key gets the same answer again."""
        sender = Actor(kind="person", name=by or self.identity)
        session = await self.get(id, tenant)
        filed = filed_as(sender, kind, key)
        try:
            signal = await self.parts.gateway.signal(session.key, kind, body, sender, key)
        except Refused:
            before = await self._event_of(session.key, filed, 0)
            if before is None:
                raise
            return _answered(filed, before)
        return await self._outcome(session, signal)

    async def _outcome(self, session: Head, filed: Signal) -> Outcome:
        """Wait for the signal's event. A runtime that does not work absorbs it itself, if nobody holds the session.

        What was filed after the head was written can only have become an event after it.
        """
        signal, after = filed.id, session.seq if filed.filed_at and filed.filed_at > session.updated_at else 0
        if self._worker is None:
            await self.parts.engine.advance(Wake(session.key, look=True))
        try:
            async with asyncio.timeout(DECISION_WAIT):
                while (event := await self._event_of(session.key, signal, after)) is None:
                    await self.parts.backend.wait_for_commit(session.key, session.seq, 1.0)
                return _answered(signal, event)
        except TimeoutError:
            return Outcome(signal, None)

    async def _event_of(self, key: str, signal: str, after: int) -> Event | None:
        """What a signal turned into, after this seq."""
        for commit in await self.parts.backend.store.commits(key, after=after):
            for event in self.parts.loader.events(commit):
                if getattr(event.body, "signal", None) == signal:
                    return event
        return None


def _answered(signal: str, event: Event) -> Outcome:
    body = event.body
    if isinstance(body, ev.SignalRefused):
        raise Refused(body.error.message.removesuffix(f": {body.stands}"), body.error.code, body.stands)
    return Outcome(signal, event)


def run(
    program: Any, input: Any = None, *, id: str | None = None, db: str | Path = "onward.db", app: Any = None
) -> State:
    """Run a session of one agent until it rests or ends, and answer its state: the synchronous way, for scripts.

    With the same `id` it goes on where it was. `app` names more programs that the session may need.
    """
    from onward.programs.app import App

    async def main() -> State:
        async with Runtime(app or App(programs=[program]), db) as runtime:
            head = await runtime.start(program.name, input, id=id)
            await runtime.wait(head.id)
            return await runtime.state(head.id)

    return asyncio.run(main())
