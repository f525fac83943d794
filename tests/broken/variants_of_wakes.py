"""More small wrong variants: of how many wakes and timers there are. See `tests.broken.variants`."""

from __future__ import annotations

from onward.core.lease import Busy, Later
from onward.engine.advance import Engine
from onward.engine.session import Session
from onward.engine.visitors import Visitors
from onward.ports import Wake
from tests.broken.variants import wrong


class ArmsAtEachRace(Visitors):
    """Looks to its own safety whenever its mark comes too late."""

    async def turned_away(self, wake: Wake, why: Busy | Later | None, armed: bool) -> bool:
        return await super().turned_away(wake, why, armed=False)


class AllAtOnce(Visitors):
    """Comes again when the lease ends, as everybody does."""

    def _chance(self) -> float:
        return 0.0


class ArmsAtEachRest(Engine):
    """Arms what it waits for, whoever did so before."""

    async def _arm_next(self, session: Session) -> None:
        if session.state.timers:
            await self.timers.arm(session.hold.key, min(session.state.timers.values()))


class BelievesTheHead(Engine):
    """Takes what was armed once for armed for ever."""

    async def _arm_next(self, session: Session) -> None:
        session.hold.delayed = False
        await super()._arm_next(session)


wrong("a timer for each race", "g5_a_visitor_arms_one_timer", onward__engine__advance__Visitors=ArmsAtEachRace)
wrong("all visitors at one time", "g5_a_crowd_of_timers_grows_no_larger", onward__engine__advance__Visitors=AllAtOnce)
wrong("a timer for each rest", "g10_one_timer_for_one_time", onward__wiring__Engine=ArmsAtEachRest)
wrong("early timer forgotten", "g10_a_timer_that_comes_early_is_armed_again", onward__wiring__Engine=BelievesTheHead)
