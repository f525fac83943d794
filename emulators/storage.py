"""Cloud Storage in memory, over the service's JSON protocol, for the service's own client.

    with Storage() as storage:
        storage.make_bucket("sessions")
        ...                       # a client whose endpoint is storage.url
    storage.requests              # what was asked

Or from a shell: `python -m emulators.storage --port 0 --bucket sessions`, then STORAGE_EMULATOR_HOST is what it prints.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from emulators.serving import NOTHING, Reply, Served
from emulators.storage_objects import Object, Objects, Refusal

_BUCKETS = re.compile(r"/storage/v1/b")
_BUCKET = re.compile(r"/storage/v1/b/([^/]+)")
_LIST = re.compile(r"/storage/v1/b/([^/]+)/o")
_OBJECT = re.compile(r"(?:/download)?/storage/v1/b/([^/]+)/o/(.+)")
_UPLOAD = re.compile(r"(?:/resumable)?/upload/storage/v1/b/([^/]+)/o")
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")


@dataclass(slots=True)
class Fault:
    """What goes wrong with the next `times` requests of this method whose path has `path` in it.

    `status` is answered, instead of doing what was asked, or with `after` once it is done; without a status the
    connection is cut: after so many bytes of the answer's body, or with None before the answer.
    """

    method: str
    path: str = ""
    status: int | None = None
    after: bool = False
    cut: int | None = None
    times: int = 1


@dataclass(slots=True)
class Request:
    """One request: its method and path with the query, how large its body was, and the status it was answered with."""

    method: str
    path: str
    size: int
    status: int = 0


class Storage(Served):
    """Cloud Storage, served. `faults` are played as requests come."""

    def __init__(self, *, port: int = 0) -> None:
        self.objects = Objects()
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self._lock = threading.Lock()
        super().__init__(port)

    def make_bucket(self, name: str) -> None:
        self.objects.make_bucket(name)

    def handle(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
        """Answer one request."""
        request = Request(method, path, len(body))
        with self._lock:
            self.requests.append(request)
            fault = self._fault(method, path)
        reply = self._played(fault, method, path, headers, body)
        request.status = reply.status
        return reply

    def _fault(self, method: str, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.times and fault.method == method and fault.path in unquote(path):
                fault.times -= 1
                return fault
        return None

    def _played(self, fault: Fault | None, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        if fault is None:
            return self._answer(method, path, headers, body)
        if fault.after or fault.cut is not None:
            reply = self._answer(method, path, headers, body)
            if fault.status is None:
                reply.cut = NOTHING if fault.cut is None else fault.cut
                return reply
        return _refused(Refusal(fault.status, "by a fault")) if fault.status else Reply(503, cut=NOTHING)

    def _answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        split = urlsplit(path)
        query = dict(parse_qsl(split.query, keep_blank_values=True))
        try:
            return self._routed(method, split.path, query, headers, body)
        except Refusal as refusal:
            return _refused(refusal, plain=query.get("alt") == "media")

    def _routed(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> Reply:
        if found := _UPLOAD.fullmatch(path):
            return self._upload(method, unquote(found[1]), query, headers, body)
        if found := _OBJECT.fullmatch(path):
            return self._object(method, unquote(found[1]), unquote(found[2]), query, headers)
        if (found := _LIST.fullmatch(path)) and method == "GET":
            return _json(self.objects.list(unquote(found[1]), query))
        if _BUCKETS.fullmatch(path) and method == "POST":
            return _json(self.objects.make_bucket(json.loads(body)["name"]))
        if (found := _BUCKET.fullmatch(path)) and method == "GET":
            return _json(self.objects.describe_bucket(unquote(found[1])))
        if (found := _BUCKET.fullmatch(path)) and method == "DELETE":
            self.objects.drop_bucket(unquote(found[1]))
            return Reply(204)
        raise Refusal(501, f"this stand-in does not know {method} {path}")

    # --- objects -----------------------------------------------------------------------------------------------

    def _object(
        self, method: str, bucket: str, name: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> Reply:
        if method == "DELETE":
            self.objects.delete(bucket, name, query)
            return Reply(204)
        if method != "GET":
            raise Refusal(501, f"this stand-in does not know {method} of an object")
        found = self.objects.get(bucket, name, query)
        return _media(found, headers.get("range", "")) if query.get("alt") == "media" else _json(found.meta)

    def _upload(
        self, method: str, bucket: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> Reply:
        kind = query.get("uploadType")
        if kind == "multipart":
            meta, data = _parts(headers.get("content-type", ""), body)
            return _json(self.objects.put(bucket, meta, data, query).meta)
        if kind == "media":
            meta = {"contentType": headers.get("content-type")}
            return _json(self.objects.put(bucket, meta, body, query).meta)
        if kind == "resumable" and method == "POST":
            meta = {"contentType": headers.get("x-upload-content-type")} | json.loads(body or b"{}")
            place = f"{self.url}/upload/storage/v1/b/{bucket}/o?uploadType=resumable&upload_id="
            return Reply(200, headers={"Location": place + self.objects.begin(bucket, meta, query)})
        if kind == "resumable" and method == "PUT":
            return self._chunk(query["upload_id"], headers.get("content-range"), body)
        raise Refusal(400, f"this stand-in does not know uploadType {kind}")

    def _chunk(self, id: str, content_range: str | None, body: bytes) -> Reply:
        found = _CONTENT_RANGE.fullmatch(content_range or f"bytes 0-{len(body) - 1}/{len(body)}")
        if found is None:
            raise Refusal(400, f"Failed to parse Content-Range header {content_range}")
        total = None if found[2] == "*" else int(found[2])
        come = self.objects.add(id, None if found[1] is None else int(found[1]), body, total)
        if isinstance(come, Object):
            return _json(come.meta)
        return Reply(308, headers={"Range": f"bytes=0-{come - 1}"} if come else {})


def _parts(kind: str, body: bytes) -> tuple[dict[str, Any], bytes]:
    """The two parts of a multipart upload: what the object is to be, and its data."""
    found = re.search(r'boundary="?([^";]+)', kind)
    if found is None:
        raise Refusal(400, "Missing boundary in the Content-Type.")
    mark = b"--" + found[1].encode()
    described, _, rest = body.split(mark, 2)[1].partition(b"\r\n\r\n")[2], b"", body.split(mark, 2)[2]
    head, _, data = rest.partition(b"\r\n\r\n")
    given = re.search(rb"content-type: *([^\r\n]+)", head, re.I)
    meta = {"contentType": given[1].decode() if given else None} | json.loads(described)
    return meta, data[: data.rindex(b"\r\n" + mark)]


def _media(found: Object, asked: str) -> Reply:
    meta, data = found.meta, found.data
    headers = {
        "Content-Type": meta.get("contentType") or "application/octet-stream",
        "X-Goog-Hash": f"crc32c={meta['crc32c']},md5={meta['md5Hash']}",
        "X-Goog-Generation": meta["generation"],
        "X-Goog-Metageneration": meta["metageneration"],
        "X-Goog-Storage-Class": meta["storageClass"],
    }
    wanted = _RANGE.fullmatch(asked)
    if wanted is None:
        return Reply(200, data, headers)
    first, last = int(wanted[1]), min(int(wanted[2] or len(data) - 1), len(data) - 1)
    if first >= len(data):
        raise Refusal(416, "The requested range cannot be satisfied.")
    return Reply(206, data[first : last + 1], headers | {"Content-Range": f"bytes {first}-{last}/{len(data)}"})


def _json(value: Any) -> Reply:
    return Reply(200, json.dumps(value).encode(), {"Content-Type": "application/json; charset=UTF-8"})


def _refused(refusal: Refusal, plain: bool = False) -> Reply:
    if refusal.status == 304:
        return Reply(304)
    if plain:
        return Reply(refusal.status, str(refusal).encode(), {"Content-Type": "text/html; charset=UTF-8"})
    said = {"code": refusal.status, "message": str(refusal), "errors": [{"message": str(refusal)}]}
    kind = {"Content-Type": "application/json; charset=UTF-8"}
    return Reply(refusal.status, json.dumps({"error": said}).encode(), kind)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m emulators.storage", description="Cloud Storage in memory.")
    parser.add_argument("--port", type=int, default=0, help="0: one that is free")
    parser.add_argument("--bucket", action="append", default=[], help="a bucket to make (may be given more than once)")
    options = parser.parse_args()
    with Storage(port=options.port) as storage:
        for bucket in options.bucket:
            storage.make_bucket(bucket)
        print(storage.url, flush=True)
        try:
            storage.wait()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
