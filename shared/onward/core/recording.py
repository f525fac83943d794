"""A recording: a session's whole log at hand, large values in it, for whoever looks back at it without a store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from onward.core.events import Event, SessionForked, SessionStarted
from onward.core.fold import fold
from onward.core.state import State
from onward.errors import CorruptLog


@dataclass(frozen=True, slots=True)
class Recording:
    """The events of one session, the values of which are all here but for those that were erased; `commits` are the
    first events of its commits, `hash` the last commit's. `files` has the base64 text of files by digest."""

    events: tuple[Event, ...]
    commits: tuple[int, ...]
    hash: str
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def started(self) -> SessionStarted:
        """What the session began with. Raises CorruptLog for what is no session's log."""
        body = self.events[0].body if self.events else None
        if not isinstance(body, SessionStarted):
            raise CorruptLog("a log begins with session_started")
        return body

    @property
    def forked(self) -> SessionForked | None:
        """What a branch began with."""
        body = self.events[1].body if len(self.events) > 1 else None
        return body if isinstance(body, SessionForked) else None

    def state(self, at: int | None = None) -> State:
        """What the log amounts to, or amounted to after event `at`."""
        return fold(State(), self.events[:at])
