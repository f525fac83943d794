"""Buckets and their objects, with generations: what the server of `emulators.storage` changes and reads."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

MOST = 1000
"""Names in one page of a list."""

_KEPT = ("contentType", "contentEncoding", "cacheControl", "customTime", "metadata")


class Refusal(Exception):
    """The service says no: an HTTP status, and why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Object:
    """One object as it is now."""

    data: bytes
    meta: Mapping[str, Any]

    @property
    def generation(self) -> int:
        return int(self.meta["generation"])


@dataclass(slots=True)
class Upload:
    """A resumable upload under way: for which object, under which conditions, and what has come so far."""

    bucket: str
    meta: Mapping[str, Any]
    query: Mapping[str, str]
    data: bytearray = field(default_factory=bytearray)


class Objects:
    """All buckets. Every method is atomic; raises Refusal."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._buckets: dict[str, dict[str, Object]] = {}
        self._uploads: dict[str, Upload] = {}
        self._count = 0

    # --- buckets -----------------------------------------------------------------------------------------------

    def make_bucket(self, name: str) -> dict[str, Any]:
        with self._lock:
            if name in self._buckets:
                raise Refusal(409, "Your previous request to create the named bucket succeeded and you already own it.")
            self._buckets[name] = {}
        return self.describe_bucket(name)

    def describe_bucket(self, name: str) -> dict[str, Any]:
        self._bucket(name)
        return {"kind": "storage#bucket", "id": name, "name": name, "metageneration": "1", "location": "US"}

    def drop_bucket(self, name: str) -> None:
        with self._lock:
            if self._bucket(name):
                raise Refusal(409, "The bucket you tried to delete is not empty.")
            del self._buckets[name]

    def _bucket(self, name: str) -> dict[str, Object]:
        if name not in self._buckets:
            raise Refusal(404, "The specified bucket does not exist.")
        return self._buckets[name]

    # --- objects -----------------------------------------------------------------------------------------------

    def put(self, bucket: str, meta: Mapping[str, Any], data: bytes, query: Mapping[str, str]) -> Object:
        """Make or replace an object, if the conditions hold and the data is what its checksums say."""
        sums = _checksums(data)
        if any(meta.get(name, mine) != mine for name, mine in sums.items()):
            raise Refusal(400, "Provided checksum doesn't match the data that was received.")
        with self._lock:
            there = self._bucket(bucket)
            name = _name(meta, query)
            _check(there.get(name), query, 412)
            self._count += 1
            made = there[name] = Object(data, _described(bucket, name, meta, data, self._count) | sums)
            return made

    def get(self, bucket: str, name: str, query: Mapping[str, str]) -> Object:
        with self._lock:
            there = self._bucket(bucket).get(name)
            if there is None or query.get("generation", str(there.generation)) != str(there.generation):
                raise Refusal(404, f"No such object: {bucket}/{name}")
            _check(there, query, 304)
            return there

    def delete(self, bucket: str, name: str, query: Mapping[str, str]) -> None:
        with self._lock:
            there = self._bucket(bucket).get(name)
            _check(there, query, 412)
            if there is None:
                raise Refusal(404, f"No such object: {bucket}/{name}")
            del self._bucket(bucket)[name]

    def list(self, bucket: str, query: Mapping[str, str]) -> dict[str, Any]:
        """A page of objects in the order of their names, and of the prefixes that stand for several."""
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        limit = min(int(query.get("maxResults", MOST)), MOST)
        items: list[Mapping[str, Any]] = []
        prefixes: list[str] = []
        with self._lock:
            for name in sorted(self._bucket(bucket)):
                if not name.startswith(prefix) or name <= query.get("pageToken", ""):
                    continue
                if delimiter and delimiter in name[len(prefix) :]:
                    group = prefix + name[len(prefix) :].partition(delimiter)[0] + delimiter
                    prefixes += [group] if group not in prefixes else []
                elif len(items) == limit:
                    return _page(items, prefixes) | {"nextPageToken": items[-1]["name"]}
                else:
                    items.append(self._bucket(bucket)[name].meta)
        return _page(items, prefixes)

    # --- resumable uploads -------------------------------------------------------------------------------------

    def begin(self, bucket: str, meta: Mapping[str, Any], query: Mapping[str, str]) -> str:
        """The id of an upload; the conditions must hold now, and at its end again."""
        with self._lock:
            _check(self._bucket(bucket).get(_name(meta, query)), query, 412)
            self._count += 1
            id = f"upload-{self._count}"
            self._uploads[id] = Upload(bucket, meta, query)
            return id

    def add(self, id: str, start: int | None, data: bytes, total: int | None) -> Object | int:
        """Add bytes that begin at `start` (None: no bytes, only asking). The object once all are there; else how many
        are. Bytes that came before are passed over."""
        with self._lock:
            upload = self._uploads.get(id)
            if upload is None:
                raise Refusal(404, "There is no such upload.")
            if start is not None:
                if start > len(upload.data):
                    raise Refusal(503, f"{len(upload.data)} bytes are here; these begin at {start}.")
                upload.data += data[len(upload.data) - start :]
            if total is None or len(upload.data) < total:
                return len(upload.data)
            made = self.put(upload.bucket, upload.meta, bytes(upload.data), upload.query)
            del self._uploads[id]
            return made


def _name(meta: Mapping[str, Any], query: Mapping[str, str]) -> str:
    name = query.get("name") or meta.get("name")
    if not name:
        raise Refusal(400, "Required parameter: name")
    return str(name)


def _page(items: list[Mapping[str, Any]], prefixes: list[str]) -> dict[str, Any]:
    return {"kind": "storage#objects", "items": items, "prefixes": prefixes}


def _check(there: Object | None, query: Mapping[str, str], unchanged: int) -> None:
    """The conditions on generations: 0 is no object. `unchanged` is the status where it must differ and does not."""
    have = there.generation if there else 0
    if "ifGenerationMatch" in query and int(query["ifGenerationMatch"]) != have:
        raise Refusal(412, "At least one of the pre-conditions you specified did not hold.")
    if "ifGenerationNotMatch" in query and int(query["ifGenerationNotMatch"]) == have:
        raise Refusal(unchanged, "At least one of the pre-conditions you specified did not hold.")
    if "ifMetagenerationMatch" in query and int(query["ifMetagenerationMatch"]) != (1 if there else 0):
        raise Refusal(412, "At least one of the pre-conditions you specified did not hold.")


def _checksums(data: bytes) -> dict[str, str]:
    import google_crc32c  # comes with the client

    crc = google_crc32c.value(data).to_bytes(4, "big")
    md5 = hashlib.md5(data, usedforsecurity=False).digest()
    return {"crc32c": base64.b64encode(crc).decode(), "md5Hash": base64.b64encode(md5).decode()}


def _described(bucket: str, name: str, meta: Mapping[str, Any], data: bytes, count: int) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    generation = str(1_700_000_000_000_000 + count)
    return {key: meta[key] for key in _KEPT if meta.get(key)} | {
        "kind": "storage#object",
        "id": f"{bucket}/{name}/{generation}",
        "name": name,
        "bucket": bucket,
        "generation": generation,
        "metageneration": "1",
        "size": str(len(data)),
        "storageClass": "STANDARD",
        "timeCreated": now,
        "updated": now,
    }
