"""A draft: events on their way into one commit, and the state they would make."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from onward.core.events import Actor, Body, Event
from onward.core.fold import evolve
from onward.core.state import State

ENGINE = Actor.model_construct(kind="engine")
TIMER = Actor.model_construct(kind="timer")


FULL = 250
"""The weight from which a draft is one commit, so that none is larger than a store takes."""


def weight(body: Body) -> int:
    """About how many KiB this is in a commit, wherever its private values lie."""
    operations = getattr(body, "operations", None) or ()
    return 1 + len(operations) + sum(len(repr(each.takes)) // 1024 for each in operations if each.takes is not None)


class Draft:
    """Collects what happened since the last append. The only mutable thing in the core."""

    __slots__ = ("events", "now", "state", "trace")

    def __init__(self, state: State, now: datetime, trace: str | None = None) -> None:
        self.state = state
        self.now = now
        self.trace = trace
        self.events: list[Event] = []

    def add(self, actor: Actor, *bodies: Body) -> None:
        """Write these down, in this order: all, or none if one of them can't be."""
        state, events = self.state, list[Event]()
        for body in bodies:
            event = Event(seq=state.seq + 1, at=self.now, actor=actor, body=body, trace=self.trace)  # type: ignore[arg-type]
            state = evolve(state, event)
            events.append(event)
        self.state = state
        self.events += events

    @property
    def full(self) -> bool:
        """Whether it is to be appended before more is written into it."""
        return sum(weight(event.body) for event in self.events) >= FULL

    def rewind(self, state: State) -> None:
        """Go back to this earlier state of the draft."""
        self.state, self.events = state, [event for event in self.events if event.seq <= state.seq]

    def add_all(self, pairs: Iterable[tuple[Actor, Body]]) -> None:
        for actor, body in pairs:
            self.add(actor, body)
