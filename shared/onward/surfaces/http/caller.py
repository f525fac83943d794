"""Sessions for one who asks from outside, and what may be decided by whom."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from onward.core import events as ev
from onward.core.canonical import digest
from onward.core.events import Actor, Operation, Proposal
from onward.core.head import Head
from onward.core.ids import check_id, session_key
from onward.core.ledger import LedgerEntry
from onward.core.signals import DecisionBody, Verdict, filed_as, parse
from onward.errors import NotAllowed, NotFound, Refused
from onward.runtime.access import Elsewhere
from onward.runtime.signals import Outcome
from onward.surfaces.http.roles import Roles
from onward.wiring import Parts

GENERATIONS = 100
"""So far up it is looked for whoever asked for what a session does."""

EVERY = 2**63
"""More events than a session has."""


class Caller(Elsewhere):
    """Sessions, in the name of somebody who is known; others advance them."""

    def __init__(self, parts: Parts, identity: str) -> None:
        super().__init__()
        self.parts = parts
        self.identity = identity

    async def tell(self, id: str, kind: str, body: Mapping[str, Any], key: str | None, tenant: str) -> Outcome:
        """File a signal and wait for what becomes of it, for a while. Without a key, a decision is its own: the same
        again is the same; anything else is new."""
        known = parse(kind, body)
        made = digest(dict(body)) if kind == "decision" else secrets.token_hex(8)
        outcome = await self._signal(id, kind, body, key or made, tenant)
        edited = isinstance(known, DecisionBody) and known.arguments is not None
        return await self._checked(id, outcome, tenant) if edited else outcome

    def filed(self, decision: Mapping[str, Any], key: str | None) -> str:
        """The id under which `tell` files a decision."""
        return filed_as(self._sender(None), "decision", key or digest(dict(decision)))

    async def completed(self, id: str, body: dict[str, Any], token: str, tenant: str) -> Outcome:
        """Say how a call that goes on outside ended. Without its token nothing is said of any session, not even whether
        it is there."""
        signal = await self.parts.gateway.complete(session_key(tenant, check_id(id)), body, token)
        return await self._outcome(await self.get(id, tenant), signal)

    async def logged(self, id: str, tenant: str) -> Head:
        """The head of a session that has a log. Raises NotFound."""
        return await self._with_log(id, tenant)

    async def done_by(self, head: Head) -> Sequence[LedgerEntry]:
        """What one of many sessions did to the world; nothing, where its log can't be read."""
        return await self._ledger(head, alone=False)

    # --- who may decide ----------------------------------------------------------------------------------------

    async def check_may_decide(
        self, roles: Roles, head: Head, call: str, verdict: Verdict, tool: str | None = None
    ) -> None:
        """Raises NotAllowed where the table's rules of approvals don't let this caller decide that, Refused where
        nothing was ever proposed under this name. `tool` is the call's, where that is known."""
        if not roles.approvals:
            return
        tool = tool or (await self._proposal(head, call)).tool
        rules = roles.rules(head.tenant, head.program, tool)
        for rule in rules:
            if rule.by is not None and not roles.names(rule.by, self.identity):
                raise NotAllowed(f"{self.identity} may not decide {tool}: {', '.join(rule.by)} may", "not_approver")
        if verdict in ("approved", "responded") and any(rule.not_requester for rule in rules):
            await self._check_no_requester(head, tool)

    async def takes_decision(self, head: Head, call: str) -> bool:
        """Whether a person was to be asked about a call when it was proposed. Raises Refused where there is none."""
        return (await self._proposal(head, call)).rule is not None

    async def operation(self, head: Head, call: str) -> Operation | None:
        """What a workflow asked for by this call; None where it is no call of one."""
        body, index = await self._proposed(head, call)
        return body.operations[index] if index < len(body.operations) else None

    async def _proposal(self, head: Head, call: str) -> Proposal:
        """A call as it was proposed: recorded, and the same for ever."""
        body, index = await self._proposed(head, call)
        if index >= len(body.calls):
            raise _not_open(call)
        return body.calls[index]

    async def _proposed(self, head: Head, call: str) -> tuple[ev.CallsProposed, int]:
        """The event that proposed a call, and which of its calls that is. Raises Refused where there is none."""
        seq, _, index = call.partition(".")
        if call.isascii() and seq.isdecimal() and index.isdecimal() and 0 < int(seq[:12]) <= head.seq:
            for commit in await self.parts.backend.store.commits(head.key, after=int(seq) - 1, limit=1):
                for event in self.parts.loader.events(commit):
                    if event.seq == int(seq) and isinstance(event.body, ev.CallsProposed):
                        return event.body, int(index[:12])
        raise _not_open(call)

    async def _check_no_requester(self, head: Head, tool: str) -> None:
        async for actor in self._requesters(head):
            if actor.name.casefold() == self.identity.casefold():
                stands = f"{tool} is approved by somebody else than whoever asked for it"
                raise NotAllowed(f"{self.identity} asked for this: {stands}", "requester")

    async def _requesters(self, head: Head) -> AsyncIterator[Actor]:
        """Whoever started a session or said something to it; of one that another started, theirs too, and of a branch
        those of what it took over."""
        until = EVERY
        for _ in range(GENERATIONS):
            async for event in self.events(head.id, tenant=head.tenant):
                if event.seq <= until and isinstance(event.body, ev.SessionStarted | ev.InputReceived):
                    yield event.actor
            if head.origin is None and head.parent is None:
                return
            until = head.origin.seq if head.origin else EVERY
            head = await self._before(head)
        raise NotAllowed(f"session {head.id} has too many before it to tell who asked", "requester")

    async def _before(self, head: Head) -> Head:
        """What a session was started by, or is a branch of."""
        try:
            found = await self.parent_of(head) if head.origin else await self._with_log(head.parent or "", head.tenant)
        except NotFound:
            found = None
        if found is None or found.status == "deleted":
            name = head.origin.session if head.origin else head.parent
            raise NotAllowed(f"who asked for session {head.id} can't be told: {name} is gone", "requester")
        return found


def _not_open(call: str) -> Refused:
    return Refused("not taken", "not_open", f"there is no open call {call[:60]}")
