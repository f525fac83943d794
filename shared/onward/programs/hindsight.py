"""What a whole log says, for a workflow that is replayed from its beginning: the names in it, and how far it goes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from onward.core import events as ev
from onward.core.events import Body, Event
from onward.core.state import State

_LEADS_ON: tuple[type[Body], ...] = (
    ev.CallsProposed, ev.InputReceived, ev.CallCompleted, ev.CallFailed, ev.CallRefused, ev.ApprovalDecided,
    ev.ApprovalExpired, ev.ChildStarted, ev.ChildEnded,
)  # fmt: skip
"""What a workflow's body may come to ask for more by, and what shows that it did."""


@dataclass(slots=True)
class _Part:
    """What is in the log between two fresh starts."""

    names: set[str] = field(default_factory=set)
    last: int = 0


class Hindsight:
    """What is known of a session that was replayed before: a mark that its log does not have, and that the body comes
    to before the log's end, is one that the session went by."""

    def __init__(self, events: Iterable[Event]) -> None:
        self._parts: dict[int, _Part] = {}
        at = 0
        for event in events:
            at = _generation(at, event.body)
            part = self._parts.setdefault(at, _Part())
            if isinstance(event.body, _LEADS_ON):
                part.last = event.seq
            if isinstance(event.body, ev.CallsProposed):
                part.names.update(operation.name for operation in event.body.operations)

    def has(self, state: State, path: str) -> bool:
        """Whether the log has this name, now or later."""
        part = self._parts.get(state.generation)
        return part is not None and path in part.names

    def is_ahead(self, state: State) -> bool:
        """Whether the log goes on behind this state, before a fresh start."""
        part = self._parts.get(state.generation)
        return part is not None and state.seq < part.last


def _generation(before: int, body: Body) -> int:
    if isinstance(body, ev.SessionForked):
        return int(body.base.get("generation", 0)) if isinstance(body.base, Mapping) else 0
    return before + isinstance(body, ev.SessionContinued)
