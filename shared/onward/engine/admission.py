"""What a call needs before it is tried: nobody who has to look first, a way through its tool's gate, and what its
function is given."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from datetime import timedelta

from onward.core import events as ev
from onward.core.draft import ENGINE
from onward.core.events import Actor, Body, Failure
from onward.core.given import NOTHING, Given, Role, Supply
from onward.core.incarnation import Restores, look_first
from onward.core.program import Performer
from onward.core.state import OpenCall, State
from onward.engine.gates import Gates, Postponed, Slot
from onward.engine.hold import Hold
from onward.engine.seen import Seen
from onward.ports import Clock


@dataclass(frozen=True, slots=True)
class Admitted:
    """The call may be tried. Whoever has this leaves the slot."""

    slot: Slot
    given: Given


class Admission:
    """Admits the calls of one process, and keeps what each of them got until it is made."""

    def __init__(self, clock: Clock, supply: Supply, restores: Seen[Restores]) -> None:
        self._gates = Gates(clock)
        self._restores = restores
        self._supply = supply
        self._admitted: dict[tuple[Hold, str], Admitted] = {}

    async def admit(self, hold: Hold, state: State, tool: Performer, open: OpenCall) -> tuple[Actor, Body] | None:
        """Get a call what it needs to be tried. None if it has it, else what is to be written down instead, by whom:
        somebody is to look first, or it is put off, which is no attempt, or the attempt has failed, and certainly
        nothing was performed (G6).

        An irreversible call is admitted before it is said to start, and dismissed in the end, however that comes.
        """
        if (hold, open.id) in self._admitted:
            return None
        look = await self._look(state, open)
        if look is not None:
            return ENGINE, look
        refused = await self._prepare(hold, tool, open)
        return None if refused is None else (Actor(kind="tool", name=tool.name), refused)

    async def _look(self, state: State, open: OpenCall) -> Body | None:
        """Whether it may have been done already, in a life of the database that is forgotten (R22). Nobody asks for
        what may run again anyway."""
        return None if open.repeatable else look_first(state, open, (await self._restores.now()).last)

    async def _prepare(self, hold: Hold, tool: Performer, open: OpenCall) -> Body | None:
        slot = await self._gates.enter(tool)
        if isinstance(slot, Postponed):
            after = timedelta(milliseconds=math.ceil(slot.after * 1000))
            return ev.CallPostponed(call=open.id, until=hold.now() + after, error=slot.error)
        try:
            self._admitted[hold, open.id] = Admitted(slot, await self.give(tool))
        except Exception as exc:
            slot.drop()
            return _failed(hold, tool, open, exc)
        except BaseException:
            slot.drop()
            raise
        return None

    def take(self, hold: Hold, open: OpenCall) -> Admitted:
        """What an admitted call is made with. Who takes it judges and leaves its slot."""
        return self._admitted.pop((hold, open.id))

    def dismiss(self, hold: Hold, open: OpenCall) -> None:
        """Let go of what a call was admitted with, if nobody took it."""
        admitted = self._admitted.pop((hold, open.id), None)
        if admitted is not None:
            admitted.slot.drop()

    async def give(self, tool: Performer, role: Role = "invoke") -> Given:
        """What the tool is given for this. Raises NotPrepared, or TimeoutError after the tool's time limit."""
        needs = tool.needs(role)
        if not needs:
            return NOTHING
        async with asyncio.timeout(tool.timeout):
            return await self._supply.give(needs)


def _failed(hold: Hold, tool: Performer, open: OpenCall, exc: Exception) -> Body:
    attempt = open.attempt + 1
    late = f"what {tool.name} needs was not there within {tool.timeout:g} s"
    message = late if isinstance(exc, TimeoutError) else str(exc)
    return ev.CallFailed(
        call=open.id,
        attempt=attempt,
        error=Failure(code="not_prepared", message=message[:2000].encode(errors="replace").decode()),
        retry_at=hold.retry_at(tool.retry, attempt),
    )
