"""Which wait of a workflow an input is for."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import takewhile

from onward.core.events import Operation
from onward.core.state import Entry, State
from onward.core.words import TAKEN


def wait_for(state: State, name: str | None) -> Operation | None:
    """The wait that the next input of this name is for, if it is open: those that came before it are for others."""
    asked = [(id, call.operation) for id, call in state.calls.items() if call.operation is not None]
    waits = [(id, each) for id, each in asked if each.kind == "signal" and each.signal == name]
    ahead = _untaken(state, name, int(waits[0][0].partition(".")[0])) if waits else 0
    return waits[ahead][1] if ahead < len(waits) else None


def input_in(entry: Entry) -> int | None:
    """The event of the input that was taken for a wait, if this entry is the result of one that ended so."""
    waited = entry.kind == "result" and entry.tool in ("input", "signal") and entry.name is not None
    value = entry.value if waited and not entry.failed else None
    return value[TAKEN] if isinstance(value, Mapping) and value.keys() == {TAKEN} else None


def _untaken(state: State, name: str | None, since: int) -> int:
    """How many inputs of this name have come since that event, and are not yet taken."""
    came = list(takewhile(lambda entry: entry.seq > since, reversed(state.transcript)))
    taken = [input_in(entry) for entry in came]
    return sum(entry.kind == "input" and entry.name == name and entry.seq not in taken for entry in came)
