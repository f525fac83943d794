"""The messages of both topics: what a session is told, and what is told of sessions. Versioned JSON, pure functions.

The topic of sessions. A message says "look at this session", and may bring a signal for it, or a start:

    {"version": 1, "session": "order-7"}
    {"version": 1, "session": "order-7", "kind": "input", "body": {"content": "Hello"}, "key": "mail-1"}
    {"version": 1, "session": "order-7", "kind": "start", "body": {"program": "desk", "input": "Hello"}}

`tenant` is "default" unless it is given. The same `key` again is the same signal; without one a message is its own key.
An outcome of a call brings the call's `token`. Decisions are not taken from here: who decides must be known, and a
message can't say so. The engine's own wakes name a session by its storage `key`, with `look`, `published`, `delayed`.

A task may bring an errand instead, of a version of its own: a release that knows none leaves it for one that does.

The topic of events. A message is one committed event of a session (`SessionEvent`), a CloudEvent in binary mode.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

from pydantic import ConfigDict, Field, ValidationError

from onward.adapters.gcp.trace import HEADER, trace_header, well_formed
from onward.core import signals
from onward.core.canonical import canonical, document
from onward.core.codec import stamp
from onward.core.events import Actor, Event, Value
from onward.core.head import Head
from onward.core.ids import check_id, session_key
from onward.core.payload import pack
from onward.core.signals import StartBody
from onward.errors import BadInput
from onward.ports import Errand, Wake

VERSION = 1
"""The version of both forms. A message of a higher one is left for a newer release."""

ERRAND_VERSION = 2
"""The version of an errand."""

EVENT_BYTES = 16 * 1024
"""A larger body of an event stays in the log alone."""


class BadMessage(BadInput):
    """A message that is none of ours, or is wrong: one that comes again will be, too. `message` is its id.

    Its code is `newer_message` where only its version is too high: a newer release can read it.
    """

    code = "bad_message"

    def __init__(self, problem: str, message: str = "", newer: bool = False) -> None:
        super().__init__(f"message {message}: {problem}" if message else problem)
        self.message = message
        if newer:
            self.code = "newer_message"


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it was delivered. `attempt` counts deliveries from 1 where the subscription does (it has a dead
    letter topic), else it is None."""

    id: str
    data: bytes
    attributes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    published_at: str = ""
    subscription: str = ""
    attempt: int | None = None


# --- the topic of sessions -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Told:
    """A signal for a session. Its sender is whoever takes it from the topic to name; `body` has the form of its kind
    (`core.signals`). `token` goes with an outcome; `by` is who says to have made a decision, which nobody has checked;
    `trace` is a W3C traceparent."""

    tenant: str
    session: str
    kind: str
    key: str
    body: Mapping[str, Any]
    token: str | None = None
    by: str | None = None
    trace: str | None = None

    @property
    def storage_key(self) -> str:
        return session_key(self.tenant, self.session)


@dataclass(frozen=True, slots=True)
class Started:
    """A session to start."""

    tenant: str
    session: str
    body: StartBody
    trace: str | None = None


class _Wake(Value):
    """The engine's own form."""

    version: int
    key: str = Field(pattern=r"^[0-9a-f]{32}$")
    look: bool = False
    published: int = Field(default=0, ge=0, le=2**53)
    delayed: bool = False


class _Errand(Value):
    """What a task alone brings."""

    version: int
    key: str = Field(pattern=r"^[0-9a-f]{32}$")
    seq: int = Field(ge=1, le=2**53)
    webhook: str = Field(min_length=1, max_length=63)
    attempt: int = Field(ge=1, le=10_000)


class _Told(Value):
    """Everybody's form."""

    version: int
    session: str
    tenant: str = "default"
    kind: str | None = None
    key: str | None = Field(default=None, min_length=1, max_length=1024)
    body: dict[str, Any] = Field(default={})
    token: str | None = None
    by: str | None = Field(default=None, min_length=1, max_length=256)


