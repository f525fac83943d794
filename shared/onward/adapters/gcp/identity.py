"""Who calls: what a token says that Google, or another issuer that is trusted, has signed.

It comes from the caller as a bearer token, or from Identity-Aware Proxy as its assertion."""

from __future__ import annotations

import asyncio
import json
import re
import urllib.request
from collections.abc import Mapping
from typing import Any

from onward.errors import Retryable, Unidentified
from onward.ports import Clock

KEYS_LAST = 3600.0
"""Seconds until keys are fetched anew."""

AGAIN = 30.0
"""Seconds between two fetches because of tokens of unknown keys: anybody can send those."""

SKEW = 10
"""Seconds that the issuer's clock may differ."""

PROXY = ("https://cloud.google.com/iap",)
"""Who issues the assertions of Identity-Aware Proxy."""

ASSERTION = "x-goog-iap-jwt-assertion"

_TELLS = ("Token ", "Could not verify token signature", "Certificate for key id ", "it is not signed by ")
"""How what is said of a token begins, where it is said of one that can be read; else the token itself may be in it."""

_PLAIN = re.compile(r"[^@\s:/]+@[^@\s:/]+")
"""An address. An account of another directory comes with its name before it: that is nobody's address."""


class Issued:
    """Tokens of one kind: signed by `algorithm` with keys that are fetched from `url` when first needed, meant for one
    of `audiences`, from one of `issuers`, and not expired. `name` is the header they come in."""

    def __init__(
        self, clock: Clock, name: str, url: str, algorithm: str, audiences: tuple[str, ...], issuers: tuple[str, ...]
    ) -> None:
        self._clock, self._name, self._url, self._algorithm = clock, name, url, algorithm
        self._audiences = audiences
        self._issuers = issuers
        self._keys: Mapping[str, str] = {}
        self._fetched: float | None = None
        self._fetching = asyncio.Lock()

    async def claims(self, token: str) -> Mapping[str, Any]:
        """What the token says. Raises Unidentified, and Retryable where the keys can't be had."""
        from google.auth import exceptions, jwt

        try:
            header = jwt.decode_header(token)
            if header.get("alg") != self._algorithm:
                raise ValueError(f"it is not signed by {self._algorithm}")
            keys = await self._known(str(header.get("kid", "")))
            claims = jwt.decode(token, keys, audience=list(self._audiences), clock_skew_in_seconds=SKEW)
        except (exceptions.GoogleAuthError, ValueError, TypeError, KeyError) as exc:
            raise Unidentified(f"{self._name}: the token is not valid: {_said(exc)}") from None
        if claims.get("iss") not in self._issuers:
            raise Unidentified(f"{self._name}: the token comes from an issuer that is not trusted here")
        return dict(claims)

    async def _known(self, kid: str) -> Mapping[str, str]:
        """The keys, with this one if there is one."""
        async with self._fetching:
            age = None if self._fetched is None else self._clock.monotonic() - self._fetched
            if age is None or age > KEYS_LAST or (kid not in self._keys and age > AGAIN):
                self._keys = await asyncio.to_thread(_fetch, self._url)
                self._fetched = self._clock.monotonic()
        return self._keys


class Identities:
    """Names callers. `bearer` are the tokens of people and services; `proxied` those of Identity-Aware Proxy, if this
    deployment stands behind it: then its word goes before a bearer token."""

    def __init__(self, bearer: Issued, proxied: Issued | None = None) -> None:
        self._bearer = bearer
        self._proxied = proxied

    async def email(self, authorization: str | None, assertion: str | None = None) -> str:
        """The verified address of whoever sent these headers. Raises Unidentified, and Retryable where the keys can't
        be had."""
        if self._proxied is not None and assertion:
            return _address(ASSERTION, await self._proxied.claims(assertion))
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unidentified("authorization: an identity token is needed: Authorization: Bearer TOKEN")
        claims = await self._bearer.claims(token.strip())
        if claims.get("email_verified") is not True:
            raise Unidentified("authorization: the token names no verified e-mail address")
        return _address("authorization", claims)


def _said(exc: Exception) -> str:
    """What is wrong with a token, where that shows nothing of it."""
    text = str(exc)
    return text[:200] if text.startswith(_TELLS) else "it is no token of the kind that is taken here"


def _address(header: str, claims: Mapping[str, Any]) -> str:
    email = claims.get("email")
    if not isinstance(email, str) or not _PLAIN.fullmatch(email):
        raise Unidentified(f"{header}: the token names no verified e-mail address")
    return email


def _fetch(url: str) -> Mapping[str, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            found = json.load(answer)
    except (OSError, ValueError) as exc:
        raise Retryable(f"the keys of tokens can't be had from {url}: {exc}") from exc
    return {str(kid): str(pem) for kid, pem in found.items()}
