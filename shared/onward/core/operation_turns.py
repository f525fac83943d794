"""The turns of a workflow: one for each thing that it asked for, in the order in which it did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from onward.core import events as ev
from onward.core.branch import Base
from onward.core.events import Event
from onward.core.inputs import input_in
from onward.core.ledger import ledger
from onward.core.payload import Erased
from onward.core.recording import Recording
from onward.core.state import Entry
from onward.core.turn_calls import Known, inherited, own
from onward.core.turns import Call, Said, Turn
from onward.core.words import TAKEN


def operation_turns(recording: Recording) -> tuple[Turn, ...]:
    """All turns. A wait that took an input has come to what that says; inputs that came before anybody waited for them
    are said last."""
    return _Reader(recording).read()


@dataclass(slots=True)
class _Draft:
    """A turn that is being read: what began a stretch of the session, or a call."""

    generation: int
    said: Said | None = None
    call: str | None = None
    entry: Entry | None = None
    seconds: float | None = None


@dataclass(slots=True)
class _Reader:
    recording: Recording
    generation: int = 0
    drafts: list[_Draft] = field(default_factory=list)
    inputs: dict[int, Said] = field(default_factory=dict)
    taken: dict[str, int] = field(default_factory=dict)
    known: Known = field(default_factory=Known)

    def read(self) -> tuple[Turn, ...]:
        for event in self.recording.events:
            self._take(event)
        self._time()
        found = [*self._turns(), *self._untaken()]
        return tuple(replace(turn, number=number) for number, turn in enumerate(found, start=1))

    def _take(self, event: Event) -> None:
        body = event.body
        self.known.take(event)
        if isinstance(body, ev.SessionStarted | ev.SessionContinued):
            self.generation += isinstance(body, ev.SessionContinued)
            self._began(Said(event.seq, "input", body.input, event.actor), body.input)
        elif isinstance(body, ev.SessionForked):
            self._inherit(body.base)
        elif isinstance(body, ev.InputReceived):
            self.inputs[event.seq] = Said(event.seq, "input", body.content, event.actor)
        elif isinstance(body, ev.CallsProposed):
            self.drafts += [_Draft(self.generation, call=f"{event.seq}.{at}") for at in range(len(body.calls))]
        elif isinstance(body, ev.CallCompleted) and body.by == "input" and isinstance(body.result, Mapping):
            self.taken[body.call] = body.result[TAKEN]

    def _began(self, said: Said, value: Any) -> None:
        if value is not None:
            self.drafts.append(_Draft(self.generation, said))

    def _inherit(self, base: Any) -> None:
        """What a branch goes on from, as far as it is known."""
        if isinstance(base, Erased):
            return self._began(Said(0, "summary", base), base)
        found = Base.model_validate(base)
        self.generation = found.generation
        for at, entry in enumerate(found.transcript):
            if entry.kind == "result":
                self.drafts.append(_Draft(self.generation, entry=entry))
            elif at == 0 and found.input is not None:
                self._began(Said(entry.seq, "input", entry.value), entry.value)
            else:
                self.inputs[entry.seq] = Said(entry.seq, "input", entry.value)
        return None

    def _time(self) -> None:
        """Time belongs to the call of which there was something to be told at its end."""
        drafts = {draft.call: draft for draft in self.drafts if draft.call}
        last = self.recording.events[0].at
        for event in self.recording.events:
            draft = drafts.get(getattr(event.body, "call", None) or "")
            if draft is not None:
                draft.seconds = (draft.seconds or 0.0) + (event.at - last).total_seconds()
                last = event.at

    # --- finished turns ----------------------------------------------------------------------------------------

    def _turns(self) -> Iterator[Turn]:
        entries = {entry.call: entry for entry in ledger("", self.recording.events)}
        for draft in self.drafts:
            if draft.said is not None:
                yield Turn(0, (draft.said,), inherited=draft.said.seq <= 0)
                continue
            if draft.entry is not None:
                call = self._whole(inherited(draft.entry, draft.entry.arguments), input_in(draft.entry), draft)
            else:
                entry = entries[draft.call or ""]
                call = self._whole(own(entry, entry.arguments, self.known), self.taken.get(entry.call), draft)
            yield Turn(0, calls=(call,), inherited=call.inherited, usd=Decimal(0), seconds=draft.seconds)

    def _whole(self, call: Call, taken: int | None, draft: _Draft) -> Call:
        """With what was said, where an input was taken for it: that is said there, and nowhere else."""
        said = self.inputs.pop(taken, None) if taken is not None else None
        return replace(call, generation=draft.generation, result=said.value if said else call.result)

    def _untaken(self) -> Iterator[Turn]:
        said = tuple(self.inputs[seq] for seq in sorted(self.inputs))
        if said:
            yield Turn(0, said, inherited=all(each.seq <= 0 for each in said))
