"""Large values of sessions in a bucket of Cloud Storage: `sessions/{key}/{name}`, written once.

`forget` is for good only where the bucket keeps nothing back: no versioning, and no soft deletion.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar

from onward.errors import CorruptLog, OnwardError, StoreUnavailable

if TYPE_CHECKING:
    from google.api_core.retry import Retry
    from google.cloud.storage import Blob, Bucket

THREADS = 8
"""Requests at a time. The pool is its own: tools that block their threads must not keep values from being read."""

PATIENCE = 20.0
"""Seconds that one request is tried again for, where what failed may pass."""

CONNECT, READ = 5.0, 30.0
_KIND = "text/plain; charset=utf-8"
_BY_DIGEST = re.compile(r"(?:blobs|files)/[0-9a-f]{64}")
_NO_BUCKET = "bucket does not exist"
T = TypeVar("T")


class StorageBlobs:
    """The Blobs port over a bucket.

    Nothing is loaded or reached before the first value is asked for. `endpoint` is where the service is, such as a
    stand-in, which is then asked without credentials; `patience` is in seconds. Every method raises StoreUnavailable
    where the service doesn't answer, or refuses for a reason that lies in how it is set up; and CorruptLog where what
    is there is not what its name says. May be used from several event loops.
    """

    def __init__(
        self, bucket: str, *, project: str | None = None, endpoint: str | None = None, patience: float = PATIENCE
    ) -> None:
        self._name = bucket
        self._project = project
        self._endpoint = endpoint
        self._patience = patience
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="onward-storage")
        self._making = threading.Lock()

    async def put(self, key: str, name: str, text: str) -> None:
        """Store a value; what is there already under this name stays."""
        await self._run(self._put, _path(key, name), text.encode())

    async def get(self, key: str, name: str) -> str | None:
        """The value, or None where there is none."""
        data = await self._run(self._get, _path(key, name))
        return None if data is None else _checked(name, data)

    async def forget(self, key: str, prefix: str, keep: str | None = None) -> None:
        """Remove every value of the session whose name begins so, but for `keep`."""
        kept = keep and _path(key, keep)
        found = await self._run(self._names, _path(key, prefix))
        await asyncio.gather(*(self._run(self._delete, name) for name in found if name != kept))

    async def close(self) -> None:
        """Wait for what is under way, and close the connections."""
        await asyncio.to_thread(self._threads.shutdown)
        if "_bucket" in self.__dict__:
            self._bucket.client.close()

    # --- in a thread -------------------------------------------------------------------------------------------

    async def _run(self, work: Callable[..., T], *given: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(self._guarded, work, *given))

    def _guarded(self, work: Callable[..., T], *given: Any) -> T:
        with _translated(self._name):
            return work(*given)

    def _put(self, path: str, data: bytes) -> None:
        from google.api_core.exceptions import Forbidden, PreconditionFailed

        blob = self._blob(path)
        try:
            blob.upload_from_string(data, content_type=_KIND, if_generation_match=0, **self._bounds)
        except PreconditionFailed:  # there already: an earlier put, or this one, whose answer was lost
            if _BY_DIGEST.search(path):
                self._compare(blob, data)
        except Forbidden:  # said to one who may not replace what is there, perhaps before the precondition is looked at
            if not blob.exists(**self._bounds):
                raise
            if _BY_DIGEST.search(path):
                self._compare(blob, data)

    def _compare(self, blob: Blob, data: bytes) -> None:
        """What has a digest for a name is the same, whoever put it."""
        blob.reload(**self._bounds)
        mine = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
        if (blob.size, blob.md5_hash) != (len(data), mine):
            raise CorruptLog(f"{blob.name} in bucket {self._name} is not the value that its name says")

    def _get(self, path: str) -> bytes | None:
        from google.api_core.exceptions import NotFound

        try:
            # Tried again from here: the client's own repeats leave the connections of what failed open.
            found: bytes = self._bounds["retry"](self._blob(path).download_as_bytes)(
                timeout=self._bounds["timeout"], retry=None
            )
            return found
        except NotFound as exc:
            if _NO_BUCKET in str(exc):
                raise
            return None

    def _names(self, prefix: str) -> list[str]:
        found = self._bucket.client.list_blobs(
            self._bucket, prefix=prefix, fields="items(name),nextPageToken", **self._bounds
        )
        return [blob.name for blob in found]

    def _delete(self, path: str) -> None:
        from google.api_core.exceptions import NotFound

        try:
            self._blob(path).delete(**self._bounds)
        except NotFound as exc:
            if _NO_BUCKET in str(exc):
                raise

    # --- the client --------------------------------------------------------------------------------------------

    def _blob(self, path: str) -> Blob:
        with self._making:
            bucket = self._bucket
        return bucket.blob(path)

    @cached_property
    def _bucket(self) -> Bucket:
        try:
            from google.cloud.storage import Client
        except ImportError as exc:
            raise StoreUnavailable("google-cloud-storage is missing: pip install 'onward[gcp]'") from exc
        client = Client(project=self._project or (self._endpoint and "local"), **self._place())
        # Else the client asks for the bucket itself, from threads of its own, to name it in traces.
        client._bucket_metadata_cache = None
        return client.bucket(self._name)

    def _place(self) -> dict[str, Any]:
        if self._endpoint is None:
            return {}
        from google.auth.credentials import AnonymousCredentials

        return {"credentials": AnonymousCredentials(), "client_options": {"api_endpoint": self._endpoint}}

    @cached_property
    def _bounds(self) -> dict[str, Any]:
        """How long one request may take, and all its repeats together. Every request here may be sent twice."""
        from google.cloud.storage.retry import DEFAULT_RETRY

        retry: Retry = DEFAULT_RETRY.with_delay(initial=0.2, maximum=3.0, multiplier=2.0).with_timeout(self._patience)
        return {"retry": retry, "timeout": (CONNECT, min(READ, max(self._patience, 1.0)))}


def _path(key: str, name: str) -> str:
    return f"sessions/{key}/{name}"


def _checked(name: str, data: bytes) -> str:
    """The text of a value. A file's name is the digest of its bytes; that of another value covers a salt, which the
    log has. On its way each is checked by the client."""
    try:
        text = data.decode()
        if name.startswith("files/") and _digest(text) != name.removeprefix("files/"):
            raise CorruptLog(f"{name} was changed: it does not match its digest")
    except (UnicodeDecodeError, binascii.Error) as exc:
        raise CorruptLog(f"{name} can't be read: {exc}") from exc
    return text


def _digest(text: str) -> str:
    return hashlib.sha256(base64.b64decode(text, validate=True)).hexdigest()


@contextmanager
def _translated(bucket: str) -> Iterator[None]:
    """What the client raises, as an error of ours."""
    try:
        yield
    except OnwardError:
        raise
    except Exception as exc:
        if not _is_outage(exc):
            raise
        raise StoreUnavailable(f"bucket {bucket}: {type(exc).__name__}: {str(exc)[:500]}") from exc


def _is_outage(exc: Exception) -> bool:
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
    from requests import RequestException
    from urllib3.exceptions import HTTPError

    ours = (GoogleAPIError, GoogleAuthError, DataCorruption, InvalidResponse, RequestException, HTTPError, OSError)
    return isinstance(exc, ours)
