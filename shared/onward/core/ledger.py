"""The effects ledger: what a session did to the world, or may have done, read from its log alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal

from onward.core import events as ev
from onward.core.events import Actor, EffectClass, Event, Failure, Operation, OperationKind
from onward.core.ids import call_id, idempotency_key
from onward.core.payload import Blob, Erased, Payload

Outcome = Literal[
    "open", "started", "pending", "in_doubt", "done", "failed", "not_performed", "answered", "left", "recorded"
]
"""open: not begun, or to be tried again · started: under way, as far as the log knows · pending: goes on outside ·
in_doubt: begun, and nobody knows · done: it happened · failed: it was tried, and ended in an error; a call that may be
repeated can have happened all the same · not_performed: it certainly did not happen; of a call that only reads or may
be repeated, no attempt is on record · answered: a person gave its result instead; what is known of it stands at its
attempts · recorded: nothing was performed, and what it came to is from the record of the session that this is a branch
of · left: it was begun, and nobody waited for what came of it: it may have happened, or go on."""

SETTLED: frozenset[Outcome] = frozenset({"done", "failed", "not_performed", "answered", "left", "recorded"})
"""Nothing more is to come of it."""


@dataclass(slots=True)
class Attempt:
    """One time that a call was made. `started_at` is known where the intent was written down first."""

    number: int
    started_at: datetime | None = None
    ended_at: datetime | None = None
    outcome: Outcome = "started"
    error: Failure | None = None


@dataclass(slots=True)
class Approval:
    """What one person decided on a call, or the clock in their place."""

    by: Actor
    verdict: str
    at: datetime
    reason: str = ""


@dataclass(slots=True)
class LedgerEntry:
    """One call: what it was, who let it happen, each attempt, and what came of it.

    `key` is the idempotency key of all its attempts; `receipt` its result, or a blob's preview, or Erased;
    `resolved_by` who said what became of it after it was in doubt, or gave its result, and `reason` why; `doubted`
    that it once was in doubt; `record` names the session and the call that a branch has the result from; `operation` is
    what a workflow knows it by; so many people are `needed` to approve it.
    """

    session: str
    call: str
    tool: str
    effect: EffectClass
    key: str
    digest: str
    arguments: Payload
    proposed_at: datetime
    outcome: Outcome = "open"
    ended_at: datetime | None = None
    attempts: list[Attempt] = field(default_factory=list)
    rule: str | None = None
    approvals: list[Approval] = field(default_factory=list)
    error: Failure | None = None
    receipt: Payload = None
    doubted: bool = False
    reconciled: str | None = None
    resolved_by: Actor | None = None
    reason: str = ""
    record: str | None = None
    operation: Operation | None = None
    needed: int = 1

    @property
    def asks(self) -> bool:
        """Whether it only asks people."""
        return self.operation is not None and self.operation.kind == "approval"

    def counts(self, tool: str | None, reads: bool) -> bool:
        """Whether it is an effect of this tool, or of any; those that only read count with `reads`, and what a workflow
        only waits for or asks is none."""
        acts = self.operation is None or self.operation.kind in _ACTS
        return acts and (reads or self.effect != "read") and tool in (None, self.tool)

    @property
    def moved_at(self) -> datetime:
        """When something last happened to it."""
        times = [attempt.ended_at or attempt.started_at for attempt in self.attempts]
        return max([at for at in (self.proposed_at, self.ended_at, *times) if at is not None])


_ACTS: frozenset[OperationKind] = frozenset({"step", "undo", "child", "start"})


def ledger(session: str, events: Iterable[Event]) -> list[LedgerEntry]:
    """Every call of these events, in the order in which they were proposed."""
    entries: dict[str, LedgerEntry] = {}
    for event in events:
        if isinstance(event.body, ev.CallsProposed):
            entries |= _proposed(session, event, event.body)
        if isinstance(event.body, _LEAVES):
            _leave(event, entries.values())
        entry, step = entries.get(getattr(event.body, "call", None) or ""), _STEPS.get(type(event.body))
        if entry is not None and step is not None:
            step(entry, event, event.body)
    return list(entries.values())


def _proposed(session: str, event: Event, body: ev.CallsProposed) -> dict[str, LedgerEntry]:
    entries = {}
    for index, proposal in enumerate(body.calls):
        id = call_id(event.seq, index)
        entry = LedgerEntry(
            session=session,
            call=id,
            tool=proposal.tool,
            effect=proposal.effect,
            key=idempotency_key(session, id),
            digest=proposal.digest,
            arguments=_item(body.arguments, index),
            proposed_at=event.at,
            operation=body.operations[index] if body.operations else None,
        )
        if proposal.refusal is not None:
            _end(entry, event, "not_performed", proposal.refusal)
        if entry.operation is not None and entry.operation.kind == "patch":
            entry.receipt = True
            _end(entry, event, "done")
        entries[id] = entry
    return entries


def _item(values: Any, index: int) -> Any:
    if isinstance(values, Blob):
        return values.model_copy(update={"index": index})
    return values if isinstance(values, Erased) else values[index]


def _end(entry: LedgerEntry, event: Event, outcome: Outcome, error: Failure | None = None) -> None:
    if entry.outcome == "in_doubt":
        entry.resolved_by = event.actor
    entry.outcome, entry.ended_at, entry.error = outcome, event.at, error


def _attempt(entry: LedgerEntry, number: int) -> Attempt:
    """The attempt of this number; one that was not announced is found here for the first time."""
    found = next((attempt for attempt in entry.attempts if attempt.number == number), None)
    if found is None:
        found = Attempt(number)
        entry.attempts.append(found)
    return found


def _over(entry: LedgerEntry, event: Event, number: int, outcome: Outcome, error: Failure | None = None) -> None:
    attempt = _attempt(entry, number)
    attempt.outcome, attempt.ended_at, attempt.error = outcome, event.at, error


def _give_up(entry: LedgerEntry, event: Event, error: Failure) -> None:
    """Nobody waits for the call any more. What may have happened at an attempt is not denied by that."""
    outcome = _what_is_known(entry)
    if outcome == "in_doubt":
        entry.outcome = outcome
    else:
        _end(entry, event, outcome, error)


def _what_is_known(entry: LedgerEntry) -> Outcome:
    """What became of a call, if its attempts are all that there is to say of it."""
    found = {attempt.outcome for attempt in entry.attempts}
    if "in_doubt" in found:
        return "in_doubt"
    if found & {"started", "pending"}:
        return "left"
    return "failed" if "failed" in found else "not_performed"


_LEAVES = (ev.SessionCompleted, ev.SessionFailed, ev.SessionCancelled, ev.SessionContinued)


def _leave(event: Event, entries: Iterable[LedgerEntry]) -> None:
    """The session goes on without the calls that are open, or has ended."""
    error = Failure(code="left", message="the session ended, or began afresh, without it")
    for entry in entries:
        if entry.outcome not in SETTLED:
            _give_up(entry, event, error)


# --- approvals -------------------------------------------------------------------------------------------------


def _asked(entry: LedgerEntry, event: Event, body: ev.ApprovalRequested) -> None:
    entry.rule, entry.needed = body.rule, body.needed


def _decided(entry: LedgerEntry, event: Event, body: ev.ApprovalDecided) -> None:
    entry.approvals.append(Approval(event.actor, body.verdict, event.at, body.reason))
    if entry.asks:
        return _answered(entry, event, body)
    if body.verdict == "rejected":
        _end(entry, event, "not_performed", Failure(code="rejected", message=body.reason or "a person said no"))
    if body.verdict == "responded":
        entry.receipt = body.result
        _end(entry, event, "answered")


def _answered(entry: LedgerEntry, event: Event, body: ev.ApprovalDecided) -> None:
    """A question that only asks comes to the decision itself."""
    by = [one.by.name for one in entry.approvals if one.verdict == body.verdict]
    if body.verdict == "approved" and len(by) < entry.needed:
        return
    entry.receipt = {"verdict": body.verdict, "by": by, "reason": body.reason, "result": body.result}
    _end(entry, event, "done")


def _edited(entry: LedgerEntry, event: Event, body: ev.CallEdited) -> None:
    if body.error is None:
        entry.arguments, entry.digest = body.arguments, body.digest


def _expired(entry: LedgerEntry, event: Event, body: ev.ApprovalExpired) -> None:
    entry.approvals.append(Approval(event.actor, body.verdict, event.at, "nobody decided in time"))
    if entry.asks:
        entry.receipt = {"verdict": "expired", "by": [], "reason": "", "result": None}
        _end(entry, event, "done")
    elif body.verdict == "rejected":
        _end(entry, event, "not_performed", Failure(code="approval_expired", message="nobody decided in time"))


# --- attempts --------------------------------------------------------------------------------------------------


def _started(entry: LedgerEntry, event: Event, body: ev.CallStarted) -> None:
    _attempt(entry, body.attempt).started_at = event.at
    entry.outcome = "started"


_INSTEAD = frozenset({"skip"})
"""By what a result is known that says nothing of the call itself."""


def _completed(entry: LedgerEntry, event: Event, body: ev.CallCompleted) -> None:
    entry.receipt, entry.reason, entry.record = body.result, body.reason, body.record
    if body.record is not None:
        return _end(entry, event, "recorded")
    if body.by in _INSTEAD or (body.by == "operator" and entry.outcome not in ("in_doubt", "pending")):
        entry.resolved_by = event.actor
        return _end(entry, event, "answered")
    _over(entry, event, body.attempt, "done")
    _end(entry, event, "done")


def _failed(entry: LedgerEntry, event: Event, body: ev.CallFailed) -> None:
    if body.record is not None:
        entry.record = body.record
        return _end(entry, event, "recorded", body.error)
    outcome: Outcome = "not_performed" if body.error.code == "not_performed" else "failed"
    _over(entry, event, body.attempt, outcome, body.error)
    if body.retry_at is None:
        return _end(entry, event, _what_is_known(entry), body.error)
    entry.outcome, entry.error = "open", body.error


def _refused(entry: LedgerEntry, event: Event, body: ev.CallRefused) -> None:
    _give_up(entry, event, body.error)


def _in_doubt(entry: LedgerEntry, event: Event, body: ev.CallInDoubt) -> None:
    _over(entry, event, body.attempt, "in_doubt", body.error)
    entry.outcome, entry.doubted, entry.error = "in_doubt", True, body.error


def _reconciled(entry: LedgerEntry, event: Event, body: ev.CallReconciled) -> None:
    """What the tool, or a person, says of the attempt that was in doubt; one who knows nothing settles nothing."""
    entry.reconciled = f"{body.answer}: {body.error.message}" if body.error else body.answer
    if body.answer == "not_done":
        if entry.outcome == "in_doubt":
            entry.resolved_by = event.actor
        if entry.attempts:
            _over(entry, event, entry.attempts[-1].number, "not_performed", body.error)
        entry.outcome = "open"


def _pending(entry: LedgerEntry, event: Event, body: ev.CallPending) -> None:
    _attempt(entry, body.attempt).outcome = entry.outcome = "pending"


# --- sessions of their own -------------------------------------------------------------------------------------


def _child_started(entry: LedgerEntry, event: Event, body: ev.ChildStarted) -> None:
    _attempt(entry, 1).started_at = event.at
    entry.outcome = "pending"
    if entry.operation is not None and entry.operation.kind == "start":
        entry.receipt = {"session": body.session}
        _over(entry, event, 1, "done")
        _end(entry, event, "done")


def _child_ended(entry: LedgerEntry, event: Event, body: ev.ChildEnded) -> None:
    outcome: Outcome = "done" if body.status == "completed" else "failed"
    entry.receipt = body.output
    _over(entry, event, 1, outcome, body.error)
    _end(entry, event, outcome, body.error)


def _handed_over(entry: LedgerEntry, event: Event, body: ev.ProgramChanged) -> None:
    entry.receipt = {"handed_over_to": body.program}
    _end(entry, event, "done")


_STEPS: Mapping[type[ev.Body], Callable[[LedgerEntry, Event, Any], None]] = MappingProxyType(
    {
        ev.ApprovalRequested: _asked,
        ev.ApprovalDecided: _decided,
        ev.CallEdited: _edited,
        ev.ApprovalExpired: _expired,
        ev.CallStarted: _started,
        ev.CallCompleted: _completed,
        ev.CallFailed: _failed,
        ev.CallRefused: _refused,
        ev.CallInDoubt: _in_doubt,
        ev.CallReconciled: _reconciled,
        ev.CallPending: _pending,
        ev.ChildStarted: _child_started,
        ev.ChildEnded: _child_ended,
        ev.ProgramChanged: _handed_over,
    }
)
