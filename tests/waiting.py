"""A program that waits for inputs, one after the other, and does nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from onward.core import events as ev
from onward.core.canonical import digest
from onward.core.events import Actor, Operation
from onward.core.program import Decision, Program, Record, Rest
from onward.core.state import TAKEN, Entry, OpenCall, State

AMOUNT = {
    "type": "object",
    "properties": {"amount": {"type": "integer"}},
    "required": ["amount"],
    "additionalProperties": False,
}


class Waiting(Program):
    """Waits for inputs of these names and forms, in this order, and ends with all of them."""

    follows = False
    leads = True
    on_input: Any = "deliver"

    def __init__(self, *waits: tuple[str | None, Any], until: datetime | None = None, version: str = "1") -> None:
        self.name, self.version = "waiting", version
        self._waits, self._until = waits, until

    def performer(self, call: OpenCall, state: State) -> None:
        return None

    def decide(self, state: State) -> Decision:
        taken = [entry for entry in state.transcript if entry.kind == "result"]
        for call in state.calls.values():
            return self._settled(state, call, taken)
        if len(taken) < len(self._waits):
            return self._record(self._wait(len(taken)))
        return self._record(ev.SessionCompleted(output=[_value(state, entry) for entry in taken]))

    def _wait(self, number: int) -> ev.Body:
        name, takes = self._waits[number]
        proposal = ev.Proposal(tool="signal", effect="read", digest=digest([number, name]))
        operation = Operation(name=f"signal#{number}", kind="signal", until=self._until, signal=name, takes=takes)
        return ev.CallsProposed(calls=[proposal], arguments=[{}], operations=[operation])

    def _settled(self, state: State, call: OpenCall, taken: Sequence[Entry]) -> Decision:
        assert call.operation is not None
        used = {entry.value[TAKEN] for entry in taken}
        for entry in state.transcript:
            if entry.kind == "input" and entry.seq not in (*used, 1) and entry.name == call.operation.signal:
                return self._record(ev.CallCompleted(call=call.id, attempt=0, result={TAKEN: entry.seq}, by="input"))
        return Rest()

    def _record(self, body: ev.Body) -> Record:
        return Record((body,), Actor(kind="program", name=self.name))


def _value(state: State, taken: Entry) -> Any:
    return next(entry.known for entry in state.transcript if entry.seq == taken.value[TAKEN])
