"""What a message on the topic of sessions asks for: it is filed first, and then the message itself is the wake."""

from __future__ import annotations

from dataclasses import replace

from onward.adapters.gcp.messages import Started, Told
from onward.core.events import Actor
from onward.engine.creating import Creator
from onward.engine.files import Files
from onward.engine.gateway import Gateway
from onward.errors import NotFound
from onward.ports import Ports, Wake
from onward.programs.app import App
from onward.surfaces.starting import start_of
from onward.wiring import Parts

PUBLISHER = Actor(kind="external", name="topic")
"""Who sends what comes as a message: whoever may publish there."""


class InHand:
    """The Wakes port where the wake is in hand already: the message that is not acknowledged before it was heeded."""

    async def publish(self, wake: Wake) -> None:
        return None


class Incoming:
    """Files what a message brings."""

    def __init__(self, parts: Parts, app: App) -> None:
        backend = parts.backend
        self._app = app
        ports = Ports(backend.store, InHand(), backend.queue, backend.feed, parts.clock)
        files = Files(backend.blobs)
        creator = Creator(ports, parts.loader, parts.appender)
        self._gateway = Gateway(ports, parts.loader, creator, files, parts.restores, backend.secret)

    async def wake(self, said: Wake | Told | Started) -> Wake:
        """File it, if it is not filed already, and answer the wake that it is. Raises UsageError and Retryable."""
        if isinstance(said, Started):
            start = start_of(self._app, said.tenant, said.session, said.body)
            head, new = await self._gateway.start(replace(start, trace=said.trace), PUBLISHER)
            return Wake(head.key, look=True, published=head.seq if new else 0)
        if isinstance(said, Told):
            await self._tell(said)
            return Wake(said.storage_key, look=True)
        return said

    async def _tell(self, told: Told) -> None:
        key, body = told.storage_key, dict(told.body)
        if told.token is not None:
            await self._gateway.complete(key, body, told.token)
            return
        said = (key, told.kind, body, _sender(told), told.key)
        try:
            await self._gateway.signal(*said)
        except NotFound:
            await self._gateway.signal_early(*said)


def _sender(told: Told) -> Actor:
    """Nobody has checked who made a decision that comes as a message: it counts only where an approval allows that."""
    return PUBLISHER if told.by is None else Actor(kind="unverified", name=told.by)
