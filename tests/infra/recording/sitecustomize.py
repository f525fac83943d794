"""Notes what a function asks of Google's services. Python loads it by itself where this folder is on its path.

With CALLS the process that serves a function writes a line to `CALLS/NAME` for each kind of call, before its first one
is sent: the service, the method with what matters for the right to it, and the resource. Nothing of Onward's knows.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

FOLDER = os.environ.get("CALLS")
KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
OBJECT = re.compile(r"(?:/download)?/storage/v1/b/([^/]+)/o/.+")
OBJECTS = re.compile(r"(?:/resumable)?(?:/upload)?/storage/v1/b/([^/]+)/o")
noted: set[str] = set()


def note(call: str, resource: str) -> None:
    line = f"{call}\t{resource}\n"
    if line not in noted:
        noted.add(line)
        with Path(f"{FOLDER}/{_function()}").open("a") as file:
            file.write(line)


def _function() -> str:
    return sys.orig_argv[sys.orig_argv.index("--target") + 1]


# --- gRPC --------------------------------------------------------------------------------------------------------


def record_channels() -> None:
    """Every request of a channel is turned into bytes by the method's own serializer: there it is seen."""
    from grpc import aio

    channel: Any = aio._channel.Channel
    for kind in KINDS:
        setattr(channel, kind, _recording(getattr(channel, kind)))


def _recording(plain: Callable[..., Any]) -> Callable[..., Any]:
    def made(channel: Any, method: str, request_serializer: Any = None, *given: Any, **named: Any) -> Any:
        def serialize(request: Any) -> Any:
            for call, resource in _calls(method, request):
                note(call, resource)
            return request_serializer(request)

        return plain(channel, method, serialize, *given, **named)

    return made


def _calls(method: str, request: Any) -> Iterator[tuple[str, str]]:
    """`Firestore.Commit create`, and on what."""
    service, name = method.rsplit(".", 1)[-1].split("/")
    call = f"{service}.{name}"
    plain = request if hasattr(request, "DESCRIPTOR") else type(request).pb(request)
    fields = {field.name: value for field, value in plain.ListFields()}
    if {"transaction", "new_transaction"} & fields.keys():
        call += " transaction"
    if "writes" in fields:
        yield from ((f"{call} {_write(write)}", plain.database) for write in plain.writes)
    elif service == "CloudTasks" and "task" in fields:
        yield call, plain.parent
        if account := plain.task.http_request.oidc_token.service_account_email:
            yield f"{call} as", account
    else:
        yield call, fields.get("database") or fields.get("topic") or _database(fields.get("parent", ""))


def _database(parent: str) -> str:
    return "/".join(parent.split("/")[:4])


def _write(write: Any) -> str:
    """What it may do: create, update, either, or delete."""
    operation = write.WhichOneof("operation")
    if operation == "delete":
        return "delete"
    expects = write.current_document.WhichOneof("condition_type")
    if expects is None:
        return "create or update"
    return "update" if expects == "update_time" or write.current_document.exists else "create"


# --- HTTP --------------------------------------------------------------------------------------------------------


def record_sessions() -> None:
    import requests

    plain = requests.Session.send

    def send(session: Any, request: Any, **named: Any) -> Any:
        note(*_request(request.method, request.url))
        return plain(session, request, **named)

    requests.Session.send = send  # type: ignore[method-assign]


def _request(method: str, url: str) -> tuple[str, str]:
    """`Storage.get`, and of which bucket."""
    place = urlsplit(url)
    asked = parse_qs(place.query)
    if found := OBJECT.fullmatch(place.path):
        return {"GET": "Storage.get", "DELETE": "Storage.delete"}.get(method, f"Storage.{method}"), found[1]
    if found := OBJECTS.fullmatch(place.path):
        if "/upload/" not in place.path:
            return {"GET": "Storage.list"}.get(method, f"Storage.{method} objects"), found[1]
        how = "part" if "upload_id" in asked else "new" if asked.get("ifGenerationMatch") == ["0"] else "over"
        return f"Storage.insert {how}", found[1]
    return f"{method} {place.path}", place.netloc


def record() -> None:
    record_channels()
    record_sessions()


if FOLDER and "--target" in sys.orig_argv:
    os.register_at_fork(after_in_child=record)  # in the worker that the framework forks: it loads nothing sooner for it
