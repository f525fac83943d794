"""Commits, reads and queries: the few calls that the store makes, and what their failures mean (R1).

Requests are made and read as plain protobuf, which costs a half to a quarter of what the package's own documents do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from onward.adapters.gcp.clients import PerLoop, credentials
from onward.adapters.gcp.firestore_wire import (
    Document,
    Found,
    Question,
    Write,
    Written,
    document_of,
    fill_query,
    fill_write,
    get_time,
    written_of,
)
from onward.errors import Ambiguous, BadInput, Permanent, StoreUnavailable

if TYPE_CHECKING:
    from google.api_core.exceptions import GoogleAPICallError
    from google.cloud.firestore_v1.services.firestore import FirestoreAsyncClient

COMMIT_SECONDS = READ_SECONDS = 10.0
"""How long one request may take. A lease outlives several."""

READ_DELAYS = (0.1, 0.4, 1.0)
"""Seconds before a read that failed for a passing reason is tried again."""

DOCUMENT_BYTES = 1_000_000
REQUEST_BYTES = 4_000_000
"""A little below what the service takes of a document (1 MiB), and the emulator of a request (4 MiB)."""

DISCARDED_AT_ONCE = 200

_CLASH = frozenset({"FAILED_PRECONDITION", "ALREADY_EXISTS", "NOT_FOUND"})
_DENIED = frozenset({"PERMISSION_DENIED", "UNAUTHENTICATED"})
_DENIED_NUMBERS = frozenset({7, 16})
"""The same, as a status within an answer says them."""

_NOT_DONE = frozenset({"RESOURCE_EXHAUSTED"})
_NEVER = frozenset({"INVALID_ARGUMENT", "OUT_OF_RANGE", "UNIMPLEMENTED"})
_PASSING = frozenset(
    {"UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "ABORTED", "UNKNOWN", "CANCELLED", "RESOURCE_EXHAUSTED"}
)
T = TypeVar("T")


class Clash(Exception):
    """A precondition of a commit did not hold: none of its writes was applied."""


class Denied(StoreUnavailable):
    """The service does not let this account do that."""

    code = "store_denied"


class Client:
    """Talks to one database, from any event loop: each has a connection of its own, made when it is first needed.

    `emulator` is the `host:port` of an emulator, which is asked without credentials.
    """

    def __init__(self, project: str, database: str = "(default)", emulator: str | None = None) -> None:
        self._database = f"projects/{project}/databases/{database}"
        self._root = f"{self._database}/documents/"
        self._emulator = emulator
        self._clients = PerLoop(self._make)

    async def commit(self, writes: Sequence[Write]) -> list[Written]:
        """Apply all these writes, or none; sent once. Answers one Written for each.

        Raises Clash where a precondition did not hold, BadInput where it is too large, Ambiguous where its fate is
        unknown, StoreUnavailable and Permanent where it was certainly not applied.
        """
        client = await self._clients.get()
        from google.cloud.firestore_v1 import types

        request = types.CommitRequest.pb()(database=self._database)
        for write in writes:
            _check_document(fill_write(request, write, self._root), write)
        _check_request(request)
        wrapped = types.CommitRequest.wrap(request)
        sent = client.commit(wrapped, retry=None, timeout=COMMIT_SECONDS, metadata=self._metadata())
        answer = types.CommitResponse.pb(await _committed(sent))
        return [written_of(result) for result in answer.write_results]

    async def get(self, paths: Sequence[str], only: Sequence[str] | None = None) -> Found:
        """The documents at these paths; with `only`, these fields of them. Raises StoreUnavailable."""
        return await _read(lambda: self._get(paths, only))

    async def _get(self, paths: Sequence[str], only: Sequence[str] | None) -> Found:
        client = await self._clients.get()
        from google.cloud.firestore_v1 import types

        request = types.BatchGetDocumentsRequest.pb()(database=self._database)
        request.documents.extend(self._root + path for path in paths)
        if only is not None:
            request.mask.field_paths.extend(only)
        sent = client.batch_get_documents(
            types.BatchGetDocumentsRequest.wrap(request), retry=None, timeout=READ_SECONDS, metadata=self._metadata()
        )
        answers = [types.BatchGetDocumentsResponse.pb(answer) async for answer in await sent]
        told = [answer for answer in answers if answer.WhichOneof("result")]
        if len(told) < len(set(paths)):
            raise StoreUnavailable("Firestore broke off an answer")
        return self._found([answer.found for answer in told if answer.HasField("found")], answers)

    async def query(self, question: Question) -> Found:
        """What a question finds, in its order. Raises StoreUnavailable."""
        return await _read(lambda: self._query(question))

    async def _query(self, question: Question) -> Found:
        client = await self._clients.get()
        from google.cloud.firestore_v1 import types

        request = types.RunQueryRequest.pb()(parent=(self._root + question.parent).rstrip("/"))
        fill_query(request.structured_query, question, self._root)
        sent = client.run_query(
            types.RunQueryRequest.wrap(request), retry=None, timeout=READ_SECONDS, metadata=self._metadata()
        )
        answers = [types.RunQueryResponse.pb(answer) async for answer in await sent]
        if not answers:
            raise StoreUnavailable("Firestore broke off an answer")
        return self._found([answer.document for answer in answers if answer.HasField("document")], answers)

    async def total(self, question: Question) -> int:
        """How many documents a question finds. Raises StoreUnavailable."""
        return await _read(lambda: self._total(question))

    async def _total(self, question: Question) -> int:
        client = await self._clients.get()
        from google.cloud.firestore_v1 import types

        request = types.RunAggregationQueryRequest.pb()(parent=(self._root + question.parent).rstrip("/"))
        asked = request.structured_aggregation_query
        fill_query(asked.structured_query, question, self._root)
        asked.aggregations.add(alias="count").count.SetInParent()
        wrapped = types.RunAggregationQueryRequest.wrap(request)
        sent = client.run_aggregation_query(wrapped, retry=None, timeout=READ_SECONDS, metadata=self._metadata())
        answers = [types.RunAggregationQueryResponse.pb(answer) async for answer in await sent]
        if not answers:
            raise StoreUnavailable("Firestore broke off an answer")
        return int(answers[0].result.aggregate_fields["count"].integer_value)

    def _found(self, documents: Sequence[Any], answers: Sequence[Any]) -> Found:
        now = max(get_time(answer.read_time) for answer in answers)
        return Found(tuple(document_of(document, self._root) for document in documents), now)

    async def discard(self, documents: Sequence[Document]) -> None:
        """Delete these, each by itself, a part of them if it fails: the size of what goes does not count then.

        Raises StoreUnavailable; deleting again goes on where it stopped.
        """
        for at in range(0, len(documents), DISCARDED_AT_ONCE):
            part = documents[at : at + DISCARDED_AT_ONCE]
            await _read(lambda part=part: self._discard(part))  # type: ignore[misc]

    async def _discard(self, documents: Sequence[Document]) -> None:
        client = await self._clients.get()
        from google.cloud.firestore_v1 import types

        request = types.BatchWriteRequest.pb()(database=self._database)
        for document in documents:
            fill_write(request, Write(document.path, gone=True), self._root)
        sent = client.batch_write(
            types.BatchWriteRequest.wrap(request), retry=None, timeout=READ_SECONDS, metadata=self._metadata()
        )
        failed = [status for status in types.BatchWriteResponse.pb(await sent).status if status.code]
        if failed:
            kind = Denied if failed[0].code in _DENIED_NUMBERS else StoreUnavailable
            raise kind(f"Firestore did not delete {len(failed)} documents: {failed[0].message}")

    async def close(self) -> None:
        """End the connection of the running loop."""
        client = await self._clients.take()
        if client is not None:
            await client.transport.close()

    async def _make(self) -> FirestoreAsyncClient:
        """In a thread as far as it can be: that loads much, and may look for credentials."""
        found = await asyncio.to_thread(_loaded, self._emulator)
        import grpc
        from google.cloud.firestore_v1.services.firestore import FirestoreAsyncClient
        from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcAsyncIOTransport

        if self._emulator is None:
            return FirestoreAsyncClient(credentials=found)
        options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        channel = grpc.aio.insecure_channel(self._emulator, options=options)
        return FirestoreAsyncClient(transport=FirestoreGrpcAsyncIOTransport(channel=channel))

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        prefix = ("google-cloud-resource-prefix", self._database)
        return (prefix, ("authorization", "Bearer owner")) if self._emulator else (prefix,)


def _loaded(emulator: str | None) -> Any:
    """The credentials, and the package, which takes a moment to load. Raises Denied."""
    import google.cloud.firestore_v1.services.firestore  # noqa: F401 - loaded here, and not in the event loop
    from google.auth.exceptions import GoogleAuthError

    try:
        return credentials(emulator, "datastore")
    except GoogleAuthError as exc:
        raise Denied(f"Firestore: {exc}") from exc


def _check_document(made: Any, write: Write) -> None:
    size = made.ByteSize()
    if size > DOCUMENT_BYTES:
        kind = write.path.split("/")[-2]
        raise BadInput(
            f"{kind}: {size:,} bytes are too many for one document, which takes {DOCUMENT_BYTES:,}; "
            "give what is large as a file"
        )


def _check_request(request: Any) -> None:
    size = request.ByteSize()
    if size > REQUEST_BYTES:
        raise BadInput(f"commit: {size:,} bytes are too many at once; one takes {REQUEST_BYTES:,}")


async def _committed(sent: Awaitable[T]) -> T:
    from google.api_core.exceptions import GoogleAPICallError

    try:
        return await sent
    except GoogleAPICallError as exc:
        raise _failed_commit(exc) from exc


def _failed_commit(exc: GoogleAPICallError) -> Exception:
    code, text = _code(exc), f"Firestore: {exc}"
    if code in _CLASH:
        return Clash(text)
    if code in _DENIED:
        return Denied(text)
    if code in _NOT_DONE:
        return StoreUnavailable(text)
    if code in _NEVER:
        return Permanent(text)
    return Ambiguous(text)


async def _read(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask; a failure that may pass, a few times."""
    from google.api_core.exceptions import GoogleAPICallError

    for delay in READ_DELAYS:
        try:
            return await ask()
        except GoogleAPICallError as exc:
            if _code(exc) not in _PASSING:
                raise _failed_read(exc) from exc
        except Denied:
            raise
        except StoreUnavailable:
            pass
        await asyncio.sleep(delay)
    try:
        return await ask()
    except GoogleAPICallError as exc:
        raise _failed_read(exc) from exc


def _failed_read(exc: GoogleAPICallError) -> StoreUnavailable:
    return (Denied if _code(exc) in _DENIED else StoreUnavailable)(f"Firestore: {exc}")


def _code(exc: GoogleAPICallError) -> str:
    return str(getattr(exc.grpc_status_code, "name", "UNKNOWN"))
