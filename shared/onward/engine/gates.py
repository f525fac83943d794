"""Gates: how many calls of a tool run at once in this process, and whether any is tried at all.

What a gate knows is the state of this process alone: with four workers a limit of 4 is one of 16, and each learns by
itself that a service is down.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field

from onward.core.bounds import Bounds
from onward.core.events import Failure
from onward.core.program import Performer
from onward.ports import Clock

PATIENCE = 2.0
"""Seconds that a call waits for a slot before it is postponed: its step, and all the calls beside it, wait too."""

AGAIN = 5.0
"""Seconds until a call that found no slot is tried again, for each round of calls that stand in line already."""

LONGEST = 60.0
TRIAL = 1.0
"""Seconds until it is asked again whether the trial of a breaker has succeeded; later as many as the trial has run by
then, for each time is an event in the log."""


@dataclass(frozen=True, slots=True)
class Postponed:
    """The call can't be made now; ask again after so many seconds."""

    after: float
    error: Failure


class Slot:
    """One call's way through a gate. `judge` says how it went, `leave` that nothing of it runs any more: for a thread
    that is past its time this is later. Each counts once."""

    def __init__(self, gate: _Gate | None = None, trial: bool = False) -> None:
        self._gate = gate
        self._judged = self._left = gate is None
        self.trial = trial

    @property
    def counts(self) -> bool:
        """Whether anybody waits for it to be left."""
        return self._gate is not None

    def judge(self, ok: bool | None) -> None:
        """It went well, or not; None where that can't be told."""
        if self._gate is not None and not self._judged:
            self._judged = True
            self._gate.judge(self, ok)

    def leave(self) -> None:
        if self._gate is not None and not self._left:
            self._left = True
            self._gate.leave()

    def drop(self) -> None:
        """The call was not made."""
        self.judge(None)
        self.leave()


class Gates:
    """The gates of one process, one for each tool that has bounds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._gates: dict[Bounds, _Gate] = {}

    async def enter(self, tool: Performer) -> Slot | Postponed:
        """Go through the tool's gate, waiting for a slot for up to PATIENCE seconds. Whoever got a Slot judges and
        leaves it, or drops it."""
        bounds = tool.bounds
        if bounds.concurrency is None and bounds.breaker is None:
            return Slot()
        gate = self._gates.setdefault(bounds, _Gate(bounds, self._clock))
        return gate.closed() or await gate.enter()


@dataclass(slots=True, eq=False)
class _Gate:
    """`running` calls of this tool, others in line; `failures` in a row; `until` is when the breaker lets one through
    again, None while it lets all through; `tried` when its trial began, None while there is none."""

    bounds: Bounds
    clock: Clock
    running: int = 0
    line: deque[asyncio.Future[None]] = field(default_factory=deque)
    failures: int = 0
    until: float | None = None
    tried: float | None = None

    async def enter(self) -> Slot | Postponed:
        if not await self._slot():
            return self._full()
        closed = self.closed()  # while it stood in line, the calls before it may have failed
        if closed is not None:
            self.leave()
            return closed
        if self.until is None:
            return Slot(self)
        self.tried = self.clock.monotonic()
        return Slot(self, trial=True)

    def leave(self) -> None:
        """Hand the slot to who stands first in line, or give it back."""
        if self.line:
            self.line.popleft().set_result(None)
        else:
            self.running -= 1

    # --- the breaker -------------------------------------------------------------------------------------------

    def closed(self) -> Postponed | None:
        """When to ask again, if no call is tried now."""
        if self.until is None:
            return None
        left = self.until - self.clock.monotonic()
        if left <= 0 and self.tried is None:
            return None
        tool = self.bounds.tool
        error = Failure(code="breaker_open", message=f"{tool} failed {self.failures} times in a row: it pauses")
        return Postponed(max(left, self._trial(), TRIAL), error)

    def _trial(self) -> float:
        """Wait once more for as long as the trial has run."""
        return 0.0 if self.tried is None else min(self.clock.monotonic() - self.tried, LONGEST)

    def judge(self, slot: Slot, ok: bool | None) -> None:
        """Once it is open only its trial counts: what was begun before says nothing new."""
        breaker = self.bounds.breaker
        if slot.trial:
            self.tried = None
        if breaker is None or ok is None or (self.until is not None and not slot.trial):
            return
        self.failures = 0 if ok else self.failures + 1
        opens = self.failures >= breaker.failures
        self.until = self.clock.monotonic() + breaker.pause if opens else None

    # --- the slots ---------------------------------------------------------------------------------------------

    async def _slot(self) -> bool:
        """Take a slot, in the order of asking; False if none came free in time."""
        if self.bounds.concurrency is None or (self.running < self.bounds.concurrency and not self.line):
            self.running += 1
            return True
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.line.append(turn)
        patience = asyncio.ensure_future(self.clock.sleep(PATIENCE))
        try:
            await asyncio.wait({turn, patience}, return_when=asyncio.FIRST_COMPLETED)
            return turn.done()
        except BaseException:
            if turn.done():  # a slot was handed over to one who goes
                self.leave()
            raise
        finally:
            patience.cancel()
            with suppress(ValueError):
                self.line.remove(turn)

    def _full(self) -> Postponed:
        limit = self.bounds.concurrency or 1
        error = Failure(code="at_limit", message=f"{self.running} calls of {self.bounds.tool} run here already")
        return Postponed(min(LONGEST, AGAIN * (1 + len(self.line) // limit)), error)
