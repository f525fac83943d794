"""Sessions of a deployment on Google Cloud, for an operator with rights on its project."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from onward.config import OperatorSettings, Settings
from onward.core.events import Actor
from onward.core.head import Head
from onward.core.ids import check_id
from onward.engine.fork import Fork
from onward.errors import NotFound, UsageError
from onward.runtime.access import Elsewhere
from onward.runtime.signals import Outcome
from onward.wiring import Api, Parts, api, operated


class Deployed(Elsewhere):
    """Looks at sessions and tells them something, by the rights of this machine's credentials; the deployment's
    functions move them. Use it as `async with Deployed(settings) as sessions`.

    Starts and decisions go through its API, in the name of the person whom an identity token names. Whatever else is
    done is recorded as done by `identity`, unverified, since nobody has checked that name: ONWARD_IDENTITY, or the
    login name, by default.
    """

    def __init__(self, settings: OperatorSettings, identity: str | None = None) -> None:
        super().__init__()
        self._settings = settings
        self.identity = identity or Settings.from_env().identity

    async def __aenter__(self) -> Deployed:
        self.parts: Parts = operated(self._settings)
        self.parts.renewer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.parts.close()

    @cached_property
    def _api(self) -> Api:
        return api(self._settings)

    async def decider(self) -> str:
        """Whom the identity token names. Raises UsageError."""
        return await self._api.person()

    # --- by the API --------------------------------------------------------------------------------------------

    async def start(self, program: str, input: Any = None, *, id: str) -> tuple[Head, bool]:
        """Start a session of a program that the deployment has: its head, and whether it is new. Raises BadInput, and
        Refused for an id that runs another program, or was given another input."""
        body = {"id": check_id(id), "program": program, "input": input}
        told = await self._api.ask("POST", "/v1/sessions?tenant=default", body)
        try:
            return await self.get(id), bool(told.get("new"))
        except NotFound:
            raise self._elsewhere(f"session {id} was started, and") from None

    async def branched(self, fork: Fork) -> tuple[Head, bool]:
        """Make a branch of a session: its head, and whether it is new. Raises NotFound, BadInput, Refused."""
        path = f"/v1/sessions/{check_id(fork.session)}/fork?tenant={check_id(fork.tenant, 'tenant')}"
        named = ("effects", "exists", "at", "model", "instructions", "version", "input")
        said = {name: value for name in named if (value := getattr(fork, name)) is not None}
        edits = [{"seq": seq, "value": value} for seq, value in fork.edits.items()]
        told = await self._api.ask("POST", path, {"id": check_id(fork.id), **said, "edits": edits})
        try:
            return await self.get(fork.id, fork.tenant), bool(told.get("new"))
        except NotFound:
            raise self._elsewhere(f"branch {fork.id} was made, and") from None

    async def complete(self, id: str, call: str, token: str, **_: Any) -> Outcome:
        """Raises UsageError: only the functions know the secret that such tokens are made of."""
        raise UsageError("outcome: it is sent to the deployment's topic, with the token")

    def _sender(self, by: str | None) -> Actor:
        return Actor(kind="unverified", name=by or self.identity)

    @property
    def _operator(self) -> Actor:
        return self._sender(None)

    @property
    def _deletes_as(self) -> str:
        return f"unverified {self.identity}"

    async def _signal(
        self, id: str, kind: str, body: Mapping[str, Any], key: str, tenant: str, by: str | None = None
    ) -> Outcome:
        """File a signal; a decision by the API, which knows who decides (G8)."""
        if kind != "decision":
            return await super()._signal(id, kind, body, key, tenant, by)
        if by is not None:
            raise UsageError("by: who decides is whoever the identity token names")
        path = f"/v1/sessions/{check_id(id)}/decisions?tenant={check_id(tenant, 'tenant')}"
        return await self._told(id, tenant, await self._api.ask("POST", path, body))

    async def _told(self, id: str, tenant: str, answer: Mapping[str, Any]) -> Outcome:
        """The outcome that the API has answered, with its event."""
        signal, event = str(answer.get("signal")), answer.get("event")
        if not isinstance(event, Mapping) or "seq" not in event:
            return Outcome(signal, None)
        async for found in self.events(id, after=int(event["seq"]) - 1, tenant=tenant):
            return Outcome(signal, found)
        raise self._elsewhere(f"event {event['seq']} of session {id}")

    def _elsewhere(self, what: str) -> NotFound:
        place = self._settings
        where = f"database {place.database} of project {place.project}"
        return NotFound(f"{what} is not in {where}: do ONWARD_API_URL and ONWARD_DATABASE belong together?")
