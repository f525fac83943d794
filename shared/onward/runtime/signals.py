"""Moving sessions: inputs, decisions, outcomes and an operator's orders, each filed as a signal (R16, R17)."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from onward.core import events as ev
from onward.core.canonical import digest as digest_of
from onward.core.events import Actor, Event, Limits
from onward.core.head import Head, Wait
from onward.core.signals import Signal, Verdict, filed_as
from onward.errors import BadInput, Refused
from onward.ports import Query, Wake, every
from onward.runtime.sessions import Sessions

DECISION_WAIT = 10.0
"""Seconds a caller waits for what became of a signal; then it is told `accepted` (R17)."""

EDIT_WAIT = 0.5
"""The same for what the program says of changed arguments, where this runtime does not run it."""

Wanted = Callable[[ev.Body], bool]
OutcomeStatus = Literal["done", "not_done", "failed"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a signal: `event` is the one it turned into, None while it is accepted and not yet decided."""

    signal: str
    event: Event | None

    @property
    def decided(self) -> bool:
        return self.event is not None


class Signals(Sessions):
    """What a runtime can tell a session. Every method raises NotFound, and Refused with what stands instead."""

    async def send(
        self, id: str, content: Any, *, name: str | None = None, key: str | None = None, tenant: str = "default"
    ) -> Outcome:
        """Give a session an input: with a `name`, the wait of a workflow that asks for that one. It may come before its
        wait. The same `key` again is the same input. Raises BadInput where it is not of the form that is waited for."""
        return await self._signal(id, "input", _said(content, name), key or secrets.token_hex(8), tenant)

    async def file_input(
        self, id: str, content: Any, key: str, tenant: str = "default", *, name: str | None = None
    ) -> None:
        """File an input as `send` does, and do not wait for what becomes of it."""
        session = await self.get(id, tenant)
        await self.parts.gateway.signal(session.key, "input", _said(content, name), self._sender(None), key)

    # --- approvals ---------------------------------------------------------------------------------------------

    async def approvals(self, id: str | None = None, tenant: str = "default") -> Sequence[tuple[Head, Wait]]:
        """Open approvals, oldest session first: of one session, or of all."""
        waiting = every(self.parts.backend.store, Query(tenant=tenant, wait="approval", oldest=True))
        heads = [await self.get(id, tenant)] if id else [head async for head in waiting]
        return [(head, wait) for head in heads for wait in await self.waits(head) if wait.kind == "approval"]

    async def decide(
        self,
        id: str,
        verdict: Literal["approved", "rejected"],
        *,
        call: str | None = None,
        digest: str | None = None,
        arguments: Mapping[str, Any] | None = None,
        reason: str = "",
        by: str | None = None,
        tenant: str = "default",
    ) -> Outcome:
        """Decide an approval as `by` (by default this runtime's identity).

        Without `call` the session's only open approval is meant. Without `digest` the call is meant as it stands now;
        give the digest that the person was shown. With `arguments` the call is approved with those instead; raises
        BadInput where they don't fit the call's schema.
        """
        more = {"arguments": dict(arguments)} if arguments is not None else {}
        outcome = await self._decide(id, verdict, call, digest, more | {"reason": reason}, by, tenant)
        return await self._checked(id, outcome, tenant)

    async def respond(
        self,
        id: str,
        result: Any,
        *,
        call: str | None = None,
        digest: str | None = None,
        reason: str = "",
        tenant: str = "default",
    ) -> Outcome:
        """Answer an approval with the call's result, so that it need not be performed."""
        return await self._decide(id, "responded", call, digest, {"result": result, "reason": reason}, None, tenant)

    async def delegate(
        self,
        id: str,
        to: str,
        *,
        call: str | None = None,
        digest: str | None = None,
        reason: str = "",
        tenant: str = "default",
    ) -> Outcome:
        """Pass an approval on: `to` is to decide it."""
        return await self._decide(id, "delegated", call, digest, {"to": to, "reason": reason}, None, tenant)

    async def _decide(
        self,
        id: str,
        verdict: Verdict,
        call: str | None,
        digest: str | None,
        more: Mapping[str, Any],
        by: str | None,
        tenant: str,
    ) -> Outcome:
        if call is None or digest is None:
            call, digest = await self._open_approval(id, call, tenant, digest)
        body = {"call": call, "verdict": verdict, "digest": digest, **more}
        return await self._signal(id, "decision", body, digest_of(body), tenant, by)

    async def _open_approval(self, id: str, call: str | None, tenant: str, shown: str | None) -> tuple[str, str]:
        found = [wait for _, wait in await self.approvals(id, tenant) if call in (None, wait.call)]
        if len(found) > 1:
            calls = ", ".join(str(wait.call) for wait in found)
            raise BadInput(f"session {id} has {len(found)} open approvals; say which call: {calls}")
        if not found:
            state = await self.state(id, tenant)
            stands = (
                state.decisions.get(call or "")
                or (list(state.decisions.values()) or [f"no approval is open; it is {state.ended or 'going on'}"])[-1]
            )
            raise Refused("decision refused", "not_open", stands)
        return str(found[0].call), shown or str(found[0].digest)

    async def _checked(self, id: str, outcome: Outcome, tenant: str) -> Outcome:
        """Wait for what the program says of changed arguments. Raises Refused where it takes them not, and the question
        is open again."""
        decided = outcome.event
        if decided is None or not isinstance(decided.body, ev.ApprovalDecided) or decided.body.arguments is None:
            return outcome
        call, session = decided.body.call, await self.get(id, tenant)
        wait = DECISION_WAIT if self.works else EDIT_WAIT
        checked = await self._event(session, decided.seq, lambda body: _edits(body, call), wait)
        if checked is not None and isinstance(checked.body, ev.CallEdited) and checked.body.error is not None:
            raise Refused("edit refused", checked.body.error.code, f"{checked.body.error.message}; it is open again")
        return outcome

    # --- calls -------------------------------------------------------------------------------------------------

    async def resolve(
        self,
        id: str,
        status: OutcomeStatus,
        *,
        call: str | None = None,
        result: Any = None,
        reason: str = "",
        tenant: str = "default",
    ) -> Outcome:
        """Say what became of a call that is in doubt: it happened (with this result), it did not (and may be tried
        again), or it failed for good."""
        call = call or await self._only_call(id, tenant, "in doubt or pending", "person", "doubt", "pending")
        body: dict[str, Any] = {"call": call, "status": status, "result": result, "reason": reason}
        if status == "failed":
            body["error"] = {"code": "failed", "message": reason or "an operator says that it failed"}
        open = (await self.state(id, tenant)).calls.get(call)
        key = digest_of([body, open.attempt if open else None])  # the same answer to a second doubt is another answer
        return await self._signal(id, "outcome", body, key, tenant)

    async def skip(
        self, id: str, result: Any = None, *, call: str | None = None, reason: str = "", tenant: str = "default"
    ) -> Outcome:
        """Give an open call this result instead of performing it."""
        call = call or await self._only_call(id, tenant, "open")
        body = {"call": call, "result": result, "reason": reason}
        return await self._signal(id, "skip", body, digest_of(body), tenant)

    async def _only_call(self, id: str, tenant: str, what: str, *statuses: str) -> str:
        """The one open call that can be meant."""
        state = await self.state(id, tenant)
        found = [call.id for call in state.calls.values() if not statuses or call.status in statuses]
        if len(found) > 1:
            raise BadInput(f"session {id} has {len(found)} calls {what}; say which: {', '.join(found)}")
        if not found:
            raise Refused("not taken", "no_such_call", f"no call is {what}")
        return found[0]

    async def complete(
        self,
        id: str,
        call: str,
        token: str,
        *,
        result: Any = None,
        error: Mapping[str, str] | None = None,
        tenant: str = "default",
    ) -> Outcome:
        """Complete a call that goes on outside, with the token its tool was given."""
        body = (
            {"call": call, "status": "failed", "error": dict(error)}
            if error
            else {"call": call, "status": "done", "result": result}
        )
        session = await self.get(id, tenant)
        signal = await self.parts.gateway.complete(session.key, body, token)
        return await self._outcome(session, signal)

    # --- the session -------------------------------------------------------------------------------------------

    async def pause(self, id: str, reason: str = "", *, tenant: str = "default") -> Outcome:
        """Start nothing new in a session until it is resumed; what is under way is finished."""
        return await self._signal(id, "pause", {"reason": reason}, secrets.token_hex(8), tenant)

    async def resume(self, id: str, reason: str = "", *, tenant: str = "default") -> Outcome:
        """Set a paused session going."""
        return await self.retry(id, reason, tenant=tenant)

    async def retry(
        self, id: str, reason: str = "", *, limits: Limits | None = None, tenant: str = "default"
    ) -> Outcome:
        """Set a session going that needs attention, if need be under other limits."""
        body = {"reason": reason, "limits": limits.model_dump() if limits else None}
        return await self._signal(id, "resume", body, secrets.token_hex(8), tenant)

    async def finish(self, id: str, output: Any = None, reason: str = "", *, tenant: str = "default") -> Outcome:
        """End a session as completed, with this output or else its newest answer. Refused while something was done in
        the world whose outcome is not known."""
        return await self._signal(id, "finish", {"output": output, "reason": reason}, secrets.token_hex(8), tenant)

    async def cancel(self, id: str, reason: str = "", *, tenant: str = "default") -> Outcome:
        """End a session as cancelled, once nothing that was started is unsettled."""
        return await self._signal(id, "cancel", {"reason": reason}, secrets.token_hex(8), tenant)

    # --- filing ------------------------------------------------------------------------------------------------

    def _sender(self, by: str | None) -> Actor:
        return Actor(kind="person", name=by or self.identity)

    async def _signal(
        self, id: str, kind: str, body: Mapping[str, Any], key: str, tenant: str, by: str | None = None
    ) -> Outcome:
        """File a signal as a person; what was filed before under the same key gets the same answer again. Other content
        under that key is refused."""
        sender = self._sender(by)
        session = await self.get(id, tenant)
        filed = filed_as(sender, kind, key)
        try:
            signal = await self.parts.gateway.signal(session.key, kind, body, sender, key)
        except Refused as no:
            before = await self._find(session.key, 0, lambda body: _of(body, filed))
            if before is None or no.code == "signal_reused":
                raise
            return _answered(filed, before)
        return await self._outcome(session, signal)

    async def _outcome(self, session: Head, filed: Signal) -> Outcome:
        """Wait for the signal's event. A runtime that does not work absorbs it itself, if nobody holds the session.

        What was filed after the head was written can only have become an event after it.
        """
        signal, after = filed.id, session.seq if filed.filed_at and filed.filed_at > session.updated_at else 0
        if not self.works:
            await self.parts.engine.advance(Wake(session.key, look=True))
        event = await self._event(session, after, lambda body: _of(body, signal) or _unread(body, filed), DECISION_WAIT)
        return Outcome(signal, None) if event is None else _answered(signal, event)

    async def _event(self, session: Head, after: int, wanted: Wanted, timeout: float) -> Event | None:
        """The first such event after this seq, waited for if need be."""
        try:
            async with asyncio.timeout(timeout):
                while (event := await self._find(session.key, after, wanted)) is None:
                    await self.parts.backend.wait_for_commit(session.key, max(after, session.seq), 1.0)
                return event
        except TimeoutError:
            return None

    async def _find(self, key: str, after: int, wanted: Wanted) -> Event | None:
        for commit in await self.parts.backend.store.commits(key, after=after):
            for event in self.parts.loader.events(commit):
                if event.seq > after and wanted(event.body):
                    return event
        return None


def _said(content: Any, name: str | None) -> dict[str, Any]:
    return {"content": content} if name is None else {"content": content, "name": name}


def _of(body: ev.Body, signal: str) -> bool:
    return getattr(body, "signal", None) == signal


def _unread(body: ev.Body, signal: Signal) -> bool:
    """Whether this is the end of a session that was cancelled by its head: of the signals nothing was read then."""
    return signal.kind == "cancel" and isinstance(body, ev.SessionCancelled) and body.unread


def _edits(body: ev.Body, call: str) -> bool:
    return isinstance(body, ev.CallEdited) and body.call == call


def _answered(signal: str, event: Event) -> Outcome:
    body = event.body
    if isinstance(body, ev.SignalRefused):
        raise Refused(body.error.message.removesuffix(f": {body.stands}"), body.error.code, body.stands)
    return Outcome(signal, event)
