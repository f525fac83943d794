"""More small wrong variants: of workflows. See `tests.broken.variants`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

from onward.core.events import Body
from onward.core.state import Entry, State
from onward.programs.loop import Scope
from onward.programs.operations import Ask
from onward.programs.proposing import let_go
from onward.programs.running import Run
from onward.programs.workflow import Workflow
from tests.broken.variants import wrong
from tests.faults.world import World

right_settle, right_offer, right_advance, right_asked = Run._settle, Run._offer, Run.advance, Workflow._asked

# --- runs ----------------------------------------------------------------------------------------------------------


def leads_anywhere(run: Run, state: State) -> bool:
    """Goes on with the run at hand, as long as it is of the same session."""
    return state.generation == run.state.generation and run.delivered <= len(state.transcript)


def leads_from_the_same_entries(run: Run, state: State) -> bool:
    """Looks at results, and not at what is open."""
    known = run.delivered
    return leads_anywhere(run, state) and (not known or state.transcript[known - 1] is run._last)


def in_order_of_asking(run: Run, state: State, upto: int | None = None) -> None:
    """Tells a run that begins what it was told before as if all had come as it was asked for."""
    if run.main is None:
        begun = 1 if state.input is not None else 0
        entries = sorted(state.transcript[begun:], key=lambda entry: _number(entry.call))
        object.__setattr__(state, "transcript", (*state.transcript[:begun], *entries))
    right_advance(run, state, upto)


def _number(call: str | None) -> tuple[int, ...]:
    return tuple(int(part) for part in (call or "0.0").split("."))


def wall_clock(ctx: Any) -> Any:
    """What time it is."""
    return World.current.clock.now()


def by_position(scope: Scope, name: str) -> str:
    """Names things by how many were asked for before."""
    return right_name(scope, "step")


right_name = Scope.name


def of_anything(recorded: Any, ask: Ask) -> bool:
    """Takes whatever was recorded under a name."""
    return True


wrong("run of an append that failed", "g2_a_run_goes_on_from_what_is_in_the_log",
      onward__programs__running__Run__leads_to=leads_anywhere)  # fmt: skip
wrong("run whose calls were never made", "g2_what_was_decided_and_not_appended_is_decided_again",
      onward__programs__running__Run__leads_to=leads_from_the_same_entries)  # fmt: skip
wrong("run of another database", "g2_a_session_of_another_database_is_another",
      onward__programs__running__Run__leads_to=leads_from_the_same_entries)  # fmt: skip
wrong("results in the order of asking", "g1_who_came_first_came_first",
      onward__programs__running__Run__advance=in_order_of_asking)  # fmt: skip
wrong("time of the clock", "g1_time_is_the_logs", onward__programs__context__Context__now=wall_clock)
wrong("steps known by their number", "g7_a_result_is_found_again_by_its_name",
      onward__programs__loop__Scope__name=by_position)  # fmt: skip
wrong("result of another step", "g7_a_result_is_of_what_was_asked_for",
      onward__programs__operations__Recorded__is_of=of_anything)  # fmt: skip
wrong("patch for everybody", "g12_a_session_that_went_by_a_patch_goes_on_as_it_began",
      onward__programs__running__Run__replaying=False)  # fmt: skip
wrong("newest version for everybody", "g12_a_workflow_stays_on_the_version_that_it_began_on",
      onward__programs__workflow__Workflow__follows=True)  # fmt: skip


# --- inputs ----------------------------------------------------------------------------------------------------------


def eats_what_is_late(run: Run, entry: Entry) -> None:
    """Gives an input that came too late to the wait that it was too late for."""
    late = [
        ask for ask in run.asks.values() if ask.kind == "signal" and ask.signal == entry.name and _is_over(run, ask)
    ]
    if not late:
        return right_offer(run, entry)
    late[0].taken = entry.seq
    return None


def _is_over(run: Run, ask: Ask) -> bool:
    result = run.results.get(ask.path)
    return result is not None and result.failed and ask.taken is None


def keeps_nothing(run: Run) -> list[int]:
    """Begins afresh with nothing."""
    return []


wrong("late signal for who waits no more", "g5_what_is_said_early_or_late_is_for_the_next_wait",
      onward__programs__running__Run___offer=eats_what_is_late)  # fmt: skip
wrong("early signal lost in a fresh start", "g5_what_is_said_early_or_late_is_for_the_next_wait",
      onward__programs__running__Run__kept_inputs=keeps_nothing)  # fmt: skip


# --- effects ---------------------------------------------------------------------------------------------------------


def lets_nothing_go(run: Run) -> list[Body]:
    """Settles what inputs were taken for, and leaves the rest open."""
    return [body for body in let_go(run) if body.kind == "call_completed"]  # type: ignore[attr-defined]


def ends_over_anything(program: Workflow[Any, Any], run: Run, state: State) -> list[Body]:
    """Looks at what the body has come to, and at nothing else."""
    error = run.error()
    return program._completed(run, state) if error is None else program._failed(run, state, error)


def as_listed(pairs: Sequence[Any]) -> Sequence[Any]:
    """The oldest first."""
    return pairs


def remembers_what_it_saw(run: Run, ask: Ask, entry: Entry) -> None:
    """Knows how to take back what was done while it was at hand."""
    known = len(run.undone)
    right_settle(run, ask, entry)
    if run.delivered < run._end or run.unasked:
        del run.undone[known:]


def knows_what_is_at_hand(program: Workflow[Any, Any], call: Any, state: State) -> Any:
    """Knows an undo that this process wrote down."""
    with patch("onward.programs.unwinding.taken_back", lambda *about: None):
        return right_asked(program, call, state)


wrong("what was left is performed", "g6_what_nobody_waits_for_any_more_is_not_begun",
      onward__programs__proposing__let_go=lets_nothing_go)  # fmt: skip
wrong("end over what is in doubt", "g6_a_workflow_does_not_end_over_what_is_in_doubt",
      onward__programs__workflow__Workflow___ending=ends_over_anything)  # fmt: skip
wrong("oldest taken back first", "g6_the_newest_is_taken_back_first", onward__programs__unwinding__reversed=as_listed)
wrong("undo of what this process did", "g6_what_was_done_is_taken_back_once_after_any_crash",
      onward__programs__running__Run___settle=remembers_what_it_saw)  # fmt: skip
wrong("undo that nobody is asked about", "g6_an_undo_in_doubt_is_asked_what_became_of_it",
      onward__programs__workflow__Workflow___asked=knows_what_is_at_hand)  # fmt: skip
