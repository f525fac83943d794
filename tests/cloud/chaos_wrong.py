"""Functions that are wrong on purpose, in a way of its own for each session: the checks must find them all."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from onward.core import events as ev
from onward.core.draft import ENGINE
from onward.core.program import MakeCall
from onward.engine.advance import Engine
from onward.engine.outbox import Outbox


def go_wrong() -> None:
    """Be wrong from now on."""
    rest, start, append, hand_on = Outbox.publish_rest, Engine._start, Engine._append, Engine._hand_on

    async def forgets(self: Outbox, hold: Any) -> None:
        """Does not care what a holder before this one may have left unpublished."""
        if hold.lease.head.id == "w-forgets":
            hold.published = hold.lease.head.seq
        await rest(self, hold)

    async def starts_at_once(self: Engine, session: Any, program: Any, effect: MakeCall) -> Any:
        """Makes a call that can't be undone, and only then writes down that it was started."""
        if session.state.session != "w-repeats":
            return await start(self, session, program, effect)
        tool = program.performer(effect.call, session.state)
        await self.performing.admission.admit(session.hold, session.state, tool, effect.call)
        until = session.hold.now() + timedelta(seconds=tool.timeout)
        started = ev.CallStarted(call=effect.call.id, attempt=effect.call.attempt + 1, not_after=until)
        session.draft.add(ENGINE, started)
        return [MakeCall(session.state.calls[effect.call.id])]

    async def tells_first(self: Engine, session: Any, **more: Any) -> bool:
        """Tells the world what it is about to commit."""
        if session.state.session == "w-early":
            await self.outbox.feed.publish(session.hold.lease.head, session.draft.events)
        return await append(self, session, **more)

    async def wakes_nobody(self: Engine, session: Any) -> None:
        """Lets go of what is not at rest, and calls nobody."""
        if session.state.session == "x-lost":
            await self._append(session, release=True)
        else:
            await hand_on(self, session)

    Outbox.publish_rest = forgets  # type: ignore[method-assign]
    Engine._start = starts_at_once  # type: ignore[method-assign]
    Engine._hand_on = wakes_nobody  # type: ignore[method-assign]
    Engine._append = tells_first  # type: ignore[method-assign]
