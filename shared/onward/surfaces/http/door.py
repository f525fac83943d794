"""What every request passes before it is looked at: where it comes from, who asks, and how much they say."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from onward.config import PLACE
from onward.errors import BadInput, NotAllowed, OnwardError, Refused
from onward.surfaces.http.problems import TooLarge, WrongMedia, crashed

BODY = 1024 * 1024
"""Bytes that a request may have in general."""

WITH_FILES = 30 * 1024 * 1024
"""Bytes of one that may bring files along: the largest file as base64 text, and what is said with it."""

API = "/v1/"
"""What programs ask for begins so; the rest are pages for people."""

JSON, FORM = "application/json", "application/x-www-form-urlencoded"

LINGERS = 0.5
"""Seconds that the next part of what is dropped may take to come."""

DIGITS = 12
"""Of a length that is worth reading."""

_FILES = re.compile(r"/v1/(sessions(/[^/]+/(inputs|completions))?|imports)/?")
_OPEN = frozenset({"/v1/openapi.json"})
"""Who asks for these need not be known: they say nothing of any session."""

_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

Who = Callable[[Mapping[str, str]], Awaitable[str]]
"""Who sent these headers. Raises Unidentified."""

Refusal = Callable[[Scope, OnwardError], Response]
"""What is answered to a request that is turned away for this reason."""


class Door:
    """Lets in requests of callers who are known, whole and of a bearable size, and none that are meant for sessions
    elsewhere than at `place`. With `hosts` only those that were sent to one of these names: a page of another site
    can't make them, whatever its own name resolves to. `refusal` is what the others are answered."""

    def __init__(
        self, app: ASGIApp, who: Who, refusal: Refusal, place: str | None, hosts: frozenset[str] | None
    ) -> None:
        self._app, self._who, self._refusal, self._place, self._hosts = app, who, refusal, place, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        sending, receiving = _Sending(send), _Receiving(receive)
        try:
            heard = await self._admitted(scope, receiving)
            await self._app(scope, heard, sending)
        except OnwardError as exc:
            await receiving.drop()
            await self._refusal(scope, exc)(scope, receive, send)
        except Exception as exc:
            if sending.begun and not sending.ended:  # what was said can't be taken back: the connection is closed
                raise
            if not sending.begun:
                await crashed(exc)(scope, receive, send)

    async def _admitted(self, scope: Scope, receive: Receive) -> Receive:
        """Check a request, note who asks, and answer how the rest of it is received. Raises UsageError."""
        headers = Headers(scope=scope)
        _check_host(headers, self._hosts)
        _check_place(headers, self._place)
        writes = scope["method"] in _WRITES
        if writes:
            _check_origin(headers)
        if scope["path"] not in _OPEN:
            scope.setdefault("state", {})["caller"] = await self._who(headers)
        return await _whole(scope, headers, receive) if writes else receive


class _Receiving:
    """What is received, and whether more is to come."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._more = True

    async def __call__(self) -> Message:
        message = await self._receive()
        self._more = message["type"] == "http.request" and message.get("more_body", False)
        return message

    async def drop(self) -> None:
        """Drop what is still to come, as long as it comes: who is answered while they send may lose the answer with the
        connection."""
        size = 0
        with suppress(TimeoutError):
            while self._more and size <= WITH_FILES:
                async with asyncio.timeout(LINGERS):
                    size += len((await self()).get("body", b""))


class _Sending:
    """What is sent, and whether anything was, and all."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.begun = self.ended = False

    async def __call__(self, message: Message) -> None:
        self.begun = True
        self.ended = message["type"] == "http.response.body" and not message.get("more_body", False)
        await self._send(message)


def _check_host(headers: Headers, hosts: frozenset[str] | None) -> None:
    if hosts is not None and _name(f"//{headers.get('host', '')}") not in hosts:
        raise NotAllowed("host: this server is asked for under another name than its own", "wrong_host")


def _check_place(headers: Headers, place: str | None) -> None:
    """One who looks at the sessions of one deployment must not decide in another, where ids may be the same."""
    meant = headers.get(PLACE)
    if meant is not None and meant != place:
        stands = f"it has the sessions of {place}" if place else "it is no deployment's"
        raise Refused(f"{PLACE}: this API is not that of {meant[:200]!r}", "other_deployment", stands)


def _name(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _check_origin(headers: Headers) -> None:
    """What a browser sends from a page of another site is not done, whoever is logged in there."""
    origin = headers.get("origin")
    if origin is not None and origin.lower().partition("://")[2] != headers.get("host", "").lower():
        raise NotAllowed("origin: a page of another site may not do this", "wrong_origin")


async def _whole(scope: Scope, headers: Headers, receive: Receive) -> Receive:
    """The body, read as far as it may go, to be received again."""
    most = WITH_FILES if _FILES.fullmatch(scope["path"]) else BODY
    declared = headers.get("content-length", "0")
    if not declared.isdecimal() or len(declared) > DIGITS or int(declared) > WITH_FILES:
        raise TooLarge(f"body: at most {most} bytes are taken")
    body = await _read(receive, most)
    media = JSON if scope["path"].startswith(API) else FORM
    if body and headers.get("content-type", "").partition(";")[0].strip().lower() != media:
        raise WrongMedia(f"body: Content-Type: {media} is wanted")
    return _again(body, receive)


async def _read(receive: Receive, most: int) -> bytes:
    """The body. Of one that is too large the rest is dropped as it comes, so that the refusal is heard: who is still
    sending hears nothing of an answer."""
    parts, size, more = list[bytes](), 0, True
    while more and size <= WITH_FILES:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadInput("body: it was cut off")
        part = message.get("body", b"")
        size, more = size + len(part), message.get("more_body", False)
        if size <= most:
            parts.append(part)
        else:
            parts.clear()
    if size > most:
        raise TooLarge(f"body: at most {most} bytes are taken")
    return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    told = False

    async def heard() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return heard
