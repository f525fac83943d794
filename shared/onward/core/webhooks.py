"""Webhooks as an application declares them, what heads know of them, and how what they are sent is named and signed.

The signature is that of Standard Webhooks: HMAC-SHA256 over `id.timestamp.body`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from types import MappingProxyType
from typing import Any, Literal, get_args
from urllib.parse import SplitResult, urlsplit

from onward.core.canonical import digest
from onward.core.events import (
    ApprovalReminded,
    ApprovalRequested,
    Body,
    CallReconciled,
    LimitReached,
    SessionCancelled,
    SessionCompleted,
    SessionFailed,
    SessionParked,
    Value,
)
from onward.core.retry import Retry
from onward.errors import BadInput

Occasion = Literal["approval_requested", "approval_reminded", "needs_attention", "ended"]
"""What a webhook can be told of: somebody is asked, somebody is asked again, an operator is needed, it is over."""

OCCASIONS: tuple[Occasion, ...] = get_args(Occasion)

AGAIN = Retry(attempts=81, first=5.0, longest=3600.0)
"""How often, and when, a receiver is tried that does not take what it is sent: for three days in all."""

_OCCASIONS: Mapping[type[Body], Occasion] = MappingProxyType(
    {
        ApprovalRequested: "approval_requested",
        ApprovalReminded: "approval_reminded",
        SessionParked: "needs_attention",
        LimitReached: "needs_attention",
        CallReconciled: "needs_attention",
        SessionCompleted: "ended",
        SessionFailed: "ended",
        SessionCancelled: "ended",
    }
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_ENCODED = "whsec_"


def occasion_of(body: Body) -> Occasion | None:
    """What a webhook could be told where this has happened. A call in doubt is no occasion before its own tool was
    asked, and nobody but a person can say what became of it."""
    if isinstance(body, CallReconciled) and body.answer != "unknown":
        return None
    return _OCCASIONS.get(type(body))


class Listener(Value):
    """A webhook as the heads of sessions know it: its name, and what it is told of."""

    name: str
    on: tuple[Occasion, ...] = OCCASIONS


@dataclass(frozen=True, slots=True, repr=False)
class Webhook:
    """An address that is told, by a signed POST, when people are needed for a session of the application, or it ends.

    `on` says when: `approval_requested`, `approval_reminded`, `needs_attention`, `ended`; all by default. `secret` is
    the name of the secret that what is sent is signed with: the application's `secrets` know it. With `programs` only
    sessions of these are told of. `name` is the host unless it is given; two webhooks have different ones, and what
    was not delivered yet goes to whichever has the name. `allow_private` lets the URL be http and lead to this machine
    or a private network: for development.

    Raises BadInput, which names the field.
    """

    url: str
    _: KW_ONLY
    secret: str
    on: Sequence[Occasion] = OCCASIONS
    programs: Sequence[str] = ()
    name: str = ""
    allow_private: bool = False

    def __post_init__(self) -> None:
        parts = _checked_url(self.url, self.allow_private)
        if not isinstance(self.secret, str) or not self.secret:
            raise BadInput("webhook: secret is the name of a secret, such as secret='HOOKS_SECRET'")
        object.__setattr__(self, "on", _occasions(self.on))
        object.__setattr__(self, "programs", _texts(self.programs, "programs"))
        object.__setattr__(self, "name", _checked_name(self.name or parts.hostname))

    def __repr__(self) -> str:
        """Without the URL: the path of one may be a secret."""
        return f"<webhook {self.name}: {', '.join(self.on)}>"

    def listener(self) -> Listener:
        """What heads know of it."""
        return Listener(name=self.name, on=tuple(self.on))

    def hears_of(self, program: str) -> bool:
        """Whether it is told of sessions of this program."""
        return not self.programs or program in self.programs


def _checked_url(url: Any, private: bool) -> SplitResult:
    """Its parts. The message shows none of it: a part may be a secret."""
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
        there = parts.hostname and parts.port != 0
    except ValueError:
        there = None
    if not there or parts.scheme not in ("https", "http") or re.search(r"[^\x21-\x7e]", url):
        raise BadInput("webhook: url is no URL such as https://hooks.example.com/onward")
    if parts.username is not None or parts.password is not None:
        raise BadInput("webhook: url holds a user or password; what is sent is signed, so that neither is needed")
    if parts.scheme != "https" and not private:
        raise BadInput("webhook: url must be https; for development, http is allowed with allow_private=True")
    return parts


def _checked_name(name: Any) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadInput(f"webhook: name {name!r} may have 1 to 63 letters, digits and ._-; give one with name=")
    return name


def _occasions(on: Any) -> tuple[Occasion, ...]:
    found = _texts(on, "on")
    wrong = [name for name in found if name not in OCCASIONS]
    if wrong or not found:
        what = f"{wrong[0]!r} is nothing to be told of" if wrong else "is empty"
        raise BadInput(f"webhook: on: {what}; it names some of {', '.join(OCCASIONS)}")
    return tuple(name for name in OCCASIONS if name in found)


def _texts(given: Any, field: str) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise BadInput(f"webhook: {field} is a {type(given).__name__}; give a list of names")
    found = tuple(given)
    if not all(isinstance(text, str) for text in found):
        raise BadInput(f"webhook: {field} is a list of names, and not all of these are text")
    return found


# --- what is sent ----------------------------------------------------------------------------------------------


def message_id(key: str, seq: int, webhook: str) -> str:
    """The same at every attempt to tell this webhook of this event, and for no other event or webhook."""
    return f"msg_{digest([key, seq, webhook])[:32]}"


def signature(secret: str, id: str, timestamp: int, body: bytes) -> str:
    """What the receiver finds in `webhook-signature`. A secret `whsec_...` is base64; any other one is taken as it
    stands."""
    signed = f"{id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(_key(secret), signed, hashlib.sha256).digest()).decode()


def _key(secret: str) -> bytes:
    """Raises BadInput, which shows none of it."""
    try:
        key = base64.b64decode(secret.removeprefix(_ENCODED), validate=True) if _encoded(secret) else secret.encode()
    except ValueError:
        raise BadInput("the secret begins with whsec_ and goes on with something that is no base64") from None
    if not key:
        raise BadInput("the secret is empty: anybody could sign with that")
    return key


def _encoded(secret: str) -> bool:
    return secret.startswith(_ENCODED)
