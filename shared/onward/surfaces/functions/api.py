"""The API: JSON over HTTP, for people and for services in a person's name.

    POST /sessions                     program, input, and what else a start takes; and `id`, if you have one
    GET  /sessions/ID                  the session, with what it waits for
    GET  /sessions/ID/events           ?after=SEQ &limit=N &wait=SECONDS: its events, waited for if there are none yet
    POST /sessions/ID/inputs           content
    POST /sessions/ID/decisions        call, digest, verdict, and what goes with the verdict (`core.signals`)
    POST /sessions/ID/cancel           reason

`?tenant=` says whose session it is, where that is not `default`. A `key` in a body makes a repeat harmless. Who asks is
known by the bearer token, and by nothing in the body. What can't be decided yet is answered with 202.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from onward.adapters.gcp.messages import StartBody
from onward.adapters.gcp.trace import HEADER
from onward.core.canonical import digest as digest_of
from onward.core.codec import stamp
from onward.core.events import Actor, Event
from onward.core.ids import check_id
from onward.core.payload import Blob
from onward.core.signals import DecisionBody, parse
from onward.errors import BadInput, NotFound, Refused
from onward.runtime.signals import Outcome, Signals
from onward.surfaces.documents import event_doc, session_doc
from onward.surfaces.functions.answers import Answer, Request
from onward.surfaces.functions.incoming import start_of
from onward.surfaces.functions.worker import Worker
from onward.wiring import Parts

PAGE = 200
LONGEST_WAIT = 30.0
"""Seconds that a request for events may wait for them."""

_PATHS = re.compile(r"/sessions(?:/([^/]+)(?:/(events|inputs|decisions|cancel))?)?/?")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of somebody known."""

    request: Request
    caller: str
    session: str

    @property
    def tenant(self) -> str:
        return check_id(self.request.query.get("tenant", "default"), "tenant")

    def number(self, name: str, default: int, most: int) -> int:
        text = self.request.query.get(name, str(default))
        if not text.isdecimal() or not int(text) <= most:
            raise BadInput(f"{name}: {text[:40]!r} is no number from 0 to {most}")
        return int(text)


class Caller(Signals):
    """Sessions, for one who is known; others advance them."""

    works = True

    def __init__(self, parts: Parts, identity: str) -> None:
        self.parts = parts
        self.identity = identity

    async def tell(self, asked: Asked, kind: str, body: Mapping[str, Any], key: str | None = None) -> Outcome:
        """File a signal and wait for what becomes of it, for a while."""
        known = parse(kind, body)
        outcome = await self._signal(asked.session, kind, body, key or secrets.token_hex(8), asked.tenant)
        edited = isinstance(known, DecisionBody) and known.arguments is not None
        return await self._checked(asked.session, outcome, asked.tenant) if edited else outcome


class Api:
    """Answers requests of one process."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._routes: dict[tuple[str, str | None], Callable[[Asked], Awaitable[Answer]]] = {
            ("GET", ""): self.session,
            ("GET", "events"): self.events,
            ("POST", "inputs"): self.input,
            ("POST", "decisions"): self.decide,
            ("POST", "cancel"): self.cancel,
            ("POST", None): self.start,
        }

    async def answer(self, request: Request) -> Answer:
        """Answer a request of whoever its token names. Raises OnwardError."""
        caller = await self._worker.identities.email(request.header("authorization"))
        found = _PATHS.fullmatch(request.path)
        if found is None:
            raise NotFound(f"there is nothing at {request.path[:100]}")
        session = found[1] and check_id(found[1])
        route = self._routes.get((request.method, (found[2] or "") if session else None))
        if route is None:
            raise NotFound(f"{request.method} is not for {request.path[:100]}")
        return await route(Asked(request, caller, session or ""))

    # --- what can be asked -------------------------------------------------------------------------------------

    async def start(self, asked: Asked) -> Answer:
        doc = asked.request.document()
        session = check_id(str(doc.pop("id", "") or secrets.token_hex(6)))
        try:
            body = StartBody.model_validate(doc)
        except ValidationError as exc:
            error = exc.errors()[0]
            raise BadInput(f"{'.'.join(map(str, error['loc'])) or 'body'}: {error['msg']}") from exc
        start = replace(start_of(self._worker.app, asked.tenant, session, body), trace=asked.request.header(HEADER))
        head, new = await self._worker.parts.gateway.start(start, Actor(kind="person", name=asked.caller))
        return Answer(201 if new else 200, session_doc(head) | {"new": new})

    async def session(self, asked: Asked) -> Answer:
        head = await self._caller(asked).get(asked.session, asked.tenant)
        return Answer(200, session_doc(head))

    async def events(self, asked: Asked) -> Answer:
        """A page of events after a seq. Where there are none yet, those that come within the time to wait."""
        after, limit = asked.number("after", 0, 10**9), asked.number("limit", PAGE, PAGE)
        caller, wait = self._caller(asked), asked.number("wait", 0, int(LONGEST_WAIT))
        head = await caller.get(asked.session, asked.tenant)
        if head.seq <= after and wait and not head.ended:
            await caller.news(head, after, float(wait))
        found: list[Event] = []
        async for event in caller.events(asked.session, after, tenant=asked.tenant):
            found.append(event)
            if len(found) > limit:
                break
        page = [event_doc(await self._whole(head.key, event)) for event in found[:limit]]
        last = page[-1]["seq"] if page else after
        return Answer(200, {"events": page, "after": last, "more": len(found) > limit})

    async def input(self, asked: Asked) -> Answer:
        doc = asked.request.document()
        return await self._told(asked, "input", doc, doc.pop("key", None))

    async def decide(self, asked: Asked) -> Answer:
        """What runs sessions must not decide about them: its own account is refused."""
        if asked.caller == self._worker.settings.service_account:
            raise Refused("decision refused", "own_account", "the functions' own account decides nothing")
        doc = asked.request.document()
        doc.pop("key", None)
        return await self._told(asked, "decision", doc, digest_of(doc))

    async def cancel(self, asked: Asked) -> Answer:
        doc = asked.request.document()
        return await self._told(asked, "cancel", doc, doc.pop("key", None))

    # --- how it is answered ------------------------------------------------------------------------------------

    def _caller(self, asked: Asked) -> Caller:
        return Caller(self._worker.parts, asked.caller)

    async def _told(self, asked: Asked, kind: str, body: Mapping[str, Any], key: Any) -> Answer:
        if key is not None and not (isinstance(key, str) and 0 < len(key) <= 1024):
            raise BadInput("key: it is a text of 1 to 1024 characters")
        outcome = await self._caller(asked).tell(asked, kind, body, key)
        if outcome.event is None:
            return Answer(
                202, {"signal": outcome.signal, "decided": False, "events": f"/sessions/{asked.session}/events"}
            )
        event = {"seq": outcome.event.seq, "kind": outcome.event.kind, "at": stamp(outcome.event.at)}
        return Answer(200, {"signal": outcome.signal, "decided": True, "event": event})

    async def _whole(self, key: str, event: Event) -> Event:
        """The event with its large values fetched from where they are kept."""
        found = {name: getattr(event.body, name) for name in event.body.private}
        far = {name: value for name, value in found.items() if isinstance(value, Blob)}
        near = {name: await self._worker.parts.loader.resolve(key, value) for name, value in far.items()}
        return event.model_copy(update={"body": event.body.model_copy(update=near)}) if near else event
