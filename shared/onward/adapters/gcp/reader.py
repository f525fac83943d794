"""A subscriber's reader: every event of every session once and in order, from messages that come as they like (R12).

    reader = EventReader(Subscription("projects/P/subscriptions/S"), position=..., fetch=...)
    async for event in reader.events():
        ...    # apply it, and store event.seq as the session's position, together

Messages are repeated, late, out of order, and without the bodies that are too large for them; what one skips was
published by nobody yet, or lost with its publisher. The log has it all, so every gap is read from there.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from onward.adapters.gcp.clients import PerLoop, credentials, is_outage, repeats
from onward.adapters.gcp.messages import BadMessage, Message, SessionEvent, parse_event
from onward.errors import NotFound, Retryable

if TYPE_CHECKING:
    from google.pubsub_v1 import SubscriberAsyncClient

SESSIONS = 10_000
"""Sessions whose position is kept in mind; of another it is asked for again."""

Ref = tuple[str, str]
"""Which session: its tenant and its id."""

Position = Callable[[str, str], Awaitable[int]]
"""The last event of (tenant, session) that the subscriber has applied; 0 where there is none."""

Fetch = Callable[[str, str, int], Awaitable[Sequence[SessionEvent]]]
"""Events of (tenant, session) after this seq from the log, in order: all, or the first of them. Raises NotFound for a
session that was deleted."""

log = logging.getLogger("onward.reader")


# --- in order: pure --------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Line:
    """What is known of one session's events beyond those that were applied."""

    done: int
    events: dict[int, SessionEvent] = field(default_factory=dict)
    receipts: dict[int, list[str]] = field(default_factory=dict)

    def offer(self, event: SessionEvent, receipt: str | None = None) -> None:
        """Here is an event, once more perhaps."""
        if receipt is not None:
            self.receipts.setdefault(event.seq, []).append(receipt)
        known = self.events.get(event.seq)
        if event.seq > self.done and (known is None or known.body is None):
            self.events[event.seq] = event

    def next(self) -> SessionEvent | None:
        """The event to apply next, if it is here and whole."""
        event = self.events.get(self.done + 1)
        return event if event is not None and event.body is not None else None

    @property
    def lacks(self) -> bool:
        """Whether something is here that can't be applied yet."""
        return bool(self.events) and self.next() is None

    def applied(self) -> None:
        """The next one was applied."""
        self.done += 1
        self.events.pop(self.done, None)

    def settled(self) -> list[str]:
        """The receipts of what was applied; each is given once."""
        found = [seq for seq in self.receipts if seq <= self.done]
        return [receipt for seq in found for receipt in self.receipts.pop(seq)]


# --- from a subscription ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Delivered:
    """A message, and the receipt by which it is acknowledged."""

    message: Message
    receipt: str


class Source(Protocol):
    """Where messages come from. What is not acknowledged comes again."""

    async def pull(self) -> Sequence[Delivered]: ...
    async def acknowledge(self, receipts: Sequence[str]) -> None: ...


