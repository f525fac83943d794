"""A session in hand: its lease, and the draft of its next commit."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from onward.core.draft import Draft
from onward.core.events import Body
from onward.core.head import Head
from onward.core.state import OpenCall, State
from onward.core.switches import Switch
from onward.engine.hold import Hold

log = logging.getLogger("onward.engine")
_NO_TRACE = frozenset({"attempts_lost", "timer_fired"})


@dataclass(slots=True)
class Session:
    """`look`: the inbox is to be read. `performed`: the draft holds results, which must be durable before the next
    effect. `outcomes`: what irreversible calls came to, until it is appended. `stalls`: attempts that died without a
    trace and are not yet counted as spent. `off`: what operators have switched off.
    """

    hold: Hold
    draft: Draft
    look: bool = False
    inbox_read: bool = False
    performed: bool = False
    stalls: int = 0
    off: Sequence[Switch] = ()
    absorbed: list[str] = field(default_factory=list)
    outcomes: list[tuple[OpenCall, Body]] = field(default_factory=list)
    folded: State | None = None
    """The state that the log amounts to, where the draft began with large values fetched into it."""
    saved: State = field(init=False)
    """The draft's state at the last append."""

    def __post_init__(self) -> None:
        self.saved = self.draft.state

    def begin(self, folded: State, state: State) -> None:
        """The draft is in the log: this is what the log amounts to now, and the next draft begins with `state`."""
        self.folded = None if state is folded else folded
        self.saved = self.draft.state = state
        self.draft.events, self.absorbed, self.outcomes = [], [], []
        self.inbox_read = self.performed = False

    @property
    def state(self) -> State:
        return self.draft.state

    def start_over(self) -> None:
        """Forget what is not in the log: it may be what can't be written. Signals stay in the inbox."""
        self.look = self.look or bool(self.absorbed)
        self.draft.state, self.draft.events, self.absorbed, self.outcomes = self.saved, [], [], []
        self.performed = self.inbox_read = False

    @property
    def unsaved(self) -> bool:
        """Whether the draft holds something that the next effect may rest on. A timer that fired, and attempts that
        were lost, are nothing of that kind: appended before the effect they would be a trace of this attempt, and
        if it is lost too nobody could count it (R11)."""
        return bool(self.absorbed) or any(event.kind not in _NO_TRACE for event in self.draft.events)

    @property
    def changed(self) -> bool:
        """Whether there is something to append."""
        return bool(self.draft.events or self.absorbed)


def note(action: str, head: Head, exc: Exception) -> None:
    """Say in the process's log what went wrong with a session, where somebody else goes on with it."""
    log.warning(action.replace("_", " "), extra={"action": action, "session": head.id, "error": str(exc)})
