"""The messages of both topics, and the envelopes that they come in."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest

from onward.adapters.gcp.messages import (
    EVENT_BYTES,
    BadMessage,
    Message,
    SessionEvent,
    Started,
    Told,
    event_message,
    parse_event,
    parse_session_message,
    session_event,
    wake_message,
)
from onward.adapters.gcp.messages_envelopes import PUSHED, parse_push, parse_task
from onward.adapters.gcp.trace import traced
from onward.core import events as ev
from onward.core.events import Actor, Event, Limits
from onward.core.head import Head
from onward.core.ids import session_key
from onward.core.payload import Blob, Erased
from onward.errors import BadInput
from onward.ports import Wake

KEY = "a" * 32
AT = datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def message(doc: Any, **attributes: str) -> Message:
    data = doc if isinstance(doc, bytes) else json.dumps(doc).encode()
    return Message("17", data, attributes)


def told(**fields: Any) -> Any:
    return parse_session_message(message({"version": 1, "session": "order-7", **fields}))


# --- the topic of sessions -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wake", [Wake(KEY), Wake(KEY, look=True), Wake(KEY, published=7), Wake(KEY, look=True, published=2, delayed=True)]
)
def test_a_wake_says_what_it_said(wake: Wake) -> None:
    data, attributes = wake_message(wake)
    found = parse_session_message(Message("1", data, attributes))
    assert isinstance(found, Wake)
    assert (found, found.delayed) == (wake, wake.delayed)


def test_a_wake_says_whose_session_it_is_where_that_is_known_and_carries_the_trace_on() -> None:
    assert wake_message(Wake(KEY))[1] == {"class": "wake", "key": KEY}
    with traced(TRACE):
        attributes = wake_message(Wake.of(head(), look=True))[1]
    whose = {"tenant": "shop", "program": "desk"}
    assert attributes == {"class": "wake", "key": KEY, "traceparent": TRACE, **whose}


@pytest.mark.parametrize("kind", ["pause", "resume", "skip", "finish", "child"])
def test_g8_who_operates_must_be_known_and_a_message_does_not_say(kind: str) -> None:
    with pytest.raises(BadMessage, match=f"kind: a {kind} is not taken from a message"):
        told(kind=kind, body={})


def test_a_session_by_its_name_is_to_be_looked_at() -> None:
    assert told() == Wake(session_key("default", "order-7"), look=True)
    assert told(tenant="shop") == Wake(session_key("shop", "order-7"), look=True)


def test_a_signal_has_the_key_that_it_gives_or_is_its_own() -> None:
    said = {"kind": "input", "body": {"content": "Hello"}}
    assert told(**said, key="mail-1") == Told("default", "order-7", "input", "mail-1", {"content": "Hello"})
    assert told(**said).key == "17"
    assert told(**said).storage_key == session_key("default", "order-7")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("input", {"content": [1, None]}),
        ("input", {"content": {"amount": 5}, "name": "paid"}),
        ("cancel", {}),
        ("cancel", {"reason": "never mind"}),
    ],
)
def test_signals_that_anybody_may_send_are_taken(kind: str, body: dict[str, Any]) -> None:
    assert told(kind=kind, body=body) == Told("default", "order-7", kind, "17", body)


def test_an_outcome_brings_its_token() -> None:
    body = {"call": "3.0", "status": "done", "result": 1}
    assert told(kind="outcome", body=body, token="secret").token == "secret"


def test_a_start_says_all_that_a_start_can() -> None:
    body = {
        "program": "desk",
        "version": "2",
        "input": {"order": 7},
        "labels": {"vip": True},
        "limits": {"turns": 3},
        "deadline": "2026-01-02T03:04:05.678Z",
        "not_before": "2026-01-02T04:04:05.678+01:00",
        "pinned": True,
        "exists": "reject",
    }
    found = parse_session_message(
        message({"version": 1, "session": "s", "kind": "start", "body": body}, traceparent=TRACE)
    )
    assert isinstance(found, Started)
    assert (found.tenant, found.session, found.trace) == ("default", "s", TRACE)
    start = found.body
    assert (start.deadline, start.not_before) == (AT, AT)
    assert (start.program, start.limits, start.labels) == ("desk", Limits(turns=3), {"vip": True})


WRONG = {
    "no JSON": (b"hello", "no JSON"),
    "no UTF-8": (b'{"version": "\xff"}', "no JSON"),
    "nothing": (b"", "no JSON"),
    "far too deep": (b"[" * 100_000, "no JSON"),
    "a list": ([1], "version"),
    "no version": ({"session": "s"}, "version"),
    "a version that is none": ({"version": True, "session": "s"}, "version"),
    "somebody else's": ({"version": 1, "hello": "world"}, "key"),
    "a key that is none": ({"version": 1, "key": "../../etc"}, "key"),
    "a published that is none": ({"version": 1, "key": KEY, "published": -1}, "published"),
    "an unknown field": ({"version": 1, "session": "s", "sender": "boss"}, "sender"),
    "a session that is none": ({"version": 1, "session": "a/b"}, "session"),
    "a tenant that is none": ({"version": 1, "session": "s", "tenant": ""}, "tenant"),
    "an unknown kind": ({"version": 1, "session": "s", "kind": "dance"}, "kind"),
    "a body without a kind": ({"version": 1, "session": "s", "body": {"content": 1}}, "body"),
    "a token without a kind": ({"version": 1, "session": "s", "token": "t"}, "token"),
    "a body that doesn't fit": ({"version": 1, "session": "s", "kind": "input", "body": {"text": 1}}, "input.content"),
    "half a surrogate pair": (
        b'{"version": 1, "session": "s", "kind": "input", "body": {"content": "\\ud800"}}',
        "JSON",
    ),
    "no number": (b'{"version": 1, "session": "s", "kind": "input", "body": {"content": NaN}}', "JSON"),
    "a decision": ({"version": 1, "session": "s", "kind": "decision", "body": {}}, "by"),
    "a child's end": ({"version": 1, "session": "s", "kind": "child", "body": {}}, "own engine"),
    "no token": (
        {"version": 1, "session": "s", "kind": "outcome", "body": {"call": "1.0", "status": "done"}},
        "token",
    ),
    "a token too much": ({"version": 1, "session": "s", "kind": "cancel", "token": "t"}, "token"),
    "a start without a program": ({"version": 1, "session": "s", "kind": "start"}, "body.program"),
    "a start with a key": (
        {"version": 1, "session": "s", "kind": "start", "key": "k", "body": {"program": "p"}},
        "key",
    ),
    "a time without a zone": (
        {"version": 1, "session": "s", "kind": "start", "body": {"program": "p", "deadline": "2026-01-02T03:04:05"}},
        "body.deadline",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_g15_what_is_wrong_is_refused_by_one_error_with_its_id(name: str) -> None:
    doc, says = WRONG[name]
    with pytest.raises(BadMessage, match=says) as failed:
        parse_session_message(message(doc))
    assert failed.value.message == "17"
    assert failed.value.code == "bad_message"
    assert isinstance(failed.value, BadInput)


def test_what_is_newer_is_told_apart() -> None:
    with pytest.raises(BadMessage, match="version 2") as failed:
        parse_session_message(message({"version": 2, "anything": 1}))
    assert failed.value.code == "newer_message"


# --- the topic of events ---------------------------------------------------------------------------------------


def head() -> Head:
    return Head(KEY, "shop", "order-7", "desk", "1", "running", 9, "h" * 64, 4, AT, AT)


def said(content: Any = "Hello") -> Event:
    body = ev.InputReceived(content=content, signal="s1")
    return Event(seq=5, at=AT, actor=Actor(kind="person", name="ann"), body=body, trace=TRACE)


def test_an_event_is_published_without_what_people_say() -> None:
    event = session_event(head(), said())
    data, attributes = event_message(event)
    assert b"Hello" not in data
    assert event.body is not None
    assert event.body["signal"] == "s1"
    assert "content" not in event.body
    assert parse_event(Message("1", data, attributes)) == event


def test_with_private_it_is_published_with_it() -> None:
    event = session_event(head(), said({"$blob": {}}), private=True)
    assert event.body is not None
    assert event.body["content"] == {"$value": {"$blob": {}}}
    assert parse_event(Message("1", *event_message(event))) == event
    blob = session_event(head(), said(Blob(digest="d", size=1, preview="p")), private=True)
    assert parse_event(Message("1", *event_message(blob))) == blob
    erased = session_event(head(), said(Erased()), private=True)
    assert parse_event(Message("1", *event_message(erased))) == erased


def test_its_attributes_make_it_a_cloud_event_that_can_be_filtered() -> None:
    data, attributes = event_message(session_event(head(), said()))
    assert attributes == {
        "tenant": "shop",
        "program": "desk",
        "class": "event",
        "kind": "input_received",
        "session": "order-7",
        "seq": "5",
        "ce-specversion": "1.0",
        "ce-id": "order-7:5",
        "ce-type": "onward.session.input_received",
        "ce-source": "/onward/tenants/shop",
        "ce-subject": "order-7",
        "ce-time": "2026-01-02T03:04:05.678Z",
        "ce-datacontenttype": "application/json",
        "content-type": "application/json",
        "traceparent": TRACE,
    }
    doc = json.loads(data)
    assert (doc["hash"], doc["seq"], doc["actor"]) == ("h" * 64, 5, {"kind": "person", "name": "ann"})


def test_a_large_body_stays_in_the_log() -> None:
    event = session_event(head(), said("x" * EVENT_BYTES), private=True)
    data, attributes = event_message(event)
    assert len(data) < 1000
    found = parse_event(Message("1", data, attributes))
    assert found.body is None
    assert found.id == event.id == "order-7:5"


def test_a_later_release_may_add_fields() -> None:
    data, _ = event_message(session_event(head(), said()))
    assert parse_event(message(json.loads(data) | {"more": 1})).seq == 5


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"seq": 0}, "seq"),
        ({"at": "noon"}, "at"),
        ({"actor": None}, "actor"),
        ({"body": 1}, "body"),
        ({"hash": 1}, "hash"),
    ],
)
def test_g15_an_event_that_is_none_is_refused(change: dict[str, Any], says: str) -> None:
    data, _ = event_message(session_event(head(), said()))
    with pytest.raises(BadMessage, match=says):
        parse_event(message(json.loads(data) | change))


def test_every_kind_of_event_comes_back_as_it_went() -> None:
    for kind in ev.BODIES.values():
        event = SessionEvent("t", "s", "p", 1, kind.model_fields["kind"].default, 1, "2026-01-02T03:04:05.678Z",
                             {"kind": "engine", "name": ""}, {}, "h")  # fmt: skip
        assert parse_event(Message("1", *event_message(event))) == event


# --- envelopes -------------------------------------------------------------------------------------------------

PUSH: dict[str, Any] = {
    "message": {
        "data": base64.b64encode(b'{"version": 1}').decode(),
        "attributes": {"class": "wake"},
        "messageId": "17",
        "message_id": "17",
        "publishTime": "2026-01-02T03:04:05.678Z",
    },
    "subscription": "projects/p/subscriptions/s",
}
WHOLE = Message(
    "17", b'{"version": 1}', {"class": "wake"}, "2026-01-02T03:04:05.678Z", "projects/p/subscriptions/s", None
)


def event_headers(**more: str) -> dict[str, str]:
    return {"Ce-Id": "17", "ce-specversion": "1.0", "ce-type": PUSHED, "ce-source": "//pubsub", **more}


def structured(**more: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "id": "17", "type": PUSHED, "source": "//pubsub", **more}


def test_a_push_a_cloud_event_and_a_structured_one_bring_the_same() -> None:
    body = json.dumps(PUSH).encode()
    kind = {"content-type": "application/cloudevents+json; charset=utf-8"}
    assert parse_push({"Content-Type": "application/json"}, body) == WHOLE
    assert parse_push(event_headers(**{"Content-Type": "application/json"}), body) == WHOLE
    assert parse_push(kind, json.dumps(structured(data=PUSH)).encode()) == WHOLE
    encoded = structured(data_base64=base64.b64encode(body).decode())
    assert parse_push(kind, json.dumps(encoded).encode()) == WHOLE


def test_what_a_push_may_leave_out() -> None:
    assert parse_push({}, b'{"message": {"messageId": "3"}}') == Message("3", b"", {})
    assert parse_push(event_headers(), b'{"message": {}}').id == "17"
    assert parse_push({}, json.dumps(PUSH | {"deliveryAttempt": 3}).encode()).attempt == 3


BROKEN = {
    "no JSON": ({}, b"hello"),
    "a list": ({}, b"[]"),
    "too deep": ({}, b"[" * 100_000),
    "no message": ({}, b'{"subscription": "s"}'),
    "a message that is none": ({}, b'{"message": "hello"}'),
    "data that is no base64": ({}, b'{"message": {"data": "%%%", "messageId": "1"}}'),
    "data that is no text": ({}, b'{"message": {"data": 5, "messageId": "1"}}'),
    "attributes that are none": ({}, b'{"message": {"attributes": [1]}}'),
    "attributes that are no texts": ({}, b'{"message": {"attributes": {"a": 1}}}'),
    "another event": (event_headers(**{"ce-type": "google.cloud.storage.object.v1.finalized"}), b"{}"),
    "another structured event": (
        {"content-type": "application/cloudevents+json"},
        json.dumps(structured(type="other", data={})).encode(),
    ),
    "an event without data": (
        {"content-type": "application/cloudevents+json"},
        json.dumps(structured()).encode(),
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_g15_an_envelope_that_is_none_is_refused(name: str) -> None:
    headers, body = BROKEN[name]
    with pytest.raises(BadMessage):
        parse_push(headers, body)


def test_a_task_brings_a_wake_and_says_how_often_it_was_tried() -> None:
    body, _ = wake_message(Wake(KEY, look=True, delayed=True))
    headers = {
        "X-CloudTasks-TaskName": "0123",
        "X-CloudTasks-TaskRetryCount": "2",
        "X-CloudTasks-TaskETA": "1767323045.678",
    }
    task = parse_task(headers, body)
    assert (task.wake, task.wake.delayed) == (Wake(KEY, look=True), True)
    assert (task.name, task.retries, task.due) == ("0123", 2, AT)
    assert parse_task({"x-cloudtasks-taskname": "0123"}, body).due is None


def test_g15_a_task_that_is_none_is_refused() -> None:
    body, _ = wake_message(Wake(KEY))
    with pytest.raises(BadMessage, match="Cloud Tasks"):
        parse_task({}, body)
    with pytest.raises(BadMessage, match="a wake") as failed:
        parse_task({"X-CloudTasks-TaskName": "7"}, b'{"version": 1, "session": "s", "kind": "cancel"}')
    assert failed.value.message == "7"


# --- what is loaded --------------------------------------------------------------------------------------------


def test_nothing_of_google_is_loaded_before_it_is_used() -> None:
    modules = ("clients", "messages", "messages_envelopes", "pubsub", "reader", "storage", "tasks")
    code = "import sys; from onward.adapters.gcp import " + ", ".join(modules)
    code += (
        "; storage.StorageBlobs('b'); pubsub.Topic('t'); reader.Subscription('s'); tasks.TaskTimers('q', 'u', None, "
    )
    code += "service_account=None); print(*(name for name in sys.modules if "
    code += (
        "name.startswith(('google.auth', 'google.api_core', 'google.protobuf', 'google.cloud.', 'grpc', 'requests'))))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == ""


def test_g8_a_decision_says_who_made_it_and_nothing_else_does() -> None:
    body = {"call": "2.0", "verdict": "approved", "digest": "d" * 64}
    assert told(kind="decision", body=body, by="ann") == Told("default", "order-7", "decision", "17", body, by="ann")
    for wrong in ({"kind": "decision", "body": body}, {"kind": "input", "body": {"content": 1}, "by": "ann"}):
        with pytest.raises(BadMessage, match="a decision says who made it"):
            told(**wrong)
