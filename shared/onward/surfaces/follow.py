"""Following one session until it rests or has ended, and deciding with it on a terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from onward.core import events as ev
from onward.core.events import Event
from onward.core.head import Head
from onward.core.ids import call_id
from onward.core.state import OpenCall
from onward.errors import NotFound
from onward.runtime.access import Access
from onward.surfaces.asking import Asker, Asking
from onward.surfaces.documents import whole
from onward.surfaces.operations import called
from onward.surfaces.questions import Question
from onward.surfaces.text import until
from onward.surfaces.views import View

SOON = timedelta(seconds=60)
"""A session that goes on by itself within this time does not rest: a retry is no reason to leave."""

SETTLES = timedelta(minutes=10)
"""The same where a call was begun by somebody who may be gone, and is judged when its time limit is over."""

HISTORY = 30
"""How many events from before are shown again."""

FIRST_LOOK = timedelta(seconds=5)
"""What a session is said to wait for may be out of date until this process, or another, has looked at it."""

LOOK = 5.0
SILENCE = 10.0
"""Seconds without an event after which is said what is under way."""


class Following:
    """One session, seen by one view. With an asker, a person is asked about its approvals as they come."""

    def __init__(self, runtime: Access, id: str, view: View, asker: Asker | None = None) -> None:
        self.runtime = runtime
        self.id = id
        self.open: dict[str, Question] = {}
        self._asked: dict[str, Question] = {}
        self._operations: dict[str, ev.Operation] = {}
        self._view = view
        self._after = 0
        self._silent = 0.0
        self._told: set[str] = set()
        self._asking = Asking(runtime, view, asker) if asker else None

    def now(self) -> datetime:
        return self.runtime.parts.clock.now()

    async def history(self, head: Head) -> None:
        """Show what happened before, at most the last of it."""
        skip = 0 if self._view.whole or head.seq <= HISTORY else head.seq - HISTORY
        if skip:
            self._view.skipped(skip)
        await self.catch_up(hidden=skip)

    async def to_rest(self) -> Head:
        """Follow until nothing more happens without somebody."""
        first = self.now() + FIRST_LOOK
        try:
            while True:
                # Asked before the head is read: what is taken up in between shows in the head.
                looked = self.runtime.looked.is_set() or self.now() > first
                quiet = looked and not await self.runtime.unread(self.id)
                head = await self.catch_up()
                quiet = quiet or (looked and head.status == "needs_attention")
                asking = self._asking is not None and self._asking.about(self.open.values(), self.now())
                if head.ended or (quiet and not asking and not await self._goes_on(head)):
                    return head
                await self._news(head, looked)
        finally:
            if self._asking is not None:
                await self._asking.stop()

    async def catch_up(self, hidden: int = 0) -> Head:
        """Show every event there is; the head that goes with the last of them."""
        while True:
            async for event in self.runtime.events(self.id, after=self._after):
                await self._take(event, show=event.seq > hidden)
            head = await self.runtime.get(self.id)
            if head.seq <= self._after:
                return head

    async def output(self) -> Any:
        state = await self.runtime.state(self.id)
        return await self.runtime.value(self.id, state.output)

    # --- events ------------------------------------------------------------------------------------------------

    async def _take(self, event: Event, show: bool) -> None:
        if self._view.whole or isinstance(event.body, ev.ApprovalRequested):
            event = await whole(self.runtime, self.id, event)
        self._after, self._silent = event.seq, 0.0
        self._track(event)
        if self._asking is not None:
            self._asking.drop_settled(self.open)
        if show:
            self._view.event(event)

    def _track(self, event: Event) -> None:
        """Keep account of what is asked."""
        body = event.body
        if isinstance(body, ev.CallsProposed):
            asked = [at for at, call in enumerate(body.calls) if call.rule and body.operations]
            self._operations |= {call_id(event.seq, at): body.operations[at] for at in asked}
        elif isinstance(body, ev.ApprovalRequested):
            question = Question.from_request(self.id, body, self._operations.get(body.call))
            self.open[body.call] = self._asked[body.call] = question
        elif isinstance(body, ev.ApprovalDecided | ev.ApprovalDelegated | ev.CallEdited):
            self._decided(event, body)
        elif isinstance(body, ev.ApprovalExpired | ev.CallRefused | ev.CallCompleted):
            self.open.pop(body.call, None)
        elif isinstance(body, ev.SessionCompleted | ev.SessionFailed | ev.SessionCancelled | ev.ClosingBegan):
            self.open.clear()

    def _decided(self, event: Event, body: ev.ApprovalDecided | ev.ApprovalDelegated | ev.CallEdited) -> None:
        """One of several people has decided, or passed it on, or changed it so that it is open again."""
        question = self.open.pop(body.call, None)
        if isinstance(body, ev.CallEdited):
            if body.error is not None and body.call in self._asked:
                self.open[body.call] = self._asked[body.call]
        elif question is not None and isinstance(body, ev.ApprovalDelegated):
            self.open[body.call] = question.passed_on(event.actor.name, body.to)
        elif question is not None and isinstance(body, ev.ApprovalDecided):
            approved_by = (*question.approved_by, event.actor.name)
            if body.verdict == "approved" and body.arguments is None and len(approved_by) < question.needed:
                self.open[body.call] = replace(question, approved_by=approved_by)

    # --- resting -----------------------------------------------------------------------------------------------

    async def _goes_on(self, head: Head) -> bool:
        """Whether the session goes on by itself, soon enough to stay."""
        if head.status == "running":
            return True
        if head.status in ("needs_attention", "paused"):
            return False
        if await self._child_goes_on(head):
            return True
        if head.wake_at is None:
            return False
        away, state = head.wake_at - self.now(), await self.runtime.state(head.id, head.tenant)
        begun = [call for call in state.calls.values() if call.status == "started"]
        if away > SOON and not (begun and away <= SETTLES):
            return False
        for call in begun:
            self._tell_begun(call)
        if self.open and self._asking is None:
            self._once(f"asked {sorted(self.open)}", lambda: self._view.asks(list(self.open.values()), self.now()))
        return True

    async def _child_goes_on(self, head: Head) -> bool:
        """Whether a session that this one waits for is still moved, or has ended and is about to say so."""
        for wait in await self.runtime.waits(head):
            if wait.kind == "child" and wait.session is not None:
                child = await self._child(wait.session, head.tenant)
                if child is None or child.ended or await self._goes_on(child):
                    return True
        return False

    async def _child(self, id: str, tenant: str) -> Head | None:
        """None for one that is not there yet: its start is owed."""
        try:
            return await self.runtime.get(id, tenant)
        except NotFound:
            return None

    def _tell_begun(self, call: OpenCall) -> None:
        due = until(call.not_after, self.now()) if call.not_after else "its time limit"
        text = f"{called(call)} was begun, and what came of it is not recorded. It may still come, until {due}."
        self._once(f"begun {call.id}", lambda: self._view.note(text))

    def _once(self, what: str, tell: Callable[[], None]) -> None:
        if what not in self._told:
            self._told.add(what)
            tell()

    async def _news(self, head: Head, looked: bool) -> None:
        """Return when there may be something new, or a person has answered."""
        news = asyncio.ensure_future(self.runtime.news(head, head.seq, LOOK))
        look = set() if looked else {asyncio.ensure_future(self.runtime.looked.wait())}
        answer = {self._asking.task} if self._asking is not None and self._asking.task is not None else set()
        try:
            await asyncio.wait({news, *look, *answer}, return_when=asyncio.FIRST_COMPLETED)
            if news.done() and not news.result() and head.status == "running":
                await self._silence()
        finally:
            for task in (news, *look):
                task.cancel()

    async def _silence(self) -> None:
        """Long work is not kept quiet about."""
        self._silent += LOOK
        if self._silent == SILENCE:
            state = await self.runtime.state(self.id)
            busy = [called(call) for call in state.calls.values() if call.status in ("ready", "started")]
            self._view.note(f"still at work: {', '.join(busy) or 'the model'}")
