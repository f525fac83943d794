"""More small wrong variants: of branches of workflows. See `tests.broken.variants`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from onward.core import record
from onward.core.state import OpenCall, State, changed
from onward.engine import records
from onward.programs import unwinding
from tests.broken.variants import wrong


def asks_in_order(calls: Sequence[OpenCall], line: Any, state: State, used: Sequence[str]) -> Sequence[OpenCall]:
    """Answers what a workflow asks in the order in which it asks."""
    return calls[:1]


def forgets_names(line: Any, state: State, call: OpenCall, used: Sequence[str]) -> Any:
    """Takes the first that has the same tool and arguments, and a wait for any other."""
    return record.find(line, call.digest, used, call.repeatable)


def lives_now(call: OpenCall, found: Any) -> Any:
    """Forgets when it was that something came about."""
    return [changed(body, recorded_at=None) if hasattr(body, "recorded_at") else body for body in recalled(call, found)]


def undoes_its_parents(run: Any, state: State, before: int) -> Any:
    """Takes back whatever the workflow knows of."""
    return taken_back(run, changed(state, effects=None), before)


recalled, taken_back = records._recalled, unwinding.taken_back

wrong("branch of a workflow that is answered as it asks", "g14_a_branch_of_a_workflow_ends_as_its_parent_did",
      onward__engine__records___first=asks_in_order)  # fmt: skip
wrong("branch of a workflow that is answered by what it asks alone",
      "g14_a_branch_of_a_workflow_ends_as_its_parent_did",
      onward__engine__records__outcome_of=forgets_names)  # fmt: skip
wrong("branch of a workflow that has another time", "g14_a_branch_of_a_workflow_ends_as_its_parent_did",
      onward__engine__records___recalled=lives_now)  # fmt: skip
wrong("live branch that takes back what its parent did", "g14_a_live_branch_takes_back_only_what_it_did",
      onward__programs__unwinding__taken_back=undoes_its_parents)  # fmt: skip
