"""The words in which events are told: what all kinds of events have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from onward.core import events as ev
from onward.core.events import Actor, Event, Failure, Limits, OperationKind
from onward.surfaces.operations import Named
from onward.surfaces.text import Tone, said, span, until

B = TypeVar("B", bound=ev.Body)


@dataclass(frozen=True, slots=True)
class Note:
    """One event in words: what kind of thing it is, what it says, and what belongs below it."""

    label: str
    text: str = ""
    tone: Tone = "plain"
    below: tuple[str, ...] = ()
    quiet: bool = False
    """Only of interest to who reads the whole log."""


@dataclass(slots=True)
class Tools:
    """What each call is, as far as it is known."""

    calls: dict[str, Named] = field(default_factory=dict)

    def tool(self, call: str, actor: Actor | None = None) -> str:
        """The name of a call: that of its tool, or the one that a workflow has for it."""
        by = actor.name if actor and actor.kind == "tool" else ""
        return self.calls[call].name if call in self.calls else by or f"call {call}"

    def kind(self, call: str) -> OperationKind | None:
        """What a workflow asked for by this call."""
        return self.calls[call].kind if call in self.calls else None


Tell = Callable[[Tools, Event, Any], Note]
NOTES: dict[type[ev.Body], Tell] = {}


def tells(kind: type[B]) -> Callable[[Callable[[Tools, Event, B], Note]], Callable[[Tools, Event, B], Note]]:
    """Register how a kind of event is told."""

    def register(tell: Callable[[Tools, Event, B], Note]) -> Callable[[Tools, Event, B], Note]:
        NOTES[kind] = tell
        return tell

    return register


def who(actor: Actor) -> str:
    """Who made an event happen."""
    if actor.kind == "person":
        return actor.name or "a person"
    return f"{actor.kind} {actor.name}".strip()


def why(error: Failure) -> str:
    """An error in words: its message, and its code where that says more."""
    plain = error.code in ("", "tool_error", "rejected", "cancelled")
    return said(error.message) if plain else f"{said(error.message)} [{said(error.code)}]"


def limits_text(limits: Limits) -> str:
    """Limits in words."""
    parts = [f"{value} {name}" for name, value in limits.model_dump(exclude={"time"}).items() if value is not None]
    parts += [span(limits.time)] if limits.time is not None else []
    return ", ".join(parts) or "none"


def quoted(reason: str) -> str:
    """A reason behind what it is for."""
    return f": {said(reason)}" if reason else ""


def due(time: datetime, event: Event) -> str:
    """A time to come, as seen from the event."""
    return until(time, event.at)
