"""What a workflow asks for, and what its log says of the same."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

from onward.core.canonical import digest
from onward.core.events import OperationKind
from onward.core.failures import failure, failure_in
from onward.core.program import Child
from onward.core.state import State
from onward.errors import ChildFailed, StepFailed
from onward.programs.approvals import Approval
from onward.programs.functions import Function

_OURS = str(Path(__file__).resolve().parents[1])


@dataclass(slots=True, eq=False)
class Ask:
    """One thing a workflow asks for. `path` is its name among all of them, `read` makes a value of what is recorded,
    and `fails` an exception of what is recorded of a failure.

    It is `begun` once somebody waits for it, and `done` once it is known what it came to. `taken` is the event of the
    input that was taken for it. What waits so long, and not until a certain time, does so `since` then.
    """

    path: str
    kind: OperationKind
    tool: str
    arguments: dict[str, Any]
    read: Callable[[Any], Any]
    fails: Callable[[Ask, Any], Exception]
    until: datetime | None = None
    since: datetime | None = None
    signal: str | None = None
    takes: Any = None
    step: Function | None = None
    undo: Function | None = None
    approval: Approval | None = None
    child: Child | None = None
    digest: str = field(init=False)
    future: Any = None
    begun: bool = False
    done: bool = False
    taken: int | None = None

    def __post_init__(self) -> None:
        self.digest = digest([self.tool, self.arguments])


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the log says was asked for under a name."""

    tool: str
    digest: str
    call: str

    @property
    def seq(self) -> int:
        """The event in which it was asked for."""
        return int(self.call.partition(".")[0])

    def is_of(self, ask: Ask) -> bool:
        return self.tool == ask.tool and ask.digest.startswith(self.digest)

    def is_mark(self, path: str) -> bool:
        """Whether it is the mark of a patch, which code that has nothing but the new way need not ask for any more."""
        return self.tool == "patch" and path.startswith("patch:")


def open_in(state: State) -> dict[str, str]:
    """The names of what is open in a log, each with its call."""
    return {call.operation.name: call.id for call in state.calls.values() if call.operation is not None}


def failed(ask: Ask, value: Any) -> Exception:
    """A recorded failure as the exception that a workflow gets."""
    error = failure_in(value)
    return StepFailed(f"{ask.path}: {error.message}", error.code, ask.path)


def child_failed(ask: Ask, value: Any) -> Exception:
    """The same of a session that it started."""
    error = failure_in(value)
    return ChildFailed(f"{ask.path}: {error.message}", error.code, ask.path)


def came_late(ask: Ask, value: Any) -> Exception:
    """The same of a wait whose time may be up."""
    late = failure_in(value).code == "not_completed"
    return TimeoutError(f"{ask.path} did not come in time") if late else failed(ask, value)


def differs(ask: Ask, recorded: Recorded, after: int) -> str:
    """What is said where the log has something else under this name."""
    what = f"{ask.kind} {ask.tool}" if ask.tool != recorded.tool else f"{ask.tool} with other arguments"
    says = f"{_in_log(ask.path, recorded)}, and the workflow asks for {what} at {place()}"
    return f"{says}; all agrees up to event {after}. {WAYS_OUT} {after}"


def never_asked(path: str, recorded: Recorded, after: int, error: BaseException | None) -> str:
    """What is said where the workflow came to its end without something that its log has."""
    how = "ended" if error is None else f"failed ({failure(error).message})"
    says = f"{_in_log(path, recorded)}, and the workflow {how} without it; it was run up to event {after}"
    return f"{says}. {WAYS_OUT} {max(recorded.seq - 1, 1)}"


def _in_log(path: str, recorded: Recorded) -> str:
    where = f"event {recorded.seq}" if recorded.seq > 0 else "what it branched from"
    return f"the log ({where}) has {recorded.tool} under the name {path!r}"


WAYS_OUT = (
    "Ways out: keep the old code for older sessions with ctx.patched(...), or deploy the version that the session"
    " began on, and retry; or fork the session at event"
)


def place() -> str:
    """The line of the workflow's author that is being run."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and (frame.f_code.co_filename.startswith(_OURS) or "asyncio" in frame.f_code.co_filename):
        frame = frame.f_back
    if frame is None:
        return "an unknown line"
    file, line = frame.f_code.co_filename, frame.f_lineno
    return f"{Path(file).name}:{line}: {linecache.getline(file, line).strip()}"
