"""The head: one small document per session, from which everything but deciding can be done."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from pydantic import ValidationError

from onward.core.canonical import document, sha256
from onward.core.codec import PLAIN, stamp
from onward.core.events import FIRST_INCARNATION, NO_LIMITS, Effects, Failure, Limits, Origin, Value
from onward.core.state import FOLD_VERSION, NOTHING_SPENT, OpenCall, Spent, State, changed
from onward.core.webhooks import Listener

Status = Literal[
    "scheduled",
    "running",
    "waiting",
    "needs_attention",
    "paused",
    "completed",
    "failed",
    "cancelled",
    "imported",
    "deleted",
]
"""What a session does. `imported` is the recording of a session from elsewhere, which nothing moves here. `deleted` is
a tombstone: the head alone is left, so that the id never starts again (R22)."""

ENDED: tuple[Status, ...] = ("completed", "failed", "cancelled", "imported", "deleted")
"""Statuses of what goes on no more."""

UNCLAIMED: tuple[Status, ...] = ("imported", "deleted")
"""Statuses of what nobody may claim."""

WaitKind = Literal["input", "approval", "timer", "child", "external", "operator"]

HEAD_FOLD_BYTES = 16 * 1024
"""A larger fold is a snapshot instead (R20)."""

SNAPSHOT_EVERY = 8
"""Commits between snapshots, while a state is not long."""

MOST_WAITS = 100
"""Open calls that a head tells of: it is written with each commit, and lists read many."""

ENTRIES_A_COMMIT = 64
"""Of a longer one it is one commit for so many entries: what snapshots write grows with the log, and not with its
square."""


class Wait(Value):
    """One reason to be at rest: what lists and the approvals inbox show.

    Of an approval `needed` people must approve, `approved_by` have, and `approvers` may (nobody named: everybody).
    `session` is the child that is waited for. `name` is what a workflow calls it, where that is not its tool.
    """

    kind: WaitKind
    call: str | None = None
    tool: str | None = None
    rule: str | None = None
    digest: str | None = None
    until: datetime | None = None
    note: str = ""
    session: str | None = None
    needed: int = 1
    approved_by: tuple[str, ...] = ()
    approvers: tuple[str, ...] = ()
    name: str = ""


ASKS = "question"
"""The note of an approval that only asks: nothing is done when it is approved but that it is."""

ASLEEP = "asleep"
"""The note of a wait for a time to pass, at whose end something is done by that alone."""


@dataclass(frozen=True, slots=True)
class Fold:
    """A state at a seq (the session's `commit`-th), as text here or as a snapshot elsewhere.

    Used only if version and hash match.
    """

    seq: int
    hash: str
    version: int
    commit: int
    text: str | None = None
    snapshot: str | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """What is known of a session without its log. `wake_at` is the earliest time that somebody must look, `parent`
    the id of the session that started it. `owed` is the first event that owes something to others and may not have been
    paid, or 0 (R13); `armed` is the time that the newest timer is for, so that no other is armed for it; `unlisted` are
    the open calls that it waits for beside those in `waits`; `listeners` are the webhooks that it may owe something to,
    as the last holder knew them who had its program; `switch` is what paused it, if a switch did; `incarnation` the one
    of the database under which all that was done is known to be in the log (R22). A branch has its `origin`, the
    `family` that it belongs to, by the id of the session that all of it comes from, and `effects`, which its children
    have too."""

    key: str
    tenant: str
    id: str
    program: str
    version: str
    status: Status
    seq: int
    hash: str
    commits: int
    created_at: datetime
    updated_at: datetime
    wake_at: datetime | None = None
    waits: tuple[Wait, ...] = ()
    unlisted: int = 0
    error: Failure | None = None
    spent: Spent = NOTHING_SPENT
    limits: Limits = NO_LIMITS
    labels: tuple[tuple[str, str | int | bool], ...] = ()
    parent: str | None = None
    switch: str | None = None
    listeners: tuple[Listener, ...] = ()
    owed: int = 0
    armed: datetime | None = None
    published: int = 0
    format: int = PLAIN
    incarnation: int = FIRST_INCARNATION
    origin: Origin | None = None
    family: str | None = None
    effects: Effects | None = None
    fold: Fold | None = None

    @property
    def ended(self) -> bool:
        return self.status in ENDED


def head_of(
    state: State, base: Head, *, hash: str, at_rest: bool, fold: Fold | None, published: int, owed: int = 0
) -> Head:
    """The head after a commit that led to this state. While it owes something, somebody must look."""
    return replace(
        base,
        program=state.program,
        version=state.version,
        status=status_of(state, at_rest),
        seq=state.seq,
        hash=hash,
        commits=base.commits + 1,
        updated_at=state.at or base.updated_at,
        wake_at=(min(state.timers.values(), default=None) if at_rest and not owed else state.at),
        waits=waits_of(state, MOST_WAITS) if at_rest else (),
        unlisted=_unlisted(state) if at_rest else 0,
        error=state.parked or state.error,
        spent=state.spent,
        limits=state.limits,
        labels=tuple(sorted(state.labels.items())),
        parent=state.parent.session if state.parent else None,
        switch=state.switch,
        owed=owed,
        published=published,
        incarnation=state.incarnation,
        fold=fold,
    )


def resting(head: Head, state: State) -> Head:
    """The head of a session that turned out to rest, with nothing to append."""
    waits, wake_at = waits_of(state, MOST_WAITS), min(state.timers.values(), default=None)
    return replace(head, status=status_of(state, True), waits=waits, unlisted=_unlisted(state), wake_at=wake_at)


def as_import(head: Head) -> Head:
    """The head of a recording: whoever it was, it waits for nothing here and owes nobody anything."""
    still = replace(head, status="imported", published=head.seq, wake_at=None, waits=(), unlisted=0, switch=None)
    return replace(still, owed=0, armed=None, listeners=())


def tombstone(head: Head, at: datetime, by: str, reason: str) -> Head:
    """What is left of a session that is deleted: who it was, what it cost here, its hash, and by whom (`error`)."""
    gone = Failure(code="deleted", message=f"deleted by {by}{f': {reason}' if reason else ''}")
    spent = NOTHING_SPENT if head.status == "imported" else head.spent
    kept = replace(head, status="deleted", updated_at=at, error=gone, published=head.seq, spent=spent)
    return replace(kept, wake_at=None, armed=None, waits=(), unlisted=0, labels=(), listeners=(), fold=None)


def label_text(value: str | int | bool) -> str:
    """A label's value as lists compare it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def status_of(state: State, at_rest: bool) -> Status:
    if state.ended:
        return state.ended
    if state.parked:
        return "needs_attention"
    if state.paused:
        return "paused"
    if "start" in state.timers:
        return "scheduled"
    return "waiting" if at_rest else "running"


def waits_of(state: State, most: int | None = None) -> tuple[Wait, ...]:
    """Why this state rests: every reason, or at `most` so many open calls, of each kind the first at least."""
    if state.ended:
        return ()
    waits = [_call_wait(state, call) for call in _foremost(list(state.calls.values()), most)]
    waits += [Wait(kind="timer", note=name, until=at) for name, at in state.own_timers.items()]
    if state.parked:
        waits.insert(0, Wait(kind="operator", note=f"{state.parked.code}: {state.parked.message}"))
    if state.paused:
        waits.insert(0, Wait(kind="operator", note=f"{state.paused.code}: {state.paused.message}"))
    idle = not [wait for wait in waits if wait.note != "deadline"]
    return (*waits, Wait(kind="input")) if idle else tuple(waits)


def _unlisted(state: State) -> int:
    return max(0, len(state.calls) - MOST_WAITS)


_FIRST: tuple[WaitKind, ...] = ("operator", "approval", "input", "external", "child", "timer")
"""Kinds of waits, those first that somebody has to see to."""


def _foremost(calls: list[OpenCall], most: int | None) -> list[OpenCall]:
    """So many of the calls, in their order."""
    if most is None or len(calls) <= most:
        return calls
    first = {_wait_kind(call): call for call in reversed(calls)}
    ranked = sorted(calls, key=lambda call: _FIRST.index(_wait_kind(call)))
    kept = set(list(dict.fromkeys(call.id for call in (*first.values(), *ranked)))[:most])
    return [call for call in calls if call.id in kept]


def _wait_kind(call: OpenCall) -> WaitKind:
    if call.status == "pending" and not call.asleep:
        return "input" if call.waits else "external"
    kinds: dict[str, WaitKind] = {"asked": "approval", "child": "child", "person": "operator", "doubt": "operator"}
    return kinds.get(call.status, "timer")


def _call_wait(state: State, call: OpenCall) -> Wait:
    wait = _approval_wait(call) if call.status == "asked" else _wait_for(state, call)
    path = call.operation.name if call.operation else call.tool
    return wait if path == call.tool else changed(wait, name=path)


def _wait_for(state: State, call: OpenCall) -> Wait:
    id, tool = call.id, call.tool
    note = f"{call.error.code}: {call.error.message}" if call.error else ""
    if call.status == "child":
        return Wait(kind="child", call=id, tool=tool, session=state.children.get(id))
    if call.asleep:
        return Wait(kind="timer", call=id, tool=tool, until=call.expires_at, note=ASLEEP)
    if call.waits and call.status == "pending" and call.operation is not None:
        return Wait(kind="input", call=id, tool=tool, until=call.expires_at, note=call.operation.signal or "")
    if call.status == "pending":
        return Wait(kind="external", call=id, tool=tool, until=call.expires_at)
    if call.status in ("person", "doubt"):
        return Wait(kind="operator", call=id, tool=tool, digest=call.digest, note=f"in doubt: {note}")
    return Wait(kind="timer", call=id, tool=tool, until=state.timers.get(f"retry:{id}") or call.not_after, note=note)


def _approval_wait(call: OpenCall) -> Wait:
    return Wait(
        kind="approval",
        call=call.id,
        tool=call.tool,
        rule=call.rule,
        digest=call.digest,
        until=call.expires_at,
        needed=call.needed,
        approved_by=tuple(actor.name for actor in call.approved_by),
        approvers=call.approvers,
        note=ASKS if call.asks else "",
    )


def fold_text(state: State) -> str:
    """The state as it is kept in a head or a snapshot."""
    rest = state.model_dump_json(exclude_unset=True, exclude={"transcript"})
    entries = ",".join([entry.text for entry in state.transcript])
    return f'{rest[:-1]},"transcript":[{entries}]}}'


def snapshot_every(state: State) -> int:
    """Commits until another snapshot is worth what it costs to write."""
    return max(SNAPSHOT_EVERY, (len(state.transcript) + len(state.calls)) // ENTRIES_A_COMMIT)


def snapshot_name(seq: int, text: str) -> str:
    """Where a fold lies: its name says what it holds, so that another text under it is found out."""
    return f"snapshots/{seq:012d}-{sha256(text)[:16]}"


def unfold(fold: Fold, text: str) -> State | None:
    """The state in a fold, or None where it is no use: this release folds differently, or it is not what was kept."""
    if fold.version != FOLD_VERSION or fold.snapshot not in (None, snapshot_name(fold.seq, text)):
        return None
    try:
        return State.model_validate_json(text)
    except ValidationError:
        return None


# --- as a document ---------------------------------------------------------------------------------------------


def to_doc(head: Head) -> dict[str, Any]:
    """The head as plain JSON values, but for what stores keep in fields of their own (published, wake_at, fold)."""
    return {
        "key": head.key,
        "tenant": head.tenant,
        "id": head.id,
        "program": head.program,
        "version": head.version,
        "status": head.status,
        "seq": head.seq,
        "hash": head.hash,
        "commits": head.commits,
        "created_at": stamp(head.created_at),
        "updated_at": stamp(head.updated_at),
        "waits": [wait.model_dump(mode="json", exclude_defaults=True) for wait in head.waits],
        "error": head.error and head.error.model_dump(),
        "spent": head.spent.model_dump(exclude_defaults=True),
        "limits": head.limits.model_dump(exclude_defaults=True),
        "labels": [list(pair) for pair in head.labels],
        "format": head.format,
    } | _seldom(head)


def _seldom(head: Head) -> dict[str, Any]:
    listeners = [listener.model_dump(exclude_defaults=True) for listener in head.listeners]
    told: dict[str, Any] = {"listeners": listeners} if listeners else {}
    told |= {"origin": head.origin.model_dump()} if head.origin else {}
    told |= {"armed": stamp(head.armed)} if head.armed else {}
    told |= {"incarnation": head.incarnation} if head.incarnation != FIRST_INCARNATION else {}
    return told | {name: value for name in _SELDOM if (value := getattr(head, name))}


_SELDOM = ("unlisted", "parent", "switch", "owed", "family", "effects")


def to_json(head: Head) -> str:
    return document(to_doc(head))


def from_json(text: str, *, published: int, wake_at: datetime | None, fold: Fold | None) -> Head:
    """The inverse of `to_json`."""
    doc = json.loads(text)
    return Head(
        **doc
        | {
            "created_at": datetime.fromisoformat(doc["created_at"]),
            "updated_at": datetime.fromisoformat(doc["updated_at"]),
            "waits": tuple(Wait.model_validate(wait) for wait in doc["waits"]),
            "error": doc["error"] and Failure.model_validate(doc["error"]),
            "spent": Spent.model_validate(doc["spent"]),
            "limits": Limits.model_validate(doc["limits"]),
            "labels": tuple((key, value) for key, value in doc["labels"]),
            "armed": datetime.fromisoformat(doc["armed"]) if "armed" in doc else None,
            "origin": Origin.model_validate(doc["origin"]) if "origin" in doc else None,
            "listeners": tuple(Listener.model_validate(listener) for listener in doc.get("listeners", ())),
        },
        published=published,
        wake_at=wake_at,
        fold=fold,
    )
