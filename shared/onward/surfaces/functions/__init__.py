"""The functions that a deployment consists of: each decodes a request, calls one thing, and encodes what came of it."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

from onward.adapters.gcp.messages import BadMessage, Message, parse_session_message
from onward.adapters.gcp.messages_envelopes import Task, parse_push, parse_task
from onward.adapters.gcp.trace import HEADER, traced
from onward.config import CloudSettings
from onward.errors import OnwardError, Permanent, Retryable, UsageError
from onward.ports import Errand, Wake
from onward.programs.app import App
from onward.surfaces.functions.answers import Answer, Request
from onward.surfaces.functions.logs import log_to
from onward.surfaces.functions.sweeping import swept
from onward.surfaces.functions.watch import STEP, Step
from onward.surfaces.functions.worker import Worker, load
from onward.surfaces.http.roles import NOBODY, Roles

DEAD_LETTER = "CloudPubSubDeadLetterSourceSubscription"
"""The attribute of a message that was given up elsewhere."""

DEAD_LETTER_DELAY = timedelta(minutes=10)
"""When the session of a dead letter is looked at again: what failed so often needs time (R11)."""

REMEMBERED = 1000
"""Messages whose refusal was logged, so that a repeat is not."""

DONE, AGAIN, FAILED = Answer(204), Answer(503), Answer(500)
log = logging.getLogger("onward.functions")


class Functions:
    """The four functions of one process. Making them reads settings and the application, and reaches nothing."""

    def __init__(self, settings: CloudSettings, app: App) -> None:
        self._settings, self._app = settings, app
        self._roles = _roles(settings)
        self._made: Worker | None = None
        self._web: Any = None
        self._refused = 0
        self._logged: OrderedDict[str, None] = OrderedDict()

    @classmethod
    def from_env(cls) -> Functions:
        """As the environment says. Raises BadInput, which names what is wrong."""
        settings = CloudSettings.from_env()
        app = load(settings)
        log_to(settings.project)
        return cls(settings, app)

    @property
    def _worker(self) -> Worker:
        """Made once, by the first request and in its event loop."""
        if self._made is None:
            self._made = Worker(self._settings, self._app)
        return self._made

    # --- the topic of sessions ---------------------------------------------------------------------------------

    async def advance(self, request: Request) -> Answer:
        """Take one message of the topic of sessions, and move its session by a step. 204 acknowledges it; 503 asks for
        it again, as nothing could be written, or a newer release can read it."""
        try:
            message = parse_push(request.headers, request.body)
            said = parse_session_message(message)
        except BadMessage as exc:
            return self._foreign(exc)
        with traced(message.attributes.get(HEADER)):
            return await self._guarded(lambda: self._taken(message, said), message.id)

    async def _taken(self, message: Message, said: Any) -> Answer:
        try:
            wake = await self._worker.incoming.wake(said)
        except (UsageError, Permanent) as exc:
            return self._refuse(message.id, exc, message)
        if DEAD_LETTER in message.attributes:
            return await self._dead_letter(message, wake)
        return await self._step(wake, message.id, message.attempt)

    async def _dead_letter(self, message: Message, wake: Wake) -> Answer:
        """A delayed wake, and never a reason to park."""
        worker, source = self._worker, message.attributes[DEAD_LETTER]
        await worker.parts.backend.queue.arm(wake.key, worker.clock.now() + DEAD_LETTER_DELAY)
        said = {"action": "dead_letter", "key": wake.key, "message_id": message.id, "subscription": source}
        log.error("a message was given up; its session is looked at again later", extra=said)
        return DONE

    # --- timers ------------------------------------------------------------------------------------------------

    async def resume(self, request: Request) -> Answer:
        """Take one task: a timer that fired, or an errand."""
        try:
            task = parse_task(request.headers, request.body)
        except BadMessage as exc:
            return self._foreign(exc)
        with traced(request.header(HEADER)):
            return await self._guarded(lambda: self._resumed(task), task.name)

    async def _resumed(self, task: Task) -> Answer:
        if isinstance(task.brings, Errand):
            await self._worker.parts.teller.run(task.brings)
            return DONE
        return await self._step(task.brings, task.name, task.retries + 1)

    # --- the sweep ---------------------------------------------------------------------------------------------

    async def sweep(self, request: Request) -> Answer:
        """Wake whatever is overdue; a healthy system has nothing."""
        return await self._guarded(self._swept, "sweep")

    async def _swept(self) -> Answer:
        worker = self._worker
        count = await swept(worker.parts.backend, self._app, worker.clock.now())
        return Answer(200, {"woken": count})

    # --- the api -----------------------------------------------------------------------------------------------

    async def api(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        """What a person, or a service in a person's name, asks for: an ASGI application (`onward.surfaces.http`). The
        other functions never load it."""
        if self._web is None:
            from onward.surfaces.functions.web import web

            self._web = web(self._worker, self._roles)
        trace = dict(scope["headers"]).get(HEADER.encode())
        with traced(trace.decode("latin-1") if trace else None):
            await self._web(dict(scope), receive, send)

    # --- one step ----------------------------------------------------------------------------------------------

    async def _step(self, wake: Wake, id: str, attempt: int | None) -> Answer:
        worker, step = self._worker, Step(wake.key)
        began, before = worker.clock.monotonic(), STEP.set(step)
        try:
            await worker.parts.engine.advance(wake)
            if step.outcome == "looked" and worker.parts.performing.stopping:
                step.outcome = "stopped"
        except BaseException:
            step.outcome = "failed"
            raise
        finally:
            STEP.reset(before)
            said = {"action": "step", "message_id": id, "attempt": attempt}
            took = {"ms": round((worker.clock.monotonic() - began) * 1000, 1)}
            log.info(step.outcome, extra=said | step.fields() | took)
            self._tell_parked(step)
        return DONE

    def _tell_parked(self, step: Step) -> None:
        if step.parked is not None:
            why = {"action": "parked", "code": step.parked.code, "error": step.parked.message}
            log.error("the session needs attention", extra=step.fields() | why)

    async def _guarded(self, act: Callable[[], Awaitable[Answer]], id: str) -> Answer:
        """Only what could not be written down is asked for again (R11)."""
        try:
            return await act()
        except Retryable as exc:
            said = {"action": "again", "message_id": id, "code": exc.code, "error": str(exc)}
            log.warning("nothing could be written", extra=said)
            return AGAIN
        except Exception:
            log.exception("a request failed", extra={"action": "failed", "message_id": id})
            return FAILED

    # --- refusals ----------------------------------------------------------------------------------------------

    def _foreign(self, exc: BadMessage) -> Answer:
        """Acknowledged, as it would be no better the second time, unless only its version is too high."""
        if exc.code == "newer_message":
            log.warning("a newer release can read it", extra={"action": "again", "message_id": exc.message})
            return AGAIN
        return self._refuse(exc.message, exc)

    def _refuse(self, id: str, exc: OnwardError, message: Message | None = None) -> Answer:
        """Logged once and counted."""
        if not id or id not in self._logged:
            self._refused += 1
            said: dict[str, Any] = {"action": "refused", "message_id": id, "code": exc.code, "error": str(exc)}
            said |= {"count": self._refused, "subscription": message.subscription if message else None}
            log.warning("message refused", extra=said)
        self._logged[id] = None
        if len(self._logged) > REMEMBERED:
            self._logged.popitem(last=False)
        return DONE


def _roles(settings: CloudSettings) -> Roles:
    """Who may do what; without a table nobody anything. Raises BadInput for one that is wrong."""
    return NOBODY if settings.roles is None else Roles.read(settings.roles)
