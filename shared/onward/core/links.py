"""Links that open one approval: a name for it that only the deployment can make.

A link grants nothing. Who opens it, and who decides, is known by an identity and has a role, as without one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime

from onward.core.canonical import canonical
from onward.core.ids import check_id
from onward.errors import BadInput, NotFound

VERSION = "1"
LONGEST = 2048
"""Characters of a token; a longer one is not looked at."""

_PURPOSE = b"onward approval link"


@dataclass(frozen=True, slots=True)
class Link:
    """The approval of one exact call: `digest` covers tool and arguments. It opens nothing after `expires`, and nothing
    once there are more decisions on the call than the `decided` ones that there were when it was made."""

    tenant: str
    session: str
    call: str
    digest: str
    expires: datetime
    decided: int = 0


def made(secret: bytes, link: Link) -> str:
    """The token of a link, for a URL: signed with a key that is the secret's for this purpose alone. Raises BadInput
    for a time without a zone."""
    if link.expires.tzinfo is None:
        raise BadInput("expires: a time has a zone")
    at = link.expires.astimezone(UTC).isoformat()
    said = canonical([link.tenant, link.session, link.call, link.digest, at, link.decided])
    signed = f"{VERSION}.{_text(said.encode())}"
    return f"{signed}.{_signature(secret, signed)}"


def read(secret: bytes, token: str) -> Link:
    """The link of a token, expired or not. Raises NotFound (`link_forged`) for one that this deployment never made."""
    signed, _, signature = token[: LONGEST + 1].rpartition(".")
    genuine = hmac.compare_digest(_signature(secret, signed).encode(), signature.encode(errors="replace"))
    version, _, said = signed.partition(".")
    if not genuine or len(token) > LONGEST or version != VERSION:
        raise NotFound("link: it is none that was made here, or was cut or changed on its way", "link_forged")
    tenant, session, call, digest, at, decided = json.loads(_bytes(said))
    return Link(
        check_id(tenant, "tenant"), check_id(session, "session"), call, digest, datetime.fromisoformat(at), decided
    )


def link_path(secret: bytes, link: Link) -> str:
    """Where a link is opened, below the address of the console."""
    return f"/link/{made(secret, link)}"


def _signature(secret: bytes, signed: str) -> str:
    key = hmac.new(secret, _PURPOSE, hashlib.sha256).digest()
    return _text(hmac.new(key, signed.encode(errors="replace"), hashlib.sha256).digest())


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
