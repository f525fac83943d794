"""What reaches a function over HTTP: pushed messages in each of their envelopes, and tasks. Pure functions.

raw push            {"message": {...}, "subscription": "..."}
CloudEvent, binary  the same, with ce-id, ce-type, ... as headers
CloudEvent          {"specversion": "1.0", ..., "data": the same}, of type application/cloudevents+json
Cloud Tasks         the body that the timer was armed with, and X-CloudTasks-... headers
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from onward.adapters.gcp.messages import BadMessage, Message, parse_task_message
from onward.ports import Errand, Wake

PUSHED = "google.cloud.pubsub.topic.v1.messagePublished"
"""The type of a CloudEvent that brings a message."""

_STRUCTURED = "application/cloudevents+json"


def parse_push(headers: Mapping[str, str], body: bytes) -> Message:
    """The message that a request brings, in whichever envelope. Header names may be in any case. Raises BadMessage."""
    named = {name.lower(): value for name, value in headers.items()}
    doc, id = _object(body), named.get("ce-id", "")
    kind = named.get("ce-type", PUSHED)
    if named.get("content-type", "").partition(";")[0].strip().lower() == _STRUCTURED:
        id, kind = str(doc.get("id", "")), str(doc.get("type", ""))
        doc = _event_data(doc, id)
    if kind != PUSHED:
        raise BadMessage(f"it is an event of type {kind[:100]!r}", id)
    return _message(doc, id)


def _event_data(doc: Mapping[str, Any], id: str) -> Mapping[str, Any]:
    if "data_base64" in doc:
        return _object(_bytes(doc["data_base64"], id))
    data = doc.get("data")
    if not isinstance(data, dict):
        raise BadMessage("the event has no data", id)
    return data


def _message(doc: Mapping[str, Any], id: str) -> Message:
    said = doc.get("message")
    if not isinstance(said, dict):
        raise BadMessage("the request has no message", id)
    id = str(said.get("messageId") or said.get("message_id") or id)
    attributes = said.get("attributes") or {}
    if not isinstance(attributes, dict) or not all(isinstance(value, str) for value in attributes.values()):
        raise BadMessage("attributes: they are no texts by name", id)
    attempt = doc.get("deliveryAttempt")
    return Message(
        id=id,
        data=_bytes(said.get("data") or "", id),
        attributes=attributes,
        published_at=str(said.get("publishTime") or said.get("publish_time") or ""),
        subscription=str(doc.get("subscription") or ""),
        attempt=attempt if isinstance(attempt, int) else None,
    )


@dataclass(frozen=True, slots=True)
class Task:
    """What a task brings: a timer that fired, or an errand. `name` is the task's; `retries` counts the earlier attempts
    to deliver it; `due` is the time that it was to be delivered at, None where the request doesn't say."""

    brings: Wake | Errand
    name: str
    retries: int
    due: datetime | None

    @property
    def wake(self) -> Wake:
        """The wake that a timer brings."""
        assert isinstance(self.brings, Wake), "an errand is no timer"
        return self.brings


def parse_task(headers: Mapping[str, str], body: bytes) -> Task:
    """What a request of Cloud Tasks brings. Raises BadMessage."""
    named = {name.lower(): value for name, value in headers.items()}
    name = named.get("x-cloudtasks-taskname", "")
    if not name:
        raise BadMessage("the request is not one of Cloud Tasks: it has no X-CloudTasks-TaskName")
    brings = parse_task_message(Message(id=name, data=body))
    retries = named.get("x-cloudtasks-taskretrycount", "")
    return Task(brings, name, int(retries) if retries.isdecimal() else 0, _time(named.get("x-cloudtasks-tasketa", "")))


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromtimestamp(float(text), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        doc = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise BadMessage(f"the request's body is no JSON: {exc}") from exc
    if not isinstance(doc, dict):
        raise BadMessage("the request's body is no JSON object")
    return doc


def _bytes(text: Any, id: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, TypeError) as exc:
        raise BadMessage(f"data: it is no base64: {exc}", id) from exc
