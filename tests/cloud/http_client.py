"""A client of the API that sees what is really sent: whole answers, checked against the description, and live events as
they come."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator

PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    doc: Any

    @property
    def said(self) -> tuple[int, str]:
        """Status and code of a problem."""
        return self.status, self.doc.get("code", "")


@dataclass(frozen=True, slots=True)
class Frame:
    """One server-sent event, or a comment."""

    id: str | None = None
    name: str = "message"
    data: Any = None
    comment: str | None = None
    retry: int | None = None


@cache
def openapi() -> dict[str, Any]:
    from onward.surfaces.http.app import openapi

    return openapi()


def check(method: str, path: str, answer: Answer) -> None:
    """Whether an answer is one that the description tells of."""
    operation = _operation(method, urlsplit(path).path)
    if operation is None:
        assert answer.status in (401, 403, 404, 405), answer
        return
    assert str(answer.status) in operation["responses"], (method, path, answer)
    content = operation["responses"][str(answer.status)].get("content")
    if content is None:
        assert answer.doc is None
        return
    media = answer.headers["content-type"].partition(";")[0]
    if media == "application/octet-stream":
        assert media in content
        return
    whole = {"components": openapi()["components"], **content[media]["schema"]}
    Draft202012Validator(whole).validate(answer.doc)


def _operation(method: str, path: str) -> Any:
    parts = path.strip("/").split("/")
    for template, found in openapi()["paths"].items():
        wanted = template.strip("/").split("/")
        same = len(wanted) == len(parts) and all(
            w.startswith("{") or w == p for w, p in zip(wanted, parts, strict=True)
        )
        if same and method.lower() in found:
            return found[method.lower()]
    return None


@dataclass(slots=True)
class Client:
    """Asks one server; `token` makes of a name what shows who asks."""

    url: str
    token: Any
    open: list[asyncio.StreamWriter] = field(default_factory=list)

    async def ask(
        self, method: str, path: str, doc: Any = None, who: str | None = "grace@shop.example", **headers: str
    ) -> Answer:
        """A request about `/v1/PATH`; underscores in names of headers are hyphens."""
        body = b"" if doc is None else json.dumps(doc).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if body:
            named = {"content-type": "application/json"} | named
        return await self.send(method, f"/v1/{path}", body, who, named)

    async def send(
        self, method: str, path: str, body: bytes, who: str | None, headers: dict[str, str], checked: bool = True
    ) -> Answer:
        """The same, to the letter."""
        reader, writer = await self._open(method, path, who, headers | {"content-length": str(len(body))})
        try:
            writer.write(body)
            status, got = await _head(reader)
            text = await asyncio.wait_for(_body(reader, got), PATIENCE)
        finally:
            writer.close()
        told = json.loads(text) if text and "json" in got.get("content-type", "") else text or None
        answer = Answer(status, got, told)
        if checked:
            check(method, path, answer)
        return answer

    async def live(
        self, path: str, who: str = "grace@shop.example", last: str | None = None, room: int | None = None
    ) -> Live:
        """A stream of events, once its headers are there. With `room` no more bytes wait for one who does not read."""
        headers = {"accept": "text/event-stream"} | ({"last-event-id": last} if last is not None else {})
        reader, writer = await self._open("GET", f"/v1/{path}", who, headers, room)
        self.open.append(writer)
        status, got = await _head(reader)
        return Live(status, got, reader, writer)

    async def drop(self) -> None:
        """Drop every stream."""
        for writer in self.open:
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _open(
        self, method: str, path: str, who: str | None, headers: dict[str, str], room: int | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        place = urlsplit(self.url)
        made = socket.socket()
        if room is not None:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        made.setblocking(False)
        await asyncio.get_running_loop().sock_connect(made, (place.hostname, place.port))
        reader, writer = await asyncio.open_connection(sock=made)
        shown = {"authorization": f"Bearer {self.token(who)}"} if who else {}
        said = {"host": place.netloc, "connection": "close"} | shown | headers
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in said.items()), "", ""]
        writer.write("\r\n".join(lines).encode("latin-1"))
        return reader, writer


class Live:
    """Reads a stream; `close` drops it as a lost connection does."""

    def __init__(
        self, status: int, headers: dict[str, str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.status, self.headers, self._reader, self._writer = status, headers, reader, writer
        self._text = ""

    async def frames(self) -> AsyncIterator[Frame]:
        """Frame by frame, to the end of the stream."""
        while True:
            while "\n\n" in self._text:
                text, _, self._text = self._text.partition("\n\n")
                yield _frame(text)
            chunk = await asyncio.wait_for(_chunk(self._reader), PATIENCE)
            if not chunk:
                return
            self._text += chunk.decode()

    async def events(self, most: int | None = None) -> list[Frame]:
        """Events, at most so many, up to the end of the session or of the stream."""
        found = []
        async for frame in self.frames():
            if frame.data is not None:
                found.append(frame)
            if frame.name == "end" or len(found) == most:
                break
        return found

    def close(self) -> None:
        self._writer.transport.abort()


def _frame(text: str) -> Frame:
    said: dict[str, Any] = {}
    for line in text.splitlines():
        name, _, value = line.partition(": ")
        said |= {"comment": value} if not name else {name: value}
    data = json.loads(said["data"]) if "data" in said else None
    retry = int(said["retry"]) if "retry" in said else None
    return Frame(said.get("id"), said.get("event", "message"), data, said.get("comment"), retry)


async def _head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    first, *lines = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)).decode("latin-1").splitlines()
    pairs = [line.partition(": ") for line in lines if line]
    return int(first.split()[1]), {name.lower(): value for name, _, value in pairs}


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding") == "chunked":
        parts = []
        while part := await _chunk(reader):
            parts.append(part)
        return b"".join(parts)
    return await reader.readexactly(int(headers.get("content-length", 0)))


async def _chunk(reader: asyncio.StreamReader) -> bytes:
    """The next part of an answer that comes in parts; nothing at its end, or where it is cut off."""
    try:
        size = int((await reader.readuntil(b"\r\n")).strip(), 16)
        return (await reader.readexactly(size + 2))[:-2]
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""
