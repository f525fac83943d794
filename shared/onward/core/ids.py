"""Names of things, all derived: the same inputs give the same id on every machine."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable

from onward.core.canonical import digest
from onward.errors import BadInput

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}")


def check_id(value: str, field: str = "id") -> str:
    """Return `value` if it may name a session or a tenant: 1 to 128 of `A-Za-z0-9._:@-`.

    Raises BadInput.
    """
    if not _ID.fullmatch(value):
        raise BadInput(
            f"{field}: {value[:60]!r} may have 1 to 128 letters, digits and ._:@- and starts with one of the first two"
        )
    return value


def is_among(name: str, names: Iterable[str]) -> bool:
    """Whether somebody is one of these: an address is the same in upper and lower case, and nobody is two people by
    writing it otherwise."""
    return name.casefold() in {each.casefold() for each in names}


def session_key(tenant: str, session: str) -> str:
    """The storage key of a session: spreads load, and never shows a tenant's ids."""
    return hashlib.sha256(f"{tenant}\0{session}".encode()).hexdigest()[:32]


def call_id(seq: int, index: int) -> str:
    """A call is named by the event that proposed it, never by the model."""
    return f"{seq}.{index}"


def child_id(session: str, call: str) -> str:
    """The id of the session that a call of another session is: the same call is the same child."""
    parent = session if len(session) <= 100 else digest(session)[:32]
    return f"{parent}:{call}"


def call_of(child: str) -> str:
    """The call that a child session is."""
    return child.rpartition(":")[2]


def idempotency_key(session: str, call: str) -> str:
    """The key a tool passes on: the same at every attempt of this call."""
    return f"{session}/{call}"


def signal_id(caller: str, kind: str, key: str) -> str:
    """The id a signal is filed under: the same caller, kind and key are the same signal."""
    return digest([caller, kind, key])[:32]


def completion_token(secret: bytes, key: str, call: str, attempt: int) -> str:
    """The unguessable word by which an attempt at a call is completed from outside. Never stored: it is derived again
    to compare."""
    return hmac.new(secret, f"completion\0{key}\0{call}\0{attempt}".encode(), hashlib.sha256).hexdigest()[:40]
