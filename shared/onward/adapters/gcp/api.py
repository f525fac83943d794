"""The API of a deployment, asked in a person's name: with the identity token that says who that is (G8)."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onward.config import PLACE
from onward.errors import BadInput, NotAllowed, NotFound, OnwardError, Refused, Retryable, Unidentified
from onward.ports import Clock

ANSWERS_WITHIN = 60.0
"""Seconds: the API waits ten for a decision's outcome, and may have to be started first."""

LOGIN_WITHIN = 60.0
FRESH = 60.0
"""A token is asked for anew so many seconds before it expires."""

COMMAND = ("gcloud", "auth", "print-identity-token")
_HOW = "Log in with gcloud auth login, or set ONWARD_TOKEN to an identity token"


_JWT = re.compile(r"\A[\w-]+\.([\w-]+)\.[\w-]+\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Token:
    """An identity token, and what it says of itself. Whether that is true, who is asked finds out."""

    text: str
    email: str
    expires: float

    @classmethod
    def read(cls, text: str) -> Token:
        """Raises Unidentified for what is no identity token, or names nobody."""
        try:
            part = _JWT.findall(text)[0]
            claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
            return cls(text, str(claims["email"]), float(claims["exp"]))
        except (ValueError, LookupError, TypeError):
            raise Unidentified(f"token: it is no identity token that names an e-mail address. {_HOW}") from None


class PersonalApi:
    """The API at `url` of the deployment at `place`, `PROJECT/DATABASE`, for the person whom `token` names, or else
    whoever is logged in to gcloud."""

    def __init__(self, url: str, token: str | None, place: str, clock: Clock) -> None:
        self._url = url.rstrip("/")
        self._place = place
        self._given = token
        self._clock = clock
        self._token: Token | None = None

    async def person(self) -> str:
        """The address of whoever asks. Raises Unidentified."""
        return (await self._known()).email

    async def ask(self, method: str, path: str, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the API answers. The token goes in two headers: what stands before the API takes the second one, and
        leaves the first whole, which the API verifies itself.

        Raises what it says to be wrong as the library would, Unidentified where it takes the token for nobody's, and
        Retryable where it did not answer: it may have heard all the same, and whatever is asked here may be asked
        again."""
        bearer, body = f"Bearer {(await self._known()).text}", json.dumps(document, default=_plain).encode()
        headers = {"Authorization": bearer, "X-Serverless-Authorization": bearer, PLACE: self._place}
        status, text = await asyncio.to_thread(_post, f"{self._url}{path}", method, body, headers)
        doc = _document(text)
        if status < 300 and doc:
            return doc
        raise self._refusal(status, doc)

    async def _known(self) -> Token:
        if self._token is None or self._token.expires - FRESH < self._clock.now().timestamp():
            text = await asyncio.to_thread(_from_gcloud) if self._given is None else self._given
            self._token = Token.read(text)
        return self._token

    def _refusal(self, status: int, problem: Mapping[str, Any]) -> OnwardError:
        """The error that a problem document tells of."""
        if "code" not in problem:
            return self._foreign(status)
        code, detail, stands = (str(problem.get(name) or "") for name in ("code", "detail", "stands"))
        if status == 409:
            return Refused(detail.removesuffix(f": {stands}"), code, stands)
        if status == 403:
            return NotAllowed(detail, code)
        kinds: dict[int, type[OnwardError]] = {400: BadInput, 401: Unidentified, 404: NotFound}
        return kinds.get(status, Retryable if status >= 500 else OnwardError)(detail)

    def _foreign(self, status: int) -> OnwardError:
        """What was not said by the API, but by what stands before it."""
        if status in (401, 403):
            who = self._token.email if self._token else "this token"
            return Unidentified(f"{self._url} lets {who} not in ({status}): the role run.invoker is needed")
        return Retryable(f"{self._url} answered {status}, which no API of Onward's does; is ONWARD_API_URL right?")


def _from_gcloud() -> str:
    try:
        done = subprocess.run(COMMAND, capture_output=True, text=True, timeout=LOGIN_WITHIN, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise Unidentified(f"who decides is not known, as gcloud does not run ({type(exc).__name__}). {_HOW}") from exc
    if done.returncode or not done.stdout.strip():
        said = (done.stderr.strip() or "nothing").splitlines()[0][:300]
        raise Unidentified(f"who decides is not known, as gcloud says: {said} {_HOW}")
    return done.stdout.strip()


class _Stay(urllib.request.HTTPRedirectHandler):
    """A token goes to the address it is meant for, and nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _post(url: str, method: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
    """Status and answer."""
    sent = {"Content-Type": "application/json", **headers}
    request = urllib.request.Request(url, body, sent, method=method)
    try:
        with urllib.request.build_opener(_Stay).open(request, timeout=ANSWERS_WITHIN) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, exc.read()
    except (OSError, http.client.HTTPException) as exc:
        raise Retryable(f"the API at {url} did not answer: {exc}; the same again does no harm") from exc


def _document(text: bytes) -> Mapping[str, Any]:
    try:
        doc = json.loads(text)
    except ValueError:
        return {}
    return doc if isinstance(doc, dict) else {}


def _plain(value: Any) -> Any:
    """A file in what is sent carries its bytes."""
    return value.model_dump(mode="json")
