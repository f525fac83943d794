"""Identity tokens as Google signs them for pushes, tasks and jobs, by a key of this process alone.

A receiver verifies them as in production, with the keys that `Tokens.url` serves: `/certs` in the form of Google's
own list (`google.oauth2.id_token.verify_token(..., certs_url=...)`), `/jwks` as a JSON Web Key Set. Assertions are
signed as Identity-Aware Proxy signs them, by a key that is served at `/iap`.
"""

from __future__ import annotations

import base64
import json
import time
import zlib
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from emulators.serving import Reply, Served

ISSUER = "https://accounts.google.com"
PROXY = "https://cloud.google.com/iap"
KEY_ID = "local"
LIVES = 3600

Command = Callable[[Mapping[str, str]], Any]


class Tokens(Served):
    """Signs tokens from its making on, and until it is closed serves at `url` the keys to verify them by.

    `commands` are further paths, for POST: each is given the query and answers JSON.
    """

    def __init__(self, *, port: int = 0, commands: Mapping[str, Command] | None = None) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._proxy = ec.generate_private_key(ec.SECP256R1())
        self._commands = commands or {}
        super().__init__(port)

    def handle(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
        found = self.answer(method, path)
        kind = {"Content-Type": "application/json"}
        return Reply(404 if found is None else 200, json.dumps(found).encode(), kind)

    def sign(self, email: str, audience: str) -> str:
        """A token that says: whoever brings it is this service account, and means this audience. For an hour."""
        now = int(time.time())
        who = {"email": email, "email_verified": True, "sub": str(zlib.crc32(email.encode())), "azp": email}
        claims = {"iss": ISSUER, "aud": audience, "iat": now, "exp": now + LIVES, **who}
        signed = f"{_part({'alg': 'RS256', 'kid': KEY_ID, 'typ': 'JWT'})}.{_part(claims)}"
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_text(signature)}"

    def vouch(self, email: str, audience: str, /, **more: Any) -> str:
        """What the proxy says of whoever it lets through: a person, to this audience. For ten minutes."""
        now = int(time.time())
        claims = {"iss": PROXY, "aud": audience, "iat": now, "exp": now + 600, "email": email, "sub": email} | more
        signed = f"{_part({'alg': 'ES256', 'kid': KEY_ID, 'typ': 'JWT'})}.{_part(claims)}"
        r, s = utils.decode_dss_signature(self._proxy.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{_text(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    def certs(self) -> dict[str, str]:
        """The public key by its id, in PEM."""
        return {KEY_ID: _pem(self._key)}

    def proxy_certs(self) -> dict[str, str]:
        """The same of the proxy's."""
        return {KEY_ID: _pem(self._proxy)}

    def jwks(self) -> dict[str, Any]:
        numbers = self._key.public_key().public_numbers()
        key = {
            "kty": "RSA",
            "alg": "RS256",
            "use": "sig",
            "kid": KEY_ID,
            "n": _number(numbers.n),
            "e": _number(numbers.e),
        }
        return {"keys": [key]}

    def answer(self, method: str, path: str) -> Any:
        """What lies at this path, or None."""
        split = urlsplit(path)
        if method == "POST":
            command = self._commands.get(split.path)
            return command(dict(parse_qsl(split.query))) if command else None
        served: dict[str, Callable[[], Any]] = {"/certs": self.certs, "/iap": self.proxy_certs, "/jwks": self.jwks}
        return served[split.path]() if split.path in served else None


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def _part(value: Any) -> str:
    return _text(json.dumps(value).encode())


def _number(value: int) -> str:
    return _text(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