def wake_message(wake: Wake) -> tuple[bytes, dict[str, str]]:
    """The data and attributes of a wake: whose it is, as far as its sender knew."""
    said = {"look": wake.look, "published": wake.published, "delayed": wake.delayed}
    doc = {"version": VERSION, "key": wake.key} | {name: value for name, value in said.items() if value}
    whose = {"tenant": wake.tenant, "program": wake.program}
    known = {name: value for name, value in whose.items() if value}
    return document(doc).encode(), {"class": "wake", "key": wake.key} | known | trace_header()


def errand_message(errand: Errand) -> bytes:
    """The body of a task that brings an errand."""
    said = {"key": errand.key, "seq": errand.seq, "webhook": errand.webhook, "attempt": errand.attempt}
    return document({"version": ERRAND_VERSION} | said).encode()


def parse_task_message(message: Message) -> Wake | Errand:
    """What a task brings. Raises BadMessage."""
    doc = _document(message, ERRAND_VERSION)
    if doc["version"] == ERRAND_VERSION:
        try:
            errand = _Errand.model_validate(doc)
        except ValidationError as exc:
            raise BadMessage(_first(exc), message.id) from exc
        return Errand(errand.key, errand.seq, errand.webhook, errand.attempt)
    wake = parse_session_message(message)
    if not isinstance(wake, Wake):
        raise BadMessage("a task is a wake or an errand, and brings nothing else", message.id)
    return wake


def parse_session_message(message: Message) -> Wake | Told | Started:
    """What a message on the topic of sessions says. Raises BadMessage."""
    doc = _document(message)
    trace = well_formed(message.attributes.get(HEADER))
    try:
        if "session" not in doc:
            wake = _Wake.model_validate(doc)
            return Wake(wake.key, wake.look, wake.published, wake.delayed)
        return _told(_Told.model_validate(doc), message.id, trace)
    except ValidationError as exc:
        raise BadMessage(_first(exc), message.id) from exc
    except BadMessage:
        raise
    except BadInput as exc:
        raise BadMessage(str(exc), message.id) from exc


_OPERATOR = "who operates must be known, and a message can't say who published it; use `onward {0}`"
_KNOWN_SENDERS = {kind: _OPERATOR.format(kind) for kind in ("pause", "resume", "skip", "finish")}
_KNOWN_SENDERS |= {"child": "only a session's own engine says what became of it"}


def _told(told: _Told, id: str, trace: str | None) -> Wake | Told | Started:
    tenant, session = check_id(told.tenant, "tenant"), check_id(told.session, "session")
    if told.kind is None:
        _only(told, "kind", "body", "key", "token", "by")
        return Wake(session_key(tenant, session), look=True)
    if told.kind == "start":
        _only(told, "a start", "key", "token", "by")
        return Started(tenant, session, _start_body(told.body), trace)
    if told.kind in _KNOWN_SENDERS:
        raise BadInput(f"kind: a {told.kind} is not taken from a message: {_KNOWN_SENDERS[told.kind]}")
    if (told.kind == "decision") != (told.by is not None):
        raise BadInput("by: a decision says who made it, and nothing else does")
    if (told.kind == "outcome") != (told.token is not None):
        raise BadInput("token: an outcome needs the token of its call, and nothing else has one")
    signals.parse(told.kind, told.body)
    canonical(told.body)
    return Told(tenant, session, told.kind, told.key or id, told.body, told.token, told.by, trace)


def _only(told: _Told, without: str, *fields: str) -> None:
    given = [name for name in fields if getattr(told, name)]
    if given:
        raise BadInput(f"{given[0]}: does not go {'without ' if without == 'kind' else 'with '}{without}")


def _start_body(body: Mapping[str, Any]) -> StartBody:
    try:
        canonical(body)
        return StartBody.model_validate(body)
    except ValidationError as exc:
        raise BadInput(f"body.{_first(exc)}") from exc


