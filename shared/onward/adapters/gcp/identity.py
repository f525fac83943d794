"""Who calls: what a bearer token says that Google, or another issuer that is trusted, has signed."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Mapping
from typing import Any

from onward.errors import Retryable, UsageError
from onward.ports import Clock

KEYS_LAST = 3600.0
"""Seconds until keys are fetched anew."""

AGAIN = 30.0
"""Seconds between two fetches because of tokens of unknown keys: anybody can send those."""

SKEW = 10
"""Seconds that the issuer's clock may differ."""


class Unidentified(UsageError):
    """Nobody is known by this token."""

    code = "unidentified"


class Identities:
    """Verifies tokens: the signature, by keys that are fetched from `certs_url` when first needed; that they are meant
    for one of `audiences`, come from one of `issuers`, and have not expired; and that the address was verified."""

    def __init__(self, clock: Clock, certs_url: str, audiences: tuple[str, ...], issuers: tuple[str, ...]) -> None:
        self._clock = clock
        self._url = certs_url
        self._audiences = audiences
        self._issuers = issuers
        self._keys: Mapping[str, str] = {}
        self._fetched: float | None = None
        self._fetching = asyncio.Lock()

    async def email(self, authorization: str | None) -> str:
        """The address of whoever sent this header. Raises Unidentified, and Retryable where the keys can't be had."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unidentified("authorization: an identity token is needed: Authorization: Bearer TOKEN")
        return self._address(await self._claims(token.strip()))

    async def _claims(self, token: str) -> Mapping[str, Any]:
        from google.auth import exceptions, jwt

        try:
            keys = await self._known(str(jwt.decode_header(token).get("kid", "")))
            claims: Mapping[str, Any] = jwt.decode(
                token, keys, audience=list(self._audiences), clock_skew_in_seconds=SKEW
            )
            return claims
        except (exceptions.GoogleAuthError, ValueError, TypeError, KeyError) as exc:
            raise Unidentified(f"authorization: the token is not valid: {str(exc)[:200]}") from exc

    def _address(self, claims: Mapping[str, Any]) -> str:
        if claims.get("iss") not in self._issuers:
            raise Unidentified("authorization: the token comes from an issuer that is not trusted here")
        email = claims.get("email")
        if not isinstance(email, str) or not email or claims.get("email_verified") is not True:
            raise Unidentified("authorization: the token names no verified e-mail address")
        return email

    async def _known(self, kid: str) -> Mapping[str, str]:
        """The keys, with this one if there is one."""
        async with self._fetching:
            age = None if self._fetched is None else self._clock.monotonic() - self._fetched
            if age is None or age > KEYS_LAST or (kid not in self._keys and age > AGAIN):
                self._keys = await asyncio.to_thread(_fetch, self._url)
                self._fetched = self._clock.monotonic()
        return self._keys


def _fetch(url: str) -> Mapping[str, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            found = json.load(answer)
    except (OSError, ValueError) as exc:
        raise Retryable(f"the keys of tokens can't be had from {url}: {exc}") from exc
    return {str(kid): str(pem) for kid, pem in found.items()}
