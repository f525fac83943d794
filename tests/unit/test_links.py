"""Links to approvals: what a token says, and that nobody else can make one."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward.core.ids import completion_token
from onward.core.links import LONGEST, Link, link_path, made, read
from onward.errors import BadInput, NotFound

SECRET = b"a secret of the deployment"
LINK = Link("acme", "r-1", "3.0", "ab" * 32, datetime(2026, 11, 21, 7, 25, 36, 709123, UTC), decided=2)


def test_a_link_is_read_as_it_was_made() -> None:
    assert read(SECRET, made(SECRET, LINK)) == LINK
    assert link_path(SECRET, LINK) == f"/link/{made(SECRET, LINK)}"
    elsewhere = LINK.expires.astimezone(timezone(timedelta(hours=5)))
    assert made(SECRET, replace(LINK, expires=elsewhere)) == made(SECRET, LINK)


def test_g8_every_fact_of_a_link_is_signed() -> None:
    others = [
        replace(LINK, tenant="beta"),
        replace(LINK, session="r-2"),
        replace(LINK, call="3.1"),
        replace(LINK, digest="cd" * 32),
        replace(LINK, expires=LINK.expires + timedelta(seconds=1)),
        replace(LINK, decided=3),
    ]
    said, signature = made(SECRET, LINK).rsplit(".", 1)
    for other in others:
        forged = made(SECRET, other).rsplit(".", 1)[0]
        assert forged != said
        _refused(f"{forged}.{signature}")


def _refused(token: str) -> None:
    with pytest.raises(NotFound) as found:
        read(SECRET, token)
    assert found.value.code == "link_forged"
    assert SECRET.decode() not in str(found.value)


def test_g8_what_another_secret_or_another_purpose_made_is_no_link() -> None:
    _refused(made(b"another secret", LINK))
    said = made(SECRET, LINK).rsplit(".", 1)[0]
    _refused(f"{said}.{completion_token(SECRET, 'key', '3.0', 1)}")


@pytest.mark.parametrize("token", ["", ".", "..", "1..", "1.e30.", "\ud800", "é.é.é", "x" * (LONGEST + 1), "\0" * 9])
def test_what_is_malformed_is_no_link(token: str) -> None:
    _refused(token)


def test_a_token_of_another_version_is_no_link() -> None:
    token = made(SECRET, LINK)
    _refused(f"2{token[1:]}")
    _refused(token.partition(".")[2])


@given(at=st.integers(0, len(made(SECRET, LINK)) - 1), letter=st.characters())
def test_no_letter_of_a_token_can_be_changed(at: int, letter: str) -> None:
    token = made(SECRET, LINK)
    if token[at] != letter:
        _refused(token[:at] + letter + token[at + 1 :])


def test_a_token_can_stand_in_a_url() -> None:
    long = Link("t" * 128, "s" * 128, "123456789.99", "ab" * 32, LINK.expires, 10**6)
    token = made(SECRET, long)
    assert len(token) < LONGEST
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
    assert b"acme" in base64.urlsafe_b64decode(made(SECRET, LINK).split(".")[1] + "==")


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(BadInput, match="expires"):
        made(SECRET, replace(LINK, expires=datetime(2026, 1, 1)))  # noqa: DTZ001 - that is what is wrong
