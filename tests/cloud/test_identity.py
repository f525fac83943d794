"""Whose token is believed: keys, audience, issuer, time and address must all be right."""

from __future__ import annotations

import importlib.util
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

if importlib.util.find_spec("cryptography") is None or importlib.util.find_spec("google") is None:
    pytest.skip("google-auth is missing: pip install -e '.[gcp]'", allow_module_level=True)

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import crypt, jwt

from emulators.tokens import KEY_ID, Tokens
from onward.adapters.gcp.identity import AGAIN, PROXY, Identities, Issued
from onward.errors import Retryable, Unidentified
from onward.testing.clock import ManualClock

AUDIENCE, ISSUER = "onward-api", "https://accounts.google.com"


@pytest.fixture
def tokens() -> Iterator[Tokens]:
    with Tokens() as tokens:
        yield tokens


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def identities(tokens: Tokens, clock: ManualClock) -> Identities:
    return Identities(bearer(clock, f"{tokens.url}/certs"))


def bearer(clock: ManualClock, url: str) -> Issued:
    return Issued(clock, "authorization", url, "RS256", (AUDIENCE, "another"), (ISSUER,))


def signed(tokens: Tokens, kid: str = KEY_ID, **claims: Any) -> str:
    """A token with these claims, by the key of those tokens."""
    now = int(time.time())
    who = {"iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 60, "email": "ann@x.org", "email_verified": True}
    key = tokens._key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    said = {name: value for name, value in (who | claims).items() if value is not None}
    return jwt.encode(crypt.RSASigner.from_string(key, kid), said).decode()


async def test_who_is_named_is_known(tokens: Tokens, identities: Identities) -> None:
    assert await identities.email(f"Bearer {signed(tokens)}") == "ann@x.org"
    assert await identities.email(f"bearer {signed(tokens, aud='another')}") == "ann@x.org"
    assert await identities.email(f"Bearer {tokens.sign('bob@x.org', AUDIENCE)}") == "bob@x.org"


PAST = int(time.time()) - 7200

WRONG: dict[str, dict[str, Any]] = {
    "meant for another": {"aud": "elsewhere"},
    "meant for nobody": {"aud": None},
    "of another issuer": {"iss": "https://evil.example"},
    "expired": {"iat": PAST, "exp": PAST + 60},
    "without an end": {"exp": None},
    "not yet valid": {"iat": int(time.time()) + 7200, "exp": int(time.time()) + 9000},
    "without an address": {"email": None},
    "with an address that nobody verified": {"email_verified": False},
    "with an address verified by a word": {"email_verified": "true"},
}


@pytest.mark.parametrize("claims", WRONG.values(), ids=WRONG)
async def test_g8_a_token_is_not_believed(tokens: Tokens, identities: Identities, claims: dict[str, Any]) -> None:
    with pytest.raises(Unidentified, match=r"^authorization: the token "):
        await identities.email(f"Bearer {signed(tokens, **claims)}")


async def test_g8_another_key_signs_nothing(tokens: Tokens, identities: Identities) -> None:
    good = signed(tokens)
    tokens._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    await identities.email(f"Bearer {signed(tokens)}")  # fetches the keys that are served now
    with pytest.raises(Unidentified, match="not valid"):
        await identities.email(f"Bearer {good}")


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer  ", "Basic YTpi", "Bearer x", "Bearer a.b.c"])
async def test_what_is_no_token_names_nobody(identities: Identities, header: str | None) -> None:
    with pytest.raises(Unidentified):
        await identities.email(header)


@pytest.mark.parametrize("secret", ["hunter2", "hunter2.aHVudGVyMg.x", "aHVudGVyMg.b.c"])
async def test_what_may_be_a_secret_is_shown_to_nobody(identities: Identities, secret: str) -> None:
    with pytest.raises(Unidentified, match="it is no token of the kind that is taken here") as caught:
        await identities.email(f"Bearer {secret}")
    assert not {"hunter2", "aHVudGVyMg"} & set(re.findall(r"\w+", str(caught.value)))


async def test_an_unsigned_token_names_nobody(tokens: Tokens, identities: Identities) -> None:
    header, body, _ = signed(tokens).split(".")
    none = "eyJhbGciOiJub25lIiwia2lkIjoibG9jYWwifQ"  # {"alg":"none","kid":"local"}
    for forged in (f"{none}.{body}.", f"{header}.{body}."):
        with pytest.raises(Unidentified):
            await identities.email(f"Bearer {forged}")


async def test_keys_are_fetched_anew_for_a_new_one_but_not_for_every_stranger(
    tokens: Tokens, identities: Identities, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[str] = []
    monkeypatch.setattr("onward.adapters.gcp.identity._fetch", lambda url: fetched.append(url) or tokens.certs())
    await identities.email(f"Bearer {signed(tokens)}")
    for _ in range(3):
        with pytest.raises(Unidentified):
            await identities.email(f"Bearer {signed(tokens, kid='new')}")
    assert len(fetched) == 1
    clock.advance(AGAIN + 1)
    monkeypatch.setattr(tokens, "certs", lambda: {"new": Tokens.certs(tokens)[KEY_ID]})
    assert await identities.email(f"Bearer {signed(tokens, kid='new')}") == "ann@x.org"
    assert len(fetched) == 2


async def test_without_keys_nobody_is_refused_for_good(clock: ManualClock) -> None:
    identities = Identities(bearer(clock, "http://127.0.0.1:9/certs"))
    with Tokens() as tokens, pytest.raises(Retryable, match="keys"):
        await identities.email(f"Bearer {signed(tokens)}")


# --- behind Identity-Aware Proxy -----------------------------------------------------------------------------------

PLACE = "/projects/1/global/backendServices/2"


@pytest.fixture
def proxied(tokens: Tokens, clock: ManualClock) -> Identities:
    """Identities of an API that stands behind the proxy."""
    word = Issued(clock, "x-goog-iap-jwt-assertion", f"{tokens.url}/iap", "ES256", (PLACE,), PROXY)
    return Identities(bearer(clock, f"{tokens.url}/certs"), word)


async def test_whom_the_proxy_lets_through_is_known(tokens: Tokens, proxied: Identities) -> None:
    assert await proxied.email(None, tokens.vouch("ann@x.org", PLACE)) == "ann@x.org"
    mine = f"Bearer {tokens.sign('bob@x.org', AUDIENCE)}"
    assert await proxied.email(mine, tokens.vouch("ann@x.org", PLACE)) == "ann@x.org"
    assert await proxied.email(mine, None) == "bob@x.org"


UNTRUE: dict[str, dict[str, Any]] = {
    "of another place": {"aud": "/projects/1/global/backendServices/3"},
    "of another issuer": {"iss": ISSUER},
    "expired": {"iat": PAST, "exp": PAST + 60},
    "without an address": {"email": None},
    "of another directory": {"email": "securetoken.google.com/p/t:ann@x.org"},
}


@pytest.mark.parametrize("claims", UNTRUE.values(), ids=UNTRUE)
async def test_g8_an_assertion_is_not_believed(tokens: Tokens, proxied: Identities, claims: dict[str, Any]) -> None:
    with pytest.raises(Unidentified, match=r"^x-goog-iap-jwt-assertion: the token "):
        await proxied.email(None, tokens.vouch("ann@x.org", PLACE, **claims))


async def test_g8_each_kind_of_token_has_its_own_keys_and_header(tokens: Tokens, proxied: Identities) -> None:
    mine, vouched = signed(tokens, aud=PLACE, iss=PROXY[0]), tokens.vouch("ann@x.org", AUDIENCE, iss=ISSUER)
    for wrong in (mine, signed(tokens), "x", "a.b.c"):
        with pytest.raises(Unidentified, match="x-goog-iap-jwt-assertion: the token is not valid"):
            await proxied.email(None, wrong)
    with pytest.raises(Unidentified, match="authorization: the token is not valid"):
        await proxied.email(f"Bearer {vouched}")


async def test_g8_an_assertion_is_nothing_where_no_proxy_stands(tokens: Tokens, identities: Identities) -> None:
    with pytest.raises(Unidentified, match="an identity token is needed"):
        await identities.email(None, tokens.vouch("ann@x.org", PLACE))
