"""Calls under way, and a program that goes on beside them.

A workflow has branches. What comes next in one does not wait for a slow call of another (R9), and what nobody wants any
more is interrupted, if it may be made again: so `asyncio.timeout` means to a step what it means elsewhere. What can't
simply be made again is a step of its own, and is not interrupted (R7).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from onward.core.program import Effect, MakeCall, Perform, Program, Reconcile
from onward.engine.deciding import Decider, Full, suspicious
from onward.engine.perform import Performing
from onward.engine.session import Session
from onward.engine.under_way import Fact, UnderWay

SOONEST = 0.05
"""Seconds between two looks at a timer that is about to be due."""


class Alongside:
    """Performs calls of programs that lead. `append` writes down what came of them, `absorb` looks for due timers and
    signals."""

    def __init__(
        self,
        performing: Performing,
        decider: Decider,
        append: Callable[[Session], Awaitable[object]],
        absorb: Callable[[Session], Awaitable[None]],
    ) -> None:
        self._performing, self._decider = performing, decider
        self._append, self._absorb = append, absorb

    def applies(self, session: Session, program: Program, effects: Sequence[Effect]) -> bool:
        """Whether something may come up while these are under way."""
        if not program.leads or any(lasts(effect) for effect in effects):
            return False
        return len(effects) > 1 or any(name != "deadline" for name in session.state.timers)

    async def perform(self, session: Session, program: Program, effects: Sequence[Effect]) -> None:
        """Perform these, and what the program comes to want while others of them are under way. Raises Stopping."""
        calls = self._performing.under_way(session.hold, program)
        try:
            calls.add(session.state, effects)
            while calls:
                self._take_down(session, await calls.next(_patience(session)))
                if calls:
                    await self._go_on(session, calls)
        finally:
            calls.close()

    def _take_down(self, session: Session, facts: Sequence[Fact]) -> None:
        """What came of calls that are still wanted."""
        session.draft.now = session.hold.now()
        session.draft.add_all(fact for fact in facts if getattr(fact[1], "call", None) in session.state.calls)
        session.performed = session.performed or bool(facts)

    async def _go_on(self, session: Session, calls: UnderWay) -> None:
        """What is known is written down before anything rests on it (R6); the end is left to who writes down that the
        session rests."""
        if session.changed:
            await self._append(session)
        await self._absorb(session)
        while isinstance(decision := self._decider.decide(session), Full):
            await self._append(session)
        calls.keep(session.state.calls)
        wanted = decision.effects if isinstance(decision, Perform) else ()
        new = [effect for effect in calls.new_in(wanted) if not lasts(effect)]
        if session.changed and not session.state.ended:
            await self._append(session)
        if new and not self._is_late(session, new):
            calls.add(session.state, new)

    def _is_late(self, session: Session, effects: Sequence[Effect]) -> bool:
        """Whether these are better begun by a step of their own."""
        return self._performing.stopping or session.hold.spent or suspicious(session.state, effects)


def lasts(effect: Effect) -> bool:
    """Whether it is a step of its own."""
    return isinstance(effect, Reconcile) or (isinstance(effect, MakeCall) and not effect.call.repeatable)


def _patience(session: Session) -> float | None:
    """Seconds until a timer is due."""
    due = min(session.state.timers.values(), default=None)
    return None if due is None else max(SOONEST, (due - session.hold.now()).total_seconds())
