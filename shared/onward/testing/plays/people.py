"""The people of a played session: they send, decide and help as its script says, once the session rests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any, Protocol

from onward.core.durations import Span, seconds
from onward.core.events import Actor
from onward.core.head import Head
from onward.core.ids import idempotency_key
from onward.core.outcomes import Done, NotDone
from onward.core.state import OpenCall, State
from onward.errors import BadInput
from onward.programs.steps import plain
from onward.testing.plays.script import (
    Answer,
    Answering,
    Answers,
    Approve,
    Cancel,
    Outcome,
    Question,
    Reject,
    Respond,
    Resume,
    Send,
    Signal,
    Skip,
    names_of,
    question_about,
)
from onward.testing.plays.standins import Performed

OPERATOR = Actor(kind="person", name="operator@example.com")
SENDER = Actor(kind="person", name="sender@example.com")


class Stage(Protocol):
    """The sessions, as people see them."""

    def now(self) -> datetime: ...
    async def heads(self) -> Sequence[Head]: ...
    async def state(self, head: Head) -> State: ...
    async def value(self, head: Head, value: Any) -> Any: ...
    async def signal(self, head: Head, kind: str, body: dict[str, Any], sender: Actor, key: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Script:
    """What people do. Raises BadInput, naming the field."""

    signals: Sequence[Signal] = ()
    approvals: Answers[Answer] = None
    outcomes: Answers[Outcome] = None

    def __post_init__(self) -> None:
        for at, signal in enumerate(self.signals):
            if not isinstance(signal, Signal):
                raise BadInput(f"signals[{at}]: {signal!r} is no Send, Cancel, Resume or Skip")


class People:
    """What is left of a script. Each `act` does the next thing that is due."""

    def __init__(self, script: Script, stage: Stage, performed: Sequence[Performed]) -> None:
        self._stage, self._performed, self._began = stage, performed, stage.now()
        self._left = list(script.signals)
        self._approvals = Answering[Answer]("approvals", script.approvals, Approve, Reject, Respond)
        self._outcomes = Answering[Outcome]("outcomes", script.outcomes, Done, NotDone, Exception)
        self._asked: dict[Any, datetime] = {}
        self._settled: set[Any] = set()
        self._keys = count(1)

    @property
    def left(self) -> tuple[Signal, ...]:
        """What was never sent."""
        return tuple(self._left)

    def next_at(self) -> datetime | None:
        """When the next thing is due that waits for a time."""
        times = [at for signal in self._left if (at := self._due(signal)) is not None]
        return min((at for at in (*times, *self._asked.values()) if at > self._stage.now()), default=None)

    async def act(self) -> bool:
        """Do what is due, one thing; False where there is nothing."""
        heads = [head for head in await self._stage.heads() if not head.ended]
        return await self._send_in_time(heads) or await self._look(heads)

    async def _look(self, heads: Sequence[Head]) -> bool:
        for head in heads:
            state = await self._stage.state(head)
            if await self._settle(head, state) or await self._decide(head, state) or await self._help(head, state):
                return True
        return await self._send_to_waiting(heads)

    # --- what is sent ------------------------------------------------------------------------------------------

    def _due(self, signal: Signal) -> datetime | None:
        after = signal.after if isinstance(signal, Send | Cancel) else None
        return None if after is None else self._began + timedelta(seconds=seconds(after))

    async def _send_in_time(self, heads: Sequence[Head]) -> bool:
        """What is sent at its time goes to the session that is played."""
        played = [head for head in heads if head.parent is None]
        for signal in self._left:
            due = self._due(signal)
            if played and due is not None and due <= self._stage.now():
                return await self._send(played[0], signal)
        return False

    async def _send_to_waiting(self, heads: Sequence[Head]) -> bool:
        for signal in self._left:
            if isinstance(signal, Send) and signal.after is None:
                waiting = [head for head in heads if _waits_for(head, signal.name)]
                if waiting:
                    return await self._send(waiting[0], signal)
        return False

    async def _send(self, head: Head, signal: Signal) -> bool:
        self._left.remove(signal)
        if isinstance(signal, Cancel):
            await self._tell(head, "cancel", {"reason": signal.reason}, SENDER)
        elif isinstance(signal, Send):
            body = {"content": plain(signal.content, "Send.content")}
            await self._tell(head, "input", body | ({"name": signal.name} if signal.name else {}), SENDER)
        return True

    async def _tell(self, head: Head, kind: str, body: dict[str, Any], sender: Actor) -> None:
        await self._stage.signal(head, kind, body, sender, f"{kind}/{next(self._keys)}")

    # --- what is decided ---------------------------------------------------------------------------------------

    async def _decide(self, head: Head, state: State) -> bool:
        for call in [call for call in state.calls.values() if call.status == "asked"]:
            key = (head.id, call.id, call.digest, len(call.approved_by))
            answer = self._approvals.to(key, await self._question(head, call))
            if answer is not None and key not in self._settled and self._is_time(key, answer.after):
                self._settled.add(key)
                await self._tell(head, "decision", _decision(call, answer), _decider(call, answer))
                return True
        return False

    def _is_time(self, key: Any, after: Span | None) -> bool:
        """Whether the answer to a question comes now: so long after it was seen."""
        due = self._asked.setdefault(key, self._stage.now() + timedelta(seconds=seconds(after) if after else 0))
        if due <= self._stage.now():
            del self._asked[key]
            return True
        return False

    # --- what operators do -------------------------------------------------------------------------------------

    async def _settle(self, head: Head, state: State) -> bool:
        """Say of a call whose outcome is not known what it was: as was seen, or as the script has it."""
        for call in state.calls.values():
            key = (head.id, call.id, call.attempt)
            outside = call.status == "pending" and not call.waits
            outcome = await self._outcome(key, head, call) if call.status == "person" or outside else None
            if outcome is not None and key not in self._settled:
                self._settled.add(key)
                await self._tell(head, "outcome", {"call": call.id, **_said(outcome)}, OPERATOR)
                return True
        return False

    async def _outcome(self, key: Any, head: Head, call: OpenCall) -> Outcome | None:
        made = (idempotency_key(head.id, call.id), call.attempt)
        seen = [each for each in self._performed if (each.key, each.attempt) == made]
        if seen and seen[-1].happened is None:
            return self._outcomes.to(key, await self._question(head, call))
        return Done(seen[-1].result) if seen and seen[-1].happened else NotDone()

    async def _question(self, head: Head, call: OpenCall) -> Question:
        question = question_about(head.id, call)
        return replace(question, arguments=await self._stage.value(head, call.arguments))

    async def _help(self, head: Head, state: State) -> bool:
        """Where a session needs attention, the next thing that an operator does."""
        orders = [signal for signal in self._left if isinstance(signal, Resume | Skip)]
        if state.parked is None or not orders:
            return False
        order = orders[0]
        if isinstance(order, Skip):
            await self._tell(
                head,
                "skip",
                {"call": _named(state, order.name), "result": plain(order.result, "Skip.result")},
                OPERATOR,
            )
        limits = order.limits.model_dump() if isinstance(order, Resume) and order.limits else None
        await self._tell(head, "resume", {"limits": limits}, OPERATOR)
        self._left.remove(order)
        return True


def _waits_for(head: Head, name: str | None) -> bool:
    return any(wait.kind == "input" and wait.note == (name or "") for wait in head.waits)


def _named(state: State, name: str) -> str:
    """The open call of this name. Raises BadInput."""
    found = [call.id for call in state.calls.values() if name in names_of(call)]
    if not found:
        there = ", ".join(sorted(question_about("", call).name for call in state.calls.values()))
        raise BadInput(f"Skip: no call {name!r} is open; there are: {there or 'none'}")
    return found[0]


def _decision(call: OpenCall, answer: Answer) -> dict[str, Any]:
    body: dict[str, Any] = {"call": call.id, "digest": call.digest, "reason": answer.reason}
    if isinstance(answer, Approve):
        arguments = None if answer.arguments is None else plain(answer.arguments, "Approve.arguments")
        return {**body, "verdict": "approved", "arguments": arguments}
    if isinstance(answer, Respond):
        return {**body, "verdict": "responded", "result": plain(answer.result, "Respond.result")}
    return {**body, "verdict": "rejected"}


def _decider(call: OpenCall, answer: Answer) -> Actor:
    """Who the answer says, or one of those who may."""
    approved = {actor.name for actor in call.approved_by}
    others: Iterable[str] = call.approvers or (f"person{number}@example.com" for number in count(1))
    return Actor(
        kind="person", name=answer.by or next((name for name in others if name not in approved), OPERATOR.name)
    )


def _said(outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Done):
        return {"status": "done", "result": plain(outcome.result, "outcomes")}
    if isinstance(outcome, NotDone):
        return {"status": "not_done"}
    return {"status": "failed", "error": {"code": "failed", "message": str(outcome) or type(outcome).__name__}}
