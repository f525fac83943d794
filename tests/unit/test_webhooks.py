"""Webhooks: how they are declared, when they are owed something, how what they are sent is named and signed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from onward import App, BadInput, Webhook
from onward.core import events as ev
from onward.core.duties import CancelChild, Tell, TellParent, duties_of, first_owed
from onward.core.events import Actor, Event, Failure
from onward.core.head import from_json, to_json
from onward.core.webhooks import AGAIN, OCCASIONS, Listener, message_id, signature
from onward.testing.contracts.story import START, opening
from tests.unit.told import a_desk, hook

# --- declaring -------------------------------------------------------------------------------------------------


def test_a_webhook_is_told_everything_unless_it_says_of_what() -> None:
    assert (hook().name, hook().on, hook().programs) == ("hooks.example.com", OCCASIONS, ())
    assert hook(on=["ended", "approval_requested"]).on == ("approval_requested", "ended")
    assert hook("http://localhost:9000/x", allow_private=True).name == "localhost"
    assert "onward" not in repr(hook(name="chat"))


@pytest.mark.parametrize(
    ("url", "more", "says"),
    [
        ("http://hooks.example.com/", {}, "url must be https"),
        ("ftp://hooks.example.com/", {}, "url is no URL"),
        ("hooks.example.com", {}, "url is no URL"),
        ("https:///path", {}, "url is no URL"),
        ("https://hooks.example.com:99999/", {}, "url is no URL"),
        ("https://hooks.example.com/a b", {}, "url is no URL"),
        ("https://hooks.example.com/\r\nx: y", {}, "url is no URL"),
        (7, {}, "url is no URL"),
        ("https://user:pa55@hooks.example.com/", {}, "url holds a user"),
        ("https://hooks.example.com/", {"secret": ""}, "secret is the name"),
        ("https://hooks.example.com/", {"on": ["begun"]}, "on: 'begun' is nothing to be told of"),
        ("https://hooks.example.com/", {"on": []}, "on: is empty"),
        ("https://hooks.example.com/", {"on": "ended"}, "on is a str"),
        ("https://hooks.example.com/", {"programs": "desk"}, "programs is a str"),
        ("https://hooks.example.com/", {"programs": [7]}, "programs is a list of names"),
        ("https://hooks.example.com/", {"name": "a b"}, "name 'a b' may have"),
        ("https://[2606:4700:4700::1111]/", {}, "may have 1 to 63 letters"),
    ],
)
def test_g15_what_is_wrong_is_named(url: Any, more: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput, match=says) as wrong:
        Webhook(url, **{"secret": "HOOKS", **more})
    assert "pa55" not in str(wrong.value)


@pytest.mark.parametrize(
    ("webhooks", "says"),
    [
        ([hook(), hook("https://hooks.example.com/other")], r"two webhooks hooks\.example\.com"),
        ([hook(programs=["clerk"])], "programs: there is no 'clerk'; there are desk"),
        (hook(), r"webhooks is a list"),
        (["https://hooks.example.com"], r"webhooks is a list"),
    ],
)
def test_g15_an_application_has_webhooks_that_fit_it(webhooks: Any, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        App(programs=[a_desk()], webhooks=webhooks)


# --- what is owed (pure) ---------------------------------------------------------------------------------------

ERROR = Failure(code="c", message="m")
LISTENERS = (Listener(name="one"), Listener(name="two", on=("ended",)))


def happened(*bodies: ev.Body) -> list[Event]:
    return [Event(seq=seq, at=START, actor=Actor(kind="engine"), body=body) for seq, body in enumerate(bodies, 1)]


def reconciled(answer: Any) -> ev.CallReconciled:
    return ev.CallReconciled(call="1.0", answer=answer)


@pytest.mark.parametrize(
    ("body", "owed"),
    [
        (ev.ApprovalReminded(call="1.0", due_at=START, expires_at=START), ["one"]),
        (ev.SessionParked(error=ERROR), ["one"]),
        (ev.LimitReached(limit="turns", spent=1, needed=1, allowed=1), ["one"]),
        (reconciled("unknown"), ["one"]),
        (reconciled("not_done"), []),
        (ev.CallInDoubt(call="1.0", attempt=1, error=ERROR), []),
        (ev.SessionPaused(), []),
        (ev.SessionCompleted(), ["one", "two"]),
        (ev.SessionFailed(error=ERROR), ["one", "two"]),
        (ev.SessionCancelled(), ["one", "two"]),
    ],
)
def test_g5_who_is_owed_what(body: ev.Body, owed: list[str]) -> None:
    events = happened(ev.TimerFired(timer="t", due_at=START), body)
    assert [duty.webhook for duty in duties_of(events, None, LISTENERS) if isinstance(duty, Tell)] == owed
    assert {duty.seq for duty in duties_of(events, None, LISTENERS) if isinstance(duty, Tell)} <= {2}
    assert first_owed(events, None, LISTENERS) == (2 if owed else 0)
    assert first_owed(events, None) == 0


def test_g5_what_is_owed_to_webhooks_is_owed_beside_what_sessions_are() -> None:
    left = ev.ChildLeft(call="1.0", session="kid", cancel=True)
    duties = list(duties_of(happened(left, ev.SessionCompleted()), "boss", LISTENERS))
    assert [type(duty) for duty in duties] == [CancelChild, TellParent, Tell, Tell]


def test_a_head_keeps_whom_it_owes() -> None:
    head, _ = opening()
    told = replace(head, listeners=LISTENERS)
    assert from_json(to_json(told), published=1, wake_at=None, fold=None).listeners == LISTENERS
    assert "listeners" not in to_json(head)


# --- what is sent (pure) ---------------------------------------------------------------------------------------


def test_the_signature_is_that_of_the_specification() -> None:
    """The example that the specification's own libraries are tested with."""
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    found = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_secret_that_is_no_base64_though_it_says_so_is_refused_and_not_shown() -> None:
    with pytest.raises(BadInput, match="no base64") as wrong:
        signature("whsec_!!!", "id", 1, b"")
    assert "!!!" not in str(wrong.value)


@pytest.mark.parametrize(("secret", "says"), [("whsec_é", "no base64"), ("whsec_", "empty"), ("", "empty")])
def test_nothing_is_signed_with_what_is_no_secret(secret: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        signature(secret, "id", 1, b"")


def test_an_id_is_of_one_event_and_one_webhook() -> None:
    ids = {message_id(key, seq, name) for key in "ab" for seq in (1, 2) for name in ("one", "two")}
    assert len(ids) == 8
    assert message_id("a", 1, "one") == message_id("a", 1, "one")


def test_it_is_tried_for_three_days_and_an_hour_apart_at_most() -> None:
    delays = [AGAIN.after(attempt) for attempt in range(1, AGAIN.attempts)]
    assert (delays[0], max(delays)) == (5.0, 3600.0)
    assert timedelta(days=2.9) < timedelta(seconds=sum(delays)) < timedelta(days=3.1)
