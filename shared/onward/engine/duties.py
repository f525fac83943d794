"""Paying what a commit owes to others: children started and cancelled, parents and webhooks told (R13).

Never two sessions' heads in one commit: each payment is a start or a signal like any other, under an id that is the
same every time, so paying twice changes nothing. What a webhook is owed is paid once its errand is on its way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from onward.core.canonical import canonical
from onward.core.duties import CancelChild, CancelChildren, Duty, StartChild, Tell, TellParent, duties_of
from onward.core.events import Actor, Event, Parent
from onward.core.files import File
from onward.core.head import Head
from onward.core.ids import call_of, session_key, signal_id
from onward.core.payload import Erased
from onward.core.signals import Signal
from onward.engine.files import Files
from onward.engine.gateway import Gateway, Start
from onward.engine.load import Loader
from onward.errors import Permanent, Refused, UsageError
from onward.ports import Clock, Errand, Query, SessionStore, Timers, every

LARGE = 256 * 1024
"""A child's longer output is given to its parent as a file: a signal is one document."""


class Duties:
    """Pays duties. Raises Retryable where one could not be paid; then all are paid again."""

    def __init__(
        self, gateway: Gateway, store: SessionStore, loader: Loader, files: Files, timers: Timers, clock: Clock
    ) -> None:
        self._gateway = gateway
        self._store = store
        self._loader = loader
        self._files = files
        self._timers = timers
        self._clock = clock

    async def pay(self, head: Head, events: Sequence[Event]) -> None:
        """Pay what these events of a session owe."""
        for duty in duties_of(events, head.parent, head.listeners):
            await self._pay(head, duty)

    async def _pay(self, head: Head, duty: Duty) -> None:
        if isinstance(duty, StartChild):
            await self._start_or_say_why_not(head, duty)
        elif isinstance(duty, CancelChild):
            await self._cancel(head, duty.session)
        elif isinstance(duty, CancelChildren):
            await self._cancel_all(head)
        elif isinstance(duty, Tell):
            await self._timers.send(Errand(head.key, duty.seq, duty.webhook), self._clock.now())
        else:
            await self._tell(head, duty)

    async def _start_or_say_why_not(self, head: Head, duty: StartChild) -> None:
        """A child that can't be started has failed, as its parent's inbox says. One that was started before is only
        looked at again, whatever has become of it since."""
        key = session_key(head.tenant, duty.started.session)
        there = await self._store.read(key)
        if there is not None and there.parent == head.id:
            return await self._gateway.wake(key)
        try:
            await self._start(head, duty)
        except (UsageError, Permanent) as exc:
            said = {"status": "failed", "error": {"code": exc.code, "message": str(exc)}}
            await self._file(head.key, duty.started.session, duty.started.call, said, "unstarted")

    async def _start(self, head: Head, duty: StartChild) -> None:
        child = duty.started
        known = await self._loader.resolve(head.key, child.input)
        if isinstance(known, Erased):
            raise Refused("not started", "input_erased", "what it was to start with was erased")
        input = await self._files.fill(head.key, known)
        start = Start(
            id=child.session,
            program=child.program,
            version=child.version,
            input=input,
            tenant=head.tenant,
            limits=child.allotted,
            on_input=child.on_input,
            parent=Parent(session=head.id, call=child.call, on_close=child.on_close),
            incarnation=head.incarnation,
            effects=head.effects,
        )
        await self._gateway.start(start, Actor(kind="program", name=head.program))

    async def _cancel_all(self, head: Head) -> None:
        async for child in every(self._store, Query(tenant=head.tenant, parent=head.id)):
            await self._cancel(head, child.id)

    async def _cancel(self, head: Head, session: str) -> None:
        key = session_key(head.tenant, session)
        child = await self._store.read(key)
        if child is None or child.ended:
            return
        id = signal_id(f"engine/{head.id}", "cancel", session)
        reason = {"reason": f"session {head.id}, which started it, waits for it no more"}
        await self._gateway.file(key, Signal(id, "cancel", reason, Actor(kind="engine", name=head.id)))

    async def _tell(self, head: Head, duty: TellParent) -> None:
        assert head.parent is not None, "only a child owes this"
        key = session_key(head.tenant, head.parent)
        parent = await self._store.read(key)
        if parent is None or parent.ended:
            return
        try:
            output = await self._output(head, key, duty.output)
            said = {"status": duty.status, "output": output, "error": duty.error and duty.error.model_dump()}
        except (UsageError, Permanent) as exc:  # the parent must hear of the end, whatever is wrong with the output
            error = {"code": "output_unusable", "message": f"session {head.id} completed, and {exc}"}
            said = {"status": "failed", "error": error}
        await self._file(key, head.id, call_of(head.id), said | {"tokens": head.spent.tokens})

    async def _output(self, head: Head, parent: str, output: Any) -> Any:
        """The output as the parent records it, its files among the parent's own."""
        known = await self._loader.resolve(head.key, output)
        if isinstance(known, Erased):
            raise Refused("no output", "output_erased", "its output was erased")
        value = await self._files.fill(head.key, known)
        if len(text := canonical(value)) > LARGE:
            value = File(data=text.encode(), media_type="application/json", name=f"{head.program}.json")
        return await self._files.keep(parent, value)

    async def _file(self, key: str, child: str, call: str, body: dict[str, Any], what: str = "child") -> None:
        """Say it once: what was said before stands, though it would be said otherwise by now."""
        id = signal_id(f"engine/{child}", what, call)
        signal = Signal(id, "child", {"call": call, "session": child, **body}, Actor(kind="engine", name=child))
        try:
            await self._gateway.file(key, signal)
        except Refused as exc:
            if exc.code != "signal_reused":
                raise