# --- the topic of events ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SessionEvent:
    """One committed event of a session. `body` has the event's public fields, and its private ones if those are
    published here; None where it is too large and must be fetched from the log. `hash` is that of the log at `seq` or
    after: kept elsewhere it shows whether the log was rewritten."""

    tenant: str
    session: str
    program: str
    seq: int
    kind: str
    schema: int
    at: str
    actor: Mapping[str, str]
    body: Mapping[str, Any] | None
    hash: str
    trace: str | None = None

    @property
    def id(self) -> str:
        """The same at every delivery of this event, within its tenant."""
        return f"{self.session}:{self.seq}"


def session_event(head: Head, event: Event, private: bool = False) -> SessionEvent:
    """An event as subscribers see it: with `private`, with what people and companies say too, which nobody can erase
    from where it went."""
    body, kind = event.body, type(event.body)
    said = body.model_dump(mode="json", exclude={*kind.private, "kind"})
    if private:
        said |= {name: pack(getattr(body, name)) for name in sorted(kind.private)}
    actor = {"kind": event.actor.kind, "name": event.actor.name}
    return SessionEvent(
        tenant=head.tenant,
        session=head.id,
        program=head.program,
        seq=event.seq,
        kind=event.kind,
        schema=kind.schema_version,
        at=stamp(event.at),
        actor=actor,
        body=said,
        hash=head.hash,
        trace=event.trace,
    )


def event_message(event: SessionEvent) -> tuple[bytes, dict[str, str]]:
    """The data and attributes of an event. A body above EVENT_BYTES is left out."""
    doc = {name: getattr(event, name) for name in SessionEvent.__slots__}
    data = document({"version": VERSION} | doc).encode()
    if len(data) > EVENT_BYTES:
        data = document({"version": VERSION} | doc | {"body": None}).encode()
    traced = {HEADER: event.trace} if event.trace else trace_header()
    return data, _labels(event) | _cloud_event(event) | traced


def _labels(event: SessionEvent) -> dict[str, str]:
    """What a subscription can choose by."""
    return {
        "tenant": event.tenant,
        "program": event.program,
        "class": "event",
        "kind": event.kind,
        "session": event.session,
        "seq": str(event.seq),
    }


def _cloud_event(event: SessionEvent) -> dict[str, str]:
    return {
        "ce-specversion": "1.0",
        "ce-id": event.id,
        "ce-type": f"onward.session.{event.kind}",
        "ce-source": f"/onward/tenants/{event.tenant}",
        "ce-subject": event.session,
        "ce-time": event.at,
        "ce-datacontenttype": "application/json",
        "content-type": "application/json",
    }


def parse_event(message: Message) -> SessionEvent:
    """The event that a message brings. Raises BadMessage."""
    doc = _document(message)
    try:
        parsed = _Published.model_validate(doc)
    except ValidationError as exc:
        raise BadMessage(_first(exc), message.id) from exc
    fields = {name: getattr(parsed, name) for name in _Published.model_fields if name not in ("version", "schema_")}
    return SessionEvent(**fields | {"schema": parsed.schema_, "actor": parsed.actor.model_dump(), "at": doc["at"]})


class _Published(Value):
    """An event on its way. Fields that a later release adds are passed over."""

    model_config = ConfigDict(extra="ignore")
    version: int
    tenant: str
    session: str
    program: str
    seq: int = Field(ge=1)
    kind: str
    schema_: int = Field(alias="schema", ge=1)
    at: datetime
    actor: Actor
    body: dict[str, Any] | None
    hash: str
    trace: str | None = None


# --- both ------------------------------------------------------------------------------------------------------


def _document(message: Message, newest: int = VERSION) -> dict[str, Any]:
    """The JSON object in a message, if it is one of ours."""
    try:
        doc = json.loads(message.data)
    except (ValueError, RecursionError) as exc:
        raise BadMessage(f"its data is no JSON: {exc}", message.id) from exc
    version = doc.get("version") if isinstance(doc, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise BadMessage('its data is no object with "version": 1', message.id)
    if version > newest:
        raise BadMessage(f"it has version {version}; this release reads {newest}", message.id, newer=True)
    return doc  # type: ignore[no-any-return]


def _first(exc: ValidationError) -> str:
    error = exc.errors()[0]
    return f"{'.'.join(map(str, error['loc'])) or 'message'}: {error['msg']}"
