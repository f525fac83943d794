"""Asking a person on a terminal about approvals, one at a time, while sessions go on."""

from __future__ import annotations

import asyncio
from collections.abc import Container, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from onward.errors import Retryable, UsageError
from onward.runtime.access import Access
from onward.surfaces.questions import Question, question_lines
from onward.surfaces.terminal import Keyboard
from onward.surfaces.views import Screen, View

Verdict = Literal["approved", "rejected"]
_ANSWERS: dict[str, Verdict] = {"y": "approved", "yes": "approved", "n": "rejected", "no": "rejected"}


@dataclass(frozen=True, slots=True)
class Answer:
    verdict: Verdict
    reason: str


class Asker:
    """Shows exactly what is asked, and takes yes, no or nothing for an answer."""

    def __init__(self, screen: Screen, keyboard: Keyboard, person: str) -> None:
        self.person = person
        """Who is asked."""
        self._screen = screen
        self._keyboard = keyboard

    async def ask(self, question: Question, now: datetime) -> Answer | None:
        """What the person says; None leaves the question open."""
        self._keyboard.forget()
        self._screen.line()
        for text in question_lines(question, self._screen.paper, now):
            self._screen.line(text)
        verdict = await self._verdict("Your answer?" if question.asks else "Approve?")
        if verdict is None:
            return None
        reason = await self._type("Reason (Enter for none): ")
        return None if reason is None else Answer(verdict, reason)

    async def _verdict(self, asks: str) -> Verdict | None:
        while typed := await self._type(f"{asks} y = yes, n = no, Enter leaves it open: "):
            if typed.lower() in _ANSWERS:
                return _ANSWERS[typed.lower()]
            self._screen.line(f"{typed[:40]!r} is neither y nor n.")
        return None

    async def _type(self, prompt: str) -> str | None:
        """One line; None at the end of input."""
        self._screen.ask(prompt)
        typed: str | None = None
        try:
            typed = await self._keyboard.line()
        finally:
            self._screen.answered(typed=typed is not None)
        return typed

    def drop(self) -> None:
        """The question is settled: what is on the screen of it is over."""
        self._screen.answered(typed=False)


class Asking:
    """Asks about open approvals, each once, and files what the person decides."""

    def __init__(self, runtime: Access, view: View, asker: Asker) -> None:
        self.task: asyncio.Task[None] | None = None
        self._runtime = runtime
        self._view = view
        self._asker = asker
        self._shown = ""
        self._over: set[str] = set()

    def about(self, open: Iterable[Question], now: datetime) -> bool:
        """Ask about the next of these; whether a person is being asked, or an answer is under way."""
        if self.task is not None and self.task.done():
            task, self.task = self.task, None
            if not task.cancelled():
                task.result()
        if self.task is None:
            mine = [question for question in open if question.for_person(self._asker.person)]
            left = next((question for question in mine if question.call not in self._over), None)
            self.task = self._begin(left, now) if left else None
        return self.task is not None

    def _begin(self, question: Question, now: datetime) -> asyncio.Task[None]:
        self._over.add(question.call)
        self._shown = question.call
        return asyncio.create_task(self._ask(question, now))

    def drop_settled(self, open: Container[str]) -> None:
        """What was settled elsewhere needs no answer any more."""
        if self._shown and self._shown not in open and self.task is not None:
            self._asker.drop()
            self.task.cancel()

    async def stop(self) -> None:
        if self.task is not None:
            self._asker.drop()
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)

    async def _ask(self, question: Question, now: datetime) -> None:
        try:
            answer = await self._asker.ask(question, now)
        finally:
            self._shown = ""
        if answer is None:
            self._view.note("left open")
        else:
            await self._decide(question, answer)

    async def _decide(self, question: Question, answer: Answer) -> None:
        """Decide exactly what was shown."""
        try:
            outcome = await self._runtime.decide(
                question.session,
                answer.verdict,
                call=question.call,
                digest=question.digest,
                reason=answer.reason,
            )
        except (UsageError, Retryable) as no:
            self._view.note(f"not taken: {no}")
        else:
            if not outcome.decided:
                self._view.note("accepted, and not yet decided: its event will show here")
