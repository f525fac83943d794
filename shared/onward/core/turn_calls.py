"""The calls of turns: a session's own, from its ledger, and those that a branch has inherited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from onward.core import events as ev
from onward.core.events import Event, Failure
from onward.core.ledger import LedgerEntry
from onward.core.state import Entry
from onward.core.turns import Call, CallOutcome, Decision


@dataclass(slots=True)
class Known:
    """What the log says of calls besides their ledger."""

    records: dict[str, str] = field(default_factory=dict)
    children: dict[str, str] = field(default_factory=dict)
    edited: set[str] = field(default_factory=set)

    def take(self, event: Event) -> None:
        """Take in the next event."""
        body = event.body
        if isinstance(body, ev.CallEdited) and body.error is None:
            self.edited.add(body.call)
        if isinstance(body, ev.CallCompleted | ev.CallFailed) and body.record is not None:
            self.records[body.call] = body.record
        if isinstance(body, ev.ChildStarted):
            self.children[body.call] = body.session


def own(entry: LedgerEntry, written: Any, known: Known) -> Call:
    """A call of the session's own, with the arguments as they were written."""
    return Call(
        id=entry.call,
        seq=int(entry.call.partition(".")[0]),
        tool=entry.tool,
        written=written,
        arguments=entry.arguments,
        outcome=_outcome(entry),
        result=entry.receipt,
        error=entry.error,
        effect=entry.effect,
        rule=entry.rule,
        decisions=tuple(Decision(each.by, each.verdict, each.reason) for each in entry.approvals),
        edited=entry.call in known.edited,
        attempts=sum(attempt.number > 0 for attempt in entry.attempts),
        seconds=_lasted(entry),
        record=known.records.get(entry.call),
        child=known.children.get(entry.call),
        name=entry.operation.name if entry.operation else None,
        kind=entry.operation.kind if entry.operation else None,
    )


_ENDS: Mapping[str, CallOutcome] = MappingProxyType(
    {
        "rejected": "rejected",
        "approval_expired": "expired",
        "blocked": "blocked",
        "not_inherited": "not_inherited",
        "left": "left",
        "unknown_tool": "refused",
        "bad_arguments": "refused",
        "one_handover": "refused",
        "interrupted": "refused",
    }
)
"""What the code of a failure says of how a call ended, wherever that is recorded."""

_UNSETTLED: Mapping[str, CallOutcome] = MappingProxyType(
    {
        "open": "open",
        "started": "open",
        "pending": "open",
        "in_doubt": "in_doubt",
        "left": "left",
        "answered": "answered",
    }
)


def _outcome(entry: LedgerEntry) -> CallOutcome:
    if entry.outcome in _UNSETTLED:
        return _UNSETTLED[entry.outcome]
    if entry.error is not None and entry.error.code in _ENDS:
        return _ENDS[entry.error.code]
    refused = entry.outcome == "not_performed" and not entry.attempts
    return "refused" if refused else "failed" if entry.error is not None else "done"


def _lasted(entry: LedgerEntry) -> float | None:
    if entry.ended_at is None:
        return None
    started = [attempt.started_at for attempt in entry.attempts if attempt.started_at is not None]
    approved = [] if entry.asks else [approval.at for approval in entry.approvals[-1:]]
    return (entry.ended_at - min(started or approved or [entry.proposed_at])).total_seconds()


def inherited(entry: Entry, written: Any) -> Call:
    error = _failure(entry.value) if entry.failed else None
    return Call(
        id=entry.call or "",
        seq=entry.seq,
        tool=entry.tool or "",
        written=written,
        arguments=written if entry.arguments is None else entry.arguments,
        outcome=_ENDS.get(error.code, "failed") if error else "done",
        result=None if error else entry.value,
        error=error,
        edited=entry.arguments is not None,
        inherited=True,
        name=entry.name,
    )


def _failure(value: Any) -> Failure:
    fields = value if isinstance(value, Mapping) else {}
    return Failure(code=str(fields.get("code", "failed")), message=str(fields.get("message", "")))