class EventReader:
    """Reads one source. `refused` counts messages that were none of ours, each of which is logged and acknowledged.

    An event was applied when the next is asked for; a message is acknowledged after that. Who stores a position
    together with what the event did applies each exactly once, whatever dies. Several readers of one subscription may
    come to the same event at once: then the position is to be stored only if it was the one before.
    """

    def __init__(self, source: Source, *, position: Position, fetch: Fetch, sessions: int = SESSIONS) -> None:
        self.refused = 0
        self._source = source
        self._position = position
        self._fetch = fetch
        self._most = sessions
        self._known: OrderedDict[Ref, Line] = OrderedDict()

    async def events(self) -> AsyncIterator[SessionEvent]:
        """Every event, for ever; those of one session in order. Raises what `position` and `fetch` raise, and
        Retryable: then begin again, nothing is lost."""
        self._known.clear()
        while True:
            async for event in self.batch():
                yield event

    async def batch(self) -> AsyncIterator[SessionEvent]:
        """The events that come of one pull."""
        touched = await self._take(await self._source.pull())
        for ref in touched:
            line = self._known[ref]
            while await self._fill(ref, line):
                while event := line.next():
                    yield event
                    line.applied()
            await self._acknowledge(line.settled())
        self._forget()

    async def _take(self, delivered: Iterable[Delivered]) -> list[Ref]:
        """Note what was delivered; the sessions that it is of."""
        touched: dict[Ref, None] = {}
        for one in delivered:
            try:
                event = parse_event(one.message)
            except BadMessage as exc:
                await self._refuse(one, exc)
                continue
            ref = (event.tenant, event.session)
            (await self._line(ref)).offer(event, one.receipt)
            touched[ref] = None
        return list(touched)

    async def _line(self, ref: Ref) -> Line:
        if ref not in self._known:
            self._known[ref] = Line(await self._position(*ref))
        self._known.move_to_end(ref)
        return self._known[ref]

    async def _fill(self, ref: Ref, line: Line) -> bool:
        """Whether there is something to apply; what lacks is fetched first."""
        if not line.lacks:
            return line.next() is not None
        try:
            for event in await self._fetch(*ref, line.done):
                line.offer(event)
        except NotFound:  # deleted: nobody will ever know more of it
            line.done = max((*line.events, *line.receipts))
            line.events.clear()
        return line.next() is not None

    async def _refuse(self, one: Delivered, exc: BadMessage) -> None:
        """A newer release can read what is only too new."""
        if exc.code == "newer_message":
            return
        self.refused += 1
        log.warning("message refused: %s", exc, extra={"action": "message_refused"})
        await self._source.acknowledge([one.receipt])

    async def _acknowledge(self, receipts: Sequence[str]) -> None:
        if receipts:
            await self._source.acknowledge(receipts)

    def _forget(self) -> None:
        """Let go of the sessions that were heard of longest ago. What was not acknowledged of them comes again."""
        while len(self._known) > self._most:
            self._known.popitem(last=False)


class Subscription:
    """The source that a pull subscription is, `projects/P/subscriptions/S`.

    Its deadline for acknowledgements should be longer than what is done with `most` events takes: what is slower comes
    again, which costs, and does no harm. `endpoint` is the host:port of an emulator.
    """

    def __init__(
        self, name: str, *, endpoint: str | None = None, most: int = 100, wait: float = 30.0, patience: float = 20.0
    ) -> None:
        self._name = name
        self._endpoint = endpoint
        self._most = most
        self._wait = wait
        self._patience = patience
        self._clients = PerLoop(self._client)

    async def pull(self) -> Sequence[Delivered]:
        """What is there, at most `most`; nothing where nothing came for `wait` seconds. Raises Retryable."""
        try:
            client = await self._clients.get()
            answer = await client.pull(subscription=self._name, max_messages=self._most, retry=None, timeout=self._wait)
        except Exception as exc:
            if _is_silence(exc):
                return []
            if not is_outage(exc):
                raise
            raise self._failed(exc) from exc
        return [_delivered(received, self._name) for received in answer.received_messages]

    async def acknowledge(self, receipts: Sequence[str]) -> None:
        """These need not come again; some may all the same. Raises Retryable."""
        try:
            client = await self._clients.get()
            await client.acknowledge(
                subscription=self._name, ack_ids=list(receipts), retry=repeats(self._patience), timeout=self._patience
            )
        except Exception as exc:
            if not is_outage(exc):
                raise
            raise self._failed(exc) from exc

    async def close(self) -> None:
        """Close the connection of the running event loop."""
        client = await self._clients.take()
        if client is not None:
            await client.transport.close()

    def _failed(self, exc: Exception) -> Retryable:
        return Retryable(f"{self._name}: {type(exc).__name__}: {str(exc)[:500]}")

    async def _client(self) -> SubscriberAsyncClient:
        found = await asyncio.to_thread(credentials, self._endpoint, "pubsub")
        import grpc
        from google.pubsub_v1 import SubscriberAsyncClient
        from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcAsyncIOTransport as Transport

        if self._endpoint is None:
            return SubscriberAsyncClient(credentials=found)
        return SubscriberAsyncClient(transport=Transport(channel=grpc.aio.insecure_channel(self._endpoint)))


def _is_silence(exc: Exception) -> bool:
    from google.api_core.exceptions import DeadlineExceeded

    return isinstance(exc, DeadlineExceeded)


def _delivered(received: Any, subscription: str) -> Delivered:
    sent = received.message
    message = Message(
        id=sent.message_id,
        data=sent.data,
        attributes=dict(sent.attributes),
        published_at=str(sent.publish_time or ""),
        subscription=subscription,
        attempt=received.delivery_attempt or None,
    )
    return Delivered(message, received.ack_id)
