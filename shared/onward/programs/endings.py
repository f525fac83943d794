"""How a workflow's body comes to its end, and what is wrong where it can't: other code has run, or nothing wakes it."""

from __future__ import annotations

from onward.core.events import Failure
from onward.core.failures import failure
from onward.core.state import State, changed
from onward.core.words import NONDETERMINISTIC
from onward.errors import OnwardError
from onward.programs.operations import never_asked
from onward.programs.running import Run

UNDOS = ("undo:", "undo#")
"""What the names of what takes something back begin with: the body does not ask for it."""

_WAITS = ("sleep", "input", "signal", "approval")
_STILL = (
    "the workflow waits for something that nobody will bring about: nothing of what it asked its context for is open."
    " Deploy code that goes on, and retry; or cancel the session"
)


def over(error: BaseException | None) -> Failure:
    """Why what is still open is not wanted any more."""
    says = "the workflow has ended" if error is None else "the workflow has failed"
    return Failure(code="workflow_ended" if error is None else "workflow_failed", message=says)


def failed_with(error: BaseException) -> Failure:
    """What a session fails with. Ours say themselves what went wrong. Never raises, and repeats no input that did not
    fit a type."""
    told = failure(error, "timed_out" if isinstance(error, TimeoutError) else "workflow_failed")
    if isinstance(error, OnwardError):
        return changed(told, code=error.code)
    if isinstance(error, TimeoutError):
        return changed(told, message=told.message.removeprefix("TimeoutError: ") or "it took too long")
    return told


def stranger(run: Run, error: BaseException | None) -> Failure | None:
    """What is wrong where the log has something that the body ended without: other code has asked for it."""
    undos = () if error is None else UNDOS
    path = next((path for path in run.unasked if not path.startswith(undos)), None)
    return None if path is None else _strange(run, path, error)


def not_taken_back(run: Run) -> Failure | None:
    """What is wrong where the session is to end, and the log has something done that this code does not ask for: nobody
    knows how to take it back."""
    live = run.state.effects == "live"  # what such a branch has from its parent, it leaves to the parent
    results = ((path, run.results.get(path)) for path in run.unasked if not path.startswith(UNDOS))
    own = ((path, entry) for path, entry in results if entry is not None and (entry.seq > 0 or not live))
    path = next((path for path, entry in own if not entry.failed and entry.tool not in _WAITS), None)
    return None if path is None else _strange(run, path, None)


def waits_in_vain(run: Run, state: State) -> Failure | None:
    """What is wrong where nothing is open that the body has asked for: nothing will ever wake it."""
    operations = (call.operation for call in state.calls.values())
    if any(each is None or each.name not in run.unasked for each in operations):
        return None
    return stranger(run, None) or Failure(code="waits_for_nothing", message=_STILL)


def _strange(run: Run, path: str, error: BaseException | None) -> Failure:
    return Failure(code=NONDETERMINISTIC, message=never_asked(path, run.recorded[path], run.after, error))
