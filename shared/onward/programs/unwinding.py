"""Taking back what a workflow did that failed or was cancelled: the newest first, one by one, each a call of its own.

What can't be taken back holds the session until an operator has looked: to retry makes the undo once more, to skip it
says that it is dealt with.
"""

from __future__ import annotations

from onward.core.events import Body, Failure, SessionParked
from onward.core.failures import failure_in
from onward.core.state import Entry, State
from onward.errors import BadInput
from onward.programs.operations import Ask, failed
from onward.programs.proposing import propose
from onward.programs.running import Run
from onward.programs.steps import undo_arguments

UNDO_FAILED = "undo_failed"


def taken_back(run: Run, state: State, before: int) -> list[Body] | None:
    """What is to be written down for the next undo, nothing while one is under way, None when all is taken back. What a
    live branch has from its parent is the parent's to take back."""
    live = state.effects == "live"
    for ask, entry in [each for each in reversed(run.undone) if each[1].seq > 0 or not live]:
        bodies = _undo(run, state, ask, entry, before)
        if bodies is not None:
            return bodies
    return None


def _undo(run: Run, state: State, ask: Ask, entry: Entry, before: int) -> list[Body] | None:
    """The newest attempt that people have had it make: None once one has succeeded. In a branch that reaches nothing in
    the world nobody need be asked about one that has not."""
    path, attempt, last = f"undo:{ask.path}", 1, None
    while (found := run.results.get(path)) is not None:
        if not found.failed or state.detached:
            _ask(run, path, ask, entry)
            return None
        _ask(run, path, ask, entry)
        attempt, last = attempt + 1, found
        path = f"undo#{attempt}:{ask.path}"  # as no step is called: `a#2` may be one
    undo = _ask(run, path, ask, entry)
    if path in run.recorded:
        return []
    return [*_parked(ask, last), *propose(state, [undo], before + (last is not None))]


def _parked(ask: Ask, last: Entry | None) -> list[Body]:
    if last is None:
        return []
    error = failure_in(last.known)
    how = "retry makes the undo again, skip passes it by"
    says = f"what {ask.path} did could not be taken back: {error.code}: {error.message}; {how}"
    return [SessionParked(error=Failure(code=UNDO_FAILED, message=says[:2000]))]


def _ask(run: Run, path: str, ask: Ask, entry: Entry) -> Ask:
    known = run.asks.get(path)
    if known is not None:
        return known
    assert ask.undo is not None, "only what can be taken back is listed"
    assert ask.step is not None, "only steps are taken back"
    try:
        arguments = undo_arguments(ask.undo, ask.step, ask.arguments, entry.known)
    except BadInput:  # the step takes others by now; what was recorded is what its undo is given
        arguments = {name: ask.arguments[name] for name in ask.undo.form.parameters if name in ask.arguments}
    run.unasked.pop(path, None)
    run.asks[path] = Ask(path, "undo", ask.undo.name, arguments, lambda value: value, failed, step=ask.undo, undo=None)
    return run.asks[path]
