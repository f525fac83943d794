"""Wakes and committed events as messages of Pub/Sub. Each publish is one awaited request: nothing is batched in a
thread, which a frozen instance would never send (R12)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from onward.adapters.gcp.clients import PerLoop, credentials, is_outage, repeats
from onward.adapters.gcp.messages import event_message, session_event, wake_message
from onward.errors import Retryable

if TYPE_CHECKING:
    from google.pubsub_v1 import PublisherAsyncClient

    from onward.core.events import Event
    from onward.core.head import Head
    from onward.ports import Wake

PATIENCE = 20.0
"""Seconds that one publish is tried again for."""

ATTEMPT = 10.0
"""Seconds that one attempt may take."""

MOST_MESSAGES, MOST_BYTES = 1000, 5_000_000
"""Of one request: half of what the service takes, since it counts more than data and attributes."""

_Message = tuple[bytes, dict[str, str]]


class Topic:
    """Publishes to one topic, `projects/P/topics/T`.

    `endpoint` is the host:port of an emulator, which is asked without credentials. Nothing is loaded or reached before
    the first message; there is one connection for each event loop.
    """

    def __init__(self, topic: str, *, endpoint: str | None = None, patience: float = PATIENCE) -> None:
        self.name = topic
        self._endpoint = endpoint
        self._patience = patience
        self._clients = PerLoop(self._client)

    async def publish(self, messages: Sequence[_Message]) -> None:
        """Return once the service has them all. Raises Retryable where it may not: they may then come all the same."""
        try:
            for request in _requests(messages):
                await self._send(request)
        except Exception as exc:
            if not is_outage(exc):
                raise
            raise Retryable(f"{self.name} took no message: {type(exc).__name__}: {str(exc)[:500]}") from exc

    async def _send(self, messages: Sequence[_Message]) -> None:
        client = await self._clients.get()
        from google.pubsub_v1 import PublishRequest, PubsubMessage

        sent = [PubsubMessage.pb()(data=data, attributes=attributes) for data, attributes in messages]
        request = PublishRequest.wrap(PublishRequest.pb()(topic=self.name, messages=sent))
        await client.publish(request, retry=repeats(self._patience), timeout=min(ATTEMPT, self._patience))

    async def _client(self) -> PublisherAsyncClient:
        """Made in a thread as far as it can be: that loads much, and may look for credentials."""
        found = await asyncio.to_thread(_loaded, self._endpoint)
        import grpc
        from google.pubsub_v1 import PublisherAsyncClient
        from google.pubsub_v1.services.publisher.transports import PublisherGrpcAsyncIOTransport as Transport

        if self._endpoint is None:
            return PublisherAsyncClient(credentials=found)
        return PublisherAsyncClient(transport=Transport(channel=grpc.aio.insecure_channel(self._endpoint)))

    async def close(self) -> None:
        """Close the connection of the running event loop. A later publish opens a new one."""
        client = await self._clients.take()
        if client is not None:
            await client.transport.close()


class PubSubWakes:
    """The Wakes port: a bare wake on the topic of sessions."""

    def __init__(self, topic: Topic) -> None:
        self._topic = topic

    async def publish(self, wake: Wake) -> None:
        """Publish a wake. Raises Retryable."""
        await self._topic.publish([wake_message(wake)])


class PubSubFeed:
    """The Feed port: a message for each event on the topic of events.

    With `private` they bring what people and companies say, too. Who may read the topic may read that, and nobody can
    erase it there.
    """

    def __init__(self, topic: Topic, *, private: bool = False) -> None:
        self._topic = topic
        self._private = private

    async def publish(self, head: Head, events: Sequence[Event]) -> None:
        """Publish committed events. Raises Retryable."""
        await self._topic.publish([event_message(session_event(head, event, self._private)) for event in events])


def _requests(messages: Sequence[_Message]) -> Iterator[list[_Message]]:
    """The messages in as many requests as they need."""
    request: list[_Message] = []
    size = 0
    for data, attributes in messages:
        more = len(data) + sum(len(name) + len(value) for name, value in attributes.items())
        if request and (len(request) == MOST_MESSAGES or size + more > MOST_BYTES):
            yield request
            request, size = [], 0
        request.append((data, attributes))
        size += more
    if request:
        yield request


def _loaded(endpoint: str | None) -> Any:
    import google.pubsub_v1  # noqa: F401 - loaded here, and not in the event loop

    return credentials(endpoint, "pubsub")
