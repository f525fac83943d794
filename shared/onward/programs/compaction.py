"""Making a long transcript shorter for the model. The log keeps everything."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from onward.core.bounds import whole
from onward.core.canonical import canonical
from onward.core.model import Model
from onward.core.state import Entry, State
from onward.errors import BadInput
from onward.programs.routing import Resolve

BYTES_PER_TOKEN = 3
INSTRUCTIONS = (
    "Sum up the conversation for whoever goes on with it and sees nothing else of it: what is wanted, what was found "
    "and done with all names, numbers and ids, what was decided and why, and what is still to do. Only the summary."
)
ASKED = "Write the summary of the conversation above now."
Rule = Callable[[Sequence[Entry]], Any]


@dataclass(frozen=True, slots=True)
class Compaction:
    """Once the next prompt would have more than `at` tokens, or is too long for its model, what came before the newest
    `keep` answers is replaced by a summary.

    `by` makes it: a pure function of the entries that gives a JSON value; another model, or its name; or (None) the
    model that the agent asks itself, told the `instructions`. Where a function raises, nothing is replaced.
    """

    at: int
    keep: int = 2
    by: Rule | Model | str | None = None
    instructions: str = INSTRUCTIONS

    def __post_init__(self) -> None:
        for name in ("at", "keep"):
            whole(getattr(self, name), f"Compaction.{name}:")
        if self.by is not None and not isinstance(self.by, str) and self.model is None and not callable(self.by):
            raise BadInput(f"Compaction.by: {self.by!r} is no function of entries, no Model and no name of one")
        if self.by == "" or inspect.iscoroutinefunction(self.by):
            raise BadInput("Compaction.by: a rule is a plain function of entries; a model has a name")

    @property
    def model(self) -> Model | str | None:
        """The model that sums up, if it is one of its own."""
        is_model = isinstance(self.by, str) or callable(getattr(self.by, "answer", None))
        return cast("Model | str", self.by) if is_model else None

    @property
    def rule(self) -> Rule | None:
        """The function that sums up, if it is one."""
        return cast(Rule, self.by) if self.by is not None and self.model is None else None

    def with_model(self, model: Model) -> Compaction:
        """The same, asking this model if it asked one of its own."""
        return self if self.model is None else replace(self, by=model)

    def resolved(self, resolve: Resolve) -> Compaction:
        """The same with the model's name looked up; a name that nobody knows stays."""
        found = resolve(self.by) if isinstance(self.by, str) else None
        return self if found is None else replace(self, by=found)

    def cut(self, transcript: Sequence[Entry], pressed: bool) -> int | None:
        """How many entries to replace, or None where that would replace nothing but a summary.

        Where the model could not take the prompt (`pressed`), fewer answers are kept if it must be.
        """
        least = 1 if pressed else self.keep
        cuts = (_cut(transcript, keep) for keep in range(self.keep, least - 1, -1))
        return next((cut for cut in cuts if cut is not None), None)

    def summary(self, entries: Sequence[Entry]) -> Any:
        """What the rule makes of these entries. Raises BadInput for what is no JSON value, and what the rule raises."""
        assert self.rule is not None
        summary = self.rule(tuple(entries))
        if summary is None:
            raise BadInput("the rule gave no summary")
        canonical(summary)
        return summary


def _cut(transcript: Sequence[Entry], keep: int) -> int | None:
    """Where the newest `keep` answers begin, with what was said right before them. Never between an answer and its
    results, and only where all that stands before is older in the log than all behind: an input that waited for
    results is older than they are."""
    answers = [at for at, entry in enumerate(transcript) if entry.kind == "answer"]
    if len(answers) < keep:
        return None
    cut = answers[-keep]
    while cut and not _may_cut(transcript, cut):
        cut -= 1
    return None if all(entry.kind == "summary" for entry in transcript[:cut]) else cut


def _may_cut(transcript: Sequence[Entry], cut: int) -> bool:
    if transcript[cut].kind in ("result", "notice") or transcript[cut - 1].kind == "input":
        return False
    newest = newest_seq(transcript[:cut])
    return all(entry.seq > newest for entry in transcript[cut:])


def newest_seq(entries: Sequence[Entry]) -> int:
    """The event up to which these entries reach. A summary is younger than what it stands for, and is left out."""
    return max((entry.seq for entry in entries if entry.kind != "summary"), default=0)


def next_prompt(state: State, fixed: int) -> int:
    """Tokens of the next prompt: as many as the newest had, and an estimate of what came since. `fixed` is the bytes
    of instructions and tools, which the newest prompt had too."""
    if not state.context:
        return (fixed + sum(entry.size for entry in state.transcript)) // BYTES_PER_TOKEN
    answered = max((at for at, entry in enumerate(state.transcript) if entry.kind == "answer"), default=-1)
    return state.context + sum(entry.size for entry in state.transcript[answered + 1 :]) // BYTES_PER_TOKEN
