"""Staying with a session until it rests, or until asked to leave; whoever moves it."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass

from onward.core.head import Head
from onward.runtime.access import Access
from onward.surfaces.answers import FAILED
from onward.surfaces.asking import Asker
from onward.surfaces.documents import plain
from onward.surfaces.follow import Following
from onward.surfaces.interrupts import Interrupts
from onward.surfaces.operations import called
from onward.surfaces.output import Output
from onward.surfaces.terminal import Keyboard
from onward.surfaces.verbs import Place, needs_attention
from onward.surfaces.views import JsonLines, Screen, Timeline, View

PATIENCE = 0.5
"""Seconds that stopping may take before it is said what it takes so long for."""


@dataclass(frozen=True, slots=True)
class Seat:
    """What one who attends sees by, and is asked by, if somebody is there to be asked."""

    view: View
    asker: Asker | None

    @classmethod
    def taken(cls, place: Place, output: Output, person: str | None) -> Seat:
        """The seat of this person at this output; of None nothing is asked."""
        if output.json:
            return cls(JsonLines(output.out, place), None)
        screen = Screen(output.out, output.paper)
        if person is None or not output.terminal:
            return cls(Timeline(screen, place), None)
        return cls(Timeline(screen, place), Asker(screen, Keyboard(sys.stdin.fileno()), person))


async def attend(stop: Interrupts, access: Access, head: Head, new: bool, seat: Seat, again: str) -> int:
    """Follow a session until it rests or has ended. Answers the exit code. `again` is the command to follow it by."""
    seat.view.opened(head, new)
    following = Following(access, head.id, seat.view, seat.asker)
    await following.history(head)
    rested = await _unless(stop, access, following)
    if rested is None:
        return await _left(stop, following, seat.view, again)
    return await _over(rested, following, seat.view, again)


async def _unless(stop: Interrupts, access: Access, following: Following) -> Head | None:
    """Follow to rest; None if asked to stop first. Raises what kept this process from working."""
    follow = asyncio.create_task(following.to_rest())
    others = [asyncio.create_task(stop.wait()), asyncio.create_task(access.working())]
    try:
        await asyncio.wait({follow, *others}, return_when=asyncio.FIRST_COMPLETED)
        if others[1].done() and not follow.done():
            others[1].result()
        return await follow if follow.done() else None
    finally:
        for task in (follow, *others):
            task.cancel()
        await asyncio.gather(follow, *others, return_exceptions=True)


async def _over(head: Head, following: Following, view: View, again: str) -> int:
    if head.ended:
        view.ended(head, plain(await following.output()))
    else:
        view.rests(head, list(following.open.values()), again, following.now())
    return FAILED if head.status in ("failed", "cancelled") or needs_attention(head) else 0


async def _left(stop: Interrupts, following: Following, view: View, again: str) -> int:
    """Start nothing new, wait for what may not be interrupted, and say how the session is taken up again."""
    stopping = asyncio.create_task(following.runtime.stop())
    await asyncio.wait({stopping}, timeout=PATIENCE)
    if not stopping.done():
        await _tell_lasting(following, view, again)
    await stopping
    head = await following.catch_up()
    if head.ended:
        return await _over(head, following, view, again)
    view.left(head, again)
    return stop.code


async def _tell_lasting(following: Following, view: View, again: str) -> None:
    state = await following.runtime.state(following.id)
    begun = [called(call) for call in state.calls.values() if call.status == "started"]
    view.note(
        f"stopping; {', '.join(begun) or 'a call'} was begun and is not interrupted. Again Ctrl-C leaves at once, "
        f"and what came of it is then in doubt; that is taken up with: {again}"
    )
