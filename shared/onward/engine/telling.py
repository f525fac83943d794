"""Errands: a webhook is told of an event, as often as that takes, and beside the session it happened to.

Nothing here needs or takes a lease, and nothing that goes wrong here is written into a log: a receiver that does not
answer holds up nobody.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from onward.core.events import (
    ApprovalDecided,
    ApprovalDelegated,
    ApprovalReminded,
    ApprovalRequested,
    CallReconciled,
    Event,
    SessionCancelled,
    SessionCompleted,
    SessionFailed,
)
from onward.core.given import Needs, NotPrepared, Supply
from onward.core.head import Head
from onward.core.notices import attention_details, ending_details, notice, question_details
from onward.core.state import State
from onward.core.webhooks import AGAIN, Occasion, Webhook, message_id, occasion_of, signature
from onward.engine.listeners import Webhooks
from onward.engine.load import PAGE, Loader
from onward.errors import BadInput, NotDelivered, Permanent
from onward.ports import Clock, Errand, Post, SessionStore, Timers

GONE = 410
"""The answer of a receiver that wants no more of this."""

Links = Callable[[Head, ApprovalRequested, int], str | None]
"""Where an approval is decided on, after so many decisions on its call; None where nobody knows."""

Details = dict[str, Any]
_ABOUT = (ApprovalRequested, ApprovalDecided, ApprovalDelegated)
log = logging.getLogger("onward.webhooks")


class Teller:
    """Runs errands. To return means that it is done, or that the next attempt is armed."""

    def __init__(
        self,
        store: SessionStore,
        timers: Timers,
        clock: Clock,
        loader: Loader,
        supply: Supply,
        post: Post,
        webhooks: Webhooks,
        links: Links,
    ) -> None:
        self._store, self._timers, self._clock, self._loader = store, timers, clock, loader
        self._supply, self._post, self._webhooks, self._links = supply, post, webhooks, links

    async def run(self, errand: Errand) -> None:
        """Tell the webhook, unless what it would be told is settled. Raises Retryable where the store or the timers
        fail: then the errand is to come again as it is."""
        head = await self._store.read(errand.key)
        if head is None or head.status == "deleted":
            return
        hook = self._webhooks.get(errand.webhook)
        if hook is None:  # another release may have it, or another application on the same store
            return await self._again(head, errand, f"no webhook {errand.webhook} is declared here")
        try:
            told = await self._told(head, errand)
            status = None if told is None else await self._sent(hook, errand, *told)
        except NotDelivered as exc:
            return await self._again(head, errand, str(exc))
        except Permanent as exc:
            return await self._again(head, errand, f"the session can't be read: {exc}")
        if status is not None:
            await self._answered(head, errand, status)

    async def _answered(self, head: Head, errand: Errand, status: int) -> None:
        if 200 <= status < 300:
            _note(logging.INFO, "webhook_told", head, errand)
        elif status == GONE:
            _note(logging.WARNING, "webhook_gone", head, errand, "the receiver answered 410: it wants no more of this")
        else:
            await self._again(head, errand, f"the receiver answered {status}")

    async def _again(self, head: Head, errand: Errand, why: str) -> None:
        delay = AGAIN.delay(errand.attempt)
        if delay is None:
            return _note(logging.ERROR, "webhook_given_up", head, errand, why)
        _note(logging.WARNING, "webhook_not_told", head, errand, why)
        at = self._clock.now() + timedelta(seconds=delay)
        await self._timers.send(replace(errand, attempt=errand.attempt + 1), at)

    # --- sending -----------------------------------------------------------------------------------------------

    async def _sent(self, hook: Webhook, errand: Errand, id: str, body: bytes) -> int:
        """The receiver's answer. Raises NotDelivered."""
        timestamp = int(self._clock.now().timestamp())
        headers = {
            "content-type": "application/json",
            "webhook-id": id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(await self._secret(hook), id, timestamp, body),
        }
        return await self._post.post(hook.url, headers, body, private=hook.allow_private)

    async def _secret(self, hook: Webhook) -> str:
        """Raises NotDelivered, saying no secret."""
        try:
            given = await self._supply.give(Needs(secrets={"secret": hook.secret}))
            word: str = given.values["secret"].reveal()
            signature(word, "", 0, b"")
        except (NotPrepared, BadInput) as exc:
            raise NotDelivered(str(exc)) from None
        return word

    # --- what is said ------------------------------------------------------------------------------------------

    async def _told(self, head: Head, errand: Errand) -> tuple[str, bytes] | None:
        """The message's id and body; None where there is nothing to be told any more. Raises Permanent."""
        event = await self._event(errand.key, errand.seq)
        occasion = occasion_of(event.body) if event else None
        if event is None or occasion is None:
            return None
        details = await self._details(head, event, occasion)
        id = message_id(errand.key, errand.seq, errand.webhook)
        return None if details is None else (id, notice(occasion, id, head, event, details))

    async def _event(self, key: str, seq: int) -> Event | None:
        commits = await self._store.commits(key, after=seq - 1, limit=1)
        events = [event for commit in commits for event in self._loader.events(commit)]
        return next((event for event in events if event.seq == seq), None)

    async def _details(self, head: Head, event: Event, occasion: Occasion) -> Details | None:
        body = event.body
        if isinstance(body, SessionCompleted | SessionFailed | SessionCancelled):
            return ending_details(body)
        if isinstance(body, ApprovalRequested | ApprovalReminded):
            return await self._question(head, event.seq, body)
        return await self._attention(head, event)

    async def _question(self, head: Head, seq: int, body: ApprovalRequested | ApprovalReminded) -> Details | None:
        """What is asked, if it still is."""
        call = (await self._loader.fold(head)).calls.get(body.call)
        if call is None or call.status != "asked":
            return None
        said = [event async for event in self._about(head.key, call.id)]
        asked = next((e.body for e in reversed(said) if e.seq <= seq and isinstance(e.body, ApprovalRequested)), None)
        if asked is None or asked.digest != call.digest:
            return None
        decided = sum(isinstance(event.body, ApprovalDecided | ApprovalDelegated) for event in said)
        arguments = await self._loader.resolve(head.key, asked.arguments)
        return question_details(asked, call, arguments, self._links(head, asked, decided))

    async def _about(self, key: str, call: str) -> AsyncIterator[Event]:
        """Every question about a call and every decision on it: they come after it was proposed."""
        after = int(call.partition(".")[0])
        while commits := await self._store.commits(key, after=after, limit=PAGE):
            for event in (event for commit in commits for event in self._loader.events(commit)):
                if isinstance(event.body, _ABOUT) and event.body.call == call:
                    yield event
            after = commits[-1].last_seq

    async def _attention(self, head: Head, event: Event) -> Details | None:
        """Why somebody is needed, if they still are."""
        state = await self._state(head)
        if isinstance(event.body, CallReconciled):
            call = state.calls.get(event.body.call) if state else None
            return attention_details(event.body, state) if call and call.status == "person" else None
        return attention_details(event.body, state) if head.status == "needs_attention" else None

    async def _state(self, head: Head) -> State | None:
        """None where the log can't be read: that is what attention is needed for, then."""
        try:
            return await self._loader.fold(head)
        except Permanent:
            return None


def _note(level: int, action: str, head: Head, errand: Errand, error: str | None = None) -> None:
    said = {"action": action, "tenant": head.tenant, "session": head.id, "seq": errand.seq, "error": error}
    log.log(level, action.replace("_", " "), extra=said | {"webhook": errand.webhook, "attempt": errand.attempt})
