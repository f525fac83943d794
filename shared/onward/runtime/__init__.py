"""The library's way in: sessions from Python, on the embedded store."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from onward.adapters.local.worker import Courier, Worker
from onward.config import Settings
from onward.core.durations import Span, seconds
from onward.core.events import Actor, Event, Limits
from onward.core.head import Head
from onward.core.ids import check_id, session_key
from onward.core.state import State
from onward.core.sweeps import Swept
from onward.engine.deciding import Registry
from onward.engine.gateway import Exists, Start
from onward.engine.sweep import sweep
from onward.errors import BadInput, OnwardError, Retryable
from onward.ports import Feed, Wake
from onward.runtime.access import Access
from onward.wiring import Parts, Policy, embedded, local_model

SWEEP_EVERY = 60.0
AGAIN = 1.0
MANY = 100_000
"""More sessions than one looks through."""

Observe = Callable[[Head, Sequence[Event]], None]
Before = Callable[[], Awaitable[bool]]
"""What is done before a session's step; whether it filed something for it."""

log = logging.getLogger("onward.runtime")


def _keys(ids: Sequence[str]) -> set[str]:
    return {session_key("default", check_id(id)) for id in ids}


class _Observed:
    """The Feed port, with somebody looking on."""

    def __init__(self, feed: Feed, observe: Observe) -> None:
        self._feed = feed
        self._observe = observe

    async def publish(self, head: Head, events: Sequence[Event]) -> None:
        await self._feed.publish(head, events)
        self._observe(head, events)


def _with_models(app: Registry | None) -> Registry | None:
    """The application with the models that its agents name. Raises BadInput for a script that can't be read."""
    resolved = getattr(app, "resolved", None)
    found: Registry | None = resolved(lambda name: local_model(name, Path.cwd())) if resolved else app
    return found


class Runtime(Access):
    """Sessions of one application on one SQLite file.

    Use it as `async with Runtime(app) as runtime`. With `work` (the default where there is an application) it also
    advances sessions, as a worker does; several processes may share the file. `identity` is who starts, decides and
    operates; ONWARD_IDENTITY, or the login name, says so by default. With `only`, a session's id or several, no other
    session is advanced, but those that they start, and those that it is told to `take` later. `observe` is called after
    each commit of this process, with head and events. `console` is the URL where people decide, for what webhooks are
    told; ONWARD_CONSOLE_URL says so by default.
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
        only: str | Sequence[str] | None = None,
        observe: Observe | None = None,
        console: str | None = None,
    ) -> None:
        self._app = app
        self._db = db
        self._identity = identity
        self._work = app is not None if work is None else work
        if self._work:
            self._app = _with_models(app)
        self._policy = policy
        self._concurrency = concurrency
        self._create = create
        self._only = None if only is None else _keys([only] if isinstance(only, str) else only)
        self._observe = observe
        self._console = console
        self.looked = asyncio.Event()
        """Set once a session was looked at by this runtime."""
        self._stopped = asyncio.Event()
        self._taken = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._worker: Worker | None = None
        self._before: dict[str, Before] = {}

    async def __aenter__(self) -> Runtime:
        settings = Settings.from_env()
        self.identity = self._identity or settings.identity
        policy = self._policy or Policy()
        policy = replace(policy, console=self._console or policy.console or settings.console_url)
        self.parts: Parts = embedded(self._db, self._app if self._work else None, policy=policy, create=self._create)
        self.parts.renewer.start()
        if self._work:
            if self._observe is not None:
                outbox = self.parts.engine.outbox
                outbox.feed = _Observed(outbox.feed, self._observe)
            self._worker = Worker(self.parts.queue, self._advance, self._concurrency if self._only is None else MANY)
            courier = Courier(self.parts.queue, self.parts.teller.run)
            doing = (self._work_on(self._worker), self._sweep(), courier.run())
            self._tasks = [asyncio.create_task(work) for work in doing]
            await asyncio.sleep(0)  # the queue has its consumer before anything is written
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        await self.parts.close()

    async def stop(self) -> None:
        """Start nothing new, let go of what may be interrupted, and wait for what may not (R5)."""
        self.parts.performing.stop()
        self._stopped.set()
        self._taken.set()
        if self._worker is not None:
            self._worker.stop()
            for beside in self._tasks[1:]:
                beside.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._worker = None

    async def _advance(self, wake: Wake) -> None:
        """Move the session, once it is one for this runtime."""
        await self._until_meant(wake.key)
        try:
            filed = await self._before[wake.key]() if wake.key in self._before else False
            await self.parts.engine.advance(replace(wake, look=True) if filed else wake)
        finally:
            self.looked.set()

    @contextmanager
    def before_steps(self, key: str, before: Before) -> Iterator[None]:
        """Meanwhile this is done before each step that this runtime makes of a session, which is one for it."""
        self._before[key] = before
        self._take(key)
        try:
            yield
        finally:
            del self._before[key]

    def take(self, id: str) -> None:
        """Where only some sessions are advanced: this one is, too, from now on."""
        self._take(session_key("default", check_id(id)))

    def _take(self, key: str) -> None:
        if self._only is not None:
            self._only.add(key)
            self._taken.set()
            self._taken = asyncio.Event()

    async def _until_meant(self, key: str) -> None:
        """Return once the session is one for this runtime. Its wake is kept from nobody meanwhile: unacknowledged and
        overdue it is free for every other process, and with the end of this one."""
        while True:
            taken = self._taken
            if await self._meant(key):
                return
            if self._stopped.is_set():
                raise asyncio.CancelledError
            await taken.wait()

    async def _meant(self, key: str) -> bool:
        """Whether a session is to be advanced here: with `only`, that one and those that come of it."""
        if self._only is None or key in self._only:
            return True
        head = await self.parts.backend.store.read(key)
        if head is None or head.parent is None or not await self._meant(session_key(head.tenant, head.parent)):
            return False
        self._only.add(key)
        return True

    @property
    def works(self) -> bool:
        """Whether this runtime advances sessions."""
        return self._worker is not None

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
        backend = self.parts.backend
        while self._only is None:
            try:
                woken = await sweep(backend.store, backend.queue, self._app, backend.switches)
                await backend.sweeps.record(Swept(at=self.parts.clock.now(), woken=woken))
            except OnwardError as exc:
                log.warning("sweep failed: %s", exc, extra={"action": "sweep_failed"})
            await asyncio.sleep(SWEEP_EVERY)

    # --- starting ----------------------------------------------------------------------------------------------

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
        start = Start.of(
            chosen,
            id or secrets.token_hex(6),
            version=None,
            limits=limits,
            input=input,
            tenant=tenant,
            labels=labels,
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


def run(
    program: Any, input: Any = None, *, id: str | None = None, db: str | Path = "onward.db", app: Any = None
) -> State:
    """Run a session of an agent or a workflow until it rests or ends, and answer its state: synchronously, for scripts.

    With the same `id` it goes on where it was. `app` names more programs that the session may need.
    """
    from onward.programs.app import App

    async def main() -> State:
        async with Runtime(app or App(programs=[program]), db) as runtime:
            head = await runtime.start(program.name, input, id=id)
            await runtime.wait(head.id)
            return await runtime.state(head.id)

    return asyncio.run(main())
